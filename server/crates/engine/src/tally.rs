//! What units (persons, groups, sessions) add up to in a funnel.

use hashbrown::HashMap;

use crate::general::Attempt;
use crate::image::{BadImage, take};
use crate::metric::Sketch;

/// What one attempt counts for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tally {
    /// Bit `i` is set if step `i` was reached.
    pub steps: u32,
    /// The breakdown value it counts under.
    pub value: u32,
    /// Below 0 for one that did not reach the last step.
    took_us: f32,
}

/// It did not reach the last step.
const UNFINISHED: f32 = -1.0;

impl Tally {
    /// Of an attempt; `took_us` is how long it took from the entry to the last step, if it got there.
    #[inline]
    pub fn new(steps: u32, value: u32, took_us: Option<f32>) -> Self {
        Self { steps, value, took_us: took_us.unwrap_or(UNFINISHED) }
    }

    /// Of an attempt at a funnel of so many steps.
    pub fn of(attempt: &Attempt, steps: usize) -> Self {
        let finished = steps.checked_sub(1).and_then(|last| attempt.reached_us(last));
        let took_us = finished.map(|finished_us| (finished_us - attempt.entry_us) as f32);
        Self::new(attempt.steps, attempt.value, took_us)
    }

    /// Microseconds from the entry to the last step, for one that reached it.
    pub fn took_us(&self) -> Option<f32> {
        (self.took_us >= 0.0).then_some(self.took_us)
    }

    /// Appends it, for images: steps, value and time, 4 bytes each.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let words = [self.steps, self.value, self.took_us.to_bits()];
        words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
    }

    pub(crate) fn decode(bytes: &mut &[u8]) -> Result<Self, BadImage> {
        let mut word = || take(bytes).map(u32::from_le_bytes);
        let (steps, value, took_us) = (word()?, word()?, f32::from_bits(word()?));
        if took_us.is_finite() { Ok(Self { steps, value, took_us }) } else { Err(BadImage) }
    }
}

/// A value of a breakdown.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SliceValue {
    /// A value, as text.
    Is(String),
    /// All values that are not named.
    Other,
    /// The property is not set.
    NotSet,
    /// The step that gives the value was not reached.
    NotReached,
}

/// What one unit counts for: nothing, one attempt, or several where every attempt counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Tallies {
    /// Nothing.
    #[default]
    None,
    /// One attempt.
    One(Tally),
    /// Several. Boxed twice over, so that the usual case stays small.
    Many(Box<Vec<Tally>>),
}

const _: () = assert!(size_of::<Tallies>() <= 16, "one beside every person of a live funnel");

impl Tallies {
    /// Of all attempts of a unit.
    pub fn of(attempts: &[Attempt], steps: usize) -> Self {
        attempts.iter().map(|attempt| Tally::of(attempt, steps)).collect()
    }

    /// Appends them, for images: how many (4 bytes), then 12 bytes each.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode_all(self.as_slice(), out);
    }

    /// Reads them from the front of `bytes` and moves those behind them.
    ///
    /// # Errors
    /// [`BadImage`] if the bytes are damaged.
    pub fn decode(bytes: &mut &[u8]) -> Result<Self, BadImage> {
        decode_all(bytes).map(|tallies| tallies.into_iter().collect())
    }

    /// One by one.
    pub fn as_slice(&self) -> &[Tally] {
        match self {
            Self::None => &[],
            Self::One(tally) => std::slice::from_ref(tally),
            Self::Many(tallies) => tallies,
        }
    }
}

pub(crate) fn encode_all(tallies: &[Tally], out: &mut Vec<u8>) {
    out.extend_from_slice(&(tallies.len() as u32).to_le_bytes());
    tallies.iter().for_each(|tally| tally.encode(out));
}

pub(crate) fn decode_all(bytes: &mut &[u8]) -> Result<Vec<Tally>, BadImage> {
    let count = u32::from_le_bytes(take(bytes)?);
    (0..count).map(|_| Tally::decode(bytes)).collect()
}

impl FromIterator<Tally> for Tallies {
    fn from_iter<I: IntoIterator<Item = Tally>>(tallies: I) -> Self {
        let mut tallies = tallies.into_iter();
        match (tallies.next(), tallies.next()) {
            (None, _) => Self::None,
            (Some(one), None) => Self::One(one),
            (Some(one), Some(two)) => Self::Many(Box::new([one, two].into_iter().chain(tallies).collect())),
        }
    }
}

/// The numbers of a funnel, or of one value of its breakdown, kept up to date.
#[derive(Debug, Clone, PartialEq)]
pub struct Totals {
    reached: Vec<u64>,
    took: Sketch,
}

impl Totals {
    fn new(steps: usize) -> Self {
        Self { reached: vec![0; steps], took: Sketch::new() }
    }

    /// How many reached each step.
    pub fn reached(&self) -> &[u64] {
        &self.reached
    }

    /// How long those took who reached the last step, in microseconds.
    pub fn took(&self) -> &Sketch {
        &self.took
    }

    fn is_empty(&self) -> bool {
        self.reached.iter().all(|count| *count == 0)
    }

