//! An incident as it is kept: everything that is shown of it, and how what happens changes it.

use footpath_engine::alert::{
    AlertFold, Detail, IncidentName, Judged, Open, PIPELINE, Transition, TransitionKind,
};
use footpath_model::alert::{Annotation, Completeness, Driver, Series};
use footpath_model::definition::Severity;
use serde::{Deserialize, Serialize};

use crate::words::summary;

mod heard;

pub use heard::Heard;

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// It goes on.
    Open,
    /// It goes on, and somebody looks after it.
    Acknowledged,
    /// It is over.
    Resolved,
}

/// Something that was done against an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionTaken {
    /// What.
    pub text: String,
    /// When, microseconds since 1970.
    pub at_us: i64,
    /// Who noted it.
    pub by: String,
    /// What the comparison of before and after says; empty until there is one.
    #[serde(default)]
    pub comparison: String,
}

/// An incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Its id.
    pub id: String,
    /// The id of its rule, or [`PIPELINE`].
    pub rule: String,
    /// The rule's title.
    pub title: String,
    /// The id of the metric; empty for the pipeline's.
    pub metric: String,
    /// Which series.
    pub series: Series,
    /// Environments that the rule watches.
    pub environments: Vec<String>,
    /// How bad it is.
    pub severity: Severity,
    /// Where it stands.
    pub state: IncidentState,
    /// One line for people.
    pub summary: String,
    /// What a problem is, in words.
    pub condition: String,
    /// The beginning of the first bucket that was a problem, microseconds since 1970.
    pub from_us: i64,
    /// When somebody was told first.
    pub opened_us: i64,
    /// When something happened to it last.
    pub changed_us: i64,
    /// When it was over, once it is.
    pub resolved_us: Option<i64>,
    /// Who looks after it.
    pub owner: String,
    /// What is to be done: a link.
    pub runbook: String,
    /// What was seen when it was told last.
    pub told: Option<Judged>,
    /// How complete the numbers were then.
    pub complete: Completeness,
    /// What probably moved the number.
    pub drivers: Vec<Driver>,
    /// What happened to the project around its beginning, in words.
    pub annotations: Vec<String>,
    /// What was done against it.
    pub actions: Vec<ActionTaken>,
    /// Nobody is told that it gets worse until then, microseconds since 1970; 0 if it is not muted.
    pub muted_until_us: i64,
    /// The ids of the destinations that are told.
    pub destinations: Vec<String>,
    /// What they heard of it.
    #[serde(default)]
    pub heard: Heard,
    /// The property whose value the series is; empty without one.
    #[serde(default)]
    pub by: String,
    /// Of the pipeline's: the series that stopped, with their rules.
    pub stopped: Vec<(String, Series)>,
}

/// What the record that was the reason says about a transition.
#[derive(Debug, Clone, Default)]
pub struct Reason {
    /// How complete the numbers were.
    pub complete: Completeness,
    /// What probably moved the number.
    pub drivers: Vec<Driver>,
}

impl Incident {
    /// An incident that begins with this transition, as its rule stands.
    pub fn begin(fold: &AlertFold, transition: &Transition) -> Self {
        let name = &transition.incident;
        let mut incident = Self {
            id: name.id.clone(),
            rule: name.rule.clone(),
            title: String::new(),
            metric: String::new(),
            series: name.series.clone(),
            environments: Vec::new(),
            severity: name.severity,
            state: IncidentState::Open,
            summary: String::new(),
            condition: String::new(),
            from_us: name.from_us,
            opened_us: transition.at_us,
            changed_us: transition.at_us,
            resolved_us: None,
            owner: String::new(),
            runbook: String::new(),
            told: None,
            complete: Completeness::default(),
            drivers: Vec::new(),
            annotations: around(fold, name.from_us),
            actions: Vec::new(),
            muted_until_us: 0,
            destinations: Vec::new(),
            // One that does not begin with this was stored and cannot be read: nobody is left without its end.
            heard: if transition.kind == TransitionKind::Opened { Heard::Nothing } else { Heard::Open },
            by: String::new(),
            stopped: Vec::new(),
        };
        incident.take_rule(fold);
        incident
    }

    /// What its rule says now.
    fn take_rule(&mut self, fold: &AlertFold) {
        if self.rule == PIPELINE {
            self.title = "Events stopped".into();
            self.condition = "many series stopped at once".into();
            self.stopped = fold.stopped().cloned().collect();
            self.destinations = destinations_of(fold, &self.stopped);
            return;
        }
        let Some(rule) = fold.rule(&self.rule).map(|fold| &fold.counted) else { return };
        let definition = &rule.definition;
        let title = if definition.name.is_empty() { &definition.id } else { &definition.name };
        self.title.clone_from(title);
        self.metric.clone_from(&definition.metric);
        self.environments = definition.environments();
        let by = rule.watched().definition.breakdown;
        self.by = by.map(|by| by.property).unwrap_or_default();
        self.condition = crate::words::condition(definition);
        self.owner.clone_from(&definition.owner);
        self.runbook.clone_from(&definition.runbook);
        self.destinations.clone_from(&definition.destinations);
    }

