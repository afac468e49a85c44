//! Pages of stored events, in log order wherever they lie.

use std::collections::{BTreeMap, HashSet};
use std::ops::{ControlFlow, Range};

use bytes::Bytes;
use footpath_history::{Columns, HistoryError, Pinned, Scan, StoredRow};
use footpath_model::id::actor_key;
use footpath_model::record::{
    EventSpans, EventView, FrameHead, FrameKind, FrameView, build_frame, put_event,
};

use crate::QueryError;

/// Which events are asked for.
#[derive(Debug, Clone)]
pub struct EventQuery {
    /// The project's number.
    pub project: u32,
    /// The project's id, which actors are hashed with.
    pub project_id: String,
    /// Only of this actor; empty means all.
    pub actor: String,
    /// From this event time on.
    pub from_us: i64,
    /// Before this event time.
    pub to_us: i64,
    /// From this position on: (offset, index).
    pub from_position: (u64, u32),
    /// At most this many.
    pub limit: usize,
}

/// A found event and where it stands.
#[derive(Debug, Clone)]
pub struct FoundEvent {
    /// The position of its frame.
    pub offset: u64,
    /// When it was put on disk.
    pub append_us: i64,
    /// A frame of this event alone.
    frame: Bytes,
}

impl FoundEvent {
    fn new(project: u32, row: &StoredRow<'_>) -> Self {
        let spans = EventSpans {
            name: row.name.as_bytes(),
            anonymous_id: row.anonymous_id.as_bytes(),
            user_id: row.user_id.as_bytes(),
            session_id: row.session_id.as_bytes(),
            properties: row.properties,
            changes: row.changes,
        };
        let mut event = Vec::new();
        put_event(&mut event, &row.head, &spans);
        let head = FrameHead {
            kind: FrameKind::Events,
            historical: row.historical,
            project,
            received_us: row.received_us,
            producer: row.producer,
        };
        let frame = build_frame(&head, row.context, &[], 1, std::iter::once(event.as_slice()));
        Self { offset: row.offset, append_us: row.append_us, frame: frame.into() }
    }

    /// The event, and what its frame said of it.
    pub fn view(&self) -> Option<(FrameView<'_>, EventView<'_>)> {
        let frame = FrameView::new(&self.frame).ok()?;
        Some((frame, frame.events().next()?))
    }
}

/// A page of events.
#[derive(Debug, Clone, Default)]
pub struct EventPage {
    /// The events, in log order.
    pub events: Vec<FoundEvent>,
    /// Where the next page begins; `None` on the last page.
    pub next: Option<(u64, u32)>,
}

/// Reads events in log order.
///
/// # Errors
/// If the events cannot be read.
pub fn events(pinned: &Pinned, wanted: &EventQuery) -> Result<EventPage, QueryError> {
    let mut page = Page { wanted, found: BTreeMap::new() };
    let mut covered = 0;
    for range in chunk_pieces(pinned, wanted) {
        covered = range.end;
        page.read(pinned, range, false)?;
        if page.is_full() {
            return Ok(page.finish());
        }
    }
    page.read(pinned, covered..pinned.position(), true)?;
    Ok(page.finish())
}

/// The positions that lie in chunks, in pieces one behind the other: more and more of the closed ranges at once,
/// because a page is found either near its beginning or far away.
fn chunk_pieces(pinned: &Pinned, wanted: &EventQuery) -> Vec<Range<u64>> {
    let ranges = pinned.ranges(wanted.project, wanted.from_position.0);
    let mut pieces = Vec::new();
    let (mut rest, mut many) = (&ranges[..], 1);
    while let [first, ..] = rest {
        let (some, later) = rest.split_at(many.min(rest.len()));
        pieces.push(first.start..some.last().map_or(first.end, |last| last.end));
        (rest, many) = (later, many * 2);
    }
    pieces
}

/// The first events that were found so far, and one more: where the next page begins.
struct Page<'a> {
    wanted: &'a EventQuery,
    found: BTreeMap<(u64, u32), FoundEvent>,
}

impl Page<'_> {
    fn is_full(&self) -> bool {
        self.found.len() > self.wanted.limit
    }

    /// Takes what lies in a range of positions. `in_order` says that it comes in log order.
    fn read(&mut self, pinned: &Pinned, range: Range<u64>, in_order: bool) -> Result<(), HistoryError> {
        let wanted = self.wanted;
        let actors = HashSet::from([actor_key(&wanted.project_id, wanted.actor.as_bytes())]);
        let scan = Scan {
            from_us: wanted.from_us,
            to_us: wanted.to_us,
            actors: (!wanted.actor.is_empty()).then_some(&actors),
            from_position: range.start.max(wanted.from_position.0),
            columns: Columns::ALL,
            ..Scan::all(wanted.project)
        };
        pinned.clone().upto(range.end).scan(&scan, &mut |row| self.offer(row, in_order))?;
        Ok(())
    }

    fn offer(&mut self, row: &StoredRow<'_>, in_order: bool) -> ControlFlow<()> {
        let place = (row.offset, row.index);
        let last = self.found.last_key_value().map(|(place, _)| *place).filter(|_| self.is_full());
        if last.is_some_and(|last| place > last) {
            // Out of order, a full page may still change.
            return if in_order { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        }
        if place < self.wanted.from_position || !self.is_actor(row) {
            return ControlFlow::Continue(());
        }
        self.found.insert(place, FoundEvent::new(self.wanted.project, row));
        if self.found.len() > self.wanted.limit.saturating_add(1) {
            self.found.pop_last();
        }
        ControlFlow::Continue(())
    }

    /// Hashes may collide; ids do not.
    fn is_actor(&self, row: &StoredRow<'_>) -> bool {
        let actor = if row.user_id.is_empty() { row.anonymous_id } else { row.user_id };
        self.wanted.actor.is_empty() || self.wanted.actor == actor
    }

    fn finish(mut self) -> EventPage {
        let next = if self.is_full() { self.found.pop_last().map(|(place, _)| place) } else { None };
        EventPage { events: self.found.into_values().collect(), next }
    }
}

#[cfg(test)]
mod tests;
