use proptest::prelude::*;

use super::*;
use crate::{AlertRecordRow, DeliveryFilter};

/// Few names and times, so that rows meet.
const NAMES: [&str; 3] = ["a", "a\0", "b"];

#[derive(Debug, Clone)]
enum Op {
    Apply(AlertChanges, u64),
    Update(DeliveryRow),
    Record(AlertRecordRow),
    Image(u32, u64),
    PutDestination(&'static str),
    DeleteDestination(&'static str),
    Trim(u32, i64),
    Reopen,
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(NAMES.to_vec())
}

fn any_incident() -> impl Strategy<Value = IncidentRow> {
    (1u32..3, name(), 0i64..4, any::<bool>(), 0i64..6).prop_map(
        |(project, id, opened_us, open, changed_us)| IncidentRow {
            project,
            changed_us,
            ..incident(id, opened_us, open)
        },
    )
}

fn any_transition() -> impl Strategy<Value = TransitionRow> {
    (1u32..3, 0u64..6, 0u32..3, name()).prop_map(|(project, position, index, of)| TransitionRow {
        project,
        ..transition(position, index, of)
    })
}

fn any_delivery() -> impl Strategy<Value = DeliveryRow> {
    (1u32..3, name(), 0u64..4, name(), 0i64..6, any::<bool>()).prop_map(
        |(project, to, sequence, incident, made_us, pending)| {
            let incident = incident.to_owned();
            DeliveryRow { project, incident, ..delivery(to, sequence, made_us, pending) }
        },
    )
}

fn changes() -> impl Strategy<Value = AlertChanges> {
    let incidents = prop::collection::vec(any_incident(), 0..4);
    let transitions = prop::collection::vec(any_transition(), 0..4);
    (incidents, transitions, prop::collection::vec(any_delivery(), 0..4))
        .prop_map(|(incidents, transitions, deliveries)| AlertChanges { incidents, transitions, deliveries })
}

fn record() -> impl Strategy<Value = AlertRecordRow> {
    (1u32..3, 0u64..6, 0i64..2).prop_map(|(project, position, at_us)| AlertRecordRow {
        project,
        position,
        at_us,
        json: vec![1],
    })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (changes(), 0u64..30).prop_map(|(changes, position)| Op::Apply(changes, position)),
        3 => any_delivery().prop_map(Op::Update),
        2 => record().prop_map(Op::Record),
        1 => (1u32..3, 0u64..6).prop_map(|(project, position)| Op::Image(project, position)),
        1 => name().prop_map(Op::PutDestination),
        1 => name().prop_map(Op::DeleteDestination),
        1 => (1u32..3, 0i64..6).prop_map(|(project, before_us)| Op::Trim(project, before_us)),
        1 => Just(Op::Reopen),
    ]
}

/// Does it, and says what came of it.
fn apply(s: &mut Subject, op: &Op) -> String {
    match op {
        Op::Apply(changes, position) => format!("{:?}", s.get().apply_alerts(changes, *position)),
        Op::Update(row) => format!("{:?}", s.get().update_delivery(row)),
        Op::Record(row) => format!("{:?}", s.get().put_alert_record(row)),
        Op::Image(project, at) => format!("{:?}", s.get().put_alert_image(*project, *at, &at.to_le_bytes())),
        Op::PutDestination(id) => format!("{:?}", s.get().put_destination(&destination("p", id))),
        Op::DeleteDestination(id) => format!("{:?}", s.get().delete_destination("p", id)),
        Op::Trim(project, before_us) => format!("{:?}", s.get().trim_alerts(*project, *before_us)),
        Op::Reopen => {
            s.reopen();
            String::new()
        }
    }
}

/// All that a store answers, as text, pages of two included.
fn answers(s: &dyn Store) -> Vec<String> {
    let mut said = vec![format!("{:?}", (s.alerts_position(), s.busy_destinations()))];
    said.push(format!("{:?}", s.destinations("p", None, 9)));
    for project in 1..3 {
        said.push(format!("{:?}", (s.alert_records(project, 0, 9), s.alert_image(project))));
        said.push(format!("{:?}", s.transitions(project, (0, 0), 99)));
        said.push(format!("{:?}", s.transitions(project, (2, 1), 2)));
        for open in [false, true] {
            said.push(format!("{:?}", s.incidents(project, open, None, 99)));
            said.push(format!("{:?}", s.incidents(project, open, Some((2, "a\0")), 2)));
        }
        said.push(format!("{:?}", s.deliveries(project, DeliveryFilter::default(), Some((3, "a\0", 2)), 2)));
        for name in NAMES {
            said.push(format!("{:?}", (s.incident(project, name), s.transitions_of(project, name))));
            said.push(format!("{:?}", s.pending_deliveries(project, name, 3)));
            for (destination, incident) in [(None, None), (Some(name), None), (None, Some(name))] {
                let filter = DeliveryFilter { destination, incident };
                said.push(format!("{:?}", s.deliveries(project, filter, None, 99)));
            }
        }
    }
    said
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The memory store filters and sorts, the embedded one keeps indexes; both say the same.
    #[test]
    fn both_stores_agree(ops in prop::collection::vec(op(), 1..30)) {
        let [mut memory, mut embedded] = Subject::both();
        for s in [&memory, &embedded] {
            s.get().create_project(&project("p", "P", 0)).unwrap();
        }
        for op in &ops {
            prop_assert_eq!(apply(&mut memory, op), apply(&mut embedded, op), "{:?}", op);
            prop_assert_eq!(answers(memory.get()), answers(embedded.get()), "{:?}", op);
        }
    }
}