    /// Takes what happened.
    pub fn take(&mut self, transition: &Transition, reason: Reason) {
        self.changed_us = self.changed_us.max(transition.at_us);
        match transition.kind {
            TransitionKind::Opened | TransitionKind::Reopened | TransitionKind::Escalated => {
                self.tell(transition, reason);
            }
            TransitionKind::Acknowledged => {
                self.state = IncidentState::Acknowledged;
                if self.owner.is_empty() {
                    self.owner = transition.by.clone().unwrap_or_default();
                }
            }
            TransitionKind::Resolved => {
                self.state = IncidentState::Resolved;
                self.resolved_us = Some(transition.at_us);
            }
            TransitionKind::Commented
            | TransitionKind::Muted
            | TransitionKind::Assigned
            | TransitionKind::Acted
            | TransitionKind::Compared => {}
        }
        if let Some(detail) = &transition.detail {
            self.take_detail(transition, detail);
        }
    }

    fn take_detail(&mut self, transition: &Transition, detail: &Detail) {
        match detail {
            Detail::Why(_) | Detail::Stopped(_) | Detail::Comment(_) => {}
            Detail::MutedUntil(until_us) => self.muted_until_us = *until_us,
            Detail::Owner(owner) => self.owner.clone_from(owner),
            Detail::Action(text) => self.actions.push(ActionTaken {
                text: text.clone(),
                at_us: transition.at_us,
                by: transition.by.clone().unwrap_or_default(),
                comparison: String::new(),
            }),
            Detail::Comparison(words) => {
                self.actions.last_mut().into_iter().for_each(|action| action.comparison.clone_from(words));
            }
        }
    }

    /// As its rule knows it, while it goes on.
    pub(crate) fn open(&self) -> Option<Open> {
        if self.state == IncidentState::Resolved {
            return None;
        }
        Some(Open {
            name: IncidentName {
                id: self.id.clone(),
                rule: self.rule.clone(),
                series: self.series.clone(),
                from_us: self.from_us,
                severity: self.severity,
            },
            told: self.told.clone()?,
            fine: 0,
            acknowledged: self.state == IncidentState::Acknowledged,
            muted_until_us: self.muted_until_us,
        })
    }

    fn tell(&mut self, transition: &Transition, reason: Reason) {
        if transition.kind == TransitionKind::Reopened {
            self.state = IncidentState::Open;
            (self.resolved_us, self.muted_until_us) = (None, 0);
        }
        self.told.clone_from(&transition.judged);
        self.complete = reason.complete;
        if !reason.drivers.is_empty() {
            self.drivers = reason.drivers;
        }
        self.summary = summary(self, transition);
    }
}

/// Annotations are named that were so long before or after an incident's beginning, microseconds: six hours.
pub const AROUND_US: i64 = 6 * 3_600_000_000;

fn around(fold: &AlertFold, from_us: i64) -> Vec<String> {
    let found = fold.annotations(from_us - AROUND_US, from_us + AROUND_US).into_iter();
    let words = |one: &Annotation| match one.kind.as_str() {
        "" => one.text.clone(),
        kind => format!("{kind}: {}", one.text),
    };
    found.map(words).collect()
}

/// Everybody who is told about one of the series that stopped.
fn destinations_of(fold: &AlertFold, stopped: &[(String, Series)]) -> Vec<String> {
    let rules = stopped.iter().filter_map(|(rule, _)| fold.rule(rule));
    let mut all: Vec<_> = rules.flat_map(|rule| rule.rule().destinations.clone()).collect();
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of a store: they are read again by whatever comes after this program.
    #[test]
    fn what_people_do_is_kept_and_changes_the_incident() {
        let name = IncidentName {
            id: "i".into(),
            rule: "r".into(),
            series: Series::Whole,
            from_us: 0,
            severity: Severity::Warning,
        };
        let done = |kind, json: &str| Transition {
            incident: name.clone(),
            kind,
            at_us: 5,
            judged: None,
            by: Some("ann".into()),
            detail: serde_json::from_str(json).unwrap(),
            quiet: false,
        };
        let mut incident = Incident::begin(&AlertFold::new(1), &done(TransitionKind::Opened, "null"));
        for (kind, json) in [
            (TransitionKind::Commented, r#"{"comment":"hm"}"#),
            (TransitionKind::Muted, r#"{"muted_until":7}"#),
            (TransitionKind::Assigned, r#"{"owner":"bob"}"#),
            (TransitionKind::Acted, r#"{"action":"rolled back"}"#),
            (TransitionKind::Compared, r#"{"comparison":"better"}"#),
        ] {
            let transition = done(kind, json);
            assert_eq!(serde_json::to_string(&transition.detail).unwrap(), json);
            incident.take(&transition, Reason::default());
        }
        assert_eq!((incident.muted_until_us, incident.owner.as_str()), (7, "bob"));
        let (text, by, comparison) = ("rolled back".into(), "ann".into(), "better".into());
        assert_eq!(incident.actions, [ActionTaken { text, at_us: 5, by, comparison }]);
    }
}
