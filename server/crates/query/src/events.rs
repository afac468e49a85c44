//! Pages of stored events, in log order wherever they lie.

use std::collections::{BTreeMap, HashSet};
use std::ops::{ControlFlow, Range};

use footpath_history::{Columns, HistoryError, Pinned, Scan, StoredRow};
use footpath_model::id::actor_key;

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

/// A page of events.
#[derive(Debug, Clone, Default)]
pub struct EventPage<T> {
    /// What was made of the events, in log order.
    pub events: Vec<T>,
    /// Where the next page begins; `None` on the last page.
    pub next: Option<(u64, u32)>,
}

/// Reads events in log order and makes of each what is wanted of it.
///
/// # Errors
/// If the events cannot be read.
pub fn events<T>(
    pinned: &Pinned,
    wanted: &EventQuery,
    make: &dyn Fn(&StoredRow<'_>) -> T,
) -> Result<EventPage<T>, QueryError> {
    let mut page = Page { wanted, make, found: BTreeMap::new() };
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
struct Page<'a, T> {
    wanted: &'a EventQuery,
    make: &'a dyn Fn(&StoredRow<'_>) -> T,
    found: BTreeMap<(u64, u32), T>,
}

impl<T> Page<'_, T> {
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
        self.found.insert(place, (self.make)(row));
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

    fn finish(mut self) -> EventPage<T> {
        let next = if self.is_full() { self.found.pop_last().map(|(place, _)| place) } else { None };
        EventPage { events: self.found.into_values().collect(), next }
    }
}

#[cfg(test)]
mod tests;
