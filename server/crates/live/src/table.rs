//! The units of one view (persons, groups, sessions' persons), each with its state: found by key, kept in pages, and copied into an
//! image while events go on.
//!
//! A copy is of one moment, though it is taken in slices: whoever changes before their slice comes is copied at
//! once, as they were. So an image of a million persons never holds the worker up.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Tables that keys are spread over. One table of a million persons would stop everything for as long as it takes to move
/// half a million of them when it grows; one of 256 stops for the time of a few events.
const TABLES: usize = 256;

/// Slots in a page. Pages are never moved, so that growing costs no pause.
const PAGE: usize = 8192;

/// Slots that are looked at for a quiet unit at a time, so that nobody waits.
const LOOKED_AT: usize = 1024;

/// What is kept of one unit.
pub trait State {
    /// Appends what an image keeps of it.
    fn encode(&self, out: &mut Vec<u8>);
    /// Reads something of each of its cache lines, so that they are there when they are needed.
    fn warm(&self) -> i64;
}

/// One unit.
#[derive(Debug, Clone)]
pub struct Unit<S> {
    /// Who it is.
    pub key: u64,
    /// What is kept of it.
    pub state: S,
}

/// A copy under way.
#[derive(Debug)]
struct Copying {
    next: usize,
    end: usize,
    early: Vec<u8>,
    /// A bit for each slot that it has already, or must not have.
    done: Vec<u64>,
}

impl Copying {
    /// Whether a slot's turn is still to come.
    fn lacks(&self, slot: usize) -> bool {
        (self.next..self.end).contains(&slot) && self.done[slot / 64] & 1 << (slot % 64) == 0
    }

    fn skip(&mut self, slot: usize) {
        if slot < self.end {
            self.done[slot / 64] |= 1 << (slot % 64);
        }
    }
}

/// All units of a view.
#[derive(Debug)]
pub struct Table<S> {
    slots: Slots,
    pages: Vec<Vec<Option<Unit<S>>>>,
    free: Vec<u32>,
    copy: Option<Copying>,
    /// A bit for each slot whose unit changed since the hand passed; kept from when somebody asks for the quietest, for it costs
    /// every event a tenth.
    changed: Vec<u64>,
    tracks: bool,
    /// The slot that is looked at next for a quiet unit.
    hand: usize,
}

impl<S> Default for Table<S> {
    fn default() -> Self {
        Self {
            slots: Slots::default(),
            pages: Vec::new(),
            free: Vec::new(),
            copy: None,
            changed: Vec::new(),
            tracks: false,
            hand: 0,
        }
    }
}

/// Slots by key. Keys are hashes that everybody can compute, so they are hashed again, with a random seed: actors cannot be
/// chosen that all fall into one place. The keys themselves are in the slots: eight bytes a unit stay in a processor's
/// cache longer than sixteen.
#[derive(Debug)]
struct Slots {
    tables: Vec<HashTable<Place>>,
    hasher: DefaultHashBuilder,
}

/// Where a unit with such a hash is.
#[derive(Debug, Clone, Copy)]
struct Place {
    hash: u32,
    slot: u32,
}

impl Place {
    /// The table that it is in, by the upper bits: a table looks where the lower ones say, and would have all of its units in
    /// few places if these were the same.
    #[inline]
    fn table(hash: u32) -> usize {
        (hash >> 16) as usize % TABLES
    }

