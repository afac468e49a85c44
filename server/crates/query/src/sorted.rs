//! Sorts a part of all places: what belongs to a person comes together.

use footpath_history::Place;

/// A part is cut into `2^BUCKET_BITS` buckets by the bits of places behind those that made the part: so many that a bucket has a
/// handful of items, so few that their beginnings stay in the processor's nearest cache.
const BUCKET_BITS: u32 = if cfg!(test) { 3 } else { 12 };

/// What is sorted.
pub(crate) trait OfPerson: Copy {
    /// Whose it is.
    fn person(&self) -> Place;

    /// Person first, then what is sorted by within a person. As one number: compared without a branch.
    fn order(&self) -> u128;
}

/// Sorts, in room that is kept from part to part.
#[derive(Debug)]
pub(crate) struct Sorter<T> {
    copy: Vec<T>,
    /// Where the next item of each bucket goes.
    next: Vec<usize>,
}

impl<T: OfPerson> Sorter<T> {
    pub(crate) fn new() -> Self {
        Self { copy: Vec::new(), next: Vec::new() }
    }

    /// Sorts items that mostly lie in one of `2^bits` parts. Each person's are together and in order, but persons of other parts
    /// lie anywhere.
    pub(crate) fn sort(&mut self, items: &mut [T], bits: u32) {
        let bucket = |item: &T| (item.person().0 << bits >> (u64::BITS - BUCKET_BITS)) as usize;
        self.next.clear();
        self.next.resize(1 << BUCKET_BITS, 0);
        items.iter().for_each(|item| self.next[bucket(item)] += 1);
        let mut begin = 0;
        for next in &mut self.next {
            begin += std::mem::replace(next, begin);
        }
        self.copy.clear();
        self.copy.extend_from_slice(items);
        for item in &self.copy {
            let next = &mut self.next[bucket(item)];
            items[*next] = *item;
            *next += 1;
        }
        let mut rest = items;
        let mut begin = 0;
        for end in &self.next {
            let (own, behind) = rest.split_at_mut(end - begin);
            own.sort_unstable_by_key(OfPerson::order);
            (rest, begin) = (behind, *end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Rng;

    impl OfPerson for (Place, u64) {
        fn person(&self) -> Place {
            self.0
        }

        fn order(&self) -> u128 {
            u128::from(self.0.0) << 64 | u128::from(self.1)
        }
    }

    #[test]
    fn a_part_is_sorted_as_by_comparing_all_of_it() {
        let mut sorter = Sorter::new();
        for seed in 0..300 {
            let mut rng = Rng(seed);
            let bits = rng.below(17) as u32;
            let part = rng.below(1 << bits);
            let persons: Vec<u64> = (0..1 + rng.below(30)).map(|_| rng.below(u64::MAX)).collect();
            let own = |person: u64| if bits == 0 { person } else { person >> bits | part << (64 - bits) };
            let item = |rng: &mut Rng| (Place(own(rng.one(&persons))), rng.below(9));
            let mut items: Vec<_> = (0..rng.below(200)).map(|_| item(&mut rng)).collect();
            let mut expected = items.clone();
            expected.sort_unstable();
            sorter.sort(&mut items, bits);
            assert_eq!(items, expected, "seed {seed}");
        }
    }

    #[test]
    fn whoever_lies_in_another_part_is_together_all_the_same() {
        let mut items: Vec<_> = (0..60_u64).map(|i| (Place((i % 6) << 60), i * 7 % 60)).collect();
        Sorter::new().sort(&mut items, 4);
        let persons: Vec<_> = items.chunk_by(|a, b| a.0 == b.0).collect();
        assert_eq!(persons.len(), 6);
        assert!(persons.iter().all(|own| own.is_sorted()));
    }
}
