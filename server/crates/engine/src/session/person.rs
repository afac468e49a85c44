//! One person's sessions while events arrive in any order.
//!
//! **Memory**: 80 bytes for a person with one session. Beyond: 48 bytes and 64 per earlier session that is
//! kept, on the heap (a vector may reserve up to twice that, or room for four).
//!
//! **Time**: an event in its turn touches the last session only. A late one is looked for among those kept.

use std::collections::VecDeque;

use super::earlier::{Earlier, NOTHING_SETTLED};
use super::span::Span;
use super::{
    Session, SessionChange, SessionCorrection, SessionDelta, SessionEvent, SessionFolder, SessionRules,
};

/// What is kept of the person cannot tell which sessions there are now: [`PersonSessions::rebuild`] it from its
/// stored events. The state has not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sessions kept cannot tell; rebuild the person's sessions from stored events")]
pub struct NeedsRefold;

/// One person's sessions. Every call must pass the [`SessionRules`] it was made with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PersonSessions {
    last: Option<Span>,
    /// `None` instead of one that is empty.
    earlier: Option<Box<Earlier>>,
}

const _: () = assert!(size_of::<PersonSessions>() <= 80, "millions of persons have one session each");

/// Two persons' sessions as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedSessions {
    /// The sessions of both.
    pub person: PersonSessions,
    /// What that changes: a session of one that the other's events do not touch is in neither list.
    pub correction: SessionCorrection,
}

impl PersonSessions {
    /// A person without events.
    pub fn new() -> Self {
        Self::default()
    }

    /// A person from all its stored events, sorted by time (equal times may come in any order).
    pub fn rebuild(rules: &SessionRules, sorted: impl IntoIterator<Item = SessionEvent>) -> Self {
        let mut person = Self::new();
        let mut folder = SessionFolder::new(rules);
        for closed in sorted.into_iter().filter_map(|event| folder.push_span(event)) {
            person.open(rules, closed);
        }
        if let Some(last) = folder.finish_span() {
            person.open(rules, last);
        }
        person
    }

    /// Whether there was no event yet.
    pub fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// How many sessions the person has had.
    pub fn count(&self) -> u64 {
        self.settled().saturating_add(self.spans().count() as u64)
    }

    /// How many sessions came before those of [`PersonSessions::sessions`].
    pub fn settled(&self) -> u64 {
        self.earlier.as_ref().map_or(0, |earlier| earlier.settled)
    }

    /// The last session.
    pub fn last(&self) -> Option<&Session> {
        self.last.as_ref().map(|last| &last.session)
    }

