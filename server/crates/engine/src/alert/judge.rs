//! What one bucket of one series means to a rule.

use footpath_model::alert::{Completeness, Reading};
use footpath_model::definition::{AlertCondition, AlertRule};
use serde::{Deserialize, Serialize};

use crate::anomaly::{Channel, SeriesKind, State, Verdict};

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// Nothing wrong.
    Fine,
    /// A problem.
    Problem,
    /// The rule does not know enough of the series yet.
    Learning,
    /// The bucket is made of too little, or there is no number to compare with.
    TooLittle,
    /// Events are known to be on their way: numbers that are too low may only be late.
    Late,
    /// No event of the project came at all: this is about the pipeline, not about the series.
    Missing,
    /// The server did not run all the time.
    Down,
    /// The level changed for good, and is the usual one now.
    Changed,
}

/// A bucket of a series, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The bucket's beginning, microseconds since 1970.
    pub from_us: i64,
    /// Its end.
    pub to_us: i64,
    /// What was found.
    pub finding: Finding,
    /// The number, if there is one.
    pub value: Option<f64>,
    /// What it is made of.
    pub volume: f64,
    /// What was expected: the baseline, the number compared with, or the bound that was crossed.
    pub expected: Option<f64>,
    /// From here on it is usual, or allowed.
    pub low: Option<f64>,
    /// Up to here it is usual, or allowed.
    pub high: Option<f64>,
    /// Of anomalies: how likely such a bucket is when nothing is wrong.
    pub p_value: Option<f64>,
    /// Of anomalies: which of the detector's channels spoke.
    pub channel: Option<Channel>,
}

impl Judged {
    /// Whether the band is what the past lets expect; else it is a bound that somebody set.
    pub fn is_learned(&self) -> bool {
        self.p_value.is_some()
    }

    /// How far the number is from what was expected; without a number, or of what was expected, 0.
    pub fn effect(&self) -> f64 {
        match (self.value, self.expected) {
            (Some(value), Some(expected)) => (value - expected).abs(),
            _ => 0.0,
        }
    }

    /// Whether this is clearly worse than what was told: at least twice as far off to the same side, and the number itself a quarter of its size away.
    pub fn is_clearly_worse_than(&self, told: &Self) -> bool {
        let (Some(value), Some(before)) = (self.value, told.value) else { return false };
        let size = before.abs().max(told.expected.unwrap_or_default().abs());
        let farther = self.effect() >= 2.0 * told.effect() && self.effect() > 0.0;
        farther && is_high(self) == is_high(told) && (value - before).abs() >= 0.25 * size
    }
}

/// Judges a reading. `verdict` is the detector's, of rules about anomalies.
pub(super) fn judge(
    rule: &AlertRule,
    kind: SeriesKind,
    bucket: (i64, i64),
    reading: &Reading,
    known: Option<Finding>,
    verdict: Option<&Verdict>,
) -> Judged {
    let mut judged = Judged {
        from_us: bucket.0,
        to_us: bucket.1,
        finding: Finding::Fine,
        value: reading.value,
        volume: reading.volume,
        expected: None,
        low: None,
        high: None,
        p_value: None,
        channel: None,
    };
    let Some(value) = reading.value else {
        let none = if matches!(rule.when, AlertCondition::NoData {}) {
            Finding::Problem
        } else {
            Finding::TooLittle
        };
        judged.finding = known.unwrap_or(none);
        return judged;
    };
    let bad = match &rule.when {
        AlertCondition::Threshold { above, below } => threshold(&mut judged, value, *above, *below),
        AlertCondition::Change { up_percent, down_percent, .. } => {
            change(&mut judged, value, reading.base, *up_percent, *down_percent)
        }
        AlertCondition::Anomaly { .. } => {
            verdict.map_or(Finding::Learning, |verdict| anomaly(&mut judged, verdict))
        }
        AlertCondition::NoData {} if reading.volume <= 0.0 => Finding::Problem,
        AlertCondition::NoData {} => Finding::Fine,
    };
    judged.finding = match (known, bad) {
        // What is known to be incomplete can only be too low; what is too high already stays so.
        (Some(Finding::Late), Finding::Problem) if is_high(&judged) => Finding::Problem,
        (Some(known), _) => known,
        (None, Finding::Problem) if !is_large(rule, &judged) => Finding::Fine,
        (None, Finding::Problem | Finding::Fine) if !is_enough(rule, kind, &judged) => Finding::TooLittle,
        (None, bad) => bad,
    };
    judged
}

/// What is known of a bucket before its number is looked at: `usual_missing` events have been missing for long.
pub(super) fn known(complete: &Completeness, usual_missing: f64) -> Option<Finding> {
    /// From this share of a bucket's events on, events that are on their way are worth waiting for.
    const LATE_SHARE: f64 = 0.05;
    let on_their_way = complete.missing as f64 - usual_missing;
    if complete.down {
        Some(Finding::Down)
    } else if on_their_way >= 1.0 && on_their_way >= LATE_SHARE * complete.events as f64 {
        Some(Finding::Late)
    } else if complete.events == 0 {
        Some(Finding::Missing)
    } else {
        None
    }
}

fn threshold(judged: &mut Judged, value: f64, above: Option<f64>, below: Option<f64>) -> Finding {
    (judged.low, judged.high) = (below, above);
    let crossed = above.filter(|above| value > *above).or(below.filter(|below| value < *below));
    judged.expected = crossed.or(above).or(below);
    if crossed.is_some() { Finding::Problem } else { Finding::Fine }
}

fn change(judged: &mut Judged, value: f64, base: Option<f64>, up: Option<f64>, down: Option<f64>) -> Finding {
    let Some(base) = base.filter(|base| *base != 0.0) else { return Finding::TooLittle };
    judged.expected = Some(base);
    judged.high = up.map(|up| base + base.abs() * up / 100.0);
    judged.low = down.map(|down| base - base.abs() * down / 100.0);
    let up = judged.high.is_some_and(|high| value >= high);
    let down = judged.low.is_some_and(|low| value <= low);
    if up || down { Finding::Problem } else { Finding::Fine }
}

fn anomaly(judged: &mut Judged, verdict: &Verdict) -> Finding {
    (judged.expected, judged.low, judged.high) =
        (Some(verdict.expected), Some(verdict.low), Some(verdict.high));
    (judged.p_value, judged.channel) = (Some(verdict.p_value), verdict.channel);
    match verdict.state {
        State::Learning { .. } => Finding::Learning,
        State::Normal => Finding::Fine,
        State::Anomalous => Finding::Problem,
        State::Changed => Finding::Changed,
    }
}

/// Whether the number is above what was expected.
pub(super) fn is_high(judged: &Judged) -> bool {
    judged.value.zip(judged.expected).is_some_and(|(value, expected)| value > expected)
}

fn is_large(rule: &AlertRule, judged: &Judged) -> bool {
    if matches!(rule.when, AlertCondition::NoData {}) {
        return true;
    }
    let relative = rule.min_effect_percent / 100.0 * judged.expected.unwrap_or_default().abs();
    judged.effect() >= rule.min_effect && judged.effect() >= relative
}

/// Of counts it is enough that much was expected: nothing where there should be much is a problem.
fn is_enough(rule: &AlertRule, kind: SeriesKind, judged: &Judged) -> bool {
    if matches!(rule.when, AlertCondition::NoData {}) {
        return true;
    }
    let expected = if kind == SeriesKind::Count { judged.expected.unwrap_or_default() } else { 0.0 };
    judged.volume.max(expected) >= rule.min_volume as f64
}
