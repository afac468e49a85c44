//! The thread: flush, failures, the end.

use footpath_log::{Log, MemoryLog, SimDisk};
use footpath_model::clock::ManualClock;

use super::*;
use crate::testing::{self, NOW_US, Rng};
use crate::tree::TreeDisk;

fn start(log: &Arc<MemoryLog>, chunks: &Arc<Chunks>, clock: &Arc<ManualClock>) -> ChunkWriter {
    let (log, clock) = (Arc::clone(log) as Arc<dyn Log>, Arc::clone(clock) as Arc<dyn Clock>);
    ChunkWriter::start(log, Arc::clone(chunks), clock, WriterOptions::default()).unwrap()
}

#[test]
fn a_flush_puts_everything_into_files_that_a_restart_finds() {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(MemoryLog::default());
    let clock = Arc::new(ManualClock::at(NOW_US));
    for round in 1..=2 {
        let chunks = testing::chunks(TreeDisk::open(folder.path()).unwrap());
        let writer = start(&log, &chunks, &clock);
        testing::fill(&log, &mut Rng(round), 10);
        writer.flush().unwrap();
        assert_eq!(chunks.manifest().upto, round * 10);
        assert_eq!(writer.counters().position.load(Ordering::Relaxed), round * 10);
        chunks.verify().unwrap();
    }
}

#[test]
fn a_failed_write_is_told_and_tried_again() {
    let (log, disk) = (Arc::new(MemoryLog::default()), SimDisk::new(1));
    let chunks = testing::chunks(disk.clone());
    testing::fill(&log, &mut Rng(1), 10);
    let writer = start(&log, &chunks, &Arc::new(ManualClock::at(NOW_US)));
    disk.set_capacity(100);
    assert!(writer.flush().is_err());
    assert_eq!(writer.counters().failures.load(Ordering::Relaxed), 1);
    disk.set_capacity(u64::MAX);
    writer.flush().unwrap();
    assert_eq!(chunks.manifest().upto, 10);
}

#[test]
fn age_closes_a_range_without_being_asked() {
    let log = Arc::new(MemoryLog::default());
    let chunks = testing::chunks(SimDisk::new(1));
    let clock = Arc::new(ManualClock::at(NOW_US));
    testing::fill(&log, &mut Rng(1), 10);
    let _writer = start(&log, &chunks, &clock);
    clock.set(NOW_US + 61_000_000);
    while chunks.manifest().upto < 10 {
        std::thread::yield_now();
    }
}
