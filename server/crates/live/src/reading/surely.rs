//! Units of a view that reads properties of persons and groups. Readings ask the book; what it has forgotten is read from
//! stored events, and the units once more.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use footpath_engine::props::PropertyBook;
use footpath_engine::{ActorKey, IdentityGraph};
use footpath_history::{HistoryError, Stored};
use footpath_model::filter::{Entities, Moment, Whose};
use footpath_model::props::Value;
use hashbrown::HashSet;

use super::{Histories, Persons, Sees, Units, units_of};
use crate::book::{Entity, Known, show};

/// What a reading knows of persons and groups.
pub struct Asked {
    known: Arc<Known>,
    /// Who is who, where units are not persons.
    identity: Option<Arc<IdentityGraph>>,
    rebuilt: PropertyBook,
    /// Whose histories are rebuilt.
    rebuilt_of: HashSet<Entity>,
    forgotten: RefCell<HashSet<Entity>>,
}

impl Asked {
    /// Asks the book as it stands. `identity` is for views whose units are groups.
    pub fn new(known: &Arc<Known>, identity: Option<Arc<IdentityGraph>>) -> Self {
        Self {
            known: Arc::clone(known),
            identity,
            rebuilt: PropertyBook::default(),
            rebuilt_of: HashSet::new(),
            forgotten: RefCell::default(),
        }
    }

    /// The person of an actor, and what its events see.
    pub fn of(&self, actor: ActorKey) -> (ActorKey, AskedOf<'_>) {
        let person = self.identity.as_ref().map_or(actor, |identity| identity.canonical(actor));
        (person, AskedOf { asked: self, person: person.0 })
    }

    fn forget(&mut self) {
        self.rebuilt_of.clear();
        self.rebuilt = PropertyBook::default();
    }
}

/// What the events of one person see in a reading.
pub struct AskedOf<'a> {
    asked: &'a Asked,
    person: u64,
}

impl Entities for AskedOf<'_> {
    fn property(&self, whose: Whose<'_>, key: &str, moment: Moment, see: &mut dyn FnMut(&Value<'_>)) {
        let Asked { known, rebuilt, rebuilt_of, forgotten, .. } = self.asked;
        let entity = known.entity(self.person, whose);
        let shown = if rebuilt_of.contains(&entity) {
            show(rebuilt, entity, (whose, key, moment), see)
        } else {
            known.show(entity, (whose, key, moment), see)
        };
        if shown.is_err() {
            forgotten.borrow_mut().insert(entity);
        }
    }
}

impl<L: Sees> Persons<L> {
    /// As [`Persons::fold`], of a view that reads properties of persons or groups.
    ///
    /// # Errors
    /// If stored events cannot be read.
    pub fn fold_surely<F>(
        &mut self,
        stored: &Stored,
        stop: &AtomicBool,
        new: &dyn Fn(u64) -> F,
        fold: &dyn Fn(&mut F, L::Event),
    ) -> Result<Vec<(u64, F)>, HistoryError> {
        let mut waiting = vec![self.units.clone()];
        let mut folded = Vec::new();
        while let Some(units) = waiting.pop() {
            self.units = units;
            let folds = self.fold(stored, stop, new, fold)?;
            if self.remember(stored, stop)? {
                folded.extend(folds);
                self.asked.iter_mut().for_each(Asked::forget);
            } else {
                waiting.extend(self.next_units());
            }
        }
        Ok(folded)
    }

    /// Reads what the book had forgotten when it was asked. True if that was nothing: all answers were right.
    fn remember(&mut self, stored: &Stored, stop: &AtomicBool) -> Result<bool, HistoryError> {
        let Some(asked) = &mut self.asked else { return Ok(true) };
        let forgotten = asked.forgotten.take();
        if forgotten.is_empty() {
            return Ok(true);
        }
        asked.rebuilt_of.extend(forgotten);
        let entities: Vec<Entity> = asked.rebuilt_of.iter().copied().collect();
        let histories = Histories {
            project: self.project,
            upto: self.upto,
            known: Arc::clone(&asked.known),
            persons: persons_of(&self.units, &entities, asked.identity.as_deref()),
            groups: HashSet::new(),
            limit: usize::MAX,
        };
        let pinned = stored.pin().upto(self.upto);
        match histories.some(&entities, self.units.all().len() > 1, &pinned, stop)? {
            Some(book) => asked.rebuilt = book,
            None => asked.forget(),
        }
        Ok(false)
    }

    /// What is read next after something was forgotten: the same again, or its halves if the histories are too many.
    fn next_units(&self) -> Vec<Units> {
        let is_rebuilt = self.asked.as_ref().is_some_and(|asked| !asked.rebuilt_of.is_empty());
        if is_rebuilt { vec![self.units.clone()] } else { self.units.halves() }
    }
}

/// The persons among these with their actors.
fn persons_of(units: &Units, entities: &[Entity], identity: Option<&IdentityGraph>) -> Units {
    let Some(identity) = identity else { return units.clone() };
    let persons = entities.iter().filter_map(|entity| match entity {
        Entity::Person(person) => Some(*person),
        Entity::Group(_) => None,
    });
    units_of(&persons.collect::<Vec<_>>(), false, identity)
}
