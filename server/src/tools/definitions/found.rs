//! The definitions of a kind in files, read one by one: a mistake in one does not hide those in others.

use std::collections::BTreeMap;

use footpath_proto::v1;
use toml::Spanned;
use toml::de::{DeValue, Error, ValueDeserializer};
use tonic::Status;

use super::Kind;
use super::field::in_file;
use super::place::{Mistake, Place, Source};
use crate::tools::remote::{explain, in_commands};

/// A definition without a mistake of its own.
pub struct Placed<K: Kind> {
    /// The definition.
    pub definition: K,
    /// The same as the API takes it.
    pub message: K::Message,
}

/// The definitions of a kind.
pub struct Found<K: Kind> {
    /// Those without a mistake of their own, in their order.
    pub placed: Vec<Placed<K>>,
    /// Where each stands that has an id, those with mistakes too.
    places: BTreeMap<String, Place>,
}

impl<K: Kind> Default for Found<K> {
    fn default() -> Self {
        Self { placed: Vec::new(), places: BTreeMap::new() }
    }
}

impl<K: Kind> Found<K> {
    /// The definition of this id, if it is there and has no mistake of its own.
    pub fn get(&self, id: &str) -> Option<&Placed<K>> {
        self.placed.iter().find(|one| one.definition.id() == id)
    }

    /// Adds what a file says of this kind.
    pub fn add(&mut self, source: Source<'_>, value: Spanned<DeValue<'_>>, mistakes: &mut Vec<Mistake>) {
        let at = value.span().start;
        let DeValue::Array(tables) = value.into_inner() else {
            let what = format!("write [[{}]], since there may be several", K::NAME);
            return mistakes.push(Mistake { place: Some(source.column(at)), what });
        };
        for table in tables {
            let (place, id) = (source.line(table.span().start), id(&table));
            let first = self.places.get(&id).cloned();
            if let Some(first) = &first {
                let what = format!("is defined twice, first at {first}");
                mistakes.push(Mistake::of(Some(place.clone()), K::NAME, &id, &what));
            } else if !id.is_empty() {
                self.places.insert(id.clone(), place.clone());
            }
            match read(source, table) {
                Ok(placed) => self.placed.extend(first.is_none().then_some(placed)),
                Err(Wrong::Written(mistake)) => mistakes.push(mistake),
                Err(Wrong::Meant(what)) => mistakes.push(Mistake::of(Some(place), K::NAME, &id, &what)),
            }
        }
    }

    /// As the server checks them: those with mistakes of their own by name only.
    pub fn messages(&self) -> Vec<K::Message> {
        let good = self.placed.iter().map(|one| one.message.clone());
        let broken = self.places.keys().filter(|id| self.get(id).is_none());
        good.chain(broken.map(|id| K::named(id))).collect()
    }

    /// A mistake that the server found; none of what has one of its own, and was a name only.
    pub fn mistake(&self, problem: &v1::DefinitionProblem) -> Option<Mistake> {
        let v1::DefinitionProblem { definition_id: id, message, .. } = problem;
        let (place, placed) = (self.places.get(id).cloned(), self.get(id));
        let lists = placed.map(|one| one.definition.lists()).unwrap_or_default();
        let is_told = place.is_some() && placed.is_none();
        (!is_told).then(|| Mistake::of(place, K::NAME, id, &in_file(&in_commands(message), &lists)))
    }
}

/// What is wrong with one definition.
enum Wrong {
    /// How it is written.
    Written(Mistake),
    /// What it means.
    Meant(String),
}

fn read<K: Kind>(source: Source<'_>, table: Spanned<DeValue<'_>>) -> Result<Placed<K>, Wrong> {
    let at = table.span().start;
    let definition = K::deserialize(ValueDeserializer::from(table));
    let definition = definition.map_err(|error| Wrong::Written(misread(source, at, &error)))?;
    let message = definition.message().map_err(|error| Wrong::Meant(format!("{error:#}")))?;
    let meaning = K::meaning(&message, "UTC");
    let told = |status: Status| in_file(&explain(&status).to_string(), &definition.lists());
    meaning.map_err(|status| Wrong::Meant(told(status)))?;
    Ok(Placed { definition, message })
}

/// The id that a table names, if it can be read.
fn id(table: &Spanned<DeValue<'_>>) -> String {
    let id = table.get_ref().as_table().and_then(|table| table.get("id"));
    id.and_then(|id| id.get_ref().as_str()).unwrap_or_default().to_owned()
}

/// What cannot be read; it stands at `at` where the error does not say.
pub fn misread(source: Source<'_>, at: usize, error: &Error) -> Mistake {
    let place = source.column(error.span().map_or(at, |span| span.start));
    Mistake { place: Some(place), what: error.message().trim().replace('\n', " ") }
}
