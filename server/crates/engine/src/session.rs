//! Sessions of one person.
//!
//! A person's events in order of (time, id) are cut into sessions: a new one begins where an event comes more than
//! the *gap* after the one before it, or more than the *limit* after its session's first event. So sessions depend on
//! the events only, and a session is known by what it begins and ends with.
//! - [`PersonSessions`] keeps a person's sessions while events arrive in any order, for the live path;
//! - [`SessionFolder`] and [`fold_sessions`] read a person's sorted events once, for queries and refolds;
//! - both ask the same question of two neighbours and join them by the same function, in `span.rs`.
//!
//! The live path keeps no events, only each session's ends and count. That is enough for every event that does
//! not cut a session in two; what does is answered with [`NeedsRefold`], as is what is older than the sessions
//! kept.

mod batch;
mod delta;
mod earlier;
mod image;
mod person;
mod rules;
mod span;
mod totals;

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

pub use batch::{SessionFolder, SessionSlot, fold_person_sessions, fold_sessions};
pub use delta::{SessionChange, SessionCorrection, SessionDelta};
pub use image::FORMAT;
pub use person::{MergedSessions, NeedsRefold, PersonSessions};
pub use rules::{SessionRules, SessionRulesError};
pub use totals::SessionTotals;

/// What a session needs to know of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionEvent {
    /// Event time, microseconds since 1970.
    pub time_us: i64,
    /// The event's id; no two events of a person share one.
    pub id: u128,
    /// The event's name, as the caller numbers names.
    pub name: u32,
}

impl SessionEvent {
    /// Where the event stands in the total order of all events.
    pub fn order(&self) -> (i64, u128) {
        (self.time_us, self.id)
    }
}

/// One session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Session {
    /// The time of the first event, microseconds since 1970. No two sessions of a person share it.
    pub start_us: i64,
    /// The time of the last event, microseconds since 1970.
    pub end_us: i64,
    /// How many events it has; at least one.
    pub events: u64,
    /// The name of the first event: of those at `start_us`, the one with the smallest id.
    pub entry: u32,
    /// The name of the last event: of those at `end_us`, the one with the largest id.
    pub exit: u32,
}

impl Session {
    /// From the first event to the last, in microseconds; 0 for a bounce.
    pub fn duration_us(&self) -> i64 {
        self.end_us - self.start_us
    }

    /// Whether it has exactly one event.
    pub fn is_bounce(&self) -> bool {
        self.events == 1
    }

    /// The last moment at which one more event would still be part of it: gap and limit are both inclusive.
    pub fn closes_after(&self, rules: &SessionRules) -> i64 {
        (self.end_us + rules.gap_us()).min(self.start_us + rules.max_us())
    }
}
