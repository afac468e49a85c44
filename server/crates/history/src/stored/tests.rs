//! A scan over chunks and log gives what a naive reader of the whole log finds, once.

use std::ops::ControlFlow;

use footpath_log::{MemoryLog, SimDisk};
use footpath_model::clock::ManualClock;
use footpath_model::id::actor_key;

use super::*;
use crate::testing::{self, DAY_US, Event, NOW_US, Rng, Row};
use crate::writer::{ChunkWriter, WriterOptions};

/// Sometimes everything, sometimes a range, an actor, a name.
struct Asked {
    project: u32,
    times: Range<i64>,
    actors: Option<HashSet<u64>>,
    names: Option<HashSet<String>>,
    positions: Range<u64>,
}

impl Asked {
    fn random(rng: &mut Rng, end: u64) -> Self {
        let mut time = || NOW_US + rng.below(4) as i64 * DAY_US + rng.below(25) as i64 - 3;
        let (one, other) = (time(), time());
        let all_times = rng.below(3) == 0;
        let actor = |rng: &mut Rng| match rng.below(3) {
            0 => actor_key("shop", format!("u{}", rng.below(4)).as_bytes()),
            _ => actor_key("shop", format!("a{}", rng.below(9)).as_bytes()),
        };
        let actors = (rng.below(3) == 0).then(|| (0..rng.below(4)).map(|_| actor(rng)).collect());
        let name = |i: &u64| ["open", "$identify", "never"][*i as usize].to_owned();
        let names = (rng.below(3) == 0).then(|| [rng.below(3), rng.below(3)].iter().map(name).collect());
        let from = if rng.below(2) == 0 { 0 } else { rng.below(end) };
        Self {
            project: 1 + rng.below(3) as u32,
            times: if all_times { i64::MIN..i64::MAX } else { one.min(other)..one.max(other) },
            actors,
            names,
            positions: from..if rng.below(2) == 0 { end } else { rng.below(end + 1) },
        }
    }

    fn scan(&self) -> Scan<'_> {
        Scan {
            from_us: self.times.start,
            to_us: self.times.end,
            actors: self.actors.as_ref(),
            names: self.names.as_ref(),
            from_position: self.positions.start,
            ..Scan::all(self.project)
        }
    }

    fn wants(&self, row: &Row) -> bool {
        self.times.contains(&row.time_us)
            && self.positions.contains(&row.place.0)
            && self.actors.as_ref().is_none_or(|actors| actors.contains(&row.actor))
            && self.names.as_ref().is_none_or(|names| names.contains(&row.name))
    }
}

#[test]
fn scans_equal_a_naive_reader() {
    let mut hits = 0;
    for seed in 0..60 {
        let mut rng = Rng(seed);
        let log = Arc::new(MemoryLog::default());
        let chunks = testing::chunks(SimDisk::new(seed));
        let mut builder = testing::builder(&log, &chunks, &[]);
        for _ in 0..rng.below(4) {
            testing::fill(&log, &mut rng, 6);
            testing::flush(&mut builder, &log);
        }
        testing::fill(&log, &mut rng, 6);
        let naive = testing::log_only(&log).pin();
        let stored = Stored::new(Arc::clone(&log) as Arc<dyn Log>, chunks);
        for _ in 0..6 {
            let asked = Asked::random(&mut rng, log.durable_end());
            let mut wanted = testing::rows(&naive, &Scan::all(asked.project));
            wanted.retain(|row| asked.wants(row));
            let found = testing::rows(&stored.pin().upto(asked.positions.end), &asked.scan());
            assert_eq!(found, wanted, "seed {seed}");
            hits += found.len();
        }
    }
    assert!(hits > 500, "the scans ask for too little to prove anything: {hits}");
}

#[test]
fn a_pin_shows_the_same_while_the_writer_moves_on_and_the_log_is_trimmed() {
    let log = Arc::new(MemoryLog::default());
    let chunks = testing::chunks(SimDisk::new(1));
    let stored = Stored::new(Arc::clone(&log) as Arc<dyn Log>, Arc::clone(&chunks));
    let options = WriterOptions { rows: 7, ..WriterOptions::default() };
    let shared = Arc::clone(&log) as Arc<dyn Log>;
    let clock = Arc::new(ManualClock::at(NOW_US));
    let _writer = ChunkWriter::start(shared, Arc::clone(&chunks), clock, options).unwrap();
    let event = Event { name: "open".into(), user_id: "u".into(), time_us: NOW_US, ..Event::default() };
    for batch in 0..200 {
        testing::append(&log, testing::frame(1, batch, std::slice::from_ref(&event)));
        let pinned = stored.pin();
        log.trim(chunks.trim_floor()).unwrap();
        let places: Vec<_> =
            testing::rows(&pinned, &Scan::all(1)).into_iter().map(|row| row.place.0).collect();
        assert!(places.iter().copied().eq(0..pinned.position()), "{places:?}");
    }
}

