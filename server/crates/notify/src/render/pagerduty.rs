//! Events for PagerDuty (v2): <https://developer.pagerduty.com/docs/send-alert-event>.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::slack::{data, moved};
use super::{url_or_none, without_nulls};
use crate::text::{one_line, time};
use crate::{Notice, NoticeKind};

/// PagerDuty's limit of a summary, in characters.
const SUMMARY: usize = 1_024;
/// PagerDuty's limit of a key, in characters.
const DEDUP_KEY: usize = 255;

pub(super) fn event(routing_key: &str, notice: &Notice) -> Value {
    without_nulls(json!({
        "routing_key": routing_key,
        "event_action": action(notice.kind),
        "dedup_key": dedup_key(notice),
        "client": "Footpath",
        "client_url": url_or_none(&notice.link),
        "links": links(notice),
        "payload": payload(notice),
    }))
}

fn action(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Opened | NoticeKind::Escalated | NoticeKind::Reopened | NoticeKind::Test => "trigger",
        NoticeKind::Acknowledged => "acknowledge",
        NoticeKind::Resolved => "resolve",
    }
}

/// One PagerDuty alert for each incident. What is too long for a key becomes its SHA-256.
fn dedup_key(notice: &Notice) -> String {
    let key = format!("{}/{}", notice.project, notice.incident);
    if key.chars().count() <= DEDUP_KEY {
        return key;
    }
    super::mail::hex(&Sha256::digest(key))
}

fn links(notice: &Notice) -> Vec<Value> {
    let links = [("Footpath", &notice.link), ("Runbook", &notice.runbook)];
    let links = links.iter().filter(|(_, url)| !url.is_empty());
    links.map(|(text, href)| json!({ "href": href, "text": text })).collect()
}

fn payload(notice: &Notice) -> Value {
    json!({
        "summary": one_line(&format!("{}: {}", notice.subject(), notice.what), SUMMARY),
        "source": format!("{}/{}", notice.project, notice.environment),
        "severity": notice.severity.word(),
        "timestamp": time(notice.at_us),
        "component": notice.rule,
        "group": notice.project,
        "class": notice.title,
        "custom_details": details(notice),
    })
}

fn details(notice: &Notice) -> Value {
    let drivers = notice.drivers.iter().map(|driver| moved(driver, notice.unit.as_deref()));
    without_nulls(json!({
        "condition": notice.condition,
        "series": notice.series,
        "value": notice.value,
        "expected": notice.expected,
        "low": notice.low,
        "high": notice.high,
        "unit": notice.unit,
        "window": format!("{} to {}", time(notice.window.from_us), time(notice.window.to_us)),
        "data": data(notice),
        "drivers": drivers.collect::<Vec<_>>(),
        "annotations": notice.annotations,
        "owner": notice.owner,
        "opened": time(notice.opened_us),
        "p_value": notice.p_value,
        "channel": notice.channel,
    }))
}
