use std::collections::BTreeSet;

use proptest::prelude::*;

use super::reference::{naive, naive_groups};
use super::*;
use crate::funnel::MAX_TIME_US;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;

fn event(time_us: i64, id: u32) -> SessionEvent {
    SessionEvent { time_us, id: u128::from(id), name: id }
}

fn sorted(events: &[SessionEvent]) -> Vec<SessionEvent> {
    let mut events = events.to_vec();
    events.sort_by_key(SessionEvent::order);
    events
}

/// The kind of a change, by what it left.
fn kind(before: &[Session], after: &Session) -> SessionChange {
    match before {
        [] => SessionChange::Opened,
        [before] if after.start_us < before.start_us => SessionChange::Widened,
        [before] if after.end_us > before.end_us => SessionChange::Extended,
        [_] => SessionChange::Counted,
        _ => SessionChange::Merged,
    }
}

/// A caller: it has the stored events, rebuilds where that is asked for, and keeps what it was told.
#[derive(Debug, Default)]
struct Caller {
    stored: Vec<SessionEvent>,
    person: PersonSessions,
    told: Vec<Session>,
    totals: SessionTotals,
    refolds: usize,
}

impl Caller {
    fn take(&mut self, rules: &SessionRules, event: SessionEvent) {
        let before = fold_person_sessions(rules, sorted(&self.stored));
        self.stored.push(event);
        match self.person.apply(rules, event) {
            Ok(delta) => {
                self.totals.apply(&delta);
                self.hear(delta.before(), &[delta.after]);
                assert_eq!(delta.kind, kind(delta.before(), &delta.after));
            }
            Err(NeedsRefold) => {
                let stored = sorted(&self.stored);
                let after = fold_person_sessions(rules, stored.iter().copied());
                self.correct(&SessionCorrection::between(&before, &after));
                self.person = PersonSessions::rebuild(rules, stored);
                self.refolds += 1;
            }
        }
    }

    fn correct(&mut self, correction: &SessionCorrection) {
        self.totals.correct(correction);
        self.hear(&correction.removed, &correction.added);
    }

    /// Nothing is retracted that was not told, and nothing told twice.
    fn hear(&mut self, removed: &[Session], added: &[Session]) {
        for session in removed {
            let at = self.told.iter().position(|told| told == session).expect("it was told");
            self.told.swap_remove(at);
        }
        self.told.extend(added);
    }

    /// Through bytes and back, as over a restart.
    fn restart(&mut self, rules: &SessionRules) {
        let mut bytes = Vec::new();
        self.person.encode(&mut bytes);
        let again = PersonSessions::decode(rules, &mut bytes.as_slice()).expect("its own bytes");
        assert_eq!(again, self.person);
        self.person = again;
    }

    /// Two actors become one person.
    fn merge(mut self, rules: &SessionRules, mut other: Self) -> Self {
        let separate = [fold_person_sessions(rules, sorted(&self.stored)), naive(rules, &other.stored)];
        self.stored.append(&mut other.stored);
        self.told.append(&mut other.told);
        self.totals += other.totals;
        match PersonSessions::merge(rules, &self.person, &other.person) {
            Ok(merged) => {
                self.person = merged.person;
                self.correct(&merged.correction);
            }
            Err(NeedsRefold) => {
                let mut before = separate.concat();
                before.sort_by_key(|session| session.start_us);
                self.correct(&SessionCorrection::between(&before, &naive(rules, &self.stored)));
                self.person = PersonSessions::rebuild(rules, sorted(&self.stored));
                self.refolds += 1;
            }
        }
        self
    }

    fn check(&self, rules: &SessionRules) -> Result<(), TestCaseError> {
        let expected = naive(rules, &self.stored);
        let mut told = self.told.clone();
        told.sort_by_key(|session| session.start_us);
        prop_assert_eq!(&told, &expected);
        let mut totals = SessionTotals::default();
        expected.iter().for_each(|session| totals.add(session));
        prop_assert_eq!(self.totals, totals);
        let settled = self.person.settled() as usize;
        prop_assert_eq!(self.person.sessions().copied().collect::<Vec<_>>(), &expected[settled..]);
        prop_assert_eq!(self.person.count(), expected.len() as u64);
        prop_assert_eq!(self.person.last(), expected.last());
        prop_assert!(self.person.sessions().count() <= rules.kept());
        Ok(())
    }
}

/// Short limits, so that few events meet all of them.
fn rules() -> impl Strategy<Value = SessionRules> {
    (2_i64..8, 0_i64..16, 1_u8..6).prop_map(|(gap, more, kept)| {
        let half = MINUTE / 2;
        SessionRules::new(gap * half, (gap + more) * half).unwrap().with_kept(kept)
    })
}