    /// The hash as a table wants it: it takes bits from both ends.
    #[inline]
    fn spread(hash: u32) -> u64 {
        u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl Default for Slots {
    fn default() -> Self {
        Self { tables: vec![HashTable::new(); TABLES], hasher: DefaultHashBuilder::default() }
    }
}

impl Slots {
    #[inline]
    fn hash(&self, key: u64) -> u32 {
        self.hasher.hash_one(key) as u32
    }

    /// The slot of a key; `is_it` says whether a slot is the key's, which is asked where the hash is the same.
    #[inline]
    fn find(&self, key: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let hash = self.hash(key);
        let is_it = |place: &Place| place.hash == hash && is_it(place.slot);
        self.tables[Place::table(hash)].find(Place::spread(hash), is_it).map(|place| place.slot)
    }

    fn insert(&mut self, key: u64, slot: u32) {
        let hash = self.hash(key);
        let place = Place { hash, slot };
        let table = &mut self.tables[Place::table(hash)];
        table.insert_unique(Place::spread(hash), place, |place| Place::spread(place.hash));
    }

    fn remove(&mut self, key: u64, slot: u32) {
        let hash = self.hash(key);
        let table = &mut self.tables[Place::table(hash)];
        if let Ok(found) = table.find_entry(Place::spread(hash), |place| place.slot == slot) {
            found.remove();
        }
    }
}

impl<S: State> Table<S> {
    /// A unit, to read what an image keeps and to change the rest; to change what it keeps, ask [`Table::change`].
    pub fn get(&mut self, key: u64) -> Option<&mut Unit<S>> {
        let slot = self.slot(key)?;
        self.slot_mut(slot).as_mut()
    }

    /// Shows all, to change what no image keeps.
    pub fn each(&mut self, each: impl FnMut(&mut Unit<S>)) {
        self.pages.iter_mut().flatten().flatten().for_each(each);
    }

    /// Where a unit is kept.
    #[inline]
    pub fn slot(&self, key: u64) -> Option<u32> {
        self.slots.find(key, |slot| self.is_at(slot, key))
    }

    /// Where a unit is kept in all likelihood, for [`Table::warm`]: known without a look at the unit.
    #[inline]
    pub fn guess(&self, key: u64) -> Option<u32> {
        self.slots.find(key, |_| true)
    }

    /// Asks for the memory of a unit that is needed soon.
    #[inline]
    pub fn warm(&self, slot: u32) {
        if let Some(unit) = self.at(slot) {
            std::hint::black_box(unit.state.warm() ^ unit.key.cast_signed());
        }
    }

    /// A unit whose state is about to change; a new one if there was none.
    #[inline]
    pub fn change(&mut self, key: u64, new: impl FnOnce() -> S) -> &mut Unit<S> {
        self.change_at(None, key, new)
    }

    /// As [`Table::change`], by one who has guessed where it is.
    #[inline]
    pub fn change_at(&mut self, guess: Option<u32>, key: u64, new: impl FnOnce() -> S) -> &mut Unit<S> {
        let known = guess.filter(|slot| self.is_at(*slot, key)).or_else(|| self.slot(key));
        let slot = match known {
            Some(slot) => {
                self.save(slot);
                slot
            }
            None => self.vacant(key),
        };
        if self.tracks {
            self.changed[slot as usize / 64] |= 1 << (slot % 64);
        }
        self.slot_mut(slot).get_or_insert_with(|| Unit { key, state: new() })
    }

    /// Takes a unit out.
    pub fn remove(&mut self, key: u64) -> Option<Unit<S>> {
        let slot = self.slot(key)?;
        self.slots.remove(key, slot);
        self.save(slot);
        self.free.push(slot);
        self.slot_mut(slot).take()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slot_count() - self.free.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes out one of those that have not changed for the longest, and may go: a hand goes round, and finds one that did not
    /// change since it passed (the second chance, or clock, of operating systems). `None` if there is none where it looked.
    pub fn take_quietest(&mut self, may_go: impl Fn(&S) -> bool) -> Option<Unit<S>> {
        self.tracks = true;
        let slots = self.slot_count();
        for _ in 0..LOOKED_AT.min(2 * slots) {
            let slot = self.hand % slots;
            self.hand = slot + 1;
            let (word, bit) = (&mut self.changed[slot / 64], 1 << (slot % 64));
            let changed = *word & bit != 0;
            *word &= !bit;
            let unit = self.at(slot as u32).filter(|unit| !changed && may_go(&unit.state));
            if let Some(key) = unit.map(|unit| unit.key) {
                return self.remove(key);
            }
        }
        None
    }

    /// Begins a copy of this moment; one that was under way is forgotten.
    pub fn begin_copy(&mut self) {
        let end = self.slot_count();
        let done = vec![0; end.div_ceil(64)];
        self.copy = Some(Copying { next: 0, end, early: Vec::new(), done });
    }

    /// Copies the next `slots` slots behind `out`, and whoever changed meanwhile. False when nothing is left.
    pub fn copy_slice(&mut self, slots: usize, out: &mut Vec<u8>) -> bool {
        let Some(mut copy) = self.copy.take() else { return false };
        out.append(&mut copy.early);
        let upto = copy.end.min(copy.next + slots);
        let lacking = (copy.next..upto).filter(|slot| copy.lacks(*slot));
        lacking.filter_map(|slot| self.at(slot as u32)).for_each(|unit| encode(unit, out));
        copy.next = upto;
        if copy.next < copy.end {
            self.copy = Some(copy);
        }
        self.copy.is_some()
    }

    /// Whether a copy is under way.
    pub fn is_copying(&self) -> bool {
        self.copy.is_some()
    }

    /// Forgets a copy that is under way.
    pub fn end_copy(&mut self) {
        self.copy = None;
    }

    fn slot_count(&self) -> usize {
        self.pages.last().map_or(0, |last| (self.pages.len() - 1) * PAGE + last.len())
    }

    #[inline]
    fn at(&self, slot: u32) -> Option<&Unit<S>> {
        self.pages[slot as usize / PAGE][slot as usize % PAGE].as_ref()
    }

    #[inline]
    fn is_at(&self, slot: u32, key: u64) -> bool {
        self.at(slot).is_some_and(|unit| unit.key == key)
    }

    #[inline]
    fn slot_mut(&mut self, slot: u32) -> &mut Option<Unit<S>> {
        &mut self.pages[slot as usize / PAGE][slot as usize % PAGE]
    }

    /// Copies a unit that is about to change, if a copy is under way that does not have them yet.
    #[inline]
    fn save(&mut self, slot: u32) {
        if self.copy.as_ref().is_some_and(|copy| copy.lacks(slot as usize)) {
            self.save_now(slot);
        }
    }

    #[cold]
    fn save_now(&mut self, slot: u32) {
        let Some(mut copy) = self.copy.take() else { return };
        copy.skip(slot as usize);
        self.at(slot).into_iter().for_each(|unit| encode(unit, &mut copy.early));
        self.copy = Some(copy);
    }

    /// A slot for a new unit; a copy under way does not get it.
    fn vacant(&mut self, key: u64) -> u32 {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.copy.iter_mut().for_each(|copy| copy.skip(slot as usize));
                slot
            }
            None => {
                let slot = self.slot_count() as u32;
                if (slot as usize).is_multiple_of(PAGE) {
                    self.pages.push(Vec::with_capacity(PAGE));
                }
                if let Some(page) = self.pages.last_mut() {
                    page.push(None);
                }
                self.changed.resize(slot as usize / 64 + 1, 0);
                slot
            }
        };
        self.slots.insert(key, slot);
        slot
    }
}

fn encode<S: State>(unit: &Unit<S>, out: &mut Vec<u8>) {
    out.extend_from_slice(&unit.key.to_le_bytes());
    unit.state.encode(out);
}

/// Reads what a copy wrote: every unit's key and what `read` takes of its state. `None` if it is damaged.
pub fn decode<T>(
    mut bytes: &[u8],
    mut read: impl FnMut(&mut &[u8]) -> Option<T>,
    mut each: impl FnMut(u64, T),
) -> Option<()> {
    while !bytes.is_empty() {
        let (key, rest) = bytes.split_first_chunk()?;
        bytes = rest;
        each(u64::from_le_bytes(*key), read(&mut bytes)?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// What happened to a unit, as a hash of it.
    impl State for i64 {
        fn encode(&self, out: &mut Vec<u8>) {
            out.extend_from_slice(&self.to_le_bytes());
        }

        fn warm(&self) -> i64 {
            *self
        }
    }

    fn read(bytes: &mut &[u8]) -> Option<i64> {
        let (taken, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(i64::from_le_bytes(*taken))
    }

    #[derive(Debug, Clone)]
    enum Step {
        Event(u64),
        Remove(u64),
        Slice(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0_u64..40).prop_map(Step::Event),
            (0_u64..40).prop_map(Step::Remove),
            (0_usize..6).prop_map(Step::Slice),
        ]
    }

    fn run(persons: &mut Table<i64>, time_us: i64, step: &Step, out: &mut Vec<u8>) {
        match step {
            Step::Event(key) => {
                let unit = persons.change(*key, || 0);
                unit.state = unit.state.wrapping_mul(31) ^ time_us;
            }
            Step::Remove(key) => drop(persons.remove(*key)),
            Step::Slice(slots) => drop(persons.copy_slice(*slots, out)),
        }
    }

    #[test]
    fn who_changed_lately_stays() {
        let mut persons: Table<i64> = Table::default();
        let touch = |persons: &mut Table<i64>, key: u64| _ = persons.change(key, || 0);
        (0..200).for_each(|key| touch(&mut persons, key));
        assert_eq!(
            persons.take_quietest(|_| true).map(|unit| unit.key),
            Some(0),
            "all changed: the first of all"
        );
        for key in [1, 2, 4] {
            touch(&mut persons, key);
        }
        let taken: Vec<_> =
            (0..3).filter_map(|_| persons.take_quietest(|_| true)).map(|unit| unit.key).collect();
        assert_eq!((taken, persons.len()), (vec![3, 5, 6], 196));
        touch(&mut persons, 0);
        assert_eq!(persons.len(), 197);
        while persons.take_quietest(|_| true).is_some() {}
        assert!(persons.is_empty() && persons.slot(0).is_none());
    }

    fn all(persons: &mut Table<i64>) -> BTreeMap<u64, i64> {
        let mut all = BTreeMap::new();
        persons.each(|unit| assert!(all.insert(unit.key, unit.state).is_none()));
        all
    }

    proptest! {
        #[test]
        fn a_copy_is_of_the_moment_it_began(
            before in prop::collection::vec(step(), 0..100),
            after in prop::collection::vec(step(), 0..100),
        ) {
            let (mut persons, mut out) = (Table::default(), Vec::new());
            for (i, step) in before.iter().enumerate() {
                run(&mut persons, i as i64, step, &mut out);
            }
            let expected = all(&mut persons);
            out.clear();
            persons.begin_copy();
            for (i, step) in after.iter().enumerate() {
                run(&mut persons, 1000 + i as i64, step, &mut out);
            }
            while persons.copy_slice(3, &mut out) {}
            let mut copied = BTreeMap::new();
            decode(&out, read, |key, state| assert!(copied.insert(key, state).is_none())).unwrap();
            prop_assert_eq!(copied, expected);
        }
    }
}
