//! How many numbered events are known to be missing, per project, kept up to date as groups commit.
//!
//! Only streams with holes are looked at; a stream that is sent in order costs one comparison.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use parking_lot::RwLock;

use crate::streams::{StreamHandle, StreamTable};

/// Shared counts of missing events by project; clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Missing {
    by_project: Arc<RwLock<HashMap<u32, u128>>>,
}

impl Missing {
    /// Numbered events of the project that were given out, not delivered, and not explained as lost.
    pub fn of(&self, project: u32) -> u64 {
        let count = self.by_project.read().get(&project).copied().unwrap_or(0);
        count.try_into().unwrap_or(u64::MAX)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    /// Streams with holes, and how many numbers are missing in each.
    holed: HashMap<StreamHandle, u64>,
    touched: HashSet<StreamHandle>,
    /// In 128 bits: one client can claim holes of 2^64, and the sum must come back to zero.
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
        if was_holed || streams.stream_at(handle).1.may_have_holes() {
            self.touched.insert(handle);
        }
    }

    /// Counts the streams touched since the last time.
    pub(crate) fn count(&mut self, streams: &StreamTable) {
        if self.touched.is_empty() {
            return;
        }
        let mut by_project = self.missing.by_project.write();
        for handle in self.touched.drain() {
            let (project, stream) = streams.stream_at(handle);
            let now = stream.missing();
            let before = if now == 0 { self.holed.remove(&handle) } else { self.holed.insert(handle, now) };
            let total = by_project.entry(project).or_default();
            *total = *total + u128::from(now) - u128::from(before.unwrap_or(0));
        }
    }

    /// The shared counts.
    pub(crate) fn missing(&self) -> Missing {
        self.missing.clone()
    }
}
