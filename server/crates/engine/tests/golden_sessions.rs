//! The golden vectors of sessions in `docs/semantics.md`. They are contracts: if one turns red, a published number
//! changes its meaning.

#![allow(clippy::unwrap_used)] // Helpers outside of test functions.

use footpath_engine::{
    PersonSessions, Session, SessionChange, SessionEvent, SessionRules, fold_person_sessions,
};

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;

/// Events at these times, with ids and names in the order given.
fn events(times_us: &[i64]) -> Vec<SessionEvent> {
    let event =
        |(i, time_us): (usize, &i64)| SessionEvent { time_us: *time_us, id: i as u128, name: i as u32 };
    times_us.iter().enumerate().map(event).collect()
}

fn minutes(minutes: &[i64]) -> Vec<SessionEvent> {
    events(&minutes.iter().map(|minute| minute * MINUTE).collect::<Vec<_>>())
}

fn sorted(mut events: Vec<SessionEvent>) -> Vec<SessionEvent> {
    events.sort_by_key(SessionEvent::order);
    events
}

/// The sessions, after checking that events give the same one by one, as they come and backwards.
fn sessions(rules: &SessionRules, events: &[SessionEvent]) -> Vec<Session> {
    let batch = fold_person_sessions(rules, sorted(events.to_vec()));
    let backwards: Vec<_> = events.iter().rev().copied().collect();
    for arrivals in [events, &backwards] {
        let mut person = PersonSessions::new();
        for (i, event) in arrivals.iter().enumerate() {
            if person.apply(rules, *event).is_err() {
                person = PersonSessions::rebuild(rules, sorted(arrivals[..=i].to_vec()));
            }
        }
        assert_eq!(person.sessions().copied().collect::<Vec<_>>(), batch);
    }
    batch
}

/// Start, end and number of events of each session; times in minutes.
fn shape(rules: &SessionRules, events: &[SessionEvent]) -> Vec<(i64, i64, u64)> {
    let shape = |session: &Session| (session.start_us / MINUTE, session.end_us / MINUTE, session.events);
    sessions(rules, events).iter().map(shape).collect()
}

#[test]
fn s1_more_than_the_gap_splits_and_exactly_the_gap_does_not() {
    let rules = SessionRules::default();
    assert_eq!(shape(&rules, &minutes(&[0, 30, 60])), [(0, 60, 3)]);
    assert_eq!(sessions(&rules, &events(&[0, 30 * MINUTE + 1])).len(), 2);
}

#[test]
fn s2_more_than_the_limit_splits_and_exactly_the_limit_does_not() {
    let rules = SessionRules::default();
    let every_half_hour = |until: i64| (0..=until / 30).map(|i| i * 30).collect::<Vec<_>>();
    assert_eq!(shape(&rules, &minutes(&every_half_hour(24 * 60))), [(0, 1440, 49)]);
    assert_eq!(
        shape(&rules, &minutes(&every_half_hour(50 * 60))),
        [(0, 1440, 49), (1470, 2910, 49), (2940, 3000, 3)]
    );
    let mut beyond: Vec<_> = (0..=72).map(|i| i * 20 * MINUTE).collect();
    beyond[72] += 1;
    let found = sessions(&rules, &events(&beyond));
    assert_eq!(found.iter().map(|session| session.events).collect::<Vec<_>>(), [72, 1]);
}

#[test]
fn s3_of_equal_times_the_smallest_id_is_the_entry_and_the_largest_the_exit() {
    let mut vector = minutes(&[5, 5, 5, 9, 9]);
    for (event, id) in vector.iter_mut().zip([1, 0, 2, 1 << 64, u64::MAX.into()]) {
        event.id = id;
    }
    let found = sessions(&SessionRules::default(), &vector);
    assert_eq!((found[0].entry, found[0].exit), (1, 3));
}

#[test]
fn s4_a_bounce_is_exactly_one_event() {
    let rules = SessionRules::default();
    let found = sessions(&rules, &minutes(&[0, 100, 100, 200, 210]));
    let facts: Vec<_> = found.iter().map(|s| (s.is_bounce(), s.duration_us())).collect();
    assert_eq!(facts, [(true, 0), (false, 0), (false, 10 * MINUTE)]);
}

