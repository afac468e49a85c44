//! What the API counts. Only atomics here; the server's admin port names and exports them (docs/operations.md).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use footpath_ingest::Accepted;
use parking_lot::Mutex;

/// Upper bounds in microseconds of [`Metrics::ack_time`].
pub const ACK_BUCKETS_US: [u64; 11] =
    [500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 2_000_000];

/// Counters of the API; all only grow.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Events on disk because of a batch.
    pub stored: AtomicU64,
    /// Events that were on disk already.
    pub duplicates: AtomicU64,
    /// Events that were not stored, by reason.
    pub refused: Reasons,
    /// Batches refused as a whole, by reason.
    pub batches_refused: Reasons,
    /// Bytes of batches, decompressed.
    pub received_bytes: AtomicU64,
    /// Time from a batch's receipt to its answer.
    pub ack_time: Histogram<{ ACK_BUCKETS_US.len() }>,
    /// Gap markers sent to subscribers, by reason.
    pub gaps: Reasons,
    /// Requests told to come back because all memory for bodies was taken.
    pub bodies_refused: AtomicU64,
}

impl Metrics {
    /// Counts an answered batch that took `micros`.
    pub fn accepted(&self, accepted: &Accepted, micros: i64) {
        self.stored.fetch_add(u64::from(accepted.stored), Ordering::Relaxed);
        self.duplicates.fetch_add(u64::from(accepted.duplicates), Ordering::Relaxed);
        self.refused.add(accepted.refused.iter().map(|refused| refused.reason.as_str()));
        self.ack_time.record(&ACK_BUCKETS_US, micros.max(0).cast_unsigned());
    }
}

/// Counts by stable reason. Reasons come from the code, never from a client, so the map stays small.
#[derive(Debug, Default)]
pub struct Reasons(Mutex<BTreeMap<String, u64>>);

impl Reasons {
    /// Counts each of `reasons` once.
    pub fn add<'a>(&self, reasons: impl IntoIterator<Item = &'a str>) {
        let mut reasons = reasons.into_iter().peekable();
        if reasons.peek().is_none() {
            return; // The usual case takes no lock.
        }
        let mut counts = self.0.lock();
        for reason in reasons {
            match counts.get_mut(reason) {
                Some(count) => *count += 1,
                None => {
                    counts.insert(reason.to_owned(), 1);
                }
            }
        }
    }

    /// All counts, by reason.
    pub fn all(&self) -> BTreeMap<String, u64> {
        self.0.lock().clone()
    }
}

/// Counts by size.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    counts: [AtomicU64; N],
    beyond: AtomicU64,
    sum: AtomicU64,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self {
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            beyond: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }
}

impl<const N: usize> Histogram<N> {
    /// Counts `value` in the first bucket whose bound is not below it.
    pub fn record(&self, bounds: &[u64; N], value: u64) {
        let bucket = bounds.partition_point(|&bound| bound < value);
        self.counts.get(bucket).unwrap_or(&self.beyond).fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// The counts, the last one for what is beyond all bounds, and the sum of all values.
    pub fn read(&self) -> (Vec<u64>, u64) {
        let counts = self.counts.iter().chain([&self.beyond]);
        (counts.map(|count| count.load(Ordering::Relaxed)).collect(), self.sum.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_where_its_bound_is() {
        let histogram = Histogram::<2>::default();
        for value in [1, 10, 11, 1000] {
            histogram.record(&[10, 100], value);
        }
        assert_eq!(histogram.read(), (vec![2, 1, 1], 1022));
    }

    #[test]
    fn reasons_are_counted_apart() {
        let reasons = Reasons::default();
        reasons.add(["a", "b", "a"]);
        assert_eq!(reasons.all().into_iter().collect::<Vec<_>>(), [("a".into(), 2), ("b".into(), 1)]);
    }
}
