//! Prometheus Alertmanager: what it sends to webhooks (<https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>, version 4), and
//! what it takes at `/api/v2/alerts` (its `api/v2/openapi.yaml`, `postableAlerts`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::slack::{data, moved};
use super::{url_or_none, without_nulls};
use crate::text::{number_or_dash, time};
use crate::{Notice, NoticeKind, Severity};

/// What Go writes for no time: an alert that fires has no end yet.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// How long an alert stays up in an Alertmanager that hears nothing more of it. Without an end it would be taken down after its
/// `resolve_timeout`, 5 minutes: Prometheus repeats alerts, a notice is sent once.
const STAYS_UP_US: i64 = 7 * 86_400 * 1_000_000;

type Labels = BTreeMap<&'static str, String>;

/// The body that Alertmanager's receivers get.
pub(super) fn webhook(notice: &Notice, receiver: &str) -> Value {
    let labels = labels(notice, notice.severity);
    let group =
        json!({ "alertname": notice.title, "project": notice.project, "environment": notice.environment });
    json!({
        "version": "4",
        "groupKey": format!("{}/{}", notice.project, notice.incident),
        "truncatedAlerts": 0,
        "status": status(notice.kind),
        "receiver": receiver,
        "groupLabels": group,
        "commonLabels": labels,
        "commonAnnotations": annotations(notice),
        "externalURL": notice.link,
        "alerts": [alert(notice, &labels)],
    })
}

fn alert(notice: &Notice, labels: &Labels) -> Value {
    let ended = notice.kind == NoticeKind::Resolved;
    json!({
        "status": status(notice.kind),
        "labels": labels,
        "annotations": annotations(notice),
        "startsAt": time(notice.opened_us),
        "endsAt": if ended { time(notice.at_us) } else { NO_TIME.to_owned() },
        "generatorURL": notice.link,
        "fingerprint": fingerprint(labels),
    })
}

/// The body for an Alertmanager. An alert is known by its labels, severity among them, so an escalation and an end also end what may be up
/// with another severity; ending what is not there tells nobody anything.
pub(super) fn postable(notice: &Notice) -> Value {
    let firing = notice.kind != NoticeKind::Resolved;
    let ends_others =
        matches!(notice.kind, NoticeKind::Escalated | NoticeKind::Reopened | NoticeKind::Resolved);
    let severities =
        Severity::ALL.into_iter().rev().filter(|severity| *severity == notice.severity || ends_others);
    let alerts = severities.map(|severity| posted(notice, severity, firing && severity == notice.severity));
    Value::Array(alerts.collect())
}

fn posted(notice: &Notice, severity: Severity, firing: bool) -> Value {
    let ends_us = if firing { notice.at_us.saturating_add(STAYS_UP_US) } else { notice.at_us };
    without_nulls(json!({
        "labels": labels(notice, severity),
        "annotations": annotations(notice),
        "startsAt": time(notice.opened_us),
        "endsAt": time(ends_us),
        "generatorURL": url_or_none(&notice.link),
    }))
}

fn status(kind: NoticeKind) -> &'static str {
    if kind == NoticeKind::Resolved { "resolved" } else { "firing" }
}

/// The labels. Those without a value are left out: to Prometheus an empty label is none.
fn labels(notice: &Notice, severity: Severity) -> Labels {
    let test = if notice.kind == NoticeKind::Test { "true" } else { "" };
    let labels = [
        ("alertname", notice.title.as_str()),
        ("project", &notice.project),
        ("environment", &notice.environment),
        ("severity", severity.word()),
        ("rule", &notice.rule),
        ("series", notice.series.as_deref().unwrap_or_default()),
        ("test", test),
    ];
    labels
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name, value.to_owned()))
        .collect()
}

fn annotations(notice: &Notice) -> BTreeMap<&'static str, String> {
    let unit = notice.unit.as_deref();
    let drivers: Vec<_> = notice.drivers.iter().map(|driver| moved(driver, unit)).collect();
    let annotations = [
        ("summary", notice.summary.clone()),
        ("description", notice.condition.clone()),
        ("state", notice.kind.word().to_owned()),
        ("incident", notice.incident.clone()),
        ("value", number_or_dash(notice.value, unit)),
        ("expected", number_or_dash(notice.expected, unit)),
        ("low", number_or_dash(notice.low, unit)),
        ("high", number_or_dash(notice.high, unit)),
        ("window", format!("{} to {}", time(notice.window.from_us), time(notice.window.to_us))),
        ("data", data(notice)),
        ("drivers", drivers.join("; ")),
        ("annotations", notice.annotations.join("; ")),
        ("owner", notice.owner.clone()),
        ("runbook_url", notice.runbook.clone()),
    ];
    annotations.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// Prometheus' fingerprint of a label set: FNV-1a over names and values in order, each followed by 0xff
/// (prometheus/common, `model/signature.go`).
fn fingerprint(labels: &Labels) -> String {
    let texts = labels.iter().flat_map(|(name, value)| [*name, value.as_str()]);
    let bytes = texts.flat_map(|text| text.bytes().chain([0xff]));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
