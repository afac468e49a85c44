//! What destinations are told about an incident.

use std::sync::Arc;

use footpath_alert::{Incident, Outgoing, Told, happened, subject};
use footpath_engine::alert::{Detail, Finding, Transition, TransitionKind, channel_name};
use footpath_model::alert::{Driver, Series};
use footpath_model::id::EventId;
use footpath_notify::{Completeness, CompletenessState, Delivery, Destination, Notice, NoticeKind, Window};
use footpath_store::Store;
use sha2::{Digest as _, Sha256};

/// Makes messages for destinations.
pub struct Messages {
    store: Arc<dyn Store>,
    public_url: String,
}

impl Messages {
    /// Of destinations in `store`, with links that begin with `public_url`.
    pub fn new(store: Arc<dyn Store>, public_url: String) -> Self {
        Self { store, public_url }
    }

    fn destination(&self, project: &str, id: &str) -> Option<Destination> {
        let row = self.store.destination(project, id);
        let row = row.inspect_err(|error| tracing::error!(%error, "a destination cannot be read")).ok()??;
        serde_json::from_str(&row.json).ok()
    }

    fn notice(&self, project: &str, name: &str, told: &Told) -> Option<Notice> {
        let Told { transition, incident } = told;
        let judged = transition.judged.as_ref().or(incident.told.as_ref());
        let (from_us, to_us) =
            judged.map_or((incident.from_us, transition.at_us), |one| (one.from_us, one.to_us));
        Some(Notice {
            id: id(name),
            kind: kind(transition.kind)?,
            project: project.to_owned(),
            environment: incident.environments.join(", "),
            incident: incident.id.clone(),
            rule: incident.rule.clone(),
            title: incident.title.clone(),
            series: incident.series.label().map(|value| format!("{} = {value}", incident.by)),
            severity: incident.severity,
            summary: summary(transition, incident),
            what: what(transition, incident),
            condition: incident.condition.clone(),
            value: judged.and_then(|one| one.value),
            expected: judged.and_then(|one| one.expected),
            low: judged.and_then(|one| one.low),
            high: judged.and_then(|one| one.high),
            unit: None,
            window: Window { from_us, to_us },
            completeness: Completeness {
                processed_us: incident.complete.processed_us,
                expected_missing: incident.complete.missing,
                state: completeness(judged.map(|one| one.finding), incident.complete.missing),
            },
            drivers: incident.drivers.iter().map(driver).collect(),
            annotations: incident.annotations.clone(),
            owner: incident.owner.clone(),
            runbook: incident.runbook.clone(),
            link: format!("{}/#/{project}/incidents/{}", self.public_url, incident.id),
            opened_us: incident.opened_us,
            at_us: transition.at_us,
            p_value: judged.and_then(|one| one.p_value),
            channel: judged.and_then(|one| one.channel).map(|channel| channel_name(channel).to_owned()),
        })
    }
}

impl Outgoing for Messages {
    fn messages(&self, project: &str, name: &str, told: &Told) -> Vec<(String, String)> {
        let Some(notice) = self.notice(project, name, told) else { return Vec::new() };
        let destinations = told.incident.destinations.iter();
        let wanting =
            destinations.filter_map(|id| self.destination(project, id)).filter(|one| one.wants(&notice));
        let message = |destination: Destination| {
            // Its number is given by the store, with its place.
            let delivery = Delivery::new(0, &destination.id, &notice, told.transition.at_us);
            Some((destination.id, serde_json::to_string(&delivery).ok()?))
        };
        wanting.filter_map(message).collect()
    }
}

/// A UUID (version 8: of our own making) made of what the notice is about: a replay makes the same one.
fn id(name: &str) -> String {
    let hash: [u8; 32] = Sha256::digest(name.as_bytes()).into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    EventId(bytes).to_string()
}

fn kind(kind: TransitionKind) -> Option<NoticeKind> {
    Some(match kind {
        TransitionKind::Opened => NoticeKind::Opened,
        TransitionKind::Escalated => NoticeKind::Escalated,
        TransitionKind::Acknowledged => NoticeKind::Acknowledged,
        TransitionKind::Resolved => NoticeKind::Resolved,
        TransitionKind::Reopened => NoticeKind::Reopened,
        TransitionKind::Commented
        | TransitionKind::Muted
        | TransitionKind::Assigned
        | TransitionKind::Acted
        | TransitionKind::Compared => return None,
    })
}

fn summary(transition: &Transition, incident: &Incident) -> String {
    match transition.kind {
        TransitionKind::Acknowledged | TransitionKind::Resolved => {
            format!("{}: {}", subject(incident), what(transition, incident))
        }
        _ => incident.summary.clone(),
    }
}

/// What happened, without what it happened to.
fn what(transition: &Transition, incident: &Incident) -> String {
    let by = || transition.by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
    match transition.kind {
        TransitionKind::Acknowledged => format!("acknowledged{}", by()),
        TransitionKind::Resolved => {
            let why = transition.detail.as_ref().and_then(Detail::words);
            let why = why.map(|why| format!(", {why}")).unwrap_or_default();
            let now = transition.judged.as_ref().and_then(|one| one.value);
            let now = now.map(|now| format!(", now {}", footpath_alert::number(now))).unwrap_or_default();
            format!("over{}{why}{now}", by())
        }
        _ => happened(incident, transition),
    }
}

fn completeness(finding: Option<Finding>, missing: u64) -> CompletenessState {
    match finding {
        Some(Finding::Missing) => CompletenessState::Missing,
        Some(Finding::Late) => CompletenessState::Late,
        _ if missing > 0 => CompletenessState::Late,
        _ => CompletenessState::Complete,
    }
}

fn driver(driver: &Driver) -> footpath_notify::Driver {
    let value = match &driver.value {
        Series::Value(value) => value.as_str(),
        other => other.label().unwrap_or_default(),
    };
    footpath_notify::Driver {
        what: format!("{} = {value}", driver.property.property),
        contribution: Some(driver.contribution),
        before: driver.before,
        after: driver.after,
    }
}
