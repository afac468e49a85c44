//! The id index against a plain map from id to hour.

use std::collections::HashMap as Plain;

use proptest::prelude::*;

use super::*;

const START: i64 = 500_000 * HOUR_US;

fn config(dir: &std::path::Path, flush_at: usize) -> IdConfig {
    IdConfig { flush_at, flush_cold_at: flush_at / 2 + 1, ..IdConfig::new(dir) }
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
        1 => Just(Step::Restart),
    ]
}

/// What the log, a snapshot and the index would be.
struct World {
    dir: tempfile::TempDir,
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
        let dir = tempfile::tempdir().unwrap();
        let index = IdIndex::create(config(dir.path(), flush_at)).unwrap();
        let mut snapshot = Vec::new();
        index.encode(&mut snapshot);
        let (stored, group, tail) = (Plain::new(), Vec::new(), Vec::new());
        Self { dir, index, now: START, position: 0, stored, group, tail, snapshot: (0, snapshot), flush_at }
    }

    fn check(&mut self, project: u32, id: EventId) {
        let hour = self.now / HOUR_US;
        let recent = |&&(p, i, _): &&(u32, EventId, i64)| (p, i) == (project, id);
        let known = self.stored.get(&(project, id)).is_some_and(|stored| hour - stored <= 72)
            || self.group.iter().find(recent).is_some_and(|(_, _, at)| hour - at / HOUR_US <= 72);
        match self.index.check_and_stage(project, id, self.now).unwrap() {
            IdVerdict::Fresh => {
                assert!(!known, "{id} was stored");
                self.group.push((project, id, self.now));
            }
            IdVerdict::Duplicate => assert!(known, "{id} was not stored"),
            // The group alone fills a tiny memtable.
            IdVerdict::Full => assert!(!known && self.group.len() >= FULL_AT),
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
        self.index.remove_garbage();
        self.snapshot = (self.position, bytes);
        self.tail.clear();
    }

    /// A crash: the open group is gone, the snapshot is read, the tail replayed.
    fn restart(&mut self) {
        self.group.clear();
        let (position, bytes) = &self.snapshot;
        let config = config(self.dir.path(), self.flush_at);
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
    let dir = tempfile::tempdir().unwrap();
    let mut index = IdIndex::create(config(dir.path(), 1000)).unwrap();
    let ids = |n: u32| [v4(n), EventId::v7(START, v4(n).0[6..].try_into().unwrap())];
    for n in 0..5_000 {
        assert!(ids(n).iter().all(|&id| fresh(&mut index, id, START)));
        index.commit(u64::from(n)).unwrap();
    }
    assert_eq!((index.runs(), index.in_memory()), (10, 0));
    let after_72 = START + 72 * HOUR_US;
    assert!((0..5_000).all(|n| ids(n).iter().all(|&id| !fresh(&mut index, id, after_72))));
    assert!((5_000..9_000).all(|n| ids(n).iter().all(|&id| fresh(&mut index, id, START))));
    index.rollback();
    assert!((0..1_500).all(|n| ids(n).iter().all(|&id| fresh(&mut index, id, after_72 + HOUR_US))));
    assert_eq!((index.runs(), index.in_memory()), (0, 3_000));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 10);
    index.remove_garbage();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn any_flipped_bit_of_a_run_is_named_and_never_answers() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = IdIndex::create(config(dir.path(), 400)).unwrap();
    (0..400).for_each(|n| assert!(fresh(&mut index, v4(n), START)));
    index.commit(1).unwrap();
    let path = dir.path().join("0000000000000000.ids");
    let sound = fs::read(&path).unwrap();
    for at in (0..sound.len()).step_by(97) {
        let mut damaged = sound.clone();
        damaged[at] ^= 4;
        fs::write(&path, &damaged).unwrap();
        assert!(run::Run::open(&path, |_| ()).is_err(), "byte {at}");
        let answers = (0..400).map(|n| index.check_and_stage(1, v4(n), START));
        assert!(answers.into_iter().all(|answer| matches!(answer, Ok(IdVerdict::Duplicate) | Err(_))));
    }
}

#[test]
fn a_disk_that_cannot_be_written_refuses_only_when_memory_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().join("runs");
    let mut index = IdIndex::create(config(&runs, 10)).unwrap();
    fs::remove_dir(&runs).unwrap();
    let mut failed = 0;
    for n in 0..40 {
        assert!(fresh(&mut index, v4(n), START));
        failed += usize::from(index.commit(u64::from(n)).is_err());
    }
    assert!((1..=12).contains(&failed));
    assert!(matches!(index.check_and_stage(1, v4(99), START), Ok(IdVerdict::Full)));
    assert!(!fresh(&mut index, v4(3), START));
    fs::create_dir(&runs).unwrap();
    index.commit(50).unwrap();
    index.large.push(Place::Other);
    index.commit(51).unwrap();
    assert!(fresh(&mut index, v4(99), START));
    assert!(!fresh(&mut index, v4(3), START));
}
