//! Cutting stored events into sessions: queries, funnels that count sessions, refolds.

use super::span::Span;
use super::{Session, SessionEvent, SessionRules};
use crate::funnel::clamp_time;

/// Cuts one person's events as they are read, in the order of time.
#[derive(Debug, Clone)]
pub struct SessionFolder {
    rules: SessionRules,
    open: Option<Span>,
}

impl SessionFolder {
    /// Before the first event.
    pub fn new(rules: &SessionRules) -> Self {
        Self { rules: *rules, open: None }
    }

    /// Takes the next event and gives the session that it leaves behind, if it begins a new one. Times must not
    /// decrease (equal times may come in any order), and no event comes twice.
    #[inline]
    pub fn push(&mut self, event: SessionEvent) -> Option<Session> {
        self.push_span(event).map(|closed| closed.session)
    }

    /// The last session.
    pub fn finish(self) -> Option<Session> {
        self.finish_span().map(|last| last.session)
    }

    #[inline]
    pub(super) fn push_span(&mut self, event: SessionEvent) -> Option<Span> {
        let event = Span::of(event);
        // A single event always has a place.
        let with_open = self.open.and_then(|open| open.joined(&self.rules, &event).ok().flatten());
        match with_open {
            Some(grown) => {
                self.open = Some(grown);
                None
            }
            None => self.open.replace(event),
        }
    }

    pub(super) fn finish_span(self) -> Option<Span> {
        self.open
    }
}

/// One person's sessions, from its events sorted by time.
pub fn fold_person_sessions(
    rules: &SessionRules,
    sorted: impl IntoIterator<Item = SessionEvent>,
) -> Vec<Session> {
    let mut folder = SessionFolder::new(rules);
    let mut sessions: Vec<_> = sorted.into_iter().filter_map(|event| folder.push(event)).collect();
    sessions.extend(folder.finish());
    sessions
}

/// The session of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionSlot {
    /// Counts the person's sessions, from 0.
    pub number: usize,
    /// When it began, microseconds since 1970.
    pub start_us: i64,
}

/// Tells for each of one person's events, given as sorted times, which session it is in.
pub fn fold_sessions(
    rules: &SessionRules,
    sorted_times_us: impl IntoIterator<Item = i64>,
) -> impl Iterator<Item = SessionSlot> {
    let mut folder = SessionFolder::new(rules);
    let mut number = 0;
    sorted_times_us.into_iter().map(move |time_us| {
        let closed = folder.push_span(SessionEvent { time_us, id: 0, name: 0 });
        number += usize::from(closed.is_some());
        let start_us = folder.open.map_or(clamp_time(time_us), |open| open.session.start_us);
        SessionSlot { number, start_us }
    })
}
