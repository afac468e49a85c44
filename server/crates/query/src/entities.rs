//! What is known of persons and groups, for filters and breakdowns: folded from the changes that stored events bring.

use std::collections::HashMap;
use std::ops::ControlFlow;

use footpath_engine::lens::PropertyRead;
use footpath_engine::props::{History, KeyId, Moment, Owner, PropertyBook, PropertyOperation};
use footpath_engine::{ActorKey, IdentityGraph};
use footpath_history::{Columns, HistoryError, Scan};
use footpath_model::changes::{Operation, groups, person_operations};
use footpath_model::filter::{self, Entities, Whose};
use footpath_model::id::group_key;
use footpath_model::props::Value;

use crate::Source;

/// The wanted properties of all persons and groups, with all of their past.
///
/// **Memory**: 56 bytes for every change of one of these properties, about 140 for each that was ever set.
#[derive(Debug, Default)]
pub(crate) struct Properties {
    project: String,
    book: PropertyBook,
}

impl Properties {
    /// Reads all events once more, if anything is wanted.
    pub(crate) fn read(
        source: &Source<'_>,
        graph: &IdentityGraph,
        wanted: &[PropertyRead],
    ) -> Result<Self, HistoryError> {
        let mut book = PropertyBook::new(usize::MAX);
        for read in wanted {
            book.want(&read.owner, &read.key);
        }
        let mut properties = Self { project: source.project.id.to_owned(), book };
        if wanted.is_empty() {
            return Ok(properties);
        }
        let mut changes = Changes::new();
        let scan = Scan { columns: Columns { rest: true, ..Columns::HEAD }, ..source.all() };
        source.pinned.scan(&scan, &mut |row| {
            let person = graph.canonical(ActorKey(row.head.actor_key)).0;
            let moment = Moment::new(row.head.time_us, row.head.id.as_u128());
            properties.note(&mut changes, person, moment, row.changes);
            ControlFlow::Continue(())
        })?;
        for ((entity, key), operations) in changes {
            properties.book.put(entity, key, History::rebuild(usize::MAX, operations));
        }
        Ok(properties)
    }

    /// Notes what an event changes of what is wanted.
    fn note(&self, noted: &mut Changes, person: u64, moment: Moment, changes: &[u8]) {
        let mut note = |entity: u64, owner: &Owner, (key, operation): (&str, Operation<'_>)| {
            if let (Some(key), Some(operation)) =
                (self.book.key(owner, key), PropertyOperation::new(&operation))
            {
                noted.entry((entity, key)).or_default().push((moment, operation));
            }
        };
        person_operations(changes).for_each(|change| note(person, &Owner::Person, change));
        for group in groups(changes) {
            let entity = group_key(&self.project, group.kind, group.id);
            let owner = Owner::Group(group.kind.to_owned());
            group.operations().for_each(|change| note(entity, &owner, change));
        }
    }

    /// As they are seen by an event of this person.
    pub(crate) fn of(&self, person: u64) -> Known<'_> {
        Known { properties: self, person }
    }
}

type Changes = HashMap<(u64, KeyId), Vec<(Moment, PropertyOperation)>>;

/// The properties of one event's person and groups.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    properties: &'a Properties,
    person: u64,
}

impl Entities for Known<'_> {
    fn property(&self, whose: Whose<'_>, key: &str, moment: filter::Moment, see: &mut dyn FnMut(&Value<'_>)) {
        let Properties { project, book } = self.properties;
        let (entity, owner) = match whose {
            Whose::Person => (self.person, Owner::Person),
            Whose::Group(kind, id) => (group_key(project, kind, id), Owner::Group(kind.to_owned())),
        };
        let Some(key) = book.key(&owner, key) else { return };
        let value = match moment {
            None => book.current(entity, key),
            // All of the past is kept: nothing is forgotten.
            Some((time_us, id)) => book.value_at(entity, key, Moment::new(time_us, id)).ok().flatten(),
        };
        value.iter().for_each(|value| see(&value.view()));
    }
}
