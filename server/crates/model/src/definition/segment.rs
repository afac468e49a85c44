//! Segments: filters with a name, that definitions share.

use serde::{Deserialize, Serialize};

use super::InvalidDefinition;
use super::check::Checker;
use super::condition::Filter;

/// A filter with a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentDefinition {
    /// Chosen by the client: 1 to 64 of `a-z`, `0-9`, `-`, `_`.
    pub id: String,
    /// For people; may be empty.
    #[serde(default)]
    pub name: String,
    /// The server's version, 1 with the first.
    #[serde(default)]
    pub version: u64,
    /// What an event has to fulfil.
    pub filter: Filter,
}

impl SegmentDefinition {
    /// Checks every limit.
    ///
    /// # Errors
    /// All violations at once, each with the path of its field.
    pub fn validate(&self) -> Result<(), InvalidDefinition> {
        let mut check = Checker::default();
        check.identity(&self.id, &self.name);
        check.filter("filter", &self.filter, false);
        let mut filter = self.filter.clone();
        filter.each_segment(&mut |_| {
            check.that(false, "filter", || "a segment cannot be made of other segments".into());
        });
        check.finish()
    }
}
