//! Power losses, damage, pins.

use std::sync::Arc;

use footpath_log::{Log, MemoryLog, SimDisk};

use super::*;
use crate::stored::{Scan, Stored};
use crate::testing::{self, NOW_US, Rng};

/// One machine's life: frames come, chunks are written, the power goes at a random write. The log itself is durable
/// and is trimmed as far as the chunks allow, so that a position they only claim to cover is missed at once.
fn one_life(seed: u64) {
    let mut rng = Rng(seed);
    let disk = SimDisk::new(seed);
    let (log, whole) = (Arc::new(MemoryLog::default()), Arc::new(MemoryLog::default()));
    let mut covered = 0;
    for _ in 0..3 {
        let chunks = Arc::new(Chunks::open(Arc::new(disk.clone()), 1).unwrap());
        assert!(chunks.manifest().upto >= covered, "seed {seed}: what joined is gone");
        chunks.verify().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        log.trim(chunks.trim_floor()).unwrap();
        all_there(seed, &log, &whole, &chunks);
        disk.cut_power_after(rng.below(40));
        let mut builder = testing::builder(&log, &chunks, &[]);
        for _ in 0..rng.below(3) {
            let from = log.durable_end();
            testing::fill(&log, &mut rng, 2);
            let fresh: Vec<_> = log.read(from, usize::MAX).unwrap();
            fresh.into_iter().for_each(|record| {
                testing::append(&whole, record.payload.to_vec());
            });
            let steps = (0..3).map(|_| builder.step(NOW_US, log.durable_end()));
            let _ = steps.take_while(Result::is_ok).count();
            covered = covered.max(builder.covered());
        }
        drop(builder);
        disk.power_loss();
    }
}

fn all_there(seed: u64, log: &Arc<MemoryLog>, whole: &Arc<MemoryLog>, chunks: &Arc<Chunks>) {
    let stored = Stored::new(Arc::clone(log) as Arc<dyn Log>, Arc::clone(chunks));
    for project in 1..=2 {
        assert_eq!(places(&stored, project), places(&testing::log_only(whole), project), "seed {seed}");
    }
}

