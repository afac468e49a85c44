//! The catalogue as rows, for a store.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::properties::Property;
use super::{Catalog, Overflow, Owner, PropertySeen, Seen, ValueType, group};

/// A row: its address (the first three) and what is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What it is about: 0 overflow, 1 a name of events, 2 a property of events, 3 of contexts, 4 of persons, 5 of groups.
    pub kind: u8,
    /// The name of the events, or the type of the group; empty where there is none.
    pub owner: String,
    /// The property's key; empty where there is none.
    pub key: String,
    /// What is known, as JSON.
    pub json: String,
}

/// A row that this version cannot read.
#[derive(Debug, thiserror::Error)]
#[error("a row of the catalogue, of kind {kind}, cannot be read")]
pub struct BadRow {
    /// [`Row::kind`].
    pub kind: u8,
}

const OVERFLOW: u8 = 0;
const NAME: u8 = 1;
const OF_EVENT: u8 = 2;
const OF_CONTEXT: u8 = 3;
const OF_PERSON: u8 = 4;
const OF_GROUP: u8 = 5;

/// [`Row::json`] of a property.
#[derive(Serialize, Deserialize)]
struct PropertyJson {
    /// By the types' names.
    types: BTreeMap<String, u64>,
    first_us: i64,
    last_us: i64,
    samples: Vec<String>,
}

impl Catalog {
    /// What changed since [`Catalog::saved`], as rows that take the place of earlier ones with their address.
    pub fn changes(&self) -> Vec<Row> {
        if !self.changed {
            return Vec::new();
        }
        let overflow = self.overflow();
        let overflow = (overflow != self.overflow_saved).then(|| Row::new(OVERFLOW, "", "", &overflow));
        let names = self.events.iter().filter(|event| event.changed);
        let names = names.map(|event| Row::new(NAME, super::text(&event.name), "", &event.seen));
        let properties = self.owners().flat_map(|(owner, properties)| properties.changes(owner));
        overflow.into_iter().chain(names).chain(properties.map(|property| Row::of(&property))).collect()
    }

    /// The rows of [`Catalog::changes`] are stored.
    pub fn saved(&mut self) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        self.overflow_saved = self.overflow();
        self.events.iter_mut().for_each(|event| event.changed = false);
        self.each_owner(&mut |properties| properties.saved());
    }

    /// The catalogue that the rows of all changes make, in any order.
    ///
    /// # Errors
    /// If a newer version wrote a row.
    pub fn load(rows: impl IntoIterator<Item = Row>) -> Result<Self, BadRow> {
        let mut catalog = Self::new();
        for row in rows {
            catalog.load_row(&row).ok_or(BadRow { kind: row.kind })?;
        }
        Ok(catalog)
    }

    fn load_row(&mut self, row: &Row) -> Option<()> {
        let owner = row.owner.as_bytes();
        match row.kind {
            OVERFLOW => {
                let overflow: Overflow = row.read()?;
                (self.names_overflow, self.room.overflow) = (overflow.names, overflow.properties);
                self.overflow_saved = overflow;
                return Some(());
            }
            NAME => {
                let seen = row.read()?;
                let index = self.loaded_name(owner)?;
                self.events[index].seen = seen;
                return Some(());
            }
            _ => {}
        }
        let property = Property::read(row.read()?)?;
        let index = (row.kind == OF_EVENT).then(|| self.loaded_name(owner));
        let properties = match (row.kind, index) {
            (OF_EVENT, index) => &mut self.events[index??].properties,
            (OF_CONTEXT, _) => &mut self.context,
            (OF_PERSON, _) => &mut self.person,
            (OF_GROUP, _) => group(&mut self.groups, owner)?,
            _ => return None,
        };
        properties.add(row.key.as_bytes(), property, &mut self.room);
        Some(())
    }

    /// The name's own row may come behind those of its properties.
    fn loaded_name(&mut self, name: &[u8]) -> Option<usize> {
        let index = self.indices.get(name).copied();
        index.or_else(|| self.add_name(name, Seen { count: 0, first_us: 0, last_us: 0 }))
    }
}

impl Row {
    fn new(kind: u8, owner: &str, key: &str, content: &impl Serialize) -> Self {
        // Numbers and texts always become JSON.
        let json = serde_json::to_string(content).unwrap_or_default();
        Self { kind, owner: owner.to_owned(), key: key.to_owned(), json }
    }

    fn of(property: &PropertySeen<'_>) -> Self {
        let (kind, owner) = match property.owner {
            Owner::Event(name) => (OF_EVENT, name),
            Owner::Context => (OF_CONTEXT, ""),
            Owner::Person => (OF_PERSON, ""),
            Owner::Group(group) => (OF_GROUP, group),
        };
        let json = PropertyJson {
            types: property.types.iter().map(|(kind, count)| (kind.name().to_owned(), *count)).collect(),
            first_us: property.first_us,
            last_us: property.last_us,
            samples: property.samples.to_vec(),
        };
        Self::new(kind, owner, property.key, &json)
    }

    fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(&self.json).ok()
    }
}

impl Property {
    fn read(json: PropertyJson) -> Option<Self> {
        let mut property = Self::new(json.first_us, json.last_us);
        for (name, count) in json.types {
            property.types[ValueType::named(&name)?.index()] = count;
        }
        property.samples = json.samples;
        Some(property)
    }
}
