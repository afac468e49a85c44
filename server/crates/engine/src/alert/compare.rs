//! What something that was done against an incident changed: the numbers before and after, compared by themselves.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::judge::{Finding, Judged, is_high};
use crate::anomaly::SeriesKind;
use crate::comparison::{Bucket, Compared, Comparison, Effect, Nature, Wrong, compare};

/// After so many buckets it is told what the comparison says, clear or not.
const TOLD_AT: usize = 30;
/// Fewer buckets on a side say nothing.
const LEAST: usize = 2;

/// An action, and the numbers around it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Trial {
    /// The incident.
    pub incident: String,
    /// When it was done, microseconds since 1970.
    pub acted_us: i64,
    kind: SeriesKind,
    /// It was too high, not too low.
    high: bool,
    width_us: i64,
    /// Buckets before it: beginning, number, what it is made of.
    before: Vec<(i64, f64, f64)>,
    after: Vec<(i64, f64, f64)>,
    told: bool,
}

impl Trial {
    /// Looks back at the buckets that were problems before the action; of fewer than two, at all that are known.
    pub(super) fn new(incident: &str, acted_us: i64, kind: SeriesKind, recent: &VecDeque<Judged>) -> Self {
        let known = || recent.iter().filter(|judged| judged.to_us <= acted_us);
        let bad: Vec<_> = known().filter(|judged| judged.finding == Finding::Problem).collect();
        let last = bad.last().copied().or(recent.back());
        let high = last.is_some_and(is_high);
        let width_us = last.map_or(1, |judged| (judged.to_us - judged.from_us).max(1));
        let before = if bad.len() >= LEAST { bad } else { known().collect() };
        let mut trial = Self {
            incident: incident.to_owned(),
            acted_us,
            kind,
            high,
            width_us,
            before: before.into_iter().filter_map(numbers).collect(),
            after: Vec::new(),
            told: false,
        };
        // It may be noted later than it was done.
        let since = recent.iter().filter(|judged| judged.from_us >= acted_us);
        trial.after.extend(since.filter_map(numbers));
        trial
    }

    /// Takes the newest bucket; once there is something to tell, says it in words.
    pub(super) fn step(&mut self, newest: &Judged) -> Option<String> {
        if self.told || newest.from_us < self.acted_us {
            return None;
        }
        self.after.extend(numbers(newest));
        let Some(comparison) = self.compare() else {
            // There is nothing to compare with, and there never will be.
            self.told = self.after.len() >= TOLD_AT;
            return None;
        };
        let is_clear = comparison.low.signum() == comparison.high.signum()
            && comparison.effect == Effect::Difference
            || comparison.effect == Effect::Ratio && (comparison.low > 1.0 || comparison.high < 1.0);
        // A few buckets that agree by chance are not yet clear.
        let enough = self.after.len() >= TOLD_AT || (is_clear && self.after.len() >= TOLD_AT / 3);
        self.told = enough;
        enough.then(|| words(&comparison))
    }

    fn nature(&self) -> Nature {
        match self.kind {
            SeriesKind::Count => Nature::Count,
            SeriesKind::Ratio => Nature::Share,
            SeriesKind::Rate => Nature::Quotient,
            SeriesKind::Value => Nature::Value,
        }
    }

    fn compare(&self) -> Option<Comparison> {
        let nature = self.nature();
        let bucket = |(start_us, value, volume): &(i64, f64, f64)| match nature {
            Nature::Share | Nature::Quotient => {
                Bucket { start_us: *start_us, above: value * volume, below: *volume }
            }
            Nature::Count | Nature::Value => Bucket { start_us: *start_us, above: *value, below: *volume },
        };
        let (before, after): (Vec<_>, Vec<_>) =
            (self.before.iter().map(bucket).collect(), self.after.iter().map(bucket).collect());
        let wrong = if self.high { Wrong::High } else { Wrong::Low };
        compare(&Compared { nature, wrong, width_us: self.width_us, before: &before, after: &after })
    }
}

/// A bucket's number, if it can be compared.
fn numbers(judged: &Judged) -> Option<(i64, f64, f64)> {
    let complete = !matches!(judged.finding, Finding::Late | Finding::Missing | Finding::Down);
    judged.value.filter(|_| complete).map(|value| (judged.from_us, value, judged.volume))
}

/// What a comparison says, with its uncertainty.
fn words(comparison: &Comparison) -> String {
    let Comparison { effect, estimate, low, high, before, after, verdict, .. } = comparison;
    let change = match effect {
        Effect::Ratio => {
            let percent = |ratio: &f64| (ratio - 1.0) * 100.0;
            format!("{:+.0} % ({:+.0} to {:+.0} %)", percent(estimate), percent(low), percent(high))
        }
        Effect::Difference => format!("{estimate:+.3} ({low:+.3} to {high:+.3})"),
    };
    let more =
        comparison.more_buckets.map(|more| format!("; clear after about {more} more")).unwrap_or_default();
    format!("{verdict}: {change} with 95 % confidence, {after} buckets after against {before} before{more}")
}
