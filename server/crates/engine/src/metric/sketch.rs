//! Percentiles: DDSketch.
//!
//! Charles Masson, Jee E. Rim, Homin K. Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error
//! Guarantees", VLDB 2019. Numbers are counted in buckets whose bounds grow geometrically, so that any quantile is known
//! within [`RELATIVE_ACCURACY`] of its value. Zero has a bucket of its own, negative numbers are counted by their size.

use crate::metric::codec::{BadBytes, put, put_signed, take, take_len, take_signed};
use crate::metric::partial::Retraction;

mod mapping;
mod units;

pub use units::UnitSketches;

use mapping::{bucket_of, value_of};

/// A quantile is at most this share of its value away from the true one.
pub const RELATIVE_ACCURACY: f64 = 0.01;

/// Most buckets for numbers above zero, and for those below. Enough for numbers whose sizes differ by a factor of
/// 10^17 with every bucket in use; only numbers that are made to do so need more.
pub const MAX_BUCKETS: usize = 2048;

/// Counts of numbers by size. 12 bytes for each of about 35 buckets that a factor of two in the data covers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sketch {
    zeros: u64,
    positive: Store,
    negative: Store,
}

/// Counts of buckets that are not empty, by bucket, ascending.
///
/// With more than [`MAX_BUCKETS`] the two lowest become one (algorithm 3 of the paper). So what remains are the highest
/// buckets ever seen and all the rest in the lowest of them: that depends on no order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Store {
    buckets: Vec<i32>,
    counts: Vec<u64>,
    collapsed: bool,
}

/// A bucket: of numbers below zero, of zero, of those above.
#[derive(Debug, Clone, Copy)]
enum Size {
    Below(i32),
    Zero,
    Above(i32),
}

impl Size {
    /// The number that stands for it.
    fn number(self) -> f64 {
        match self {
            Self::Below(bucket) => -value_of(bucket),
            Self::Zero => 0.0,
            Self::Above(bucket) => value_of(bucket),
        }
    }
}

impl Sketch {
    /// Nothing counted.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many numbers were counted.
    pub fn count(&self) -> u64 {
        self.zeros.saturating_add(self.positive.total()).saturating_add(self.negative.total())
    }

    /// Whether nothing was counted, or all of it was retracted.
    pub fn is_empty(&self) -> bool {
        self.zeros == 0 && self.positive.counts.is_empty() && self.negative.counts.is_empty()
    }

    /// Whether buckets became one, so that quantiles among the numbers nearest to zero are less accurate than
    /// [`RELATIVE_ACCURACY`].
    pub fn is_collapsed(&self) -> bool {
        self.positive.collapsed || self.negative.collapsed
    }

    /// Counts a number; finite.
    #[inline]
    pub fn add(&mut self, number: f64) {
        match self.store_mut(number) {
            Some(store) => store.add(bucket_of(number.abs()), 1),
            None => self.zeros = self.zeros.saturating_add(1),
        }
    }

    /// Takes a number away. Stale if none of its size was counted, or buckets became one: where they did depends on what is
    /// taken away.
    pub fn retract(&mut self, number: f64) -> Retraction {
        let mut one = Self::new();
        one.add(number);
        self.subtract(&one)
    }

    /// Adds the counts of the other.
    pub fn merge(&mut self, other: &Self) {
        self.zeros = self.zeros.saturating_add(other.zeros);
        self.positive.merge(&other.positive);
        self.negative.merge(&other.negative);
    }

    /// Takes the counts of the other away. Stale as in [`Sketch::retract`]; then nothing changes.
    pub fn subtract(&mut self, other: &Self) -> Retraction {
        let holds = self.zeros >= other.zeros
            && self.positive.holds(&other.positive)
            && self.negative.holds(&other.negative);
        if self.is_collapsed() || !holds {
            return Retraction::Stale;
        }
        self.zeros -= other.zeros;
        self.positive.subtract(&other.positive);
        self.negative.subtract(&other.negative);
        Retraction::Done
    }

