//! Prints what the catalogue costs, in nanoseconds per event, at several rates: events of eight properties, five of them
//! of few values, in batches of 100.
//!
//! `cargo run --release -p footpath-engine --example catalog_ns`

use std::hint::black_box;

use footpath_engine::Catalog;
use footpath_model::id::{EventId, Producer};
use footpath_model::record::{
    EventHead, EventSpans, FrameHead, FrameKind, FrameView, TimeRule, build_frame, put_event,
};
use footpath_model::wire::{put_bytes, put_fixed64, put_uint};

const BATCH: usize = 100;
/// 250 MB of frames: more than the last-level cache holds, as in a log.
const FRAMES: usize = 8_000;

/// A small generator of numbers (SplitMix64), so that every run is the same.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

fn entry(out: &mut Vec<u8>, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
    let (mut entry, mut inner) = (Vec::new(), Vec::new());
    value(&mut inner);
    put_bytes(&mut entry, 1, key.as_bytes());
    put_bytes(&mut entry, 2, &inner);
    put_bytes(out, 11, &entry);
}

fn event(numbers: &mut Numbers, names: u64) -> Vec<u8> {
    let random = numbers.next();
    let mut properties = Vec::new();
    let text = |out: &mut Vec<u8>, text: String| put_bytes(out, 1, text.as_bytes());
    entry(&mut properties, "page", |out| text(out, format!("/catalogue/page/{}", random % 40)));
    entry(&mut properties, "product_id", |out| text(out, format!("sku-{}", random % 50_000)));
    entry(&mut properties, "referrer", |out| text(out, format!("https://shop.example/{}", random % 1_000)));
    entry(&mut properties, "plan", |out| text(out, format!("plan {}", random % 4)));
    entry(&mut properties, "quantity", |out| put_uint(out, 2, random % 9));
    entry(&mut properties, "price", |out| put_fixed64(out, 3, (random as f64 / 1e9).to_bits()));
    entry(&mut properties, "logged_in", |out| put_uint(out, 6, random % 2));
    entry(&mut properties, "trace", |out| text(out, format!("{random:016x}")));
    let mut id = [0; 16];
    id[..8].copy_from_slice(&random.to_be_bytes());
    id[8..].copy_from_slice(&numbers.next().to_be_bytes());
    let head = EventHead {
        lane: 0,
        class: 0,
        time_rule: TimeRule::AsSent,
        actor_key: numbers.next() % 100_000,
        id: EventId(id),
        time_us: 0,
        raw_time_us: 0,
        number: 0,
        index: 0,
    };
    // The square: some names are much more frequent than others.
    let name = format!("event_{}", (random % names) * (numbers.next() % names) / names);
    let name = name.as_bytes();
    let mut out = Vec::new();
    let user_id = b"user-0123456789";
    put_event(
        &mut out,
        &head,
        &EventSpans { name, user_id, properties: &properties, ..EventSpans::default() },
    );
    out
}

/// Frames received at `rate` events a second.
fn frames(names: u64, rate: usize) -> Vec<Vec<u8>> {
    let mut numbers = Numbers(7);
    let mut context = Vec::new();
    put_bytes(&mut context, 1, b"shop");
    put_bytes(&mut context, 3, b"ios");
    let frame = |i: usize| {
        let received_us = (i * BATCH * 1_000_000 / rate) as i64;
        let (kind, historical, project) = (FrameKind::Events, false, 1);
        let head = FrameHead { kind, historical, project, received_us, producer: Producer::default() };
        let events: Vec<_> = (0..BATCH).map(|_| event(&mut numbers, names)).collect();
        build_frame(&head, &context, &[], BATCH as u32, events.iter().map(Vec::as_slice))
    };
    (0..FRAMES).map(frame).collect()
}

#[allow(clippy::disallowed_methods)] // It measures the machine.
fn ns<T>(run: impl FnOnce() -> T) -> f64 {
    let start = std::time::Instant::now();
    black_box(run());
    start.elapsed().as_nanos() as f64 / (FRAMES * BATCH) as f64
}

fn measure(names: u64, rate: usize) {
    let frames = frames(names, rate);
    let views: Vec<_> = frames.iter().filter_map(|frame| FrameView::new(frame).ok()).collect();
    let mut catalog = Catalog::new();
    // What reading the names alone costs: most of it is waiting for memory.
    let walk = ns(|| {
        black_box(views.iter().flat_map(FrameView::events).map(|e| e.name_bytes().len()).sum::<usize>())
    });
    let mut see = || ns(|| views.iter().for_each(|frame| catalog.see(frame)));
    let (first, again) = (see(), see());
    let (known, keys) = (catalog.names().count(), catalog.properties().count());
    println!(
        "{names:>6} names, {rate:>7} events/s: {first:6.1} ns/event, then {again:6.1}; reading the names alone {walk:6.1} \
         ({known} names, {keys} keys)"
    );
}

fn main() {
    for names in [10, 100, 10_000] {
        for rate in [1_000, 50_000, 500_000] {
            measure(names, rate);
        }
    }
}
