//! The scale that forecasts are made on.
//!
//! Counts and ratios stay as they are, for their likelihoods want means. Values become `sign(x) ln(1 + |x| / unit)`: a logarithm as far as a number
//! is large against the unit, and still defined for zero and for negative numbers.

use super::math::{exp, ln};
use super::series::SeriesKind;

/// How many numbers choose the unit of a series of values.
const CHOOSING: usize = 16;
/// No unit is smaller, so that no number overflows in it.
const LEAST: f64 = 1e-30;
/// Beyond it the inverse would overflow.
const MOST: f64 = 700.0;

/// A series' scale; for values the unit is the median size of the first numbers that are not zero, and then stays.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Scale {
    kind: SeriesKind,
    /// 0 until it is chosen.
    unit: f64,
}

impl Scale {
    pub(super) fn new(kind: SeriesKind) -> Self {
        Self { kind, unit: if kind == SeriesKind::Value { 0.0 } else { 1.0 } }
    }

    pub(super) fn is_chosen(&self) -> bool {
        self.unit > 0.0
    }

    /// Chooses the unit from the first numbers of a series, when they are enough.
    pub(super) fn choose(&mut self, numbers: impl ExactSizeIterator<Item = f64>) -> bool {
        if numbers.len() < CHOOSING {
            return false;
        }
        let mut sizes: Vec<f64> = numbers.map(f64::abs).filter(|size| *size > 0.0).collect();
        sizes.sort_by(f64::total_cmp);
        self.unit = sizes.get(sizes.len() / 2).map_or(1.0, |median| median.max(LEAST));
        true
    }

    pub(super) fn work(&self, x: f64) -> f64 {
        match self.kind {
            SeriesKind::Value => ln(1.0 + x.abs() / self.unit).copysign(x),
            SeriesKind::Count => x.max(0.0),
            SeriesKind::Ratio => x.clamp(0.0, 1.0),
        }
    }

    pub(super) fn back(&self, w: f64) -> f64 {
        match self.kind {
            SeriesKind::Value => ((exp(w.abs().min(MOST)) - 1.0) * self.unit).min(f64::MAX).copysign(w),
            SeriesKind::Count => w.max(0.0),
            SeriesKind::Ratio => w.clamp(0.0, 1.0),
        }
    }

    pub(super) fn is_sound(&self, kind: SeriesKind) -> bool {
        self.kind == kind && self.unit >= 0.0 && self.unit.is_finite()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_either_sign_come_back() {
        let mut scale = Scale::new(SeriesKind::Value);
        assert!(!scale.choose([1.0].into_iter()));
        assert!(
            scale.choose([0.0; 13].into_iter().chain([-5.0, 20.0, 1000.0]).collect::<Vec<_>>().into_iter())
        );
        for x in [0.0, 1e-9, 20.0, -20.0, 1e12, -1e300] {
            assert!((scale.back(scale.work(x)) - x).abs() <= 1e-9 * x.abs() + 1e-12, "{x}");
        }
    }
}
