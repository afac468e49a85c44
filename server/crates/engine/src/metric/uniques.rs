//! Distinct persons.

use roaring::RoaringBitmap;

use crate::metric::codec::{BadBytes, put, put_bytes, take, take_bytes};
use crate::metric::hyperloglog::{HyperLogLog, STANDARD_ERROR};
use crate::metric::ordinals::Ordinals;
use crate::metric::partial::Retraction;

/// A set of persons: exact, or a sketch of it once it was larger than [`Ordinals::exact_up_to`] allows.
///
/// Whether it is a sketch depends on how many distinct persons were added only, and not on their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Uniques(Set);

#[derive(Debug, Clone, PartialEq)]
enum Set {
    Exact(RoaringBitmap),
    Sketch(HyperLogLog),
}

impl Uniques {
    /// Nobody.
    pub fn new() -> Self {
        Self(Set::Exact(RoaringBitmap::new()))
    }

    /// Exactly these persons; fast where their ordinals ascend. [`Uniques::limit`] makes a sketch of too many.
    pub fn of_sorted(ordinals: &[u32]) -> Self {
        let each = || ordinals.iter().copied();
        Self(Set::Exact(RoaringBitmap::from_sorted_iter(each()).unwrap_or_else(|_| each().collect())))
    }

    /// Whether nobody is in the set.
    pub fn is_empty(&self) -> bool {
        matches!(&self.0, Set::Exact(persons) if persons.is_empty())
    }

    /// How many persons are in the set; about, if it is a sketch.
    pub fn count(&self) -> u64 {
        match &self.0 {
            Set::Exact(persons) => persons.len(),
            Set::Sketch(sketch) => sketch.estimate(),
        }
    }

    /// The relative standard error, if the set is a sketch: the count is within three of it 99.7 % of the time.
    pub fn standard_error(&self) -> Option<f64> {
        matches!(self.0, Set::Sketch(_)).then_some(STANDARD_ERROR)
    }

    /// Adds a person; becomes a sketch if there are too many.
    #[inline]
    pub fn add(&mut self, ordinal: u32, ordinals: &Ordinals) {
        match &mut self.0 {
            Set::Exact(persons) => {
                if persons.insert(ordinal) {
                    self.limit(ordinals);
                }
            }
            Set::Sketch(sketch) => {
                ordinals.person(ordinal).into_iter().for_each(|person| sketch.add(person));
            }
        }
    }

    /// Takes a person out, of whom nothing is left here; stale if this is a sketch.
    pub fn remove(&mut self, ordinal: u32) -> Retraction {
        match &mut self.0 {
            Set::Exact(persons) => {
                persons.remove(ordinal);
                Retraction::Done
            }
            Set::Sketch(_) => Retraction::Stale,
        }
    }

    /// Two persons became one: who knew the loser knows the winner instead. Stale if this is a sketch.
    pub fn replace(&mut self, loser: u32, winner: u32) -> Retraction {
        match &mut self.0 {
            Set::Exact(persons) => {
                if loser != winner && persons.remove(loser) {
                    persons.insert(winner);
                }
                Retraction::Done
            }
            Set::Sketch(_) => Retraction::Stale,
        }
    }

    /// Adds everybody of the other. Stays exact if both are, however many they are: an answer may count more persons exactly
    /// than a bucket may keep. [`Uniques::limit`] is for what is kept.
    pub fn merge(&mut self, other: &Self, ordinals: &Ordinals) {
        match (&mut self.0, &other.0) {
            (Set::Exact(own), Set::Exact(others)) => *own |= others,
            (Set::Sketch(own), Set::Exact(others)) => add_all(own, others, ordinals),
            (Set::Sketch(own), Set::Sketch(others)) => own.merge(others),
            (Set::Exact(own), Set::Sketch(others)) => {
                let mut sketch = others.clone();
                add_all(&mut sketch, own, ordinals);
                self.0 = Set::Sketch(sketch);
            }
        }
    }

    /// Makes a sketch of a set that is larger than [`Ordinals::exact_up_to`].
    pub fn limit(&mut self, ordinals: &Ordinals) {
        let Set::Exact(persons) = &self.0 else { return };
        if persons.len() > ordinals.exact_up_to() {
            let mut sketch = HyperLogLog::new();
            add_all(&mut sketch, persons, ordinals);
            self.0 = Set::Sketch(sketch);
        }
    }

