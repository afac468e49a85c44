//! Outcomes that no group has carried yet: of attempts that were refused before they reached one.
//!
//! Every delivery attempt ends in exactly one outcome. What is judged in a group has its outcomes in that group's
//! frames. What is refused before (the queue is full, the log does not write) is counted here and rides in the next
//! group that is stored, under that group's sync. A batch whose events cannot be told apart counts as one attempt.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use footpath_model::id::Producer;
use footpath_model::record::{FrameHead, FrameKind, Outcome, OutcomeCount, build_frame};
use parking_lot::Mutex;

/// Events by project, outcome and reason.
pub(crate) type Counts = BTreeMap<(u32, Outcome, &'static str), u64>;

/// The server's queue was full.
pub(crate) const BUSY: &str = "busy";
/// The log could not store the group.
pub(crate) const NOT_DURABLE: &str = "not_durable";
/// The server was stopping.
pub(crate) const DRAINING: &str = "draining";

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct PendingOutcomes {
    counts: Mutex<Counts>,
    waiting: AtomicBool,
}

impl PendingOutcomes {
    /// Counts attempts that ended in `outcome`.
    pub(crate) fn add(&self, project: u32, outcome: Outcome, reason: &'static str, attempts: u64) {
        if attempts > 0 {
            self.add_all(Counts::from([((project, outcome, reason), attempts)]));
        }
    }

    /// Counts all of these.
    pub(crate) fn add_all(&self, more: Counts) {
        if more.is_empty() {
            return;
        }
        let mut counts = self.counts.lock();
        for (key, attempts) in more {
            *counts.entry(key).or_default() += attempts;
        }
        self.waiting.store(true, Ordering::Release);
    }

    /// Whether anything waits for a group.
    pub(crate) fn any(&self) -> bool {
        self.waiting.load(Ordering::Acquire)
    }

    /// Takes out everything; put it back with [`Self::add_all`] if its group is not stored.
    pub(crate) fn take(&self) -> Counts {
        if !self.any() {
            return Counts::new();
        }
        let mut counts = self.counts.lock();
        self.waiting.store(false, Ordering::Release);
        std::mem::take(&mut counts)
    }
}

/// One frame without events for each project.
pub(crate) fn frames(counts: &Counts, append_time_us: i64) -> Vec<Bytes> {
    let mut by_project: BTreeMap<u32, Vec<OutcomeCount>> = BTreeMap::new();
    for (&(project, outcome, reason), &attempts) in counts {
        let outcomes = by_project.entry(project).or_default();
        let mut left = attempts;
        while left > 0 {
            let count = u32::try_from(left).unwrap_or(u32::MAX);
            outcomes.push(OutcomeCount { outcome, reason: reason.to_owned(), count });
            left -= u64::from(count);
        }
    }
    let frame = |(project, outcomes): (u32, Vec<OutcomeCount>)| {
        let head = FrameHead {
            kind: FrameKind::Events,
            historical: false,
            project,
            received_us: append_time_us,
            producer: Producer::default(),
        };
        build_frame(&head, &[], &outcomes, 0, std::iter::empty()).into()
    };
    by_project.into_iter().map(frame).collect()
}

#[cfg(test)]
mod tests {
    use footpath_model::record::FrameView;

    use super::*;

    #[test]
    fn counts_of_any_size_ride_in_one_frame_per_project() {
        let pending = PendingOutcomes::default();
        assert!(!pending.any());
        pending.add(1, Outcome::Throttled, BUSY, 3);
        pending.add(2, Outcome::Throttled, BUSY, u64::from(u32::MAX) + 7);
        pending.add(1, Outcome::Throttled, BUSY, 2);
        pending.add(1, Outcome::Invalid, "batch_malformed", 0);
        let counts = pending.take();
        assert!(!pending.any() && pending.take().is_empty());
        let frames = frames(&counts, 9);
        let sums: Vec<_> = frames.iter().map(|frame| FrameView::new(frame).unwrap()).collect();
        let sum = |view: &FrameView<'_>| view.outcomes().iter().map(|one| u64::from(one.count)).sum::<u64>();
        assert_eq!(
            sums.iter().map(|view| (view.head.project, sum(view))).collect::<Vec<_>>(),
            [(1, 5), (2, u64::from(u32::MAX) + 7)]
        );
        assert!(sums.iter().all(|view| view.events().next().is_none()));
        pending.add_all(counts);
        assert!(pending.any(), "put back after a group that was not stored");
    }
}