    /// A number within [`RELATIVE_ACCURACY`] of the one at rank `q * (count - 1)`, rounded down, in ascending order counted from 0;
    /// `None` if nothing was counted. `q` lies in 0 to 1; what is outside counts as the nearer end.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.count();
        let last = count.checked_sub(1)?;
        let rank = ((q.clamp(0.0, 1.0) * last as f64) as u64).min(last);
        let mut seen = 0_u64;
        let found = self.sizes().find(|(_, count)| {
            seen = seen.saturating_add(*count);
            seen > rank
        });
        found.map(|(size, _)| size.number())
    }

    /// What was counted, in ascending order: a number within [`RELATIVE_ACCURACY`], and how many of its size there are.
    pub fn counts(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.sizes().map(|(size, count)| (size.number(), count))
    }

    /// As [`Sketch::counts`], but no number is reckoned yet: that takes half a microsecond.
    fn sizes(&self) -> impl Iterator<Item = (Size, u64)> + '_ {
        let below = self.negative.iter().rev().map(|(bucket, count)| (Size::Below(bucket), count));
        let above = self.positive.iter().map(|(bucket, count)| (Size::Above(bucket), count));
        below.chain([(Size::Zero, self.zeros)]).chain(above).filter(|(_, count)| *count > 0)
    }

    #[inline]
    fn store_mut(&mut self, number: f64) -> Option<&mut Store> {
        if number > 0.0 {
            Some(&mut self.positive)
        } else if number < 0.0 {
            Some(&mut self.negative)
        } else {
            None
        }
    }

    /// Appends the state.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.zeros);
        self.positive.encode(out);
        self.negative.encode(out);
    }

    /// Reads a state from the front of `bytes` and moves them behind it.
    ///
    /// # Errors
    /// [`BadBytes`] if they are no such state.
    pub fn decode(bytes: &mut &[u8]) -> Result<Self, BadBytes> {
        Ok(Self { zeros: take(bytes)?, positive: Store::decode(bytes)?, negative: Store::decode(bytes)? })
    }
}

impl Store {
    fn iter(&self) -> impl DoubleEndedIterator<Item = (i32, u64)> {
        self.buckets.iter().copied().zip(self.counts.iter().copied())
    }

    fn total(&self) -> u64 {
        self.counts.iter().fold(0, |total, count| total.saturating_add(*count))
    }

    #[inline]
    fn add(&mut self, bucket: i32, count: u64) {
        match self.buckets.binary_search(&bucket) {
            Ok(at) => self.counts[at] = self.counts[at].saturating_add(count),
            Err(at) => self.insert(at, bucket, count),
        }
    }

    #[inline(never)]
    fn insert(&mut self, at: usize, bucket: i32, count: u64) {
        self.buckets.insert(at, bucket);
        self.counts.insert(at, count);
        if self.buckets.len() > MAX_BUCKETS {
            self.collapsed = true;
            self.buckets.remove(0);
            let lowest = self.counts.remove(0);
            self.counts[0] = self.counts[0].saturating_add(lowest);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.collapsed |= other.collapsed;
        other.iter().for_each(|(bucket, count)| self.add(bucket, count));
    }

    fn count_of(&self, bucket: i32) -> u64 {
        self.buckets.binary_search(&bucket).map_or(0, |at| self.counts[at])
    }

    fn holds(&self, other: &Self) -> bool {
        other.iter().all(|(bucket, count)| self.count_of(bucket) >= count)
    }

    fn subtract(&mut self, other: &Self) {
        for (bucket, count) in other.iter() {
            let Ok(at) = self.buckets.binary_search(&bucket) else { continue };
            self.counts[at] -= count;
            if self.counts[at] == 0 {
                self.buckets.remove(at);
                self.counts.remove(at);
            }
        }
    }

    /// The distance to the bucket before, then the count.
    fn encode(&self, out: &mut Vec<u8>) {
        put(out, u64::from(self.collapsed));
        put(out, self.buckets.len() as u64);
        let mut before = 0;
        for (bucket, count) in self.iter() {
            put_signed(out, i64::from(bucket) - i64::from(before));
            put(out, count);
            before = bucket;
        }
    }

    fn decode(bytes: &mut &[u8]) -> Result<Self, BadBytes> {
        let mut store = Self { collapsed: take(bytes)? != 0, ..Self::default() };
        let mut before = 0_i64;
        for _ in 0..take_len(bytes)? {
            before = before.checked_add(take_signed(bytes)?).ok_or(BadBytes)?;
            store.buckets.push(i32::try_from(before).map_err(|_| BadBytes)?);
            store.counts.push(take(bytes)?);
        }
        let sound = store.buckets.is_sorted_by(|a, b| a < b)
            && store.buckets.len() <= MAX_BUCKETS
            && store.counts.iter().all(|count| *count > 0);
        if sound { Ok(store) } else { Err(BadBytes) }
    }
}

#[cfg(test)]
mod tests;
