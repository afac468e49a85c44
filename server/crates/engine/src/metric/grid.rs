//! Which bucket a moment belongs to, by its age.

use crate::funnel::clamp_time;
use crate::metric::codec::{BadBytes, put, take};

const MINUTE_US: i64 = 60_000_000;
const DAY_US: i64 = 24 * 60 * MINUTE_US;

/// Widths of the buckets of each level: a minute, a quarter of an hour, an hour, a day; all from UTC midnight.
pub(crate) const WIDTHS_US: [i64; LEVELS] = [MINUTE_US, 15 * MINUTE_US, 60 * MINUTE_US, DAY_US];
pub(crate) const LEVELS: usize = 4;

/// How long buckets of a width are kept before they are rolled up into the next, in microseconds of age. Days are kept.
///
/// Quarters make exact days in every zone; hours only in zones that are whole hours off UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizons {
    /// Minutes.
    pub minutes_us: i64,
    /// Quarters of an hour.
    pub quarters_us: i64,
    /// Hours.
    pub hours_us: i64,
}

impl Default for Horizons {
    fn default() -> Self {
        Self { minutes_us: 2 * DAY_US, quarters_us: 100 * DAY_US, hours_us: 800 * DAY_US }
    }
}

/// A bucket that has to be computed again from the stored events of this span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StaleBucket {
    /// Its beginning, inclusive, microseconds since 1970.
    pub from_us: i64,
    /// Its end, exclusive.
    pub to_us: i64,
}

/// Where each level begins. It moves with rolling and with nothing else, and never back: so a moment has one bucket, whether its event
/// came before or after the roll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grid {
    horizons: Horizons,
    /// The first moment kept in minutes, quarters, hours; a multiple of the next width.
    begins_us: [i64; LEVELS - 1],
}

impl Grid {
    pub(crate) fn new(horizons: Horizons) -> Self {
        Self { horizons, begins_us: [0; LEVELS - 1] }
    }

    /// Moves the beginnings to where they are at `now_us`.
    pub(crate) fn roll(&mut self, now_us: i64) {
        let Horizons { minutes_us, quarters_us, hours_us } = self.horizons;
        let mut latest = i64::MAX;
        for (level, horizon_us) in [minutes_us, quarters_us, hours_us].into_iter().enumerate() {
            let begin = clamp_time(now_us.saturating_sub(horizon_us.max(0)));
            let begin = floor(begin.max(self.begins_us[level]).min(latest), level + 1);
            self.begins_us[level] = begin;
            latest = begin;
        }
    }

    pub(crate) fn horizons(&self) -> Horizons {
        self.horizons
    }

    pub(crate) fn begins_us(&self) -> [i64; LEVELS - 1] {
        self.begins_us
    }

    /// The level and the beginning of the bucket of a moment.
    #[inline]
    pub(crate) fn bucket(&self, time_us: i64) -> (usize, i64) {
        let time_us = clamp_time(time_us);
        if time_us >= self.begins_us[0] {
            // Almost always, and dividing by a constant is cheaper.
            return (0, time_us - time_us % MINUTE_US);
        }
        let level = self.begins_us.iter().take_while(|begin| time_us < **begin).count();
        (level, floor(time_us, level))
    }

    pub(crate) fn span(&self, time_us: i64) -> StaleBucket {
        let (level, from_us) = self.bucket(time_us);
        StaleBucket { from_us, to_us: from_us + WIDTHS_US[level] }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        self.begins_us.iter().for_each(|begin| put(out, *begin as u64));
    }

    pub(crate) fn decode(horizons: Horizons, bytes: &mut &[u8]) -> Result<Self, BadBytes> {
        let mut grid = Self::new(horizons);
        for level in 0..LEVELS - 1 {
            let begin = i64::try_from(take(bytes)?).map_err(|_| BadBytes)?;
            if begin != floor(clamp_time(begin), level + 1) {
                return Err(BadBytes);
            }
            grid.begins_us[level] = begin;
        }
        let falling = grid.begins_us.is_sorted_by(|a, b| a >= b);
        if falling { Ok(grid) } else { Err(BadBytes) }
    }
}

/// The beginning of the level's bucket.
#[inline]
pub(crate) fn floor(time_us: i64, level: usize) -> i64 {
    time_us - time_us.rem_euclid(WIDTHS_US[level])
}
