//! Nanoseconds per event of the duplicate judges: `cargo run --release -p footpath-log --example dedupe_ns`.
//! Groups of 2,000 events, each kind alone; the median and the worst of the groups. Then how long a snapshot holds
//! up the sequencer (`encode`), and what the background does with it (`write`).

#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // A measurement asks the machine's clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use footpath_log::dedupe::{Dedupe, DedupeConfig, EventKey, Verdict};
use footpath_log::{RealDisk, WriteMode, background_thread};
use footpath_model::id::EventId;

const GROUP: u64 = 2_000;
const START: i64 = 1_800_000_000_000_000;

/// A cheap, well mixed sequence: the ids need to be different, not secret.
fn mix(n: u64) -> u64 {
    let a = (n ^ (n >> 31)).wrapping_add(0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (a ^ (a >> 29)).wrapping_mul(0x94D0_49BB_1331_11EB) ^ (a >> 32)
}

fn id(n: u64, time_us: Option<i64>) -> EventId {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&mix(n).to_le_bytes());
    random[8..].copy_from_slice(&(n as u16).to_le_bytes());
    let mut id = EventId::v7(time_us.unwrap_or(0), random);
    if time_us.is_none() {
        id.0[..6].copy_from_slice(&mix(!n).to_le_bytes()[..6]);
        id.0[6] = (id.0[6] & 0x0f) | 0x40;
    }
    id
}

fn measure(name: &str, groups: u64, expected: Verdict, mut key: impl FnMut(&mut Dedupe, u64) -> EventKey) {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(RealDisk::open(dir.path(), WriteMode::Buffered).unwrap());
    let background = background_thread("runs").unwrap();
    let mut dedupe = Dedupe::create(DedupeConfig::new(disk, background)).unwrap();
    run(name, &mut dedupe, groups, Verdict::Fresh, &mut key);
    if expected == Verdict::Duplicate {
        run(&format!("{name}, again"), &mut dedupe, groups, expected, &mut key);
    }
    let start = Instant::now();
    let snapshot = dedupe.snapshot().unwrap();
    let (encode, bytes, start) = (start.elapsed(), snapshot.bytes(), Instant::now());
    snapshot.write().unwrap();
    println!(
        "    snapshot of {} KiB: encode {} us, write {} us",
        bytes / 1024,
        encode.as_micros(),
        start.elapsed().as_micros()
    );
    let ids = dedupe.ids();
    println!(
        "    {} runs, {} ids in memory, filters {} KiB, {} producers",
        ids.runs(),
        ids.in_memory(),
        ids.filter_bytes() / 1024,
        dedupe.streams().producers()
    );
}

/// Time this thread was on a processor: what a commit costs, also on a machine that is busy with other things. The
/// kernel keeps it to a tick (up to 4 ms).
fn on_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split_whitespace().next().unwrap().parse().unwrap())
}

fn run(
    name: &str,
    dedupe: &mut Dedupe,
    groups: u64,
    expected: Verdict,
    key: &mut impl FnMut(&mut Dedupe, u64) -> EventKey,
) {
    let mut times = Vec::new();
    let (mut worst_commit, mut worst_on_cpu) = (0, 0);
    for group in 0..groups {
        let keys: Vec<_> = (group * GROUP..(group + 1) * GROUP).map(|n| key(dedupe, n)).collect();
        let start = Instant::now();
        for key in keys {
            assert_eq!(dedupe.check_and_stage(1, key, START), expected);
        }
        times.push(start.elapsed().as_nanos() as u64 / GROUP);
        let start = (Instant::now(), on_cpu());
        dedupe.commit(group).unwrap();
        worst_commit = worst_commit.max(start.0.elapsed().as_micros());
        worst_on_cpu = worst_on_cpu.max((on_cpu() - start.1).as_micros());
    }
    times.sort_unstable();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{name}: median {median} ns, worst group {worst} ns");
    println!("    worst commit {worst_commit} us, of which {worst_on_cpu} us on a processor");
}

fn main() {
    use Verdict::{Duplicate, Fresh};
    let numbered = |producer, lane, number| EventKey::Numbered { producer, class: 1, lane, number };
    measure("numbered, one backend, 256 lanes", 1_500, Duplicate, |dedupe, n| {
        let producer = dedupe.producer(1, [1; 16], 1);
        numbered(producer, n as u8, n / 256 + 1)
    });
    measure("numbered, 200,000 phones in batches of 20", 1_500, Duplicate, |dedupe, n| {
        let phone = mix(n / 20 % 200_000);
        let mut install = [0; 16];
        install[..8].copy_from_slice(&phone.to_le_bytes());
        let producer = dedupe.producer(1, install, 1);
        numbered(producer, phone as u8, n / 4_000_000 * 20 + n % 20 + 1)
    });
    measure("numbered, overtaking: pairs swapped", 1_500, Fresh, |dedupe, n| {
        let producer = dedupe.producer(1, [1; 16], 1);
        numbered(producer, 3, (n ^ 1) + 1)
    });
    measure("UUIDv7 of this hour", 1_500, Duplicate, |_, n| EventKey::Id(id(n, Some(START))));
    measure("UUIDv4", 1_500, Duplicate, |_, n| EventKey::Id(id(n, None)));
}
