//! The persons of one funnel: found by key, kept in pages, and copied into an image while events go on.
//!
//! A copy is of one moment, though it is taken in slices: whoever changes before their slice comes is copied at
//! once, as they were. So an image of a million persons never holds the worker up.

use footpath_engine::{PersonFunnel, Rules};
use hashbrown::HashMap;

/// Tables that keys are spread over. One table of a million persons would stop everything for as long as it takes to move
/// half a million of them when it grows; one of 256 stops for the time of a few events.
const TABLES: usize = 256;

/// Slots in a page. Pages are never moved, so that growing costs no pause.
const PAGE: usize = 4096;

/// No entry was queued yet.
pub const NEVER: i64 = i64::MIN;

/// One person in one funnel.
#[derive(Debug, Clone)]
pub struct Person {
    /// Who it is.
    pub key: u64,
    /// The fold over their events.
    pub fold: PersonFunnel,
    /// The step they count at.
    pub depth: usize,
    /// The entry they were last queued under, to leave a range that moves.
    pub leaves_after: i64,
}

#[derive(Debug)]
struct Slot {
    person: Option<Person>,
    /// The copy that has this slot already, or must not have it.
    copied: u64,
}

#[derive(Debug)]
struct Copy {
    next: usize,
    end: usize,
    early: Vec<u8>,
}

/// All persons of a funnel.
#[derive(Debug, Default)]
pub struct Persons {
    slots: Slots,
    pages: Vec<Vec<Slot>>,
    free: Vec<u32>,
    copy: Option<Copy>,
    copies: u64,
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

impl Persons {
    /// A person, to read their fold and to change how they are counted; to change the fold, ask
    /// [`Persons::change`].
    pub fn get(&mut self, key: u64) -> Option<&mut Person> {
        let slot = *self.slots.table(key).get(&key)?;
        self.slot_mut(slot).person.as_mut()
    }

    /// Shows everybody, to change how they are counted.
    pub fn each(&mut self, mut each: impl FnMut(&mut Person)) {
        let slots = self.pages.iter_mut().flatten();
        slots.filter_map(|slot| slot.person.as_mut()).for_each(&mut each);
    }

    /// Where a person is kept.
    #[inline]
    pub fn slot(&self, key: u64) -> Option<u32> {
        self.slots.table(key).get(&key).copied()
    }

    /// Asks for the memory of a person who is needed soon: reads something of each of its cache lines.
    #[inline]
    pub fn warm(&self, slot: u32) {
        let slot = &self.pages[slot as usize / PAGE][slot as usize % PAGE];
        let Some(person) = &slot.person else { return };
        let entered = person.fold.entries().first().copied().unwrap_or_default();
        let sum = entered ^ person.fold.newest_us() ^ person.leaves_after ^ slot.copied.cast_signed();
        std::hint::black_box(sum);
    }

    /// A person whose fold is about to change; a new one if there was none.
    #[inline]
    pub fn change(&mut self, key: u64, rules: &Rules) -> &mut Person {
        let slot = match self.slots.table(key).get(&key) {
            Some(slot) => {
                let slot = *slot;
                self.save(slot);
                slot
            }
            None => self.vacant(key),
        };
        let new = || Person { key, fold: PersonFunnel::new(rules), depth: 0, leaves_after: NEVER };
        self.slot_mut(slot).person.get_or_insert_with(new)
    }

    /// Takes a person out.
    pub fn remove(&mut self, key: u64) -> Option<Person> {
        let slot = self.slots.table_mut(key).remove(&key)?;
        self.save(slot);
        self.free.push(slot);
        self.slot_mut(slot).person.take()
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
            if let Some(person) = slot.person.as_ref().filter(|_| slot.copied != self.copies) {
                encode(person, out);
            }
        }
        copy.next = upto;
        if copy.next < copy.end {
            self.copy = Some(copy);
        }
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
    fn slot_mut(&mut self, slot: u32) -> &mut Slot {
        &mut self.pages[slot as usize / PAGE][slot as usize % PAGE]
    }

    /// Copies a person that is about to change, if a copy is under way that does not have them yet.
    #[inline]
    fn save(&mut self, slot: u32) {
        if let Some(copy) = &mut self.copy
            && (copy.next..copy.end).contains(&(slot as usize))
        {
            let slot = &mut self.pages[slot as usize / PAGE][slot as usize % PAGE];
            if slot.copied != self.copies {
                slot.copied = self.copies;
                slot.person.iter().for_each(|person| encode(person, &mut copy.early));
            }
        }
    }

    /// A slot for a new person; a copy under way does not get it.
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
                    page.push(Slot { person: None, copied });
                }
                slot
            }
        };
        self.slots.table_mut(key).insert(key, slot);
        slot
    }
}

fn encode(person: &Person, out: &mut Vec<u8>) {
    out.extend_from_slice(&person.key.to_le_bytes());
    person.fold.encode(out);
}

/// Reads what a copy wrote: every person's key and fold. `None` if it is damaged.
pub fn decode(rules: &Rules, mut bytes: &[u8], mut each: impl FnMut(u64, PersonFunnel)) -> Option<()> {
    while !bytes.is_empty() {
        let (key, rest) = bytes.split_first_chunk()?;
        bytes = rest;
        let fold = PersonFunnel::decode(rules, &mut bytes).ok()?;
        each(u64::from_le_bytes(*key), fold);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use footpath_engine::SlimEvent;
    use proptest::prelude::*;

    use super::*;

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

    fn run(persons: &mut Persons, rules: &Rules, time_us: i64, step: &Step, out: &mut Vec<u8>) {
        match step {
            Step::Event(key) => {
                let event = SlimEvent { time_us, id: time_us as u128, mask: 1 };
                persons.change(*key, rules).fold.apply(rules, event);
            }
            Step::Remove(key) => drop(persons.remove(*key)),
            Step::Slice(slots) => drop(persons.copy_slice(*slots, out)),
        }
    }

    fn all(persons: &mut Persons) -> BTreeMap<u64, PersonFunnel> {
        let keys: Vec<_> = persons.slots.keys().collect();
        keys.into_iter().filter_map(|key| Some((key, persons.get(key)?.fold.clone()))).collect()
    }

    proptest! {
        #[test]
        fn a_copy_is_of_the_moment_it_began(
            before in prop::collection::vec(step(), 0..100),
            after in prop::collection::vec(step(), 0..100),
        ) {
            let rules = Rules::new(2, 100).unwrap();
            let (mut persons, mut out) = (Persons::default(), Vec::new());
            for (i, step) in before.iter().enumerate() {
                run(&mut persons, &rules, i as i64, step, &mut out);
            }
            let expected = all(&mut persons);
            out.clear();
            persons.begin_copy();
            for (i, step) in after.iter().enumerate() {
                run(&mut persons, &rules, 1000 + i as i64, step, &mut out);
            }
            while persons.copy_slice(3, &mut out) {}
            let mut copied = BTreeMap::new();
            decode(&rules, &out, |key, fold| assert!(copied.insert(key, fold).is_none())).unwrap();
            prop_assert_eq!(copied, expected);
        }
    }
}
