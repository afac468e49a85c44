//! A metric over time.

use crate::metric::codec::BadBytes;
use crate::metric::grid::{Grid, Horizons, StaleBucket};
use crate::metric::item::Item;
use crate::metric::ordinals::Ordinals;
use crate::metric::partial::{MetricKind, Partial};
use crate::metric::timeline::{Columns, Timeline};
use crate::metric::value::Answer;

/// The aggregates of one metric in UTC minutes, of older events in quarters of an hour, hours and days. Buckets without
/// events take no room.
///
/// The content depends on the events and on the newest `now` it was rolled to, not on the order of either: an
/// event that is older than a horizon goes into the coarser bucket at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    kind: MetricKind,
    grid: Grid,
    timeline: Timeline,
}

impl Series {
    /// No events.
    pub fn new(kind: MetricKind, horizons: Horizons) -> Self {
        Self { kind, grid: Grid::new(horizons), timeline: Timeline::default() }
    }

    /// What is aggregated.
    pub fn kind(&self) -> &MetricKind {
        &self.kind
    }

    /// How many buckets are kept.
    pub fn len(&self) -> usize {
        self.timeline.len()
    }

    /// Whether no bucket is kept.
    pub fn is_empty(&self) -> bool {
        self.timeline.is_empty()
    }

    /// Adds an event.
    #[inline]
    pub fn add(&mut self, item: &Item<'_>, ordinals: &mut Ordinals) {
        self.timeline.add(&self.grid, &self.kind, item, ordinals);
    }

    /// Takes an event out.
    ///
    /// # Errors
    /// The bucket that has to be computed again and [`Series::put`], if it cannot be told from what is remembered.
    /// It still has the event.
    pub fn retract(&mut self, item: &Item<'_>) -> Result<(), StaleBucket> {
        self.timeline.retract(&self.grid, item)
    }

    /// Takes a person out of the distinct persons of the bucket that `time_us` lies in ([`Series::bucket`]), where none of
    /// the person's events is left.
    ///
    /// # Errors
    /// As in [`Series::retract`].
    pub fn remove(&mut self, time_us: i64, ordinal: u32) -> Result<(), StaleBucket> {
        self.timeline.remove(&self.grid, time_us, ordinal)
    }

    /// Two persons became one. `since_us` is not after the loser's first event; it spares looking at older buckets. Gives the
    /// buckets that have to be computed again, which still have both.
    pub fn replace(&mut self, since_us: i64, loser: u32, winner: u32) -> Vec<StaleBucket> {
        self.timeline.replace(since_us, loser, winner)
    }

    /// Takes a person out of the distinct persons of every bucket; `since_us` as in [`Series::replace`]. Gives the buckets that have
    /// to be computed again. Other metrics [`Series::retract`] the person's events one by one.
    pub fn erase(&mut self, since_us: i64, ordinal: u32) -> Vec<StaleBucket> {
        self.timeline.erase(since_us, ordinal)
    }

    /// The bucket that a moment lies in now.
    pub fn bucket(&self, time_us: i64) -> StaleBucket {
        self.grid.span(time_us)
    }

    /// Puts an aggregate that was computed again in the place of the bucket that `time_us` lies in.
    pub fn put(&mut self, time_us: i64, partial: Partial, ordinals: &Ordinals) {
        self.timeline.put(&self.grid, time_us, partial, ordinals);
    }

    /// Rolls up what is older than its horizon at `now_us`. Never undone: an earlier time than before changes nothing.
    pub fn roll(&mut self, now_us: i64, ordinals: &Ordinals) {
        self.grid.roll(now_us);
        self.timeline.roll(&self.grid, ordinals);
    }

    /// Forgets the buckets that ended at `time_us` or before: retention.
    pub fn forget_before(&mut self, time_us: i64) {
        self.timeline.forget_before(time_us);
    }

    /// The aggregate of the buckets that begin in `from_us..to_us`.
    pub fn sum(&self, from_us: i64, to_us: i64, ordinals: &Ordinals) -> Partial {
        self.timeline.sum(&self.kind, (from_us, to_us), ordinals)
    }

    /// The values of spans (from inclusive, to exclusive), as `footpath_model::calendar::buckets` gives them, and of all of
    /// them together. Let a rolling range begin with a full minute: a bucket counts where it begins, so of a minute
    /// that is cut nothing counts (and [`Answer::cut`] says so).
    pub fn answer(&self, spans: &[(i64, i64)], ordinals: &Ordinals) -> Answer {
        let mut columns = Columns::new(&self.kind, spans);
        columns.add(&self.timeline, spans, ordinals);
        columns.answer(&self.kind, ordinals)
    }

    /// Appends the state; kind and horizons are settings and not in it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.grid.encode(out);
        self.timeline.encode(out);
    }

    /// Reads a state of this kind from the front of `bytes` and moves them behind it. Longer horizons than those it was
    /// rolled with hold from now on; what was rolled up stays so.
    ///
    /// # Errors
    /// [`BadBytes`] if they are no such state.
    pub fn decode(kind: MetricKind, horizons: Horizons, bytes: &mut &[u8]) -> Result<Self, BadBytes> {
        let grid = Grid::decode(horizons, bytes)?;
        let timeline = Timeline::decode(&grid, &kind, bytes)?;
        Ok(Self { kind, grid, timeline })
    }
}

#[cfg(test)]
mod tests;
