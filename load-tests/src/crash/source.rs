//! What one sender sends: batches as a client makes them, and what the books have to know of each event.

use std::collections::HashMap;

use footpath_proto::v1;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::books::{Entry, Stream};
use crate::clock::wall_ms;
use crate::patch::{uuid_text, uuid7};
use crate::source::lane;

/// The project that a first start makes.
pub const PROJECT: &str = "default";
/// Names that funnels are made of.
pub const NAMES: [&str; 4] = ["view", "cart", "pay", "help"];
/// Joins an anonymous id to a user.
pub const IDENTIFY: &str = "$identify";
/// The property that names an event in the books.
pub const KEY: &str = "k";
/// The property that conditions are about.
pub const PLAN: &str = "plan";
/// The values of [`PLAN`].
pub const PLANS: [&str; 2] = ["free", "pro"];
/// Event times lie in this many seconds, whole ones, so that equal times are common.
pub const SPAN_S: i64 = 7_200;
/// Persons of each sender; a few meet each other in a user.
const PERSONS: u64 = 150;
/// Bytes that make an event heavy: log segments have to be filled, closed and trimmed.
const HEAVY_BYTES: usize = 24 << 10;

/// How a sender names its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Numbered by stream, as the client SDK does it.
    Numbered,
    /// Numbered, few and large.
    Heavy,
    /// By id.
    Ids,
    /// By batch id and index only.
    Derived,
}

/// Makes the batches of one sender.
#[derive(Debug)]
pub struct Source {
    index: u64,
    kind: Kind,
    rng: StdRng,
    producer: v1::Producer,
    numbers: HashMap<u32, u64>,
    count: u64,
    base_s: i64,
}

impl Source {
    /// Sender `index`; its events happen in the [`SPAN_S`] seconds from `base_s` on.
    pub fn new(index: u64, kind: Kind, seed: u64, base_s: i64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let install_id = text(&uuid7(wall_ms(), rng.random::<u64>() >> 30, rng.random::<u64>() >> 24));
        let producer = v1::Producer { install_id, epoch: rng.random() };
        Self { index, kind, rng, producer, numbers: HashMap::new(), count: 0, base_s }
    }

    /// The sender's dice.
    pub fn rng(&mut self) -> &mut StdRng {
        &mut self.rng
    }

    /// A fresh batch, and what its events are.
    pub fn next(&mut self) -> (v1::IngestRequest, Vec<Entry>) {
        self.rotate_now_and_then();
        let many = if self.kind == Kind::Heavy { 20..=60 } else { 20..=200 };
        let count = self.rng.random_range(many);
        let (events, entries) = (0..count).map(|_| self.event()).unzip();
        let batch = v1::IngestRequest {
            batch_id: self.uuid(),
            producer: self.is_numbered().then(|| self.producer.clone()),
            events,
            ..v1::IngestRequest::default()
        };
        (batch, entries)
    }

    fn is_numbered(&self) -> bool {
        matches!(self.kind, Kind::Numbered | Kind::Heavy)
    }

    /// A start that was not clean begins a new epoch, and numbers begin anew.
    fn rotate_now_and_then(&mut self) {
        if self.rng.random_bool(0.02) {
            self.producer.epoch = self.rng.random();
            self.numbers.clear();
        }
    }

    fn event(&mut self) -> (v1::Event, Entry) {
        let person = self.rng.random_range(0..PERSONS);
        let mut entry = Entry {
            key: (self.index << 32) | self.count,
            id: if self.kind == Kind::Derived { String::new() } else { self.uuid() },
            name: self.name(),
            anonymous: format!("a{}-{person}", self.index),
            user: format!("u{}-{}", self.index, person / 2),
            time_s: self.base_s + self.rng.random_range(0..SPAN_S),
            plan: PLANS[self.rng.random_range(0..PLANS.len())],
            ..Entry::default()
        };
        self.count += 1;
        // Half of them happened before the person was known.
        if entry.name != IDENTIFY && self.rng.random_bool(0.5) {
            entry.user.clear();
        }
        if !self.is_numbered() && self.rng.random_bool(0.01) {
            (entry.anonymous, entry.user) = (String::new(), String::new()); // Will be refused.
        }
        entry.stream = self.is_numbered().then(|| self.place(&entry));
        (self.message(&entry), entry)
    }

    fn name(&mut self) -> &'static str {
        if self.rng.random_bool(0.03) { IDENTIFY } else { NAMES[self.rng.random_range(0..NAMES.len())] }
    }

    fn place(&mut self, entry: &Entry) -> Stream {
        let lane = u32::from(lane(PROJECT, entry.actor().as_bytes()));
        let number = self.numbers.entry(lane).or_default();
        *number += 1;
        Stream { epoch: self.producer.epoch, lane, number: *number }
    }

    fn message(&mut self, entry: &Entry) -> v1::Event {
        let mut properties = HashMap::from([
            (KEY.to_owned(), int(entry.key)),
            (PLAN.to_owned(), string(entry.plan.to_owned())),
        ]);
        if self.kind == Kind::Heavy {
            properties.insert("filler".to_owned(), string("wide open plains ".repeat(HEAVY_BYTES / 17)));
        }
        let class =
            if entry.stream.is_some() { v1::DeliveryClass::Normal } else { v1::DeliveryClass::Unspecified };
        v1::Event {
            id: entry.id.clone(),
            name: entry.name.to_owned(),
            time: Some(prost_types::Timestamp { seconds: entry.time_s, nanos: 0 }),
            anonymous_id: entry.anonymous.clone(),
            user_id: entry.user.clone(),
            delivery_class: class.into(),
            lane: entry.stream.map(|stream| stream.lane),
            number: entry.stream.map_or(0, |stream| stream.number),
            properties,
            ..v1::Event::default()
        }
    }

    /// Mostly of now (UUIDv7); some tell no time (UUIDv4), and those lie elsewhere in the index of ids.
    fn uuid(&mut self) -> String {
        if self.rng.random_bool(0.2) {
            let mut id = self.rng.random::<u128>().to_be_bytes();
            (id[6], id[8]) = ((id[6] & 0x0f) | 0x40, (id[8] & 0x3f) | 0x80);
            return text(&id);
        }
        text(&uuid7(wall_ms(), self.rng.random::<u64>() >> 30, self.rng.random::<u64>() >> 24))
    }
}

fn text(id: &[u8; 16]) -> String {
    String::from_utf8_lossy(&uuid_text(id)).into_owned()
}

fn int(value: u64) -> v1::Value {
    v1::Value { kind: Some(v1::value::Kind::IntValue(value.cast_signed())) }
}

fn string(value: String) -> v1::Value {
    v1::Value { kind: Some(v1::value::Kind::StringValue(value)) }
}
