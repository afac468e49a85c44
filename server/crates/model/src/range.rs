//! Spans of time that entries are counted in.

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ZonedDateTime};
use serde::{Deserialize, Serialize};

/// The longest rolling range, in days: ten years.
pub const MAX_LAST_DAYS: u32 = 3660;

/// A span of time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Range {
    /// Between two moments, microseconds since 1970.
    Fixed {
        /// The beginning, inclusive.
        from_us: i64,
        /// The end, exclusive.
        to_us: i64,
    },
    /// Since midnight in the zone.
    Today,
    /// Since Monday, midnight, in the zone.
    ThisWeek,
    /// The last N units up to now, rolling.
    Last {
        /// How many.
        n: u32,
        /// Of what.
        unit: RollingUnit,
    },
}

/// Units of a rolling range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RollingUnit {
    /// 60 seconds.
    Minutes,
    /// 60 minutes.
    Hours,
    /// Calendar days of the zone: the same time of day, so 23 or 25 hours where the clock changes.
    Days,
}

/// Why a range cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// The zone has no such name, or the machine has no time zone database.
    #[error("{0:?} is not the name of a time zone; use an IANA name such as \"Europe/Berlin\"")]
    TimeZone(String),
    /// A fixed range that ends before it begins, or is empty.
    #[error("the end ({to_us}) must be later than the beginning ({from_us})")]
    Empty {
        /// The beginning.
        from_us: i64,
        /// The end.
        to_us: i64,
    },
    /// A rolling range of nothing, or longer than ten years.
    #[error("the last N must be from one unit to {MAX_LAST_DAYS} days, not {n} {unit:?}")]
    Length {
        /// How many.
        n: u32,
        /// Of what.
        unit: RollingUnit,
    },
    /// The present moment is outside the calendar (years -9999 to 9999).
    #[error("{0} microseconds since 1970 is not a time")]
    Now(i64),
}

impl Range {
    /// Whether the range's beginning moves with time, so that people leave it without any event.
    pub fn moves(&self) -> bool {
        !matches!(self, Self::Fixed { .. })
    }

    /// Where the range lies at `now_us`, in the zone named `time_zone` (IANA; empty means UTC): the first
    /// moment in it, and the first moment behind it if it has an end, in microseconds since 1970.
    ///
    /// Only a fixed range has an end. The others reach to now; an event that a client's clock dates a little ahead
    /// counts at once, not when its moment comes, so that the state of a person is the same at every moment.
    ///
    /// # Errors
    /// If the zone is unknown, the span is empty or too long, or `now_us` is no time.
    pub fn resolve(&self, now_us: i64, time_zone: &str) -> Result<(i64, Option<i64>), RangeError> {
        self.check_span()?;
        if let Self::Fixed { from_us, to_us } = *self {
            return Ok((from_us, Some(to_us)));
        }
        let out_of_range = |_| RangeError::Now(now_us);
        let now =
            Timestamp::from_microsecond(now_us).map_err(out_of_range)?.to_zoned_datetime(zone(time_zone)?);
        let from = match *self {
            Self::Fixed { .. } | Self::Today => now.start_of_day(),
            Self::ThisWeek => monday(&now),
            Self::Last { n, unit } => now.checked_sub(unit.span(n)),
        };
        Ok((from.map_err(out_of_range)?.timestamp().as_microsecond(), None))
    }

    /// The same span directly before the one that [`Range::resolve`] gives at `now_us`, up to the same elapsed time: today at
    /// 10:00 it is yesterday up to 10:00. Days and weeks are the zone's, so that clocks that change move no edge. From the
    /// first moment in it to the first behind it, in microseconds since 1970; empty for a fixed range that has not begun.
    ///
    /// # Errors
    /// As [`Range::resolve`].
    pub fn previous(&self, now_us: i64, time_zone: &str) -> Result<(i64, i64), RangeError> {
        let (from_us, to_us) = self.resolve(now_us, time_zone)?;
        if let Some(to_us) = to_us {
            let length_us = to_us.saturating_sub(from_us);
            let elapsed_us = now_us.saturating_sub(from_us).clamp(0, length_us);
            let before_us = from_us.saturating_sub(length_us);
            return Ok((before_us, before_us.saturating_add(elapsed_us)));
        }
        let out_of_range = |_| RangeError::Now(now_us);
        let now =
            Timestamp::from_microsecond(now_us).map_err(out_of_range)?.to_zoned_datetime(zone(time_zone)?);
        let then = now.checked_sub(self.length()).map_err(out_of_range)?;
        let then_us = then.timestamp().as_microsecond();
        let before_us = match *self {
            Self::Last { n, unit } => {
                let before = now.checked_sub(unit.span(n.saturating_mul(2))).map_err(out_of_range)?;
                before.timestamp().as_microsecond()
            }
            _ => self.resolve(then_us, time_zone)?.0,
        };
        // Where clocks go back a moment of yesterday may come after today's beginning.
        let end_us = then_us.min(from_us);
        Ok((before_us.min(end_us), end_us))
    }

