//! How far a number lies in the tail of what was expected, as a z of the normal distribution.
//!
//! The tails of counts and ratios are Peizer and Pratt's normal approximation of binomial tails (JASA 63, 1968), off by less
//! than 1 % of z for all but tiny counts, whose tails are summed up. A negative binomial tail is a binomial one with the roles changed. A beta-binomial variable is taken for a
//! binomial one of as many trials as give its variance. What these are off, a series' own curve corrects.

use super::math::{exp, inverse_surprise, ln};
use super::noise::Expected;
use super::series::SeriesKind;

/// What stands for "impossible".
const FAR: f64 = 40.0;
/// Below this overdispersion a count is Poisson.
const NO_DISPERSION: f64 = 1e-6;

/// The approximation fails for laws that are more dispersed than a geometric one.
const LEAST_SHAPE: f64 = 1.0;
/// Up to this count tails are summed up.
const SUMMED: f64 = 10.0;
/// Terms after which a sum of a tail is near enough.
const TERMS: u32 = 24;

/// Peizer and Pratt's `g(x) = (1 - x^2 + 2 x ln x) / (1 - x)^2`, which is 0 at 1.
fn g(x: f64) -> f64 {
    let d = 1.0 - x;
    if d.abs() < 1e-3 {
        return d / 3.0 + d * d / 6.0;
    }
    if x <= 0.0 { 1.0 } else { (1.0 - x * x + 2.0 * x * ln(x)) / (d * d) }
}

/// z with `P(X <= k) = Phi(z)` for a binomial X of `n` trials; neither `k` nor `n` need be whole.
fn binomial(k: f64, n: f64, p: f64) -> f64 {
    let (hits, misses) = (k + 0.5, n - k - 0.5);
    if hits <= 0.0 {
        return -FAR;
    }
    if misses <= 0.0 {
        return FAR;
    }
    let q = 1.0 - p;
    let skew = 0.02 * (q / (k + 1.0) - p / (n - k) + (q - 0.5) / (n + 1.0));
    let distance = k + 2.0 / 3.0 - (n + 1.0 / 3.0) * p + skew;
    let stretch = 1.0 + q * g(hits / (n * p)) + p * g(misses / (n * q));
    (distance * (stretch.max(0.0) / ((n + 1.0 / 6.0) * p * q)).sqrt()).clamp(-FAR, FAR)
}

/// The same for a Poisson X.
fn poisson(k: f64, mean: f64) -> f64 {
    if k < 0.0 {
        return -FAR;
    }
    let distance = k + 2.0 / 3.0 - mean + 0.02 / (k + 1.0);
    (distance * ((1.0 + g((k + 0.5) / mean)).max(0.0) / mean).sqrt()).clamp(-FAR, FAR)
}

/// The same for a negative binomial X of variance `mean + dispersion * mean^2`.
fn negative_binomial(k: f64, mean: f64, dispersion: f64) -> f64 {
    if k < 0.0 {
        return -FAR;
    }
    if dispersion * mean < NO_DISPERSION {
        return poisson(k, mean);
    }
    let shape = (1.0 / dispersion).max(LEAST_SHAPE);
    -binomial(shape - 1.0, k + shape, shape / (shape + mean))
}

/// `P(X >= count)` or, not `upper`, `P(X <= count)` of the law of a count, term by term.
fn summed(count: f64, mean: f64, dispersion: f64, upper: bool) -> f64 {
    let spread = dispersion * mean;
    let none = if spread < NO_DISPERSION { -mean } else { -ln(1.0 + spread) / dispersion };
    let ratio = |k: f64| (mean + k * spread) / ((1.0 + spread) * (k + 1.0));
    let (mut mass, mut below, mut k) = (exp(none), 0.0, 0.0);
    while k < count {
        below += mass;
        mass *= ratio(k);
        k += 1.0;
    }
    if !upper {
        return below + mass;
    }
    if below < 0.99 {
        return 1.0 - below;
    }
    // What is left of one is too little to be a difference.
    let mut tail = 0.0;
    for _ in 0..TERMS {
        tail += mass;
        mass *= ratio(k);
        k += 1.0;
    }
    tail
}

fn count(number: f64, mean: f64, dispersion: f64) -> f64 {
    let upper = number > mean;
    if number <= SUMMED {
        let chance = summed(number, mean, dispersion, upper);
        let z = if chance < 0.5 { inverse_surprise(-ln(chance.max(f64::MIN_POSITIVE))) } else { 0.0 };
        return if upper { z } else { -z };
    }
    if upper {
        negative_binomial(number - 1.0, mean, dispersion).max(0.0)
    } else {
        negative_binomial(number, mean, dispersion).min(0.0)
    }
}

