//! One series of a rule: from problems in a row to an incident, and to its end.

use std::collections::VecDeque;

use footpath_model::alert::Series;
use footpath_model::definition::AlertRule;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::compare::Trial;
use super::judge::{Finding, Judged};
use super::{Detail, IncidentName, Transition, TransitionKind};
use crate::anomaly::{Detector, SeriesKind};

/// How many judged buckets of a series are kept: what a chart shows, and what a comparison looks back at.
pub(super) const KEPT: usize = 60;
/// For so long after an action a problem is the same one again, microseconds: a week.
const FALLS_BACK_US: i64 = 7 * 86_400_000_000;

/// Where a series stands.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nothing is wrong.
    #[default]
    Quiet,
    /// Problems in a row, not enough of them yet.
    Pending {
        /// The beginning of the first, microseconds since 1970.
        from_us: i64,
        /// How many.
        buckets: u32,
    },
    /// An incident is open.
    Open(Box<Open>),
}

/// An open incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Open {
    /// Which.
    pub name: IncidentName,
    /// What was told last.
    pub told: Judged,
    /// How many buckets in a row were fine.
    pub fine: u32,
    /// Somebody looks after it.
    pub acknowledged: bool,
    /// Nobody is told until then, microseconds since 1970.
    pub muted_until_us: i64,
}

/// The last incident of a series that is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Over {
    /// Which.
    pub name: IncidentName,
    /// When it was over, microseconds since 1970.
    pub at_us: i64,
}

/// One series.
#[derive(Debug, Clone, Default)]
pub struct SeriesFold {
    /// What it expects; of rules about anomalies.
    pub detector: Option<Box<Detector>>,
    /// Where it stands.
    pub phase: Phase,
    /// The last judged buckets, oldest first.
    pub recent: VecDeque<Judged>,
    /// The last incident that is over.
    pub over: Option<Over>,
    /// What was done against the last incident, while it is compared.
    pub(super) trial: Option<Trial>,
    /// The end of the last bucket that had something in it.
    pub last_seen_us: i64,
}

impl SeriesFold {
    /// Takes a judged bucket.
    pub(super) fn take(
        &mut self,
        project: u32,
        rule: &AlertRule,
        series: &Series,
        judged: Judged,
    ) -> Vec<Transition> {
        let mut transitions: Vec<_> = self.step(project, rule, series, &judged).into_iter().collect();
        if judged.volume > 0.0 {
            self.last_seen_us = judged.to_us;
        }
        transitions.extend(self.compare(&judged));
        self.recent.push_back(judged);
        if self.recent.len() > KEPT {
            self.recent.pop_front();
        }
        transitions
    }

    /// Where it stands, without what it remembers.
    pub(super) fn standing(&self) -> Self {
        let (phase, over, trial) = (self.phase.clone(), self.over.clone(), self.trial.clone());
        Self { phase, over, trial, ..Self::default() }
    }

    /// Where a judged bucket takes it.
    pub(super) fn step(
        &mut self,
        project: u32,
        rule: &AlertRule,
        series: &Series,
        judged: &Judged,
    ) -> Option<Transition> {
        match judged.finding {
            Finding::Problem => self.problem(project, rule, series, judged),
            Finding::Fine => self.fine(rule, judged),
            Finding::Changed => self.resolve(judged.to_us, Some(judged.clone())),
            // Nothing can be said, so nothing changes.
            Finding::Learning | Finding::TooLittle | Finding::Late | Finding::Missing | Finding::Down => None,
        }
    }

    fn problem(
        &mut self,
        project: u32,
        rule: &AlertRule,
        series: &Series,
        judged: &Judged,
    ) -> Option<Transition> {
        let (from_us, buckets) = match &mut self.phase {
            Phase::Open(open) => return open.again(judged),
            Phase::Quiet => (judged.from_us, 1),
            Phase::Pending { from_us, buckets } => (*from_us, *buckets + 1),
        };
        self.phase = Phase::Pending { from_us, buckets };
        if buckets < rule.for_buckets() {
            return None;
        }
        self.open(project, rule, series, from_us, judged)
    }