    /// How far back the span before lies.
    fn length(&self) -> Span {
        match *self {
            Self::Fixed { .. } | Self::Today => Span::new().days(1),
            Self::ThisWeek => Span::new().weeks(1),
            Self::Last { n, unit } => unit.span(n),
        }
    }

    /// Checks the span and the zone's name, as a definition's author should be told at once.
    ///
    /// # Errors
    /// If the zone is unknown, or the span is empty or too long.
    pub fn validate(&self, time_zone: &str) -> Result<(), RangeError> {
        zone(time_zone)?;
        self.check_span()
    }

    fn check_span(&self) -> Result<(), RangeError> {
        match *self {
            Self::Fixed { from_us, to_us } if from_us >= to_us => Err(RangeError::Empty { from_us, to_us }),
            Self::Last { n, unit } if !(1..=unit.most()).contains(&n) => Err(RangeError::Length { n, unit }),
            _ => Ok(()),
        }
    }
}

impl RollingUnit {
    fn span(self, n: u32) -> Span {
        match self {
            Self::Minutes => Span::new().minutes(n),
            Self::Hours => Span::new().hours(n),
            Self::Days => Span::new().days(n),
        }
    }

    fn most(self) -> u32 {
        match self {
            Self::Minutes => MAX_LAST_DAYS * 24 * 60,
            Self::Hours => MAX_LAST_DAYS * 24,
            Self::Days => MAX_LAST_DAYS,
        }
    }
}

/// The first moment of the week's Monday. The date is found first: a day may begin at 01:00.
fn monday(now: &ZonedDateTime) -> Result<ZonedDateTime, jiff::Error> {
    let days = now.weekday().since(Weekday::Monday);
    now.date().checked_sub(Span::new().days(days))?.to_zoned_datetime(now.time_zone().clone())?.start_of_day()
}

