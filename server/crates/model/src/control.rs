//! Control records: changes that every reader of the log must see at the same position.

use serde::{Deserialize, Serialize};

use crate::definition::FunnelDefinition;
use crate::range::{Range, RangeError};

/// A change, kept in the log as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Control {
    /// A funnel was made or changed.
    PutFunnel(Box<CountedFunnel>),
    /// A funnel was deleted.
    DeleteFunnel {
        /// Its id.
        id: String,
    },
    /// A person asked for something.
    Privacy {
        /// UUID of the request.
        id: String,
        /// 1 delete, 2 access.
        kind: u8,
        /// The actor it is about.
        actor: String,
    },
    /// Somebody decided that two persons are one. Kept for ever: stored events are read with it.
    MergePersons {
        /// Any id of the person that becomes part of the other, as sent.
        from: String,
        /// The id it becomes another name of, as sent.
        into: String,
        /// Who asked for it.
        by: String,
    },
    /// Somebody decided that an id belongs to no other: undoes a merge, an alias or an identify. Kept for ever.
    UnmergePerson {
        /// The id whose pointer is taken away, as sent.
        id: String,
        /// Who asked for it.
        by: String,
    },
    /// Numbers of an install's streams that will never come, by its own account.
    Losses {
        /// The install's UUID.
        install: String,
        /// Random per queue folder.
        epoch: u64,
        /// What is lost.
        ranges: Vec<LostRange>,
    },
}

/// Lost numbers of one stream, both ends inclusive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostRange {
    /// The stream's class, 1 to 3.
    pub class: u8,
    /// The stream's lane.
    pub lane: u8,
    /// The first lost number, at least 1.
    pub from: u64,
    /// The last lost number.
    pub to: u64,
    /// A word for why.
    pub reason: String,
}

/// A funnel with the range it is counted over, as it stands after a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CountedFunnel {
    /// The definition.
    pub definition: FunnelDefinition,
    /// The range that is counted.
    pub range: Range,
    /// IANA name of the zone that days are cut in.
    pub zone: String,
}

impl Control {
    /// Whether stored events are read with this record: the store keeps it after the log let go of it.
    pub fn changes_identity(&self) -> bool {
        matches!(self, Self::MergePersons { .. } | Self::UnmergePerson { .. })
    }
}

impl CountedFunnel {
    /// The range's beginning and end at `now_us`.
    ///
    /// # Errors
    /// If the zone is not known or the range is out of bounds.
    pub fn resolve(&self, now_us: i64) -> Result<(i64, Option<i64>), RangeError> {
        self.range.resolve(now_us, &self.zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_identity_keep_their_form() {
        let by = || "ann".to_owned();
        let merge = Control::MergePersons { from: "a".into(), into: "b".into(), by: by() };
        let unmerge = Control::UnmergePerson { id: "a".into(), by: by() };
        let forms = [
            (merge, r#"{"type":"merge_persons","from":"a","into":"b","by":"ann"}"#),
            (unmerge, r#"{"type":"unmerge_person","id":"a","by":"ann"}"#),
        ];
        for (control, json) in forms {
            assert_eq!(serde_json::to_string(&control).unwrap(), json);
            assert_eq!(serde_json::from_str::<Control>(json).unwrap(), control);
            assert!(control.changes_identity());
        }
        assert!(!Control::DeleteFunnel { id: "f".into() }.changes_identity());
    }
}
