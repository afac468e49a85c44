//! Where notices go.

use serde::{Deserialize, Serialize};

use crate::{Notice, NoticeKind, Secret, Severity};

/// PagerDuty's endpoint for events: <https://developer.pagerduty.com/docs/send-alert-event>.
pub const PAGERDUTY_URL: &str = "https://events.pagerduty.com/v2/enqueue";

/// Where notices of a project go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// Its id, unique in the project.
    pub id: String,
    /// The name people see.
    pub title: String,
    /// What it is.
    pub kind: DestinationKind,
    /// Notices below this are not for it.
    #[serde(default = "lowest")]
    pub min_severity: Severity,
}

fn lowest() -> Severity {
    Severity::Info
}

impl Destination {
    /// Whether the notice is for it: severe enough, or a test.
    pub fn wants(&self, notice: &Notice) -> bool {
        notice.kind == NoticeKind::Test || notice.severity >= self.min_severity
    }

    /// Everything in it that must not be shown.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        match &self.kind {
            DestinationKind::Webhook { url, secret, .. } => vec![url.expose(), secret.expose()],
            DestinationKind::AlertmanagerApi { url } => vec![url.expose()],
            DestinationKind::PagerDuty { routing_key, url } => vec![routing_key.expose(), url.expose()],
            DestinationKind::Email { server, .. } => {
                server.iter().filter_map(|server| server.password.as_ref()).map(Secret::expose).collect()
            }
        }
    }
}

/// What a destination is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DestinationKind {
    /// A URL that takes a signed POST.
    Webhook {
        /// Where. Secret, because the path of Slack's webhooks is the key.
        url: Secret,
        /// What requests are signed with: `whsec_` and base64 of 24 to 64 bytes.
        secret: Secret,
        /// What the body looks like.
        shape: WebhookShape,
    },
    /// An Alertmanager that takes alerts at `/api/v2/alerts`.
    AlertmanagerApi {
        /// The Alertmanager's address; the path is added.
        url: Secret,
    },
    /// A service of PagerDuty (Events API v2).
    PagerDuty {
        /// The integration's key, 32 letters and digits.
        routing_key: Secret,
        /// Where; [`PAGERDUTY_URL`], or the one of its European region.
        #[serde(default = "pagerduty_url")]
        url: Secret,
    },
    /// Mailboxes. All of them get one message; it is delivered when the server took it for all.
    Email {
        /// The addresses, at most 20.
        to: Vec<String>,
        /// The project's own mail server; none for the operator's relay.
        #[serde(default)]
        server: Option<MailServer>,
    },
}

fn pagerduty_url() -> Secret {
    Secret::new(PAGERDUTY_URL)
}

impl DestinationKind {
    /// Its name in counters and words.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Webhook { shape: WebhookShape::Json, .. } => "webhook",
            Self::Webhook { shape: WebhookShape::Slack, .. } => "slack",
            Self::Webhook { shape: WebhookShape::Alertmanager, .. } => "alertmanager_webhook",
            Self::AlertmanagerApi { .. } => "alertmanager_api",
            Self::PagerDuty { .. } => "pagerduty",
            Self::Email { .. } => "email",
        }
    }
}

/// What a webhook's body looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookShape {
    /// The notice as JSON.
    Json,
    /// A message for Slack's incoming webhooks, and what understands them.
    Slack,
    /// What Alertmanager sends to its receivers, version 4.
    Alertmanager,
}

/// A mail server that takes messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailServer {
    /// Its name or address.
    pub host: String,
    /// Its port: 587 for STARTTLS, 465 for TLS.
    pub port: u16,
    /// How the connection is protected.
    pub security: MailSecurity,
    /// The account; none to send without one.
    #[serde(default)]
    pub username: Option<String>,
    /// The account's password.
    #[serde(default)]
    pub password: Option<Secret>,
    /// The sender: an address, or `Name <address>`.
    pub from: String,
}

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailSecurity {
    /// TLS after the greeting, and nothing without it.
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// None. From a project only to this machine, which `allow` has to open.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_that_asks_for_no_severity_is_told_everything() {
        let json = r#"{"id":"d","title":"D","kind":{"type":"alertmanager_api","url":"http://am"}}"#;
        let destination: Destination = serde_json::from_str(json).unwrap();
        assert_eq!(destination.min_severity, Severity::Info);
    }
}
