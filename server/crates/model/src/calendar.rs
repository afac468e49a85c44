//! Calendar buckets of a time zone: what the columns of a chart are.
//!
//! A bucket is a span of moments, from inclusive, to exclusive. Buckets follow each other without a gap and without
//! overlap, so every event falls into one of them, whatever clocks do:
//! - An hour, and what is shorter, is a run of moments that a wall clock shows as one hour at one offset from UTC.
//!   When clocks go back the hour that comes twice is two buckets.
//! - A day begins with its first moment: midnight, or 01:00 where clocks jump at midnight. It is 23 or 25 hours
//!   long where clocks change. A day that a zone skipped (Apia, 2011-12-30) has no bucket. Should clocks go
//!   back over midnight, what comes twice belongs to the new day.
//! - A week begins on Monday, a month on its first, as days do.
//!
//! Since 1980 every offset of the IANA database is a multiple of 15 minutes (a test goes through all of them), so days,
//! weeks and months are sums of UTC quarters of an hour.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::range::{RangeError, zone};

/// Most buckets of one answer: a week in minutes, a year in hours. More is no chart.
pub const MAX_BUCKETS: usize = 10_000;

const SECOND_US: i64 = 1_000_000;

/// The width of a calendar bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalendarUnit {
    /// A minute of the wall clock.
    Minute,
    /// A quarter of an hour of the wall clock.
    Quarter,
    /// An hour of the wall clock.
    Hour,
    /// A day of the zone.
    Day,
    /// Monday to Sunday.
    Week,
    /// A month of the zone.
    Month,
}

impl CalendarUnit {
    /// How long such a bucket usually is, microseconds; of months 30 days.
    pub fn usual_us(self) -> i64 {
        60 * SECOND_US
            * match self {
                Self::Minute => 1,
                Self::Quarter => 15,
                Self::Hour => 60,
                Self::Day => 24 * 60,
                Self::Week => 7 * 24 * 60,
                Self::Month => 30 * 24 * 60,
            }
    }
}

/// Why there are no such buckets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// The zone is unknown, or the span is empty.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// The span is too long for the unit.
    #[error(
        "the range has more than {MAX_BUCKETS} buckets of one {0:?}; use a longer unit or a shorter range"
    )]
    TooMany(CalendarUnit),
    /// A moment outside the calendar (years -9999 to 9999).
    #[error("{0} microseconds since 1970 is not a time")]
    Time(i64),
}

/// The calendar buckets that cover `from_us..to_us` (microseconds since 1970) in the zone named `time_zone` (IANA;
/// empty means UTC), in order. The first and the last are cut to the span, so that they add up to it.
///
/// # Errors
/// If the zone is unknown, the span is empty, outside the calendar, or has more than [`MAX_BUCKETS`] buckets.
pub fn buckets(
    from_us: i64,
    to_us: i64,
    unit: CalendarUnit,
    time_zone: &str,
) -> Result<Vec<(i64, i64)>, CalendarError> {
    if from_us >= to_us {
        return Err(RangeError::Empty { from_us, to_us }.into());
    }
    let mut edges = Edges::new(unit, zone(time_zone)?);
    let mut found = Vec::new();
    let mut start_us = from_us;
    while start_us < to_us {
        if found.len() == MAX_BUCKETS {
            return Err(CalendarError::TooMany(unit));
        }
        let end_us = edges.next_after(start_us)?.min(to_us);
        found.push((start_us, end_us));
        start_us = end_us;
    }
    Ok(found)
}

/// The beginning of the bucket that a moment lies in, microseconds since 1970.
///
/// # Errors
/// If the zone is unknown or the moment outside the calendar.
pub fn start_of(us: i64, unit: CalendarUnit, time_zone: &str) -> Result<i64, CalendarError> {
    // Buckets follow each other from any edge on; cut ones from the first edge that is met.
    let far_us = 2 * unit.usual_us().max(CalendarUnit::Hour.usual_us());
    let spans = buckets(us.saturating_sub(far_us), us.saturating_add(1), unit, time_zone)?;
    Ok(spans.last().map_or(us, |last| last.0))
}

