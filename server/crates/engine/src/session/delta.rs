//! What an event, a merge or a refold changes about a person's sessions: what to retract and what to add.

use super::Session;

/// What an event did to a person's sessions. There is no kind for a session that is cut in two: that takes a refold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionChange {
    /// It began a session of its own.
    Opened,
    /// It moved the end of a session.
    Extended,
    /// It lies within a session, or at its very beginning or end, where it can become the entry or the exit.
    Counted,
    /// It came late and moved the beginning of a session.
    Widened,
    /// It came late and made two sessions one.
    Merged,
}

/// The sessions that an event changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionDelta {
    /// What happened.
    pub kind: SessionChange,
    /// As many as `kind` says; the others repeat `after`.
    before: [Session; 2],
    /// The session that the event is part of now; to be added.
    pub after: Session,
}

impl SessionDelta {
    #[inline]
    pub(super) fn opened(after: Session) -> Self {
        Self { kind: SessionChange::Opened, before: [after; 2], after }
    }

    #[inline]
    pub(super) fn grown(kind: SessionChange, before: Session, after: Session) -> Self {
        Self { kind, before: [before, after], after }
    }

    #[inline]
    pub(super) fn merged(left: Session, right: Session, after: Session) -> Self {
        Self { kind: SessionChange::Merged, before: [left, right], after }
    }

    /// The sessions that became `after`, in the order of time; to be retracted. None if it was opened, two if
    /// they were merged.
    #[inline]
    pub fn before(&self) -> &[Session] {
        let count = match self.kind {
            SessionChange::Opened => 0,
            SessionChange::Extended | SessionChange::Counted | SessionChange::Widened => 1,
            SessionChange::Merged => 2,
        };
        &self.before[..count]
    }
}

/// The sessions that a merge of persons or a refold changed, each list in the order of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionCorrection {
    /// To be retracted.
    pub removed: Vec<Session>,
    /// To be added.
    pub added: Vec<Session>,
}

impl SessionCorrection {
    /// What leads from one list of sessions to another; both in the order of time. After [`super::NeedsRefold`]
    /// these are all sessions of the person's stored events without the event that could not be placed, and
    /// with it: the state itself has forgotten the oldest ones.
    pub fn between(before: &[Session], after: &[Session]) -> Self {
        let mut correction = Self::default();
        let mut after = after.iter().peekable();
        for old in before {
            while let Some(new) = after.next_if(|new| new.start_us < old.start_us) {
                correction.added.push(*new);
            }
            if after.next_if_eq(&old).is_none() {
                correction.removed.push(*old);
            }
        }
        correction.added.extend(after);
        correction
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(start_us: i64, events: u64) -> Session {
        Session { start_us, end_us: start_us, events, entry: 0, exit: 0 }
    }

    type Pairs = Vec<(i64, u64)>;

    fn correction(before: &[(i64, u64)], after: &[(i64, u64)]) -> (Pairs, Pairs) {
        let sessions = |all: &[(i64, u64)]| all.iter().map(|(at, n)| session(*at, *n)).collect::<Vec<_>>();
        let found = SessionCorrection::between(&sessions(before), &sessions(after));
        let pairs = |all: Vec<Session>| all.iter().map(|s| (s.start_us, s.events)).collect();
        (pairs(found.removed), pairs(found.added))
    }

    #[test]
    fn what_is_in_both_stays() {
        assert_eq!(correction(&[(1, 1), (5, 2)], &[(1, 1), (5, 2)]), (vec![], vec![]));
        assert_eq!(correction(&[], &[(1, 1)]), (vec![], vec![(1, 1)]));
        assert_eq!(correction(&[(1, 1)], &[]), (vec![(1, 1)], vec![]));
        assert_eq!(
            correction(&[(1, 1), (5, 2), (9, 1)], &[(1, 1), (4, 3), (9, 1)]),
            (vec![(5, 2)], vec![(4, 3)])
        );
        assert_eq!(
            correction(&[(1, 1), (5, 2)], &[(1, 2), (3, 1), (5, 2)]),
            (vec![(1, 1)], vec![(1, 2), (3, 1)])
        );
    }
}
