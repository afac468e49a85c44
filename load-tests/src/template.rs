//! Batches encoded once, with room for what has to be fresh in every sending.

use std::collections::HashMap;

use bytes::BytesMut;
use footpath_proto::v1::{Context, Event, IngestRequest, Money, Producer, Value, value::Kind};
use prost::Message as _;

use crate::patch::{
    ACTOR_BYTES, TAIL_BYTES, TIME_BYTES, UUID_TEXT_BYTES, next_random, put_tail, put_time, put_varint,
};

/// The steps of the funnel that a run can be watched by, in order.
pub const FUNNEL: [&str; 3] = ["product_viewed", "checkout_started", "payment_succeeded"];

/// Event names and their weights.
const NAMES: [(&str, u64); 20] = [
    (FUNNEL[0], 24),
    (FUNNEL[1], 8),
    (FUNNEL[2], 5),
    ("page_viewed", 20),
    ("search_performed", 8),
    ("cart_item_added", 6),
    ("cart_item_removed", 2),
    ("cart_viewed", 4),
    ("product_shared", 1),
    ("filter_applied", 4),
    ("sort_changed", 2),
    ("review_opened", 3),
    ("wishlist_added", 2),
    ("coupon_entered", 1),
    ("address_entered", 2),
    ("payment_failed", 1),
    ("app_opened", 4),
    ("app_backgrounded", 4),
    ("notification_opened", 2),
    ("support_contacted", 1),
];

/// Where an event's fresh parts lie. What is not named lies at a fixed distance from `time`.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    id: u32,
    time: u32,
}

/// An event's fresh values.
#[derive(Debug, Clone, Copy)]
pub struct Fresh {
    /// The event's id.
    pub id: [u8; 16],
    /// Milliseconds since 1970.
    pub time_ms: u64,
    /// The anonymous id.
    pub actor: [u8; ACTOR_BYTES],
    /// What the session id is made of.
    pub session: u64,
    /// The actor's lane.
    pub lane: u8,
    /// The number in its stream.
    pub number: u64,
}

/// An encoded batch and where to write into it.
#[derive(Debug)]
pub struct Template {
    /// The encoded `IngestRequest`.
    pub bytes: BytesMut,
    batch_id: usize,
    sent_at: usize,
    slots: Vec<Slot>,
}

impl Template {
    /// Encodes a batch of `events` events of about `event_bytes` bytes, varied by `random`. The values that are
    /// to be fresh are zeroes until they are written.
    pub fn new(producer: &Producer, events: usize, event_bytes: usize, random: &mut u64) -> Self {
        let mut out = Vec::with_capacity(events * (event_bytes + 8) + 512);
        out.extend([0x0a, UUID_TEXT_BYTES as u8]);
        let batch_id = out.len();
        out.resize(batch_id + UUID_TEXT_BYTES, b'0');
        out.extend([0x12, TIME_BYTES as u8]);
        let sent_at = out.len();
        out.resize(sent_at + TIME_BYTES, 0);
        let shared = IngestRequest {
            clock_era: "load".to_owned(),
            context: Some(context()),
            producer: Some(producer.clone()),
            ..IngestRequest::default()
        };
        out.extend(shared.encode_to_vec());
        let slots = (0..events).map(|_| put_event(&mut out, event_bytes, random)).collect();
        Self { bytes: BytesMut::from(&out[..]), batch_id, sent_at, slots }
    }

    /// How many events the batch holds.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Writes the batch's own id and sending time.
    pub fn patch_batch(&mut self, batch_id: &[u8; UUID_TEXT_BYTES], sent_ms: u64) {
        self.bytes[self.batch_id..self.batch_id + UUID_TEXT_BYTES].copy_from_slice(batch_id);
        put_time(&mut self.bytes[self.sent_at..self.sent_at + TIME_BYTES], sent_ms);
    }

