use proptest::prelude::*;

use super::*;
use crate::{LedgerCell, OutcomeStore, REFUSED_KEPT};

fn cell(minute: i64, reason: &str) -> LedgerCell {
    LedgerCell { project: 1, minute, outcome: 2, reason: reason.into() }
}

#[test]
fn the_ledger_adds_once_and_wholly() {
    for mut s in Subject::both() {
        assert_eq!(s.get().ledger_position().unwrap(), None);
        let cells = [(cell(-1, ""), 1), (cell(5, "b"), 2), (cell(5, "b"), 3), (cell(6, "a"), 0)];
        assert!(s.get().apply_ledger(&cells, 0).unwrap());
        assert!(!s.get().apply_ledger(&cells, 0).unwrap());
        let overflow = s.get().apply_ledger(&[(cell(-1, ""), 1), (cell(5, "b"), u64::MAX)], 1);
        assert!(matches!(overflow, Err(StoreError::Invalid(_))));
        s.reopen();
        assert_eq!(s.get().ledger_position().unwrap(), Some(0));
        let all = [(cell(-1, ""), 1), (cell(5, "b"), 5)];
        assert_eq!(s.get().ledger(1, i64::MIN, i64::MAX).unwrap(), all);
        assert_eq!(s.get().ledger(1, 0, 5).unwrap(), []);
        assert_eq!(s.get().ledger(1, 5, 6).unwrap(), all[1..]);
        assert_eq!(s.get().ledger(1, 6, 5).unwrap(), []);
        assert_eq!(s.get().ledger(2, 0, 9).unwrap(), []);
    }
}

#[test]
fn the_refused_ring_keeps_the_newest() {
    for mut s in Subject::both() {
        let rows: Vec<Vec<u8>> = (0..2_500).map(|n: u32| n.to_string().into_bytes()).collect();
        s.get().push_refused("p", &rows[..3]).unwrap();
        s.get().push_refused("q", &rows[..1]).unwrap();
        s.get().push_refused("p", &rows[3..2_400]).unwrap();
        s.reopen();
        s.get().push_refused("p", &rows[2_400..]).unwrap();
        s.get().push_refused("p", &[]).unwrap();
        let kept = s.get().refused("p", usize::MAX).unwrap();
        assert_eq!(kept.len(), REFUSED_KEPT);
        assert_eq!((kept[0].sequence, kept[999].sequence), (2_499, 1_500));
        assert!(kept.iter().all(|row| row.json == row.sequence.to_string().into_bytes()));
        assert_eq!(s.get().refused("p", 2).unwrap(), kept[..2]);
        assert_eq!(s.get().refused("q", 9).unwrap().len(), 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Law 5: a reader that restarts anywhere behind and replays gives the counts of one pass.
    #[test]
    fn replays_leave_the_ledger_of_one_pass(
        log in prop::collection::vec(prop::collection::vec((0i64..4, 0u8..3, "[ab]?", 0u64..9), 0..5), 1..12),
        restarts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..5),
    ) {
        let log: Vec<Vec<(LedgerCell, u64)>> = log
            .into_iter()
            .map(|cells| cells.into_iter().map(|(minute, outcome, reason, count)| {
                (LedgerCell { project: 1, minute, outcome, reason }, count)
            }).collect())
            .collect();
        let once = MemoryStore::new();
        for (position, cells) in log.iter().enumerate() {
            once.apply_ledger(cells, position as u64).unwrap();
        }
        for mut s in Subject::both() {
            let mut next = 0;
            for (stop, back) in &restarts {
                let stop = next + stop.index(log.len() - next + 1);
                #[allow(clippy::needless_range_loop)] // The position is what is tested.
                for position in next..stop {
                    s.get().apply_ledger(&log[position], position as u64).unwrap();
                }
                s.reopen();
                let done = s.get().ledger_position().unwrap().map_or(0, |p| p as usize + 1);
                next = back.index(done + 1);
            }
            #[allow(clippy::needless_range_loop)] // The position is what is tested.
            for position in next..log.len() {
                s.get().apply_ledger(&log[position], position as u64).unwrap();
            }
            prop_assert_eq!(s.get().ledger(1, 0, 9).unwrap(), once.ledger(1, 0, 9).unwrap());
            prop_assert_eq!(s.get().ledger_position().unwrap(), once.ledger_position().unwrap());
        }
    }
}
