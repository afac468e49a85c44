//! Both judges together against plain sets, with groups, failures and restarts.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::background::Manual;
use crate::disk::SimDisk;
use crate::{Gap, StreamKey};

const START: i64 = 1_800_000_000_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Number { install: u8, epoch: u64, lane: u8, number: u64 },
    Id(u8),
}

#[derive(Debug, Clone)]
enum Step {
    Send(Key),
    Commit,
    Rollback,
    Work,
    Snapshot,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let number = (0..3_u8, 0..2_u64, 0..12_u8, 1..40_u64)
        .prop_map(|(install, epoch, lane, number)| Key::Number { install, epoch, lane, number });
    prop_oneof![
        60 => number.prop_map(Step::Send),
        20 => any::<u8>().prop_map(|id| Step::Send(Key::Id(id % 40))),
        8 => Just(Step::Commit),
        3 => Just(Step::Rollback),
        4 => Just(Step::Work),
        2 => Just(Step::Snapshot),
        1 => Just(Step::Crash),
    ]
}

fn event_key(dedupe: &mut Dedupe, key: Key) -> EventKey {
    match key {
        Key::Number { install, epoch, lane, number } => {
            let producer = dedupe.producer(1, [install; 16], epoch);
            EventKey::Numbered { producer, class: 1, lane, number }
        }
        Key::Id(id) => EventKey::Id(EventId([id; 16])),
    }
}

fn config(disk: &SimDisk, jobs: &Manual) -> DedupeConfig {
    let mut config = DedupeConfig::new(Arc::new(disk.clone()), jobs.background());
    config.flush_at = 7;
    config
}

fn new(disk: &SimDisk) -> Dedupe {
    Dedupe::create(config(disk, &Manual::default())).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
    #[test]
    fn stored_once_and_never_called_stored_when_it_is_not(steps in prop::collection::vec(step(), 0..400)) {
        let (disk, jobs) = (SimDisk::new(1), Manual::default());
        let mut dedupe = Dedupe::create(config(&disk, &jobs)).unwrap();
        let (mut log, mut group) = (Vec::<Key>::new(), Vec::new());
        let mut stored = HashSet::new();
        for step in steps {
            match step {
                Step::Send(key) => {
                    let event = event_key(&mut dedupe, key);
                    let known = stored.contains(&key) || group.contains(&key);
                    let expected = if known { Verdict::Duplicate } else { Verdict::Fresh };
                    prop_assert_eq!(dedupe.check_and_stage(1, event, START), expected);
                    if !known {
                        group.push(key);
                    }
                }
                Step::Commit => {
                    stored.extend(group.iter().copied());
                    log.append(&mut group);
                    dedupe.commit(log.len() as u64).unwrap();
                }
                Step::Rollback => {
                    dedupe.rollback();
                    group.clear();
                }
                Step::Work => {
                    jobs.run_one();
                }
                Step::Snapshot if group.is_empty() => {
                    let snapshot = dedupe.snapshot().unwrap();
                    jobs.background()(Box::new(move || snapshot.write().unwrap()));
                }
                Step::Snapshot => {
                    prop_assert!(matches!(dedupe.snapshot(), Err(DedupeError::GroupStaged)));
                }
                Step::Crash => {
                    group.clear();
                    jobs.forget();
                    let kept = dedupe.snapshot_position().load(Ordering::Acquire);
                    dedupe = Dedupe::load(config(&disk, &jobs), kept..log.len() as u64).unwrap();
                    prop_assert_eq!(dedupe.position(), kept);
                    for &key in &log[dedupe.position() as usize..] {
                        let event = event_key(&mut dedupe, key);
                        dedupe.replay(1, event, START);
                    }
                    dedupe.commit(log.len() as u64).unwrap();
                }
            }
            if group.is_empty() {
                let missing = dedupe.missing();
                missing.ask();
                dedupe.name_gaps();
                prop_assert!(missing.is_named());
                let gaps: Vec<_> =
                    missing.gaps(1, None, usize::MAX).into_iter().map(|gap| (gap.stream, gap.ranges)).collect();
                let mut holes: Vec<_> = dedupe.streams().iter().map(|(key, s)| (key, s.holes())).collect();
                holes.retain(|(_, holes)| !holes.is_empty());
                holes.sort();
                let all = holes.iter().flat_map(|(_, holes)| holes);
                prop_assert_eq!(missing.of(1), all.map(|(from, to)| to - from + 1).sum::<u64>());
                holes.iter_mut().for_each(|(_, holes)| holes.truncate(crate::NAMED_RANGES));
                prop_assert_eq!(gaps, holes);
            }
        }
    }
}

#[test]
fn two_phones_restored_from_one_backup_do_not_shadow_each_other() {
    let mut dedupe = new(&SimDisk::new(1));
    for epoch in [11, 12] {
        for number in 1..100 {
            let key = Key::Number { install: 1, epoch, lane: 3, number };
            let event = event_key(&mut dedupe, key);
            assert_eq!(dedupe.check_and_stage(1, event, START), Verdict::Fresh);
        }
    }
}

