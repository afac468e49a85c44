//! What destinations heard of an incident, and so what they are told.

use footpath_engine::alert::{Transition, TransitionKind};
use serde::{Deserialize, Serialize};

use super::{Incident, IncidentState};

/// What destinations heard of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heard {
    /// Nothing: it began while it was muted.
    Nothing,
    /// That it goes on; taken for granted of what an earlier version stored.
    #[default]
    Open,
    /// That it is over.
    Over,
}

impl Incident {
    /// Whether destinations are told of what happened; then they know. A mute withholds what begins or gets worse. Its end, and that
    /// somebody looks after it, is told whoever was told of the incident, and nobody else.
    pub(crate) fn announces(&mut self, transition: &Transition) -> bool {
        let before = self.heard;
        let (is_told, now) = match transition.kind {
            TransitionKind::Opened | TransitionKind::Reopened | TransitionKind::Escalated => {
                (!transition.quiet, Heard::Open)
            }
            TransitionKind::Acknowledged => (before == Heard::Open, before),
            TransitionKind::Resolved => (before == Heard::Open, Heard::Over),
            _ => (false, before),
        };
        self.heard = if is_told { now } else { before };
        is_told
    }

    /// Whether it goes on and destinations do not know.
    pub(crate) fn is_withheld(&self) -> bool {
        self.state != IncidentState::Resolved && self.heard != Heard::Open
    }

    /// What destinations that do not know of it are told first.
    pub(crate) fn beginning(&self) -> TransitionKind {
        match self.heard {
            Heard::Over => TransitionKind::Reopened,
            Heard::Nothing | Heard::Open => TransitionKind::Opened,
        }
    }
}
