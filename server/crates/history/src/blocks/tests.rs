//! Blocks hold what a scan of the whole log finds, from the cache or not.

use footpath_log::disk::Disk;
use footpath_log::{Log, MemoryLog, SimDisk};

use super::*;
use crate::chunks::Chunks;
use crate::heads::Place;
use crate::stop::Stop;
use crate::stored::Stored;
use crate::testing::{self, DAY_US, NOW_US, Rng};

const NAMES: [&str; 4] = ["open", "buy", "$identify", "never"];

/// The name (empty for all), actor, time and id of an event.
type Found = Vec<(String, u64, i64, u128)>;

fn found(pinned: &Pinned, times: (i64, i64), names: Option<&[Arc<str>]>) -> Found {
    let mut all = Vec::new();
    for block in pinned.blocks(1, times, names).unwrap() {
        let rows = block.heads.file_rows();
        let id = |row: usize| pinned.ids(&block, row).unwrap()[rows[row] as usize];
        let name = names.map_or("", |names| &names[block.name]);
        let mut places = Vec::new();
        for run in block.heads.runs() {
            places.push(run.place);
            for (i, time_us) in
                run.times_us.iter().enumerate().filter(|(_, t)| (times.0..times.1).contains(*t))
            {
                all.push((name.to_owned(), run.place.hash(), *time_us, id(run.first as usize + i)));
            }
        }
        assert!(places.is_sorted_by(|a, b| a < b), "a run for each actor, in order");
        parts_are_cuts(&block.heads, &places);
    }
    all.sort();
    all
}

/// All parts together hold every run once, in order.
fn parts_are_cuts(heads: &Heads, places: &[Place]) {
    for bits in [0, 1, 3] {
        let parts = (0..1 << bits).flat_map(|part| heads.runs_in(part, bits));
        assert!(parts.map(|run| run.place).eq(places.iter().copied()));
    }
}

fn naive(log: &Arc<MemoryLog>, position: u64, times: (i64, i64), names: Option<&[Arc<str>]>) -> Found {
    let mut all = Vec::new();
    let scan = Scan { from_us: times.0, to_us: times.1, ..Scan::all(1) };
    let pinned = testing::log_only(log).pin().upto(position);
    pinned
        .scan(&scan, &mut |row| {
            let wanted = names.is_none_or(|names| names.iter().any(|name| **name == *row.name));
            let name = if names.is_some() { row.name } else { "" };
            let event = (name.to_owned(), row.head.actor_key, row.head.time_us, row.head.id.as_u128());
            all.extend(wanted.then_some(event));
            ControlFlow::Continue(())
        })
        .unwrap();
    all.sort();
    all
}

#[test]
fn blocks_equal_a_naive_reader() {
    let mut hits = 0;
    for seed in 0..60 {
        let mut rng = Rng(seed);
        let log = Arc::new(MemoryLog::default());
        // Without room, with room for some, with room for all.
        let room = [0, 3_000, 1 << 20][rng.below(3) as usize];
        let chunks = Chunks::open(Arc::new(SimDisk::new(seed)), 1).unwrap().with_cache(room);
        let chunks = Arc::new(chunks);
        let mut builder = testing::builder(&log, &chunks, &[]);
        for _ in 0..rng.below(9) {
            testing::fill(&log, &mut rng, 3);
            testing::flush(&mut builder, &log);
        }
        testing::fill(&log, &mut rng, 6);
        let stored = Stored::new(Arc::clone(&log) as Arc<dyn Log>, Arc::clone(&chunks));
        for _ in 0..8 {
            let some = NAMES.into_iter().filter(|_| rng.below(2) == 0).map(Arc::from).collect::<Vec<_>>();
            let names = (rng.below(4) > 0).then_some(&*some);
            let time = |rng: &mut Rng| NOW_US + rng.below(4) as i64 * DAY_US + rng.below(25) as i64;
            let always = rng.below(2) == 0;
            let times = if always { (i64::MIN, i64::MAX) } else { (time(&mut rng), time(&mut rng)) };
            let end = log.durable_end();
            let position = if rng.below(3) == 0 { rng.below(end + 1) } else { end };
            let wanted = naive(&log, position, times, names);
            assert_eq!(found(&stored.pin().upto(position), times, names), wanted, "seed {seed}");
            assert!(chunks.cached_bytes() <= room);
            hits += wanted.len();
        }
    }
    assert!(hits > 1000, "the questions ask for too little to prove anything: {hits}");
}

#[test]
fn what_was_decoded_is_not_read_again() {
    let (log, disk) = (Arc::new(MemoryLog::default()), SimDisk::new(1));
    let chunks = testing::chunks(disk.clone());
    testing::fill(&log, &mut Rng(1), 20);
    testing::flush(&mut testing::builder(&log, &chunks, &[]), &log);
    let pinned = Stored::new(Arc::clone(&log) as Arc<dyn Log>, Arc::clone(&chunks)).pin();
    let names = ["open", "never"].map(Arc::from);
    let ask = || found(&pinned, (i64::MIN, i64::MAX), Some(&names));
    let first = ask();
    for file in &chunks.manifest().files {
        disk.remove(&file.path).unwrap();
    }
    assert_eq!(ask(), first);
    assert!(pinned.blocks(1, (i64::MIN, i64::MAX), Some(&[Arc::from("buy")])).is_err());
}

#[test]
fn nothing_is_read_for_nobody() {
    let (log, chunks) = (Arc::new(MemoryLog::default()), testing::chunks(SimDisk::new(1)));
    testing::fill(&log, &mut Rng(1), 20);
    testing::flush(&mut testing::builder(&log, &chunks, &[]), &log);
    let stop = Stop::default();
    let pinned = Stored::new(Arc::clone(&log) as Arc<dyn Log>, chunks).pin().with_stop(stop.clone());
    drop(stop.on_drop());
    let scanned = pinned.scan(&Scan::all(1), &mut |_| ControlFlow::Continue(()));
    assert!(matches!(scanned, Err(HistoryError::Stopped)));
    assert!(matches!(pinned.blocks(1, (i64::MIN, i64::MAX), None), Err(HistoryError::Stopped)));
}

#[test]
fn what_was_decoded_is_joined_with_what_is_new() {
    let (log, disk) = (Arc::new(MemoryLog::default()), SimDisk::new(1));
    let chunks = testing::chunks(disk.clone());
    let mut builder = testing::builder(&log, &chunks, &[]);
    let stored = Stored::new(Arc::clone(&log) as Arc<dyn Log>, Arc::clone(&chunks));
    for round in 0..12 {
        testing::fill(&log, &mut Rng(round), 4);
        let wanted = naive(&log, log.durable_end(), (i64::MIN, i64::MAX), None);
        assert_eq!(found(&stored.pin(), (i64::MIN, i64::MAX), None), wanted, "round {round}");
        let before = chunks.manifest().files.clone();
        testing::flush(&mut builder, &log);
        // What was decoded before is not read again.
        let away = |file: &ChunkFile| format!("{}.away", file.path);
        before.iter().for_each(|file| disk.rename(&file.path, &away(file)).unwrap());
        let blocks = stored.pin().blocks(1, (i64::MIN, i64::MAX), None).unwrap();
        assert!(blocks.len() <= 3 * 4, "three days of up to 12 files");
        before.iter().for_each(|file| disk.rename(&away(file), &file.path).unwrap());
    }
    assert!(chunks.manifest().files.len() > 16);
}
