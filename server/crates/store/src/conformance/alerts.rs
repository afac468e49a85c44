//! What alerts leave behind: a room for each subject, and both stores against each other.

mod agree;
mod deliveries;
mod incidents;
mod journal;

use super::*;
use crate::{AlertChanges, DeliveryRow, DestinationRow, IncidentRow, TransitionRow};

fn incident(id: &str, opened_us: i64, open: bool) -> IncidentRow {
    IncidentRow {
        project: 1,
        id: id.into(),
        rule: "r".into(),
        opened_us,
        open,
        changed_us: opened_us,
        json: r#"{"a":"\"é"}"#.into(),
    }
}

fn transition(position: u64, index: u32, incident: &str) -> TransitionRow {
    TransitionRow { project: 1, position, index, at_us: -7, incident: incident.into(), json: "{}".into() }
}

fn delivery(destination: &str, sequence: u64, made_us: i64, pending: bool) -> DeliveryRow {
    DeliveryRow {
        project: 1,
        destination: destination.into(),
        sequence,
        incident: "i".into(),
        made_us,
        pending,
        json: "{}".into(),
    }
}

fn destination(project: &str, id: &str) -> DestinationRow {
    DestinationRow { project: project.into(), id: id.into(), version: 1, json: r#"{"secret":"s3"}"#.into() }
}

fn incidents(rows: &[IncidentRow]) -> AlertChanges {
    AlertChanges { incidents: rows.to_vec(), ..AlertChanges::default() }
}

fn transitions(rows: &[TransitionRow]) -> AlertChanges {
    AlertChanges { transitions: rows.to_vec(), ..AlertChanges::default() }
}

fn deliveries(rows: &[DeliveryRow]) -> AlertChanges {
    AlertChanges { deliveries: rows.to_vec(), ..AlertChanges::default() }
}

fn is_invalid<T>(result: crate::Result<T>) -> bool {
    matches!(result, Err(StoreError::Invalid(_)))
}

#[test]
fn one_reason_changes_things_once_and_wholly() {
    for mut s in Subject::both() {
        assert_eq!(s.get().alerts_position().unwrap(), None);
        assert!(s.get().apply_alerts(&incidents(&[incident("a", 5, true)]), 0).unwrap());
        let replay = AlertChanges {
            incidents: vec![incident("a", 5, false), incident("b", 5, true)],
            transitions: vec![transition(0, 0, "a")],
            deliveries: vec![delivery("d", 1, 1, true)],
        };
        assert!(!s.get().apply_alerts(&replay, 0).unwrap());
        s.reopen();
        assert_eq!(s.get().alerts_position().unwrap(), Some(0));
        assert_eq!(s.get().incidents(1, false, None, 9).unwrap(), [incident("a", 5, true)]);
        assert_eq!(s.get().transitions(1, (0, 0), 9).unwrap(), []);
        assert_eq!(s.get().busy_destinations().unwrap(), []);
        assert!(s.get().apply_alerts(&replay, 7).unwrap());
        assert!(!s.get().apply_alerts(&incidents(&[incident("c", 5, true)]), 6).unwrap());
        s.reopen();
        assert_eq!(s.get().alerts_position().unwrap(), Some(7));
        assert_eq!(s.get().incident(1, "a").unwrap(), Some(incident("a", 5, false)));
        assert_eq!(s.get().transitions_of(1, "a").unwrap(), [transition(0, 0, "a")]);
        assert_eq!(s.get().busy_destinations().unwrap(), [(1, "d".to_owned())]);
        assert_eq!(s.get().incident(1, "c").unwrap(), None);
    }
}

#[test]
fn rows_need_names_and_one_without_keeps_all_out() {
    let long = "x".repeat(256);
    for s in Subject::both() {
        for bad in ["", long.as_str()] {
            let good = incident("a", 1, true);
            let unnamed = incidents(&[good.clone(), incident(bad, 1, true)]);
            assert!(is_invalid(s.get().apply_alerts(&unnamed, 1)));
            let ruleless = incidents(&[good.clone(), IncidentRow { rule: bad.into(), ..good }]);
            assert!(is_invalid(s.get().apply_alerts(&ruleless, 1)));
            assert!(is_invalid(s.get().apply_alerts(&transitions(&[transition(1, 0, bad)]), 1)));
            assert!(is_invalid(s.get().apply_alerts(&deliveries(&[delivery(bad, 1, 1, true)]), 1)));
            assert!(is_invalid(s.get().update_delivery(&delivery(bad, 1, 1, true))));
            assert!(is_invalid(s.get().put_destination(&destination(bad, "d"))));
            assert!(is_invalid(s.get().put_destination(&destination("p", bad))));
            assert_eq!(s.get().incident(1, bad).unwrap(), None);
            assert_eq!(s.get().destination("p", bad).unwrap(), None);
        }
        let of_too_long = DeliveryRow { incident: long.clone(), ..delivery("d", 1, 1, true) };
        assert!(is_invalid(s.get().apply_alerts(&deliveries(&[of_too_long]), 1)));
        let test = DeliveryRow { incident: String::new(), ..delivery("d", 1, 1, true) };
        assert_eq!(s.get().incidents(1, false, None, 9).unwrap(), []);
        assert_eq!(s.get().alerts_position().unwrap(), None);
        assert!(s.get().apply_alerts(&deliveries(&[test]), 1).unwrap());
    }
}
