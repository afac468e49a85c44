//! The histories that some definition needs.

use std::borrow::Cow;

use footpath_model::changes::{Operation, groups, person_operations};
use footpath_model::id::group_key;
use hashbrown::HashMap;

use super::history::{DEFAULT_OPERATIONS, Forgotten, History, HistoryChange};
use super::keys::{KeyId, Keys, Owner};
use super::moment::Moment;
use super::operation::PropertyOperation;
use super::value::PropertyValue;
use crate::identity::{ActorKey, Moved};

/// The properties of one project's persons and groups, as far as they are needed.
///
/// An entity is a person's root or a group's hash ([`group_key`]). What the book has of a person is what all of its actors
/// did; it must be told of every move of identity.
///
/// **Memory**: about 140 bytes for a property that was set once, and what [`History`] says.
#[derive(Debug, Clone)]
pub struct PropertyBook {
    pub(super) limit: usize,
    pub(super) keys: Keys,
    /// Seeded: entities are hashes of what clients choose.
    pub(super) histories: HashMap<(u64, KeyId), History>,
}

/// What became of one property of two persons who are one now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// Values are different from this moment on, for the events of one or the other.
    Changed {
        /// Which property.
        key: KeyId,
        /// The earliest operation of either; before all events if that was folded.
        from: Moment,
    },
    /// The operations of both lie too far back. The book has one person's only, which is wrong: rebuild it from stored
    /// events, and [`PropertyBook::put`] it.
    NeedsRefold {
        /// Which property.
        key: KeyId,
    },
}

impl Default for PropertyBook {
    fn default() -> Self {
        Self::new(DEFAULT_OPERATIONS)
    }
}

impl PropertyBook {
    /// A book that nobody needs anything of, with histories of at most `limit` operations.
    pub fn new(limit: usize) -> Self {
        Self { limit, keys: Keys::default(), histories: HashMap::new() }
    }

    /// The number of a key that is needed already.
    pub fn key(&self, owner: &Owner, key: &str) -> Option<KeyId> {
        self.keys.find(owner, key)
    }

    /// The key of a number.
    pub fn key_name(&self, id: KeyId) -> Option<(&Owner, &str)> {
        self.keys.name(id)
    }

    /// Keeps histories of a key from here on. For one that was not needed before, what is stored must be brought by
    /// [`PropertyBook::put`].
    pub fn want(&mut self, owner: &Owner, key: &str) -> KeyId {
        self.keys.intern(owner, key)
    }

    /// Lets go of a key that nobody needs any more. Its number is given out again. Takes the time of all histories.
    pub fn forget(&mut self, id: KeyId) {
        if self.keys.forget(id) {
            self.histories.retain(|(_, key), _| *key != id);
        }
    }

    /// Shows what an event does to properties that somebody needs: `changes` as in a record. Each with whose property it
    /// is.
    pub fn each_operation(
        &self,
        project: &str,
        person: ActorKey,
        changes: &[u8],
        each: impl FnMut(u64, KeyId, PropertyOperation),
    ) {
        operations_of(&self.keys, project, person, changes, each);
    }

    /// Takes one operation, as [`PropertyBook::each_operation`] shows it.
    pub fn apply(
        &mut self,
        entity: u64,
        key: KeyId,
        moment: Moment,
        operation: PropertyOperation,
    ) -> HistoryChange {
        self.histories.entry((entity, key)).or_default().apply(self.limit, moment, operation)
    }