    /// Appends the state.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Set::Exact(persons) => {
                put(out, 0);
                let mut bytes = Vec::with_capacity(persons.serialized_size());
                // Writing to memory cannot fail.
                let _ = persons.serialize_into(&mut bytes);
                put_bytes(out, &bytes);
            }
            Set::Sketch(sketch) => {
                put(out, 1);
                sketch.encode(out);
            }
        }
    }

    /// Reads a state from the front of `bytes` and moves them behind it.
    ///
    /// # Errors
    /// [`BadBytes`] if they are no such state.
    pub fn decode(bytes: &mut &[u8]) -> Result<Self, BadBytes> {
        match take(bytes)? {
            0 => {
                let persons = RoaringBitmap::deserialize_from(take_bytes(bytes)?).map_err(|_| BadBytes)?;
                Ok(Self(Set::Exact(persons)))
            }
            1 => HyperLogLog::decode(bytes).map(|sketch| Self(Set::Sketch(sketch))),
            _ => Err(BadBytes),
        }
    }
}

impl Default for Uniques {
    fn default() -> Self {
        Self::new()
    }
}

fn add_all(sketch: &mut HyperLogLog, persons: &RoaringBitmap, ordinals: &Ordinals) {
    persons.iter().filter_map(|ordinal| ordinals.person(ordinal)).for_each(|person| sketch.add(person));
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::identity::ActorKey;

    fn ordinals(exact_up_to: u64) -> Ordinals {
        let mut ordinals = Ordinals::new(exact_up_to);
        (0..300).for_each(|person| {
            ordinals.ordinal(ActorKey(person * 1_000_003));
        });
        ordinals
    }

    #[derive(Debug, Clone)]
    enum Step {
        Add(u32),
        Remove(u32),
        Replace(u32, u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0_u32..60).prop_map(Step::Add),
            1 => (0_u32..60).prop_map(Step::Remove),
            1 => (0_u32..60, 0_u32..60).prop_map(|(loser, winner)| Step::Replace(loser, winner)),
        ]
    }

    proptest! {
        #[test]
        fn a_set_is_a_set(steps in prop::collection::vec(step(), 0..150), cut in 0_usize..150) {
            let ordinals = ordinals(1000);
            let (mut persons, mut naive) = (Uniques::new(), HashSet::new());
            for (i, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Add(person) => {
                        persons.add(person, &ordinals);
                        naive.insert(person);
                    }
                    Step::Remove(person) => {
                        prop_assert_eq!(persons.remove(person), Retraction::Done);
                        naive.remove(&person);
                    }
                    Step::Replace(loser, winner) => {
                        prop_assert_eq!(persons.replace(loser, winner), Retraction::Done);
                        naive = naive.into_iter().map(|p| if p == loser { winner } else { p }).collect();
                    }
                }
                if i == cut {
                    let mut bytes = Vec::new();
                    persons.encode(&mut bytes);
                    prop_assert_eq!(Uniques::decode(&mut bytes.as_slice()), Ok(persons.clone()));
                }
                prop_assert_eq!(persons.count(), naive.len() as u64);
                prop_assert_eq!(persons.is_empty(), naive.is_empty());
            }
        }

        #[test]
        fn any_split_becomes_the_same_sketch(
            (added, shuffled) in prop::collection::vec(0_u32..300, 0..200)
                .prop_flat_map(|added| (Just(added.clone()), Just(added).prop_shuffle())),
            split: u64,
            exact_up_to in 0_u64..100,
        ) {
            let ordinals = ordinals(exact_up_to);
            let (mut whole, mut a, mut b) = (Uniques::new(), Uniques::new(), Uniques::new());
            added.iter().for_each(|person| whole.add(*person, &ordinals));
            for (i, person) in shuffled.iter().enumerate() {
                if split >> (i % 64) & 1 == 0 { a.add(*person, &ordinals) } else { b.add(*person, &ordinals) }
            }
            a.merge(&b, &ordinals);
            a.limit(&ordinals);
            prop_assert_eq!(&a, &whole);
            let distinct = added.iter().collect::<HashSet<_>>().len() as u64;
            prop_assert_eq!(whole.standard_error().is_some(), distinct > exact_up_to);
            let mut bytes = Vec::new();
            whole.encode(&mut bytes);
            prop_assert_eq!(Uniques::decode(&mut bytes.as_slice()), Ok(whole));
        }
    }

    #[test]
    fn sorted_persons_are_the_same_set() {
        let (ordinals, mut added) = (ordinals(1000), Uniques::new());
        let persons = [0, 1, 5, 6, 7, 299];
        persons.iter().for_each(|person| added.add(*person, &ordinals));
        assert_eq!(Uniques::of_sorted(&persons), added);
        assert_eq!(Uniques::of_sorted(&[5, 0, 7, 6, 1, 0, 299]), added);
    }

    #[test]
    fn a_sketch_says_what_it_cannot_do() {
        let ordinals = ordinals(2);
        let mut persons = Uniques::new();
        (0..100).for_each(|person| persons.add(person, &ordinals));
        assert_eq!(persons.standard_error(), Some(0.008125));
        assert!((98..=102).contains(&persons.count()));
        assert_eq!((persons.remove(1), persons.replace(1, 2)), (Retraction::Stale, Retraction::Stale));
    }
}
