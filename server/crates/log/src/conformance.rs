//! One suite over every [`Log`], then what only a disk can do to one.

use crate::disk::{Disk, SimDisk};
use crate::{
    EmbeddedLog, EmbeddedOptions, Entry, Log, LogError, MemoryLog, RealDisk, Record, SpareKeeper, WriteMode,
};
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::sync::Arc;

const SMALL: EmbeddedOptions =
    EmbeddedOptions { segment_bytes: 32 * 1024, new_incarnation: 7, recent_bytes: 8 * 1024 };

fn entry(number: u64, len: usize) -> Entry {
    let mut payload = number.to_le_bytes().to_vec();
    payload.resize(8 + len, number as u8);
    Entry { append_time_us: number as i64, payload: payload.into() }
}

pub(crate) fn open(disk: &SimDisk) -> Result<EmbeddedLog, LogError> {
    EmbeddedLog::open(Arc::new(disk.clone()), SMALL)
}

fn read_all(log: &dyn Log) -> Vec<Record> {
    let mut all = Vec::new();
    let mut from = log.first();
    while from < log.durable_end() {
        let records = log.read(from, 10_000).unwrap();
        assert_eq!(records.first().map(|r| r.offset), Some(from));
        from = records.last().unwrap().offset + 1;
        all.extend(records);
    }
    all
}

fn suite(log: &dyn Log) {
    assert_eq!((log.first(), log.durable_end()), (0, 0));
    assert!(log.read(0, 1).unwrap().is_empty());
    assert_eq!(log.append_group(&[]).unwrap(), 0);
    assert_eq!(log.append_group(&[entry(0, 10), entry(1, 5000), entry(2, 0)]).unwrap(), 0);
    log.wait(2, std::time::Duration::from_secs(3600)); // There is something.
    log.wait(3, std::time::Duration::from_millis(1)); // There is nothing, and it ends.
    for number in 3..40 {
        assert_eq!(log.append_group(&[entry(number, 3000)]).unwrap(), number);
    }
    assert_eq!(log.last_append_time_us(), 39);
    let one = log.read(1, 1).unwrap();
    assert_eq!((one.len(), one[0].payload.clone()), (1, entry(1, 5000).payload));
    for (number, record) in (0..).zip(read_all(log)) {
        assert_eq!((record.offset, record.payload), (number, entry(number, record_len(number)).payload));
    }
    assert!(matches!(log.read(41, 1), Err(LogError::Beyond { from: 41, end: 40 })));
    log.trim(20).unwrap();
    let first = log.first();
    assert!(first > 0 && first <= 20);
    assert!(matches!(log.read(first - 1, 1), Err(LogError::Trimmed { first: f }) if f == first));
    assert_eq!(read_all(log).len() as u64, 40 - first);
    log.recover().unwrap();
}

fn record_len(number: u64) -> usize {
    [10, 5000, 0].get(number as usize).copied().unwrap_or(3000)
}

#[test]
fn every_log_keeps_the_laws() {
    suite(&MemoryLog::default());
    suite(&open(&SimDisk::new(1)).unwrap());
    for mode in [WriteMode::Buffered, WriteMode::Direct] {
        let folder = tempfile::tempdir().unwrap();
        let disk = Arc::new(RealDisk::open(folder.path(), mode).unwrap());
        assert!(RealDisk::open(folder.path(), mode).is_err(), "one process only");
        let log = EmbeddedLog::open(disk.clone(), SMALL).unwrap();
        suite(&log);
        let all = read_all(&log);
        drop(log);
        assert_eq!(read_all(&EmbeddedLog::open(disk, SMALL).unwrap()), all);
    }
}

/// Appends until the power goes; then everything acked is there, and of the group in flight all or nothing.
fn power_losses(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let disk = SimDisk::new(seed);
    let mut expected: Vec<Bytes> = Vec::new();
    let mut number = 0;
    for _ in 0..6 {
        disk.cut_power_after(random.random_range(0..60));
        let mut in_flight: Vec<Entry> = Vec::new();
        if let Ok(log) = open(&disk) {
            while in_flight.is_empty() {
                let group: Vec<Entry> = (0..random.random_range(1..5))
                    .map(|i| entry(number + i, random.random_range(0..4000)))
                    .collect();
                number += group.len() as u64;
                match log.append_group(&group) {
                    Ok(first) => {
                        assert_eq!(first, expected.len() as u64, "seed {seed}");
                        expected.extend(group.into_iter().map(|e| e.payload));
                    }
                    Err(_) => in_flight = group,
                }
                if random.random_range(0..6) == 0 {
                    log.trim(expected.len() as u64).ok();
                }
            }
        }
        disk.power_loss();
        let log = open(&disk).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        if log.durable_end() > expected.len() as u64 {
            expected.extend(in_flight.into_iter().map(|e| e.payload));
        }
        assert_eq!(log.durable_end(), expected.len() as u64, "seed {seed}");
        for record in read_all(&log) {
            assert_eq!(record.payload, expected[record.offset as usize], "seed {seed}");
        }
    }
}

