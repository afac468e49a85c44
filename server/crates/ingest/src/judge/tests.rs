//! The whole commit path on a simulated machine: log, runs of ids and snapshots lose power together, and syncs fail.
//! A seed replays a run.
//!
//! `FOOTPATH_SEEDS=10000 cargo test --release -p footpath-ingest power_losses` runs as many, `FOOTPATH_FIRST_SEED`
//! begins elsewhere.

mod world;

use world::World;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Nothing acknowledged is lost, nothing is stored twice, every delivery attempt has one outcome.
#[test]
fn power_losses_at_any_point_lose_nothing_and_store_nothing_twice() {
    let (first, seeds) = (number("FOOTPATH_FIRST_SEED", 0), number("FOOTPATH_SEEDS", 500));
    let mut seen = world::Seen::default();
    for seed in first..first + seeds {
        let mut world = World::new(seed);
        (0..4).for_each(|_| world.live_and_lose_power());
        world.live_and_stop();
        world.probe();
        seen.add(&world.seen);
    }
    if seeds >= 500 {
        seen.all_happened();
    }
}
