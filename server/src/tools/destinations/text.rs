//! Destinations as lines.

use footpath_proto::v1;
use v1::destination::Kind;

use super::kind::KindName;
use crate::tools::alert_text::plain;
use crate::tools::definitions::Word;

/// One line: id, kind, least severity, where to, title.
pub fn line(destination: &v1::Destination) -> String {
    let v1::Destination { id, title, .. } = destination;
    let (kind, severity) = (kind(destination), severity(destination));
    format!("{id}  {kind:20}  {severity:8}  {}  {}", plain(&to(destination)), plain(title))
        .trim_end()
        .to_owned()
}

/// What a change made of a destination, as far as that is shown: each thing from what to what, and nothing where it is as before.
pub fn changed(before: &v1::Destination, after: &v1::Destination) -> String {
    let shown = |one: &v1::Destination| {
        [
            ("kind", kind(one).to_owned()),
            ("where to", plain(&to(one))),
            ("least severity", severity(one).to_string()),
            ("title", format!("{:?}", plain(&one.title))),
        ]
    };
    let both = shown(before).into_iter().zip(shown(after));
    let differ = both.filter(|((_, from), (_, to))| from != to);
    let told: Vec<_> = differ.map(|((what, from), (_, to))| format!("{what} from {from} to {to}")).collect();
    if told.is_empty() { String::new() } else { format!(": {}", told.join(", ")) }
}

fn kind(destination: &v1::Destination) -> &'static str {
    KindName::of(destination).map_or("(unknown)", KindName::word)
}

fn severity(destination: &v1::Destination) -> Word<v1::AlertSeverity> {
    Word(match destination.min_severity() {
        v1::AlertSeverity::Unspecified => v1::AlertSeverity::Info,
        named => named,
    })
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
