//! The tracking plan: events with their properties and types.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

/// A plan.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// By name.
    pub events: BTreeMap<String, Event>,
}

/// An event.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// For people.
    #[serde(default)]
    pub about: String,
    /// How carefully it is kept.
    #[serde(default)]
    pub class: Class,
    /// By key.
    #[serde(default)]
    pub properties: BTreeMap<String, Property>,
}

/// How carefully an event is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    Critical,
    #[default]
    Normal,
    Lossy,
}

/// A property: a type, or a type and more.
#[derive(Debug, Deserialize)]
#[serde(from = "Said")]
pub struct Property {
    /// Its type.
    pub kind: Kind,
    /// Whether an event may come without it.
    pub optional: bool,
    /// For people.
    pub about: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Kind(Kind),
    More {
        #[serde(rename = "type")]
        kind: Kind,
        #[serde(default)]
        optional: bool,
        #[serde(default)]
        about: String,
    },
}

impl From<Said> for Property {
    fn from(said: Said) -> Self {
        match said {
            Said::Kind(kind) => Self { kind, optional: false, about: String::new() },
            Said::More { kind, optional, about } => Self { kind, optional, about },
        }
    }
}

/// A property's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    String,
    Int,
    Double,
    Decimal,
    Money,
    Bool,
    Time,
}

impl Plan {
    /// Reads and checks a plan.
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn read(text: &str) -> anyhow::Result<Self> {
        let plan: Self = toml::from_str(text)?;
        ensure!(!plan.events.is_empty(), "it has no events: write [events.NAME]");
        for (name, event) in &plan.events {
            check_name(name).with_context(|| format!("events.{name}"))?;
            for key in event.properties.keys() {
                check_name(key).with_context(|| format!("events.{name}.properties.{key}"))?;
            }
        }
        Ok(plan)
    }
}

/// Names become identifiers of four languages, and two of them must not become one.
fn check_name(name: &str) -> anyhow::Result<()> {
    let mut bytes = name.bytes();
    let good = bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && !name.contains("__")
        && !name.ends_with('_');
    ensure!(
        good,
        "a name of a typed event or property is written in lower_snake_case, beginning with a letter"
    );
    Ok(())
}

impl Event {
    /// Properties, those that are needed first: in all languages what may be left out comes last.
    pub fn ordered(&self) -> impl Iterator<Item = (&String, &Property)> {
        let of = |optional| self.properties.iter().filter(move |(_, property)| property.optional == optional);
        of(false).chain(of(true))
    }

    /// Lines about the event and its properties, for a comment.
    pub fn lines(&self, shown: impl Fn(&str) -> String) -> Vec<String> {
        let mut lines: Vec<String> = self.about.lines().map(str::to_owned).collect();
        for (key, property) in self.ordered().filter(|(_, property)| !property.about.is_empty()) {
            lines.push(format!("{}: {}", shown(key), property.about.replace('\n', " ")));
        }
        lines
    }
}

/// `checkout_started` as `checkoutStarted`.
pub fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |joined, part| joined + &capital(part))
}

/// `checkout_started` as `CheckoutStarted`.
pub fn pascal(name: &str) -> String {
    capital(&camel(name))
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
}