#[test]
fn s5_a_late_event_widens_bridges_and_counts() {
    let rules = SessionRules::default();
    let mut person = PersonSessions::new();
    let vector = minutes(&[40, 80, 60, 20, 50, 85, 200]);
    let mut told = vector.iter().map(|event| {
        let delta = person.apply(&rules, *event).unwrap();
        let minutes = |s: &Session| (s.start_us / MINUTE, s.end_us / MINUTE);
        (delta.kind, delta.before().iter().map(minutes).collect::<Vec<_>>(), minutes(&delta.after))
    });
    assert_eq!(told.next(), Some((SessionChange::Opened, vec![], (40, 40))));
    assert_eq!(told.next(), Some((SessionChange::Opened, vec![], (80, 80))));
    assert_eq!(told.next(), Some((SessionChange::Merged, vec![(40, 40), (80, 80)], (40, 80))));
    assert_eq!(told.next(), Some((SessionChange::Widened, vec![(40, 80)], (20, 80))));
    assert_eq!(told.next(), Some((SessionChange::Counted, vec![(20, 80)], (20, 80))));
    assert_eq!(told.next(), Some((SessionChange::Extended, vec![(20, 80)], (20, 85))));
    assert_eq!(told.next(), Some((SessionChange::Opened, vec![], (200, 200))));
    assert_eq!(shape(&rules, &vector), [(20, 85, 6), (200, 200, 1)]);
    assert_eq!(sessions(&rules, &vector)[0].entry, 3);
}

#[test]
fn s6_a_late_event_moves_the_cut_of_the_limit() {
    let rules = SessionRules::new(30 * MINUTE, HOUR).unwrap();
    let vector = minutes(&[20, 40, 60, 80]);
    assert_eq!(shape(&rules, &vector), [(20, 80, 4)]);
    let mut person = PersonSessions::rebuild(&rules, vector.iter().copied());
    let late = minutes(&[0])[0];
    // Which of its events are beyond the limit, a session does not know.
    assert!(person.apply(&rules, late).is_err());
    assert_eq!(shape(&rules, &minutes(&[20, 40, 60, 80, 0])), [(0, 60, 4), (80, 80, 1)]);
    // Where two sessions meet at the limit, none is cut.
    assert_eq!(shape(&rules, &minutes(&[0, 30, 60, 90, 100, 75])), [(0, 60, 3), (75, 100, 3)]);
}

#[test]
fn s7_a_session_is_open_until_gap_or_limit_are_over() {
    let rules = SessionRules::new(30 * MINUTE, HOUR).unwrap();
    let person = |minutes_of: &[i64]| PersonSessions::rebuild(&rules, minutes(minutes_of));
    let open_until = |minutes_of: &[i64], until: i64| {
        let person = person(minutes_of);
        assert_eq!(person.closes_after(&rules), Some(until * MINUTE));
        assert!(person.is_open(&rules, until * MINUTE));
        assert!(!person.is_open(&rules, until * MINUTE + 1));
    };
    open_until(&[0], 30);
    open_until(&[0, 20], 50);
    open_until(&[0, 20, 45], 60);
    assert_eq!(person(&[]).closes_after(&rules), None);
    assert!(!person(&[]).is_open(&rules, 0));
}

#[test]
fn s8_what_lies_near_settled_sessions_needs_stored_events() {
    let rules = SessionRules::default().with_kept(2);
    let mut person = PersonSessions::rebuild(&rules, minutes(&[0, 100, 200]));
    assert_eq!((person.settled(), person.count()), (1, 3));
    let at = |time_us: i64, id: u128| SessionEvent { time_us, id, name: 0 };
    assert!(person.apply(&rules, at(0, 10)).is_err());
    assert!(person.apply(&rules, at(30 * MINUTE, 11)).is_err());
    let late = person.apply(&rules, at(30 * MINUTE + 1, 12)).unwrap();
    // It is the oldest of three, so it is settled at once.
    assert_eq!((late.kind, person.settled(), person.count()), (SessionChange::Opened, 2, 4));
}
