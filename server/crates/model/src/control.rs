//! Control records: changes that every reader of the log must see at the same position.

use serde::{Deserialize, Serialize};

use crate::alert::{Annotation, CountedRule, IncidentChange, Learned, Observed};
use crate::definition::{Counting, Filter, FunnelDefinition, MetricDefinition, SegmentDefinition};
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
    /// A metric was made or changed.
    PutMetric(Box<CountedMetric>),
    /// A metric was deleted.
    DeleteMetric {
        /// Its id.
        id: String,
    },
    /// A segment was made or changed; what uses it comes as records of its own.
    PutSegment(Box<SegmentDefinition>),
    /// A segment was deleted.
    DeleteSegment {
        /// Its id.
        id: String,
    },
    /// The project's settings were changed; definitions that this changes come as records of their own.
    PutSettings(Box<ProjectSettings>),
    /// An alert rule was made or changed.
    PutRule(Box<CountedRule>),
    /// An alert rule was deleted.
    DeleteRule {
        /// Its id.
        id: String,
    },
    /// Nobody is told that an incident of a rule begins or gets worse until then; 0 ends that.
    MuteRule {
        /// Its id.
        id: String,
        /// Microseconds since 1970.
        until_us: i64,
        /// Who asked for it.
        by: String,
    },
    /// What was seen of rules' metrics.
    Observed {
        /// One for each rule and bucket.
        rules: Vec<Observed>,
    },
    /// What a rule learned from stored events.
    Learned(Box<Learned>),
    /// Somebody did something about an incident.
    Incident(Box<IncidentChange>),
    /// Something happened to the project that explains numbers.
    Annotate(Box<Annotation>),
    /// An annotation was a mistake.
    DeleteAnnotation {
        /// Its id.
        id: String,
    },
    /// Changes that come together: a segment and what uses it.
    Several {
        /// In their order; none of them is made of several again.
        changes: Vec<Control>,
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

impl Control {
    /// The changes of a record, one by one.
    pub fn each(self) -> impl Iterator<Item = Self> {
        let (several, one) = match self {
            Self::Several { changes } => (changes, None),
            one => (Vec::new(), Some(one)),
        };
        several.into_iter().chain(one)
    }
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
    /// The project's filter for internal traffic and bots at that moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal: Option<Filter>,
    /// How the project cut sessions at that moment, for a funnel that counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<SessionLimits>,
}

/// Where sessions end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionLimits {
    /// A longer gap than this between two events of a person ends a session, microseconds.
    pub gap_us: i64,
    /// A session is at most this long, microseconds.
    pub max_us: i64,
}

/// A metric as it stands after a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CountedMetric {
    /// The definition.
    pub definition: MetricDefinition,
    /// The funnel whose conversion it is, as it stood then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub funnel: Option<Box<CountedFunnel>>,
    /// The project's filter for internal traffic and bots at that moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal: Option<Filter>,
}

/// What a project has decided for all of its numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProjectSettings {
    /// Where sessions end.
    pub sessions: SessionLimits,
    /// Events that fulfil it are internal traffic or bots, and left out where nobody asks for them.
    pub internal: Option<Filter>,
}

impl Default for SessionLimits {
    /// Half an hour and a day: Google Analytics' and most peers' rule.
    fn default() -> Self {
        Self { gap_us: 30 * 60_000_000, max_us: 24 * 3_600_000_000 }
    }
}

impl Control {
    /// Whether what rules decide depends on this record.
    pub fn concerns_alerts(&self) -> bool {
        match self {
            Self::PutRule(_)
            | Self::DeleteRule { .. }
            | Self::MuteRule { .. }
            | Self::Observed { .. }
            | Self::Learned(_)
            | Self::Incident(_)
            | Self::Annotate(_)
            | Self::DeleteAnnotation { .. } => true,
            Self::Several { changes } => changes.iter().any(Self::concerns_alerts),
            _ => false,
        }
    }

    /// Whether stored events are read with this record: the store keeps it after the log let go of it.
    pub fn changes_identity(&self) -> bool {
        matches!(self, Self::MergePersons { .. } | Self::UnmergePerson { .. })
    }
}

impl CountedMetric {
    /// What an event has to fulfil so that it is not internal traffic, where that is left out.
    pub fn left_out(&self) -> Option<Filter> {
        left_out(self.internal.as_ref().filter(|_| !self.definition.include_internal))
    }
}

/// What an event has to fulfil so that it is not internal traffic.
pub fn left_out(internal: Option<&Filter>) -> Option<Filter> {
    internal.map(|internal| Filter::not(internal.clone()))
}

impl CountedFunnel {
    /// Before the project's settings are put in.
    pub fn new(definition: FunnelDefinition, range: Range, zone: String) -> Self {
        Self { definition, range, zone, internal: None, sessions: None }
    }

    /// Puts the project's settings in, as far as it is counted by them.
    pub fn set(&mut self, settings: &ProjectSettings) {
        self.internal.clone_from(&settings.internal);
        self.sessions = (self.definition.counting == Counting::Sessions).then_some(settings.sessions);
    }

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
