//! A line that stands still: the same number again and again.

use crate::anomaly::math::ln;

/// The gain of the share of buckets that repeat the one before.
const GAIN: f64 = 0.002;
/// What that share is taken for at first, and how many buckets that is worth.
const REPEATS: f64 = 0.05;
const WORTH: f64 = 2.0;
/// A share is never taken for less: no series is known that well.
const LEAST: f64 = 1e-3;

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Flat {
    last: Option<f64>,
    repeated: bool,
    /// How often it was repeated in a row, and how surprising that was when it happened.
    run: f64,
    nats: f64,
    repeats: f64,
    seen: f64,
}

impl Flat {
    pub(super) fn new() -> Self {
        Self { last: None, repeated: false, run: 0.0, nats: 0.0, repeats: REPEATS, seen: 0.0 }
    }

    /// One more bucket; `chance` is how likely its kind repeats it.
    pub(super) fn hear(&mut self, value: f64, chance: f64) {
        self.repeated = self.last == Some(value);
        let (run, nats) = if self.repeated { (self.run, self.nats) } else { (-1.0, 0.0) };
        self.run = run + 1.0;
        self.nats = if self.repeated { nats - ln(self.repeats.max(chance)) } else { 0.0 };
        self.last = Some(value);
    }

    /// The surprise of the run, no higher than the repeats that were seen since make it.
    pub(super) fn nats(&self) -> f64 {
        self.nats.min(-ln(self.repeats) * self.run)
    }

    pub(super) fn teach(&mut self) {
        self.seen += 1.0;
        let gain = (1.0 / (self.seen + WORTH)).max(GAIN);
        self.repeats = (self.repeats + gain * (f64::from(self.repeated) - self.repeats)).max(LEAST);
    }

    pub(super) fn gap(&mut self) {
        self.last = None;
    }

    pub(super) fn is_sound(&self) -> bool {
        self.last.is_none_or(f64::is_finite)
            && self.run.is_finite()
            && self.nats.is_finite()
            && self.seen.is_finite()
            && (LEAST..=1.0).contains(&self.repeats)
    }
}
