use super::*;
use crate::DeliveryFilter;

const ALL: DeliveryFilter<'_> = DeliveryFilter { destination: None, incident: None };

fn names(rows: crate::Result<Vec<DeliveryRow>>) -> String {
    let names = rows.unwrap().into_iter().map(|row| format!("{}{}", row.destination, row.sequence));
    names.collect::<Vec<_>>().join(" ")
}

#[test]
fn destinations_are_replaced_and_page_by_id() {
    for mut s in Subject::both() {
        for (project, id) in [("p", "b"), ("p", "a"), ("p", "c"), ("q", "d"), ("o", "e")] {
            s.get().put_destination(&destination(project, id)).unwrap();
        }
        let newer = DestinationRow { version: 2, ..destination("p", "b") };
        s.get().put_destination(&newer).unwrap();
        s.reopen();
        assert_eq!(s.get().destination("p", "b").unwrap(), Some(newer.clone()));
        assert_eq!(s.get().destination("p", "d").unwrap(), None);
        let all = [destination("p", "a"), newer.clone(), destination("p", "c")];
        assert_eq!(s.get().destinations("p", None, 9).unwrap(), all);
        assert_eq!(s.get().destinations("p", Some("a"), 1).unwrap(), all[1..2]);
        assert_eq!(s.get().destinations("p", Some("aa"), 9).unwrap(), all[1..]);
        assert_eq!(s.get().destinations("p", None, 0).unwrap(), []);
        assert_eq!(s.get().destinations("none", None, 9).unwrap(), []);
        assert!(!format!("{newer:?}").contains("s3"));
    }
}

#[test]
fn a_delivery_that_is_there_stays_as_it_is() {
    for mut s in Subject::both() {
        let first = delivery("d", 1, 5, true);
        let again = DeliveryRow { json: "again".into(), ..first.clone() };
        s.get().apply_alerts(&deliveries(&[first.clone(), again.clone()]), 1).unwrap();
        s.get().apply_alerts(&deliveries(std::slice::from_ref(&again)), 2).unwrap();
        assert_eq!(s.get().pending_deliveries(1, "d", 9).unwrap(), [first]);
        let done = DeliveryRow { pending: false, json: "done".into(), ..again.clone() };
        s.get().update_delivery(&done).unwrap();
        s.get().update_delivery(&done).unwrap();
        s.get().apply_alerts(&deliveries(&[again]), 3).unwrap();
        s.reopen();
        assert_eq!(s.get().pending_deliveries(1, "d", 9).unwrap(), []);
        assert_eq!(s.get().deliveries(1, ALL, None, 9).unwrap(), [done]);
        for unknown in [delivery("d", 2, 5, true), delivery("e", 1, 5, true)] {
            assert!(matches!(s.get().update_delivery(&unknown), Err(StoreError::NotFound { .. })));
        }
        assert_eq!(s.get().busy_destinations().unwrap(), []);
    }
}

#[test]
fn deliveries_page_newest_first_and_pending_ones_oldest_first() {
    for mut s in Subject::both() {
        let mut rows = vec![delivery("a", 3, 5, true), delivery("a", 1, 5, true), delivery("b", 1, 5, false)];
        rows.extend([delivery("b", u64::MAX, 6, true), delivery("c", 9, -2, false)]);
        rows[0].incident = String::new();
        rows.extend([0, 2].map(|project| DeliveryRow { project, ..delivery("a", 2, 5, true) }));
        s.get().apply_alerts(&deliveries(&rows), 1).unwrap();
        s.reopen();
        let max = u64::MAX;
        assert_eq!(names(s.get().deliveries(1, ALL, None, 9)), format!("b{max} b1 a3 a1 c9"));
        assert_eq!(names(s.get().deliveries(1, ALL, Some((5, "b", 1)), 2)), "a3 a1");
        assert_eq!(names(s.get().deliveries(1, ALL, Some((5, "aa", 0)), 9)), "a3 a1 c9");
        assert_eq!(names(s.get().deliveries(1, ALL, None, 0)), "");
        let to_b = DeliveryFilter { destination: Some("b"), ..ALL };
        assert_eq!(names(s.get().deliveries(1, to_b, None, 1)), format!("b{max}"));
        assert_eq!(names(s.get().deliveries(1, to_b, Some((6, "b", max)), 1)), "b1");
        let of_i = DeliveryFilter { incident: Some("i"), ..ALL };
        assert_eq!(names(s.get().deliveries(1, of_i, None, 9)), format!("b{max} b1 a1 c9"));
        let tests = DeliveryFilter { destination: Some("a"), incident: Some("") };
        assert_eq!(names(s.get().deliveries(1, tests, None, 9)), "a3");
        assert_eq!(names(s.get().pending_deliveries(1, "a", 9)), "a1 a3");
        assert_eq!(names(s.get().pending_deliveries(1, "a", 1)), "a1");
        let busy = [(0, "a"), (1, "a"), (1, "b"), (2, "a")].map(|(project, id)| (project, id.to_owned()));
        assert_eq!(s.get().busy_destinations().unwrap(), busy);
    }
}

#[test]
fn a_destination_takes_its_pending_deliveries_along() {
    for mut s in Subject::both() {
        for id in ["p", "q"] {
            s.get().create_project(&project(id, "", 0)).unwrap();
        }
        s.get().put_destination(&destination("p", "a")).unwrap();
        s.get().put_destination(&destination("unknown", "a")).unwrap();
        let mut rows = vec![delivery("a", 1, 1, true), delivery("a", 2, 1, false), delivery("b", 1, 1, true)];
        rows.push(DeliveryRow { project: 2, ..delivery("a", 1, 1, true) });
        s.get().apply_alerts(&deliveries(&rows), 1).unwrap();
        assert!(!s.get().delete_destination("q", "a").unwrap());
        assert!(s.get().delete_destination("unknown", "a").unwrap(), "a project without a number");
        assert_eq!(s.get().busy_destinations().unwrap().len(), 3);
        assert!(s.get().delete_destination("p", "a").unwrap());
        assert!(!s.get().delete_destination("p", "a").unwrap());
        s.reopen();
        assert_eq!(names(s.get().deliveries(1, ALL, None, 9)), "b1 a2");
        assert_eq!(names(s.get().pending_deliveries(1, "a", 9)), "");
        assert_eq!(names(s.get().pending_deliveries(2, "a", 9)), "a1");
        assert!(matches!(s.get().update_delivery(&rows[0]), Err(StoreError::NotFound { .. })));
        assert!(!s.get().apply_alerts(&deliveries(&rows), 1).unwrap(), "a replay brings nothing back");
        assert_eq!(s.get().destination("p", "a").unwrap(), None);
    }
}

#[test]
fn a_trim_keeps_what_is_pending_and_what_is_new() {
    for mut s in Subject::both() {
        let rows = [delivery("a", 1, 9, false), delivery("a", 2, 9, true), delivery("a", 3, 10, false)];
        s.get().apply_alerts(&deliveries(&rows), 1).unwrap();
        assert_eq!(s.get().trim_alerts(2, 10).unwrap(), 0);
        assert_eq!(s.get().trim_alerts(1, i64::MIN).unwrap(), 0);
        assert_eq!(s.get().trim_alerts(1, 10).unwrap(), 1);
        s.reopen();
        assert_eq!(names(s.get().deliveries(1, ALL, None, 9)), "a3 a2");
        assert_eq!(names(s.get().pending_deliveries(1, "a", 9)), "a2");
        assert!(matches!(s.get().update_delivery(&rows[0]), Err(StoreError::NotFound { .. })));
    }
}
