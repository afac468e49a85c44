//! What people say: about incidents, and about what happened to the project.

use serde::{Deserialize, Serialize};

use super::Series;
use crate::definition::{Checker, InvalidDefinition, MAX_TEXT_BYTES, Severity};

/// What somebody did about an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentChange {
    /// The incident's id.
    pub incident: String,
    /// Its rule.
    pub rule: String,
    /// Its series.
    pub series: Series,
    /// When it began, microseconds since 1970.
    pub from_us: i64,
    /// How bad it is.
    pub severity: Severity,
    /// Who.
    pub by: String,
    /// What.
    pub act: IncidentAct,
}

/// What can be done about an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentAct {
    /// Somebody looks after it.
    Acknowledge {},
    /// It is over, somebody says.
    Resolve {},
    /// A remark.
    Comment {
        /// The remark.
        text: String,
    },
    /// Nobody is told that it gets worse until then; 0 ends that.
    Mute {
        /// Microseconds since 1970.
        until_us: i64,
    },
    /// Somebody else looks after it.
    Assign {
        /// Who.
        owner: String,
    },
    /// Something was done against it; the numbers before and after are compared.
    Action {
        /// What was done.
        text: String,
        /// When, microseconds since 1970.
        at_us: i64,
    },
}

/// Something that happened to the project and explains numbers: a release, a promotion, a holiday.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Annotation {
    /// Chosen by the client: 1 to 64 of `a-z`, `0-9`, `-`, `_`.
    pub id: String,
    /// What happened.
    pub text: String,
    /// What kind of thing: "release", "promotion", "holiday", ...; may be empty.
    #[serde(default)]
    pub kind: String,
    /// When it began, microseconds since 1970.
    pub from_us: i64,
    /// When it ended; the same as the beginning for a moment.
    pub to_us: i64,
    /// Who said so.
    pub by: String,
    /// Numbers are expected to be special: they teach the usual ones nothing, and are learned for days of this kind.
    #[serde(default)]
    pub special: bool,
}

impl Annotation {
    /// Checks every limit.
    ///
    /// # Errors
    /// All violations at once, each with the path of its field.
    pub fn validate(&self) -> Result<(), InvalidDefinition> {
        let mut check = Checker::default();
        check.identity(&self.id, &self.kind);
        let length = self.text.len();
        check.that((1..=MAX_TEXT_BYTES).contains(&length), "text", || {
            format!("1 to {MAX_TEXT_BYTES} bytes, not {length}")
        });
        check.that(self.to_us >= self.from_us, "to", || "not before from".into());
        check.finish()
    }
}
