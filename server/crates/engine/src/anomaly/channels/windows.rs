//! The means of the last buckets, and how much the series scatters now against how it usually does.

use crate::anomaly::math::ln;

/// The lengths of the windows in buckets, as exponential means: what lasts some buckets, and what lasts two dozen.
const SHORT: f64 = 6.0;
const LONG: f64 = 24.0;
const SPREAD: f64 = 12.0;
const USUAL_SPREAD: f64 = 500.0;
/// One bucket counts as at most so many standard deviations: a spike is the point channel's.
const CLIP: f64 = 4.0;
/// Spreads below this are all alike.
const LEAST: f64 = 0.02;

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Windows {
    short: f64,
    long: f64,
    spread: f64,
    usual: f64,
}

impl Windows {
    pub(super) fn new() -> Self {
        Self { short: 0.0, long: 0.0, spread: 1.0, usual: 1.0 }
    }

    /// One more bucket: its z against the forecast, and against the slow experts.
    pub(super) fn slide(&mut self, z: f64, slow_z: f64) {
        let distance = slow_z.clamp(-CLIP, CLIP);
        self.short += (distance - self.short) / SHORT;
        self.long += (distance - self.long) / LONG;
        let size = z.abs().min(CLIP);
        self.spread += (size - self.spread) / SPREAD;
        self.usual += (size - self.usual) / USUAL_SPREAD;
    }

    pub(super) fn means(&self) -> [f64; 2] {
        [self.short, self.long]
    }

    /// The logarithm of the spread against the usual one.
    pub(super) fn spread(&self) -> f64 {
        ln((self.spread + LEAST) / (self.usual + LEAST))
    }

    pub(super) fn calm(&mut self) {
        (self.short, self.long) = (0.0, 0.0);
    }

    pub(super) fn is_sound(&self) -> bool {
        let inside = |mean: &f64| (-CLIP..=CLIP).contains(mean);
        [self.short, self.long].iter().all(inside)
            && [self.spread, self.usual].iter().all(|size| (0.0..=CLIP).contains(size))
    }
}
