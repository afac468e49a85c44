//! Open incidents as they are known from elsewhere.
//!
//! The same records do not always come to the same: another version of the program may judge them by another law, or a rule may know
//! less than it did when they came. What people and receivers were told holds, so that rules go on from there.

use std::collections::BTreeSet;

use footpath_model::alert::Series;

use super::fold::AlertFold;
use super::series::{Open, Over, Phase, SeriesFold};
use super::{IncidentName, PIPELINE};

/// An incident that is known to be open.
#[derive(Debug, Clone)]
pub struct Known {
    /// The incident.
    pub open: Open,
    /// The series of the pipeline's.
    pub stopped: Vec<(String, Series)>,
}

impl AlertFold {
    /// Makes the open incidents these: goes on with those that are not open here, and drops those that are not known. Of one that is over
    /// `over_us` says since when, microseconds since 1970; of one that never was it says nothing.
    pub fn agree(&mut self, known: Vec<Known>, over_us: impl Fn(&str) -> Option<i64>) {
        let ids: BTreeSet<_> = known.iter().map(|known| known.open.name.id.clone()).collect();
        let here: Vec<_> = self.open().into_iter().map(|open| open.name.clone()).collect();
        for name in here.into_iter().filter(|name| !ids.contains(&name.id)) {
            self.drop_open(&name, over_us(&name.id));
        }
        known.into_iter().for_each(|known| self.go_on(known));
    }

    fn drop_open(&mut self, name: &IncidentName, over_us: Option<i64>) {
        self.resolve(over_us.unwrap_or_default(), &name.rule, &name.series);
        if let Some(series) = self.series_mut(&name.rule, &name.series) {
            series.over = over_us.map(|at_us| Over { name: name.clone(), at_us });
        }
    }

    fn go_on(&mut self, Known { open, stopped }: Known) {
        let IncidentName { id, rule, series, .. } = &open.name;
        if let Some(here) = self.open_mut(rule, series).filter(|here| here.name.id == *id) {
            (here.acknowledged, here.muted_until_us) = (open.acknowledged, open.muted_until_us);
        } else if rule == PIPELINE {
            self.silence.stopped.extend(stopped);
            self.silence.open = Some(Box::new(open));
        } else if let Some(rule) = self.rules.get_mut(rule) {
            let detector = rule.detector();
            let series = rule.series.entry(series.clone());
            let series = series.or_insert_with(|| SeriesFold { detector, ..SeriesFold::default() });
            series.phase = Phase::Open(Box::new(open));
        } else {
            self.unruled.push(open);
        }
    }

    /// A rule that is there again goes on with its incidents.
    pub(super) fn adopt(&mut self, rule: &str) {
        let (its, others) =
            std::mem::take(&mut self.unruled).into_iter().partition(|open| open.name.rule == rule);
        self.unruled = others;
        let its: Vec<Open> = its;
        its.into_iter().for_each(|open| self.go_on(Known { open, stopped: Vec::new() }));
    }
}
