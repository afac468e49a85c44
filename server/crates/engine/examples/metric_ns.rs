//! Prints what an event costs a metric in nanoseconds, and what a bucket costs in bytes, for each kind.
//!
//! `cargo run --release -p footpath-engine --example metric_ns`

use std::hint::black_box;

use footpath_engine::ActorKey;
use footpath_engine::metric::{
    ActiveUsers, Horizons, Item, ItemValue, MetricKind, Ordinals, Partial, Series,
};
use footpath_model::props::Value;
use peak_alloc::PeakAlloc;

const EVENTS: usize = 4_000_000;
const PERSONS: u64 = 200_000;
const MINUTE_US: i64 = 60_000_000;

#[global_allocator]
static HELD: PeakAlloc = PeakAlloc;

fn held() -> usize {
    HELD.current_usage()
}

#[allow(clippy::disallowed_methods)] // It measures the machine.
fn ns_each(events: usize, run: impl FnOnce()) -> f64 {
    let start = std::time::Instant::now();
    run();
    start.elapsed().as_nanos() as f64 / events as f64
}

/// A small generator of numbers, so that every run is the same.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

/// What a property holds.
#[derive(Clone, Copy, PartialEq)]
enum Property {
    None,
    Int,
    Decimal,
    Money,
    Double,
}

/// Events of a day and a half, a few percent of them late.
struct Events {
    times: Vec<i64>,
    persons: Vec<ActorKey>,
    decimals: Vec<String>,
    doubles: Vec<f64>,
}

impl Events {
    fn new() -> Self {
        let mut numbers = Numbers(7);
        let step_us = 36 * 60 * MINUTE_US / EVENTS as i64;
        let late = |number: u64| if number % 100 < 3 { (number >> 32) as i64 % (20 * MINUTE_US) } else { 0 };
        let times = (0..EVENTS as i64).map(|i| i * step_us + 60 * MINUTE_US - late(numbers.next())).collect();
        let person = |number: u64| ActorKey((number % PERSONS).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let persons = (0..EVENTS).map(|_| person(numbers.next())).collect();
        let decimals =
            (0..1024).map(|_| format!("{}.{:02}", numbers.next() % 500, numbers.next() % 100)).collect();
        let latency = |number: u64| (number % 1_000_000) as f64 / 1_000_000.0;
        let doubles = (0..4096).map(|_| 20.0 / (0.01 + latency(numbers.next()))).collect();
        Self { times, persons, decimals, doubles }
    }

    fn item(&self, i: usize, property: Property) -> Item<'_> {
        let value = match property {
            Property::None => None,
            Property::Int => ItemValue::of(&Value::Int((i % 1000) as i64)),
            Property::Decimal => ItemValue::of(&Value::Decimal(&self.decimals[i % 1024])),
            Property::Money => {
                ItemValue::of(&Value::Money { currency: "EUR", units: (i % 90) as i64, nanos: 990_000_000 })
            }
            Property::Double => ItemValue::of(&Value::Double(self.doubles[i % 4096])),
        };
        Item { time_us: self.times[i], person: self.persons[i], value }
    }
}

fn measure(name: &str, kind: &MetricKind, property: Property, events: &Events) {
    let mut ordinals = Ordinals::default();
    events.persons.iter().for_each(|person| {
        ordinals.ordinal(*person);
    });
    let mut partial = Partial::new(kind);
    let alone = ns_each(EVENTS, || {
        (0..EVENTS).for_each(|i| partial.add(&events.item(i, property), &mut ordinals));
    });
    black_box(&partial);
    let before = held();
    let mut series = Series::new(kind.clone(), Horizons::default());
    let in_series = ns_each(EVENTS, || {
        (0..EVENTS).for_each(|i| series.add(&events.item(i, property), &mut ordinals));
    });
    let bytes = (held() - before) / series.len();
    let mut image = Vec::new();
    series.encode(&mut image);
    let encoded = image.len() / series.len();
    let span = (0, i64::MAX);
    let sum = ns_each(1, || {
        black_box(kind.value(&series.sum(span.0, span.1, &ordinals)));
    });
    println!(
        "{name:<24} {alone:6.1} {in_series:6.1} ns/event   {bytes:6} bytes/bucket, {encoded:6} encoded   {:8.1} us to merge {} buckets",
        sum / 1000.0,
        series.len()
    );
}

fn active(events: &Events) {
    let before = held();
    let mut users = ActiveUsers::new(0, 0);
    let ns = ns_each(EVENTS, || {
        for (i, (time_us, person)) in events.times.iter().zip(&events.persons).enumerate() {
            users.apply(*person, *time_us);
            if i % 64 == 0 {
                users.advance(*time_us, time_us / (24 * 60 * MINUTE_US) * 24 * 60 * MINUTE_US);
            }
        }
    });
    println!(
        "{:<24} {ns:13.1} ns/event   {:6} bytes/person, {:?}",
        "active users",
        (held() - before) / users.len().max(1),
        users.active()
    );
}

fn main() {
    let events = Events::new();
    println!("{} bytes a partial inline; alone, then in a series of minutes", size_of::<Partial>());
    let percentiles = MetricKind::Percentiles(vec![0.5, 0.9, 0.99]);
    measure("count", &MetricKind::Count, Property::None, &events);
    measure("uniques", &MetricKind::Uniques, Property::None, &events);
    measure("sum of integers", &MetricKind::Sum, Property::Int, &events);
    measure("sum of decimals", &MetricKind::Sum, Property::Decimal, &events);
    measure("sum of money", &MetricKind::Sum, Property::Money, &events);
    measure("sum of doubles", &MetricKind::Sum, Property::Double, &events);
    measure("average of doubles", &MetricKind::Average, Property::Double, &events);
    measure("max of integers", &MetricKind::Max, Property::Int, &events);
    measure("max of doubles", &MetricKind::Max, Property::Double, &events);
    measure("percentiles", &percentiles, Property::Double, &events);
    let mut ordinals = Ordinals::default();
    let before = held();
    let ns = ns_each(EVENTS, || {
        events.persons.iter().for_each(|person| {
            black_box(ordinals.ordinal(*person));
        });
    });
    let bytes = (held() - before) / ordinals.len();
    println!("{:<24} {ns:13.1} ns/event   {bytes:6} bytes/person", "ordinals");
    active(&events);
}