    /// Writes one event's fresh values; `index` is below [`Self::len`].
    pub fn patch_event(&mut self, index: usize, fresh: &Fresh) {
        let slot = self.slots[index];
        let id = slot.id as usize;
        self.bytes[id..id + 16].copy_from_slice(&fresh.id);
        let time = slot.time as usize;
        let rest = &mut self.bytes[time..time + TIME_BYTES + 2 + ACTOR_BYTES + TAIL_BYTES];
        put_time(&mut rest[..TIME_BYTES], fresh.time_ms);
        let actor = TIME_BYTES + 2;
        rest[actor..actor + ACTOR_BYTES].copy_from_slice(&fresh.actor);
        put_tail(&mut rest[actor + ACTOR_BYTES..], fresh.session, fresh.lane, fresh.number);
    }
}

/// Appends one event with its framing; fields in ascending order.
fn put_event(out: &mut Vec<u8>, event_bytes: usize, random: &mut u64) -> Slot {
    let name = draw_name(random);
    let mut body = vec![0x12, 16];
    let id = body.len();
    body.resize(id + 16, 0);
    body.extend([0x1a, name.len() as u8]);
    body.extend(name.as_bytes());
    body.extend([0x22, TIME_BYTES as u8]);
    let time = body.len();
    body.resize(time + TIME_BYTES, 0);
    body.extend([0x2a, ACTOR_BYTES as u8]);
    body.resize(body.len() + ACTOR_BYTES + TAIL_BYTES, 0);
    let room = event_bytes.saturating_sub(body.len());
    body.extend(properties(room, random).encode_to_vec());

    let mut length = [0; 10];
    let width = put_varint(&mut length, body.len() as u64);
    out.push(0x3a);
    out.extend(&length[..width]);
    let start = out.len();
    out.extend(&body);
    Slot { id: (start + id) as u32, time: (start + time) as u32 }
}

/// Draws an event name by weight.
fn draw_name(random: &mut u64) -> &'static str {
    let total: u64 = NAMES.iter().map(|(_, weight)| weight).sum();
    let mut at = next_random(random) % total;
    for (name, weight) in NAMES {
        if at < weight {
            return name;
        }
        at -= weight;
    }
    NAMES[0].0
}

/// An event that holds only properties, about `room` bytes of them.
fn properties(room: usize, random: &mut u64) -> Event {
    let draw = next_random(random);
    let value = |kind| Value { kind: Some(kind) };
    let money = Money { currency: "EUR".to_owned(), units: (draw % 200) as i64 + 1, nanos: 990_000_000 };
    let mut properties = HashMap::from([
        ("price".to_owned(), value(Kind::MoneyValue(money))),
        ("quantity".to_owned(), value(Kind::IntValue((draw >> 8) as i64 % 9 + 1))),
        ("score".to_owned(), value(Kind::DoubleValue((draw >> 16 & 1023) as f64 / 8.0))),
        ("member".to_owned(), value(Kind::BoolValue(draw & 1 == 1))),
        (
            "category".to_owned(),
            value(Kind::StringValue(["shoes", "books", "garden"][(draw % 3) as usize].to_owned())),
        ),
    ]);
    let used = Event { properties: properties.clone(), ..Event::default() }.encoded_len();
    // 16 bytes frame this property: two tags and lengths, the key, the value's own tags and lengths.
    let text = "/shop/lists/summer-sale/item-".chars().cycle().take(room.saturating_sub(used + 14)).collect();
    properties.insert("path".to_owned(), value(Kind::StringValue(text)));
    Event { properties, ..Event::default() }
}

/// What all batches share.
fn context() -> Context {
    Context {
        app: "shop".to_owned(),
        app_version: "4.2.0".to_owned(),
        os: "android".to_owned(),
        os_version: "16".to_owned(),
        device_model: "Pixel 9".to_owned(),
        locale: "de-CH".to_owned(),
        library: "footpath-load".to_owned(),
        library_version: env!("CARGO_PKG_VERSION").to_owned(),
        time_zone: "Europe/Zurich".to_owned(),
        ..Context::default()
    }
}
