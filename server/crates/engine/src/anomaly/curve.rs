//! From a surprise to how often it happens: a series' own calibration.
//!
//! A curve counts how often each level (0, 1, 2 ... nats) was reached. Up to the highest level that was reached often enough the
//! counts say how rare it is; beyond it an exponential tail is fitted to the excesses (peaks over a threshold, with the shape
//! at 0: Pickands 1975). Both begin as the nominal law, `P(s >= x) = exp(-x)`, worth some observations.

use super::math::{exp, ln};

/// Levels of a curve; with the scale's knee the last one stands for 21 nats and is never passed by much.
pub(super) const LEVELS: usize = 20;
/// How many buckets the nominal law is worth below the tail.
const PRIOR: f64 = 30.0;
/// How many excesses the nominal tail is worth.
const PRIOR_TAIL: f64 = 10.0;
/// How often a level has to be reached for the tail to begin there: the tail's slope is then known to 15 %.
const TAIL_BEGINS: f32 = 40.0;
/// Tails are at most so much steeper than the nominal one: counts come in steps, and steps look like steep tails.
const STEEPEST: f64 = 1.25;
/// After so many buckets what was seen counts half.
const MOST_BUCKETS: f32 = 20_000.0;
/// Up to so many buckets a series is young.
const YOUNG: f64 = 2000.0;
/// Counts are looked at again after so many buckets.
const REFIT: u8 = 32;
/// What is recorded may be so many levels rarer than what was seen: a wild number lengthens the tail step by step, not at once.
const CLIMB: f64 = 1.0;

/// What levels are counted of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum Counted {
    /// Every bucket of one channel.
    Buckets,
    /// The beginnings of episodes of the loudest channel: a level counts when it is passed on the way up.
    Episodes,
}

impl Counted {
    /// How often level `level` is reached by the nominal law.
    fn nominal(self, level: usize) -> f64 {
        match self {
            Self::Buckets => exp(-(level as f64)),
            // Four of the channels are nearly independent; no more than every fourth bucket begins an episode.
            Self::Episodes => (4.0 * exp(-(level as f64))).min(0.25),
        }
    }

    /// Low levels are passed by nearly every bucket, so that few episodes begin there: no tail is fitted below.
    fn lowest_tail(self) -> usize {
        match self {
            Self::Buckets => 0,
            Self::Episodes => 3,
        }
    }

    /// By how many standard errors a slope is taken flatter than it looks after so many buckets. Rates are convex in it, so that errors would make
    /// too many alerts; and of a young series the means and scatters that made the levels are not well known either.
    fn caution(self, buckets: f64) -> f64 {
        match self {
            Self::Buckets => 0.0,
            Self::Episodes => 0.9 * (YOUNG / buckets.max(YOUNG)).sqrt(),
        }
    }
}

/// How often each level was reached, and what was fitted to that.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Curve {
    counted: Counted,
    buckets: f32,
    reached: [f32; LEVELS],
    /// Minus the logarithm of the rate of each level.
    fitted: [f32; LEVELS],
    /// The slope of the tail.
    slope: f32,
    /// What is higher is recorded as this.
    ceiling: f32,
    since_fit: u8,
}

impl Curve {
    pub(super) fn new(counted: Counted) -> Self {
        let mut curve = Self {
            counted,
            buckets: 0.0,
            reached: [0.0; LEVELS],
            fitted: [0.0; LEVELS],
            slope: 1.0,
            ceiling: 0.0,
            since_fit: 0,
        };
        curve.fit();
        curve
    }

    /// One more bucket. It reached `to`, after `from`; what was already reached does not count again. Of a channel that
    /// counts every bucket `from` is negative.
    pub(super) fn record(&mut self, from: f64, to: f64) {
        self.buckets += 1.0;
        let to = to.min(f64::from(self.ceiling));
        let first = if from < 0.0 { 0 } else { (from as usize).saturating_add(1) };
        let last = if to < 0.0 { 0 } else { (to as usize + 1).min(LEVELS) };
        self.reached.iter_mut().take(last).skip(first).for_each(|count| *count += 1.0);
        if self.buckets > MOST_BUCKETS {
            self.buckets *= 0.5;
            self.reached.iter_mut().for_each(|count| *count *= 0.5);
        }
        self.since_fit += 1;
        if self.since_fit >= REFIT || self.buckets < 2.0 * f32::from(REFIT) {
            self.since_fit = 0;
            self.fit();
        }
    }

    fn fit(&mut self) {
        let lowest = self.counted.lowest_tail();
        let often = |level: &usize| self.reached[*level] >= TAIL_BEGINS;
        let tail = (lowest + 1..LEVELS - 1).rev().find(often).unwrap_or(lowest);
        let mode = self.mode(tail);
        let mut most = 0.0_f32;
        for level in (mode..=tail).rev() {
            most = most.max(self.reached[level]);
            let count = f64::from(most) + PRIOR * self.counted.nominal(level);
            self.fitted[level] = -ln((count / (f64::from(self.buckets) + PRIOR)).min(1.0)) as f32;
        }
        for level in 0..mode {
            self.fitted[level] = self.fitted[mode] * level as f32 / mode as f32;
        }
        self.slope = self.tail_slope(tail) as f32;
        for level in tail + 1..LEVELS {
            self.fitted[level] = self.fitted[level - 1] + self.slope;
        }
        self.ceiling = (self.invert(ln(50.0 + 2.0 * f64::from(self.buckets))) + CLIMB) as f32;
    }

