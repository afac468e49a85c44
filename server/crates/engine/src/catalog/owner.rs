//! Whose properties there are, and how one looks from outside.

use super::ValueType;

/// Whose property it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner<'a> {
    /// Of events of this name.
    Event(&'a str),
    /// Of contexts, by the names of `footpath.v1.Context`: "os", "campaign.source".
    Context,
    /// Of persons.
    Person,
    /// Of groups of this type.
    Group(&'a str),
}

/// A property as it was seen. Times are receipts, microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertySeen<'a> {
    /// Whose it is.
    pub owner: Owner<'a>,
    /// Its key.
    pub key: &'a str,
    /// The types of its values that were seen, each with how often: among the events that were looked at, each event
    /// of a batch for a property of its context. Empty where it was only ever unset.
    pub types: Vec<(ValueType, u64)>,
    /// The first receipt.
    pub first_us: i64,
    /// The last receipt.
    pub last_us: i64,
    /// Some of its values.
    pub samples: &'a [String],
}
