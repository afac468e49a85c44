//! The catalogue written the other way round: from events as a test has them, all at once, with sorted maps.

use std::collections::{BTreeMap, BTreeSet};

use footpath_model::id::{EventId, Producer, actor_key};
use footpath_model::record::{
    EventHead, EventSpans, FrameHead, FrameKind, FrameView, TimeRule, build_frame, put_event,
};
use footpath_model::wire::{put_bytes, put_fixed64, put_uint};

use super::{Catalog, Owner};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Val {
    Text(String),
    Int(i64),
    Real(f64),
    Truth(bool),
    Many(Vec<Val>),
}

/// An event as a test has it.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) name: &'static str,
    pub(super) actor: u8,
    pub(super) properties: BTreeMap<&'static str, Val>,
    pub(super) set: BTreeMap<&'static str, Val>,
    pub(super) added: BTreeMap<&'static str, f64>,
    pub(super) unset: Vec<&'static str>,
    pub(super) group: Option<(&'static str, BTreeMap<&'static str, Val>)>,
}

impl Event {
    pub(super) fn new(name: &'static str, actor: u8) -> Self {
        let (properties, set, added, unset) = Default::default();
        Self { name, actor, properties, set, added, unset, group: None }
    }
}

/// A batch as a test has it: when it was received, its operating system and campaign, its events.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) at_us: i64,
    pub(super) os: Option<&'static str>,
    pub(super) source: Option<&'static str>,
    pub(super) events: Vec<Event>,
}

impl Val {
    fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Int(_) => "int",
            Self::Real(_) => "double",
            Self::Truth(_) => "bool",
            Self::Many(_) => "list",
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Text(text) => put_bytes(&mut out, 1, text.as_bytes()),
            Self::Int(number) => put_uint(&mut out, 2, number.cast_unsigned()),
            Self::Real(number) => put_fixed64(&mut out, 3, number.to_bits()),
            Self::Truth(truth) => put_uint(&mut out, 6, u64::from(*truth)),
            Self::Many(values) => {
                let mut list = Vec::new();
                values.iter().for_each(|value| put_bytes(&mut list, 1, &value.encode()));
                put_bytes(&mut out, 8, &list);
            }
        }
        out
    }
}

fn entry(out: &mut Vec<u8>, number: u32, key: &str, value: &Val) {
    let mut entry = Vec::new();
    put_bytes(&mut entry, 1, key.as_bytes());
    put_bytes(&mut entry, 2, &value.encode());
    put_bytes(out, number, &entry);
}

impl Event {
    fn changes(&self) -> Vec<u8> {
        let (mut person, mut changes) = (Vec::new(), Vec::new());
        // Half of them as set_once: to the catalogue it is the same.
        for (number, (key, value)) in [1, 2].into_iter().cycle().zip(&self.set) {
            entry(&mut person, number, key, value);
        }
        self.unset.iter().for_each(|key| put_bytes(&mut person, 3, key.as_bytes()));
        for (key, number) in &self.added {
            let mut added = Vec::new();
            put_bytes(&mut added, 1, key.as_bytes());
            put_fixed64(&mut added, 2, number.to_bits());
            put_bytes(&mut person, 4, &added);
        }
        if !person.is_empty() {
            put_bytes(&mut changes, 13, &person);
        }
        if let Some((kind, set)) = &self.group {
            let (mut group, mut inner) = (Vec::new(), Vec::new());
            set.iter().for_each(|(key, value)| entry(&mut inner, 1, key, value));
            put_bytes(&mut group, 1, kind.as_bytes());
            put_bytes(&mut group, 2, b"id");
            put_bytes(&mut group, 3, &inner);
            put_bytes(&mut changes, 14, &group);
        }
        changes
    }

    fn record(&self, index: u32, batch: i64) -> Vec<u8> {
        let mut properties = Vec::new();
        self.properties.iter().for_each(|(key, value)| entry(&mut properties, 11, key, value));
        let head = EventHead {
            lane: 0,
            class: 0,
            time_rule: TimeRule::AsSent,
            actor_key: actor_key("p", &[self.actor]),
            id: EventId::derived(&batch.to_le_bytes(), index),
            time_us: 0,
            raw_time_us: 0,
            number: 0,
            index,
        };
        let changes = self.changes();
        let mut out = Vec::new();
        let name = self.name.as_bytes();
        let spans = EventSpans { name, properties: &properties, changes: &changes, ..EventSpans::default() };
        put_event(&mut out, &head, &spans);
        out
    }
}