    fn open(
        &mut self,
        project: u32,
        rule: &AlertRule,
        series: &Series,
        from_us: i64,
        judged: &Judged,
    ) -> Option<Transition> {
        let again = self.falls_back(judged.to_us);
        if again.is_none()
            && self.over.as_ref().is_some_and(|over| judged.to_us - over.at_us < rule.cooldown_us)
        {
            return None; // Still pending: told once the cooldown is over, if it lasts.
        }
        let kind = if again.is_some() { TransitionKind::Reopened } else { TransitionKind::Opened };
        let new = || IncidentName {
            id: incident_id(project, &rule.id, series, from_us),
            rule: rule.id.clone(),
            series: series.clone(),
            from_us,
            severity: rule.severity,
        };
        let open = Open {
            name: again.unwrap_or_else(new),
            told: judged.clone(),
            fine: 0,
            acknowledged: false,
            muted_until_us: 0,
        };
        let transition = open.told(kind, judged);
        self.phase = Phase::Open(Box::new(open));
        Some(transition)
    }

    /// The incident that is the same one again: something was done against it not long ago.
    fn falls_back(&self, now_us: i64) -> Option<IncidentName> {
        let trial = self.trial.as_ref().filter(|trial| now_us - trial.acted_us < FALLS_BACK_US)?;
        self.over.as_ref().map(|over| &over.name).filter(|name| name.id == trial.incident).cloned()
    }

    fn fine(&mut self, rule: &AlertRule, judged: &Judged) -> Option<Transition> {
        match &mut self.phase {
            Phase::Quiet => None,
            Phase::Pending { .. } => {
                self.phase = Phase::Quiet;
                None
            }
            Phase::Open(open) => {
                open.fine += 1;
                let over = open.fine >= rule.for_buckets();
                over.then(|| self.resolve(judged.to_us, Some(judged.clone()))).flatten()
            }
        }
    }

    /// Ends the incident, if there is one.
    pub(super) fn resolve(&mut self, at_us: i64, judged: Option<Judged>) -> Option<Transition> {
        let Phase::Open(open) = std::mem::take(&mut self.phase) else { return None };
        let quiet = open.is_muted(at_us);
        self.over = Some(Over { name: open.name.clone(), at_us });
        Some(Transition { judged, ..said(open.name, TransitionKind::Resolved, at_us, quiet) })
    }

    /// The open incident.
    pub fn incident(&self) -> Option<&Open> {
        if let Phase::Open(open) = &self.phase { Some(open) } else { None }
    }

    pub(super) fn incident_mut(&mut self) -> Option<&mut Open> {
        if let Phase::Open(open) = &mut self.phase { Some(open) } else { None }
    }

    /// Begins to compare what was before an action with what comes after it.
    pub(super) fn act(&mut self, incident: &str, acted_us: i64, kind: SeriesKind) {
        self.trial = Some(Trial::new(incident, acted_us, kind, &self.recent));
    }

    fn compare(&mut self, judged: &Judged) -> Option<Transition> {
        let trial = self.trial.as_mut()?;
        let words = trial.step(judged)?;
        let incident = trial.incident.clone();
        let open = self.incident().map(|open| &open.name);
        let name = open.or(self.over.as_ref().map(|over| &over.name)).filter(|name| name.id == incident)?;
        let said = said(name.clone(), TransitionKind::Compared, judged.to_us, true);
        Some(Transition { detail: Some(Detail::Comparison(words)), judged: Some(judged.clone()), ..said })
    }
}

impl Open {
    /// The problem goes on: told again only if it is clearly worse.
    fn again(&mut self, judged: &Judged) -> Option<Transition> {
        self.fine = 0;
        if !judged.is_clearly_worse_than(&self.told) {
            return None;
        }
        self.told = judged.clone();
        Some(self.told(TransitionKind::Escalated, judged))
    }

    fn told(&self, kind: TransitionKind, judged: &Judged) -> Transition {
        let at_us = judged.to_us;
        Transition {
            judged: Some(judged.clone()),
            ..said(self.name.clone(), kind, at_us, self.is_muted(at_us))
        }
    }

    /// Whether nobody is told at a moment.
    pub(super) fn is_muted(&self, at_us: i64) -> bool {
        at_us < self.muted_until_us
    }
}

/// A transition with nothing but its name.
pub(super) fn said(incident: IncidentName, kind: TransitionKind, at_us: i64, quiet: bool) -> Transition {
    Transition { incident, kind, at_us, judged: None, by: None, detail: None, quiet }
}

/// The id of the incident that began then.
pub(super) fn incident_id(project: u32, rule: &str, series: &Series, from_us: i64) -> String {
    let name = format!("{project}\0{rule}\0{series:?}\0{from_us}");
    format!("{:016x}", xxh3_64(name.as_bytes()))
}