    /// The value of a property at a moment, that moment's operations included; `None` if there is none.
    ///
    /// # Errors
    /// [`Forgotten`] if the moment lies before what is kept.
    pub fn value_at(
        &self,
        entity: u64,
        key: KeyId,
        moment: Moment,
    ) -> Result<Option<Cow<'_, PropertyValue>>, Forgotten> {
        self.history(entity, key).map_or(Ok(None), |history| history.value_at(moment))
    }

    /// The newest value of a property.
    pub fn current(&self, entity: u64, key: KeyId) -> Option<Cow<'_, PropertyValue>> {
        self.history(entity, key)?.current()
    }

    /// All that is kept of a property.
    pub fn history(&self, entity: u64, key: KeyId) -> Option<&History> {
        self.histories.get(&(entity, key))
    }

    /// Sets a history that was rebuilt from stored events.
    pub fn put(&mut self, entity: u64, key: KeyId, history: History) {
        if history.is_empty() {
            self.histories.remove(&(entity, key));
        } else if self.keys.name(key).is_some() {
            self.histories.insert((entity, key), history);
        }
    }

    /// An empty book of the same keys, with the same numbers, and histories of at most `limit` operations.
    #[must_use]
    pub fn emptied(&self, limit: usize) -> Self {
        Self { limit, keys: self.keys.clone(), histories: HashMap::new() }
    }

    /// All keys that are needed.
    pub fn keys(&self) -> impl Iterator<Item = (KeyId, &Owner, &str)> {
        self.keys.all()
    }

    /// Takes over what `other` has of an entity, and nothing else of it is left. `other` numbers keys as this one does
    /// ([`PropertyBook::emptied`]).
    pub fn replace(&mut self, entity: u64, other: &mut Self) {
        let keys: Vec<KeyId> = self.keys().map(|(key, ..)| key).collect();
        for key in keys {
            let history = other.histories.remove(&(entity, key)).unwrap_or_default();
            self.put(entity, key, history);
        }
    }

    /// Takes over the keys that only `other` has, with their histories. Both are of the same moment. Takes the time of all
    /// histories of `other`.
    pub fn adopt(&mut self, other: Self) {
        let Self { keys, histories, .. } = other;
        let new = keys.all().filter(|(_, owner, key)| self.key(owner, key).is_none());
        let new: Vec<_> = new.map(|(id, owner, key)| (id, owner.clone(), key.to_owned())).collect();
        let new: HashMap<KeyId, KeyId> =
            new.into_iter().map(|(id, owner, key)| (id, self.want(&owner, &key))).collect();
        let own = histories
            .into_iter()
            .filter_map(|((entity, key), history)| new.get(&key).map(|own| ((entity, *own), history)));
        self.histories.extend(own);
    }

    /// Two persons became one ([`Moved`] that is no split): what the one that is no more had is the other's.
    pub fn join(&mut self, moved: &Moved) -> Vec<Joined> {
        let mut keys: Vec<_> = self.keys.persons().values().copied().collect();
        keys.sort_unstable();
        let (from, to) = (moved.from_root.0, moved.to_root.0);
        keys.into_iter().filter_map(|key| self.join_key(from, to, key)).collect()
    }

    fn join_key(&mut self, from: u64, to: u64, key: KeyId) -> Option<Joined> {
        let lost = self.histories.remove(&(from, key))?;
        let won = self.histories.entry((to, key)).or_default();
        let earliest = lost.known_from().min(won.known_from());
        let Ok(merged) = History::merge(self.limit, &lost, won) else {
            return Some(Joined::NeedsRefold { key });
        };
        *won = merged;
        Some(Joined::Changed { key, from: earliest })
    }

    /// One person became two ([`Moved`] that is a split): which operations were whose is not kept. Both are let go of; gives
    /// the keys to rebuild for both from stored events.
    pub fn split(&mut self, moved: &Moved) -> Vec<KeyId> {
        let mut keys: Vec<_> = self.keys.persons().values().copied().collect();
        keys.sort_unstable();
        keys.retain(|key| {
            let left = self.histories.remove(&(moved.from_root.0, *key));
            let parted = self.histories.remove(&(moved.to_root.0, *key));
            left.is_some() || parted.is_some()
        });
        keys
    }

    /// How many histories are kept.
    pub fn len(&self) -> usize {
        self.histories.len()
    }

    /// Whether no history is kept.
    pub fn is_empty(&self) -> bool {
        self.histories.is_empty()
    }
}

/// Shows what an event does to those keys.
fn operations_of(
    keys: &Keys,
    project: &str,
    person: ActorKey,
    changes: &[u8],
    mut each: impl FnMut(u64, KeyId, PropertyOperation),
) {
    let mut show = |entity: u64, key: Option<&KeyId>, operation: &Operation<'_>| {
        let Some(key) = key else { return };
        PropertyOperation::new(operation).into_iter().for_each(|operation| each(entity, *key, operation));
    };
    for (key, operation) in person_operations(changes) {
        show(person.0, keys.persons().get(key), &operation);
    }
    for group in groups(changes) {
        let Some(own) = keys.groups(group.kind) else { continue };
        let entity = group_key(project, group.kind, group.id);
        group.operations().for_each(|(key, operation)| show(entity, own.get(key), &operation));
    }
}
