//! What is known of a project's persons and groups: the properties that its views read, over time.
//!
//! The changes that an event brings are taken before any view sees the event. What they make of events that were seen before is
//! told to the views as corrections. Readings of stored events ask the same book, whatever it knows by then: a change
//! that makes a difference to an event that they read has marked its unit again.
//!
//! **Memory**: about 140 bytes for a property of a person or group that was set once, up to about 1 KiB for one that was set
//! again and again ([`OPERATIONS`]), texts beside that. Nothing is kept of properties that no view reads.

use std::borrow::Cow;
use std::sync::Arc;

use footpath_engine::lens::PropertyRead;
use footpath_engine::props::{BadProperties, HistoryChange, Joined, KeyId, Moment, Owner, PropertyBook};
use footpath_engine::props::{PropertyOperation, PropertyValue};
use footpath_engine::{ActorKey, IdentityGraph, Moved};

use crate::hub::Progress;
use crate::reading::{Histories, units_of};
use crate::stale::Stale;
use crate::view::{Brought, Context, Reading};

mod known;

pub use known::{Entity, Known, OfPerson, show};

/// Operations that a history keeps; what lies before them is read from stored events when somebody needs it. In tests so few
/// that it happens.
const OPERATIONS: usize = if cfg!(test) { 2 } else { 16 };

/// Values that became others for events that may have been seen.
#[derive(Debug, Clone)]
pub struct Corrected {
    /// Whose events they are: of these actors, or of this group.
    pub of: Vec<u64>,
    /// Whose property it is.
    pub owner: Owner,
    /// Its key.
    pub key: String,
    /// From which event time on events see another value.
    pub from_us: i64,
    /// Whether the newest value is another one.
    pub current: bool,
    /// Where the cause stands.
    pub since: Progress,
}

/// An operation on a property of somebody who is being read.
#[derive(Debug, Clone)]
struct Later {
    key: KeyId,
    moment: Moment,
    operation: PropertyOperation,
}

/// Properties of persons and groups over time.
#[derive(Debug)]
pub struct Book {
    known: Arc<Known>,
    /// Persons and groups whose histories are wrong until stored events were read.
    persons: Stale<Later>,
    groups: Stale<Later>,
    /// Whether anybody reads anything.
    wanted: bool,
}

impl Book {
    /// An empty one that nobody needs.
    pub fn new(project: &str) -> Self {
        Self::of_known(project, PropertyBook::new(OPERATIONS))
    }

    fn of_known(project: &str, book: PropertyBook) -> Self {
        let mut own = Self {
            known: Arc::new(Known::new(project, book)),
            persons: Stale::default(),
            groups: Stale::default(),
            wanted: false,
        };
        own.keys_changed();
        own
    }

    /// Whether anybody reads anything.
    #[inline]
    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Keeps what is read here, from the first event on.
    pub fn want(&mut self, reads: &[PropertyRead]) {
        let mut book = self.known.write();
        reads.iter().for_each(|read| _ = book.want(&read.owner, &read.key));
        drop(book);
        self.keys_changed();
    }

    /// Lets go of what nobody reads.
    pub fn keep(&mut self, reads: &[PropertyRead]) {
        let mut book = self.known.write();
        let is_read =
            |owner: &Owner, key: &str| reads.iter().any(|read| read.owner == *owner && read.key == key);
        let unread = book.keys().filter(|(_, owner, key)| !is_read(owner, key)).map(|(id, ..)| id);
        let unread: Vec<_> = unread.collect();
        unread.iter().for_each(|key| book.forget(*key));
        drop(book);
        if !unread.is_empty() {
            self.keys_changed();
        }
    }

    /// Takes over what a book of the same position has and this one has not.
    pub fn adopt(&mut self, other: Self) {
        let Self { known, persons, groups, .. } = other;
        self.known.write().adopt(known.take());
        persons.all().for_each(|(person, since)| self.persons.mark(person, since));
        groups.all().for_each(|(group, since)| self.groups.mark(group, since));
        self.keys_changed();
    }

    /// Readings under way are of the keys as they were: their numbers may be given to others.
    fn keys_changed(&mut self) {
        self.wanted = self.known.read().keys().next().is_some();
        self.persons.restart();
        self.groups.restart();
    }

    /// What readings ask.
    pub fn known(&self) -> &Arc<Known> {
        &self.known
    }

