//! Batches by seed: valid ones, and ones broken in ways that follow the structure of the message, so that framing stays
//! whole often enough for the deeper checks to be reached.

use footpath_model::id::{EventId, actor_key, lane};
use footpath_model::wire::{Field, Fields, Raw, put_bytes, put_fixed64, put_uint, put_varint};
use footpath_proto::v1 as pb;
use prost::Message as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// The bytes of a seed's batch: valid, or with up to six mutations.
pub fn batch(seed: u64) -> Vec<u8> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut bytes = valid(random.random()).encode_to_vec();
    for _ in 0..random.random_range(0..6) {
        bytes = match random.random_range(0..8) {
            0 => bytewise(bytes, &mut random),
            _ => structured(&bytes, 6, &mut random),
        };
    }
    bytes
}

/// A batch that is taken whole.
pub fn valid(seed: u64) -> pb::IngestRequest {
    let mut random = StdRng::seed_from_u64(seed);
    let numbered = random.random_bool(0.5);
    let producer = pb::Producer { install_id: EventId([3; 16]).to_string(), epoch: random.random() };
    pb::IngestRequest {
        batch_id: "0190163d-8694-739b-aea5-966c26f8ad91".into(),
        sent_at: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 5 }),
        clock_era: "era".into(),
        project: if random.random_bool(0.1) { "shop".into() } else { String::new() },
        context: Some(pb::Context {
            os: "ios".into(),
            campaign: Some(pb::Campaign::default()),
            ..Default::default()
        }),
        losses: numbered.then(|| loss(&mut random)).into_iter().collect(),
        producer: numbered.then_some(producer),
        events: (0..random.random_range(1..6)).map(|_| event(numbered, &mut random)).collect(),
        ..Default::default()
    }
}

fn loss(random: &mut StdRng) -> pb::LossRange {
    let from = random.random_range(1..1_000_000);
    pb::LossRange {
        delivery_class: 1,
        lane: random.random_range(0..256),
        from,
        to: from + 5,
        reason: "evicted".into(),
    }
}

fn event(numbered: bool, random: &mut StdRng) -> pb::Event {
    let actor = text(random).replace('\0', "") + "a";
    let mut event = pb::Event {
        name: "checkout".into(),
        time: Some(prost_types::Timestamp { seconds: random.random_range(0..4_000_000_000), nanos: 1_000 }),
        properties: (0..random.random_range(0..4))
            .map(|i| (format!("key{i}"), any_value(3, random)))
            .collect(),
        raw_id: EventId([random.random_range(1..255); 16]).0.to_vec(),
        ..Default::default()
    };
    if numbered {
        event.lane = Some(u32::from(lane(actor_key("shop", actor.as_bytes()))));
        (event.number, event.delivery_class) = (random.random_range(1..u64::MAX), 2);
    }
    if random.random_bool(0.3) {
        let set = [("plan".to_owned(), any_value(2, random))].into();
        let changes = pb::PropertyChanges {
            set,
            unset: vec!["old".into()],
            add: [("n".to_owned(), 1.5)].into(),
            ..Default::default()
        };
        let group =
            pb::GroupChange { r#type: "company".into(), id: "c".into(), changes: Some(changes.clone()) };
        (event.person, event.groups) = (Some(changes), vec![group]);
    }
    if random.random_bool(0.2) {
        let kind = Some(prost_types::value::Kind::StringValue(text(random)));
        let fields = [("plain".to_owned(), prost_types::Value { kind })].into();
        event.plain_properties = Some(prost_types::Struct { fields });
    }
    event.user_id = actor;
    event
}

fn any_value(depth: u32, random: &mut StdRng) -> pb::Value {
    use pb::value::Kind;
    let kind = match random.random_range(0..if depth == 0 { 7 } else { 9 }) {
        0 => Kind::StringValue(text(random)),
        1 => Kind::IntValue(random.random()),
        2 => Kind::DoubleValue(random.random_range(-1e9..1e9)),
        3 => Kind::DecimalValue("-12.340".into()),
        4 => Kind::MoneyValue(pb::Money { currency: "EUR".into(), units: 5, nanos: 1 }),
        5 => Kind::BoolValue(random.random()),
        6 => Kind::TimeValue(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        7 => {
            Kind::ListValue(pb::ListValue { values: (0..3).map(|_| any_value(depth - 1, random)).collect() })
        }
        _ => Kind::MapValue(pb::MapValue { values: [("k".to_owned(), any_value(depth - 1, random))].into() }),
    };
    pb::Value { kind: Some(kind) }
}

fn text(random: &mut StdRng) -> String {
    let all = [
        "",
        "a",
        "Grüße",
        "4111 1111 1111 1111",
        "DE89370400440532013000",
        "\u{1f600}",
        "0123456789abcdef0123456789",
    ];
    all[random.random_range(0..all.len())].to_owned()
}

fn bytewise(mut bytes: Vec<u8>, random: &mut StdRng) -> Vec<u8> {
    if bytes.is_empty() {
        return bytes;
    }
    let at = random.random_range(0..bytes.len());
    match random.random_range(0..5) {
        0 => bytes[at] ^= 1 << random.random_range(0..8),
        1 => bytes[at] = random.random(),
        2 => bytes.insert(at, random.random()),
        3 => bytes.truncate(at),
        _ => {
            let end = random.random_range(at..bytes.len());
            let part = bytes[at..end].to_vec();
            bytes.splice(at..at, part);
        }
    }
    bytes
}

/// Changes one field of a message, or of a message inside it; the lengths around it stay right.
fn structured(message: &[u8], depth: u32, random: &mut StdRng) -> Vec<u8> {
    let fields: Vec<Field<'_>> = Fields::new(message).map_while(Result::ok).collect();
    if fields.is_empty() {
        return bytewise(message.to_vec(), random);
    }
    let chosen = random.random_range(0..fields.len());
    let mut out = Vec::with_capacity(message.len() + 16);
    for (at, field) in fields.iter().enumerate() {
        if at == chosen { change(field, depth, &mut out, random) } else { out.extend_from_slice(field.span) }
    }
    out
}

fn change(field: &Field<'_>, depth: u32, out: &mut Vec<u8>, random: &mut StdRng) {
    if let Raw::Bytes(inner) = field.value
        && depth > 0
        && random.random_bool(0.7)
    {
        return put_bytes(out, field.number, &structured(inner, depth - 1, random));
    }
    let numbers = [0, 1, 127, 128, 1 << 32, u64::MAX, 1 << 63, f64::NAN.to_bits(), f64::INFINITY.to_bits()];
    let number = numbers[random.random_range(0..numbers.len())];
    match random.random_range(0..8) {
        0 => {} // It is left out.
        1 => out.extend([field.span, field.span].concat()),
        2 => put_uint(out, field.number, number),
        3 => put_fixed64(out, field.number, number),
        4 => put_bytes(out, field.number, &vec![b'9'; random.random_range(0..400)]),
        5 => put_bytes(out, field.number, &[0xc3, 0x28, 0xff]),
        6 => {
            // The same tag in more bytes than it needs.
            put_varint(out, u64::from(field.number) << 3);
            if let Some(last) = out.last_mut() {
                *last |= 0x80;
            }
            out.extend([0, 1]);
        }
        _ => {
            out.extend_from_slice(field.span);
            put_uint(out, random.random_range(1..40), number);
        }
    }
}