pub(crate) fn zone(name: &str) -> Result<TimeZone, RangeError> {
    if name.is_empty() || name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name).map_err(|_| RangeError::TimeZone(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BERLIN: &str = "Europe/Berlin";
    const HOUR: i64 = 3_600_000_000;

    fn us(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    fn from(range: Range, now: &str, zone: &str) -> String {
        let (from, to) = range.resolve(us(now), zone).unwrap();
        assert_eq!(to, None);
        Timestamp::from_microsecond(from).unwrap().to_string()
    }

    #[test]
    fn a_fixed_range_stays() {
        assert_eq!(Range::Fixed { from_us: 5, to_us: 9 }.resolve(1, BERLIN), Ok((5, Some(9))));
        let empty = Range::Fixed { from_us: 9, to_us: 9 }.resolve(1, BERLIN);
        assert_eq!(empty, Err(RangeError::Empty { from_us: 9, to_us: 9 }));
    }

    #[test]
    fn today_begins_at_the_zones_midnight() {
        assert_eq!(from(Range::Today, "2026-11-24T06:30:00Z", ""), "2026-11-24T00:00:00Z");
        assert_eq!(from(Range::Today, "2026-11-24T06:30:00Z", BERLIN), "2026-11-23T23:00:00Z");
        assert_eq!(from(Range::Today, "2026-11-23T23:00:00Z", BERLIN), "2026-11-23T23:00:00Z");
        assert_eq!(from(Range::Today, "2026-11-23T22:59:59.999999Z", BERLIN), "2026-11-22T23:00:00Z");
    }

    #[test]
    fn days_have_23_24_or_25_hours() {
        let length = |day: &str| {
            let date: jiff::civil::Date = day.parse().unwrap();
            let zone = zone(BERLIN).unwrap();
            let next = date.tomorrow().unwrap().to_zoned_datetime(zone).unwrap().timestamp().as_microsecond();
            let (from, _) = Range::Today.resolve(next - 1, BERLIN).unwrap();
            (next - from) / HOUR
        };
        assert_eq!(length("2026-03-29"), 23);
        assert_eq!(length("2026-06-01"), 24);
        assert_eq!(length("2026-10-25"), 25);
    }

    #[test]
    fn a_day_may_begin_at_one() {
        // Beirut's clock goes from 00:00 to 01:00 on 29 March 2026.
        let midday = "2026-03-29T09:00:00Z";
        assert_eq!(from(Range::Today, midday, "Asia/Beirut"), "2026-03-28T22:00:00Z");
        assert_eq!(from(Range::ThisWeek, midday, "Asia/Beirut"), "2026-03-22T22:00:00Z");
    }

    #[test]
    fn weeks_begin_on_monday() {
        // 24 November 2026 is a Tuesday.
        assert_eq!(from(Range::ThisWeek, "2026-11-24T06:30:00Z", BERLIN), "2026-11-22T23:00:00Z");
        assert_eq!(from(Range::ThisWeek, "2026-11-29T22:59:59Z", BERLIN), "2026-11-22T23:00:00Z");
        assert_eq!(from(Range::ThisWeek, "2026-11-29T23:00:00Z", BERLIN), "2026-11-29T23:00:00Z");
        // The week in which the clock goes back has 169 hours.
        assert_eq!(from(Range::ThisWeek, "2026-10-25T22:59:59Z", BERLIN), "2026-10-18T22:00:00Z");
    }

    #[test]
    fn the_last_days_keep_the_time_of_day_and_hours_do_not() {
        let last = |n, unit| Range::Last { n, unit };
        let after_the_change = "2026-10-25T11:00:00Z"; // 12:00 in Berlin, 25 hours after yesterday's 12:00.
        assert_eq!(from(last(1, RollingUnit::Days), after_the_change, BERLIN), "2026-10-24T10:00:00Z");
        assert_eq!(from(last(24, RollingUnit::Hours), after_the_change, BERLIN), "2026-10-24T11:00:00Z");
        assert_eq!(from(last(1, RollingUnit::Days), "2026-03-29T10:00:00Z", BERLIN), "2026-03-28T11:00:00Z");
        assert_eq!(from(last(90, RollingUnit::Minutes), "2026-11-24T06:30:00Z", ""), "2026-11-24T05:00:00Z");
    }

    #[test]
    fn the_longest_ranges_resolve_and_longer_ones_are_refused() {
        for unit in [RollingUnit::Minutes, RollingUnit::Hours, RollingUnit::Days] {
            let resolve = |n| Range::Last { n, unit }.resolve(us("2026-11-24T06:30:00Z"), BERLIN);
            assert!(resolve(unit.most()).is_ok(), "{unit:?}");
            assert_eq!(resolve(unit.most() + 1), Err(RangeError::Length { n: unit.most() + 1, unit }));
            assert_eq!(resolve(0), Err(RangeError::Length { n: 0, unit }));
        }
    }

    fn previous(range: &Range, now: &str) -> (String, String) {
        let text = |us| Timestamp::from_microsecond(us).unwrap().to_string();
        let (from, to) = range.previous(us(now), BERLIN).unwrap();
        (text(from), text(to))
    }

    #[test]
    fn the_span_before_ends_at_the_same_elapsed_time() {
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        let ten = "2026-11-24T09:00:00Z"; // A Tuesday, 10:00 in Berlin.
        let yesterday = pair("2026-11-22T23:00:00Z", "2026-11-23T09:00:00Z");
        assert_eq!(previous(&Range::Today, ten), yesterday);
        let last_week = pair("2026-11-15T23:00:00Z", "2026-11-17T09:00:00Z");
        assert_eq!(previous(&Range::ThisWeek, ten), last_week);
        let last = |n, unit| Range::Last { n, unit };
        let days = pair("2026-11-20T09:00:00Z", "2026-11-22T09:00:00Z");
        assert_eq!(previous(&last(2, RollingUnit::Days), ten), days);
        let minutes = pair("2026-11-24T07:00:00Z", "2026-11-24T08:00:00Z");
        assert_eq!(previous(&last(60, RollingUnit::Minutes), ten), minutes);
        // Clocks went back on Sunday: that day had 25 hours, and the Monday before was in summer time.
        let monday = "2026-10-26T09:00:00Z";
        let sunday = pair("2026-10-24T22:00:00Z", "2026-10-25T09:00:00Z");
        assert_eq!(previous(&Range::Today, monday), sunday);
        let summer = pair("2026-10-18T22:00:00Z", "2026-10-19T08:00:00Z");
        assert_eq!(previous(&Range::ThisWeek, monday), summer);
    }

    #[test]
    fn a_fixed_span_before_is_as_long_as_what_has_passed_of_it() {
        let range = Range::Fixed { from_us: 100, to_us: 150 };
        assert_eq!(range.previous(1_000, ""), Ok((50, 100)));
        assert_eq!(range.previous(120, ""), Ok((50, 70)));
        assert_eq!(range.previous(90, ""), Ok((50, 50)));
    }

    #[test]
    fn an_unknown_zone_is_named() {
        let error = Range::Today.resolve(0, "Europe/Atlantis").unwrap_err();
        assert_eq!(error, RangeError::TimeZone("Europe/Atlantis".into()));
        assert!(Range::Today.resolve(i64::MAX, "").is_err());
    }

    #[test]
    fn a_range_reads_well_in_a_file() {
        let range: Range = serde_json::from_str(r#"{"last": {"n": 7, "unit": "days"}}"#).unwrap();
        assert_eq!(range, Range::Last { n: 7, unit: RollingUnit::Days });
        assert_eq!(serde_json::from_str::<Range>(r#""today""#).unwrap(), Range::Today);
        assert_eq!(range.validate(BERLIN), Ok(()));
        assert!(Range::Fixed { from_us: 0, to_us: 1 }.validate("Europe/Atlantis").is_err());
    }
}
