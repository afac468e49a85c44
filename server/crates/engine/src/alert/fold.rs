//! All rules of a project.

use std::collections::{BTreeMap, BTreeSet};

use footpath_model::alert::{Annotation, CountedRule, IncidentAct, IncidentChange, Observed, Series};
use footpath_model::control::Control;

use super::bucket::Around;
use super::rule::RuleFold;
use super::series::{Open, Phase, SeriesFold, said};
use super::silence::{ACTIVE_US, Brought, Silence};
use super::{Detail, IncidentName, Transition, TransitionKind};

/// What takes the place of a rule's id in incidents of the pipeline. No rule can have it: ids are lower case.
pub const PIPELINE: &str = "PIPELINE";

/// What a project's rules have come to.
#[derive(Debug, Clone)]
pub struct AlertFold {
    pub(super) project: u32,
    pub(super) rules: BTreeMap<String, RuleFold>,
    pub(super) annotations: BTreeMap<String, Annotation>,
    pub(super) silence: Silence,
    /// So many events are always missing: installs that will never send them.
    pub(super) usual_missing: f64,
    /// Open incidents whose rules are not there, for their definitions cannot be read: people can still close them.
    pub(super) unruled: Vec<Open>,
}

impl AlertFold {
    /// A project without rules.
    pub fn new(project: u32) -> Self {
        Self {
            project,
            rules: BTreeMap::new(),
            annotations: BTreeMap::new(),
            silence: Silence::default(),
            usual_missing: 0.0,
            unruled: Vec::new(),
        }
    }

    /// Its rules, by id.
    pub fn rules(&self) -> impl Iterator<Item = &RuleFold> {
        self.rules.values()
    }

    /// A rule.
    pub fn rule(&self, id: &str) -> Option<&RuleFold> {
        self.rules.get(id)
    }

    /// An annotation.
    pub fn annotation(&self, id: &str) -> Option<&Annotation> {
        self.annotations.get(id)
    }

    /// What happened to the project between two moments, by beginning.
    pub fn annotations(&self, from_us: i64, to_us: i64) -> Vec<&Annotation> {
        let mut found: Vec<_> =
            self.annotations.values().filter(|one| one.from_us < to_us && one.to_us >= from_us).collect();
        found.sort_by_key(|one| one.from_us);
        found
    }

    /// Series of a pipeline's incident.
    pub fn stopped(&self) -> impl Iterator<Item = &(String, Series)> {
        self.silence.stopped.iter()
    }

