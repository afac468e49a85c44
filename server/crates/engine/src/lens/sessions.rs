//! How metrics of sessions see them.

use footpath_model::definition::{MetricDefinition, SessionAggregate};
use footpath_model::props::Value;

use super::quantiles;
use crate::metric::MetricKind;
use crate::session::Session;

/// What of a session is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionWhat {
    /// That it is there.
    Each,
    /// That it has a single event.
    Bounce,
    /// Whose it is.
    Person,
    /// Its events.
    Events,
    /// Its seconds.
    Duration,
}

impl SessionWhat {
    /// Whether a session has it.
    pub fn is_of(self, session: &Session) -> bool {
        self != Self::Bounce || session.is_bounce()
    }

    /// Its number, where it is one.
    pub fn number(self, session: &Session) -> Option<Value<'static>> {
        match self {
            Self::Each | Self::Bounce | Self::Person => None,
            Self::Events => Some(Value::Int(session.events.cast_signed())),
            Self::Duration => Some(Value::Double(session.duration_us() as f64 / 1e6)),
        }
    }
}

/// The event whose name is a session's value in a breakdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionBy {
    /// Its first.
    Entry,
    /// Its last.
    Exit,
}

impl SessionBy {
    /// That of a metric's breakdown, if it has one.
    pub fn of(definition: &MetricDefinition) -> Option<Self> {
        let by = definition.breakdown.as_ref()?;
        Some(if by.property == "exit_event" { Self::Exit } else { Self::Entry })
    }

    /// The number of the event's name.
    pub fn name(self, session: &Session) -> u32 {
        match self {
            Self::Entry => session.entry,
            Self::Exit => session.exit,
        }
    }
}

/// What is counted for an aggregate, and how: one set, or two of which the first is divided by the second.
pub fn session_sets(aggregate: &SessionAggregate) -> Vec<(SessionWhat, MetricKind)> {
    match aggregate {
        SessionAggregate::Count => vec![(SessionWhat::Each, MetricKind::Count)],
        SessionAggregate::Uniques => vec![(SessionWhat::Person, MetricKind::Uniques)],
        SessionAggregate::BounceRate => {
            vec![(SessionWhat::Bounce, MetricKind::Count), (SessionWhat::Each, MetricKind::Count)]
        }
        SessionAggregate::AverageDuration => vec![(SessionWhat::Duration, MetricKind::Average)],
        SessionAggregate::AverageEvents => vec![(SessionWhat::Events, MetricKind::Average)],
        SessionAggregate::DurationPercentiles(percentiles) => {
            vec![(SessionWhat::Duration, quantiles(percentiles))]
        }
    }
}
