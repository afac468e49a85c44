//! What a series' numbers are, and the scale that forecasts of them are made on.
//!
//! Counts and ratios stay as they are, for their likelihoods want means. Values become `sign(x) ln(1 + |x| / unit)`: a logarithm as far as a number
//! is large against the unit, and still defined for zero and for negative numbers.

use crate::anomaly::math::{exp, ln};
use crate::anomaly::series::SeriesKind;

/// How many numbers tell a rate's kind, and choose the unit of a series of values.
const CHOOSING: usize = 16;
/// No unit is smaller, so that no number overflows in it.
const LEAST: f64 = 1e-30;
/// Beyond it the inverse would overflow.
const MOST: f64 = 700.0;
/// A ratio with more than this share of its numbers above 1 was none; the share forgets with this gain.
const ABOVE: f64 = 0.1;
const GAIN: f64 = 0.02;

/// A series' kind and scale.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Nature {
    /// `Rate` until it is known of what kind it is.
    kind: SeriesKind,
    /// Of values the median size of the first numbers that are not zero, which then stays; 0 until it is chosen.
    unit: f64,
    /// The share of numbers that no ratio has.
    above: f64,
    /// Whether a number was below zero: else none is expected there.
    negative: bool,
}

impl Nature {
    pub(super) fn new(kind: SeriesKind) -> Self {
        let is_known = matches!(kind, SeriesKind::Count | SeriesKind::Ratio);
        Self { kind, unit: f64::from(is_known), above: 0.0, negative: false }
    }

    /// What it is taken for.
    pub(super) fn kind(&self) -> SeriesKind {
        self.kind
    }

    pub(super) fn is_known(&self) -> bool {
        self.unit > 0.0
    }

    /// What the first numbers of a series say that it is, when they are enough.
    pub(super) fn find(&self, numbers: &[f64]) -> Option<Self> {
        if numbers.len() < CHOOSING {
            return None;
        }
        if self.kind == SeriesKind::Rate && numbers.iter().all(|number| (0.0..=1.0).contains(number)) {
            return Some(Self::new(SeriesKind::Ratio));
        }
        let negative = numbers.iter().any(|number| *number < 0.0);
        let mut sizes: Vec<f64> =
            numbers.iter().map(|number| number.abs()).filter(|size| *size > 0.0).collect();
        sizes.sort_by(f64::total_cmp);
        let unit = sizes.get(sizes.len() / 2).map_or(1.0, |median| median.max(LEAST));
        Some(Self { kind: SeriesKind::Value, unit, above: 0.0, negative })
    }

    /// Looks at one more number. Whether so many of a ratio's are above 1 that it is none.
    pub(super) fn is_wrong(&mut self, number: f64) -> bool {
        self.negative |= number < 0.0;
        self.above += GAIN * (f64::from(self.kind == SeriesKind::Ratio && number > 1.0) - self.above);
        self.above > ABOVE
    }

    /// A number on the scale.
    pub(super) fn work(&self, x: f64) -> f64 {
        match self.kind {
            SeriesKind::Count => x.max(0.0),
            SeriesKind::Ratio => x.clamp(0.0, 1.0),
            SeriesKind::Rate | SeriesKind::Value => ln(1.0 + x.abs() / self.unit).copysign(x),
        }
    }

    /// The number at a place of the scale.
    pub(super) fn back(&self, w: f64) -> f64 {
        match self.kind {
            SeriesKind::Count => w.max(0.0),
            SeriesKind::Ratio => w.clamp(0.0, 1.0),
            SeriesKind::Rate | SeriesKind::Value if w < 0.0 && !self.negative => 0.0,
            SeriesKind::Rate | SeriesKind::Value => {
                ((exp(w.abs().min(MOST)) - 1.0) * self.unit).min(f64::MAX).copysign(w)
            }
        }
    }

    /// Whether it can be that of a series of such a kind.
    pub(super) fn is_sound(&self, kind: SeriesKind) -> bool {
        let fits = self.kind == kind || kind == SeriesKind::Rate && self.kind != SeriesKind::Count;
        fits && self.unit >= 0.0 && self.unit.is_finite() && (0.0..=1.0).contains(&self.above)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_either_sign_come_back() {
        let nature = Nature::new(SeriesKind::Value);
        assert!(nature.find(&[1.0]).is_none());
        let numbers = [0.0; 13].into_iter().chain([-5.0, 20.0, 1000.0]).collect::<Vec<_>>();
        let nature = nature.find(&numbers).unwrap();
        for x in [0.0, 1e-9, 20.0, -20.0, 1e12, -1e300] {
            assert!((nature.back(nature.work(x)) - x).abs() <= 1e-9 * x.abs() + 1e-12, "{x}");
        }
    }

    #[test]
    fn nothing_below_zero_is_expected_of_what_never_was_there() {
        let mut nature = Nature::new(SeriesKind::Value).find(&[3.0; 16]).unwrap();
        assert_eq!(nature.back(-0.5), 0.0);
        assert!(!nature.is_wrong(-1.0));
        assert!(nature.back(-0.5) < 0.0);
    }

    #[test]
    fn a_rate_is_a_ratio_until_too_many_numbers_are_above_one() {
        let rate = Nature::new(SeriesKind::Rate);
        assert_eq!(rate.find(&[1.5; 16]).unwrap().kind(), SeriesKind::Value);
        let mut ratio = rate.find(&[0.5; 16]).unwrap();
        assert_eq!(ratio.kind(), SeriesKind::Ratio);
        assert!(!(0..100).any(|i| ratio.is_wrong(if i % 20 == 0 { 1.2 } else { 0.8 })), "one in twenty");
        assert!((0..8).any(|_| ratio.is_wrong(1.2)), "many");
    }
}
