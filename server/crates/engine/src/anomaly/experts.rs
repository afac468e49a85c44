//! Forecasts, each of which knows one thing, and their blend.
//!
//! Four follow a series closely (level, damped trend, slot of the day and of the week with the offset of the last buckets); three
//! move slowly (level, slot of the day, slot of the week), so that a drift or a step stands out against them for a while. Each is
//! weighted by its recent error: by the fourth power of the ratio to the best one's, so that a clearly better one decides alone.

mod teaching;

use super::math::LIMIT;
use super::noise::Noise;
use super::profile::{Place, Profile};
use super::series::SeriesKind;

pub(super) use teaching::Lesson;

const HOUR_US: i64 = 3_600_000_000;
pub(super) const DAY_US: i64 = 24 * HOUR_US;
const WEEK_US: i64 = 7 * DAY_US;
/// Slots of 15 minutes in a day and of 30 in a week: with 5-minute slots small counts were forecast from too few buckets.
const DAY_SLOTS: usize = 96;
const WEEK_SLOTS: usize = 336;

const LEVEL: usize = 0;
const TREND: usize = 1;
const DAY: usize = 2;
const WEEK: usize = 3;
const SLOW_LEVEL: usize = 4;
const DAY_SLOT: usize = 5;
const WEEK_SLOT: usize = 6;
const EXPERTS: usize = 7;

/// The gain of the level and of the trend's level: about six buckets.
const FAST: f64 = 0.3;
/// How much of a trend is left after a bucket (Gardner and McKenzie's damped trend, 1985).
const DAMPED: f64 = 0.9;
/// The gain of the offset from a slot.
const OFFSET: f64 = 0.1;
/// The gain of a slot, per period: about a fortnight and six weeks.
const DAY_GAIN: f64 = 0.15;
const WEEK_GAIN: f64 = 0.3;
/// The buckets of the slow level: a day of them, within these bounds. With seven, of daily buckets a week, it followed a change before a window was filled by it.
const SLOW: std::ops::RangeInclusive<f64> = 28.0..=2000.0;

/// What the experts have learned.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Experts {
    kind: SeriesKind,
    bucket_us: i64,
    seen: f64,
    level: f64,
    slow_level: f64,
    trend_level: f64,
    slope: f64,
    /// Means of the last numbers and of what the slots said of them: of the day, of the week.
    offsets: [[f64; 2]; 2],
    day: Profile,
    week: Profile,
    /// By how much an annotated day's hours differ: of counts a share.
    special: [f32; 24],
    /// Mean squared errors, in variances.
    errors: [f64; EXPERTS],
}

/// A forecast, and how many buckets stand behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blend {
    pub mean: f64,
    pub behind: f64,
}

/// What all of them say of a bucket.
#[derive(Debug)]
pub(super) struct Forecast {
    /// Of all.
    pub blend: Blend,
    /// Of the slow ones.
    pub slow: Blend,
    /// Of the day, 0 to 23.
    pub hour: usize,
    each: [f64; EXPERTS],
    day: Option<Place>,
    week: Option<Place>,
}

impl Experts {
    pub(super) fn new(kind: SeriesKind, bucket_us: i64) -> Self {
        Self {
            kind,
            bucket_us,
            seen: 0.0,
            level: 0.0,
            slow_level: 0.0,
            trend_level: 0.0,
            slope: 0.0,
            offsets: [[0.0; 2]; 2],
            day: Profile::new(DAY_US, bucket_us, DAY_SLOTS),
            week: Profile::new(WEEK_US, bucket_us, WEEK_SLOTS),
            special: [0.0; 24],
            errors: [0.0; EXPERTS],
        }
    }

    /// The forecast of the bucket at `local_us`.
    pub(super) fn forecast(&self, local_us: i64, annotated: bool, noise: &Noise) -> Forecast {
        let day = self.day.place(local_us, self.bucket_us);
        let week = self.week.place(local_us, self.bucket_us);
        let hour = (local_us.rem_euclid(DAY_US) / HOUR_US) as usize;
        let (mut each, behind) = self.each(day, week, noise);
        if annotated {
            let special = f64::from(self.special[hour]);
            each[DAY..].iter_mut().for_each(|forecast| *forecast = self.add_share(*forecast, special));
        }
        let blend = self.blend(&each, &behind, 0);
        let slow = self.blend(&each, &behind, SLOW_LEVEL);
        Forecast { blend, slow, hour, each, day, week }
    }

