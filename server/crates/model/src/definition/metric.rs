//! Metrics: numbers over time.

use serde::{Deserialize, Serialize};

use super::InvalidDefinition;
use super::check::Checker;
use super::condition::{AsOf, Filter, PropertyRef, Scope, is_default};

/// Most percentiles of a metric.
pub const MAX_PERCENTILES: usize = 10;

/// A metric: a number for every span of time, and for each value of a property if asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricDefinition {
    /// Chosen by the client: 1 to 64 of `a-z`, `0-9`, `-`, `_`.
    pub id: String,
    /// For people; may be empty.
    #[serde(default)]
    pub name: String,
    /// The server's version, 1 with the first; 0 for one that was only asked for.
    #[serde(default)]
    pub version: u64,
    /// What is measured.
    pub measure: Measure,
    /// Numbers for each value of a property.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breakdown: Option<PropertyRef>,
    /// Counts what the project's filter for internal traffic and bots leaves out elsewhere.
    #[serde(default, skip_serializing_if = "is_default")]
    pub include_internal: bool,
}

/// What is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Something of events.
    Events(Term),
    /// One number over another.
    Ratio {
        /// Above the line.
        numerator: Term,
        /// Below it; where it is 0 there is no ratio.
        denominator: Term,
    },
    /// Something of sessions, by the time of their beginning.
    Sessions(SessionAggregate),
    /// The share of those who entered a funnel in a span of time that reached a step of it.
    Conversion {
        /// The funnel's id.
        funnel: String,
        /// The step they reached, counted from 1; 0 is the last.
        #[serde(default)]
        step: u32,
    },
}

/// Something of events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// Event names, any of them; none means all events.
    #[serde(default)]
    pub events: Vec<String>,
    /// What the event has to fulfil, all of it.
    #[serde(default)]
    pub filters: Vec<Filter>,
    /// What is made of them.
    pub aggregate: Aggregate,
}

/// What is made of events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// How many there are.
    Count,
    /// How many persons they are of.
    Uniques,
    /// The sum of a property.
    Sum(String),
    /// Its average.
    Average(String),
    /// Its smallest value.
    Min(String),
    /// Its largest value.
    Max(String),
    /// Values that so many per cent of it do not exceed.
    Percentiles {
        /// The property.
        property: String,
        /// 0 to 100.
        percentiles: Vec<f64>,
    },
}

impl Aggregate {
    /// The property it is made of.
    pub fn property(&self) -> Option<&str> {
        match self {
            Self::Count | Self::Uniques => None,
            Self::Sum(property)
            | Self::Average(property)
            | Self::Min(property)
            | Self::Max(property)
            | Self::Percentiles { property, .. } => Some(property),
        }
    }
}

/// What is made of sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionAggregate {
    /// How many began.
    Count,
    /// How many persons they are of.
    Uniques,
    /// The share of those with a single event.
    BounceRate,
    /// Seconds from the first event to the last, on average.
    AverageDuration,
    /// Seconds that so many per cent of them do not exceed.
    DurationPercentiles(Vec<f64>),
    /// Events, on average.
    AverageEvents,
}

impl Measure {
    /// The terms that it is made of, a ratio's numerator first; sessions and conversions have none.
    pub fn terms(&self) -> Vec<&Term> {
        match self {
            Self::Events(term) => vec![term],
            Self::Ratio { numerator, denominator } => vec![numerator, denominator],
            Self::Sessions(_) | Self::Conversion { .. } => Vec::new(),
        }
    }

    /// The same, to be changed.
    pub fn terms_mut(&mut self) -> Vec<&mut Term> {
        match self {
            Self::Events(term) => vec![term],
            Self::Ratio { numerator, denominator } => vec![numerator, denominator],
            Self::Sessions(_) | Self::Conversion { .. } => Vec::new(),
        }
    }
}

impl MetricDefinition {
    /// The percentiles that it asks for, in its order; none of other measures.
    pub fn percentiles(&self) -> &[f64] {
        match &self.measure {
            Measure::Events(Term { aggregate: Aggregate::Percentiles { percentiles, .. }, .. })
            | Measure::Sessions(SessionAggregate::DurationPercentiles(percentiles)) => percentiles,
            _ => &[],
        }
    }

    /// Checks every limit.
    ///
    /// # Errors
    /// All violations at once, each with the path of its field.
    pub fn validate(&self) -> Result<(), InvalidDefinition> {
        let mut check = Checker::default();
        check.identity(&self.id, &self.name);
        match &self.measure {
            Measure::Events(term) => check.term("events", term),
            Measure::Ratio { numerator, denominator } => {
                check.term("ratio.numerator", numerator);
                check.term("ratio.denominator", denominator);
                for (field, term) in [("ratio.numerator", numerator), ("ratio.denominator", denominator)] {
                    let plain = !matches!(term.aggregate, Aggregate::Percentiles { .. });
                    check.that(plain, &format!("{field}.percentiles"), || "have no ratio".into());
                }
            }
            Measure::Sessions(SessionAggregate::DurationPercentiles(percentiles)) => {
                check.percentiles("sessions.percentiles", percentiles);
            }
            Measure::Sessions(_) => {}
            Measure::Conversion { funnel, .. } => check.name("conversion.funnel_id", funnel),
        }
        if let Some(by) = &self.breakdown {
            check.property("breakdown", by);
            check.that(by.as_of != AsOf::AtEntry, "breakdown.moment", || "metrics have no entry".into());
            let of_sessions = matches!(self.measure, Measure::Sessions(_));
            let known = ["entry_event", "exit_event"].contains(&by.property.as_str());
            check.that(!of_sessions || (by.scope == Scope::Event && known), "breakdown", || {
                "sessions are broken down by entry_event or exit_event".into()
            });
            check.that(!matches!(self.measure, Measure::Conversion { .. }), "breakdown", || {
                "a conversion is broken down by its funnel's own breakdown".into()
            });
        }
        check.finish()
    }
}