impl Batch {
    pub(super) fn frame(&self) -> Vec<u8> {
        let mut context = Vec::new();
        if let Some(os) = self.os {
            put_bytes(&mut context, 3, os.as_bytes());
        }
        if let Some(source) = self.source {
            let mut campaign = Vec::new();
            put_bytes(&mut campaign, 1, source.as_bytes());
            put_bytes(&mut context, 9, &campaign);
        }
        let (kind, historical, project) = (FrameKind::Events, false, 1);
        let (received_us, producer) = (self.at_us, Producer::default());
        let head = FrameHead { kind, historical, project, received_us, producer };
        let events: Vec<_> = (0..).zip(&self.events).map(|(i, event)| event.record(i, self.at_us)).collect();
        build_frame(&head, &context, &[], events.len() as u32, events.iter().map(Vec::as_slice))
    }
}

/// A catalogue that has seen the batches.
pub(super) fn seen<'a>(batches: impl IntoIterator<Item = &'a Batch>) -> Catalog {
    let mut catalog = Catalog::new();
    see(&mut catalog, batches);
    catalog
}

pub(super) fn see<'a>(catalog: &mut Catalog, batches: impl IntoIterator<Item = &'a Batch>) {
    batches.into_iter().for_each(|batch| catalog.see(&FrameView::new(&batch.frame()).unwrap()));
}

/// Whose property, and its key.
type Place = (String, String);
/// Count by type's name, first and last receipt.
type Facts = (BTreeMap<&'static str, u64>, i64, i64);

/// What a catalogue says, but for samples.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Said {
    pub(super) names: BTreeMap<String, (u64, i64, i64)>,
    pub(super) properties: BTreeMap<Place, Facts>,
}

pub(super) fn said(catalog: &Catalog) -> Said {
    let name =
        |(name, seen): (&str, super::Seen)| (name.to_owned(), (seen.count, seen.first_us, seen.last_us));
    let property = |property: super::PropertySeen<'_>| {
        let owner = match property.owner {
            Owner::Event(name) => format!("event {name}"),
            Owner::Context => "context".to_owned(),
            Owner::Person => "person".to_owned(),
            Owner::Group(kind) => format!("group {kind}"),
        };
        let types = property.types.iter().map(|(kind, count)| (kind.name(), *count)).collect();
        ((owner, property.key.to_owned()), (types, property.first_us, property.last_us))
    };
    Said {
        names: catalog.names().map(name).collect(),
        properties: catalog.properties().map(property).collect(),
    }
}

/// A key as it was sent once: place, type if it had one, receipt, number of events.
type Mention = (Place, Option<&'static str>, i64, u64);

fn mentions(batch: &Batch) -> Vec<Mention> {
    let mut all = Vec::new();
    let mut mention = |owner: &str, key: &str, kind, events| {
        all.push(((owner.to_owned(), key.to_owned()), kind, batch.at_us, events));
    };
    for event in &batch.events {
        for (key, value) in &event.properties {
            mention(&format!("event {}", event.name), key, Some(value.type_name()), 1);
        }
        event.set.iter().for_each(|(key, value)| mention("person", key, Some(value.type_name()), 1));
        event.added.keys().for_each(|key| mention("person", key, Some("double"), 1));
        event.unset.iter().for_each(|key| mention("person", key, None, 1));
        if let Some((kind, set)) = &event.group {
            let owner = format!("group {kind}");
            set.iter().for_each(|(key, value)| mention(&owner, key, Some(value.type_name()), 1));
        }
    }
    let events = batch.events.len() as u64;
    let fields = [("os", batch.os), ("campaign.source", batch.source), ("environment", Some("prod"))];
    for (key, _) in fields.into_iter().filter(|(_, set)| set.is_some() && events > 0) {
        mention("context", key, Some("string"), events);
    }
    all
}

/// What there is to say of the batches.
pub(super) fn expected(batches: &[Batch]) -> Said {
    let names: BTreeSet<_> = batches.iter().flat_map(|b| &b.events).map(|event| event.name).collect();
    let of_name = |name: &&str| {
        let receipts = batches.iter().flat_map(|b| b.events.iter().map(move |event| (event.name, b.at_us)));
        let times: Vec<_> = receipts.filter(|(own, _)| own == name).map(|(_, at_us)| at_us).collect();
        let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
        ((*name).to_owned(), (times.len() as u64, *first, *last))
    };
    let mentions: Vec<_> = batches.iter().flat_map(mentions).collect();
    let places: BTreeSet<_> = mentions.iter().map(|mention| &mention.0).collect();
    let of_place = |place: &Place| {
        let own: Vec<_> = mentions.iter().filter(|mention| mention.0 == *place).collect();
        let mut types = BTreeMap::new();
        for (_, kind, _, events) in &own {
            kind.iter().for_each(|kind| *types.entry(*kind).or_default() += events);
        }
        let times = || own.iter().map(|mention| mention.2);
        (place.clone(), (types, times().min().unwrap(), times().max().unwrap()))
    };
    Said {
        names: names.iter().map(of_name).collect(),
        properties: places.into_iter().map(of_place).collect(),
    }
}
