//! Prints what sessions cost, in nanoseconds per event: the batch fold, and live persons in order and with late events.
//!
//! `cargo run --release -p footpath-engine --example session_ns`

use std::hint::black_box;

use footpath_engine::{PersonSessions, SessionEvent, SessionFolder, SessionRules, SessionTotals};

const EVENTS: usize = 10_000_000;
/// How often a person does something, on average: one pause in seven is then longer than half an hour.
const PACE_US: usize = 15 * 60_000_000;
const MOST_LATE_US: u64 = 2 * 3_600_000_000;

#[allow(clippy::disallowed_methods)] // It measures the machine.
fn ns_per_event(name: &str, run: impl FnOnce() -> i64) {
    let start = std::time::Instant::now();
    let sessions = black_box(run());
    let ns = start.elapsed().as_nanos() as f64 / EVENTS as f64;
    println!("{name:<40} {ns:6.1} ns/event  ({sessions} sessions)");
}

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

/// Events of `persons` who take turns at random: the event's id says whose it is.
fn events(persons: usize, late_percent: u64) -> Vec<SessionEvent> {
    let mut numbers = Numbers(7);
    let event = |i: usize| {
        let back = if numbers.next() % 100 < late_percent { numbers.next() % MOST_LATE_US } else { 0 };
        let time_us = (2 * MOST_LATE_US + (i * PACE_US / persons) as u64 - back) as i64;
        let id = numbers.next();
        SessionEvent { time_us, id: u128::from(id), name: (id % 50) as u32 }
    };
    (0..EVENTS).map(event).collect()
}

fn batch(rules: &SessionRules) {
    let events = events(1, 0);
    ns_per_event("batch, one person", || {
        let mut folder = SessionFolder::new(rules);
        let closed = events.iter().filter_map(|event| folder.push(*event)).count();
        (closed + usize::from(folder.finish().is_some())) as i64
    });
}

fn live(rules: &SessionRules, persons: usize, late_percent: u64) {
    let events = events(persons, late_percent);
    let mut states = vec![PersonSessions::new(); persons];
    let mut totals = SessionTotals::default();
    let mut refolds = 0;
    ns_per_event(&format!("live, {persons} persons, {late_percent} % late"), || {
        for event in &events {
            let person = (event.id as u64 % persons as u64) as usize;
            match states[person].apply(rules, *event) {
                Ok(delta) => totals.apply(&delta),
                Err(_) => refolds += 1,
            }
        }
        totals.started
    });
    println!("    {:.3} % would be refolded from stored events", f64::from(refolds) * 100.0 / EVENTS as f64);
}

fn main() {
    let rules = SessionRules::default();
    println!("{} bytes a person inline", size_of::<PersonSessions>());
    batch(&rules);
    for persons in [10_000, 1_000_000] {
        live(&rules, persons, 0);
        live(&rules, persons, 10);
    }
}
