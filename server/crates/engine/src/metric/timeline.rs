//! Buckets of one series, by time.

use std::collections::BTreeMap;

use crate::funnel::clamp_time;
use crate::metric::codec::{BadBytes, put, take, take_len};
use crate::metric::grid::{Grid, LEVELS, StaleBucket, WIDTHS_US, floor};
use crate::metric::item::Item;
use crate::metric::ordinals::Ordinals;
use crate::metric::partial::{MetricKind, Partial, Retraction};
use crate::metric::uniques::Uniques;
use crate::metric::value::Answer;

/// The buckets that are not empty, of each level by their beginning. A moment lies in one level only, said by the [`Grid`].
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Timeline {
    levels: [BTreeMap<i64, Partial>; LEVELS],
}

impl Timeline {
    pub(crate) fn is_empty(&self) -> bool {
        self.levels.iter().all(BTreeMap::is_empty)
    }

    pub(crate) fn len(&self) -> usize {
        self.levels.iter().map(BTreeMap::len).sum()
    }

    #[inline]
    pub(crate) fn add(&mut self, grid: &Grid, kind: &MetricKind, item: &Item<'_>, ordinals: &mut Ordinals) {
        let (level, start_us) = grid.bucket(item.time_us);
        // Most events belong to the newest bucket.
        if let Some(mut newest) = self.levels[level].last_entry()
            && *newest.key() == start_us
        {
            return newest.get_mut().add(item, ordinals);
        }
        if let Some(partial) = self.levels[level].get_mut(&start_us) {
            return partial.add(item, ordinals);
        }
        let mut partial = Partial::new(kind);
        partial.add(item, ordinals);
        if !partial.is_empty() {
            self.levels[level].insert(start_us, partial);
        }
    }

    pub(crate) fn retract(&mut self, grid: &Grid, item: &Item<'_>) -> Result<(), StaleBucket> {
        self.change(grid, item.time_us, |partial| partial.retract(item))
    }

    /// Takes a person out of the bucket of a moment.
    pub(crate) fn remove(&mut self, grid: &Grid, time_us: i64, ordinal: u32) -> Result<(), StaleBucket> {
        let remove = |partial: &mut Partial| match partial {
            Partial::Uniques(persons) => persons.remove(ordinal),
            _ => Retraction::Done,
        };
        self.change(grid, time_us, remove)
    }

    fn change(
        &mut self,
        grid: &Grid,
        time_us: i64,
        change: impl FnOnce(&mut Partial) -> Retraction,
    ) -> Result<(), StaleBucket> {
        let (level, start_us) = grid.bucket(time_us);
        let Some(partial) = self.levels[level].get_mut(&start_us) else { return Err(grid.span(time_us)) };
        if change(partial) == Retraction::Stale {
            return Err(grid.span(time_us));
        }
        if partial.is_empty() {
            self.levels[level].remove(&start_us);
        }
        Ok(())
    }

    /// The loser of a merge becomes the winner in all buckets that end after `since_us`.
    pub(crate) fn replace(&mut self, since_us: i64, loser: u32, winner: u32) -> Vec<StaleBucket> {
        self.change_persons(since_us, |persons| persons.replace(loser, winner))
    }

    /// Takes a person out of all buckets that end after `since_us`.
    pub(crate) fn erase(&mut self, since_us: i64, ordinal: u32) -> Vec<StaleBucket> {
        let stale = self.change_persons(since_us, |persons| persons.remove(ordinal));
        self.levels.iter_mut().for_each(|buckets| buckets.retain(|_, partial| !partial.is_empty()));
        stale
    }

    fn change_persons(
        &mut self,
        since_us: i64,
        change: impl Fn(&mut Uniques) -> Retraction,
    ) -> Vec<StaleBucket> {
        let since_us = clamp_time(since_us);
        let mut stale = Vec::new();
        for (level, width_us) in WIDTHS_US.into_iter().enumerate() {
            for (from_us, partial) in self.levels[level].range_mut(floor(since_us, level)..) {
                let Partial::Uniques(persons) = partial else { continue };
                if change(persons) == Retraction::Stale {
                    stale.push(StaleBucket { from_us: *from_us, to_us: from_us + width_us });
                }
            }
        }
        stale
    }

    /// Puts a bucket that was computed again in place of the one that has this moment.
    pub(crate) fn put(&mut self, grid: &Grid, time_us: i64, mut partial: Partial, ordinals: &Ordinals) {
        let (level, start_us) = grid.bucket(time_us);
        partial.limit(ordinals);
        if partial.is_empty() {
            self.levels[level].remove(&start_us);
        } else {
            self.levels[level].insert(start_us, partial);
        }
    }

