use proptest::prelude::*;

use super::*;
use crate::DefinitionKind::{self, Funnel, Metric, Rule, Segment};
use crate::DefinitionRow;

fn definition(project: &str, kind: DefinitionKind, id: &str, position: u64) -> DefinitionRow {
    DefinitionRow { project: project.into(), kind, id: id.into(), json: "{}".into(), version: 1, position }
}

fn ids(store: &dyn Store, kind: DefinitionKind, after: Option<&str>, limit: usize) -> String {
    let rows = store.definitions("p", kind, after, limit).unwrap();
    rows.into_iter().map(|row| row.id).collect::<Vec<_>>().concat()
}

#[test]
fn definitions_page_in_order_and_old_positions_lose() {
    for kind in [Funnel, Metric, Segment, Rule] {
        for mut s in Subject::both() {
            for (p, id) in [("p", "b"), ("p", "a"), ("p", "c"), ("q", "d"), ("o", "e")] {
                assert!(s.get().put_definition(&definition(p, kind, id, 10)).unwrap());
            }
            assert!(!s.get().put_definition(&definition("p", kind, "a", 9)).unwrap());
            let newest = DefinitionRow { json: "[]".into(), version: 2, ..definition("p", kind, "a", 11) };
            assert!(s.get().put_definition(&newest).unwrap());
            s.reopen();
            assert_eq!(ids(s.get(), kind, None, 2), "ab");
            assert_eq!(ids(s.get(), kind, Some("a"), 1), "b");
            assert_eq!(ids(s.get(), kind, Some("aa"), 9), "bc");
            assert_eq!(ids(s.get(), kind, Some("c"), 9), "");
            assert_eq!(ids(s.get(), kind, None, 0), "");
            assert_eq!(s.get().definition("p", kind, "a").unwrap(), Some(newest));
            assert!(!s.get().delete_definition("p", kind, "a", 10).unwrap(), "it was made later");
            assert!(s.get().delete_definition("p", kind, "a", 12).unwrap());
            assert!(!s.get().delete_definition("p", kind, "a", 12).unwrap());
            s.reopen();
            assert_eq!(s.get().definition("p", kind, "a").unwrap(), None);
            assert_eq!(ids(s.get(), kind, None, 9), "bc");
        }
    }
}

#[test]
fn definitions_of_different_kinds_may_have_one_id() {
    for mut s in Subject::both() {
        for (position, kind) in [Segment, Rule, Funnel, Metric].into_iter().enumerate() {
            s.get().put_definition(&definition("p", kind, "x", position as u64)).unwrap();
        }
        s.get().put_definition(&definition("p", Metric, "y", 9)).unwrap();
        assert!(s.get().delete_definition("p", Metric, "x", 9).unwrap());
        s.reopen();
        assert_eq!(
            [Funnel, Metric, Rule, Segment].map(|kind| ids(s.get(), kind, None, 9)),
            ["x", "y", "x", "x"]
        );
        let row = s.get().definition("p", Segment, "x").unwrap().unwrap();
        assert_eq!((row.kind, row.position), (Segment, 0));
    }
}

#[test]
fn a_definition_needs_names() {
    for s in Subject::both() {
        let long = "x".repeat(256);
        for (project, id) in [("", "x"), ("p", ""), ("p", long.as_str())] {
            let result = s.get().put_definition(&definition(project, Funnel, id, 1));
            assert!(matches!(result, Err(StoreError::Invalid(_))));
        }
    }
}

#[test]
fn kinds_are_named_the_same_in_keys_and_in_rows() {
    for (kind, name) in [(Funnel, "funnel"), (Metric, "metric"), (Segment, "segment")] {
        assert_eq!(kind.name(), name);
        assert_eq!(serde_json::to_value(kind).unwrap(), name);
    }
}

/// A change to a definition: its kind, its id, and whether it exists from then on.
type Change = (DefinitionKind, String, bool);

fn apply(store: &dyn Store, (kind, id, exists): &Change, position: u64) {
    if *exists {
        store.put_definition(&definition("p", *kind, id, position)).unwrap();
    } else {
        store.delete_definition("p", *kind, id, position).unwrap();
    }
}

/// The last change to each definition decides; a deleted one may be back while its deletion is `ahead` of the reader.
fn check(store: &dyn Store, read: &[Change], ahead: bool) {
    for (kind, id, _) in read {
        let last = read.iter().rposition(|(k, i, _)| (k, i) == (kind, id)).unwrap();
        let found = store.definition("p", *kind, id).unwrap().map(|row| row.position);
        if read[last].2 {
            assert_eq!(found, Some(last as u64));
        } else if !ahead {
            assert_eq!(found, None);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Law 5, at every moment of readers that begin anywhere up to where they stopped.
    #[test]
    fn replays_lose_no_definition_and_leave_those_of_one_pass(
        log in prop::collection::vec((prop::sample::select(vec![Funnel, Metric, Segment, Rule]), "[ab]", any::<bool>()), 1..20),
        passes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..6),
    ) {
        for mut s in Subject::both() {
            let (mut read, mut stopped) = (0, 0);
            for (from, to) in &passes {
                // Whoever begins again begins where it stopped or before, else it would miss what it undid.
                let from = from.index(stopped + 1);
                let to = from + to.index(log.len() - from + 1);
                for (position, change) in log.iter().enumerate().take(to).skip(from) {
                    apply(s.get(), change, position as u64);
                    read = read.max(position + 1);
                    check(s.get(), &log[..read], position + 1 < read);
                }
                stopped = to;
                s.reopen();
            }
        }
    }
}