/// How far a number lies from what was expected: of a number above its mean the z of `P(X >= number)`, of one below that of
/// `P(X <= number)`, negative. 0 if that is more than half.
pub(super) fn z(kind: SeriesKind, number: f64, n: f64, expected: &Expected) -> f64 {
    let Expected { mean, variance, dispersion } = *expected;
    match kind {
        SeriesKind::Rate | SeriesKind::Value => (number - mean) / variance.sqrt(),
        SeriesKind::Count => count(number, mean, dispersion),
        SeriesKind::Ratio => {
            let trials = n / (1.0 + (n - 1.0).max(0.0) * dispersion);
            let hits = number * trials;
            if number > mean {
                binomial(hits - 1.0, trials, mean).max(0.0)
            } else {
                binomial(hits, trials, mean).min(0.0)
            }
        }
    }
}

/// The number whose [`z`] is `wanted`: where a band ends.
pub(super) fn quantile(kind: SeriesKind, wanted: f64, n: f64, expected: &Expected) -> f64 {
    let mean = expected.mean;
    let (least, most) = match kind {
        SeriesKind::Rate | SeriesKind::Value => (f64::MIN, f64::MAX),
        SeriesKind::Count => (0.0, f64::MAX),
        SeriesKind::Ratio => (0.0, 1.0),
    };
    let mut way = wanted * expected.variance.sqrt();
    if kind == SeriesKind::Value {
        return mean + way;
    }
    // Tails are skewed: the way from the mean is stretched by what its end lacks. Downward z grows faster than the way.
    let share = if wanted < 0.0 { 0.6 } else { 1.0 };
    for _ in 0..4 {
        let found = z(kind, (mean + way).clamp(least, most), n, expected);
        let stretch = if found == 0.0 { 2.0 } else { wanted / found };
        way *= 1.0 + share * (stretch.clamp(0.5, 2.0) - 1.0);
    }
    (mean + way).clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anomaly::math::surprise;

    fn tail(z: f64) -> f64 {
        exp(-surprise(z.abs()))
    }

    /// Sums a law from its first probability and the ratio of neighbours.
    fn upper(first: f64, ratio: impl Fn(f64) -> f64, from: u32) -> f64 {
        let mut mass = first;
        let mut below = 0.0;
        for k in 0..from {
            below += mass;
            mass *= ratio(f64::from(k));
        }
        1.0 - below
    }

    #[test]
    fn a_count_has_the_tail_of_its_law() {
        for (mean, phi, count) in
            [(3.0, 0.0, 9), (3.0, 0.5, 14), (40.0, 0.1, 80), (0.2, 0.0, 3), (100.0, 0.0, 140)]
        {
            let expected = Expected { mean, variance: mean + phi * mean * mean, dispersion: phi };
            let found = tail(z(SeriesKind::Count, f64::from(count), 1.0, &expected));
            let exact = if phi == 0.0 {
                upper(exp(-mean), |k| mean / (k + 1.0), count)
            } else {
                let (shape, p) = (1.0 / phi, 1.0 / (1.0 + phi * mean));
                upper(exp(shape * ln(p)), |k| (k + shape) / (k + 1.0) * (1.0 - p), count)
            };
            assert!((found / exact - 1.0).abs() < 0.1, "{mean} {phi} {count}: {found} {exact}");
        }
    }

    #[test]
    fn a_ratio_has_the_tail_of_its_law() {
        let expected = Expected { mean: 0.3, variance: 0.3 * 0.7 / 50.0, dispersion: 0.0 };
        let found = tail(z(SeriesKind::Ratio, 25.0 / 50.0, 50.0, &expected));
        let exact = upper(exp(50.0 * ln(0.7)), |k| (50.0 - k) / (k + 1.0) * 0.3 / 0.7, 25);
        assert!((found / exact - 1.0).abs() < 0.1, "{found} {exact}");
    }

    #[test]
    fn a_band_ends_where_its_tail_begins() {
        for (kind, mean, variance, dispersion) in [
            (SeriesKind::Count, 200.0, 4200.0, 0.1),
            (SeriesKind::Count, 1e9, 1e16, 0.01),
            (SeriesKind::Ratio, 0.9, 0.001, 0.01),
            (SeriesKind::Value, -3.0, 0.25, 0.0),
        ] {
            let expected = Expected { mean, variance, dispersion };
            for wanted in [-3.0, 3.0] {
                let end = quantile(kind, wanted, 500.0, &expected);
                let inside = kind != SeriesKind::Ratio || end < 1.0;
                assert!(
                    !inside || (z(kind, end, 500.0, &expected) / wanted - 1.0).abs() < 0.1,
                    "{kind:?} {end}"
                );
            }
        }
    }
}
