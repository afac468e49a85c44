//! The book as events see it, shared with those who read stored events.

use std::cell::Cell;

use footpath_engine::ActorKey;
use footpath_engine::props::{Forgotten, Moment, Owner, PropertyBook};
use footpath_model::filter::{self, Entities, Whose};
use footpath_model::id::group_key;
use footpath_model::props::Value;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Somebody who has properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entity {
    /// A person, by its root.
    Person(u64),
    /// A group, by its hash.
    Group(u64),
}

impl Entity {
    /// What its histories are filed under.
    pub fn key(self) -> u64 {
        match self {
            Self::Person(key) | Self::Group(key) => key,
        }
    }

    /// Whether it may have properties of this owner. A group's hash does not say of which type it is.
    pub fn may_have(self, owner: &Owner) -> bool {
        matches!(self, Self::Person(_)) == (*owner == Owner::Person)
    }
}

/// Properties of persons and groups over time. The worker alone writes.
#[derive(Debug)]
pub struct Known {
    project: String,
    book: RwLock<PropertyBook>,
}

impl Known {
    pub(super) fn new(project: &str, book: PropertyBook) -> Self {
        Self { project: project.to_owned(), book: RwLock::new(book) }
    }

    /// The project's id.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// The histories. Whoever holds them holds the worker up.
    pub fn read(&self) -> RwLockReadGuard<'_, PropertyBook> {
        self.book.read()
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, PropertyBook> {
        self.book.write()
    }

    /// Takes all histories out.
    pub(super) fn take(&self) -> PropertyBook {
        std::mem::take(&mut *self.book.write())
    }

    /// What an event of this person sees.
    pub fn of(&self, person: ActorKey) -> OfPerson<'_> {
        OfPerson { known: self, person: person.0, unknown: Cell::new(false) }
    }

    /// Whom a question is about.
    pub fn entity(&self, person: u64, whose: Whose<'_>) -> Entity {
        match whose {
            Whose::Person => Entity::Person(person),
            Whose::Group(kind, group) => Entity::Group(group_key(&self.project, kind, group)),
        }
    }

    /// Shows a value to `see`, if there is one.
    ///
    /// # Errors
    /// [`Forgotten`] if the moment lies before what is kept.
    pub fn show(
        &self,
        entity: Entity,
        (whose, key, moment): Question<'_>,
        see: &mut dyn FnMut(&Value<'_>),
    ) -> Result<(), Forgotten> {
        show(&self.read(), entity, (whose, key, moment), see)
    }
}

/// Whose property, which one, and as of when.
pub type Question<'a> = (Whose<'a>, &'a str, filter::Moment);

/// Shows what a book knows to `see`.
///
/// # Errors
/// [`Forgotten`] if the moment lies before what is kept.
pub fn show(
    book: &PropertyBook,
    entity: Entity,
    (whose, key, moment): Question<'_>,
    see: &mut dyn FnMut(&Value<'_>),
) -> Result<(), Forgotten> {
    let owner = match whose {
        Whose::Person => Owner::Person,
        Whose::Group(kind, _) => Owner::Group(kind.to_owned()),
    };
    let Some(key) = book.key(&owner, key) else { return Ok(()) };
    let value = match moment {
        None => book.current(entity.key(), key),
        Some((time_us, id)) => book.value_at(entity.key(), key, Moment::new(time_us, id))?,
    };
    value.iter().for_each(|value| see(&value.view()));
    Ok(())
}

/// What an event of one person sees.
#[derive(Debug)]
pub struct OfPerson<'a> {
    known: &'a Known,
    person: u64,
    unknown: Cell<bool>,
}

impl Entities for OfPerson<'_> {
    fn property(&self, whose: Whose<'_>, key: &str, moment: filter::Moment, see: &mut dyn FnMut(&Value<'_>)) {
        let entity = self.known.entity(self.person, whose);
        if self.known.show(entity, (whose, key, moment), see).is_err() {
            self.unknown.set(true);
        }
    }

    fn take_unknown(&self) -> bool {
        self.unknown.take()
    }
}
