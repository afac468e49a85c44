//! Spans of time as people write them in files: "90s", "last 30 days", "today".

use std::fmt;
use std::str::FromStr;

use footpath_proto::v1;
use serde::{Deserialize, Serialize};
use v1::time_range::Kind;

/// Units of a window, largest first, in microseconds.
const UNITS: [(&str, i64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// A length of time, written as a number and one unit: "30d", "12h", "90m", "45s", "1500ms".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    /// Microseconds.
    pub us: i64,
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with('-') {
            return Err(format!(
                "{text:?} is negative, which a length of time is not; write it like 30d, 12h, 90m or 45s"
            ));
        }
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let length = UNITS.iter().find(|(name, _)| *name == unit.trim()).map(|(_, us)| us);
        let us = number.parse().ok().zip(length).and_then(|(n, us): (i64, &i64)| n.checked_mul(*us));
        us.map(|us| Self { us })
            .ok_or_else(|| format!("{text:?} is no length of time; write it like 30d, 12h, 90m or 45s"))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing fits every unit; people say it in seconds.
        let fits = UNITS.iter().find(|(_, us)| self.us != 0 && self.us % us == 0);
        let (unit, us) = fits.unwrap_or(&("s", 1_000_000));
        write!(f, "{}{unit}", self.us / us)
    }
}

impl From<prost_types::Duration> for Window {
    fn from(duration: prost_types::Duration) -> Self {
        Self { us: duration.seconds * 1_000_000 + i64::from(duration.nanos) / 1_000 }
    }
}

impl From<Window> for prost_types::Duration {
    fn from(window: Window) -> Self {
        let nanos = i32::try_from(window.us.rem_euclid(1_000_000) * 1_000).unwrap_or(0);
        Self { seconds: window.us.div_euclid(1_000_000), nanos }
    }
}

/// A range, written "last 30 days", "today", "this week" or "2026-01-01T00:00:00Z to 2026-02-01T00:00:00Z".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Range {
    /// The last so many units.
    Last(u32, v1::TimeUnit),
    /// Since midnight.
    Today,
    /// Since Monday.
    ThisWeek,
    /// From a moment, inclusive, to another, exclusive.
    Fixed(jiff::Timestamp, jiff::Timestamp),
}

impl Default for Range {
    /// What the server takes when a definition names none.
    fn default() -> Self {
        Self::Last(30, v1::TimeUnit::Day)
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let range = match text.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["today"] => Some(Self::Today),
            ["this", "week"] => Some(Self::ThisWeek),
            ["last", count, unit] => {
                count.parse().ok().zip(time_unit(unit)).map(|(n, unit)| Self::Last(n, unit))
            }
            [from, "to", to] => {
                from.parse().ok().zip(to.parse().ok()).map(|(from, to)| Self::Fixed(from, to))
            }
            _ => None,
        };
        range.ok_or_else(|| {
            format!(
                "{text:?} is no range; write \"last 30 days\", \"today\", \"this week\", or two moments: \
                 \"2026-01-01T00:00:00Z to 2026-02-01T00:00:00Z\""
            )
        })
    }
}

fn time_unit(word: &str) -> Option<v1::TimeUnit> {
    match word.strip_suffix('s').unwrap_or(word) {
        "minute" => Some(v1::TimeUnit::Minute),
        "hour" => Some(v1::TimeUnit::Hour),
        "day" => Some(v1::TimeUnit::Day),
        _ => None,
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Today => f.write_str("today"),
            Self::ThisWeek => f.write_str("this week"),
            Self::Fixed(from, to) => write!(f, "{from} to {to}"),
            Self::Last(count, unit) => {
                let word = match unit {
                    v1::TimeUnit::Minute => "minute",
                    v1::TimeUnit::Hour => "hour",
                    _ => "day",
                };
                write!(f, "last {count} {word}{}", if *count == 1 { "" } else { "s" })
            }
        }
    }
}

impl TryFrom<Kind> for Range {
    type Error = String;

    fn try_from(kind: Kind) -> Result<Self, String> {
        match kind {
            Kind::Last(last) => Ok(Self::Last(last.count, last.unit())),
            Kind::Current(which) if which == v1::CalendarRange::Today as i32 => Ok(Self::Today),
            Kind::Current(_) => Ok(Self::ThisWeek),
            Kind::Fixed(fixed) => format!("{} to {}", fixed.from, fixed.to).parse(),
        }
    }
}

impl From<Range> for Kind {
    fn from(range: Range) -> Self {
        match range {
            Range::Last(count, unit) => Self::Last(v1::RollingRange { count, unit: unit.into() }),
            Range::Today => Self::Current(v1::CalendarRange::Today.into()),
            Range::ThisWeek => Self::Current(v1::CalendarRange::ThisWeek.into()),
            Range::Fixed(from, to) => {
                Self::Fixed(v1::FixedRange { from: from.to_string(), to: to.to_string() })
            }
        }
    }
}

macro_rules! as_text {
    ($($type:ty),*) => {$(
        impl TryFrom<String> for $type {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    )*};
}

as_text!(Window, Range);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_written_in_the_largest_unit_that_fits() {
        for (text, us, again) in [
            ("30d", 2_592_000_000_000, "30d"),
            ("90m", 5_400_000_000, "90m"),
            ("120s", 120_000_000, "2m"),
            ("1 h", 3_600_000_000, "1h"),
            ("1500ms", 1_500_000, "1500ms"),
            ("7us", 7, "7us"),
            ("0d", 0, "0s"),
        ] {
            let window: Window = text.parse().unwrap();
            assert_eq!((window.us, window.to_string().as_str()), (us, again));
            assert_eq!(Window::from(prost_types::Duration::from(window)), window);
        }
        for wrong in ["", "d", "3", "3 weeks", "-1h", "1.5h", "99999999999999d"] {
            assert!(wrong.parse::<Window>().is_err(), "{wrong}");
        }
        assert!("-1h".parse::<Window>().unwrap_err().contains("negative"));
    }

    #[test]
    fn ranges_are_read_and_written_alike() {
        for text in [
            "last 30 days",
            "last 1 minute",
            "today",
            "this week",
            "2026-01-01T00:00:00Z to 2026-02-01T00:00:00Z",
        ] {
            let range: Range = text.parse().unwrap();
            assert_eq!(range.to_string(), text);
            assert_eq!(Range::try_from(Kind::from(range.clone())), Ok(range));
        }
        for wrong in
            ["", "last week", "last days", "last 3 moons", "yesterday to today", "2026-01-01T00:00:00Z"]
        {
            assert!(wrong.parse::<Range>().is_err(), "{wrong}");
        }
    }
}
