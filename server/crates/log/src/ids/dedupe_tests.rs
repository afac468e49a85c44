//! Both judges together against plain sets, with groups, failures and restarts.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

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
        1 => Just(Step::Snapshot),
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

fn config(dir: &Path) -> DedupeConfig {
    let mut config = DedupeConfig::new(dir.join("ids"));
    config.ids.flush_at = 7;
    config
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
    #[test]
    fn stored_once_and_never_called_stored_when_it_is_not(steps in prop::collection::vec(step(), 0..400)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("snapshot");
        let mut dedupe = Dedupe::create(config(dir.path())).unwrap();
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
                Step::Snapshot if group.is_empty() => dedupe.snapshot_to(&path).unwrap(),
                Step::Snapshot => {
                    prop_assert!(matches!(dedupe.snapshot_to(&path), Err(DedupeError::GroupStaged)));
                }
                Step::Crash => {
                    group.clear();
                    dedupe = Dedupe::load(&path, config(dir.path()), log.len() as u64).unwrap();
                    for &key in &log[dedupe.position() as usize..] {
                        let event = event_key(&mut dedupe, key);
                        dedupe.replay(1, event, START);
                    }
                    dedupe.commit(log.len() as u64).unwrap();
                }
            }
        }
    }
}

#[test]
fn two_phones_restored_from_one_backup_do_not_shadow_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut dedupe = Dedupe::create(config(dir.path())).unwrap();
    for epoch in [11, 12] {
        for number in 1..100 {
            let key = Key::Number { install: 1, epoch, lane: 3, number };
            let event = event_key(&mut dedupe, key);
            assert_eq!(dedupe.check_and_stage(1, event, START), Verdict::Fresh);
        }
    }
}

#[test]
fn holes_are_named_until_explained_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("snapshot");
    let mut dedupe = Dedupe::create(config(dir.path())).unwrap();
    let producer = dedupe.producer(1, [1; 16], 1);
    for number in [1, 2, 5, 9] {
        dedupe.check_and_stage(1, EventKey::Numbered { producer, class: 1, lane: 3, number }, START);
    }
    dedupe.commit(4).unwrap();
    dedupe.explain_loss(producer, 1, 3, (3, 3)).unwrap();
    dedupe.snapshot_to(&path).unwrap();
    let again = Dedupe::load(&path, config(dir.path()), 4).unwrap();
    let holes: Vec<_> = again.holes(1, 10).map(|(key, holes)| (key.lane, holes)).collect();
    assert_eq!(holes, [(3, vec![(4, 4), (6, 8)])]);
    assert_eq!(again.holes(2, 10).count(), 0);
}

#[test]
fn a_snapshot_that_is_not_ours_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("snapshot");
    let mut dedupe = Dedupe::create(config(dir.path())).unwrap();
    let producer = dedupe.producer(1, [1; 16], 1);
    dedupe.check_and_stage(1, EventKey::Numbered { producer, class: 1, lane: 3, number: 1 }, START);
    dedupe.commit(9).unwrap();
    dedupe.snapshot_to(&path).unwrap();
    let load = |log_end| Dedupe::load(&path, config(dir.path()), log_end).map(|_| ());
    assert!(load(9).is_ok());
    assert!(matches!(load(8), Err(DedupeError::AheadOfLog { covers: 9, log_end: 8, .. })));
    let sound = std::fs::read(&path).unwrap();
    for at in 0..sound.len() {
        let mut damaged = sound.clone();
        damaged[at] ^= 16;
        std::fs::write(&path, &damaged).unwrap();
        let refused = load(9);
        let newer = matches!(refused, Err(DedupeError::NewerVersion { .. }));
        assert!(newer || matches!(refused, Err(DedupeError::Corrupt { .. })), "byte {at}: {refused:?}");
        std::fs::write(&path, &sound[..at]).unwrap();
        assert!(matches!(load(9), Err(DedupeError::Corrupt { .. })), "cut at {at}");
    }
}
