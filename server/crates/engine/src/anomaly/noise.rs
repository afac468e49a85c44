//! How far a series scatters around its forecast.
//!
//! The variance of a bucket has a part that its kind prescribes and a part in proportion to how the series scatters beyond that:
//! a count's is `mean + phi mean^2` (negative binomial), a ratio's `p q / n + rho p q` (beta-binomial). A value's is `a + b / n` on its
//! scale, n being the sample size. What is not prescribed (`phi`, `rho`, a value's all) differs by the hour of the day: nights scatter
//! more, for their size, than evenings.

use super::math::LIMIT;
use super::series::SeriesKind;

/// What is learned forgets with this gain: 500 buckets.
const GAIN: f64 = 0.002;
/// One error counts as at most so many standard deviations.
const CLIP: f64 = 3.0;
/// The gain of an hour's share of the variance: of values by the bucket; of others, whose bursts would make quiet hours look quieter than they are, by the
/// day.
const HOUR_GAIN: f64 = 0.02;
const DAY_GAIN: f64 = 0.04;
const HOUR_US: f64 = 3.6e9;
/// The least variance on the scale of values: one part in ten thousand.
const LEAST: f64 = 1e-8;
/// Errors before which nothing is clipped, and before which hours are not told apart.
const FEW: f64 = 8.0;
const SOME: f64 = 50.0;
/// A mean that is told from nothing has seen about a third of an event (Jeffreys' prior, half an event, is too high for sparse series).
const UNSEEN: f64 = 0.3;

/// What was learned of a series' errors.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Noise {
    kind: SeriesKind,
    /// Of an hour's share, each bucket.
    hour_gain: f64,
    seen: f64,
    /// Means of the squared errors beyond the prescribed variance, and of what they are in proportion to.
    excess: f64,
    common: f64,
    /// The mean weight.
    weight: f64,
    /// Of values: means of 1 / n, its square, its product with the squared error, and of the squared error.
    inverse: [f64; 4],
    hours: [f32; 24],
}

/// A mean, and how far it can be trusted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// On the working scale.
    pub mean: f64,
    /// Of one bucket around it.
    pub variance: f64,
    /// `phi` of a count, `rho` of a ratio, what is not known of the mean included.
    pub dispersion: f64,
}

impl Noise {
    pub(super) fn new(kind: SeriesKind, bucket_us: i64) -> Self {
        let hour_gain = match kind {
            SeriesKind::Value => HOUR_GAIN,
            _ => DAY_GAIN * (bucket_us as f64 / HOUR_US).min(1.0),
        };
        let inverse = [0.0; 4];
        Self { kind, hour_gain, seen: 0.0, excess: 0.0, common: 0.0, weight: 0.0, inverse, hours: [1.0; 24] }
    }

    /// What is expected of a bucket of weight `n` if its forecast is `mean`, with `behind` buckets behind it.
    pub(super) fn expect(&self, mean: f64, behind: f64, n: f64, hour: usize) -> Expected {
        let mean = self.possible(mean, behind);
        let dispersion = self.dispersion_at(hour) + self.unsure(mean, behind);
        Expected { mean, variance: self.variance(mean, n, hour), dispersion }
    }

    /// A mean is not told from zero, nor a ratio from one, by buckets that have not seen it.
    fn possible(&self, mean: f64, behind: f64) -> f64 {
        match self.kind {
            SeriesKind::Count => mean.max(UNSEEN / behind),
            SeriesKind::Ratio => {
                let least = (UNSEEN / (behind * self.weight.max(1.0))).min(0.5);
                mean.clamp(least, 1.0 - least)
            }
            SeriesKind::Rate | SeriesKind::Value => mean,
        }
    }

    /// What is not known of a mean, as if it were dispersion: of `mean * behind` events, or of `behind` denominators.
    fn unsure(&self, mean: f64, behind: f64) -> f64 {
        match self.kind {
            SeriesKind::Count => 1.0 / (behind * mean),
            SeriesKind::Ratio => 1.0 / (1.0 + behind * self.weight.max(1.0)),
            SeriesKind::Rate | SeriesKind::Value => 0.0,
        }
    }

    fn dispersion(&self) -> f64 {
        if self.common > 0.0 { (self.excess / self.common).max(0.0) } else { 0.0 }
    }

    fn dispersion_at(&self, hour: usize) -> f64 {
        self.dispersion() * f64::from(self.hours[hour])
    }

    /// The prescribed variance, and what the rest is in proportion to.
    fn parts(&self, mean: f64, n: f64) -> (f64, f64) {
        match self.kind {
            SeriesKind::Count => (mean, mean * mean),
            SeriesKind::Ratio => {
                let both = mean * (1.0 - mean);
                (both / n, both)
            }
            SeriesKind::Rate | SeriesKind::Value => (0.0, 1.0),
        }
    }

