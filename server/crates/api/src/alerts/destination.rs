//! A destination, from the API's message and to it. What is secret is never shown; what is shown in its place, or left empty, stays as it
//! is.

use footpath_notify::{Destination, DestinationKind, PAGERDUTY_URL, Secret, Severity, WebhookShape};
use footpath_proto::v1;
use prost_types::FieldMask;
use tonic::Status;
use v1::destination::Kind;

use crate::admin::OneTimeCodes;
use crate::convert::severity_message;
use crate::status::invalid;

/// Stands for the part of a URL that may be a key.
const HIDDEN: &str = "/...";

/// What is wrong with a destination.
pub fn wrong(what: &str) -> Status {
    invalid("destination_invalid", what)
}

/// A destination that is to be created. A webhook without a secret gets the one that is `known`, or a new one.
///
/// # Errors
/// INVALID_ARGUMENT that names the field.
pub fn asked(
    message: &v1::Destination,
    known: Option<&Destination>,
    codes: &OneTimeCodes,
) -> Result<Destination, Status> {
    let made = || Secret::for_signing(&codes.random_bytes());
    let secret = known.and_then(|known| match &known.kind {
        DestinationKind::Webhook { secret, .. } => Some(secret.clone()),
        _ => None,
    });
    let secret = secret.unwrap_or_else(made);
    read(message, &|_| None, &secret)
}

/// A destination that is changed.
///
/// # Errors
/// INVALID_ARGUMENT that names the field.
pub fn kept(
    message: &v1::Destination,
    known: &Destination,
    codes: &OneTimeCodes,
) -> Result<Destination, Status> {
    let (url, key) = match &known.kind {
        DestinationKind::Webhook { url, secret, .. } => (Some(url), Some(secret)),
        DestinationKind::AlertmanagerApi { url } => (Some(url), None),
        DestinationKind::PagerDuty { url, routing_key } => (Some(url), Some(routing_key)),
        DestinationKind::Email { .. } => (None, None),
    };
    let same = |text: &str| url.filter(|url| text.is_empty() || text == hidden(url)).cloned();
    let becomes_webhook = matches!(message.kind, Some(Kind::Webhook(_)))
        && !matches!(known.kind, DestinationKind::Webhook { .. });
    if becomes_webhook {
        return read(message, &|_| None, &Secret::for_signing(&codes.random_bytes()));
    }
    read(message, &same, &key.cloned().unwrap_or_default())
}

/// Reads a message; `same` knows URLs that stay as they are, and a key that is left empty is `key`.
fn read(
    message: &v1::Destination,
    same: &dyn Fn(&str) -> Option<Secret>,
    key: &Secret,
) -> Result<Destination, Status> {
    let url = |text: &str| same(text).unwrap_or_else(|| Secret::new(text));
    let key = |text: &str| if text.is_empty() { key.clone() } else { Secret::new(text) };
    let kind = match &message.kind {
        None => return Err(wrong("kind: name one of webhook, alertmanager, pager_duty, email")),
        Some(Kind::Webhook(hook)) => DestinationKind::Webhook {
            url: url(&hook.url),
            secret: key(&hook.secret),
            shape: match crate::convert::known("webhook.shape", hook.shape)? {
                v1::WebhookShape::Unspecified | v1::WebhookShape::Json => WebhookShape::Json,
                v1::WebhookShape::Slack => WebhookShape::Slack,
                v1::WebhookShape::Alertmanager => WebhookShape::Alertmanager,
            },
        },
        Some(Kind::Alertmanager(one)) => DestinationKind::AlertmanagerApi { url: url(&one.url) },
        Some(Kind::PagerDuty(pager)) => DestinationKind::PagerDuty {
            routing_key: key(&pager.routing_key),
            url: if pager.url.is_empty() { Secret::new(PAGERDUTY_URL) } else { url(&pager.url) },
        },
        Some(Kind::Email(mail)) => DestinationKind::Email { to: mail.to.clone(), server: None },
    };
    let min_severity =
        crate::convert::severity("min_severity", message.min_severity)?.unwrap_or(Severity::Info);
    if !footpath_model::definition::is_id(&message.id) {
        return Err(wrong("id: 1 to 64 of a-z, 0-9, \"-\" and \"_\""));
    }
    Ok(Destination { id: message.id.clone(), title: message.title.clone(), kind, min_severity })
}

