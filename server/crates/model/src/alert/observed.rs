//! What is seen of a rule's metric, bucket by bucket.

use serde::{Deserialize, Serialize};

use crate::definition::PropertyRef;

/// What was seen of a rule's metric in one bucket, when it was judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// The rule's id.
    pub rule: String,
    /// The rule's version.
    pub version: u64,
    /// The bucket's beginning, microseconds since 1970.
    pub from_us: i64,
    /// Its end, exclusive.
    pub to_us: i64,
    /// Its beginning as the zone's wall clock shows it, as if that were UTC.
    pub local_us: i64,
    /// How complete it was.
    pub complete: Completeness,
    /// The series that have something in it. A known one that is not named has nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<Reading>,
    /// For series that an incident begins with: what probably moved them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drivers: Vec<(Series, Vec<Driver>)>,
}

/// A value of a property that explains part of a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Driver {
    /// The property.
    pub property: PropertyRef,
    /// Its value.
    pub value: Series,
    /// How it moved the number.
    pub kind: DriverKind,
    /// The share of the whole change that it explains; 1 is all of it.
    pub contribution: f64,
    /// The number of this value before, if there was one.
    pub before: Option<f64>,
    /// The number of this value in the incident, if there is one.
    pub after: Option<f64>,
}

/// How a value moved a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriverKind {
    /// There was more or less of it.
    Volume,
    /// Its own ratio or average changed.
    Rate,
    /// Its ratio or average stayed, but its share of all changed.
    Mix,
}

/// How complete a bucket was when it was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Completeness {
    /// The log position that the numbers hold for.
    pub position: u64,
    /// Append time before which every acknowledged event is in, microseconds since 1970.
    pub processed_us: i64,
    /// Numbered events of the project that are known to be missing.
    #[serde(default)]
    pub missing: u64,
    /// Events of the project in this bucket, of any name.
    #[serde(default)]
    pub events: u64,
    /// The server did not run all the time, so that nothing can be said.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub down: bool,
}

/// One series in one bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Which.
    #[serde(rename = "s", default, skip_serializing_if = "Series::is_whole")]
    pub series: Series,
    /// The number; none where there is none, for example the average of nothing.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Events, sessions, persons or numbers that it is made of; of ratios what is below the line.
    #[serde(rename = "n", default)]
    pub volume: f64,
    /// The number that it is compared with, of rules about changes.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub base: Option<f64>,
}

impl Reading {
    /// A series with nothing in it.
    pub fn of(series: Series) -> Self {
        Self { series, value: None, volume: 0.0, base: None }
    }
}

/// Which series of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Series {
    /// The only one: there is no breakdown.
    #[default]
    Whole,
    /// Events with this value.
    Value(String),
    /// Events without the property.
    NotSet,
}

impl Series {
    fn is_whole(&self) -> bool {
        *self == Self::Whole
    }

    /// The value as people read it; nothing of the whole.
    pub fn label(&self) -> Option<&str> {
        match self {
            Self::Whole => None,
            Self::Value(value) => Some(value),
            Self::NotSet => Some("(not set)"),
        }
    }
}

/// What a new rule learns from stored events before it judges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// The rule's id.
    pub rule: String,
    /// The rule's version.
    pub version: u64,
    /// Buckets in their order: from, to, wall clock, microseconds since 1970.
    pub buckets: Vec<(i64, i64, i64)>,
    /// The series.
    pub series: Vec<LearnedSeries>,
    /// Where judging begins: the end of the last bucket that was over, microseconds since 1970.
    pub upto_us: i64,
    /// Nothing more comes: from now on buckets are judged.
    pub last: bool,
}

/// A series that is learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearnedSeries {
    /// Which.
    pub series: Series,
    /// For each bucket the number, if there is one, and what it is made of.
    pub values: Vec<(Option<f64>, f64)>,
}