#[test]
fn power_loss_keeps_what_was_acked_and_nothing_torn() {
    let seeds = std::env::var("FOOTPATH_SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(500);
    (0..seeds).for_each(power_losses);
}

fn three_groups(disk: &SimDisk) -> String {
    let log = open(disk).unwrap();
    for number in 0..3 {
        log.append_group(&[entry(number, 100)]).unwrap();
    }
    disk.list().unwrap().into_iter().find(|name| name.starts_with("segment-")).unwrap()
}

#[test]
fn damage_below_the_floor_is_refused_by_name_and_above_it_cut() {
    for at in [10, 4096 + 30, 4096 + 100, 8192 + 1] {
        let disk = SimDisk::new(2);
        let name = three_groups(&disk);
        disk.flip_bit(&name, at);
        let refused = open(&disk).err();
        assert!(
            matches!(&refused, Some(LogError::Corrupt { file, .. } | LogError::NewerFormat { file, .. }) if *file == name),
            "{at}: {refused:?}"
        );
    }
    let disk = SimDisk::new(2);
    let name = three_groups(&disk);
    disk.flip_bit(&name, 3 * 4096 + 100);
    assert_eq!(open(&disk).unwrap().durable_end(), 2);

    let disk = SimDisk::new(2);
    let name = three_groups(&disk);
    open(&disk).unwrap().seal().unwrap();
    disk.flip_bit(&name, 3 * 4096 + 100);
    assert!(matches!(open(&disk), Err(LogError::Corrupt { position: 12288, .. })));
}

#[test]
fn a_newer_format_is_refused() {
    for at in [8, 4096 + 4] {
        let disk = SimDisk::new(3);
        let name = three_groups(&disk);
        disk.overwrite(&name, at, &2u16.to_le_bytes());
        assert!(matches!(open(&disk), Err(LogError::NewerFormat { version: 2, .. })));
    }
}

#[test]
fn a_full_disk_refuses_and_works_again_once_space_returns() {
    let disk = SimDisk::new(4);
    let log = open(&disk).unwrap();
    disk.set_capacity(40 * 1024);
    let mut acked = 0;
    let error = loop {
        match log.append_group(&[entry(acked, 5000)]) {
            Ok(_) => acked += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, LogError::Full), "{error}");
    assert!(matches!(log.recover(), Err(LogError::Full)));
    disk.set_capacity(u64::MAX);
    assert_eq!(log.append_group(&[entry(acked, 5000)]).unwrap(), acked);
    disk.power_loss();
    assert_eq!(read_all(&open(&disk).unwrap()).len() as u64, acked + 1);
}

#[test]
fn a_disk_that_is_full_at_the_start_is_noticed_before_the_first_writer() {
    let disk = SimDisk::new(4);
    let log = open(&disk).unwrap();
    disk.set_capacity(40 * 1024);
    while log.append_group(&[entry(0, 5000)]).is_ok() {}
    drop(log);
    let log = open(&disk).unwrap();
    assert!(matches!(log.probe(), Err(LogError::Full)));
    assert!(matches!(log.recover(), Err(LogError::Full)));
    disk.set_capacity(u64::MAX);
    log.recover().unwrap();
    log.probe().unwrap();
}

#[test]
fn a_failed_sync_stops_the_log_until_it_moves_to_a_fresh_segment() {
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        let log = open(&disk).unwrap();
        log.append_group(&[entry(0, 5000)]).unwrap();
        disk.fail_syncs(1);
        assert!(matches!(log.append_group(&[entry(99, 5000)]), Err(LogError::Failed(_))));
        assert!(matches!(log.append_group(&[entry(98, 1)]), Err(LogError::Failed(_))));
        log.recover().unwrap();
        assert_eq!(log.append_group(&[entry(1, 10)]).unwrap(), 1);
        disk.power_loss();
        let payloads: Vec<Bytes> = read_all(&open(&disk).unwrap()).into_iter().map(|r| r.payload).collect();
        assert_eq!(payloads, [entry(0, 5000).payload, entry(1, 10).payload]);
    }
}

