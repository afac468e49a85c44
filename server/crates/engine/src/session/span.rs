//! A session as far as it is known, and whether another one belongs to it.

use super::{NeedsRefold, Session, SessionEvent, SessionRules};
use crate::funnel::clamp_time;

/// An event's id, high half first, so that it compares as the id does without being aligned to 16 bytes.
type Id = [u64; 2];

/// A session, with the ids that decide about events of equal time at its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) session: Session,
    pub(super) entry_id: Id,
    pub(super) exit_id: Id,
}

impl Span {
    /// The session of one event.
    #[inline]
    pub(super) fn of(event: SessionEvent) -> Self {
        let time_us = clamp_time(event.time_us);
        let id = [(event.id >> 64) as u64, event.id as u64];
        let session =
            Session { start_us: time_us, end_us: time_us, events: 1, entry: event.name, exit: event.name };
        Self { session, entry_id: id, exit_id: id }
    }

    /// Where it begins in the order of events.
    #[inline]
    pub(super) fn first(&self) -> (i64, Id) {
        (self.session.start_us, self.entry_id)
    }

    /// Where it ends in the order of events.
    #[inline]
    pub(super) fn last(&self) -> (i64, Id) {
        (self.session.end_us, self.exit_id)
    }

    /// Both as one, if `next` belongs to this session. It begins when this does, or later, and no event lies
    /// between them that is in neither.
    ///
    /// # Errors
    /// If a part of `next` belongs to this session and a part is beyond the limit: which, only its events tell.
    /// A single event has no parts.
    #[inline]
    pub(super) fn joined(&self, rules: &SessionRules, next: &Self) -> Result<Option<Self>, NeedsRefold> {
        debug_assert!(
            self.session.start_us <= next.session.start_us,
            "sessions are joined in the order of time"
        );
        let begins_in_time = next.session.start_us - self.session.end_us <= rules.gap_us();
        let begins_within = next.session.start_us - self.session.start_us <= rules.max_us();
        if !begins_in_time || !begins_within {
            return Ok(None);
        }
        if next.session.end_us - self.session.start_us > rules.max_us() {
            return Err(NeedsRefold);
        }
        Ok(Some(self.with(next)))
    }

    /// All events of both.
    fn with(&self, other: &Self) -> Self {
        let first = if self.first() <= other.first() { self } else { other };
        let last = if self.last() >= other.last() { self } else { other };
        let session = Session {
            start_us: first.session.start_us,
            end_us: last.session.end_us,
            // Only an image made by somebody else gets near the end of the range.
            events: self.session.events.saturating_add(other.session.events),
            entry: first.session.entry,
            exit: last.session.exit,
        };
        Self { session, entry_id: first.entry_id, exit_id: last.exit_id }
    }

    /// Joins what belongs together among spans that are sorted by [`Span::first`]; they may overlap.
    ///
    /// # Errors
    /// As [`Span::joined`].
    pub(super) fn join_all(rules: &SessionRules, sorted: &[Self]) -> Result<Vec<Self>, NeedsRefold> {
        let mut joined: Vec<Self> = Vec::with_capacity(sorted.len());
        for span in sorted {
            let with_last = joined.last().map_or(Ok(None), |last| last.joined(rules, span))?;
            match (with_last, joined.last_mut()) {
                (Some(whole), Some(last)) => *last = whole,
                _ => joined.push(*span),
            }
        }
        Ok(joined)
    }
}