/// A moment as the zone's wall clock shows it, as if that were UTC, microseconds.
///
/// # Errors
/// If the zone is unknown or the moment outside the calendar.
pub fn wall_clock_us(us: i64, time_zone: &str) -> Result<i64, CalendarError> {
    let at = Timestamp::from_microsecond(us).map_err(|_| CalendarError::Time(us))?;
    Ok(us + i64::from(zone(time_zone)?.to_offset(at).seconds()) * SECOND_US)
}

/// The same time of day so many days earlier, microseconds since 1970.
///
/// # Errors
/// If the zone is unknown or the moment outside the calendar.
pub fn days_before(us: i64, days: i32, time_zone: &str) -> Result<i64, CalendarError> {
    let at = Timestamp::from_microsecond(us).map_err(|_| CalendarError::Time(us))?;
    let at = at.to_zoned_datetime(zone(time_zone)?).checked_sub(Span::new().days(days));
    at.map(|at| at.timestamp().as_microsecond()).map_err(|_| CalendarError::Time(us))
}

/// The moments at which a bucket ends and the next one begins.
struct Edges {
    unit: CalendarUnit,
    zone: TimeZone,
    /// A span of constant offset that was looked up last, for units up to an hour.
    offset: Option<ConstantOffset>,
}

#[derive(Clone, Copy)]
struct ConstantOffset {
    from_us: i64,
    to_us: i64,
    offset_us: i64,
}

impl Edges {
    fn new(unit: CalendarUnit, zone: TimeZone) -> Self {
        Self { unit, zone, offset: None }
    }

    fn next_after(&mut self, time_us: i64) -> Result<i64, CalendarError> {
        let minutes = match self.unit {
            CalendarUnit::Minute => 1,
            CalendarUnit::Quarter => 15,
            CalendarUnit::Hour => 60,
            CalendarUnit::Day | CalendarUnit::Week | CalendarUnit::Month => return self.next_date(time_us),
        };
        let width_us = minutes * 60 * SECOND_US;
        let constant = self.constant_offset(time_us)?;
        let local_us = time_us + constant.offset_us;
        let next_us = (local_us.div_euclid(width_us) + 1) * width_us - constant.offset_us;
        Ok(next_us.min(constant.to_us))
    }

    fn constant_offset(&mut self, time_us: i64) -> Result<ConstantOffset, CalendarError> {
        if let Some(known) = self.offset.filter(|known| (known.from_us..known.to_us).contains(&time_us)) {
            return Ok(known);
        }
        let time = timestamp(time_us)?;
        let offset = self.zone.to_offset(time);
        // A transition may change only the name of the time.
        let change = self.zone.following(time).find(|transition| transition.offset() != offset);
        let found = ConstantOffset {
            from_us: time_us,
            to_us: change.map_or(i64::MAX, |transition| transition.timestamp().as_microsecond()),
            offset_us: i64::from(offset.seconds()) * SECOND_US,
        };
        self.offset = Some(found);
        Ok(found)
    }

    /// The first moment of the next day, week or month. It is looked for in dates, because a date may begin before the one
    /// before has ended (clocks that go back over midnight), or never (a skipped day).
    fn next_date(&self, time_us: i64) -> Result<i64, CalendarError> {
        let no_time = |_| CalendarError::Time(time_us);
        let mut date = self.zone.to_datetime(timestamp(time_us)?).date();
        loop {
            date = next_first(self.unit, date).map_err(no_time)?;
            let first_us = self.first_moment(date).map_err(no_time)?;
            if first_us > time_us {
                return Ok(first_us);
            }
        }
    }

    /// The first moment of a date; of a skipped one, that of the next.
    fn first_moment(&self, date: Date) -> Result<i64, jiff::Error> {
        let day = date.to_zoned_datetime(self.zone.clone())?.start_of_day()?;
        Ok(day.timestamp().as_microsecond())
    }
}

/// The first date of the unit after the one that `date` lies in.
fn next_first(unit: CalendarUnit, date: Date) -> Result<Date, jiff::Error> {
    match unit {
        CalendarUnit::Month => date.first_of_month().checked_add(Span::new().months(1)),
        CalendarUnit::Week => {
            let days = 7 - date.weekday().since(Weekday::Monday);
            date.checked_add(Span::new().days(days))
        }
        _ => date.tomorrow(),
    }
}

fn timestamp(time_us: i64) -> Result<Timestamp, CalendarError> {
    Timestamp::from_microsecond(time_us).map_err(|_| CalendarError::Time(time_us))
}

#[cfg(test)]
mod tests;