    fn add(&mut self, tally: &Tally) {
        self.each_step(tally, |count| count.saturating_add(1));
        tally.took_us().iter().for_each(|took| self.took.add(f64::from(*took)));
    }

    fn retract(&mut self, tally: &Tally) {
        self.each_step(tally, |count| count.saturating_sub(1));
        // A funnel's longest window is 45 bits of microseconds: the sketch never has to join its bins.
        if let Some(took) = tally.took_us() {
            let _ = self.took.retract(f64::from(took));
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        let both = self.reached.iter_mut().zip(&other.reached);
        both.for_each(|(own, more)| *own = own.saturating_add(*more));
        self.took.merge(&other.took);
    }

    fn each_step(&mut self, tally: &Tally, change: impl Fn(u64) -> u64) {
        let reached = self.reached.iter_mut().enumerate();
        reached
            .filter(|(step, _)| tally.steps & (1 << step) != 0)
            .for_each(|(_, count)| *count = change(*count));
    }
}

/// The numbers of a funnel as a whole and of each value of its breakdown.
#[derive(Debug, Clone, PartialEq)]
pub struct FunnelTotals {
    all: Totals,
    by_value: Option<HashMap<u32, Totals>>,
}

impl FunnelTotals {
    /// Nobody yet; `by_value` if it is broken down.
    pub fn new(steps: usize, by_value: bool) -> Self {
        Self { all: Totals::new(steps), by_value: by_value.then(HashMap::new) }
    }

    /// All together.
    pub fn all(&self) -> &Totals {
        &self.all
    }

    /// By value, in no order; nothing if it is not broken down.
    pub fn by_value(&self) -> impl Iterator<Item = (u32, &Totals)> {
        self.by_value.iter().flatten().map(|(value, totals)| (*value, totals))
    }

    /// Counts an attempt.
    pub fn add(&mut self, tally: &Tally) {
        self.all.add(tally);
        let steps = self.all.reached.len();
        if let Some(by_value) = &mut self.by_value {
            by_value.entry(tally.value).or_insert_with(|| Totals::new(steps)).add(tally);
        }
    }

    /// Counts all that the other has counted, of a funnel with as many steps.
    pub fn merge(&mut self, other: &Self) {
        self.all.merge(&other.all);
        let steps = self.all.reached.len();
        let Some(by_value) = &mut self.by_value else { return };
        for (value, totals) in other.by_value() {
            by_value.entry(value).or_insert_with(|| Totals::new(steps)).merge(totals);
        }
    }

    /// Takes an attempt back that was counted.
    pub fn retract(&mut self, tally: &Tally) {
        self.all.retract(tally);
        let Some(by_value) = &mut self.by_value else { return };
        if let Some(totals) = by_value.get_mut(&tally.value) {
            totals.retract(tally);
            if totals.is_empty() {
                by_value.remove(&tally.value);
            }
        }
    }

    /// Counts what a unit counts for now instead of before.
    pub fn shift(&mut self, before: &Tallies, after: &Tallies) {
        before.as_slice().iter().for_each(|tally| self.retract(tally));
        after.as_slice().iter().for_each(|tally| self.add(tally));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(steps: u32, value: u32, took_us: Option<f32>) -> Tally {
        Tally::new(steps, value, took_us)
    }

    #[test]
    fn tallies_come_back_and_damaged_ones_are_refused() {
        let several = vec![tally(1, 2, None), tally(3, 4, Some(5.0))];
        for tallies in [vec![], several[..1].to_vec(), several] {
            let (tallies, mut bytes) = (tallies.into_iter().collect::<Tallies>(), Vec::new());
            tallies.encode(&mut bytes);
            assert_eq!(Tallies::decode(&mut bytes.as_slice()), Ok(tallies));
            assert_eq!(Tallies::decode(&mut &bytes[..bytes.len() - 1]), Err(BadImage));
            bytes[0] = 200;
            assert_eq!(Tallies::decode(&mut bytes.as_slice()), Err(BadImage));
        }
        let mut bytes = vec![1, 0, 0, 0];
        Tally::new(1, 1, Some(f32::INFINITY)).encode(&mut bytes);
        assert_eq!(Tallies::decode(&mut bytes.as_slice()), Err(BadImage));
    }

    #[test]
    fn what_is_taken_back_was_never_there() {
        let mut totals = FunnelTotals::new(3, true);
        let (one, other) = (tally(0b111, 7, Some(5e6)), tally(0b101, 8, Some(9e6)));
        totals.shift(&Tallies::None, &Tallies::Many(Box::new(vec![one, other])));
        assert_eq!(totals.all().reached(), [2, 1, 2]);
        assert_eq!(totals.all().took().count(), 2);
        assert_eq!(totals.by_value().count(), 2);
        let (mut alone, mut more) = (FunnelTotals::new(3, true), FunnelTotals::new(3, true));
        alone.add(&other);
        more.add(&one);
        more.merge(&alone);
        assert_eq!(more, totals);
        totals.shift(&Tallies::One(one), &Tallies::None);
        assert_eq!(totals, alone);
        totals.retract(&other);
        assert_eq!(totals, FunnelTotals::new(3, true));
    }
}
