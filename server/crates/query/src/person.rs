//! A person: ids, properties as they stand, when they were seen.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;

use footpath_engine::link::ALIAS_NAME;
use footpath_engine::props::{History, Moment, PropertyOperation, PropertyValue};
use footpath_engine::{ALIAS, ActorKey};
use footpath_history::{Columns, Scan, StoredRow};
use footpath_model::changes::{Operation, person_operations};
use footpath_model::control::Control;
use footpath_model::id::actor_key;
use footpath_model::props::{Value, property};

use crate::ids::{actors_of, name_of, person_names};
use crate::{QueryError, Read, Source};

/// Most ids that are told.
const MOST_IDS: usize = 1_000;

/// Asks for a person.
#[derive(Debug, Clone, Copy)]
pub struct PersonQuery<'a> {
    /// Any of the person's ids.
    pub id: &'a str,
    /// Who is who as of this epoch; `None` is now.
    pub identity_epoch: Option<u64>,
}

/// A person.
#[derive(Debug, Clone, PartialEq)]
pub struct PersonAnswer {
    /// The person's id: the user id, or the anonymous id of who has none.
    pub id: String,
    /// All ids that are this person: this one, then the others by their texts; at most 1,000.
    pub ids: Vec<String>,
    /// Their properties as they stand.
    pub properties: BTreeMap<String, PropertyValue>,
    /// Their first event, microseconds since 1970.
    pub first_us: i64,
    /// Their last event.
    pub last_us: i64,
    /// How many events they have.
    pub events: u64,
    /// The identity graph's epoch.
    pub identity_epoch: u64,
    /// What it was read from.
    pub read: Read,
}

/// Reads a person; `None` if nobody with this id has an event.
///
/// # Errors
/// If the events cannot be read, or the epoch is not there yet.
pub fn person(source: &Source<'_>, query: &PersonQuery<'_>) -> Result<Option<PersonAnswer>, QueryError> {
    let graph = source.identity(query.identity_epoch)?;
    let person = graph.canonical(ActorKey(actor_key(source.project.id, query.id.as_bytes()))).0;
    let actors: HashSet<u64> = actors_of(&graph, [person]).into_keys().collect();
    let mut ids = Ids { project: source.project.id, actors: &actors, found: BTreeSet::new() };
    source.ledger.iter().for_each(|entry| ids.control(&entry.control));
    let (mut seen, mut changes) = (Seen::default(), Changes::default());
    let scan = Scan { actors: Some(&actors), columns: Columns::ALL, ..source.all() };
    source.pinned.scan(&scan, &mut |row| {
        seen.note(row.head.time_us);
        ids.event(row);
        changes.note(row, person_operations(row.changes));
        ControlFlow::Continue(())
    })?;
    if seen.events == 0 {
        return Ok(None);
    }
    let id = name_of(&person_names(source, &graph, [person])?, person);
    let others = ids.found.into_iter().filter(|other| *other != id);
    Ok(Some(PersonAnswer {
        ids: [id.clone()].into_iter().chain(others).take(MOST_IDS).collect(),
        id,
        properties: changes.values(),
        first_us: seen.first_us,
        last_us: seen.last_us,
        events: seen.events,
        identity_epoch: graph.epoch(),
        read: source.read(seen.events),
    }))
}

/// The texts of a person's ids.
struct Ids<'a> {
    project: &'a str,
    actors: &'a HashSet<u64>,
    found: BTreeSet<String>,
}

impl Ids<'_> {
    fn offer(&mut self, id: &str) {
        let own = !id.is_empty() && self.actors.contains(&actor_key(self.project, id.as_bytes()));
        if own && !self.found.contains(id) {
            self.found.insert(id.to_owned());
        }
    }

    fn event(&mut self, row: &StoredRow<'_>) {
        self.offer(row.user_id);
        self.offer(row.anonymous_id);
        if row.name == ALIAS
            && let Some(Value::String(name)) = property(row.properties, ALIAS_NAME)
        {
            self.offer(name);
        }
    }

    fn control(&mut self, control: &Control) {
        match control {
            Control::MergePersons { from, into, .. } => {
                [from, into].into_iter().for_each(|id| self.offer(id))
            }
            Control::UnmergePerson { id, .. } => self.offer(id),
            _ => {}
        }
    }
}

/// When somebody was seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) first_us: i64,
    pub(crate) last_us: i64,
    pub(crate) events: u64,
}

impl Default for Seen {
    fn default() -> Self {
        Self { first_us: i64::MAX, last_us: i64::MIN, events: 0 }
    }
}

impl Seen {
    pub(crate) fn note(&mut self, time_us: i64) {
        self.first_us = self.first_us.min(time_us);
        self.last_us = self.last_us.max(time_us);
        self.events += 1;
    }
}

/// What was done to somebody's properties, by key.
#[derive(Debug, Default)]
pub(crate) struct Changes(BTreeMap<String, Vec<(Moment, PropertyOperation)>>);

impl Changes {
    pub(crate) fn note<'r>(
        &mut self,
        row: &StoredRow<'r>,
        operations: impl Iterator<Item = (&'r str, Operation<'r>)>,
    ) {
        let moment = Moment::new(row.head.time_us, row.head.id.as_u128());
        for (key, operation) in operations {
            if let Some(operation) = PropertyOperation::new(&operation) {
                self.0.entry(key.to_owned()).or_default().push((moment, operation));
            }
        }
    }

    /// The values as they stand.
    pub(crate) fn values(self) -> BTreeMap<String, PropertyValue> {
        let value = |operations| {
            let history = History::rebuild(usize::MAX, operations);
            history.current().map(|value| value.into_owned())
        };
        self.0.into_iter().filter_map(|(key, operations)| Some((key, value(operations)?))).collect()
    }
}

#[cfg(test)]
mod tests;
