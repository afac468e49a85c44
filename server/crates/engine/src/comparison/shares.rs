//! Shares: parts of what is below the line.

use super::correlation::inflation;
use super::rates::{dispersion, residues};
use super::strata::Strata;
use super::student;
use super::verdict::{Effect, Interval};

/// A proportion, and of how many it is.
#[derive(Debug, Clone, Copy)]
struct Share {
    share: f64,
    of: f64,
}

/// The difference of the shares after and before.
pub(super) fn interval(strata: &Strata) -> Option<Interval> {
    let (before, after) = (before(strata), after(strata)?);
    let ratio = if before.share > 0.0 { after.share / before.share } else { 1.0 };
    let residues = residues(strata, ratio, &|of, expected| expected * (1.0 - expected / of));
    let less = dispersion(strata, &residues).max(1.0) * inflation(&residues);
    let quantile = student::quantile(strata.freedom());
    let [before, after] = [before, after].map(|share| Share { of: share.of / less, ..share });
    let ((from_before, to_before), (from_after, to_after)) = (before.score(quantile), after.score(quantile));
    let estimate = after.share - before.share;
    let down = (after.share - from_after).hypot(to_before - before.share);
    let up = (to_after - after.share).hypot(before.share - from_before);
    Some(Interval {
        effect: Effect::Difference,
        estimate,
        low: estimate - down,
        high: estimate + up,
        quantile,
        of_before: before.variance(),
        of_after: after.variance(),
    })
}

fn after(strata: &Strata) -> Option<Share> {
    let (above, below) = strata.after().fold((0.0, 0.0), |sum, own| (sum.0 + own.above, sum.1 + own.below));
    (below > 0.0).then(|| Share { share: above / below, of: below })
}

/// The share before, had what is below the line been spread over the strata as it is after.
fn before(strata: &Strata) -> Share {
    let all: f64 = strata.after().map(|bucket| bucket.below).sum();
    let (mut share, mut spread) = (0.0, 0.0);
    for stratum in &strata.each {
        let weight = stratum.after.iter().map(|bucket| bucket.below).sum::<f64>() / all;
        let above: f64 = stratum.before.iter().map(|bucket| bucket.above).sum();
        let below: f64 = stratum.before.iter().map(|bucket| bucket.below).sum();
        share += weight * above / below;
        spread += weight * weight / below;
    }
    Share { share, of: 1.0 / spread }
}

impl Share {
    /// Wilson's score interval.
    fn score(self, quantile: f64) -> (f64, f64) {
        let square = quantile * quantile;
        let middle = self.share + square / (2.0 * self.of);
        let wide = quantile
            * (self.share * (1.0 - self.share) / self.of + square / (4.0 * self.of * self.of)).sqrt();
        let whole = 1.0 + square / self.of;
        ((middle - wide) / whole, (middle + wide) / whole)
    }

    /// Of a share that is a little inside, so that 0 and 1 have one, too.
    fn variance(self) -> f64 {
        let inside = (self.share * self.of + 0.5) / (self.of + 1.0);
        inside * (1.0 - inside) / self.of
    }
}
