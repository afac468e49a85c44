//! Numbers by themselves.

use super::Bucket;
use super::correlation::inflation;
use super::strata::Strata;
use super::student;
use super::verdict::{Effect, Interval};

/// The ratio of values where all are above 0, else their difference.
pub(super) fn interval(strata: &Strata) -> Option<Interval> {
    let positive = strata.before().chain(strata.after()).all(|bucket| bucket.above > 0.0);
    let number = |bucket: &Bucket| if positive { bucket.above.ln() } else { bucket.above };
    let effect = if positive { Effect::Ratio } else { Effect::Difference };
    let Spread { estimate, of_before, of_after, freedom } =
        if strata.by_slot { paired(strata, &number) } else { welch(strata, &number) };
    let quantile = student::quantile(freedom);
    let wide = quantile * (of_before + of_after).sqrt();
    let (low, high) = (estimate - wide, estimate + wide);
    Some(Interval { effect, estimate, low, high, quantile, of_before, of_after })
}

/// A difference, with the variance that each side brings.
struct Spread {
    estimate: f64,
    of_before: f64,
    of_after: f64,
    freedom: f64,
}

/// The mean of a side.
struct Mean {
    mean: f64,
    /// Of the mean.
    variance: f64,
    /// Strangers that would say as much.
    effective: f64,
}

impl Mean {
    fn of(numbers: &[f64], inflation: f64) -> Self {
        let count = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / count;
        let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
        let variance = squares / (count - 1.0).max(1.0) / count;
        Self { mean, variance: variance * inflation, effective: (count / inflation).max(2.0) }
    }
}

fn welch(strata: &Strata, number: &dyn Fn(&Bucket) -> f64) -> Spread {
    let before: Vec<f64> = strata.before().map(number).collect();
    let after: Vec<f64> = strata.after().map(number).collect();
    let more = inflation(&[before.clone(), after.clone()]);
    let (before, after) = (Mean::of(&before, more), Mean::of(&after, more));
    let sum = before.variance + after.variance;
    let part = |mean: &Mean| mean.variance.powi(2) / (mean.effective - 1.0);
    let freedom = if sum > 0.0 { sum * sum / (part(&before) + part(&after)) } else { f64::MAX };
    Spread {
        estimate: after.mean - before.mean,
        of_before: before.variance,
        of_after: after.variance,
        freedom,
    }
}

/// Slot by slot: their differences are what varies, and a further slot brings both sides.
fn paired(strata: &Strata, number: &dyn Fn(&Bucket) -> f64) -> Spread {
    let mean = |buckets: &[Bucket]| buckets.iter().map(number).sum::<f64>() / buckets.len() as f64;
    let differences: Vec<f64> =
        strata.each.iter().map(|slot| mean(&slot.after) - mean(&slot.before)).collect();
    let own = Mean::of(&differences, inflation(std::slice::from_ref(&differences)));
    Spread { estimate: own.mean, of_before: 0.0, of_after: own.variance, freedom: own.effective - 1.0 }
}
