//! Small numbers for persons, so that sets of them can be bitmaps.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::identity::ActorKey;
use crate::metric::codec::{BadBytes, put, take_array, take_len};

/// A person's ordinal: persons are numbered as they are first seen. So ordinals depend on the order of arrival, but no answer
/// does: it counts them, and a sketch is made of the keys.
///
/// About 14 bytes a person. An ordinal is never used again: after an erasure the caller makes a new dictionary and
/// new bitmaps from stored events.
#[derive(Debug, Clone)]
pub struct Ordinals {
    keys: Vec<ActorKey>,
    by_key: HashTable<u32>,
    exact_up_to: u64,
}

impl Ordinals {
    /// Persons of one bucket that are counted exactly unless told otherwise.
    ///
    /// A bitmap over dense ordinals takes two bytes a person at most, and never more than one bit for each person of the project. So a
    /// million costs at most 2 MB, in a project of ten million persons 1.25 MB; with every hour of a week that large, 210 MB.
    /// A sketch takes 16 KiB, and is off by 0.8 %.
    pub const DEFAULT_EXACT: u64 = 1_000_000;

    /// Nobody yet. A bucket with more than `exact_up_to` persons is counted by a sketch.
    pub fn new(exact_up_to: u64) -> Self {
        Self { keys: Vec::new(), by_key: HashTable::new(), exact_up_to }
    }

    /// The largest number of persons that one bucket counts exactly.
    pub fn exact_up_to(&self) -> u64 {
        self.exact_up_to
    }

    /// How many persons have an ordinal.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether nobody has one.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The person's ordinal; a new one for a new person. Beyond 2^32 persons all share the last one: their keys alone would
    /// fill 32 GiB.
    #[inline]
    pub fn ordinal(&mut self, person: ActorKey) -> u32 {
        let Self { keys, by_key, .. } = self;
        let same = |ordinal: &u32| keys.get(*ordinal as usize) == Some(&person);
        let rehash = |ordinal: &u32| keys.get(*ordinal as usize).map_or(0, |key| hash(*key));
        match by_key.entry(hash(person), same, rehash) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(free) => {
                let Ok(next) = u32::try_from(keys.len()) else { return u32::MAX };
                free.insert(next);
                keys.push(person);
                next
            }
        }
    }

    /// The person's ordinal, if there is one.
    pub fn get(&self, person: ActorKey) -> Option<u32> {
        let same = |ordinal: &u32| self.keys.get(*ordinal as usize) == Some(&person);
        self.by_key.find(hash(person), same).copied()
    }

    /// The person with this ordinal.
    pub fn person(&self, ordinal: u32) -> Option<ActorKey> {
        self.keys.get(ordinal as usize).copied()
    }

    /// Appends the dictionary; `exact_up_to` is a setting and not in it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.keys.len() as u64);
        self.keys.iter().for_each(|key| out.extend_from_slice(&key.0.to_le_bytes()));
    }

    /// Reads a dictionary from the front of `bytes` and moves them behind it.
    ///
    /// # Errors
    /// [`BadBytes`] if they are none.
    pub fn decode(exact_up_to: u64, bytes: &mut &[u8]) -> Result<Self, BadBytes> {
        let mut ordinals = Self::new(exact_up_to);
        for expected in 0..take_len(bytes)? {
            let key = ActorKey(u64::from_le_bytes(take_array(bytes)?));
            if ordinals.ordinal(key) as usize != expected {
                return Err(BadBytes);
            }
        }
        Ok(ordinals)
    }
}

impl Default for Ordinals {
    fn default() -> Self {
        Self::new(Self::DEFAULT_EXACT)
    }
}

/// A key is a hash; its lower bits name the lane, so the upper ones are brought to where a table looks first.
fn hash(person: ActorKey) -> u64 {
    person.0.rotate_left(32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_person_keeps_the_ordinal(persons in prop::collection::vec(0_u64..50, 0..100), cut in 0_usize..100) {
            let mut ordinals = Ordinals::new(7);
            let mut first_seen = Vec::new();
            for (i, person) in persons.iter().enumerate() {
                if i == cut {
                    let mut bytes = Vec::new();
                    ordinals.encode(&mut bytes);
                    ordinals = Ordinals::decode(7, &mut bytes.as_slice()).unwrap();
                }
                if !first_seen.contains(person) {
                    prop_assert_eq!(ordinals.get(ActorKey(*person)), None);
                    first_seen.push(*person);
                }
                let ordinal = ordinals.ordinal(ActorKey(*person));
                prop_assert_eq!(first_seen[ordinal as usize], *person);
                prop_assert_eq!(ordinals.get(ActorKey(*person)), Some(ordinal));
                prop_assert_eq!(ordinals.person(ordinal), Some(ActorKey(*person)));
            }
            prop_assert_eq!(ordinals.len(), first_seen.len());
        }
    }

    #[test]
    fn a_person_with_two_ordinals_is_no_dictionary() {
        let bytes = [&[2][..], &[7; 16]].concat();
        assert_eq!(Ordinals::decode(1, &mut bytes.as_slice()).err(), Some(BadBytes));
    }
}
