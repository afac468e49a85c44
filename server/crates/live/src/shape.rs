//! How a metric or the sessions are looked at: over which range, and cut into what.

use footpath_engine::metric::Layout;
use footpath_model::calendar::{CalendarError, CalendarUnit, buckets};
use footpath_model::range::{Range, RangeError, RollingUnit};

/// Most columns of one shape.
pub const MAX_COLUMNS: usize = 1_500;

/// The smallest bucket that is kept.
const MINUTE_US: i64 = 60_000_000;

/// How numbers are looked at. All who look at them in the same way share one computation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Of the metrics that are made of sessions, which one; `None` is the sessions themselves. Nothing for others.
    pub metric: Option<String>,
    /// Over which range.
    pub range: Range,
    /// IANA name of the zone that days are cut in; empty is UTC.
    pub zone: String,
    /// What the range is cut into; `None` means that it is not cut.
    pub unit: Option<CalendarUnit>,
    /// How many values of a breakdown are named.
    pub top: usize,
}

/// Why numbers cannot be looked at this way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// The range or the zone is not good, or there are far too many columns.
    #[error(transparent)]
    Calendar(#[from] CalendarError),
    /// There are too many columns.
    #[error(
        "the range has {0} spans of this unit, more than {MAX_COLUMNS}; use a longer unit or a shorter range"
    )]
    TooMany(usize),
}

impl From<RangeError> for ShapeError {
    fn from(error: RangeError) -> Self {
        Self::Calendar(error.into())
    }
}

/// A range as it lies at a moment, and its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Laid {
    /// The beginning, inclusive, microseconds since 1970.
    pub from_us: i64,
    /// The end, exclusive, if there is one.
    pub to_us: Option<i64>,
    /// Its columns.
    pub layout: Layout,
}

impl Shape {
    /// Where the range lies at `now_us`. A rolling range begins with a full minute, because numbers are kept by the minute; one
    /// without an end has what is dated ahead in its last column.
    ///
    /// # Errors
    /// If the range or the zone is not good, or there are too many columns.
    pub fn lay(&self, now_us: i64) -> Result<Laid, ShapeError> {
        let (from_us, to_us) = self.range.resolve(now_us, &self.zone)?;
        let rolls = matches!(self.range, Range::Last { .. });
        let from_us = if rolls { from_us - from_us.rem_euclid(MINUTE_US) } else { from_us };
        let end_us = to_us.unwrap_or(i64::MAX);
        let Some(unit) = self.unit else {
            let layout = Layout { spans: vec![(from_us, end_us)], starts_us: Vec::new() };
            return Ok(Laid { from_us, to_us, layout });
        };
        let shown_us = to_us.unwrap_or_else(|| now_us.max(from_us.saturating_add(1)));
        let mut spans = buckets(from_us, shown_us, unit, &self.zone)?;
        if spans.len() > MAX_COLUMNS {
            return Err(ShapeError::TooMany(spans.len()));
        }
        spans.last_mut().into_iter().for_each(|last| last.1 = end_us);
        let starts_us = spans.iter().map(|span| span.0).collect();
        Ok(Laid { from_us, to_us, layout: Layout { spans, starts_us } })
    }

    /// The shapes that are compared with stored events: the last month by days, and two days by hours.
    pub fn compared(metric: Option<&str>) -> [Self; 2] {
        let shape = |n, unit| Self {
            metric: metric.map(str::to_owned),
            range: Range::Last { n, unit: RollingUnit::Days },
            zone: String::new(),
            unit: Some(unit),
            top: 1_000,
        };
        [shape(31, CalendarUnit::Day), shape(2, CalendarUnit::Hour)]
    }

    /// Something that changes whenever the range moves by what can be seen.
    pub fn minute(&self, now_us: i64) -> i64 {
        if self.range.moves() { now_us.div_euclid(MINUTE_US) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(range: Range, unit: Option<CalendarUnit>) -> Shape {
        Shape { metric: None, range, zone: String::new(), unit, top: 10 }
    }

    #[test]
    fn a_rolling_range_begins_with_a_full_minute_and_its_last_column_has_no_end() {
        let now_us = 1_000 * MINUTE_US + 17;
        let last = Range::Last { n: 2, unit: RollingUnit::Minutes };
        let laid = shape(last, Some(CalendarUnit::Minute)).lay(now_us).unwrap();
        assert_eq!((laid.from_us, laid.to_us), (998 * MINUTE_US, None));
        let minute = |n: i64| n * MINUTE_US;
        assert_eq!(laid.layout.starts_us, [minute(998), minute(999), minute(1000)]);
        assert_eq!(laid.layout.spans[2], (minute(1000), i64::MAX));
    }

    #[test]
    fn columns_have_a_bound() {
        let days = Range::Last { n: 2, unit: RollingUnit::Days };
        let error = shape(days, Some(CalendarUnit::Minute)).lay(1_000_000 * MINUTE_US).unwrap_err();
        assert_eq!(error, ShapeError::TooMany(2_880));
    }
}
