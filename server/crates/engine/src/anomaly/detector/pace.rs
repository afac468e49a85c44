//! What follows from the width of a series' buckets.

use crate::anomaly::experts::DAY_US;

const MONTH_US: f64 = 30.0 * DAY_US as f64;
/// A rate is never below one in a million million buckets, and never above every other one.
const RATES: std::ops::RangeInclusive<f64> = 1e-12..=0.5;

/// How many buckets things take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    bucket_us: f64,
    per_day: f64,
}

impl Pace {
    pub(super) fn new(bucket_us: i64) -> Self {
        Self { bucket_us: bucket_us as f64, per_day: DAY_US as f64 / bucket_us as f64 }
    }

    /// Buckets in a day.
    pub(super) fn per_day(self) -> f64 {
        self.per_day
    }

    /// Buckets before which nothing is odd and nothing is news: two days.
    pub(super) fn news_after(self) -> f64 {
        (2.0 * self.per_day).clamp(24.0, 1440.0)
    }

    /// Buckets before which nothing is called anomalous: a week and a day, so that a first Saturday is no alert; four weeks of days, or twelve weeks.
    fn knows_after(self) -> f64 {
        if self.per_day > 1.5 { 8.0 * self.per_day } else { (28.0 * self.per_day).max(12.0) }
    }

    /// How much of that was seen, until it was.
    pub(super) fn percent(self, seen: f64) -> Option<u8> {
        let share = seen / self.knows_after();
        (share < 1.0).then_some((100.0 * share) as u8)
    }

    /// Buckets after which a deviation is the new level: a day, but 7 at least and 288 at most.
    pub(super) fn lasting(self) -> f64 {
        self.per_day.clamp(7.0, 288.0)
    }

    /// How often a bucket may begin a false alert.
    pub(super) fn rate(self, a_month: f64) -> f64 {
        (a_month * self.bucket_us / MONTH_US).max(*RATES.start()).min(*RATES.end())
    }
}
