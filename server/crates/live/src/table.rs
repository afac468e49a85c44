//! The units of one view (persons, groups, sessions' persons), each with its state: found by key, kept in pages, and copied into an
//! image while events go on.
//!
//! A copy is of one moment, though it is taken in slices: whoever changes before their slice comes is copied at
//! once, as they were. So an image of a million persons never holds the worker up.

use hashbrown::HashMap;

/// Tables that keys are spread over. One table of a million persons would stop everything for as long as it takes to move
/// half a million of them when it grows; one of 256 stops for the time of a few events.
const TABLES: usize = 256;

/// Slots in a page. Pages are never moved, so that growing costs no pause.
const PAGE: usize = 4096;

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

#[derive(Debug)]
struct Slot<S> {
    unit: Option<Unit<S>>,
    /// The copy that has this slot already, or must not have it.
    copied: u64,
}

#[derive(Debug)]
struct Copy {
    next: usize,
    end: usize,
    early: Vec<u8>,
}

/// All units of a view.
#[derive(Debug)]
pub struct Table<S> {
    slots: Slots,
    pages: Vec<Vec<Slot<S>>>,
    free: Vec<u32>,
    copy: Option<Copy>,
    copies: u64,
}

impl<S> Default for Table<S> {
    fn default() -> Self {
        Self { slots: Slots::default(), pages: Vec::new(), free: Vec::new(), copy: None, copies: 0 }
    }
}

/// Slots by key. Keys are hashes that everybody can compute, so the tables hash them again, with a random seed: actors
/// cannot be chosen that all fall into one place.
#[derive(Debug)]
struct Slots(Vec<HashMap<u64, u32>>);

impl Default for Slots {
    fn default() -> Self {
        Self(vec![HashMap::default(); TABLES])
    }
}

impl Slots {
    /// The table of a key, which is a hash itself.
    #[inline]
    fn table(&self, key: u64) -> &HashMap<u64, u32> {
        &self.0[key as usize % TABLES]
    }

    #[inline]
    fn table_mut(&mut self, key: u64) -> &mut HashMap<u64, u32> {
        &mut self.0[key as usize % TABLES]
    }

    #[cfg(test)]
    fn keys(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().flat_map(|table| table.keys().copied())
    }
}

impl<S: State> Table<S> {
    /// A unit, to read what an image keeps and to change the rest; to change what it keeps, ask [`Table::change`].
    pub fn get(&mut self, key: u64) -> Option<&mut Unit<S>> {
        let slot = *self.slots.table(key).get(&key)?;
        self.slot_mut(slot).unit.as_mut()
    }

    /// Shows all, to change what no image keeps.
    pub fn each(&mut self, each: impl FnMut(&mut Unit<S>)) {
        let slots = self.pages.iter_mut().flatten();
        slots.filter_map(|slot| slot.unit.as_mut()).for_each(each);
    }

    /// Where a unit is kept.
    #[inline]
    pub fn slot(&self, key: u64) -> Option<u32> {
        self.slots.table(key).get(&key).copied()
    }

    /// Asks for the memory of a unit that is needed soon.
    #[inline]
    pub fn warm(&self, slot: u32) {
        let slot = &self.pages[slot as usize / PAGE][slot as usize % PAGE];
        if let Some(unit) = &slot.unit {
            std::hint::black_box(unit.state.warm() ^ slot.copied.cast_signed());
        }
    }

    /// A unit whose state is about to change; a new one if there was none.
    #[inline]
    pub fn change(&mut self, key: u64, new: impl FnOnce() -> S) -> &mut Unit<S> {
        let slot = match self.slots.table(key).get(&key) {
            Some(slot) => {
                let slot = *slot;
                self.save(slot);
                slot
            }
            None => self.vacant(key),
        };
        self.slot_mut(slot).unit.get_or_insert_with(|| Unit { key, state: new() })
    }

    /// Takes a unit out.
    pub fn remove(&mut self, key: u64) -> Option<Unit<S>> {
        let slot = self.slots.table_mut(key).remove(&key)?;
        self.save(slot);
        self.free.push(slot);
        self.slot_mut(slot).unit.take()
    }

    /// Begins a copy of this moment; one that was under way is forgotten.
    pub fn begin_copy(&mut self) {
        self.copies += 1;
        self.copy = Some(Copy { next: 0, end: self.slot_count(), early: Vec::new() });
    }

    /// Copies the next `slots` slots behind `out`, and whoever changed meanwhile. False when nothing is left.
    pub fn copy_slice(&mut self, slots: usize, out: &mut Vec<u8>) -> bool {
        let Some(mut copy) = self.copy.take() else { return false };
        out.append(&mut copy.early);
        let upto = copy.end.min(copy.next + slots);
        for slot in copy.next..upto {
            let slot = &self.pages[slot / PAGE][slot % PAGE];
            if let Some(unit) = slot.unit.as_ref().filter(|_| slot.copied != self.copies) {
                encode(unit, out);
            }
        }
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
    fn slot_mut(&mut self, slot: u32) -> &mut Slot<S> {
        &mut self.pages[slot as usize / PAGE][slot as usize % PAGE]
    }

    /// Copies a unit that is about to change, if a copy is under way that does not have them yet.
    #[inline]
    fn save(&mut self, slot: u32) {
        if let Some(copy) = &mut self.copy
            && (copy.next..copy.end).contains(&(slot as usize))
        {
            let slot = &mut self.pages[slot as usize / PAGE][slot as usize % PAGE];
            if slot.copied != self.copies {
                slot.copied = self.copies;
                slot.unit.iter().for_each(|unit| encode(unit, &mut copy.early));
            }
        }
    }

    /// A slot for a new unit; a copy under way does not get it.
    fn vacant(&mut self, key: u64) -> u32 {
        let copied = self.copies;
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slot_mut(slot).copied = copied;
                slot
            }
            None => {
                let slot = self.slot_count() as u32;
                if (slot as usize).is_multiple_of(PAGE) {
                    self.pages.push(Vec::with_capacity(PAGE));
                }
                if let Some(page) = self.pages.last_mut() {
                    page.push(Slot { unit: None, copied });
                }
                slot
            }
        };
        self.slots.table_mut(key).insert(key, slot);
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

    fn all(persons: &mut Table<i64>) -> BTreeMap<u64, i64> {
        let keys: Vec<_> = persons.slots.keys().collect();
        keys.into_iter().filter_map(|key| Some((key, persons.get(key)?.state))).collect()
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