    /// Moves what is before the beginning of its level into the next.
    pub(crate) fn roll(&mut self, grid: &Grid, ordinals: &Ordinals) {
        for (level, begin_us) in grid.begins_us().into_iter().enumerate() {
            let kept = self.levels[level].split_off(&begin_us);
            let old = std::mem::replace(&mut self.levels[level], kept);
            for (start_us, partial) in old {
                self.roll_up(level + 1, floor(start_us, level + 1), partial, ordinals);
            }
        }
    }

    fn roll_up(&mut self, level: usize, start_us: i64, partial: Partial, ordinals: &Ordinals) {
        match self.levels[level].get_mut(&start_us) {
            None => {
                self.levels[level].insert(start_us, partial);
            }
            Some(coarse) => {
                coarse.merge(&partial, ordinals);
                coarse.limit(ordinals);
            }
        }
    }

    /// Forgets the buckets that ended at `time_us` or before.
    pub(crate) fn forget_before(&mut self, time_us: i64) {
        for (buckets, width_us) in self.levels.iter_mut().zip(WIDTHS_US) {
            *buckets = buckets.split_off(&time_us.saturating_sub(width_us - 1));
        }
    }

    /// Whether an edge at this moment lies inside of a bucket.
    fn cuts(&self, time_us: i64) -> bool {
        let time_us = clamp_time(time_us);
        (0..LEVELS).any(|level| {
            let start_us = floor(time_us, level);
            start_us < time_us && self.levels[level].contains_key(&start_us)
        })
    }

    pub(crate) fn merge_into(&self, total: &mut Partial, (from_us, to_us): (i64, i64), ordinals: &Ordinals) {
        if from_us >= to_us {
            return;
        }
        for buckets in &self.levels {
            buckets.range(from_us..to_us).for_each(|(_, partial)| total.merge(partial, ordinals));
        }
    }

    /// The aggregate of a span.
    pub(crate) fn sum(&self, kind: &MetricKind, span: (i64, i64), ordinals: &Ordinals) -> Partial {
        let mut total = Partial::new(kind);
        self.merge_into(&mut total, span, ordinals);
        total
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for (buckets, width_us) in self.levels.iter().zip(WIDTHS_US) {
            put(out, buckets.len() as u64);
            let mut before = 0;
            for (start_us, partial) in buckets {
                put(out, ((start_us - before) / width_us) as u64);
                partial.encode(out);
                before = *start_us;
            }
        }
    }

    pub(crate) fn decode(grid: &Grid, kind: &MetricKind, bytes: &mut &[u8]) -> Result<Self, BadBytes> {
        let mut timeline = Self::default();
        for (level, width_us) in WIDTHS_US.into_iter().enumerate() {
            let mut start_us = 0_i64;
            for i in 0..take_len(bytes)? {
                let distance = i64::try_from(take(bytes)?).ok().and_then(|n| n.checked_mul(width_us));
                let ascends = i == 0 || distance != Some(0);
                start_us = distance.and_then(|distance| start_us.checked_add(distance)).ok_or(BadBytes)?;
                let partial = Partial::decode(kind, bytes)?;
                if !ascends || partial.is_empty() || grid.bucket(start_us) != (level, start_us) {
                    return Err(BadBytes);
                }
                timeline.levels[level].insert(start_us, partial);
            }
        }
        Ok(timeline)
    }
}

/// The aggregates of several spans, before they are an answer: these can be merged with those of another series.
pub(crate) struct Columns {
    partials: Vec<Partial>,
    cut: bool,
}

impl Columns {
    pub(crate) fn new(kind: &MetricKind, spans: &[(i64, i64)]) -> Self {
        Self { partials: spans.iter().map(|_| Partial::new(kind)).collect(), cut: false }
    }

    pub(crate) fn add(&mut self, timeline: &Timeline, spans: &[(i64, i64)], ordinals: &Ordinals) {
        for (partial, span) in self.partials.iter_mut().zip(spans) {
            timeline.merge_into(partial, *span, ordinals);
            self.cut |= timeline.cuts(span.0) || timeline.cuts(span.1);
        }
    }

    pub(crate) fn answer(&self, kind: &MetricKind, ordinals: &Ordinals) -> Answer {
        let mut total = Partial::new(kind);
        self.partials.iter().for_each(|partial| total.merge(partial, ordinals));
        let buckets = self.partials.iter().map(|partial| kind.value(partial)).collect();
        Answer { buckets, total: kind.value(&total), cut: self.cut }
    }
}
