//! Conditions and what they are made of: properties, comparisons, and, or, not.

use serde::{Deserialize, Serialize};

/// Whose property it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Scope {
    /// The event's own.
    #[default]
    Event,
    /// Of the situation the batch was recorded in: `os`, `app_version`, `campaign.source`, ...
    Context,
    /// The person's.
    Person,
    /// Of the group of this type that the event names, for example "company".
    Group(String),
}

/// Which value of a person's or group's property counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AsOf {
    /// The one it had when the event happened.
    #[default]
    AtEvent,
    /// The one it had when the person entered the funnel.
    AtEntry,
    /// The newest one.
    Current,
}

/// Names a property.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PropertyRef {
    /// Its key.
    pub property: String,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scope: Scope,
    /// Which value, for persons and groups.
    #[serde(default, skip_serializing_if = "is_default")]
    pub as_of: AsOf,
}

/// A comparison of one property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The property's key.
    pub property: String,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scope: Scope,
    /// Which value, for persons and groups.
    #[serde(default, skip_serializing_if = "is_default")]
    pub as_of: AsOf,
    /// The comparison.
    pub op: Op,
    /// What to compare with, as text; a number, a time or `true` is compared with as what it reads as. How many there
    /// may be depends on the comparison.
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
    /// Text that one of the regular expressions matches anywhere.
    Regex,
    /// A number above the value, or a time after it.
    Gt,
    /// A number not below the value, or a time not before it.
    Gte,
    /// A number below the value, or a time before it.
    Lt,
    /// A number not above the value, or a time not after it.
    Lte,
    /// Present, whatever its value.
    IsSet,
    /// Not present.
    IsNotSet,
}

/// What an event has to fulfil: comparisons, put together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Filter {
    /// One comparison.
    Is(Condition),
    /// All of them.
    All(AllOf),
    /// At least one of them.
    Any(AnyOf),
    /// Not this one.
    Not(NotThis),
    /// What a segment says.
    Segment(InSegment),
}

/// All of them; nothing is always true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllOf {
    /// The parts.
    pub all: Vec<Filter>,
}

/// At least one of them; of nothing, none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnyOf {
    /// The parts.
    pub any: Vec<Filter>,
}

/// Not this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotThis {
    /// What must not hold.
    pub not: Box<Filter>,
}

/// A segment by its id. Whoever writes the definition's record puts in what the segment says at that moment, so that a record
/// means the same for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InSegment {
    /// The segment's id.
    pub segment: String,
    /// What it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub means: Option<Box<Filter>>,
}

impl Filter {
    /// All of `parts`.
    pub fn all(parts: Vec<Self>) -> Self {
        Self::All(AllOf { all: parts })
    }

    /// At least one of `parts`.
    pub fn any(parts: Vec<Self>) -> Self {
        Self::Any(AnyOf { any: parts })
    }

    /// The opposite of `part`.
    #[expect(clippy::should_implement_trait, reason = "it names a kind of filter, like `all` and `any`")]
    pub fn not(part: Self) -> Self {
        Self::Not(NotThis { not: Box::new(part) })
    }

    /// Shows every comparison, segments' own included.
    pub fn each(&self, see: &mut dyn FnMut(&Condition)) {
        match self {
            Self::Is(condition) => see(condition),
            Self::All(AllOf { all: parts }) | Self::Any(AnyOf { any: parts }) => {
                parts.iter().for_each(|part| part.each(see));
            }
            Self::Not(NotThis { not }) => not.each(see),
            Self::Segment(InSegment { means, .. }) => means.iter().for_each(|means| means.each(see)),
        }
    }

    /// Shows every segment that is named, for whoever puts in what they say.
    pub fn each_segment(&mut self, see: &mut dyn FnMut(&mut InSegment)) {
        match self {
            Self::Is(_) => {}
            Self::All(AllOf { all: parts }) | Self::Any(AnyOf { any: parts }) => {
                parts.iter_mut().for_each(|part| part.each_segment(see));
            }
            Self::Not(NotThis { not }) => not.each_segment(see),
            Self::Segment(segment) => see(segment),
        }
    }
}

impl From<Condition> for Filter {
    fn from(condition: Condition) -> Self {
        Self::Is(condition)
    }
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