#[test]
fn a_group_of_the_files_earlier_life_is_not_believed() {
    let earlier = SimDisk::new(6);
    let name = three_groups(&earlier);
    let disk = SimDisk::new(6);
    let log = open(&disk).unwrap();
    // The next generation begins with offset 0 as well, so that only the generation tells the two lives apart.
    disk.fail_syncs(1);
    assert!(log.append_group(&[entry(0, 100)]).is_err());
    log.recover().unwrap();
    log.append_group(&[entry(0, 100)]).unwrap();
    let recycled = "segment-0000000000000002.log";
    let mut stale = vec![0; 4096];
    earlier.open(&name).unwrap().read_at(&mut stale, 8192).unwrap();
    disk.overwrite(recycled, 8192, &stale);
    assert_eq!(open(&disk).unwrap().durable_end(), 1);
    let mut own = vec![0; 4096];
    log.append_group(&[entry(1, 100)]).unwrap();
    disk.open(recycled).unwrap().read_at(&mut own, 8192).unwrap();
    assert_ne!(own, stale, "the same record of this life differs");
    assert_eq!(open(&disk).unwrap().durable_end(), 2, "and is believed");
}

#[test]
fn a_start_reads_only_the_newest_segment_and_damage_elsewhere_is_found_by_its_reader() {
    let disk = SimDisk::new(7);
    let log = open(&disk).unwrap();
    (0..40).for_each(|number| assert_eq!(log.append_group(&[entry(number, 3000)]).unwrap(), number));
    let all = read_all(&log);
    let again = open(&disk).unwrap();
    assert_eq!((again.durable_end(), again.last_append_time_us()), (40, 39));
    assert_eq!(read_all(&again), all);
    for at in [2 * 4096 + 30, 2 * 4096 + 100] {
        disk.flip_bit("segment-0000000000000001.log", at);
        let damaged = open(&disk).unwrap();
        let refused = damaged.read(1, 1);
        assert!(
            matches!(&refused, Err(LogError::Corrupt { file, position: 8192 }) if file.ends_with("1.log")),
            "{refused:?}"
        );
        assert_eq!(damaged.read(39, 1).unwrap(), all[39..]);
        disk.flip_bit("segment-0000000000000001.log", at);
    }
}

#[test]
fn time_does_not_fall_when_the_newest_segments_are_empty() {
    let disk = SimDisk::new(8);
    let log = open(&disk).unwrap();
    log.append_group(&[entry(77, 10)]).unwrap();
    log.seal().unwrap();
    disk.fail_syncs(1);
    assert!(log.append_group(&[entry(99, 10)]).is_err());
    log.recover().unwrap();
    disk.power_loss();
    let again = open(&disk).unwrap();
    assert_eq!((again.durable_end(), again.last_append_time_us()), (1, 77));
}

#[test]
fn the_keeper_has_a_segment_ready() {
    let disk = SimDisk::new(9);
    let log = Arc::new(open(&disk).unwrap());
    let keeper = SpareKeeper::start(Arc::clone(&log)).unwrap();
    let ready = |disk: &SimDisk| disk.list().unwrap().iter().any(|name| name.starts_with("free-"));
    for number in 0..40 {
        while !ready(&disk) {
            std::thread::yield_now();
        }
        assert_eq!(log.append_group(&[entry(number, 3000)]).unwrap(), number);
    }
    drop(keeper);
    assert_eq!(read_all(log.as_ref()).len(), 40);
}

#[test]
fn a_trim_that_fails_is_taken_up_by_the_next_and_leaves_a_chain() {
    for good in 0..12 {
        let disk = SimDisk::new(10);
        let log = open(&disk).unwrap();
        (0..40).for_each(|number| assert_eq!(log.append_group(&[entry(number, 3000)]).unwrap(), number));
        disk.fail_names_after(Some(good));
        let failed = log.trim(30).is_err();
        assert!(failed || good > 0);
        disk.fail_names_after(Some(1)); // The next segment's name goes, its sync fails.
        let _ = log.trim(30);
        disk.fail_names_after(None);
        assert_eq!(read_all(&open(&disk).unwrap()).last().unwrap().offset, 39);
        log.trim(30).unwrap();
        let first = log.first();
        assert!(first > 20, "{first}");
        assert_eq!(open(&disk).unwrap().first(), first);
    }
}
