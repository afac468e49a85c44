//! What the events of a batch share: the encoded `footpath.v1.Context` of a record, its fields by the names that
//! conditions, chunks and the catalogue give them.
//!
//! All but one come from the client. `environment` is the server's: that of the key which sent the batch. Production is
//! left out of the record, so it costs most traffic nothing, and events from before there was the field read as production.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::record::text;
use crate::wire::{Field, Fields, put_bytes};

/// The name of the field that holds a [`CAMPAIGN_FIELDS`] message.
pub const CAMPAIGN: &str = "campaign";
/// The name of the field that the server sets.
pub const ENVIRONMENT: &str = "environment";

/// Names of the fields of `footpath.v1.Context` by their numbers, from 1 on.
pub const FIELDS: [&str; 11] = [
    "app",
    "app_version",
    "os",
    "os_version",
    "device_model",
    "locale",
    "library",
    "library_version",
    CAMPAIGN,
    "time_zone",
    ENVIRONMENT,
];

/// Names of the fields of `footpath.v1.Campaign` by their numbers, from 1 on, as conditions name them.
pub const CAMPAIGN_FIELDS: [&str; 5] =
    ["campaign.source", "campaign.medium", "campaign.name", "campaign.term", "campaign.content"];

/// The last field that clients set. What they send beyond it reaches no record.
pub const LAST_OF_CLIENTS: u32 = 10;

/// The number of [`ENVIRONMENT`]; reserved in `footpath.v1.Context`, so that no client has a field for it.
const ENVIRONMENT_FIELD: u32 = 11;

/// Where events come from: what the key that sent them is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Real traffic.
    #[default]
    Prod,
    /// The rehearsal before it.
    Staging,
    /// Developers' machines.
    Dev,
}

impl Environment {
    /// Its name in conditions, keys and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prod => "prod",
            Self::Staging => "staging",
            Self::Dev => "dev",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Notes the environment in a context that has none.
pub fn put_environment(context: &mut Vec<u8>, environment: Environment) {
    if environment != Environment::Prod {
        put_bytes(context, ENVIRONMENT_FIELD, environment.name().as_bytes());
    }
}

/// The environment's name; never empty.
pub fn environment(context: &[u8]) -> &str {
    text_field(context, ENVIRONMENT_FIELD).unwrap_or(Environment::Prod.name())
}

/// Names of what a context has, as conditions name them.
pub fn names() -> impl Iterator<Item = &'static str> {
    FIELDS.into_iter().filter(|name| *name != CAMPAIGN).chain(CAMPAIGN_FIELDS)
}

/// What a context has under a name of [`names`]; `None` if it is not set, or there is no such name.
pub fn value<'a>(context: &'a [u8], name: &str) -> Option<&'a str> {
    match name {
        CAMPAIGN => None,
        ENVIRONMENT => Some(environment(context)),
        _ if name.starts_with(CAMPAIGN) => {
            let campaign = last(context, number_in(&FIELDS, CAMPAIGN)?)?;
            text_field(campaign.bytes().ok()?, number_in(&CAMPAIGN_FIELDS, name)?)
        }
        _ => text_field(context, number_in(&FIELDS, name)?),
    }
}

/// Shows everything that is set: its name of [`names`] and its text.
pub fn each_value(context: &[u8], see: &mut impl FnMut(&'static str, &[u8])) {
    for field in Fields::new(context).flatten() {
        match (name_in(&FIELDS, field.number), field.bytes()) {
            (Some(CAMPAIGN), Ok(campaign)) => each_campaign_value(campaign, see),
            (Some(name), Ok(text)) if name != ENVIRONMENT => show(name, text, see),
            _ => {}
        }
    }
    see(ENVIRONMENT, environment(context).as_bytes());
}

fn each_campaign_value(campaign: &[u8], see: &mut impl FnMut(&'static str, &[u8])) {
    for field in Fields::new(campaign).flatten() {
        if let (Some(name), Ok(text)) = (name_in(&CAMPAIGN_FIELDS, field.number), field.bytes()) {
            show(name, text, see);
        }
    }
}

fn show(name: &'static str, text: &[u8], see: &mut impl FnMut(&'static str, &[u8])) {
    if !text.is_empty() {
        see(name, text);
    }
}

fn name_in(names: &[&'static str], number: u32) -> Option<&'static str> {
    names.get((number as usize).checked_sub(1)?).copied()
}

fn number_in(names: &[&str], name: &str) -> Option<u32> {
    (1..).zip(names).find(|(_, own)| **own == name).map(|(number, _)| number)
}

fn last(message: &[u8], number: u32) -> Option<Field<'_>> {
    Fields::new(message).flatten().filter(|field| field.number == number).last()
}

fn text_field(message: &[u8], number: u32) -> Option<&str> {
    last(message, number)?.bytes().ok().map(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
