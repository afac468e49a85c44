//! Properties of some persons and groups, from the events stored below a position.

use std::collections::HashSet as StdHashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use footpath_engine::ActorKey;
use footpath_engine::props::{History, KeyId, Moment, PropertyBook, PropertyOperation};
use footpath_history::{Columns, HistoryError, Pinned, Scan, Stored};
use hashbrown::{HashMap, HashSet};

use super::{Units, go_on};
use crate::book::{Entity, Known};

/// Operations that are held at once, 72 bytes each; one person or group alone may have more. In tests so few that it happens.
const OPERATIONS_AT_ONCE: usize = if cfg!(test) { 4 } else { 1 << 19 };

/// What changes of properties have to be decoded.
const CHANGES: Columns = Columns { rest: true, ..Columns::HEAD };

/// Histories of some persons and groups, to be made from stored events.
pub struct Histories {
    /// The project's number.
    pub project: u32,
    /// Events below it are read.
    pub upto: u64,
    /// Says which properties are wanted.
    pub known: Arc<Known>,
    /// The persons, with their actors.
    pub persons: Units,
    /// The groups.
    pub groups: HashSet<u64>,
    /// How many operations a history keeps.
    pub limit: usize,
}

type Operations = HashMap<(u64, KeyId), Vec<(Moment, PropertyOperation)>>;

impl Histories {
    /// Reads all of them, as many together as can be held.
    ///
    /// # Errors
    /// If stored events cannot be read.
    pub fn all(
        &self,
        stored: &Stored,
        stop: &AtomicBool,
    ) -> Result<Vec<(Vec<Entity>, PropertyBook)>, HistoryError> {
        let pinned = stored.pin().upto(self.upto);
        let persons = self.persons.all().into_iter().map(Entity::Person);
        let mut waiting: Vec<Vec<Entity>> =
            vec![persons.chain(self.groups.iter().copied().map(Entity::Group)).collect()];
        let mut read = Vec::new();
        while let Some(mut some) = waiting.pop() {
            match self.some(&some, some.len() > 1, &pinned, stop)? {
                Some(book) => read.push((some, book)),
                None => {
                    waiting.push(some.split_off(some.len() / 2));
                    waiting.push(some);
                }
            }
        }
        Ok(read)
    }

    /// Reads some of them; `None` if they are `bounded` and have more operations than can be held.
    ///
    /// # Errors
    /// If stored events cannot be read.
    pub fn some(
        &self,
        entities: &[Entity],
        bounded: bool,
        pinned: &Pinned,
        stop: &AtomicBool,
    ) -> Result<Option<PropertyBook>, HistoryError> {
        let most = if bounded { OPERATIONS_AT_ONCE } else { usize::MAX };
        let mut book = self.known.read().emptied(self.limit);
        let wanted: HashSet<u64> = entities.iter().map(|entity| entity.key()).collect();
        let actors = self.actors(entities);
        let scan = Scan { actors: actors.as_ref(), columns: CHANGES, ..Scan::all(self.project) };
        let (mut operations, mut held): (Operations, usize) = (HashMap::new(), 0);
        pinned.scan(&scan, &mut |row| {
            // An actor of nobody who is wanted may name a group that is.
            let person = self.persons.person(row.head.actor_key).unwrap_or(ActorKey(row.head.actor_key));
            let moment = Moment::new(row.head.time_us, row.head.id.as_u128());
            book.each_operation(self.known.project(), person, row.changes, |entity, key, operation| {
                if wanted.contains(&entity) {
                    held += 1;
                    operations.entry((entity, key)).or_default().push((moment, operation));
                }
            });
            go_on(held <= most && !stop.load(Ordering::Relaxed))
        })?;
        if held > most {
            return Ok(None);
        }
        for ((entity, key), operations) in operations {
            book.put(entity, key, History::rebuild(self.limit, operations));
        }
        Ok(Some(book))
    }

    /// The actors that have to be read; `None` means all.
    fn actors(&self, entities: &[Entity]) -> Option<StdHashSet<u64>> {
        if entities.iter().any(|entity| matches!(entity, Entity::Group(_))) {
            return None;
        }
        self.persons.actors(&entities.iter().map(|entity| entity.key()).collect())
    }
}
