//! Which numbered events are known to be missing, per project and stream, kept up to date as groups commit.
//!
//! Only streams with holes are looked at; a stream that is sent in order costs one comparison.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use parking_lot::RwLock;

use crate::streams::{Range, Stream, StreamHandle, StreamKey, StreamTable};

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
pub struct Missing {
    gaps: Arc<RwLock<Counted>>,
}

#[derive(Debug, Default)]
struct Counted {
    /// In 128 bits: one client can claim holes of 2^64, and the sum must come back to zero.
    by_project: HashMap<u32, u128>,
    by_stream: BTreeMap<StreamKey, (u64, Vec<Range>)>,
}

impl Missing {
    /// Numbered events of the project that are missing in all its streams.
    pub fn of(&self, project: u32) -> u64 {
        let count = self.gaps.read().by_project.get(&project).copied().unwrap_or(0);
        count.try_into().unwrap_or(u64::MAX)
    }

    /// Numbered events that are missing in all projects.
    pub fn total(&self) -> u64 {
        let count =
            self.gaps.read().by_project.values().fold(0, |sum: u128, count| sum.saturating_add(*count));
        count.try_into().unwrap_or(u64::MAX)
    }

    /// Up to `limit` streams of the project with gaps, in the order of their keys, from behind `after` on.
    pub fn gaps(&self, project: u32, after: Option<StreamKey>, limit: usize) -> Vec<Gap> {
        let least = StreamKey { project, install: [0; 16], epoch: 0, class: 0, lane: 0 };
        let from = after.map_or(Bound::Included(least), Bound::Excluded);
        let gaps = self.gaps.read();
        let streams = gaps.by_stream.range((from, Bound::Unbounded));
        let mine = streams.take_while(|(key, _)| key.project == project).take(limit);
        mine.map(|(stream, (missing, ranges))| Gap {
            stream: *stream,
            missing: *missing,
            ranges: ranges.clone(),
        })
        .collect()
    }
}

impl Counted {
    fn set(&mut self, key: StreamKey, stream: &Stream) {
        let mut ranges = stream.holes();
        let now = ranges.iter().map(|(from, to)| to - from + 1).fold(0, u64::saturating_add);
        ranges.truncate(NAMED_RANGES);
        ranges.shrink_to_fit();
        let before = match now {
            0 => self.by_stream.remove(&key),
            _ => self.by_stream.insert(key, (now, ranges)),
        };
        let before = before.map_or(0, |(missing, _)| missing);
        let total = self.by_project.entry(key.project).or_default();
        *total = *total + u128::from(now) - u128::from(before);
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    holed: HashSet<StreamHandle>,
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
        let was_holed = !self.holed.is_empty() && self.holed.contains(&handle);
        if was_holed || streams.stream_at(handle).may_have_holes() {
            self.touched.insert(handle);
        }
    }

    /// Counts the streams touched since the last time.
    pub(crate) fn count(&mut self, streams: &StreamTable) {
        if self.touched.is_empty() {
            return;
        }
        let mut counted = self.missing.gaps.write();
        for handle in self.touched.drain() {
            let (key, stream) = (streams.key_of(handle), streams.stream_at(handle));
            counted.set(key, stream);
            if counted.by_stream.contains_key(&key) {
                self.holed.insert(handle);
            } else {
                self.holed.remove(&handle);
            }
        }
    }

    /// What is missing, shared.
    pub(crate) fn missing(&self) -> Missing {
        self.missing.clone()
    }
}