    /// The level up to `tail` that is reached most often. Of buckets it is the lowest. Of episodes fewer begin below, where
    /// nearly every bucket belongs to one: such levels are no rarer than every bucket, or what is asked to be told often would be one
    /// alert without end.
    fn mode(&self, tail: usize) -> usize {
        (0..=tail)
            .rev()
            .fold(tail, |mode, level| if self.reached[level] > self.reached[mode] { level } else { mode })
    }

    /// The tail's slope beyond a level: the most likely one if the number of levels that are passed is geometric.
    fn tail_slope(&self, tail: usize) -> f64 {
        let beyond: f64 = self.reached[tail + 1..].iter().map(|count| f64::from(*count)).sum();
        let at = f64::from(self.reached[tail]);
        let nominal = exp(-1.0);
        let passed = beyond + PRIOR_TAIL * nominal / (1.0 - nominal);
        let tried = beyond + at + PRIOR_TAIL / (1.0 - nominal);
        let slope = (-ln(passed / tried)).clamp(0.05, STEEPEST);
        slope * (1.0 - self.counted.caution(f64::from(self.buckets)) / (at + PRIOR_TAIL).sqrt())
    }

    /// Minus the logarithm of how often a level is reached.
    pub(super) fn read(&self, level: f64) -> f64 {
        if level <= 0.0 {
            return 0.0;
        }
        let below = (level as usize).min(LEVELS - 1);
        let from = f64::from(self.fitted[below]);
        let slope =
            if below + 1 < LEVELS { f64::from(self.fitted[below + 1]) - from } else { f64::from(self.slope) };
        from + slope * (level - below as f64)
    }

    /// The level that is reached so often.
    pub(super) fn invert(&self, wanted: f64) -> f64 {
        let above = self.fitted.iter().position(|fitted| f64::from(*fitted) >= wanted).unwrap_or(LEVELS);
        let Some(below) = above.checked_sub(1) else { return 0.0 };
        let from = f64::from(self.fitted[below]);
        let slope = if above < LEVELS { f64::from(self.fitted[above]) - from } else { f64::from(self.slope) };
        below as f64 + (wanted - from) / slope
    }

    pub(super) fn is_sound(&self, counted: Counted) -> bool {
        let finite = |numbers: &[f32]| numbers.iter().all(|number| *number >= 0.0 && number.is_finite());
        self.counted == counted
            && finite(&self.reached)
            && finite(&self.fitted)
            && finite(&[self.buckets, self.ceiling])
            && self.slope > 0.0
            && self.slope.is_finite()
            && self.since_fit < REFIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Surprises with the tail `exp(-slope x)`, evenly spread.
    fn taught(slope: f64, buckets: u32) -> Curve {
        let mut curve = Curve::new(Counted::Buckets);
        for i in 0..buckets {
            // The golden ratio spreads them without a generator.
            let share = (f64::from(i) * 0.618_033_988_749_894_9).fract();
            curve.record(-1.0, -ln(1.0 - share * 0.999_999) / slope);
        }
        curve
    }

    #[test]
    fn a_tail_is_learned() {
        for slope in [0.4, 0.7, 1.0, 1.2] {
            let curve = taught(slope, 8000);
            for level in [2.0, 6.0, 9.0] {
                let error = (curve.read(level) / (slope * level) - 1.0).abs();
                assert!(error < 0.1, "{slope} {level} {}", curve.read(level));
            }
        }
    }

    #[test]
    fn what_nobody_saw_is_nominal() {
        let curve = Curve::new(Counted::Buckets);
        assert!((curve.read(7.5) - 7.5).abs() < 1e-5);
        assert!((curve.read(30.0) - 30.0).abs() < 1e-4);
    }

    #[test]
    fn reading_and_inverting_agree() {
        for curve in [taught(0.5, 3000), taught(1.1, 300), Curve::new(Counted::Episodes)] {
            for wanted in [3.0, 6.6, 10.7, 25.0] {
                assert!((curve.read(curve.invert(wanted)) - wanted).abs() < 1e-4, "{wanted}");
            }
        }
    }

    #[test]
    fn a_wild_number_does_not_blind() {
        let mut curve = taught(1.0, 3000);
        let before = curve.read(9.0);
        curve.record(-1.0, 1e9);
        (0..64).for_each(|_| curve.record(-1.0, 0.0));
        assert!(curve.read(9.0) > before - 0.6);
    }

    #[test]
    fn what_nearly_every_bucket_reaches_is_not_rare() {
        let mut curve = Curve::new(Counted::Episodes);
        let mut previous = 0.0;
        for i in 0..6400 {
            let level = if i % 8 == 0 { 5.5 } else { 3.5 };
            curve.record(previous, level);
            previous = level;
        }
        assert!((exp(-curve.read(5.0)) * 8.0 - 1.0).abs() < 0.1);
        assert!(exp(-curve.read(3.5)) > 0.2, "one episode of it began, and it is never left");
    }

    #[test]
    fn an_episode_counts_once() {
        let mut curve = Curve::new(Counted::Episodes);
        let mut previous = 0.0;
        for i in 0..6400 {
            let level = if i % 64 < 8 { 5.5 } else { 0.5 };
            curve.record(previous, level);
            previous = level;
        }
        assert!((exp(-curve.read(5.0)) * 64.0 - 1.0).abs() < 0.1);
    }
}