#[test]
fn holes_are_named_and_counted_until_explained_also_after_a_restart() {
    let disk = SimDisk::new(1);
    let mut dedupe = new(&disk);
    let producer = dedupe.producer(1, [1; 16], 1);
    for number in [1, 2, 5, 9] {
        dedupe.check_and_stage(1, EventKey::Numbered { producer, class: 1, lane: 3, number }, START);
    }
    dedupe.commit(4).unwrap();
    let missing = dedupe.missing();
    assert_eq!(missing.of(1), 5);
    dedupe.explain_loss(producer, 1, 3, (3, 3)).unwrap();
    dedupe.commit(4).unwrap();
    assert_eq!((missing.of(1), missing.of(2)), (4, 0));
    dedupe.snapshot().unwrap().write().unwrap();
    let mut again = Dedupe::load(config(&disk, &Manual::default()), 4..4).unwrap();
    again.missing().ask();
    again.name_gaps();
    let gaps = again.missing().gaps(1, None, 10);
    let stream = StreamKey { project: 1, install: [1; 16], epoch: 1, class: 1, lane: 3 };
    assert_eq!(gaps, [Gap { stream, missing: 4, ranges: vec![(4, 4), (6, 8)] }]);
    assert_eq!(again.missing().gaps(1, Some(stream), 10), []);
    assert_eq!(again.missing().gaps(2, None, 10), []);
    assert_eq!(again.missing().of(1), 4);
    let producer = again.producer(1, [1; 16], 1);
    for number in [4, 6, 7, 8, 3] {
        again.check_and_stage(1, EventKey::Numbered { producer, class: 1, lane: 3, number }, START);
    }
    again.commit(5).unwrap();
    assert_eq!(again.missing().of(1), 0);
}

#[test]
fn a_hole_of_any_size_is_counted_and_goes_again() {
    let mut dedupe = new(&SimDisk::new(1));
    let missing = dedupe.missing();
    for install in [1, 2] {
        let producer = dedupe.producer(1, [install; 16], 1);
        let key = EventKey::Numbered { producer, class: 1, lane: 3, number: u64::MAX };
        assert_eq!(dedupe.check_and_stage(1, key, START), Verdict::Refused(Refusal::BadNumber));
        dedupe.replay(1, key, START); // What is stored is a member.
        dedupe.commit(1).unwrap();
        assert_eq!(missing.of(1), if install == 1 { u64::MAX - 1 } else { u64::MAX });
    }
    for install in [1, 2] {
        let producer = dedupe.producer(1, [install; 16], 1);
        dedupe.explain_loss(producer, 1, 3, (1, u64::MAX)).unwrap();
    }
    dedupe.commit(1).unwrap();
    assert_eq!(missing.of(1), 0);
}

#[test]
fn without_the_snapshot_a_trimmed_log_is_refused() {
    let disk = SimDisk::new(1);
    let load = |log| Dedupe::load(config(&disk, &Manual::default()), log).map(|_| ());
    assert!(load(0..9).is_ok());
    assert!(matches!(load(1..9), Err(DedupeError::BehindLog { covers: 0, log_first: 1 })));
}

#[test]
fn a_snapshot_that_is_not_ours_is_refused_by_name() {
    let disk = SimDisk::new(1);
    let mut dedupe = new(&disk);
    let producer = dedupe.producer(1, [1; 16], 1);
    dedupe.check_and_stage(1, EventKey::Numbered { producer, class: 1, lane: 3, number: 1 }, START);
    dedupe.commit(9).unwrap();
    dedupe.snapshot().unwrap().write().unwrap();
    let load = |log| Dedupe::load(config(&disk, &Manual::default()), log).map(|_| ());
    assert!(load(0..9).is_ok());
    assert!(matches!(load(0..8), Err(DedupeError::AheadOfLog { covers: 9, log_end: 8, .. })));
    assert!(matches!(load(10..11), Err(DedupeError::BehindLog { covers: 9, log_first: 10 })));
    let sound = read_whole(&disk, SNAPSHOT).unwrap();
    for at in 0..sound.len() {
        let mut damaged = sound.clone();
        damaged[at] ^= 16;
        replace(&disk, SNAPSHOT, &damaged).unwrap();
        let refused = load(0..9);
        let newer = matches!(refused, Err(DedupeError::NewerVersion { .. }));
        assert!(newer || matches!(refused, Err(DedupeError::Corrupt { .. })), "byte {at}: {refused:?}");
        replace(&disk, SNAPSHOT, &sound[..at]).unwrap();
        assert!(matches!(load(0..9), Err(DedupeError::Corrupt { .. })), "cut at {at}");
    }
}
