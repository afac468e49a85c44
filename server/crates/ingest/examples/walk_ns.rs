//! Prints what the wire walk costs per event, on batches of 500 events of about 260 bytes.
//!
//! `cargo run --release -p footpath-ingest --example walk_ns`

use std::hint::black_box;

use footpath_ingest::limits::Limits;
use footpath_ingest::privacy::MaskPolicy;
use footpath_ingest::walk::{WalkContext, walk_batch};
use footpath_model::context::Environment;
use footpath_model::id::{EventId, actor_key, lane};
use footpath_proto::v1 as pb;
use prost::Message;

// The allocator of the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EVENTS: u64 = 500;
const NOW_S: i64 = 1_700_000_000;

fn value(kind: pb::value::Kind) -> pb::Value {
    pb::Value { kind: Some(kind) }
}

fn event(i: u64) -> pb::Event {
    use pb::value::Kind;
    let actor = format!("anon-{:016x}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let text = |text: String| value(Kind::StringValue(text));
    let properties = [
        ("page", text(format!("/products/garden/chairs/{i}"))),
        ("referrer", text("https://shop.example/search?q=chair".into())),
        ("currency", text("EUR".into())),
        ("price", value(Kind::DoubleValue(i as f64 * 1.25))),
        ("quantity", value(Kind::IntValue(i as i64 % 7))),
        ("member", value(Kind::BoolValue(i.is_multiple_of(2)))),
    ];
    pb::Event {
        raw_id: EventId::v7(
            NOW_S * 1_000_000,
            (u128::from(i) << 9).to_le_bytes()[..10].try_into().unwrap_or_default(),
        )
        .0
        .to_vec(),
        name: "product_viewed".into(),
        time: Some(prost_types::Timestamp { seconds: NOW_S, nanos: 123_456_000 }),
        lane: Some(u32::from(lane(actor_key("shop", actor.as_bytes())))),
        anonymous_id: actor,
        session_id: format!("s-{i:012}"),
        delivery_class: 2,
        number: i + 1,
        properties: properties.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
        ..Default::default()
    }
}

fn batch(n: u64) -> Vec<u8> {
    let install_id = "0190163d-8694-739b-aea5-966c26f8ad91".into();
    pb::IngestRequest {
        batch_id: format!("0190163d-8694-739b-aea5-{n:012}"),
        producer: Some(pb::Producer { install_id, epoch: 1 }),
        events: (n * EVENTS..(n + 1) * EVENTS).map(event).collect(),
        ..Default::default()
    }
    .encode_to_vec()
}

#[allow(clippy::disallowed_methods)] // It measures; nothing depends on the time.
fn ns_per_event(batches: &[Vec<u8>], mut each: impl FnMut(&[u8])) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..40 {
        let start = std::time::Instant::now();
        batches.iter().for_each(|batch| each(batch));
        best = best.min(start.elapsed().as_nanos() as f64 / (batches.len() as u64 * EVENTS) as f64);
    }
    best
}

fn main() {
    let batches: Vec<_> = (0..40).map(batch).collect();
    let bytes = batches.iter().map(Vec::len).sum::<usize>() as u64 / (40 * EVENTS);
    let limits = Limits::default();
    for (name, mask) in
        [("masking on", MaskPolicy::default()), ("masking off", MaskPolicy { cards: false, ibans: false })]
    {
        let ctx = WalkContext {
            project_id: "shop",
            environment: Environment::Prod,
            received_us: NOW_S * 1_000_000,
            limits: &limits,
            mask,
            clocks: None,
        };
        let ns = ns_per_event(&batches, |batch| {
            let walked = walk_batch(batch, &ctx, &mut || EventId([1; 16]));
            assert!(walked.as_ref().is_ok_and(|walked| walked.entries.len() as u64 == EVENTS));
            drop(black_box(walked));
        });
        println!("walk, {name}: {ns:.0} ns/event ({bytes} B/event)");
    }
    let ns = ns_per_event(&batches, |batch| drop(black_box(pb::IngestRequest::decode(batch))));
    println!("prost decode, for comparison: {ns:.0} ns/event");
}
