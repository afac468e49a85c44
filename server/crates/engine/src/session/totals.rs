//! What many persons' sessions add up to.

use std::ops::AddAssign;

use super::{Session, SessionCorrection, SessionDelta};

/// Sums over sessions. All can be retracted, so that a correction leaves what a count from scratch would give.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionTotals {
    /// Sessions.
    pub started: i64,
    /// Sessions that are open now; see [`SessionTotals::shift_open`].
    pub open: i64,
    /// Sessions of exactly one event.
    pub bounces: i64,
    /// Events.
    pub events: i128,
    /// From first to last event, added up, in microseconds.
    pub duration_us: i128,
}

impl SessionTotals {
    /// Adds a session.
    pub fn add(&mut self, session: &Session) {
        self.shift(session, 1);
    }

    /// Takes a session back that was added.
    pub fn retract(&mut self, session: &Session) {
        self.shift(session, -1);
    }

    /// Takes what an event changed.
    pub fn apply(&mut self, delta: &SessionDelta) {
        delta.before().iter().for_each(|session| self.retract(session));
        self.add(&delta.after);
    }

    /// Takes what a merge or a refold changed.
    pub fn correct(&mut self, correction: &SessionCorrection) {
        correction.removed.iter().for_each(|session| self.retract(session));
        correction.added.iter().for_each(|session| self.add(session));
    }

    /// Open sessions before and after a change, at the same moment. A person has one or none, by
    /// [`super::PersonSessions::is_open`]; a merge comes from up to two. The caller lets time pass first, and
    /// counts every person out whose [`super::PersonSessions::closes_after`] lies before that moment.
    pub fn shift_open(&mut self, before: u32, after: u32) {
        self.open += i64::from(after) - i64::from(before);
    }

    fn shift(&mut self, session: &Session, sign: i64) {
        self.started += sign;
        self.bounces += sign * i64::from(session.is_bounce());
        self.events += i128::from(sign) * i128::from(session.events);
        self.duration_us += i128::from(sign) * i128::from(session.duration_us());
    }
}

impl AddAssign for SessionTotals {
    /// Joins the totals of two sets of persons that have none in common.
    fn add_assign(&mut self, other: Self) {
        self.started += other.started;
        self.open += other.open;
        self.bounces += other.bounces;
        self.events += other.events;
        self.duration_us += other.duration_us;
    }
}
