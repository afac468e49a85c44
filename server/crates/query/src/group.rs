//! A group: its properties as they stand, when and by how many persons it was named.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;

use footpath_engine::ActorKey;
use footpath_engine::props::PropertyValue;
use footpath_history::{Columns, Scan};
use footpath_model::changes::{group_operations, groups};

use crate::person::{Changes, Seen};
use crate::{QueryError, Read, Source};

/// Asks for a group.
#[derive(Debug, Clone, Copy)]
pub struct GroupQuery<'a> {
    /// The group's type.
    pub kind: &'a str,
    /// Its id.
    pub id: &'a str,
}

/// A group.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupAnswer {
    /// Its properties as they stand.
    pub properties: BTreeMap<String, PropertyValue>,
    /// The first event that names it, microseconds since 1970.
    pub first_us: i64,
    /// The last one.
    pub last_us: i64,
    /// How many events name it.
    pub events: u64,
    /// How many persons they are of.
    pub persons: u64,
    /// What it was read from.
    pub read: Read,
}

/// Reads a group, out of all events of the project; `None` if none names it.
///
/// # Errors
/// If the events cannot be read.
pub fn group(source: &Source<'_>, query: &GroupQuery<'_>) -> Result<Option<GroupAnswer>, QueryError> {
    let graph = source.identity(None)?;
    let (mut seen, mut changes, mut persons) = (Seen::default(), Changes::default(), HashSet::new());
    let scan = Scan { columns: Columns { rest: true, ..Columns::HEAD }, ..source.all() };
    let stats = source.pinned.scan(&scan, &mut |row| {
        if groups(row.changes).any(|group| group.kind == query.kind && group.id == query.id) {
            seen.note(row.head.time_us);
            persons.insert(graph.canonical(ActorKey(row.head.actor_key)));
            changes.note(row, group_operations(row.changes, query.kind, query.id));
        }
        ControlFlow::Continue(())
    })?;
    Ok((seen.events > 0).then(|| GroupAnswer {
        properties: changes.values(),
        first_us: seen.first_us,
        last_us: seen.last_us,
        events: seen.events,
        persons: persons.len() as u64,
        read: source.read(stats.rows),
    }))
}
