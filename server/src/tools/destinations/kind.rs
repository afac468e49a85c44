//! The kinds of destinations, as command lines name them.

use footpath_proto::v1;
use v1::destination::Kind;

/// What a destination is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum KindName {
    /// Footpath's own JSON, posted to a URL.
    Webhook,
    /// An incoming webhook of Slack, or of what understands them.
    Slack,
    /// What an Alertmanager sends to its receivers, posted to a URL.
    AlertmanagerWebhook,
    /// An Alertmanager that takes alerts.
    Alertmanager,
    /// PagerDuty's Events API v2.
    PagerDuty,
    /// Email, through the server's mail relay.
    Email,
}

impl KindName {
    /// What a destination is; none if the server knows more kinds than this program.
    pub fn of(destination: &v1::Destination) -> Option<Self> {
        Some(match destination.kind.as_ref()? {
            Kind::Webhook(hook) => match hook.shape() {
                v1::WebhookShape::Slack => Self::Slack,
                v1::WebhookShape::Alertmanager => Self::AlertmanagerWebhook,
                v1::WebhookShape::Unspecified | v1::WebhookShape::Json => Self::Webhook,
            },
            Kind::Alertmanager(_) => Self::Alertmanager,
            Kind::PagerDuty(_) => Self::PagerDuty,
            Kind::Email(_) => Self::Email,
        })
    }

    /// Its name, as `--kind` takes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::AlertmanagerWebhook => "alertmanager_webhook",
            Self::Alertmanager => "alertmanager",
            Self::PagerDuty => "pager_duty",
            Self::Email => "email",
        }
    }

    /// What has to be kept secret of it, in words.
    pub fn secret(self) -> Option<&'static str> {
        match self {
            Self::Email => None,
            Self::PagerDuty => Some("routing key"),
            _ => Some("URL"),
        }
    }

    /// The shape of a webhook's body.
    pub fn shape(self) -> v1::WebhookShape {
        match self {
            Self::Slack => v1::WebhookShape::Slack,
            Self::AlertmanagerWebhook => v1::WebhookShape::Alertmanager,
            _ => v1::WebhookShape::Json,
        }
    }
}