    /// Every expert's forecast, and how many buckets are behind it. Not a number where an expert knows nothing.
    fn each(
        &self,
        day: Option<Place>,
        week: Option<Place>,
        noise: &Noise,
    ) -> ([f64; EXPERTS], [f64; EXPERTS]) {
        let mut each = [f64::NAN; EXPERTS];
        let mut behind = [1.0; EXPERTS];
        each[LEVEL] = self.level;
        each[TREND] = self.trend_level + DAMPED * self.slope;
        each[SLOW_LEVEL] = self.slow_level;
        behind[LEVEL] = self.seen.clamp(1.0, 2.0 / FAST);
        behind[TREND] = behind[LEVEL];
        behind[SLOW_LEVEL] = self.seen.clamp(1.0, 2.0 / self.slow_gain());
        let slots = [(day, &self.day, DAY, DAY_GAIN), (week, &self.week, WEEK, WEEK_GAIN)];
        for (place, profile, expert, gain) in slots {
            let Some(place) = place else { continue };
            let slow = expert + DAY_SLOT - DAY;
            let most = 2.0 * profile.per_slot(self.bucket_us) / gain;
            behind[slow] = profile.behind(place).clamp(0.5, most);
            behind[expert] = behind[slow].min(2.0 / OFFSET);
            // What few buckets say of rare events is drawn to the level by as much as one event is worth.
            let worth = noise.one_event(self.slow_level);
            let drawn =
                (profile.get(place) * behind[slow] + self.slow_level * worth) / (behind[slow] + worth);
            each[slow] = drawn;
            each[expert] = self.with_offset(drawn, self.offsets[expert - DAY]);
        }
        if self.kind == SeriesKind::Count {
            // `max` would make a number of what is none.
            each.iter_mut().filter(|forecast| **forecast < 0.0).for_each(|forecast| *forecast = 0.0);
        }
        (each, behind)
    }

    fn with_offset(&self, slot: f64, [numbers, slots]: [f64; 2]) -> f64 {
        if self.kind != SeriesKind::Count {
            return slot + numbers - slots;
        }
        // Counts grow in proportion, as far as means can be told apart: by no more than one event does to them.
        let little = 0.02 * self.slow_level + OFFSET;
        slot * (numbers + little) / (slots + little)
    }

    fn add_share(&self, forecast: f64, share: f64) -> f64 {
        if self.kind == SeriesKind::Count { forecast * (1.0 + share) } else { forecast + share }
    }

    fn slow_gain(&self) -> f64 {
        1.0 / (DAY_US as f64 / self.bucket_us as f64).clamp(*SLOW.start(), *SLOW.end())
    }

    /// The blend of the experts from `first` on.
    fn blend(&self, each: &[f64; EXPERTS], behind: &[f64; EXPERTS], first: usize) -> Blend {
        let knows = |expert: &usize| !each[*expert].is_nan();
        let best = (first..EXPERTS).filter(knows).map(|expert| self.errors[expert]).fold(f64::MAX, f64::min);
        let (mut sum, mut weights, mut unsure) = (0.0, 0.0, 0.0);
        for expert in (first..EXPERTS).filter(knows) {
            let ratio = best.max(f64::MIN_POSITIVE) / self.errors[expert].max(f64::MIN_POSITIVE);
            let weight = ratio * ratio * ratio * ratio * behind[expert] / (behind[expert] + 1.0);
            sum += weight * each[expert];
            weights += weight;
            unsure += weight / behind[expert];
        }
        Blend { mean: sum / weights, behind: weights / unsure }
    }

    pub(super) fn is_sound(&self, fresh: &Self) -> bool {
        let numbers = [self.seen, self.level, self.slow_level, self.trend_level, self.slope];
        (self.kind, self.bucket_us) == (fresh.kind, fresh.bucket_us)
            && numbers.iter().chain(self.offsets.as_flattened()).all(|number| number.abs() < LIMIT)
            && self.special.iter().all(|number| number.is_finite())
            && self.errors.iter().all(|error| *error >= 0.0 && error.abs() < LIMIT)
            && self.day.is_sound(&fresh.day)
            && self.week.is_sound(&fresh.week)
    }

    /// Bytes on the heap.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        self.day.heap() + self.week.heap()
    }
}
