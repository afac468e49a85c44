use super::*;

fn ids(store: &dyn Store, open: bool, after: Option<(i64, &str)>, limit: usize) -> String {
    store.incidents(1, open, after, limit).unwrap().into_iter().map(|row| row.id).collect()
}

#[test]
fn incidents_page_newest_first_with_equal_times_by_id() {
    for mut s in Subject::both() {
        let rows = [("b", 5, true), ("a", 5, false), ("c", 5, true), ("d", -1, true), ("e", 9, false)];
        let mut rows: Vec<_> = rows.into_iter().map(|(id, at, open)| incident(id, at, open)).collect();
        rows.extend([0, 2, u32::MAX].map(|project| IncidentRow { project, ..incident("x", 5, true) }));
        assert!(s.get().apply_alerts(&incidents(&rows), 1).unwrap());
        s.reopen();
        assert_eq!(ids(s.get(), false, None, 9), "ecbad");
        assert_eq!(ids(s.get(), false, None, 2), "ec");
        assert_eq!(ids(s.get(), false, Some((5, "c")), 2), "ba");
        assert_eq!(ids(s.get(), false, Some((5, "bb")), 9), "bad", "one that is gone");
        assert_eq!(ids(s.get(), false, Some((-1, "d")), 9), "");
        assert_eq!(ids(s.get(), false, Some((i64::MIN, "")), 9), "");
        assert_eq!(ids(s.get(), true, None, 9), "cbd");
        assert_eq!(ids(s.get(), true, Some((5, "c")), 1), "b");
        assert_eq!(ids(s.get(), true, None, 0), "");
        assert_eq!(s.get().incidents(u32::MAX, true, None, 9).unwrap(), rows[7..]);
        assert_eq!(s.get().incidents(3, false, None, 9).unwrap(), []);
        assert_eq!(s.get().incident(3, "a").unwrap(), None);
    }
}

#[test]
fn an_incident_takes_its_own_place() {
    for mut s in Subject::both() {
        s.get().apply_alerts(&incidents(&[incident("a", 5, true), incident("b", 4, true)]), 1).unwrap();
        let closed = IncidentRow { open: false, changed_us: 8, json: "2".into(), ..incident("a", 5, true) };
        s.get().apply_alerts(&incidents(&[incident("a", 5, true), closed.clone()]), 2).unwrap();
        s.reopen();
        assert_eq!((ids(s.get(), false, None, 9), ids(s.get(), true, None, 9)), ("ab".into(), "b".into()));
        assert_eq!(s.get().incident(1, "a").unwrap(), Some(closed));
        s.get().apply_alerts(&incidents(&[incident("a", 5, true)]), 3).unwrap();
        assert_eq!(ids(s.get(), true, None, 9), "ab");
    }
}

#[test]
fn transitions_are_listed_in_the_order_of_the_log() {
    for mut s in Subject::both() {
        let rows = [(2, 0, "a"), (2, 1, "b"), (10, 0, "a"), (u64::MAX, u32::MAX, "a")];
        let rows = rows.map(|(position, index, of)| transition(position, index, of));
        let mut given: Vec<_> = rows.iter().rev().cloned().collect();
        given.push(TransitionRow { project: 2, ..transition(3, 0, "a") });
        s.get().apply_alerts(&transitions(&given), 2).unwrap();
        s.reopen();
        assert_eq!(s.get().transitions(1, (0, 0), 9).unwrap(), rows);
        assert_eq!(s.get().transitions(1, (2, 1), 2).unwrap(), rows[1..3]);
        assert_eq!(s.get().transitions(1, (2, 2), 9).unwrap(), rows[2..]);
        let of_a = [rows[0].clone(), rows[2].clone(), rows[3].clone()];
        assert_eq!(s.get().transitions_of(1, "a").unwrap(), of_a);
        assert_eq!(s.get().transitions_of(1, "c").unwrap(), []);
        assert_eq!(s.get().transitions_of(3, "a").unwrap(), []);
    }
}

#[test]
fn a_trim_keeps_what_is_open_and_what_is_new() {
    for mut s in Subject::both() {
        let late = IncidentRow { changed_us: 10, ..incident("late", 1, false) };
        let over = IncidentRow { changed_us: 9, ..incident("over", 1, false) };
        let elsewhere = IncidentRow { project: 2, ..over.clone() };
        let rows = [incident("open", 1, true), late, over, elsewhere];
        s.get().apply_alerts(&incidents(&rows), 1).unwrap();
        let reasons = [transition(1, 0, "over"), transition(1, 1, "open"), transition(2, 0, "over")];
        s.get().apply_alerts(&transitions(&reasons), 2).unwrap();
        assert_eq!(s.get().trim_alerts(1, 10).unwrap(), 3);
        assert_eq!(s.get().trim_alerts(1, 10).unwrap(), 0);
        s.reopen();
        assert_eq!(ids(s.get(), false, None, 9), "openlate");
        assert_eq!(s.get().incident(1, "over").unwrap(), None);
        assert_eq!(s.get().transitions(1, (0, 0), 9).unwrap(), reasons[1..2]);
        assert_eq!(s.get().transitions_of(1, "over").unwrap(), []);
        assert_eq!(s.get().incidents(2, false, None, 9).unwrap(), rows[3..]);
        assert!(!s.get().apply_alerts(&incidents(&rows), 2).unwrap(), "a replay brings nothing back");
    }
}
