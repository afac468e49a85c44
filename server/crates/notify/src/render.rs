//! Notices in the receivers' shapes: pure functions, held to golden files.

mod alertmanager;
mod expected;
mod json;
mod mail;
mod pagerduty;
mod sign;
mod slack;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub use sign::signature;
pub(crate) use sign::signing_key;

use crate::{Destination, DestinationKind, MailServer, Notice, WebhookShape};

/// An HTTP POST.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// Where.
    pub url: String,
    /// Its own headers, beside `host`, `content-length` and `user-agent`.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What is sent.
#[derive(Clone)]
pub enum Message {
    /// A POST.
    Http(Request),
    /// A message for a mail server.
    Mail(Box<lettre::Message>),
}

/// The notice as this destination gets it. `sent_us` is the time of the attempt, which the signature covers; `relay` is the mail server
/// for destinations that have none of their own.
///
/// # Errors
/// In words, when the destination is not one that [`Destination::check`] passes, or needs a relay and there is none.
pub fn render(
    destination: &Destination,
    notice: &Notice,
    sent_us: i64,
    relay: Option<&MailServer>,
) -> Result<Message, String> {
    let notice = notice.fit();
    let request = match &destination.kind {
        DestinationKind::Webhook { url, secret, shape } => {
            let body = bytes(&webhook_body(*shape, &notice, destination));
            let headers = sign::headers(secret, &notice.id, sent_us, &body)?;
            Request { url: url.expose().to_owned(), headers, body }
        }
        DestinationKind::AlertmanagerApi { url } => {
            let url = format!("{}/api/v2/alerts", url.expose().trim_end_matches('/'));
            post(url, &alertmanager::postable(&notice))
        }
        DestinationKind::PagerDuty { routing_key, url } => {
            post(url.expose().to_owned(), &pagerduty::event(routing_key.expose(), &notice))
        }
        DestinationKind::Email { to, server } => {
            let server = server
                .as_ref()
                .or(relay)
                .ok_or("the server has no mail relay: its settings `smtp` and `smtp-from` name one")?;
            return mail::message(to, &server.from, &notice).map(|mail| Message::Mail(Box::new(mail)));
        }
    };
    Ok(Message::Http(request))
}

fn webhook_body(shape: WebhookShape, notice: &Notice, destination: &Destination) -> Value {
    match shape {
        WebhookShape::Json => json::body(notice),
        WebhookShape::Slack => slack::body(notice),
        WebhookShape::Alertmanager => alertmanager::webhook(notice, &destination.id),
    }
}

fn post(url: String, body: &Value) -> Request {
    Request { url, headers: vec![("content-type", "application/json".to_owned())], body: bytes(body) }
}

/// A link for a field that must be a URL or not there.
fn url_or_none(link: &str) -> Option<&str> {
    Some(link).filter(|link| !link.is_empty())
}

/// The object without the fields that are null.
fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(fields) = &mut value {
        fields.retain(|_, value| !value.is_null());
    }
    value
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}