/// The fields of `wanted` that a mask names, in place of those of `known`.
///
/// # Errors
/// INVALID_ARGUMENT if a field cannot be changed.
pub fn merged(
    mut known: v1::Destination,
    wanted: v1::Destination,
    mask: Option<FieldMask>,
) -> Result<v1::Destination, Status> {
    let paths = mask.map(|mask| mask.paths).filter(|paths| !paths.is_empty());
    let Some(paths) = paths else { return Ok(wanted) };
    for path in paths {
        match path.as_str() {
            "title" => known.title.clone_from(&wanted.title),
            "min_severity" => known.min_severity = wanted.min_severity,
            "webhook" | "alertmanager" | "pager_duty" | "email" => known.kind.clone_from(&wanted.kind),
            _ => {
                let what = format!("update_mask: {path:?} is no field of a destination that can be changed");
                return Err(invalid("update_mask_invalid", &what));
            }
        }
    }
    Ok(known)
}

/// A destination as the API shows it.
pub fn shown(destination: &Destination, version: u64) -> v1::Destination {
    let kind = match &destination.kind {
        DestinationKind::Webhook { url, shape, .. } => {
            let shape = match shape {
                WebhookShape::Json => v1::WebhookShape::Json,
                WebhookShape::Slack => v1::WebhookShape::Slack,
                WebhookShape::Alertmanager => v1::WebhookShape::Alertmanager,
            };
            let (url, secret) = (hidden(url), String::new());
            Kind::Webhook(v1::WebhookDestination { url, secret, shape: shape.into() })
        }
        DestinationKind::AlertmanagerApi { url } => {
            Kind::Alertmanager(v1::AlertmanagerDestination { url: hidden(url) })
        }
        DestinationKind::PagerDuty { url, .. } => {
            Kind::PagerDuty(v1::PagerDutyDestination { routing_key: String::new(), url: hidden(url) })
        }
        DestinationKind::Email { to, .. } => Kind::Email(v1::EmailDestination { to: to.clone() }),
    };
    v1::Destination {
        id: destination.id.clone(),
        title: destination.title.clone(),
        kind: Some(kind),
        min_severity: severity_message(destination.min_severity).into(),
        version,
        etag: version.to_string(),
    }
}

/// A URL without what may be a key: scheme and host.
fn hidden(url: &Secret) -> String {
    let text = url.expose();
    let begin = text.find("://").map_or(0, |at| at + 3);
    let host = text[begin..].find(['/', '?', '#']).map_or(text.len(), |at| begin + at);
    // A name and password in front of the host are no part of it.
    let host_from = text[begin..host].rfind('@').map_or(begin, |at| begin + at + 1);
    format!("{}{}{HIDDEN}", &text[..begin], &text[host_from..host])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_the_host_of_a_url_is_shown() {
        for (url, shown) in [
            ("https://hooks.slack.com/services/T0/B0/key", "https://hooks.slack.com/..."),
            ("https://user:password@example.com:8443?key=1", "https://example.com:8443/..."),
            ("https://example.com", "https://example.com/..."),
        ] {
            assert_eq!(hidden(&Secret::new(url)), shown);
        }
    }

    #[test]
    fn what_is_shown_and_sent_back_changes_nothing() {
        let kind = DestinationKind::Webhook {
            url: Secret::new("https://hooks.slack.com/services/T0/B0/key"),
            secret: Secret::for_signing(&[7; 32]),
            shape: WebhookShape::Slack,
        };
        let known =
            Destination { id: "ops".into(), title: "Ops".into(), kind, min_severity: Severity::Warning };
        let codes = OneTimeCodes::new(Box::new(|bytes| bytes.fill(7)));
        let message = shown(&known, 3);
        assert!(!format!("{message:?}").contains("key") && !format!("{message:?}").contains("whsec"));
        assert_eq!(kept(&message, &known, &codes).unwrap(), known);
        let pager = DestinationKind::PagerDuty {
            routing_key: Secret::new("0123456789abcdef0123456789abcdef"),
            url: Secret::new(PAGERDUTY_URL),
        };
        let known = Destination { kind: pager, ..known };
        assert_eq!(kept(&shown(&known, 3), &known, &codes).unwrap(), known);
        let kind = Some(Kind::Webhook(v1::WebhookDestination {
            url: "https://example.com/hook".into(),
            ..v1::WebhookDestination::default()
        }));
        let becomes = kept(&v1::Destination { kind, ..shown(&known, 3) }, &known, &codes).unwrap();
        let DestinationKind::Webhook { secret, .. } = becomes.kind else { panic!("{becomes:?}") };
        assert_eq!(secret.expose(), Secret::for_signing(&[7; 32]).expose(), "one is made");
    }
}