    /// The sessions that are kept, in the order of time.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.spans().map(|span| &span.session)
    }

    /// The last moment, in microseconds since 1970, at which the person is in its last session. `None` if there
    /// is none.
    pub fn closes_after(&self, rules: &SessionRules) -> Option<i64> {
        self.last().map(|last| last.closes_after(rules))
    }

    /// Whether the person is in a session: an event at `now_us` would be part of its last one, or that one lies
    /// ahead.
    pub fn is_open(&self, rules: &SessionRules, now_us: i64) -> bool {
        self.closes_after(rules).is_some_and(|closes_after| now_us <= closes_after)
    }

    /// Takes an event, in whatever order it arrives. It must not have come before.
    ///
    /// # Errors
    /// [`NeedsRefold`] if the event is near sessions that are no longer kept, or if a session that it widens or
    /// bridges to would be cut by the limit. Never if no event of the person is newer.
    #[inline]
    pub fn apply(&mut self, rules: &SessionRules, event: SessionEvent) -> Result<SessionDelta, NeedsRefold> {
        let event = Span::of(event);
        let Some(last) = &mut self.last else {
            self.last = Some(event);
            return Ok(SessionDelta::opened(event.session));
        };
        if event.session.start_us < last.session.start_us {
            return self.place(rules, event);
        }
        let Some(grown) = last.joined(rules, &event)? else {
            self.open(rules, event);
            return Ok(SessionDelta::opened(event.session));
        };
        let before = std::mem::replace(last, grown);
        Ok(grown_behind(&before, &grown))
    }

    /// Joins the sessions of two actors that are one person.
    ///
    /// # Errors
    /// [`NeedsRefold`] if one has sessions as old as those the other no longer keeps, or if the limit would cut
    /// a session. Neither has changed.
    pub fn merge(rules: &SessionRules, a: &Self, b: &Self) -> Result<MergedSessions, NeedsRefold> {
        let (elder, younger) = if a.settled() > 0 { (a, b) } else { (b, a) };
        let reaches_settled = |span: &Span| elder.is_near_settled(rules, span);
        if younger.settled() > 0 || younger.spans().next().is_some_and(reaches_settled) {
            return Err(NeedsRefold);
        }
        let mut spans: Vec<_> = elder.spans().chain(younger.spans()).copied().collect();
        spans.sort_unstable_by_key(Span::first);
        let joined = Span::join_all(rules, &spans)?;
        let sessions = |spans: &[Span]| spans.iter().map(|span| span.session).collect::<Vec<_>>();
        let correction = SessionCorrection::between(&sessions(&spans), &sessions(&joined));
        let settled_until_us = elder.settled_until_us();
        let person = Self::from_parts(rules, joined, elder.settled(), settled_until_us);
        Ok(MergedSessions { person, correction })
    }

    /// Of spans in the order of time, behind those that are settled.
    pub(super) fn from_parts(
        rules: &SessionRules,
        spans: Vec<Span>,
        settled: u64,
        settled_until_us: i64,
    ) -> Self {
        let mut spans = VecDeque::from(spans);
        let last = spans.pop_back();
        let mut earlier = Earlier { spans, settled, settled_until_us };
        earlier.settle(rules);
        Self { last, earlier: (!earlier.is_empty()).then(|| Box::new(earlier)) }
    }

    /// The sessions that are kept, in the order of time.
    pub(super) fn spans(&self) -> impl Iterator<Item = &Span> {
        self.earlier.iter().flat_map(|earlier| &earlier.spans).chain(&self.last)
    }

    /// The end of the last settled session, or [`NOTHING_SETTLED`].
    pub(super) fn settled_until_us(&self) -> i64 {
        self.earlier.as_ref().map_or(NOTHING_SETTLED, |earlier| earlier.settled_until_us)
    }

    /// Whether a span may belong to a settled session: it begins before all that are kept, and not more than a
    /// gap behind the settled ones.
    fn is_near_settled(&self, rules: &SessionRules, span: &Span) -> bool {
        let start_us = span.session.start_us;
        let before_kept = self.spans().next().is_none_or(|oldest| start_us < oldest.session.start_us);
        before_kept && start_us <= self.settled_until_us() + rules.gap_us()
    }

    /// Puts a session behind all others.
    fn open(&mut self, rules: &SessionRules, span: Span) {
        let Some(before) = self.last.replace(span) else { return };
        let earlier = self.earlier.get_or_insert_default();
        earlier.spans.push_back(before);
        earlier.settle(rules);
    }

    /// Takes an event that lies before the last session's beginning.
    ///
    /// Only its two neighbours can become part of its session. One further on begins where it did, whether the
    /// gap or the limit parts it from the one before: that one's end stays, and its beginning can only move
    /// away.
    fn place(&mut self, rules: &SessionRules, event: Span) -> Result<SessionDelta, NeedsRefold> {
        if self.is_near_settled(rules, &event) {
            return Err(NeedsRefold);
        }
        let next_at = self.first_behind(event.session.start_us);
        let left = next_at.checked_sub(1).and_then(|at| self.span(at)).copied();
        let right = self.span(next_at).copied();
        let with_left = left.map_or(Ok(None), |left| left.joined(rules, &event))?;
        let begun = with_left.unwrap_or(event);
        let with_right = right.map_or(Ok(None), |right| begun.joined(rules, &right))?;
        Ok(match (left.zip(with_left), right.zip(with_right)) {
            (None, None) => self.insert(rules, next_at, event),
            (Some((left, grown)), None) => {
                self.set(next_at - 1, grown);
                grown_behind(&left, &grown)
            }
            (None, Some((right, grown))) => {
                self.set(next_at, grown);
                SessionDelta::grown(SessionChange::Widened, right.session, grown.session)
            }
            (Some((left, _)), Some((right, whole))) => {
                self.set(next_at, whole);
                self.remove(next_at - 1);
                SessionDelta::merged(left.session, right.session, whole.session)
            }
        })
    }

    /// The index, among those kept, of the first session that begins later.
    fn first_behind(&self, time_us: i64) -> usize {
        let begins_before = |span: &Span| span.session.start_us <= time_us;
        self.earlier.as_ref().map_or(0, |earlier| earlier.spans.partition_point(begins_before))
    }

    /// The session at an index among those kept; the last one behind all earlier ones.
    fn span(&self, at: usize) -> Option<&Span> {
        let earlier = self.earlier.as_ref().and_then(|earlier| earlier.spans.get(at));
        earlier.or(self.last.as_ref())
    }

    fn set(&mut self, at: usize, span: Span) {
        match self.earlier.as_mut().and_then(|earlier| earlier.spans.get_mut(at)) {
            Some(earlier) => *earlier = span,
            None => self.last = Some(span),
        }
    }

    /// Opens a session before the last one.
    fn insert(&mut self, rules: &SessionRules, at: usize, span: Span) -> SessionDelta {
        let earlier = self.earlier.get_or_insert_default();
        earlier.spans.insert(at, span);
        earlier.settle(rules);
        SessionDelta::opened(span.session)
    }

    fn remove(&mut self, at: usize) {
        let Some(earlier) = &mut self.earlier else { return };
        earlier.spans.remove(at);
        if earlier.is_empty() {
            self.earlier = None;
        }
    }
}

/// A session took an event that does not lie before its beginning.
fn grown_behind(before: &Span, after: &Span) -> SessionDelta {
    let extended = after.session.end_us > before.session.end_us;
    let kind = if extended { SessionChange::Extended } else { SessionChange::Counted };
    SessionDelta::grown(kind, before.session, after.session)
}
