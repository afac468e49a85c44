//! Counts for metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{DestinationKind, Verdict};

/// The kinds in the order of the counters; [`DestinationKind::word`].
const KINDS: [&str; 6] =
    ["webhook", "slack", "alertmanager_webhook", "alertmanager_api", "pagerduty", "email"];

/// What was done, by the kind of destination.
#[derive(Debug, Default)]
pub struct Counters {
    cells: [Cell; KINDS.len()],
}

#[derive(Debug, Default)]
struct Cell {
    attempts: AtomicU64,
    delivered: AtomicU64,
    failed: AtomicU64,
}

/// The counts of one kind of destination, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// [`DestinationKind::word`].
    pub kind: &'static str,
    /// Attempts, tests too.
    pub attempts: u64,
    /// Notices that a receiver took.
    pub delivered: u64,
    /// Notices that were given up.
    pub failed: u64,
}

impl Counters {
    /// All counts, for each kind.
    pub fn all(&self) -> [Counts; 6] {
        std::array::from_fn(|at| {
            let (cell, kind) = (&self.cells[at], KINDS[at]);
            let [attempts, delivered, failed] =
                [&cell.attempts, &cell.delivered, &cell.failed].map(|count| count.load(Relaxed));
            Counts { kind, attempts, delivered, failed }
        })
    }

    fn cell(&self, kind: &DestinationKind) -> Option<&Cell> {
        let at = KINDS.iter().position(|word| *word == kind.word())?;
        self.cells.get(at)
    }

    pub(crate) fn count_attempt(&self, kind: &DestinationKind, verdict: Verdict) {
        let Some(cell) = self.cell(kind) else { return };
        cell.attempts.fetch_add(1, Relaxed);
        if verdict == Verdict::Delivered {
            cell.delivered.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn count_failed(&self, kind: &DestinationKind, notices: u64) {
        if let Some(cell) = self.cell(kind) {
            cell.failed.fetch_add(notices, Relaxed);
        }
    }
}
