//! Prints what one event costs, in nanoseconds: the batch fold of both kernels, and live persons in order and with late events.
//!
//! `cargo run --release -p footpath-engine --example fold_ns`

use std::hint::black_box;

use footpath_engine::general::{FunnelEvent, GeneralRules, Options, fold_general};
use footpath_engine::{Change, PersonFunnel, Rules, SlimEvent, fold_person};

const EVENTS: usize = 10_000_000;

#[allow(clippy::disallowed_methods)] // It measures the machine.
fn ns_per_event(name: &str, events: usize, run: impl FnOnce() -> u64) {
    let start = std::time::Instant::now();
    let answer = black_box(run());
    let ns = start.elapsed().as_nanos() as f64 / events as f64;
    println!("{name:<52} {ns:6.1} ns/event  (answer {answer})");
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

/// Events a second apart; the share of late ones in per cent lies up to 10 minutes back.
fn events(late_percent: u64) -> Vec<SlimEvent> {
    let mut numbers = Numbers(7);
    let event = |i: usize| {
        let back = if numbers.next() % 100 < late_percent { numbers.next() % 600_000_000 } else { 0 };
        let time_us = i as i64 * 1_000 + 1_000_000_000 - back as i64;
        SlimEvent { time_us, id: u128::from(numbers.next()), mask: 1 << (numbers.next() % 3) }
    };
    (0..EVENTS).map(event).collect()
}

fn live(rules: &Rules, persons: usize, late_percent: u64) {
    let events = events(late_percent);
    let mut states: Vec<_> = (0..persons).map(|_| PersonFunnel::new(rules)).collect();
    let mut refolds = 0;
    let name = format!("live, {persons} persons, {late_percent} % late");
    ns_per_event(&name, EVENTS, || {
        for event in &events {
            let person = (event.id as u64 % persons as u64) as usize;
            refolds += u64::from(states[person].apply(rules, *event) == Change::NeedsRefold);
        }
        states.iter().map(|state| state.depth(0) as u64).sum()
    });
    println!("    {:.3} % would be refolded from stored events", refolds as f64 * 100.0 / EVENTS as f64);
}

/// The general kernel in the fast one's mode, for comparison.
fn general(sorted: &[SlimEvent]) -> Result<(), Box<dyn std::error::Error>> {
    let rules = GeneralRules::new(Options::new(3, 3_600_000_000))?;
    let event = |e: &SlimEvent| FunnelEvent {
        time_us: e.time_us,
        id: e.id,
        steps: e.mask,
        exclusions: 0,
        part: 0,
        value: 0,
    };
    ns_per_event("batch, 20 events a person, general kernel", EVENTS, || {
        let depth =
            |attempts: Vec<footpath_engine::Attempt>| attempts.first().map_or(0, |a| a.depth(&rules) as u64);
        sorted.chunks(20).map(|person| depth(fold_general(&rules, 0, person.iter().map(event)))).sum()
    });
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rules = Rules::new(3, 3_600_000_000)?;
    println!("{} bytes a person inline", size_of::<PersonFunnel>());
    let sorted = events(0);
    ns_per_event("batch, 20 events a person", EVENTS, || {
        sorted.chunks(20).map(|events| fold_person(&rules, events).depth(0) as u64).sum()
    });
    general(&sorted)?;
    drop(sorted);
    for persons in [10_000, 200_000, 1_000_000] {
        live(&rules, persons, 0);
        live(&rules, persons, 10);
    }
    Ok(())
}
