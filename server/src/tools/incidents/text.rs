//! An incident as lines.

use footpath_proto::v1;

use crate::tools::alert_text::{driver, plain, seen, value};
use crate::tools::annotate;
use crate::tools::definitions::Word;
use crate::tools::zone::Zone;

/// One line: id, state, severity, beginning, rule, summary, and until when it is muted if it is.
pub fn line(incident: &v1::Incident, zone: &Zone) -> String {
    let v1::Incident { id, alert_rule_id: rule, summary, muted_until, .. } = incident;
    let (state, severity) = (Word(incident.state()), Word(incident.severity()));
    let since = zone.show(incident.from.as_ref());
    let muted = muted_until.as_ref().map(|until| format!("  (muted until {})", zone.show(Some(until))));
    let muted = muted.unwrap_or_default();
    format!("{id}  {state:12}  {severity:8}  {since}  {rule}  {}{muted}", plain(summary))
}

/// All there is to know: the line, what is known of it, why it may be, what was done, what happened.
pub fn story(incident: &v1::Incident, events: &[v1::IncidentEvent], zone: &Zone) -> String {
    let facts = facts(incident, zone).into_iter().filter(|(_, text)| !text.is_empty());
    let mut lines = vec![line(incident, zone)];
    lines.extend(facts.map(|(name, text)| format!("  {name:12}  {}", plain(&text))));
    let annotations = incident.annotations.iter().map(|one| annotate::line(one, zone));
    lines.extend(section("Likely drivers", incident.drivers.iter().map(driver)));
    lines.extend(section("Around its beginning", annotations));
    lines.extend(section("Actions", incident.actions.iter().map(|one| action(one, zone))));
    lines.extend(section("Events", events.iter().map(|one| event(one, zone))));
    lines.join("\n") + "\n"
}

/// Lines under a heading; nothing without lines.
fn section(heading: &str, lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<_> = lines.map(|line| format!("  {line}")).collect();
    if !lines.is_empty() {
        lines.insert(0, format!("{heading}:"));
    }
    lines
}

/// What is known of it, by name; an empty text is nothing.
fn facts(incident: &v1::Incident, zone: &Zone) -> Vec<(&'static str, String)> {
    let when = |moment: &Option<prost_types::Timestamp>| {
        moment.as_ref().map(|moment| zone.show(Some(moment))).unwrap_or_default()
    };
    vec![
        ("rule", incident.alert_rule_id.clone()),
        ("metric", incident.metric_id.clone()),
        ("value", value(incident.value.as_ref()).unwrap_or_default()),
        ("environments", incident.environments.join(", ")),
        ("told first", when(&incident.opened_at)),
        ("over", when(&incident.resolved_at)),
        ("muted until", when(&incident.muted_until)),
        ("owner", incident.owner.clone()),
        ("runbook", incident.runbook.clone()),
        ("link", incident.link.clone()),
        ("told last", incident.told.as_ref().map(seen).unwrap_or_default()),
        ("complete", incident.completeness.as_ref().map(|one| complete(one, zone)).unwrap_or_default()),
    ]
}

fn complete(completeness: &v1::AlertCompleteness, zone: &Zone) -> String {
    let processed = zone.show(completeness.processed.as_ref());
    match completeness.expected {
        0 => format!("to {processed}"),
        missing => format!("to {processed}, {missing} events were missing"),
    }
}

fn action(action: &v1::IncidentAction, zone: &Zone) -> String {
    let v1::IncidentAction { text, at, by, comparison } = action;
    let compared = if comparison.is_empty() { String::new() } else { format!("; {}", plain(comparison)) };
    format!("{}{}: {}{compared}", zone.show(at.as_ref()), person(by), plain(text))
}

fn event(event: &v1::IncidentEvent, zone: &Zone) -> String {
    let what = [event.judgement.as_ref().map(seen).unwrap_or_default(), plain(&event.text)];
    let what: Vec<_> = what.into_iter().filter(|text| !text.is_empty()).collect();
    let what = if what.is_empty() { String::new() } else { format!(": {}", what.join("; ")) };
    let kind = match (event.kind(), &event.muted_until) {
        (v1::AlertKind::Muted, None) => "unmuted".to_owned(),
        (kind, _) => Word(kind).to_string(),
    };
    let until = event.muted_until.as_ref().map(|until| format!(" until {}", zone.show(Some(until))));
    format!(
        "{}  {kind}{}{}{what}",
        zone.show(event.at.as_ref()),
        until.unwrap_or_default(),
        person(&event.by)
    )
}

/// Who it was; nothing where nobody was.
fn person(by: &str) -> String {
    if by.is_empty() { String::new() } else { format!(" by {}", plain(by)) }
}