    /// What an event of this person sees.
    pub fn of(&self, person: ActorKey) -> OfPerson<'_> {
        self.known.of(person)
    }

    /// Takes what an event changes.
    pub fn take(
        &mut self,
        person: ActorKey,
        (time_us, id): (i64, u128),
        changes: &[u8],
        identity: &IdentityGraph,
        at: Progress,
    ) -> Vec<Corrected> {
        let moment = Moment::new(time_us, id);
        let mut operations = Vec::new();
        self.known.read().each_operation(self.known.project(), person, changes, |entity, key, operation| {
            let whose = if entity == person.0 { Entity::Person(entity) } else { Entity::Group(entity) };
            operations.push((whose, Later { key, moment, operation }));
        });
        let apply = |(entity, later)| self.apply(entity, later, identity, at);
        operations.into_iter().filter_map(apply).collect()
    }

    fn apply(
        &mut self,
        entity: Entity,
        later: Later,
        identity: &IdentityGraph,
        at: Progress,
    ) -> Option<Corrected> {
        let Later { key, moment, operation } = self.stale(entity).take(entity.key(), later)?;
        let mut book = self.known.write();
        let before = book.current(entity.key(), key).map(Cow::into_owned);
        match book.apply(entity.key(), key, moment, operation) {
            HistoryChange::Changed { from } => {
                let current = book.current(entity.key(), key).as_deref() != before.as_ref();
                let (owner, name) = book.key_name(key)?;
                let (of, owner, key) = (events_of(entity, identity), owner.clone(), name.to_owned());
                Some(Corrected { of, owner, key, from_us: from.time_us, current, since: at })
            }
            HistoryChange::Unchanged | HistoryChange::Duplicate => None,
            HistoryChange::NeedsRefold => {
                drop(book);
                self.stale(entity).mark(entity.key(), at);
                None
            }
        }
    }

    fn stale(&mut self, entity: Entity) -> &mut Stale<Later> {
        match entity {
            Entity::Person(_) => &mut self.persons,
            Entity::Group(_) => &mut self.groups,
        }
    }

    /// Two persons became one, or one became two, at `at`.
    pub fn follow(&mut self, moved: &Moved, identity: &IdentityGraph, at: Progress) -> Vec<Corrected> {
        if !self.wanted {
            return Vec::new();
        }
        if moved.is_split() {
            self.part(moved, at);
            return Vec::new();
        }
        self.join(moved, identity, at)
    }

    /// Which operations were whose, stored events say.
    fn part(&mut self, moved: &Moved, at: Progress) {
        let wrong = self.persons.since(moved.from_root.0);
        let parted = self.known.write().split(moved);
        if parted.is_empty() && wrong.is_none() {
            return;
        }
        let since = wrong.map_or(at, |wrong| wrong.min(at));
        [moved.from_root, moved.to_root].iter().for_each(|person| self.persons.mark(person.0, since));
    }

    fn join(&mut self, moved: &Moved, identity: &IdentityGraph, at: Progress) -> Vec<Corrected> {
        let (from, to) = (moved.from_root.0, moved.to_root.0);
        let wrong = [self.persons.remove(from), self.persons.remove(to)].into_iter().flatten().min();
        let mut book = self.known.write();
        let keys: Vec<_> = book.keys().filter(|(_, owner, _)| **owner == Owner::Person).map(owned).collect();
        let before: Vec<_> =
            keys.iter().map(|(key, ..)| [from, to].map(|of| Before::of(&book, of, *key))).collect();
        let joined = book.join(moved);
        let mut corrected = Vec::new();
        for ((id, owner, key), [lost, won]) in keys.into_iter().zip(before) {
            let now = book.current(to, id);
            let mut correct = |of: Vec<u64>, own: &Before, others: &Before| {
                let Some(from_us) = others.from_us else { return };
                let (owner, key, current) =
                    (owner.clone(), key.clone(), own.current.as_ref() != now.as_deref());
                corrected.push(Corrected { of, owner, key, from_us, current, since: at });
            };
            correct(moved.ids.iter().map(|id| id.0).collect(), &lost, &won);
            let all = events_of(Entity::Person(to), identity).into_iter();
            correct(all.filter(|id| !moved.ids.contains(&ActorKey(*id))).collect(), &won, &lost);
        }
        drop(book);
        let is_lost = joined.iter().any(|one| matches!(one, Joined::NeedsRefold { .. }));
        if let Some(since) = wrong.or(is_lost.then_some(at)) {
            self.persons.mark(to, since.min(at));
        }
        corrected
    }

    /// Up to where everything is known, for a reader that is at `read`.
    pub fn complete(&self, read: Progress) -> Progress {
        self.persons.complete(read).min(self.groups.complete(read))
    }

    /// A reading of the histories that are wrong, if one is wanted and none is under way.
    pub fn begin_reading(&mut self, number: u64, upto: Progress, context: &Context<'_>) -> Option<Reading> {
        let persons = self.persons.begin(number, upto).unwrap_or_default();
        let groups = self.groups.begin(number, upto).unwrap_or_default();
        if persons.is_empty() && groups.is_empty() {
            return None;
        }
        let histories = Histories {
            project: context.project,
            upto: upto.position,
            known: Arc::clone(&self.known),
            persons: units_of(&persons, false, context.identity),
            groups: groups.into_iter().collect(),
            limit: OPERATIONS,
        };
        Some(Box::new(move |stored, stop| Ok(Box::new(histories.all(stored, stop)?) as Brought)))
    }

    /// What reading `number` brought: all that anybody saw of these histories may have been wrong.
    pub fn read(&mut self, number: u64, brought: Brought, identity: &IdentityGraph) -> Vec<Corrected> {
        let Ok(rebuilt) = brought.downcast::<Vec<(Vec<Entity>, PropertyBook)>>() else { return Vec::new() };
        let mut corrected = Vec::new();
        for (entities, mut histories) in *rebuilt {
            for entity in entities {
                self.read_one(number, entity, &mut histories, identity, &mut corrected);
            }
        }
        corrected
    }

    fn read_one(
        &mut self,
        number: u64,
        entity: Entity,
        histories: &mut PropertyBook,
        identity: &IdentityGraph,
        corrected: &mut Vec<Corrected>,
    ) {
        let Some(since) = self.stale(entity).since(entity.key()) else { return };
        let Some(finished) = self.stale(entity).finish(number, entity.key()) else { return };
        self.known.write().replace(entity.key(), histories);
        let keys: Vec<_> = self.known.read().keys().map(owned).collect();
        for (_, owner, key) in keys.into_iter().filter(|(_, owner, _)| entity.may_have(owner)) {
            let of = events_of(entity, identity);
            corrected.push(Corrected { of, owner, key, from_us: i64::MIN, current: true, since });
        }
        for later in finished.later {
            corrected.extend(self.apply(entity, later, identity, finished.upto));
        }
    }

    /// Reading `number` failed.
    pub fn reading_failed(&mut self, number: u64) {
        self.persons.failed(number);
        self.groups.failed(number);
    }

    /// Persons and groups whose histories are wrong, and since when.
    pub fn all_stale(&self) -> [Vec<(u64, Progress)>; 2] {
        [self.persons.all().collect(), self.groups.all().collect()]
    }

    /// Says whose histories are wrong, as [`Book::all_stale`] said it.
    pub fn restore_stale(&mut self, [persons, groups]: [Vec<(u64, Progress)>; 2]) {
        persons.into_iter().for_each(|(person, since)| self.persons.mark(person, since));
        groups.into_iter().for_each(|(group, since)| self.groups.mark(group, since));
    }

    /// Appends the histories, for an image.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.known.read().encode(out);
    }

    /// Reads histories from the front of `bytes` and moves them behind it.
    ///
    /// # Errors
    /// If they are damaged.
    pub fn decode(project: &str, bytes: &mut &[u8]) -> Result<Self, BadProperties> {
        Ok(Self::of_known(project, PropertyBook::decode(bytes)?))
    }
}

/// What was known of one property of one of two persons before they became one.
struct Before {
    /// The event time from which on there was something.
    from_us: Option<i64>,
    current: Option<PropertyValue>,
}

impl Before {
    fn of(book: &PropertyBook, person: u64, key: KeyId) -> Self {
        let from_us = book.history(person, key).map(|history| history.known_from().time_us);
        Self { from_us, current: book.current(person, key).map(Cow::into_owned) }
    }
}

fn owned((id, owner, key): (KeyId, &Owner, &str)) -> (KeyId, Owner, String) {
    (id, owner.clone(), key.to_owned())
}

/// Whose events see what is known of somebody: all ids of a person, or the group.
fn events_of(entity: Entity, identity: &IdentityGraph) -> Vec<u64> {
    match entity {
        Entity::Person(person) => {
            let members = identity.members(ActorKey(person)).map(|member| member.0);
            std::iter::once(person).chain(members).collect()
        }
        Entity::Group(group) => vec![group],
    }
}

#[cfg(test)]
mod tests;
