//! Batches that were given away: which events they hold, so that an answer in a later run still finds them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use prost::Message;
use rusqlite::params;

use super::{GONE, Gathered, Loss, Queue, Queued};
use crate::block::{self, Number};
use crate::error::QueueError;
use crate::seal::Sealed;
use footpath_proto::v1;

/// What a batch holds; its body is with whoever carries it.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Detached {
    #[prost(string, tag = "1")]
    pub(crate) install: String,
    #[prost(uint64, tag = "2")]
    pub(crate) epoch: u64,
    /// In the order of the request: an answer names events by their place.
    #[prost(message, repeated, tag = "3")]
    pub(crate) events: Vec<Place>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) losses: Vec<Told>,
    /// Ids.
    #[prost(string, repeated, tag = "5")]
    pub(crate) wishes: Vec<String>,
}

/// Where an event of a batch is in the queue.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Place {
    #[prost(int64, tag = "1")]
    pub(crate) block: i64,
    #[prost(int32, tag = "2")]
    pub(crate) class: i32,
    #[prost(uint32, tag = "3")]
    pub(crate) lane: u32,
    #[prost(uint64, tag = "4")]
    pub(crate) number: u64,
}

/// A loss that a batch tells of.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Told {
    #[prost(int64, tag = "1")]
    pub(crate) id: i64,
    #[prost(message, optional, tag = "2")]
    pub(crate) range: Option<v1::LossRange>,
}

/// The fields of a block's events.
type Events = HashMap<Number, Vec<u8>>;

impl Place {
    pub(crate) fn number(&self) -> Number {
        Number { lane: u8::try_from(self.lane).unwrap_or(u8::MAX), number: self.number }
    }
}

impl Detached {
    pub(crate) fn of(events: &Gathered, losses: &[Loss], wishes: Vec<String>) -> Self {
        let place = |event: &Queued| Place {
            block: event.block,
            class: event.class,
            lane: event.at.lane.into(),
            number: event.at.number,
        };
        let told = |loss: &Loss| Told { id: loss.id, range: Some(loss.range.clone()) };
        Self {
            install: events.install.clone(),
            epoch: events.epoch,
            events: events.events.iter().map(place).collect(),
            losses: losses.iter().map(told).collect(),
            wishes,
        }
    }

    pub(crate) fn told(&self) -> Vec<Loss> {
        let loss = |told: &Told| Loss {
            id: told.id,
            install: self.install.clone(),
            epoch: self.epoch,
            range: told.range.clone().unwrap_or_default(),
        };
        self.losses.iter().map(loss).collect()
    }
}

impl Queue {
    /// Notes that a batch was given away.
    pub(crate) fn detach(&self, id: &str, batch: &Detached) -> Result<(), QueueError> {
        let mut insert =
            self.db.prepare_cached("INSERT OR REPLACE INTO detached (id, batch) VALUES (?1, ?2)")?;
        insert.execute(params![id, batch.encode_to_vec()])?;
        Ok(())
    }

    /// Nobody will answer to it any more, or it was answered.
    pub(crate) fn drop_detached(&self, id: &str) -> Result<(), QueueError> {
        self.db.prepare_cached("DELETE FROM detached WHERE id = ?1")?.execute([id])?;
        Ok(())
    }

    /// The batches that were given away and not answered.
    pub(crate) fn detached(&self) -> Result<Vec<(String, Detached)>, QueueError> {
        let mut query = self.db.prepare_cached("SELECT id, batch FROM detached")?;
        let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
        let mut found = Vec::new();
        for row in rows {
            let (id, batch) = row?;
            // One that cannot be read holds nothing up: its events are sent again.
            found.extend(Detached::decode(&*batch).ok().map(|batch| (id, batch)));
        }
        Ok(found)
    }

    /// The events of a batch that was given away, as [`Queue::gather`] would give them, with the clock era they have in
    /// common. What is not in the queue any more, or cannot be read, keeps its place and is [`GONE`].
    pub(crate) fn find(&self, batch: &Detached) -> Result<Gathered, QueueError> {
        let mut blocks: HashMap<i64, Events> = HashMap::new();
        let mut era = 0;
        for place in &batch.events {
            if let Entry::Vacant(block) = blocks.entry(place.block) {
                let (of, events) = self.events_of(place.block)?.unwrap_or_default();
                era = if events.is_empty() { era } else { of };
                block.insert(events);
            }
        }
        let mut found =
            Gathered { install: batch.install.clone(), epoch: batch.epoch, era, ..Gathered::default() };
        for place in &batch.events {
            let at = place.number();
            let field = blocks.get(&place.block).and_then(|events| events.get(&at));
            let start = found.body.len();
            found.body.extend_from_slice(field.map_or(&[], Vec::as_slice));
            let block = if field.is_some() { place.block } else { GONE };
            found.events.push(Queued { block, class: place.class, at, span: start..found.body.len() });
        }
        Ok(found)
    }

    /// A block's clock era and its events; `None` if it is gone or cannot be read.
    fn events_of(&self, block: i64) -> Result<Option<(u64, Events)>, QueueError> {
        let mut query = self.db.prepare_cached(
            "SELECT id, class, install, epoch, era, key, numbers, body FROM blocks WHERE id = ?1",
        )?;
        let mut rows = query.query([block])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let owner = super::read_owner(row)?;
        let blob = |at: usize| row.get_ref(at)?.as_blob().map_err(rusqlite::Error::from);
        match block::open(&owner, blob(6)?, blob(7)?, &self.sealer) {
            Ok((body, entries)) => {
                let events = entries.into_iter().map(|entry| (entry.at, body[entry.span].to_vec()));
                Ok(Some((owner.era, events.collect())))
            }
            Err(Sealed::NotNow(error)) => Err(QueueError::Key(error)),
            // The next look at it makes it a loss.
            Err(Sealed::NoKey | Sealed::Damaged) => Ok(None),
        }
    }
}