    fn variance(&self, mean: f64, n: f64, hour: usize) -> f64 {
        if self.kind == SeriesKind::Value {
            return (self.by_size(n) * f64::from(self.hours[hour])).max(LEAST);
        }
        let (own, common) = self.parts(mean, n);
        own + self.dispersion_at(hour) * common
    }

    /// `a + b / n` by least squares of the squared errors on 1 / n; neither part is negative.
    fn by_size(&self, n: f64) -> f64 {
        let [x, xx, xy, y] = self.inverse;
        let spread = xx - x * x;
        if spread <= 1e-4 * x * x {
            return y;
        }
        let slope = ((xy - x * y) / spread).max(0.0).min(y / x);
        y - slope * x + slope / n
    }

    /// How much a bucket of this weight counts against a usual one, 0 to 1.
    pub(super) fn reliability(&self, n: f64) -> f64 {
        if self.seen < FEW { 1.0 } else { (n / self.weight).min(1.0) }
    }

    /// How many buckets at this level see one event: what a forecast from nothing is worth.
    pub(super) fn one_event(&self, level: f64) -> f64 {
        match self.kind {
            SeriesKind::Count => 1.0 / level.max(1e-3),
            SeriesKind::Ratio => 1.0 / (self.weight.max(1.0) * level.min(1.0 - level)).max(1e-3),
            SeriesKind::Rate | SeriesKind::Value => 0.0,
        }
    }

    /// The chance that a bucket has the same number as the one before, as far as the kind tells: at the mode, of which a
    /// normal law has 0.4 standard deviations.
    pub(super) fn chance_of_repeat(&self, expected: &Expected, n: f64) -> f64 {
        let (step, rare) = match self.kind {
            SeriesKind::Count => (1.0, expected.mean),
            SeriesKind::Ratio => (1.0 / n, n * expected.mean.min(1.0 - expected.mean)),
            SeriesKind::Rate | SeriesKind::Value => return 0.0,
        };
        (0.4 * step / expected.variance.sqrt()).min(0.9).max(super::math::exp(-rare))
    }

    /// Learns from a bucket's error.
    pub(super) fn teach(&mut self, error: f64, expected: &Expected, n: f64, hour: usize) {
        self.seen += 1.0;
        let gain = (1.0 / self.seen).max(GAIN);
        let most = if self.seen < FEW { f64::INFINITY } else { CLIP * CLIP * expected.variance };
        let squared = (error * error).min(most);
        let (own, common) = self.parts(expected.mean, n);
        self.excess += gain * (squared - own - self.excess);
        self.common += gain * (common - self.common);
        self.weight += gain * (n - self.weight);
        match self.kind {
            SeriesKind::Value => {
                self.teach_sizes(squared, 1.0 / n, gain);
                self.teach_hour(squared, self.by_size(n).max(LEAST), 1.0, hour);
            }
            SeriesKind::Count | SeriesKind::Ratio | SeriesKind::Rate => {
                let beyond = self.dispersion() * common;
                self.teach_hour(squared - own, beyond, beyond / (own + beyond), hour);
            }
        }
    }

    fn teach_sizes(&mut self, squared: f64, inverse: f64, gain: f64) {
        let now = [inverse, inverse * inverse, inverse * squared, squared];
        self.inverse.iter_mut().zip(now).for_each(|(mean, now)| *mean += gain * (now - *mean));
    }

    /// Teaches an hour's share of a variance that is usually `usual`. A bucket tells as much as it is `part` of all its variance.
    fn teach_hour(&mut self, squared: f64, usual: f64, part: f64, hour: usize) {
        if self.seen <= SOME || usual <= 0.0 {
            return;
        }
        let share = f64::from(self.hours[hour]);
        let now = (squared / usual).min(CLIP * CLIP * share);
        self.hours[hour] = (share + self.hour_gain * part * part * (now - share)).clamp(0.05, 20.0) as f32;
    }

    /// The series changed: what comes now is learned fast.
    pub(super) fn reopen(&mut self) {
        self.seen = self.seen.min(2.0 * FEW);
    }

    pub(super) fn is_sound(&self, kind: SeriesKind) -> bool {
        let numbers = [self.hour_gain, self.seen, self.common, self.weight];
        self.kind == kind
            && self.excess.abs() < LIMIT
            && numbers.iter().chain(&self.inverse).all(|number| *number >= 0.0 && number.abs() < LIMIT)
            && self.hours.iter().all(|share| (0.04..=20.0).contains(share))
    }
}
