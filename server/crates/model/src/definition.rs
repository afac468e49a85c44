//! What is counted: funnels, metrics, segments, the conditions they are made of, and the rules that watch them.
//!
//! A definition is a record in the log, as JSON. Unknown fields are refused: what an older server does not know must
//! not silently define something else.

use std::fmt;

mod alert;
mod check;
mod condition;
mod funnel;
mod metric;
mod segment;

pub use alert::{
    Against, AlertCondition, AlertRule, Direction, FALSE_ALERTS, MAX_COOLDOWN_DAYS, MAX_TEXT_BYTES, PROD,
    Severity, fits,
};
pub use check::is_id;
pub(crate) use check::{Checker, regex};
pub use condition::{AllOf, AnyOf, AsOf, Condition, Filter, InSegment, NotThis, Op, PropertyRef, Scope};
pub use funnel::{
    Attribution, Counting, Entry, Exclusion, FunnelBreakdown, FunnelDefinition, OnExclusion, Order, Preset,
    Step, Ties, WindowFrom, WindowFunnel,
};
pub use metric::{Aggregate, MAX_PERCENTILES, Measure, MetricDefinition, SessionAggregate, Term};
pub use segment::SegmentDefinition;

/// Most steps of a funnel; the kernel keeps one bit per step.
pub const MAX_STEPS: usize = 20;
/// The shortest window: one second.
pub const MIN_WINDOW_US: i64 = 1_000_000;
/// The longest window: 366 days, so that a year fits in leap years too.
pub const MAX_WINDOW_US: i64 = 366 * 86_400 * 1_000_000;
/// Longest id, in characters.
pub const MAX_ID_CHARS: usize = 64;
/// Longest title, label, event name or property key, in bytes; ingest takes no longer names either.
pub const MAX_NAME_BYTES: usize = 255;
/// Most event names of a step.
pub const MAX_STEP_EVENTS: usize = 50;
/// Most conditions of a step, and parts of an `all` or `any`.
pub const MAX_STEP_FILTERS: usize = 20;
/// How deep `all`, `any` and `not` may be nested.
pub const MAX_FILTER_DEPTH: usize = 5;
/// Most exclusions of a funnel; the kernel keeps one bit for each.
pub const MAX_EXCLUSIONS: usize = 10;
/// Most properties that are held constant.
pub const MAX_HELD: usize = 3;
/// The longest tolerance for ties: a minute.
pub const MAX_TOLERANCE_US: i64 = 60_000_000;
/// Most memory of a compiled regular expression, in bytes.
pub const MAX_REGEX_BYTES: usize = 1 << 20;
/// Most values of a condition.
pub const MAX_CONDITION_VALUES: usize = 100;
/// Longest value of a condition, in bytes.
pub const MAX_VALUE_BYTES: usize = 1024;

/// A condition's value as a finite number, if it is written like one.
pub fn number(value: &str) -> Option<f64> {
    value.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A condition's value as a moment, microseconds since 1970, if it is written like one: RFC 3339.
pub fn time(value: &str) -> Option<i64> {
    value.parse().ok().map(jiff::Timestamp::as_microsecond)
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The path of the field as the API names it, for example `steps[1].events`.
    pub field: String,
    /// What is wrong and what is allowed.
    pub problem: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

/// Everything that is wrong with a definition, in the order of its fields; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct InvalidDefinition(pub Vec<FieldError>);

impl fmt::Display for InvalidDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
