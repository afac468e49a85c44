//! Prints the resident memory of one funnel of three steps in the live path, over the last 30 days: a million persons who act
//! again and again, a tenth of their events late.
//!
//! `cargo run --release -p footpath-live --example memory`

use footpath_live::bare::{Bare, ReadEvent};
use footpath_model::control::CountedFunnel;
use footpath_model::definition::{FunnelDefinition, Step};
use footpath_model::range::{Range, RollingUnit};

use self::traffic::{Act, Crowd, START_US, Traffic};

#[allow(dead_code)] // Shared with the benches, which measure more.
#[path = "../../engine/benches/kernel/traffic.rs"]
mod traffic;

// The allocator of the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PERSONS: usize = 1_000_000;
/// Events that are counted together, as those of a frame are.
const BATCH: usize = 500;
/// After how many events a person, on average, the memory is looked at.
const EACH: usize = 6;

fn funnel() -> CountedFunnel {
    let step = |name: &str| Step { events: vec![name.to_owned()], ..Step::default() };
    let definition = FunnelDefinition {
        id: "f".into(),
        steps: ["a_view", "b_cart", "c_pay"].map(step).to_vec(),
        window_us: 3_600_000_000,
        ..FunnelDefinition::default()
    };
    let range = Range::Last { n: 30, unit: RollingUnit::Days };
    CountedFunnel::new(definition, range, String::new())
}

/// As one of the steps, whichever.
fn read(act: &Act) -> ReadEvent {
    let order = (act.time_us, (act.time_us as u128) << 64 | u128::from(act.random));
    // Spread as hashes are.
    let person = u64::from(act.person + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ReadEvent { person, name: (act.random >> 60) as usize % 3, order }
}

/// Resident memory in MB.
fn resident() -> Result<f64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024.0 / 1e6)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut bare = Bare::new("shop", &[funnel()], START_US)?;
    let mut traffic = Traffic::new(Crowd::of(PERSONS).late());
    let before = resident()?;
    for round in 1..=6 {
        traffic.warm_up(EACH, |acts| {
            acts.chunks(BATCH).for_each(|batch| bare.events(0, &batch.iter().map(read).collect::<Vec<_>>()));
        });
        let (reached, mb) = (bare.reached("f"), resident()? - before);
        println!("{:>3} events a person: {mb:5.0} MB for {reached:?}", round * EACH);
    }
    println!("{} persons wait for stored events: one came later than what is kept of them", bare.waiting());
    Ok(())
}
