//! One suite over every implementation. `reopen` drops the store and opens it again; the memory
//! store's does nothing.

use proptest::prelude::*;

use crate::{
    EmbeddedStore, Environment, FunnelRow, KeyRow, LedgerCell, MemoryStore, NewProject, PrivacyRow,
    REFUSED_KEPT, SecretRow, Store, StoreError,
};

struct Subject {
    store: Option<Box<dyn Store>>,
    dir: Option<tempfile::TempDir>,
}

impl Subject {
    fn both() -> [Self; 2] {
        let memory = Self { store: Some(Box::new(MemoryStore::new())), dir: None };
        let mut embedded = Self { store: None, dir: Some(tempfile::tempdir().unwrap()) };
        embedded.reopen();
        [memory, embedded]
    }

    fn reopen(&mut self) {
        if let Some(dir) = &self.dir {
            self.store = None;
            let store = EmbeddedStore::open(&dir.path().join("state")).unwrap();
            self.store = Some(Box::new(store));
        }
    }

    fn get(&self) -> &dyn Store {
        self.store.as_deref().unwrap()
    }
}

fn project(id: &str, title: &str, at: i64) -> NewProject {
    NewProject { id: id.into(), title: title.into(), time_zone: "UTC".into(), created_at_us: at }
}

fn key(id: &str, hash: u8) -> KeyRow {
    KeyRow {
        id: id.into(),
        project: "p".into(),
        label: "web".into(),
        environment: Environment::Prod,
        hash: [hash; 32],
        created_at_us: 1,
        last_used_at_us: None,
        revoked_at_us: None,
    }
}

fn funnel(project: &str, id: &str, position: u64) -> FunnelRow {
    FunnelRow { project: project.into(), id: id.into(), json: "{}".into(), version: 1, position }
}

fn cell(minute: i64, reason: &str) -> LedgerCell {
    LedgerCell { project: 1, minute, outcome: 2, reason: reason.into() }
}

fn is_conflict<T>(result: crate::Result<T>) -> bool {
    matches!(result, Err(StoreError::Conflict { .. }))
}

#[test]
fn projects_are_numbered_densely_and_created_once() {
    for mut s in Subject::both() {
        assert_eq!(s.get().create_project(&project("z", "Z", 5)).unwrap().number, 1);
        assert!(is_conflict(s.get().create_project(&project("z", "other", 5))));
        assert_eq!(s.get().create_project(&project("z", "Z", 9)).unwrap().created_at_us, 5);
        s.reopen();
        assert_eq!(s.get().create_project(&project("a", "A", 6)).unwrap().number, 2);
        let ids: Vec<_> = s.get().projects().unwrap().into_iter().map(|row| row.id).collect();
        assert_eq!(ids, ["a", "z"]);
        assert_eq!(s.get().project("none").unwrap(), None);
        let long = "x".repeat(256);
        for bad in ["", long.as_str()] {
            let result = s.get().create_project(&project(bad, "", 0));
            assert!(matches!(result, Err(StoreError::Invalid(_))));
        }
    }
}

#[test]
fn keys_are_found_by_hash_touched_and_revoked() {
    for mut s in Subject::both() {
        assert!(matches!(s.get().create_key(&key("k", 1)), Err(StoreError::NotFound { .. })));
        s.get().create_project(&project("p", "P", 0)).unwrap();
        s.get().create_key(&key("k", 1)).unwrap();
        assert!(is_conflict(s.get().create_key(&key("k", 2))));
        assert!(is_conflict(s.get().create_key(&key("other", 1))));
        s.get().touch_key("k", 20).unwrap();
        s.get().touch_key("k", 10).unwrap();
        s.get().revoke_key("k", 50).unwrap();
        s.get().revoke_key("k", 60).unwrap();
        s.get().create_key(&key("k", 1)).unwrap();
        s.reopen();
        let row = s.get().key_by_hash(&[1; 32]).unwrap().unwrap();
        assert_eq!((row.last_used_at_us, row.revoked_at_us), (Some(20), Some(50)));
        assert!(row.is_revoked_at(50) && !row.is_revoked_at(49));
        assert_eq!(s.get().keys("p").unwrap(), [row]);
        assert!(s.get().keys("q").unwrap().is_empty());
        assert_eq!(s.get().key_by_hash(&[2; 32]).unwrap(), None);
        assert!(matches!(s.get().touch_key("x", 1), Err(StoreError::NotFound { .. })));
        assert!(matches!(s.get().revoke_key("x", 1), Err(StoreError::NotFound { .. })));
    }
}

#[test]
fn secrets_and_privacy_requests_stay() {
    for mut s in Subject::both() {
        let secret = SecretRow { name: "jwt".into(), bytes: vec![0, 255] };
        s.get().put_secret(&secret).unwrap();
        let mut request =
            PrivacyRow { project: "p".into(), id: "r".into(), kind: 1, actor: "a".into(), received_at_us: 7 };
        s.get().put_privacy(&request).unwrap();
        request.received_at_us = 8;
        s.get().put_privacy(&request).unwrap();
        request.kind = 2;
        assert!(is_conflict(s.get().put_privacy(&request)));
        s.reopen();
        assert_eq!(s.get().secret("jwt").unwrap(), Some(secret.clone()));
        assert!(!format!("{secret:?}").contains("255"));
        let rows = s.get().privacy("p", "", 10).unwrap();
        assert_eq!((rows.len(), rows[0].kind, rows[0].received_at_us), (1, 1, 7));
        s.get().put_privacy(&PrivacyRow { id: "s".into(), ..request.clone() }).unwrap();
        s.get().put_privacy(&PrivacyRow { project: "q".into(), id: "t".into(), ..request.clone() }).unwrap();
        let ids = |after, limit| {
            let rows = s.get().privacy("p", after, limit).unwrap();
            rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
        };
        assert_eq!((ids("", 1), ids("r", 9), ids("s", 9)), (vec!["r".into()], vec!["s".into()], vec![]));
    }
}

#[test]
fn funnels_page_in_order_and_old_positions_lose() {
    for mut s in Subject::both() {
        for (p, id) in [("p", "b"), ("p", "a"), ("p", "c"), ("q", "d"), ("o", "e")] {
            assert!(s.get().put_funnel(&funnel(p, id, 10)).unwrap());
        }
        assert!(!s.get().put_funnel(&funnel("p", "a", 9)).unwrap());
        assert!(s.get().put_funnel(&funnel("p", "a", 11)).unwrap());
        s.reopen();
        let ids = |after, limit| {
            let rows = s.get().funnels("p", after, limit).unwrap();
            rows.into_iter().map(|row| row.id).collect::<Vec<_>>().concat()
        };
        assert_eq!(ids(None, 2), "ab");
        assert_eq!(ids(Some("a"), 1), "b");
        assert_eq!(ids(Some("aa"), 9), "bc");
        assert_eq!(ids(None, 0), "");
        assert_eq!(s.get().funnel("p", "a").unwrap().unwrap().position, 11);
        assert!(!s.get().delete_funnel("p", "a", 10).unwrap(), "it was made later");
        assert!(s.get().delete_funnel("p", "a", 12).unwrap());
        assert!(!s.get().delete_funnel("p", "a", 12).unwrap());
        assert_eq!(s.get().funnel("p", "a").unwrap(), None);
    }
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