/// Events half a minute apart or a multiple of it, so that many are exactly at a limit or at equal times, some
/// off by a microsecond, somewhere between the beginning and the end of time.
fn events(most: usize) -> impl Strategy<Value = Vec<SessionEvent>> {
    let origin = prop_oneof![Just(0), Just(MAX_TIME_US - 20 * MINUTE), Just(-5 * MINUTE), 0_i64..1 << 50];
    let one = (0_i64..80, prop_oneof![8 => Just(0_i64), 1 => Just(1), 1 => Just(-1)]);
    (origin, prop::collection::vec(one, 0..=most)).prop_flat_map(|(origin, times)| {
        let time = |(halves, off): (i64, i64)| origin + halves * MINUTE / 2 + off;
        let events = times.into_iter().enumerate().map(|(id, at)| event(time(at), id as u32));
        // Arrival says nothing about times, and ids say nothing about arrival.
        Just(events.collect::<Vec<_>>()).prop_shuffle()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_fold_cuts_as_the_rule_says(rules in rules(), events in events(40)) {
        let expected = naive(&rules, &events);
        prop_assert_eq!(&fold_person_sessions(&rules, sorted(&events)), &expected);
        let groups = naive_groups(&rules, &events);
        let slots = groups.iter().zip(&expected).enumerate().flat_map(|(number, (group, session))| {
            group.iter().map(move |_| SessionSlot { number, start_us: session.start_us })
        });
        let times = sorted(&events).into_iter().map(|event| event.time_us);
        prop_assert_eq!(fold_sessions(&rules, times).collect::<Vec<_>>(), slots.collect::<Vec<_>>());
    }

    #[test]
    fn any_arrival_order_tells_the_same_sessions(rules in rules(), events in events(40), restarts: u64) {
        let mut caller = Caller::default();
        for (i, event) in events.iter().enumerate() {
            caller.take(&rules, *event);
            caller.check(&rules)?;
            if restarts >> (i % 64) & 1 == 1 {
                caller.restart(&rules);
            }
        }
        let rebuilt = PersonSessions::rebuild(&rules, sorted(&events));
        prop_assert_eq!(rebuilt.count(), caller.person.count());
        prop_assert_eq!(rebuilt.closes_after(&rules), caller.person.closes_after(&rules));
    }

    #[test]
    fn an_event_in_its_turn_never_needs_a_refold(rules in rules(), events in events(40)) {
        let mut caller = Caller::default();
        for event in sorted(&events) {
            caller.take(&rules, event);
        }
        caller.check(&rules)?;
        prop_assert_eq!(caller.refolds, 0);
        prop_assert_eq!(caller.person, PersonSessions::rebuild(&rules, sorted(&events)));
    }

    #[test]
    fn a_refold_is_asked_for_only_if_a_session_is_cut(rules in rules(), events in events(30)) {
        // All are kept, so age is no reason.
        let rules = rules.with_kept(u8::MAX);
        let mut person = PersonSessions::new();
        for (i, event) in events.iter().enumerate() {
            let (before, after) = (naive_groups(&rules, &events[..i]), naive_groups(&rules, &events[..=i]));
            let whole = |group: &Vec<SessionEvent>| after.iter().any(|now| group.iter().all(|e| now.contains(e)));
            let needs_refold = person.apply(&rules, *event).is_err();
            prop_assert_eq!(needs_refold, !before.iter().all(whole));
            if needs_refold {
                person = PersonSessions::rebuild(&rules, sorted(&events[..=i]));
            }
        }
    }

    #[test]
    fn merged_persons_are_one_person(
        rules in rules(), events in events(40), owners: u64, merge_at in 0_usize..40, restart: bool
    ) {
        let (early, later) = events.split_at(merge_at.min(events.len()));
        let mut callers = [Caller::default(), Caller::default()];
        for event in early {
            callers[(owners >> (event.name % 64) & 1) as usize].take(&rules, *event);
        }
        let [a, b] = callers;
        let mut person = a.merge(&rules, b);
        person.check(&rules)?;
        if restart {
            person.restart(&rules);
        }
        for event in later {
            person.take(&rules, *event);
            person.check(&rules)?;
        }
    }

    #[test]
    fn open_sessions_are_counted_by_timers(
        rules in rules(), arrivals in prop::collection::vec((0_i64..4, 0_usize..3, -40_i64..10), 1..60)
    ) {
        let mut persons = [(); 3].map(|()| PersonSessions::new());
        let mut stored = [(); 3].map(|()| Vec::new());
        let (mut totals, mut timers, mut now) = (SessionTotals::default(), BTreeSet::new(), 0_i64);
        for (id, (wait, who, off)) in arrivals.into_iter().enumerate() {
            now += wait * MINUTE / 2;
            while let Some((closes_after, closed)) = timers.pop_first() {
                if closes_after >= now {
                    timers.insert((closes_after, closed));
                    break;
                }
                totals.shift_open(1, 0);
            }
            let person: &mut PersonSessions = &mut persons[who];
            let was_open = person.is_open(&rules, now);
            person.closes_after(&rules).map(|moment| timers.remove(&(moment, who)));
            let event = event((now + off * MINUTE / 2).max(0), id as u32);
            stored[who].push(event);
            if person.apply(&rules, event).is_err() {
                *person = PersonSessions::rebuild(&rules, sorted(&stored[who]));
            }
            let is_open = person.is_open(&rules, now);
            totals.shift_open(u32::from(was_open), u32::from(is_open));
            person.closes_after(&rules).filter(|_| is_open).map(|moment| timers.insert((moment, who)));
            let last = |events: &Vec<SessionEvent>| naive(&rules, events).last().copied();
            let open = stored.iter().filter_map(last).filter(|last| {
                now - last.end_us <= rules.gap_us() && now - last.start_us <= rules.max_us()
            });
            prop_assert_eq!(totals.open, open.count() as i64);
        }
    }
}

#[test]
fn totals_of_two_sets_of_persons_add_up() {
    let rules = SessionRules::default();
    let fold = |minutes: &[i64]| {
        let mut totals = SessionTotals::default();
        let events = minutes.iter().zip(0..).map(|(minute, id)| event(minute * MINUTE, id));
        fold_person_sessions(&rules, events).iter().for_each(|session| totals.add(session));
        totals.shift_open(0, 1);
        totals
    };
    let mut both = fold(&[0, 10, 100]);
    both += fold(&[5]);
    let expected =
        SessionTotals { started: 3, open: 2, bounces: 2, events: 4, duration_us: i128::from(10 * MINUTE) };
    assert_eq!(both, expected);
}

#[test]
fn settled_sessions_ask_for_a_refold_only_near_them() {
    // One long stretch, cut every hour: the kept sessions begin within the gap of the settled ones.
    let rules = SessionRules::new(30 * MINUTE, 60 * MINUTE).unwrap().with_kept(2);
    let stretch = (0..20).map(|i| event(i64::from(i) * 20 * MINUTE, i));
    let mut person = PersonSessions::rebuild(&rules, stretch);
    assert_eq!(
        (person.settled(), person.sessions().map(|s| s.start_us / MINUTE).collect()),
        (3, vec![240, 320])
    );
    assert_eq!(person.apply(&rules, event(241 * MINUTE, 100)).unwrap().kind, SessionChange::Counted);
    assert_eq!(person.apply(&rules, event(239 * MINUTE, 101)), Err(NeedsRefold));
}

#[test]
fn a_person_with_settled_sessions_merges_with_a_new_one_either_way() {
    let rules = SessionRules::default().with_kept(2);
    let person = |minutes: &[i64], id: u32| {
        PersonSessions::rebuild(&rules, minutes.iter().zip(id..).map(|(at, id)| event(at * MINUTE, id)))
    };
    let elder = person(&[0, 100, 200], 0);
    let younger = person(&[190, 300], 10);
    let merged = PersonSessions::merge(&rules, &elder, &younger).unwrap();
    assert_eq!(PersonSessions::merge(&rules, &younger, &elder), Ok(merged.clone()));
    assert_eq!((merged.person.settled(), merged.person.count()), (2, 4));
    let bounds =
        |all: &[Session]| all.iter().map(|s| (s.start_us / MINUTE, s.end_us / MINUTE)).collect::<Vec<_>>();
    assert_eq!(bounds(&merged.correction.removed), [(190, 190), (200, 200)]);
    assert_eq!(bounds(&merged.correction.added), [(190, 200)]);
    assert_eq!(PersonSessions::merge(&rules, &elder, &person(&[30], 10)), Err(NeedsRefold));
    assert_eq!(PersonSessions::merge(&rules, &elder, &elder), Err(NeedsRefold));
    let nobody = PersonSessions::new();
    let with_nobody = PersonSessions::merge(&rules, &nobody, &elder).unwrap();
    assert_eq!(with_nobody, MergedSessions { person: elder, correction: SessionCorrection::default() });
}
