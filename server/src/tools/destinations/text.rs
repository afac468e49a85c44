//! Destinations as lines.

use footpath_proto::v1;
use v1::destination::Kind;

use super::kind::KindName;
use crate::tools::alert_text::plain;
use crate::tools::definitions::Word;

/// One line: id, kind, least severity, where to, title.
pub fn line(destination: &v1::Destination) -> String {
    let v1::Destination { id, title, .. } = destination;
    let kind = KindName::of(destination).map_or("(unknown)", KindName::word);
    let severity = Word(match destination.min_severity() {
        v1::AlertSeverity::Unspecified => v1::AlertSeverity::Info,
        named => named,
    });
    format!("{id}  {kind:20}  {severity:8}  {}  {}", plain(&to(destination)), plain(title))
        .trim_end()
        .to_owned()
}

/// Where it leads, as far as that is shown.
fn to(destination: &v1::Destination) -> String {
    match &destination.kind {
        Some(Kind::Webhook(hook)) => hook.url.clone(),
        Some(Kind::Alertmanager(one)) => one.url.clone(),
        Some(Kind::PagerDuty(pager)) => pager.url.clone(),
        Some(Kind::Email(mail)) => mail.to.join(", "),
        None => "-".into(),
    }
}

/// What came of a test.
pub fn tested(id: &str, sent: &v1::SendTestAlertResponse) -> String {
    let taken = if sent.delivered { "delivered" } else { "not delivered" };
    format!("{id}: {taken}: {}", plain(&sent.outcome))
}
