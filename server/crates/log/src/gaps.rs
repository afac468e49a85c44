//! Which numbered events are known to be missing, per project and stream, kept up to date as groups commit.
//!
//! Only streams with holes are looked at; a stream that is sent in order costs one comparison.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hashbrown::{HashMap, HashSet};
use parking_lot::RwLock;

use crate::streams::{Range, StreamHandle, StreamKey, StreamTable};

/// Ranges that a gap names; a stream with more of them says so by its count.
pub const NAMED_RANGES: usize = 8;

/// What is missing in one stream: numbers that were given out, not delivered, and not explained as lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The stream.
    pub stream: StreamKey,
    /// How many numbers are missing.
    pub missing: u64,
    /// The first [`NAMED_RANGES`] missing ranges, ascending.
    pub ranges: Vec<Range>,
}

/// What is missing, shared; clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Missing(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// In 128 bits: one client can claim holes of 2^64, and the sum must come back to zero.
    by_project: RwLock<HashMap<u32, u128>>,
    /// Made only when it is asked for: lanes that overtake each other open and close holes all the time.
    by_stream: RwLock<BTreeMap<StreamKey, (u64, Vec<Range>)>>,
    asked: AtomicBool,
}

impl Missing {
    /// Numbered events of the project that are missing in all its streams.
    pub fn of(&self, project: u32) -> u64 {
        let count = self.0.by_project.read().get(&project).copied().unwrap_or(0);
        count.try_into().unwrap_or(u64::MAX)
    }

    /// Numbered events that are missing in all projects.
    pub fn total(&self) -> u64 {
        let by_project = self.0.by_project.read();
        let count = by_project.values().fold(0, |sum: u128, count| sum.saturating_add(*count));
        count.try_into().unwrap_or(u64::MAX)
    }

    /// Asks for the gaps to be named anew: done with the next group, or soon if there is none.
    pub fn ask(&self) {
        self.0.asked.store(true, Ordering::Release);
    }

    /// Whether the gaps have been named since they were asked for.
    pub fn is_named(&self) -> bool {
        !self.0.asked.load(Ordering::Acquire)
    }

    /// Up to `limit` streams of the project with gaps, in the order of their keys, from behind `after` on: as they were
    /// when they were named last.
    pub fn gaps(&self, project: u32, after: Option<StreamKey>, limit: usize) -> Vec<Gap> {
        let least = StreamKey { project, install: [0; 16], epoch: 0, class: 0, lane: 0 };
        let from = after.map_or(Bound::Included(least), Bound::Excluded);
        let by_stream = self.0.by_stream.read();
        let streams = by_stream.range((from, Bound::Unbounded));
        let mine = streams.take_while(|(key, _)| key.project == project).take(limit);
        mine.map(|(stream, (missing, ranges))| Gap {
            stream: *stream,
            missing: *missing,
            ranges: ranges.clone(),
        })
        .collect()
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    /// Streams with holes, and how many numbers are missing in each.
    holed: HashMap<StreamHandle, u64>,
    touched: HashSet<StreamHandle>,
    missing: Missing,
}

impl Gaps {
    /// The gaps of a whole table.
    pub(crate) fn of(streams: &StreamTable) -> Self {
        let mut gaps = Self::default();
        streams.handles().for_each(|handle| gaps.touch(streams, handle));
        gaps.count(streams);
        gaps
    }

    /// A stream changed.
    #[inline]
    pub(crate) fn touch(&mut self, streams: &StreamTable, handle: StreamHandle) {
        let was_holed = !self.holed.is_empty() && self.holed.contains_key(&handle);
        if was_holed || streams.stream_at(handle).may_have_holes() {
            self.touched.insert(handle);
        }
    }

    /// Counts the streams touched since the last time.
    pub(crate) fn count(&mut self, streams: &StreamTable) {
        if self.touched.is_empty() {
            return;
        }
        let mut by_project = self.missing.0.by_project.write();
        for handle in self.touched.drain() {
            let now = streams.stream_at(handle).missing();
            let before = if now == 0 { self.holed.remove(&handle) } else { self.holed.insert(handle, now) };
            let total = by_project.entry(streams.key_of(handle).project).or_default();
            *total = *total + u128::from(now) - u128::from(before.unwrap_or(0));
        }
    }

    /// Names the gaps that were counted, if somebody asked for it.
    pub(crate) fn name(&self, streams: &StreamTable) {
        if self.missing.is_named() {
            return;
        }
        let named = self.holed.iter().map(|(handle, missing)| {
            let mut ranges = streams.stream_at(*handle).holes();
            ranges.truncate(NAMED_RANGES);
            (streams.key_of(*handle), (*missing, ranges))
        });
        *self.missing.0.by_stream.write() = named.collect();
        self.missing.0.asked.store(false, Ordering::Release);
    }

    /// What is missing, shared.
    pub(crate) fn missing(&self) -> Missing {
        self.missing.clone()
    }
}
