//! The sessions before a person's last one. Most persons have none, so this lies on the heap.

use std::collections::VecDeque;

use super::SessionRules;
use super::span::Span;

/// Nothing is settled yet: before all times, and a gap can be added.
pub(super) const NOTHING_SETTLED: i64 = i64::MIN;

/// What is kept of earlier sessions, oldest first, and how many older ones were settled: told, and forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Earlier {
    pub(super) spans: VecDeque<Span>,
    pub(super) settled: u64,
    /// The end of the last settled session, or [`NOTHING_SETTLED`].
    pub(super) settled_until_us: i64,
}

impl Default for Earlier {
    fn default() -> Self {
        Self { spans: VecDeque::new(), settled: 0, settled_until_us: NOTHING_SETTLED }
    }
}

impl Earlier {
    /// Settles the oldest sessions until the rest and the person's last one are as many as may be kept.
    pub(super) fn settle(&mut self, rules: &SessionRules) {
        while self.spans.len() >= rules.kept() {
            let Some(oldest) = self.spans.pop_front() else { return };
            self.settled = self.settled.saturating_add(1);
            self.settled_until_us = oldest.session.end_us;
        }
    }

    /// Whether nothing would be lost without it.
    pub(super) fn is_empty(&self) -> bool {
        self.spans.is_empty() && self.settled == 0
    }
}
