//! One bucket of a rule, ready to be judged series by series.

use std::collections::BTreeMap;

use footpath_model::alert::{Completeness, Observed, Reading, Series};
use footpath_model::definition::AlertRule;

use super::judge::{Finding, Judged, judge, known};
use super::rule::RuleFold;
use crate::anomaly::{Detector, Point, SeriesKind, Verdict};

/// What a rule has to know of its project to judge a bucket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around {
    pub project: u32,
    pub usual_missing: f64,
    /// Somebody said that the day is special.
    pub special: bool,
}

/// Which bucket, and what is the same for all of its series.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Frame {
    from_us: i64,
    to_us: i64,
    local_us: i64,
    known: Option<Finding>,
    special: bool,
}

/// A record of a rule, ready to be judged series by series.
pub(super) struct Bucket<'a> {
    pub rule: AlertRule,
    kind: SeriesKind,
    frame: Frame,
    empty: Reading,
    readings: BTreeMap<&'a Series, &'a Reading>,
}

impl<'a> Bucket<'a> {
    pub fn new(fold: &RuleFold, around: Around, observed: &'a Observed) -> Self {
        let Observed { from_us, to_us, local_us, .. } = *observed;
        let known = known(&observed.complete, around.usual_missing);
        Self {
            rule: fold.rule().clone(),
            kind: fold.kind(),
            frame: Frame { from_us, to_us, local_us, known, special: around.special },
            empty: empty(fold, &observed.complete),
            readings: observed.series.iter().map(|one| (&one.series, one)).collect(),
        }
    }

    fn reading(&self, series: &Series) -> &Reading {
        self.readings.get(series).copied().unwrap_or(&self.empty)
    }

    /// Judges a series; its detector learns from it.
    pub fn judge(&self, series: &Series, detector: Option<&mut Detector>) -> Judged {
        let Frame { from_us, to_us, local_us, known, special } = self.frame;
        let reading = self.reading(series);
        let point = point(from_us, local_us, reading, special);
        let verdict = detector.and_then(|detector| verdict(detector, from_us, point, known));
        judge(&self.rule, self.kind, (from_us, to_us), reading, known, verdict.as_ref())
    }
}

/// What a series has of which nothing was observed.
fn empty(fold: &RuleFold, complete: &Completeness) -> Reading {
    let zero = fold.zero_when_empty && !complete.down && complete.events > 0;
    Reading { value: zero.then_some(0.0), ..Reading::of(Series::Whole) }
}

/// A number as a detector takes it.
pub(super) fn point(start_us: i64, local_us: i64, reading: &Reading, annotated: bool) -> Option<Point> {
    reading.value.map(|value| Point { start_us, local_us, value, weight: reading.volume, annotated })
}

/// Shows a bucket to a detector; what is not known, or has no number, teaches nothing.
pub(super) fn verdict(
    detector: &mut Detector,
    start_us: i64,
    point: Option<Point>,
    known: Option<Finding>,
) -> Option<Verdict> {
    let late = known == Some(Finding::Late);
    let point = point.filter(|_| known.is_none() || late);
    if let Some(point) = point.filter(|_| !late) {
        return Some(detector.step(&point));
    }
    // What is late is looked at, for it may be too high already, and forgotten.
    let seen = point.map(|point| detector.clone().step(&point));
    detector.gap(start_us);
    seen
}