/// Where a project's events lie; that they are the right ones is what the checksums are for.
fn places(stored: &Stored, project: u32) -> Vec<(u64, u32)> {
    let mut found = Vec::new();
    let scanned = stored.pin().scan(&Scan::all(project), &mut |row| {
        found.push((row.offset, row.index));
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    found.sort_unstable();
    found
}

#[test]
fn power_losses_leave_whole_files_and_an_honest_position() {
    let seeds = std::env::var("FOOTPATH_SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(500);
    (0..seeds).for_each(one_life);
}

/// A history of a few files.
fn some(disk: &SimDisk) -> Arc<Chunks> {
    let log = Arc::new(MemoryLog::default());
    let chunks = testing::chunks(disk.clone());
    testing::fill(&log, &mut Rng(1), 20);
    testing::flush(&mut testing::builder(&log, &chunks, &[]), &log);
    assert!(!chunks.manifest().files.is_empty());
    chunks
}

fn reopened(disk: &SimDisk) -> Result<Chunks, HistoryError> {
    Chunks::open(Arc::new(disk.clone()), 1)
}

#[test]
fn damage_is_named() {
    let disk = SimDisk::new(1);
    let chunks = some(&disk);
    let name = manifest::name(chunks.manifest().number);
    let file = chunks.manifest().files[0].path.clone();
    disk.flip_bit(&file, 100);
    let error = reopened(&disk).unwrap().verify().unwrap_err();
    assert!(error.to_string().starts_with(&file), "{error}");
    disk.flip_bit(&name, 60);
    let error = reopened(&disk).err().unwrap();
    assert!(error.to_string().starts_with(&name), "{error}");
    disk.flip_bit(&name, 60);
    disk.remove(&file).unwrap();
    let error = reopened(&disk).err().unwrap();
    assert!(error.to_string().starts_with(&file), "{error}");
}

#[test]
fn a_flipped_bit_is_never_read_as_events() {
    for (seed, at) in (0..40).map(|i| (i, i * 37)) {
        let disk = SimDisk::new(seed);
        let chunks = some(&disk);
        let file = Arc::clone(&chunks.manifest().files[0]);
        disk.flip_bit(&file.path, (at % file.bytes) as usize);
        let log = Arc::new(MemoryLog::default());
        testing::fill(&log, &mut Rng(1), 20); // The log that the chunks were made from.
        let stored = Stored::new(log, Arc::new(reopened(&disk).unwrap()));
        for _ in 0..2 {
            let scanned = stored.pin().scan(&Scan::all(file.project), &mut |_| ControlFlow::Continue(()));
            let error = scanned.unwrap_err();
            assert!(
                matches!(&error, HistoryError::Damaged { file: named, .. } if *named == file.path),
                "{error}"
            );
        }
    }
}

#[test]
fn a_log_that_begins_above_the_chunks_is_refused() {
    let chunks = some(&SimDisk::new(1));
    assert!(chunks.check_log(chunks.manifest().upto).is_ok());
    let error = chunks.check_log(chunks.manifest().upto + 1).unwrap_err();
    assert!(matches!(error, HistoryError::Gap { .. }), "{error}");
}

#[test]
fn a_manifest_that_is_gone_is_not_an_empty_history() {
    let disk = SimDisk::new(1);
    let chunks = some(&disk);
    disk.remove(&manifest::name(chunks.manifest().number)).unwrap();
    assert!(matches!(reopened(&disk), Err(HistoryError::Damaged { .. })));
    assert!(disk.list().unwrap().contains(&chunks.manifest().files[0].path));
}

#[test]
fn another_log_is_refused() {
    let disk = SimDisk::new(1);
    some(&disk);
    assert!(matches!(Chunks::open(Arc::new(disk), 2), Err(HistoryError::OtherLog)));
}

#[test]
fn leftovers_are_removed_and_foreign_files_stay() {
    let disk = SimDisk::new(1);
    let before = some(&disk).manifest();
    let unfinished = manifest::name(before.number + 1) + UNFINISHED;
    for name in ["1/day=2023-11-14/9-12.parquet", &unfinished, &manifest::name(0), "notes.txt"] {
        disk.create(name).unwrap();
    }
    let chunks = reopened(&disk).unwrap();
    assert_eq!(chunks.manifest(), before);
    let mut left: Vec<_> = before.files.iter().map(|file| file.path.clone()).collect();
    left.extend([manifest::name(before.number), "notes.txt".to_owned()]);
    left.sort();
    let mut names = disk.list().unwrap();
    names.sort();
    assert_eq!(names, left);
}

#[test]
fn a_join_that_failed_may_be_tried_again() {
    for operations in 0..30 {
        let disk = SimDisk::new(operations);
        let (log, chunks) = (Arc::new(MemoryLog::default()), testing::chunks(disk.clone()));
        testing::fill(&log, &mut Rng(operations), 12);
        disk.fail_syncs((operations % 7) as u32);
        let mut builder = testing::builder(&log, &chunks, &[]);
        while builder.covered() < log.durable_end() {
            let _ = builder.step(NOW_US, log.durable_end());
        }
        drop(builder);
        disk.power_loss();
        let chunks = Arc::new(reopened(&disk).unwrap());
        chunks.verify().unwrap();
        assert_eq!(chunks.manifest().upto, log.durable_end());
        let whole = Arc::clone(&log);
        all_there(operations, &log, &whole, &chunks);
    }
}

#[test]
fn a_full_disk_delays_and_loses_nothing() {
    let disk = SimDisk::new(1);
    let (log, chunks) = (Arc::new(MemoryLog::default()), testing::chunks(disk.clone()));
    testing::fill(&log, &mut Rng(1), 12);
    let mut builder = testing::builder(&log, &chunks, &[]);
    disk.set_capacity(3000);
    while builder.step(NOW_US, log.durable_end()).is_ok() {}
    assert_eq!(chunks.manifest().upto, 0);
    disk.set_capacity(u64::MAX);
    testing::flush(&mut builder, &log);
    chunks.verify().unwrap();
    assert_eq!(chunks.manifest().upto, log.durable_end());
}

#[test]
fn a_living_pin_holds_back_trimming() {
    let disk = SimDisk::new(1);
    let (log, chunks) = (Arc::new(MemoryLog::default()), testing::chunks(disk));
    let mut builder = testing::builder(&log, &chunks, &[]);
    let mut rng = Rng(1);
    testing::fill(&log, &mut rng, 5);
    testing::flush(&mut builder, &log);
    let (first, second) = (chunks.pin(), chunks.pin());
    testing::fill(&log, &mut rng, 5);
    testing::flush(&mut builder, &log);
    assert_eq!(chunks.trim_floor(), 5);
    drop(first);
    assert_eq!(chunks.trim_floor(), 5);
    drop(second);
    assert_eq!(chunks.trim_floor(), 10);
}
