//! Which marks were acknowledged, and which of them a delta has shown.

use std::collections::VecDeque;

use hdrhistogram::Histogram;
use tokio::time::Instant;

use crate::report::{Latency, histogram, micros};

/// Acks and deltas, brought together by number: the n-th ack belongs to the n-th mark.
#[derive(Debug)]
pub struct Coverage {
    /// Acknowledged and not yet seen, oldest first.
    open: VecDeque<Instant>,
    acks: u64,
    covered: u64,
    deltas: u64,
    times: Histogram<u64>,
}

impl Coverage {
    /// Nothing sent yet.
    ///
    /// # Errors
    /// Never with the bounds in use.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self { open: VecDeque::new(), acks: 0, covered: 0, deltas: 0, times: histogram()? })
    }

    /// The next mark was acknowledged.
    pub fn acked(&mut self, at: Instant) {
        self.acks += 1;
        if self.acks <= self.covered {
            self.times.saturating_record(0); // The delta was faster than the ack.
        } else {
            self.open.push_back(at);
        }
    }

    /// A delta has the first `marks` marks.
    pub fn delta(&mut self, marks: u64, at: Instant) {
        self.deltas += 1;
        self.covered = self.covered.max(marks);
        while self.acks - (self.open.len() as u64) < marks {
            let Some(acked) = self.open.pop_front() else { return };
            self.times.saturating_record(micros(at - acked));
        }
    }

    /// Whether every acknowledged mark was seen.
    pub fn complete(&self) -> bool {
        self.open.is_empty()
    }

    /// How many acknowledged marks were not seen yet.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// How many marks were acknowledged.
    pub fn acks(&self) -> u64 {
        self.acks
    }

    /// How many deltas came.
    pub fn deltas(&self) -> u64 {
        self.deltas
    }

    /// From ack to delta.
    pub fn latency(&self) -> Latency {
        Latency::of(&self.times)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_mark_counts_to_the_first_delta_that_has_it() {
        let (mut coverage, start) = (Coverage::new().unwrap(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        coverage.acked(at(0));
        coverage.acked(at(10));
        coverage.delta(0, at(15)); // The load moved the funnel, not a mark.
        coverage.delta(1, at(20));
        assert_eq!((coverage.open(), coverage.times.len()), (1, 1));
        coverage.delta(1, at(30));
        coverage.delta(2, at(50));
        assert!(coverage.complete());
        let (min, max) = (coverage.times.min() / 1000, coverage.times.max() / 1000);
        assert_eq!((min, max, coverage.deltas()), (20, 40, 4));
    }

    #[tokio::test]
    async fn a_delta_ahead_of_the_ack_counts_as_zero() {
        let (mut coverage, start) = (Coverage::new().unwrap(), Instant::now());
        coverage.delta(1, start);
        coverage.acked(start + Duration::from_millis(5));
        assert!(coverage.complete());
        assert_eq!((coverage.times.len(), coverage.times.max()), (1, 0));
        coverage.acked(start + Duration::from_millis(6));
        assert_eq!(coverage.open(), 1);
    }
}
