//! What clients said, against what the server has.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context as _, ensure};
use footpath_proto::v1;
use prost_types::value::Kind;

use super::orders::{EVENT_BITS, KEY, client_of};
use super::process::Said;

/// What may be missing of a client whose files were damaged.
#[derive(Debug, Clone, Copy, Default)]
pub struct Excuse {
    /// Numbers that it reported as lost.
    pub named: u64,
    /// How often it said that the ring was damaged: an event that was there and nowhere else had no number yet.
    pub torn: u64,
    /// It set a database aside. Where that one's notes of the numbers it had given out are damaged as well, it names them
    /// only up to the last one that it finds.
    pub quarantined: bool,
}

/// What a comparison found.
#[derive(Debug, Clone, Copy, Default)]
pub struct Found {
    /// Stored events of clients, all together.
    pub stored: u64,
    /// Missing events of damaged clients.
    pub missing: u64,
    /// Critical ones among them.
    pub missing_durable: u64,
}

/// Everything that was tracked on one data folder.
#[derive(Debug, Default)]
pub struct Books {
    /// By the high bits of their keys: how many events a process was to track.
    launched: HashMap<u64, u64>,
    tracked: HashSet<u64>,
    durable: HashSet<u64>,
}

impl Books {
    /// A process is about to start.
    pub fn launch(&mut self, first: u64, count: u64) {
        self.launched.insert(first >> EVENT_BITS, count);
    }

    /// A process has ended.
    pub fn enter(&mut self, said: &Said) {
        self.tracked.extend(said.tracked.iter().flat_map(|(first, last)| *first..=*last));
        self.durable.extend(&said.durable);
    }

    /// Compares, and forgets what damaged clients miss.
    ///
    /// # Errors
    /// Names an event that is missing, there twice, or was never tracked.
    pub fn compare(
        &mut self,
        listed: &[v1::StoredEvent],
        excuses: &BTreeMap<u64, Excuse>,
    ) -> anyhow::Result<Found> {
        let seen = self.read(listed)?;
        let mut missing: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for key in self.tracked.union(&self.durable).filter(|key| !seen.contains_key(*key)) {
            missing.entry(client_of(*key)).or_default().push(*key);
        }
        let mut found = Found { stored: listed.len() as u64, ..Found::default() };
        for (client, mut keys) in missing {
            keys.sort_unstable();
            let durable = keys.iter().filter(|key| self.durable.contains(*key)).count() as u64;
            let excuse = excuses.get(&client).copied().unwrap_or_default();
            ensure!(
                excuse.quarantined || keys.len() as u64 <= excuse.named + excuse.torn,
                "client {client:#x}: {} tracked events are not stored ({durable} of them durable), {excuse:?}; \
                 the first: {:x?}",
                keys.len(),
                &keys[..keys.len().min(5)]
            );
            found.missing += keys.len() as u64;
            found.missing_durable += durable;
            keys.iter().for_each(|key| {
                self.tracked.remove(key);
                self.durable.remove(key);
            });
        }
        Ok(found)
    }

    /// Every stored key; each once, each of a process that may have tracked it.
    fn read<'a>(&self, listed: &'a [v1::StoredEvent]) -> anyhow::Result<HashMap<u64, &'a v1::StoredEvent>> {
        let (mut seen, mut ids) = (HashMap::<u64, &v1::StoredEvent>::new(), HashSet::new());
        for event in listed {
            ensure!(ids.insert(&event.id), "an id is stored twice: {event:?}");
            if event.name == "warm_up" {
                continue;
            }
            let key = key(event).with_context(|| format!("stored without its key: {event:?}"))?;
            let known = self.launched.get(&(key >> EVENT_BITS));
            let place = key & ((1 << EVENT_BITS) - 1);
            ensure!(known.is_some_and(|count| place < *count), "never tracked: {event:?}");
            if let Some(first) = seen.insert(key, event) {
                let places = ((first.offset, first.index), (event.offset, event.index));
                anyhow::bail!(
                    "event {key:#x} of client {:#x} is stored twice, at {:?} and {:?}, with ids {} and {}",
                    client_of(key),
                    places.0,
                    places.1,
                    first.id,
                    event.id
                );
            }
        }
        Ok(seen)
    }
}

/// What names a stored event here.
pub fn key(event: &v1::StoredEvent) -> Option<u64> {
    match event.properties.as_ref()?.fields.get(KEY)?.kind.as_ref()? {
        Kind::NumberValue(number) => Some(*number as u64),
        _ => None,
    }
}
