//! What one `track` costs its caller: bursts of 20,000 events beside an empty loop, percentiles of each burst, medians of
//! 20 bursts. `cargo bench -p footpath-client --bench latency`
//!
//! The queue lies in a folder, so the ring is a file, and the queue's thread moves events into SQLite at the same time. An
//! event has a name and five properties, one of them money; encoding it is part of the call.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // It measures; a bench that cannot be set up should stop.

use std::hint::black_box;
use std::time::{Duration, Instant};

use footpath_client::{Client, Money, Track};

const BURST: usize = 20_000;
const BURSTS: usize = 20;
const SHARES: [(&str, f64); 4] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

fn main() {
    let folder = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let temporary = tempfile::tempdir().unwrap();
    let folder = folder.map_or(temporary.path().to_owned(), Into::into);
    let client =
        Client::builder("", "key").project("demo").queue_dir(&folder).host_carries().build().unwrap();
    while !client.is_open() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut control = Vec::new();
    let mut tracked = Vec::new();
    let mut refused = 0;
    for _ in 0..BURSTS {
        control.push(burst(|n| {
            black_box(n);
        }));
        tracked.push(burst(|n| refused += u64::from(client.track(event(n)).is_err())));
        client.flush(Duration::from_secs(2)); // Nobody carries: this waits until the burst is in the database.
        while client.stats().committed < client.stats().tracked {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    println!(
        "{BURST} events a burst, {BURSTS} bursts, {refused} refused; medians over the bursts, in microseconds"
    );
    println!("{:>8} {:>10} {:>10}", "", "control", "track");
    for (name, share) in SHARES {
        println!("{name:>8} {:>10.3} {:>10.3}", median(&control, share), median(&tracked, share));
    }
}

fn event(n: usize) -> Track {
    Track::new("checkout_started")
        .property("amount", Money { currency: "EUR".into(), units: 12, nanos: 500_000_000 })
        .property("items", n as i64)
        .property("express", n.is_multiple_of(2))
        .property("coupon", "SPRING-26")
        .property("weight_kg", 1.25)
}

/// Nanoseconds of each call, sorted.
fn burst(mut call: impl FnMut(usize)) -> Vec<u64> {
    let mut times = Vec::with_capacity(BURST);
    for n in 0..BURST {
        let start = Instant::now();
        call(n);
        times.push(start.elapsed().as_nanos() as u64);
    }
    times.sort_unstable();
    times
}

fn median(bursts: &[Vec<u64>], share: f64) -> f64 {
    let at = |times: &Vec<u64>| times[((times.len() - 1) as f64 * share).round() as usize];
    let mut values: Vec<u64> = bursts.iter().map(at).collect();
    values.sort_unstable();
    values[values.len() / 2] as f64 / 1_000.0
}
