//! What persons are called. Graph and funnels know hashes only; the texts stand in their events.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use footpath_engine::{ActorKey, IdentityGraph};
use footpath_history::{Columns, HistoryError, Scan};
use footpath_model::control::Control;
use footpath_model::id::actor_key;

use crate::Source;

/// The person that an id belongs to.
pub(crate) fn person_of(source: &Source<'_>, graph: &IdentityGraph, id: &str) -> u64 {
    graph.canonical(ActorKey(actor_key(source.project.id, id.as_bytes()))).0
}

/// The actors whose events are these persons', each with its person.
pub(crate) fn actors_of(graph: &IdentityGraph, persons: impl IntoIterator<Item = u64>) -> HashMap<u64, u64> {
    let of = |person: u64| {
        let members = graph.members(ActorKey(person)).map(move |member| (member.0, person));
        members.chain([(person, person)])
    };
    persons.into_iter().flat_map(of).collect()
}

/// How good a text is as a person's name: the smaller, the better.
type Rank = (Kind, String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// It is the id of the person's root.
    Root,
    User,
    Anonymous,
}

/// The ids of persons as texts: of the root (a user id, or the anonymous id of who has none). Where no event has that, another id
/// of the person. Reads the events of these persons until all are known.
pub(crate) fn person_names(
    source: &Source<'_>,
    graph: &IdentityGraph,
    persons: impl IntoIterator<Item = u64>,
) -> Result<HashMap<u64, String>, HistoryError> {
    let mut names = Names::new(source.project.id, actors_of(graph, persons));
    for entry in source.ledger {
        names.control(&entry.control);
    }
    let actors: HashSet<u64> = names.actors.keys().copied().collect();
    if !actors.is_empty() && names.missing > 0 {
        let scan = Scan { actors: Some(&actors), columns: Columns::IDS, ..source.all() };
        source.pinned.scan(&scan, &mut |row| {
            names.offer(row.user_id, Kind::User);
            names.offer(row.anonymous_id, Kind::Anonymous);
            if names.missing > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
    }
    Ok(names.best.into_iter().map(|(person, (_, text))| (person, text)).collect())
}

struct Names<'a> {
    project: &'a str,
    actors: HashMap<u64, u64>,
    best: HashMap<u64, Rank>,
    /// Persons whose root is not known.
    missing: usize,
}

impl<'a> Names<'a> {
    /// Nothing is known but the hash, in digits; that is what remains of who has no event.
    fn new(project: &'a str, actors: HashMap<u64, u64>) -> Self {
        let persons: HashSet<u64> = actors.values().copied().collect();
        let missing = persons.len();
        Self { project, actors, best: HashMap::new(), missing }
    }

    fn control(&mut self, control: &Control) {
        match control {
            Control::MergePersons { from, into, .. } => {
                self.offer(from, Kind::Anonymous);
                self.offer(into, Kind::Anonymous);
            }
            Control::UnmergePerson { id, .. } => self.offer(id, Kind::Anonymous),
            _ => {}
        }
    }

    fn offer(&mut self, id: &str, kind: Kind) {
        let key = actor_key(self.project, id.as_bytes());
        let Some(person) = self.actors.get(&key).copied().filter(|_| !id.is_empty()) else { return };
        let kind = if key == person { Kind::Root } else { kind };
        let rank = (kind, id.to_owned());
        let known = self.best.get(&person);
        if known.is_some_and(|known| *known <= rank) {
            return;
        }
        self.missing -= usize::from(kind == Kind::Root && known.is_none_or(|known| known.0 != Kind::Root));
        self.best.insert(person, rank);
    }
}

/// The name of a person among [`person_names`]; the hash in digits of who has none.
pub(crate) fn name_of(names: &HashMap<u64, String>, person: u64) -> String {
    names.get(&person).cloned().unwrap_or_else(|| format!("{person:016x}"))
}
