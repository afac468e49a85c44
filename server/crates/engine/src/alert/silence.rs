//! Many series that stop at once are one incident of the pipeline, not many of series.

use std::collections::BTreeSet;

use footpath_model::alert::Series;
use footpath_model::definition::Severity;
use serde::{Deserialize, Serialize};

use super::series::{Open, incident_id, said};
use super::{Detail, IncidentName, PIPELINE, Transition, TransitionKind};

/// So many series at least have to stop together.
const LEAST: usize = 3;
/// Series count as active that had something in them so long ago at most, microseconds: a day.
pub(super) const ACTIVE_US: i64 = 86_400_000_000;

/// The pipeline's incident, if there is one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    pub(super) open: Option<Box<Open>>,
    /// The series that stopped, by rule.
    pub(super) stopped: BTreeSet<(String, Series)>,
}

/// What one record brought.
pub(super) struct Brought {
    pub project: u32,
    pub transitions: Vec<Transition>,
    /// How many series were active before.
    pub active: usize,
    /// Series that have something again.
    pub back: BTreeSet<(String, Series)>,
    pub at_us: i64,
}

impl Silence {
    /// Takes the incidents of series that stopped out of what a record brought, if they are one of the pipeline; gives what is left
    /// and the series whose incidents are held.
    pub(super) fn take(&mut self, brought: Brought) -> (Vec<Transition>, Vec<(String, Series)>) {
        let Brought { project, mut transitions, active, back, at_us } = brought;
        let mut told = self.ends(&back, at_us);
        let stops: Vec<_> = transitions.iter().filter(|one| is_stop(one)).cloned().collect();
        let together = stops.len() >= LEAST && 2 * stops.len() >= active;
        if stops.is_empty() || (self.open.is_none() && !together) {
            told.append(&mut transitions);
            return (told, Vec::new());
        }
        transitions.retain(|one| !is_stop(one));
        let held: Vec<_> =
            stops.iter().map(|one| (one.incident.rule.clone(), one.incident.series.clone())).collect();
        self.stopped.extend(held.iter().cloned());
        if self.open.is_none() {
            told.extend(self.begin(project, &stops));
        }
        told.append(&mut transitions);
        (told, held)
    }

    fn begin(&mut self, project: u32, stops: &[Transition]) -> Option<Transition> {
        let first = stops.first()?;
        let from_us = stops.iter().map(|one| one.incident.from_us).min()?;
        let severity = stops.iter().map(|one| one.incident.severity).max().unwrap_or(Severity::Critical);
        let series = Series::Whole;
        let id = incident_id(project, PIPELINE, &series, from_us);
        let name = IncidentName { id, rule: PIPELINE.into(), series, from_us, severity };
        let judged = first.judged.clone()?;
        let open = Open {
            name: name.clone(),
            told: judged.clone(),
            fine: 0,
            acknowledged: false,
            muted_until_us: 0,
        };
        self.open = Some(Box::new(open));
        let quiet = stops.iter().all(|one| one.quiet);
        Some(Transition {
            judged: Some(judged),
            detail: Some(Detail::Stopped(stops.len())),
            ..said(name, TransitionKind::Opened, first.at_us, quiet)
        })
    }

    /// It is over when half of what stopped has something again; what has not then is an incident of its own.
    fn ends(&mut self, back: &BTreeSet<(String, Series)>, at_us: i64) -> Vec<Transition> {
        if self.open.is_none() {
            return Vec::new();
        }
        let stopped = self.stopped.len();
        let again = self.stopped.intersection(back).count();
        if 2 * again < stopped {
            return Vec::new();
        }
        self.close(at_us).into_iter().collect()
    }

    pub(super) fn close(&mut self, at_us: i64) -> Option<Transition> {
        let open = self.open.take()?;
        self.stopped.clear();
        Some(said(open.name.clone(), TransitionKind::Resolved, at_us, open.is_muted(at_us)))
    }
}

/// Whether an incident began because a series has nothing any more.
fn is_stop(transition: &Transition) -> bool {
    let nothing = transition.judged.as_ref().is_some_and(|judged| judged.volume <= 0.0);
    transition.kind == TransitionKind::Opened && nothing
}
