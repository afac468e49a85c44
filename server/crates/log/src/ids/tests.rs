//! The id index against a plain map from id to hour.

use std::collections::HashMap as Plain;

use proptest::prelude::*;

use super::io::Reader;
use super::*;
use crate::background::Manual;
use crate::disk::SimDisk;

const START: i64 = 500_000 * HOUR_US;

fn config(disk: &SimDisk, jobs: &Manual, flush_at: usize) -> DedupeConfig {
    let flush_cold_at = flush_at / 2 + 1;
    DedupeConfig { flush_at, flush_cold_at, ..DedupeConfig::new(Arc::new(disk.clone()), jobs.background()) }
}

/// Ids from a small space, so that they repeat: UUIDv4, or UUIDv7 of an hour relative to `START`.
fn id(seed: u8, v7_hour: Option<i64>) -> EventId {
    let mut random = [seed; 10];
    random[9] = 1;
    match v7_hour {
        Some(hour) => EventId::v7(START + hour * HOUR_US, random),
        None => {
            let mut bytes = [seed; 16];
            bytes[6] = 0x40;
            EventId(bytes)
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Check { project: u32, id: EventId },
    Hours(i64),
    Commit,
    Rollback,
    Work,
    Snapshot,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let hour = prop_oneof![
        3 => Just(None),
        3 => (-2..3_i64).prop_map(Some),
        1 => (-200..200_i64).prop_map(Some),
        1 => Just(Some(50_000)),
        1 => Just(Some(-400_000)),
    ];
    let check = (1..3_u32, 0..12_u8, hour)
        .prop_map(|(project, seed, hour)| Step::Check { project, id: id(seed, hour) });
    prop_oneof![
        40 => check,
        4 => prop_oneof![4 => 1..4_i64, 1 => 60..80_i64].prop_map(Step::Hours),
        6 => Just(Step::Commit),
        2 => Just(Step::Rollback),
        4 => Just(Step::Work),
        1 => Just(Step::Snapshot),
        1 => Just(Step::Restart),
    ]
}

/// What the log, a snapshot and the index would be.
struct World {
    disk: SimDisk,
    jobs: Manual,
    index: IdIndex,
    now: i64,
    position: u64,
    stored: Plain<(u32, EventId), i64>,
    group: Vec<(u32, EventId, i64)>,
    tail: Vec<(u32, EventId, i64)>,
    snapshot: (u64, Vec<u8>),
    flush_at: usize,
}

impl World {
    fn new(flush_at: usize) -> Self {
        let (disk, jobs) = (SimDisk::new(1), Manual::default());
        let index = IdIndex::create(config(&disk, &jobs, flush_at)).unwrap();
        let mut snapshot = Vec::new();
        index.encode(&mut snapshot);
        let (stored, group, tail, snapshot) = (Plain::new(), Vec::new(), Vec::new(), (0, snapshot));
        Self { disk, jobs, index, now: START, position: 0, stored, group, tail, snapshot, flush_at }
    }

    fn check(&mut self, project: u32, id: EventId) {
        let hour = self.now / HOUR_US;
        let recent = |&(p, i, at): &(u32, EventId, i64)| (p, i) == (project, id) && hour - at / HOUR_US <= 72;
        let known = self.stored.get(&(project, id)).is_some_and(|stored| hour - stored <= 72)
            || self.group.iter().any(recent);
        match self.index.check_and_stage(project, id, self.now).unwrap() {
            IdVerdict::Fresh => {
                assert!(!known, "{id} was stored");
                self.group.push((project, id, self.now));
            }
            IdVerdict::Duplicate => assert!(known, "{id} was not stored"),
            // A group, or a run that is not written yet, fills a tiny memtable.
            IdVerdict::Full => assert!(!known && self.index.in_memory() >= FULL_AT * self.flush_at),
        }
    }

    fn commit(&mut self) {
        self.position += 1;
        self.index.commit(self.position).unwrap();
        for (project, id, at) in self.group.drain(..) {
            self.stored.insert((project, id), at / HOUR_US);
            self.tail.push((project, id, at));
        }
    }

    fn take_snapshot(&mut self) {
        let mut bytes = Vec::new();
        self.index.encode(&mut bytes);
        self.index.garbage().lock().drain(..).for_each(|name| self.disk.remove(&name).unwrap());
        self.snapshot = (self.position, bytes);
        self.tail.clear();
    }

    /// A crash: the open group is gone, the snapshot is read, the tail replayed.
    fn restart(&mut self) {
        self.group.clear();
        self.jobs.forget();
        let (position, bytes) = &self.snapshot;
        let config = config(&self.disk, &self.jobs, self.flush_at);
        let read = IdIndex::decode(&mut Reader(bytes), config, *position, self.position);
        self.index = read.unwrap().unwrap();
        for &(project, id, at) in &self.tail {
            self.index.replay(project, id, at);
        }
        self.index.commit(self.position).unwrap();
    }

    fn run(&mut self, steps: Vec<Step>) {
        for (at, step) in steps.into_iter().enumerate() {
            match step {
                Step::Check { project, id } => self.check(project, id),
                Step::Hours(hours) => self.now += hours * HOUR_US,
                Step::Commit => self.commit(),
                Step::Rollback => {
                    self.index.rollback();
                    self.group.clear();
                }
                Step::Work => {
                    self.jobs.run_one();
                }
                Step::Snapshot if self.group.is_empty() => self.take_snapshot(),
                Step::Snapshot => {}
                Step::Restart => self.restart(),
            }
            if at % 50 == 49 {
                self.commit();
                self.take_snapshot();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn the_index_is_a_map(steps in prop::collection::vec(step(), 0..300), flush_at in 1..20_usize) {
        World::new(flush_at).run(steps);
    }
}

fn v4(n: u32) -> EventId {
    let mut bytes = EventId::derived(b"batch", n).0;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    EventId(bytes)
}

fn fresh(index: &mut IdIndex, id: EventId, at: i64) -> bool {
    matches!(index.check_and_stage(1, id, at), Ok(IdVerdict::Fresh))
}

#[test]
fn many_ids_go_through_runs_and_whole_files_expire() {
    let (disk, jobs) = (SimDisk::new(1), Manual::default());
    let mut index = IdIndex::create(config(&disk, &jobs, 1000)).unwrap();
    let ids = |n: u32| [v4(n), EventId::v7(START, v4(n).0[6..].try_into().unwrap())];
    for n in 0..5_000 {
        assert!(ids(n).iter().all(|&id| fresh(&mut index, id, START)));
        index.commit(u64::from(n)).unwrap();
        jobs.run_all();
    }
    index.commit(5_000).unwrap();
    assert_eq!((index.runs(), index.in_memory()), (10, 0));
    let after_72 = START + 72 * HOUR_US;
    assert!((0..5_000).all(|n| ids(n).iter().all(|&id| !fresh(&mut index, id, after_72))));
    assert!((5_000..9_000).all(|n| ids(n).iter().all(|&id| fresh(&mut index, id, START))));
    index.rollback();
    assert!((0..1_500).all(|n| ids(n).iter().all(|&id| fresh(&mut index, id, after_72 + HOUR_US))));
    assert_eq!((index.runs(), index.in_memory()), (0, 3_000));
    assert_eq!(index.garbage().lock().len(), 10, "the last snapshot may name them");
    assert_eq!(disk.list().unwrap().len(), 10);
}

#[test]
fn a_frozen_memtable_answers_until_its_filter_knows_every_id() {
    let (disk, jobs) = (SimDisk::new(1), Manual::default());
    let ids = ADOPTED_AT_ONCE as u32 * 5 / 2;
    let mut index = IdIndex::create(config(&disk, &jobs, ids as usize)).unwrap();
    (0..ids).for_each(|n| assert!(fresh(&mut index, v4(n), START)));
    let (mut commits, mut ran) = (0, 0);
    while index.runs() == 0 {
        index.commit(commits).unwrap();
        assert_eq!(index.in_memory(), if index.runs() == 0 { ids as usize } else { 0 });
        assert!((0..ids).step_by(1001).all(|n| !fresh(&mut index, v4(n), START)), "commit {commits}");
        assert!(fresh(&mut index, v4(ids + commits as u32), START), "and the new one goes on");
        index.rollback();
        ran += usize::from(commits == 3 && jobs.run_one());
        commits += 1;
    }
    assert_eq!((ran, commits), (1, 7), "frozen, three commits of waiting, three steps of the filter");
    assert!((0..ids).all(|n| !fresh(&mut index, v4(n), START)));
}

#[test]
fn any_flipped_bit_of_a_run_is_named_and_never_answers() {
    let (disk, jobs) = (SimDisk::new(1), Manual::default());
    let mut index = IdIndex::create(config(&disk, &jobs, 400)).unwrap();
    (0..400).for_each(|n| assert!(fresh(&mut index, v4(n), START)));
    index.commit(1).unwrap();
    jobs.run_all();
    index.commit(2).unwrap();
    let name = disk.list().unwrap().remove(0);
    let len = disk.open(&name).unwrap().len().unwrap();
    for at in (0..len as usize).step_by(97) {
        disk.flip_bit(&name, at);
        assert!(run::Run::open(&disk, name.clone(), |_| ()).is_err(), "byte {at}");
        let answers = (0..400).map(|n| index.check_and_stage(1, v4(n), START));
        assert!(answers.into_iter().all(|answer| matches!(answer, Ok(IdVerdict::Duplicate) | Err(_))));
        disk.flip_bit(&name, at);
    }
}

#[test]
fn a_disk_that_cannot_be_written_refuses_only_when_memory_is_full_and_heals() {
    let (disk, jobs) = (SimDisk::new(1), Manual::default());
    let mut index = IdIndex::create(config(&disk, &jobs, 10)).unwrap();
    disk.set_capacity(100);
    let (mut failed, mut now) = (0, START);
    for n in 0..50 {
        assert!(fresh(&mut index, v4(n), now));
        failed += usize::from(index.commit(u64::from(n)).is_err());
        jobs.run_all();
        now += RETRY_US / 4;
    }
    assert!((2..=12).contains(&failed), "{failed}: now and then, not at each commit");
    assert!(matches!(index.check_and_stage(1, v4(99), now), Ok(IdVerdict::Full)));
    assert!(!fresh(&mut index, v4(3), now));
    disk.set_capacity(u64::MAX);
    for _ in 0..4 {
        now += RETRY_US;
        assert!(!fresh(&mut index, v4(49), now));
        index.commit(50).ok();
        jobs.run_all();
    }
    assert!(fresh(&mut index, v4(99), now));
    assert!((0..50).all(|n| !fresh(&mut index, v4(n), now)));
}

#[test]
fn a_job_that_was_lost_is_begun_again() {
    let (disk, jobs) = (SimDisk::new(1), Manual::default());
    let mut index = IdIndex::create(config(&disk, &jobs, 10)).unwrap();
    (0..10).for_each(|n| assert!(fresh(&mut index, v4(n), START)));
    index.commit(1).unwrap();
    jobs.forget();
    assert!(matches!(index.commit(2), Err(DedupeError::Abandoned)));
    assert!(!fresh(&mut index, v4(3), START + RETRY_US));
    index.commit(3).unwrap();
    jobs.run_all();
    index.commit(4).unwrap();
    assert_eq!((index.runs(), index.in_memory()), (1, 0));
    assert!(!fresh(&mut index, v4(3), START + RETRY_US));
}
