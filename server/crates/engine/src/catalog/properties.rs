//! The properties of one owner.

use footpath_model::record::text;
use hashbrown::HashMap;
use hashbrown::hash_map::EntryRef;

use super::samples::{Candidates, Sample};
use super::{ALL_KEYS, KEYS, Owner, PropertySeen, ValueType};

/// The longest key of a property; what unsets a longer one unsets nothing.
const KEY_BYTES: usize = 255;
/// Candidates for samples of all properties together, 56 bytes each.
const ALL_CANDIDATES: usize = 65_536;

/// Who sent a property, when, and how many events have it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight {
    pub(super) at_us: i64,
    pub(super) actor: u64,
    pub(super) events: u64,
}

/// How a key was sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sent<'a> {
    /// With an encoded `footpath.v1.Value`.
    Value(&'a [u8]),
    /// With a text, in a field of its own that can hold nothing about a person.
    Text(&'a [u8]),
    /// With a number to add, which is no value.
    Added,
    /// Without a value.
    Unset,
}

/// What all owners share.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Properties that are kept.
    pub(super) properties: usize,
    /// Candidates that are kept.
    pub(super) candidates: usize,
    /// There were more properties.
    pub(super) overflow: bool,
    /// Counts what was offered as a sample, as a clock.
    pub(super) tick: u64,
}

impl Room {
    /// Whether candidates have to go.
    pub(super) fn is_crowded(&self) -> bool {
        self.candidates > ALL_CANDIDATES
    }
}

#[derive(Debug, Default)]
pub(super) struct Properties {
    by_key: HashMap<Vec<u8>, Property>,
    changed: bool,
}

#[derive(Debug)]
pub(super) struct Property {
    pub(super) types: [u64; ValueType::ALL.len()],
    pub(super) first_us: i64,
    pub(super) last_us: i64,
    pub(super) samples: Vec<String>,
    candidates: Candidates,
    changed: bool,
}

impl Properties {
    pub(super) fn see(&mut self, key: &[u8], sent: Sent<'_>, sight: Sight, room: &mut Room) {
        let kind = match sent {
            Sent::Value(value) => match ValueType::of(value) {
                None => return, // To every reader it is not there.
                kind => kind,
            },
            Sent::Text(_) => Some(ValueType::String),
            Sent::Added => Some(ValueType::Double),
            Sent::Unset => None,
        };
        let Some(property) = self.property(key, sight.at_us, room) else { return };
        property.first_us = property.first_us.min(sight.at_us);
        property.last_us = property.last_us.max(sight.at_us);
        property.changed = true;
        if let Some(kind) = kind {
            property.types[kind.index()] += sight.events;
        }
        let sample = match sent {
            Sent::Value(value) => Sample::of(value),
            Sent::Text(value) => Sample::of_text(value),
            Sent::Added | Sent::Unset => None,
        };
        if let Some(sample) = sample {
            property.candidates.offer(&mut property.samples, key, sample, sight.actor, room);
        }
        self.changed = true;
    }

    fn property(&mut self, key: &[u8], at_us: i64, room: &mut Room) -> Option<&mut Property> {
        let is_full = self.by_key.len() >= KEYS || room.properties >= ALL_KEYS;
        match self.by_key.entry_ref(key) {
            EntryRef::Occupied(known) => Some(known.into_mut()),
            EntryRef::Vacant(_) if !(1..=KEY_BYTES).contains(&key.len()) => None,
            EntryRef::Vacant(_) if is_full => {
                room.overflow = true;
                None
            }
            EntryRef::Vacant(fresh) => {
                room.properties += 1;
                Some(fresh.insert(Property::new(at_us, at_us)))
            }
        }
    }

    /// Takes what was stored.
    pub(super) fn add(&mut self, key: &[u8], property: Property, room: &mut Room) {
        self.by_key.insert(key.into(), property);
        room.properties += 1;
    }

    pub(super) fn seen<'a>(&'a self, owner: Owner<'a>) -> impl Iterator<Item = PropertySeen<'a>> {
        self.by_key.iter().map(move |(key, property)| property.seen(owner, key))
    }

    /// Every key, with how often it was seen.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&str, u64)> {
        self.by_key.iter().map(|(key, property)| (text(key), property.types.iter().sum()))
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.by_key.contains_key(key.as_bytes())
    }

    /// What changed since [`Properties::saved`].
    pub(super) fn changes<'a>(&'a self, owner: Owner<'a>) -> impl Iterator<Item = PropertySeen<'a>> {
        let all = self.changed.then_some(&self.by_key).into_iter().flatten();
        all.filter(|(_, property)| property.changed).map(move |(key, property)| property.seen(owner, key))
    }

    pub(super) fn saved(&mut self) {
        if std::mem::take(&mut self.changed) {
            self.by_key.values_mut().for_each(|property| property.changed = false);
        }
    }

    /// Appends when each candidate was seen last.
    pub(super) fn candidate_ticks(&self, out: &mut Vec<u64>) {
        self.by_key.values().for_each(|property| property.candidates.ticks(out));
    }

    /// Forgets the candidates that were not seen since `tick`, and says how many are left.
    pub(super) fn forget_candidates(&mut self, tick: u64) -> usize {
        self.by_key.values_mut().map(|property| property.candidates.forget(tick)).sum()
    }
}

impl Property {
    pub(super) fn new(first_us: i64, last_us: i64) -> Self {
        let (types, samples, candidates) = Default::default();
        Self { types, first_us, last_us, samples, candidates, changed: false }
    }

    fn seen<'a>(&'a self, owner: Owner<'a>, key: &'a [u8]) -> PropertySeen<'a> {
        let types = ValueType::ALL.into_iter().zip(self.types).filter(|(_, count)| *count > 0);
        PropertySeen {
            owner,
            key: text(key),
            types: types.collect(),
            first_us: self.first_us,
            last_us: self.last_us,
            samples: &self.samples,
        }
    }
}
