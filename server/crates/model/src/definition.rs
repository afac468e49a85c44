//! What is counted: funnels, their steps and the conditions of a step.
//!
//! A definition is a record in the log, as JSON. Unknown fields are refused: what an older server does not know must
//! not silently define something else.

use std::fmt;

use serde::{Deserialize, Serialize};

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
/// Most conditions of a step.
pub const MAX_STEP_FILTERS: usize = 20;
/// Most values of a condition.
pub const MAX_CONDITION_VALUES: usize = 100;
/// Longest value of a condition, in bytes.
pub const MAX_VALUE_BYTES: usize = 1024;

/// A funnel: steps that persons take one after another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunnelDefinition {
    /// Chosen by the client: 1 to 64 of `a-z`, `0-9`, `-`, `_`.
    pub id: String,
    /// For people; may be empty.
    #[serde(default)]
    pub name: String,
    /// The server's version, 1 with the first; 0 for one that was only asked for.
    #[serde(default)]
    pub version: u64,
    /// 1 to 20 steps.
    pub steps: Vec<Step>,
    /// A conversion finishes within this many microseconds of its first step, inclusive. 1 s to 366 d.
    pub window_us: i64,
    /// Which of several entries counts.
    #[serde(default)]
    pub entry: Entry,
    /// Whether and how other events may come in between.
    #[serde(default)]
    pub order: Order,
    /// What is counted.
    #[serde(default)]
    pub counting: Counting,
}

/// Which of several entries counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// A newer step-1 event restarts an unfinished chain if that gets deeper.
    #[default]
    Latest,
}

/// Whether and how other events may come in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Steps in order; anything may happen in between.
    #[default]
    Ordered,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counting {
    /// Unique persons: each counts once, with the deepest chain.
    #[default]
    Persons,
}

/// One step: an event with one of the names, all conditions true.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// For people; empty means the first event's name.
    #[serde(default)]
    pub name: String,
    /// Event names, any of them.
    pub events: Vec<String>,
    /// Conditions on the event's properties, all of them.
    #[serde(default)]
    pub filters: Vec<Condition>,
}

impl Step {
    /// What to call the step: its name, or its first event's.
    pub fn label(&self) -> &str {
        if self.name.is_empty() { self.events.first().map_or("", String::as_str) } else { &self.name }
    }
}

/// A comparison of one property of the event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The property's key.
    pub property: String,
    /// The comparison.
    pub op: Op,
    /// What to compare with, as text; a number or `true` is compared with as what it reads as. How many there may be
    /// depends on the comparison.
    #[serde(default)]
    pub values: Vec<String>,
}

/// Comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Set, and equal to none of the values.
    NotEq,
    /// Equal to one of the values.
    In,
    /// Text that contains one of the values.
    Contains,
    /// Text that begins with one of the values.
    Prefix,
    /// A number above the value.
    Gt,
    /// A number not below the value.
    Gte,
    /// A number below the value.
    Lt,
    /// A number not above the value.
    Lte,
    /// Present, whatever its value.
    IsSet,
    /// Not present.
    IsNotSet,
}

/// A condition's value as a finite number, if it is written like one.
pub fn number(value: &str) -> Option<f64> {
    value.parse().ok().filter(|number: &f64| number.is_finite())
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

impl FunnelDefinition {
    /// Checks every limit.
    ///
    /// # Errors
    /// All violations at once, each with the path of its field.
    pub fn validate(&self) -> Result<(), InvalidDefinition> {
        let mut check = Checker::default();
        check.that(is_id(&self.id), "id", || "1 to 64 of a-z, 0-9, \"-\" and \"_\"".into());
        check.words("title", &self.name);
        check.count("steps", self.steps.len(), 1, MAX_STEPS);
        for (i, step) in self.steps.iter().take(MAX_STEPS).enumerate() {
            check.step(&format!("steps[{i}]"), step);
        }
        check.that((MIN_WINDOW_US..=MAX_WINDOW_US).contains(&self.window_us), "window", || {
            format!("from 1 s to 366 d, not {} s", self.window_us as f64 / 1e6)
        });
        check.finish()
    }
}

fn is_id(id: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'_');
    (1..=MAX_ID_CHARS).contains(&id.len()) && id.bytes().all(allowed)
}

#[derive(Default)]
struct Checker(Vec<FieldError>);

impl Checker {
    fn that(&mut self, holds: bool, field: &str, problem: impl FnOnce() -> String) {
        if !holds {
            self.0.push(FieldError { field: field.to_owned(), problem: problem() });
        }
    }

    fn finish(self) -> Result<(), InvalidDefinition> {
        if self.0.is_empty() { Ok(()) } else { Err(InvalidDefinition(self.0)) }
    }

    fn count(&mut self, field: &str, found: usize, min: usize, max: usize) {
        self.that((min..=max).contains(&found), field, || match (min, max) {
            (_, 0) => format!("takes none, not {found}"),
            (1, 1) => format!("takes exactly one, not {found}"),
            _ => format!("{min} to {max} are allowed, not {found}"),
        });
    }

    fn length(&mut self, field: &str, text: &str) {
        self.that(text.len() <= MAX_NAME_BYTES, field, || {
            format!("at most {MAX_NAME_BYTES} bytes, not {}", text.len())
        });
    }

    /// A text for people.
    fn words(&mut self, field: &str, text: &str) {
        self.length(field, text);
        self.that(!text.chars().any(char::is_control), field, || "no control characters".into());
    }

    fn name(&mut self, field: &str, text: &str) {
        self.that(!text.is_empty(), field, || "must not be empty".into());
        self.length(field, text);
    }

    fn step(&mut self, path: &str, step: &Step) {
        self.words(&format!("{path}.label"), &step.name);
        self.count(&format!("{path}.events"), step.events.len(), 1, MAX_STEP_EVENTS);
        for (i, event) in step.events.iter().take(MAX_STEP_EVENTS).enumerate() {
            self.name(&format!("{path}.events[{i}]"), event);
        }
        self.count(&format!("{path}.conditions"), step.filters.len(), 0, MAX_STEP_FILTERS);
        for (i, filter) in step.filters.iter().take(MAX_STEP_FILTERS).enumerate() {
            self.condition(&format!("{path}.conditions[{i}]"), filter);
        }
    }

    fn condition(&mut self, path: &str, condition: &Condition) {
        self.name(&format!("{path}.property"), &condition.property);
        let (min, max) = match condition.op {
            Op::IsSet | Op::IsNotSet => (0, 0),
            Op::Gt | Op::Gte | Op::Lt | Op::Lte => (1, 1),
            Op::NotEq | Op::In | Op::Contains | Op::Prefix => (1, MAX_CONDITION_VALUES),
        };
        self.count(&format!("{path}.values"), condition.values.len(), min, max);
        for (i, value) in condition.values.iter().take(max).enumerate() {
            if let Some(problem) = value_problem(condition.op, value) {
                self.that(false, &format!("{path}.values[{i}]"), || problem);
            }
        }
    }
}

fn value_problem(op: Op, value: &str) -> Option<String> {
    if value.len() > MAX_VALUE_BYTES {
        return Some(format!("at most {MAX_VALUE_BYTES} bytes, not {}", value.len()));
    }
    match op {
        Op::Gt | Op::Gte | Op::Lt | Op::Lte if number(value).is_none() => Some("must be a number".into()),
        Op::Contains | Op::Prefix if value.is_empty() => {
            Some("must not be empty: every text would match".into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
