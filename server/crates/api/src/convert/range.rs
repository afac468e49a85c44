//! Ranges of time, from the API's messages and to them.

use footpath_model::props::rfc3339;
use footpath_model::range::{MAX_LAST_DAYS, Range, RangeError, RollingUnit};
use footpath_proto::v1;
use tonic::Status;

use crate::status::invalid;

/// A range from the API; left out, the last 30 days. `zone` is what an empty one means: the project's.
///
/// # Errors
/// INVALID_ARGUMENT that names the field.
pub fn range(range: Option<&v1::TimeRange>, zone: &str) -> Result<(Range, String), Status> {
    use v1::time_range::Kind;
    let own = range.map(|r| r.time_zone.as_str()).filter(|own| !own.is_empty());
    let zone = own.unwrap_or(zone).to_owned();
    let kind = match range.and_then(|r| r.kind.as_ref()) {
        None => Range::Last { n: 30, unit: RollingUnit::Days },
        Some(Kind::Fixed(f)) => {
            Range::Fixed { from_us: moment("from", &f.from)?, to_us: moment("to", &f.to)? }
        }
        Some(Kind::Current(c)) => match v1::CalendarRange::try_from(*c) {
            Ok(v1::CalendarRange::Today) => Range::Today,
            Ok(v1::CalendarRange::ThisWeek) => Range::ThisWeek,
            _ => return Err(invalid("range_invalid", "range.current: name today or this week")),
        },
        Some(Kind::Last(last)) => {
            let unit = match last.unit() {
                v1::TimeUnit::Minute => RollingUnit::Minutes,
                v1::TimeUnit::Hour => RollingUnit::Hours,
                v1::TimeUnit::Day => RollingUnit::Days,
                v1::TimeUnit::Unspecified => {
                    return Err(invalid("range_invalid", "range.last.unit: name a unit"));
                }
            };
            Range::Last { n: last.count, unit }
        }
    };
    kind.validate(&zone).map_err(|e| range_invalid(&e))?;
    Ok((kind, zone))
}

fn range_invalid(error: &RangeError) -> Status {
    let what = match error {
        RangeError::TimeZone(_) => format!("range.time_zone: {error}"),
        RangeError::Empty { .. } => "range.fixed: `to` must be later than `from`".to_owned(),
        RangeError::Length { n, .. } => {
            format!("range.last.count: from one unit to {MAX_LAST_DAYS} days, not {n} of this unit")
        }
        RangeError::Now(_) => format!("range: {error}"),
    };
    invalid("range_invalid", &what)
}

fn moment(field: &str, text: &str) -> Result<i64, Status> {
    text.parse::<jiff::Timestamp>()
        .map(jiff::Timestamp::as_microsecond)
        .map_err(|e| invalid("range_invalid", &format!("range.fixed.{field}: {text:?} is not RFC 3339: {e}")))
}

/// A range as the API shows it.
pub fn range_message(range: &Range, zone: &str) -> v1::TimeRange {
    use v1::time_range::Kind;
    let kind = match range {
        Range::Fixed { from_us, to_us } => {
            Kind::Fixed(v1::FixedRange { from: rfc3339(*from_us), to: rfc3339(*to_us) })
        }
        Range::Today => Kind::Current(v1::CalendarRange::Today.into()),
        Range::ThisWeek => Kind::Current(v1::CalendarRange::ThisWeek.into()),
        Range::Last { n, unit } => {
            let unit = match unit {
                RollingUnit::Minutes => v1::TimeUnit::Minute,
                RollingUnit::Hours => v1::TimeUnit::Hour,
                RollingUnit::Days => v1::TimeUnit::Day,
            };
            Kind::Last(v1::RollingRange { count: *n, unit: unit.into() })
        }
    };
    v1::TimeRange { kind: Some(kind), time_zone: zone.to_owned() }
}

#[cfg(test)]
mod tests {
    use v1::time_range::Kind;

    use super::*;

    fn why(kind: Kind, zone: &str) -> String {
        let asked = v1::TimeRange { kind: Some(kind), time_zone: zone.into() };
        range(Some(&asked), "UTC").unwrap_err().message().to_owned()
    }

    #[test]
    fn what_is_wrong_with_a_range_is_named_as_in_the_api() {
        let fixed = |from: &str, to: &str| Kind::Fixed(v1::FixedRange { from: from.into(), to: to.into() });
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
        let last = |count| Kind::Last(v1::RollingRange { count, unit: v1::TimeUnit::Day.into() });
        assert!(why(fixed("soon", late), "").starts_with("range.fixed.from: \"soon\""));
        assert!(why(fixed(early, "soon"), "").starts_with("range.fixed.to: \"soon\""));
        assert_eq!(why(fixed(late, early), ""), "range.fixed: `to` must be later than `from`");
        assert!(why(last(0), "").starts_with("range.last.count: "));
        assert!(why(last(9), "Nowhere").starts_with("range.time_zone: \"Nowhere\""));
    }
}