#[test]
fn a_file_is_in_the_order_of_actor_and_time() {
    let (log, chunks) = (Arc::new(MemoryLog::default()), testing::chunks(SimDisk::new(1)));
    testing::fill(&log, &mut Rng(7), 60);
    testing::flush(&mut testing::builder(&log, &chunks, &[]), &log);
    let file = chunks.manifest().files[0].clone();
    let day = i64::from(file.day) * DAY_US;
    let scan = Scan { from_us: day, to_us: day + DAY_US, ..Scan::all(file.project) };
    let mut order = Vec::new();
    let stats = Stored::new(log, chunks).pin().scan(&scan, &mut |row| {
        order.push((row.head.actor_key.cast_signed(), row.head.time_us, row.head.id));
        ControlFlow::Continue(())
    });
    assert!(order.len() > 10 && order.is_sorted(), "{order:?}");
    assert_eq!(stats.unwrap().files, 1);
}

#[test]
fn a_break_ends_the_scan() {
    let (log, chunks) = (Arc::new(MemoryLog::default()), testing::chunks(SimDisk::new(1)));
    testing::fill(&log, &mut Rng(1), 20);
    testing::flush(&mut testing::builder(&log, &chunks, &[]), &log);
    testing::fill(&log, &mut Rng(2), 20);
    let pinned = Stored::new(log, chunks).pin();
    let all = testing::rows(&pinned, &Scan::all(1)).len();
    for stop_at in 1..=all {
        let mut seen = 0;
        let scanned = pinned.scan(&Scan::all(1), &mut |_| {
            seen += 1;
            if seen == stop_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!((seen, scanned.unwrap().rows), (stop_at, stop_at as u64));
    }
}

#[test]
fn what_cannot_match_is_not_read() {
    let (log, chunks) = (Arc::new(MemoryLog::default()), testing::chunks(SimDisk::new(1)));
    let event = |i: u64| Event {
        name: format!("a name of its own {i:09}"), // Too many for a dictionary in the file.
        user_id: format!("u{i}"),
        time_us: NOW_US + i as i64,
        ..Event::default()
    };
    for batch in 0..40 {
        let events: Vec<_> = (0..1000).map(|i| event(1000 * batch + i)).collect();
        testing::append(&log, testing::frame(1, batch, &events));
    }
    testing::flush(&mut testing::builder(&log, &chunks, &[]), &log);
    let pinned = Stored::new(log, chunks).pin();
    let read = |scan: &Scan<'_>| {
        let stats = pinned.scan(scan, &mut |_| ControlFlow::Continue(())).unwrap();
        (stats.files, stats.row_groups_skipped, stats.rows)
    };
    let actors = HashSet::from([actor_key("shop", b"u7")]);
    let identify = HashSet::from([footpath_engine::IDENTIFY.to_owned()]);
    assert_eq!(read(&Scan::all(1)), (1, 0, 40_000));
    assert_eq!(read(&Scan { actors: Some(&actors), ..Scan::all(1) }), (1, 1, 1));
    let one = HashSet::from([format!("a name of its own {:09}", 39_999)]);
    assert_eq!(read(&Scan { names: Some(&one), ..Scan::all(1) }), (1, 0, 1));
    assert_eq!(read(&Scan { names: Some(&identify), ..Scan::all(1) }), (0, 0, 0));
    let alias = HashSet::from([footpath_engine::ALIAS.to_owned()]);
    assert_eq!(read(&Scan { names: Some(&alias), ..Scan::all(1) }), (0, 0, 0));
    assert_eq!(read(&Scan { to_us: NOW_US, ..Scan::all(1) }), (0, 0, 0));
    assert_eq!(read(&Scan { from_position: 40, ..Scan::all(1) }), (0, 0, 0));
    assert_eq!(read(&Scan::all(2)), (0, 0, 0));
}

#[test]
fn processed_is_the_append_time_of_the_last_record() {
    let (log, chunks) = (Arc::new(MemoryLog::default()), testing::chunks(SimDisk::new(1)));
    let stored = Stored::new(Arc::clone(&log) as Arc<dyn Log>, Arc::clone(&chunks));
    assert_eq!(stored.pin().processed_us(), 0);
    testing::fill(&log, &mut Rng(1), 5);
    assert_eq!(stored.pin().upto(3).processed_us(), NOW_US + 2);
    testing::flush(&mut testing::builder(&log, &chunks, &[]), &log);
    log.trim(5).unwrap();
    assert_eq!(stored.pin().processed_us(), NOW_US + 4);
    testing::fill(&log, &mut Rng(2), 5);
    testing::flush(&mut testing::builder(&log, &chunks, &[]), &log);
    log.trim(10).unwrap();
    assert_eq!(stored.pin().upto(8).processed_us(), NOW_US + 4);
    assert_eq!(stored.pin().upto(0).processed_us(), 0);
}
