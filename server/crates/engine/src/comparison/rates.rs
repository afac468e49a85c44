//! Rates: counts by time, or one amount by another.

use super::correlation::inflation;
use super::strata::{Strata, Stratum};
use super::student;
use super::verdict::{Effect, Interval};
use super::{Bucket, Nature};

/// The ratio of the rates after and before; `None` if nothing was counted on either side.
pub(super) fn interval(nature: Nature, strata: &Strata) -> Option<Interval> {
    let sums: Vec<Sums> = strata.each.iter().map(Sums::of).collect();
    let (above, below) = (sum(&sums, Sums::after_part), sum(&sums, Sums::before_part));
    if above + below <= 0.0 {
        return None;
    }
    // Half of one on both sides where one has nothing: the ratio is not known to be 0.
    let half = if above == 0.0 || below == 0.0 { 0.25 } else { 0.0 };
    let (above, below) = (above + half, below + half);
    let ratio = above / below;
    let residues = residues(strata, ratio, &|_, expected| expected);
    let least = if nature == Nature::Count { 1.0 } else { 0.0 };
    let dispersion = dispersion(strata, &residues).max(least) * inflation(&residues);
    let variance = dispersion * (sum(&sums, Sums::common) + half) / (above * below);
    let quantile = student::quantile(strata.freedom());
    let (estimate, wide) = (ratio.ln(), quantile * variance.sqrt());
    // The rarer side's count is what the variance is made of.
    let (before, after) = (sum(&sums, |own| own.before.0).max(0.5), sum(&sums, |own| own.after.0).max(0.5));
    Some(Interval {
        effect: Effect::Ratio,
        estimate,
        low: estimate - wide,
        high: estimate + wide,
        quantile,
        of_before: variance * after / (before + after),
        of_after: variance * before / (before + after),
    })
}

/// What was counted in a stratum: above and below, before and after.
struct Sums {
    before: (f64, f64),
    after: (f64, f64),
}

impl Sums {
    fn of(stratum: &Stratum) -> Self {
        Self { before: add(&stratum.before), after: add(&stratum.after) }
    }

    fn exposure(&self) -> f64 {
        self.before.1 + self.after.1
    }

    /// What the stratum adds above the line of the ratio.
    fn after_part(&self) -> f64 {
        self.after.0 * self.before.1 / self.exposure()
    }

    /// What it adds below.
    fn before_part(&self) -> f64 {
        self.before.0 * self.after.1 / self.exposure()
    }

    fn common(&self) -> f64 {
        (self.before.0 + self.after.0) * self.before.1 * self.after.1 / self.exposure().powi(2)
    }
}

fn add(buckets: &[Bucket]) -> (f64, f64) {
    buckets.iter().fold((0.0, 0.0), |sum, bucket| (sum.0 + bucket.above, sum.1 + bucket.below))
}

fn sum(sums: &[Sums], of: impl Fn(&Sums) -> f64) -> f64 {
    sums.iter().map(of).sum()
}

/// How far each bucket is from what its stratum and the ratio say, in standard errors for a variance by what is below and
/// expected: before and after, each in the order of time.
pub(super) fn residues(strata: &Strata, ratio: f64, variance: &dyn Fn(f64, f64) -> f64) -> [Vec<f64>; 2] {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for stratum in &strata.each {
        let sums = Sums::of(stratum);
        let rate = (sums.before.0 + sums.after.0) / (sums.before.1 + ratio * sums.after.1);
        let residue = |bucket: &Bucket, rate: f64| {
            let expected = rate * bucket.below;
            let variance = variance(bucket.below, expected);
            let residue = if variance > 0.0 { (bucket.above - expected) / variance.sqrt() } else { 0.0 };
            (bucket.start_us, residue)
        };
        before.extend(stratum.before.iter().map(|bucket| residue(bucket, rate)));
        after.extend(stratum.after.iter().map(|bucket| residue(bucket, rate * ratio)));
    }
    [before, after].map(in_time)
}

fn in_time(mut residues: Vec<(i64, f64)>) -> Vec<f64> {
    residues.sort_by_key(|(start_us, _)| *start_us);
    residues.into_iter().map(|(_, residue)| residue).collect()
}

/// Pearson's dispersion: how much more the buckets vary than chance makes them.
pub(super) fn dispersion(strata: &Strata, residues: &[Vec<f64>]) -> f64 {
    let squares: f64 = residues.iter().flatten().map(|residue| residue * residue).sum();
    squares / strata.freedom()
}