    /// Takes a record of `at_us`, the time it was received: what happened to incidents.
    pub fn apply(&mut self, at_us: i64, control: &Control) -> Vec<Transition> {
        match control {
            Control::PutRule(counted) => self.put(at_us, (**counted).clone()),
            Control::DeleteRule { id } => self.delete(at_us, id),
            Control::MuteRule { id, until_us, .. } => {
                self.rules.get_mut(id).into_iter().for_each(|rule| rule.muted_until_us = *until_us);
                Vec::new()
            }
            Control::Observed { rules } => self.observe(rules),
            Control::Learned(learned) => {
                let Self { rules, annotations, .. } = self;
                let special = |us| is_special(annotations, us);
                rules.get_mut(&learned.rule).into_iter().for_each(|rule| rule.learn(&special, learned));
                Vec::new()
            }
            Control::Incident(change) => self.change(at_us, change).into_iter().collect(),
            Control::Annotate(annotation) => {
                self.annotations.insert(annotation.id.clone(), (**annotation).clone());
                Vec::new()
            }
            Control::DeleteAnnotation { id } => {
                self.annotations.remove(id);
                Vec::new()
            }
            Control::Several { changes } => {
                changes.iter().flat_map(|change| self.apply(at_us, change)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// A changed rule goes on where it counts the same; else what was learned means nothing any more.
    pub(super) fn put(&mut self, at_us: i64, counted: CountedRule) -> Vec<Transition> {
        let id = counted.definition.id.clone();
        let Some(old) = self.rules.remove(&id) else {
            self.rules.insert(id.clone(), RuleFold::new(counted));
            self.adopt(&id);
            return Vec::new();
        };
        let (disabled, goes_on, muted_until_us) =
            (counted.definition.disabled, old.goes_on(&counted), old.muted_until_us);
        let mut new = old.with(counted);
        let mut ended = Vec::new();
        if disabled || !goes_on {
            let why =
                if goes_on { "the rule was switched off" } else { "the rule counts something else now" };
            let pipeline = self.release(at_us, &id, why);
            let over = new.series.values_mut().filter_map(|series| series.resolve(at_us, None));
            ended = over.map(|one| because(why, one)).chain(pipeline).collect();
        }
        if !goes_on {
            new = RuleFold::new(new.counted);
            new.muted_until_us = muted_until_us;
        }
        self.rules.insert(id, new);
        ended
    }

    fn delete(&mut self, at_us: i64, id: &str) -> Vec<Transition> {
        let Some(rule) = self.rules.remove(id) else { return Vec::new() };
        let why = "the rule was deleted";
        let pipeline = self.release(at_us, id, why);
        let ended = rule.series.into_values().filter_map(|mut series| series.resolve(at_us, None));
        ended.map(|one| because(why, one)).chain(pipeline).collect()
    }

    /// The rule's series are no part of the pipeline's incident any more; it is over if no other's are.
    fn release(&mut self, at_us: i64, rule: &str, why: &str) -> Option<Transition> {
        self.silence.stopped.retain(|(of, _)| of != rule);
        let over = self.silence.stopped.is_empty().then(|| self.silence.close(at_us)).flatten();
        over.map(|one| because(why, one))
    }

    fn observe(&mut self, observed: &[Observed]) -> Vec<Transition> {
        let Some(at_us) = observed.iter().map(|one| one.to_us).max() else { return Vec::new() };
        let active = self.active(at_us);
        let mut transitions = Vec::new();
        for one in observed {
            let around = self.around(one);
            if let Some(rule) = self.rules.get_mut(&one.rule) {
                transitions.extend(rule.observe(around, one));
            }
        }
        self.grow_used_to(observed);
        let back = back(observed);
        let brought = Brought { project: self.project, transitions, active, back, at_us };
        let (told, held) = self.silence.take(brought);
        held.iter().for_each(|(rule, series)| self.hold(rule, series));
        told
    }

    /// The incidents of series that begin with these records, by all that is known now: of each rule its first bucket counts.
    pub fn look_ahead(&self, observed: &[Observed]) -> Vec<Transition> {
        let Some(at_us) = observed.iter().map(|one| one.to_us).max() else { return Vec::new() };
        let (mut transitions, mut seen) = (Vec::new(), BTreeSet::new());
        for one in observed.iter().filter(|one| seen.insert(&one.rule)) {
            let rule = self.rules.get(&one.rule).into_iter();
            transitions.extend(rule.flat_map(|rule| rule.look_ahead(self.around(one), one)));
        }
        let (active, back) = (self.active(at_us), back(observed));
        let brought = Brought { project: self.project, transitions, active, back, at_us };
        let (mut told, _) = self.silence.clone().take(brought);
        let begins = |kind| matches!(kind, TransitionKind::Opened | TransitionKind::Reopened);
        told.retain(|one| begins(one.kind) && one.incident.rule != PIPELINE);
        told
    }

    /// How many series had something in them of late.
    fn active(&self, at_us: i64) -> usize {
        self.rules.values().map(|rule| rule.active_since(at_us - ACTIVE_US)).sum()
    }

    /// Events that have been missing for an hour are not on their way.
    fn grow_used_to(&mut self, observed: &[Observed]) {
        const SHARE: f64 = 1.0 / 60.0;
        let Some(last) = observed.last() else { return };
        let missing = last.complete.missing as f64;
        let minutes = (last.to_us - last.from_us) as f64 / 60e6;
        let more = (missing - self.usual_missing) * (SHARE * minutes).min(1.0);
        self.usual_missing = (self.usual_missing + more).min(missing);
    }

    /// Puts a series back to where it was before its incident, which is part of the pipeline's.
    fn hold(&mut self, rule: &str, series: &Series) {
        let Some(rule) = self.rules.get_mut(rule) else { return };
        let buckets = rule.counted.definition.for_buckets();
        let Some(fold) = rule.series.get_mut(series) else { return };
        if let Phase::Open(open) = &fold.phase {
            fold.phase = Phase::Pending { from_us: open.name.from_us, buckets };
        }
    }

    fn change(&mut self, at_us: i64, change: &IncidentChange) -> Option<Transition> {
        let IncidentChange { incident, rule, series, from_us, severity, by, act } = change;
        let name = IncidentName {
            id: incident.clone(),
            rule: rule.clone(),
            series: series.clone(),
            from_us: *from_us,
            severity: *severity,
        };
        let open = self.open_mut(rule, series).filter(|open| open.name.id == *incident);
        let quiet = open.as_ref().is_some_and(|open| open.is_muted(at_us));
        let told = |kind, detail| {
            let said = said(name, kind, at_us, quiet);
            Some(Transition { by: Some(by.clone()), detail, ..said })
        };
        match act {
            IncidentAct::Acknowledge {} => {
                open.filter(|open| !open.acknowledged)?.acknowledged = true;
                told(TransitionKind::Acknowledged, None)
            }
            IncidentAct::Resolve {} => {
                open?;
                self.resolve(at_us, rule, series);
                told(TransitionKind::Resolved, None)
            }
            IncidentAct::Mute { until_us } => {
                open?.muted_until_us = *until_us;
                told(TransitionKind::Muted, Some(Detail::MutedUntil(*until_us)))
            }
            IncidentAct::Comment { text } => {
                told(TransitionKind::Commented, Some(Detail::Comment(text.clone())))
            }
            IncidentAct::Assign { owner } => {
                told(TransitionKind::Assigned, Some(Detail::Owner(owner.clone())))
            }
            IncidentAct::Action { text, at_us: acted_us } => {
                if let Some(rule) = self.rules.get_mut(rule) {
                    let kind = rule.kind();
                    let series = rule.series.get_mut(series).into_iter();
                    series.for_each(|series| series.act(incident, *acted_us, kind));
                }
                let told = told(TransitionKind::Acted, Some(Detail::Action(text.clone())));
                told.map(|told| Transition { at_us: *acted_us, ..told })
            }
        }
    }

    pub(super) fn open_mut(&mut self, rule: &str, series: &Series) -> Option<&mut Open> {
        match rule {
            PIPELINE => self.silence.open.as_deref_mut(),
            _ if !self.rules.contains_key(rule) => {
                self.unruled.iter_mut().find(|open| (open.name.rule == rule) && open.name.series == *series)
            }
            _ => self.rules.get_mut(rule)?.series.get_mut(series)?.incident_mut(),
        }
    }

    pub(super) fn resolve(&mut self, at_us: i64, rule: &str, series: &Series) {
        if rule == PIPELINE {
            // What stopped begins anew, or the next bucket would open the same incident again.
            for (rule, series) in std::mem::take(&mut self.silence.stopped) {
                let held = self.series_mut(&rule, &series);
                held.into_iter().for_each(|held| held.phase = Phase::Quiet);
            }
            self.silence.close(at_us);
        } else if let Some(fold) = self.series_mut(rule, series) {
            fold.resolve(at_us, None);
        } else {
            self.unruled.retain(|open| open.name.rule != rule || open.name.series != *series);
        }
    }

    pub(super) fn series_mut(&mut self, rule: &str, series: &Series) -> Option<&mut SeriesFold> {
        self.rules.get_mut(rule)?.series.get_mut(series)
    }

    fn around(&self, observed: &Observed) -> Around {
        let special = is_special(&self.annotations, observed.from_us);
        Around { project: self.project, usual_missing: self.usual_missing, special }
    }

    /// All open incidents.
    pub fn open(&self) -> Vec<&Open> {
        let of_series =
            self.rules.values().flat_map(|rule| rule.series.values().filter_map(SeriesFold::incident));
        of_series.chain(self.silence.open.as_deref()).chain(&self.unruled).collect()
    }
}

/// The series that have something in them.
fn back(observed: &[Observed]) -> BTreeSet<(String, Series)> {
    let of = |one: &Observed| {
        let something = one.series.iter().filter(|reading| reading.volume > 0.0);
        something.map(|reading| (one.rule.clone(), reading.series.clone())).collect::<Vec<_>>()
    };
    observed.iter().flat_map(of).collect()
}

fn because(why: &str, transition: Transition) -> Transition {
    Transition { detail: Some(Detail::Why(why.to_owned())), ..transition }
}

fn is_special(annotations: &BTreeMap<String, Annotation>, us: i64) -> bool {
    annotations.values().any(|one| one.special && (one.from_us..=one.to_us).contains(&us))
}
