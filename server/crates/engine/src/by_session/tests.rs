use proptest::prelude::*;

use super::*;
use crate::general::Options;
use crate::general::Ties;
use crate::general::tests::{events, rules};

/// Times of the tests of the kernel are small numbers; sessions are told apart by minutes.
const UNIT: i64 = 20_000_000;

#[derive(Debug, Clone)]
struct Both {
    funnel: GeneralRules,
    sessions: SessionRules,
}

impl Both {
    fn rules(&self) -> BySessionRules<'_> {
        BySessionRules { funnel: &self.funnel, sessions: &self.sessions }
    }

    fn begins_us(&self) -> i64 {
        self.funnel.options().from_us
    }

    /// The same, over a range that moves.
    fn moving(self) -> Self {
        let options = self.funnel.options().clone();
        let options = Options { moving: true, from_us: i64::MIN, to_us: i64::MAX, ..options };
        Self { funnel: GeneralRules::new(options).unwrap().with_limits(3, 8), ..self }
    }

    fn rebuild(&self, from_us: i64, events: &[FunnelEvent]) -> BySession {
        let mut person = BySession::new(from_us);
        for event in sorted(events) {
            assert_ne!(person.apply(self.rules(), event), Change::NeedsRefold);
        }
        person
    }

    /// What counts, by the definition: cut, then fold each session.
    fn naive(&self, from_us: i64, events: &[FunnelEvent]) -> Vec<Tally> {
        let mut sessions: Vec<Vec<FunnelEvent>> = Vec::new();
        for event in sorted(events) {
            match sessions.last_mut() {
                Some(session)
                    if event.time_us - session[session.len() - 1].time_us <= self.sessions.gap_us()
                        && event.time_us - session[0].time_us <= self.sessions.max_us() =>
                {
                    session.push(event);
                }
                _ => sessions.push(vec![event]),
            }
        }
        let steps = self.funnel.options().steps;
        let attempts = sessions.into_iter().flat_map(|own| fold_general(&self.funnel, from_us, own));
        ordered(attempts.map(|attempt| Tally::of(&attempt, steps)).collect())
    }

    /// Applies as a caller would: rebuilds where it is asked to, writes and reads an image now and then.
    fn live(&self, from_us: i64, arrivals: &[FunnelEvent], images: u32) -> BySession {
        let mut person = BySession::new(from_us);
        for (i, event) in arrivals.iter().enumerate() {
            if person.apply(self.rules(), *event) == Change::NeedsRefold {
                person = self.rebuild(from_us, &arrivals[..=i]);
            }
            if images & (1 << (i % 32)) != 0 {
                let read = BySession::decode(self.rules(), &mut encoded(&person).as_slice());
                assert_eq!(read.as_ref(), Ok(&person));
                person = read.unwrap();
            }
        }
        person
    }
}

fn encoded(person: &BySession) -> Vec<u8> {
    let mut bytes = Vec::new();
    person.encode(&mut bytes);
    bytes
}

fn sorted(events: &[FunnelEvent]) -> Vec<FunnelEvent> {
    let mut events = events.to_vec();
    events.sort_by_key(FunnelEvent::order);
    events
}

fn ordered(mut tallies: Vec<Tally>) -> Vec<Tally> {
    let key = |tally: &Tally| (tally.steps, tally.value, tally.took_us().map(f32::to_bits));
    tallies.sort_by_key(key);
    tallies
}

fn counted(rules: BySessionRules<'_>, person: &mut BySession) -> Vec<Tally> {
    ordered(person.tallies(rules).as_slice().to_vec())
}

fn both() -> impl Strategy<Value = Both> {
    let limits = (0_usize..8, 0_usize..40, 1_u8..4);
    (rules(), limits, 3_i64..8).prop_map(|(rules, (tail, kept, sessions), max)| {
        let o = rules.options().clone();
        let ties = match o.ties {
            Ties::Tolerance { us } => Ties::Tolerance { us: us * UNIT },
            other => other,
        };
        let options = Options {
            window_us: o.window_us * UNIT,
            from_us: o.from_us * UNIT,
            to_us: o.to_us.saturating_mul(UNIT),
            ties,
            moving: false,
            ..o
        };
        Both {
            funnel: GeneralRules::new(options).unwrap().with_limits(tail, kept),
            sessions: SessionRules::new(3 * UNIT, max * UNIT).unwrap().with_kept(sessions),
        }
    })
}

/// Up to so many, spread over a time in which there are some sessions.
fn spread(most: usize) -> impl Strategy<Value = Vec<FunnelEvent>> {
    (events(most), prop::collection::vec(0_i64..3, most + 1)).prop_map(|(mut events, far)| {
        for (event, far) in events.iter_mut().zip(far) {
            event.time_us = (event.time_us + 12 * far) * UNIT;
        }
        events
    })
}

fn shuffled(most: usize) -> impl Strategy<Value = Vec<FunnelEvent>> {
    spread(most).prop_shuffle()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6000, ..ProptestConfig::default() })]

    #[test]
    fn a_batch_cuts_and_folds(both in both(), events in spread(20)) {
        let from_us = both.begins_us();
        let attempts = fold_by_session(both.rules(), from_us, &sorted(&events));
        let steps = both.funnel.options().steps;
        let tallies = attempts.iter().map(|attempt| Tally::of(attempt, steps)).collect();
        prop_assert_eq!(ordered(tallies), both.naive(from_us, &events));
    }

    #[test]
    fn any_arrival_order_gives_the_batch_answer(both in both(), arrivals in shuffled(30), images: u32) {
        let from_us = both.begins_us();
        let mut person = both.live(from_us, &arrivals, images);
        prop_assert_eq!(counted(both.rules(), &mut person), both.naive(from_us, &arrivals));
    }

    #[test]
    fn a_moving_range_gives_the_batch_answer(
        both in both(), arrivals in shuffled(24), moves in prop::collection::vec(-1_i64..6, 30)
    ) {
        let both = both.moving();
        let mut from_us = 0;
        let mut person = BySession::new(from_us);
        for (i, event) in arrivals.iter().enumerate() {
            let so_far = &arrivals[..=i];
            if person.apply(both.rules(), *event) == Change::NeedsRefold {
                person = both.rebuild(from_us, so_far);
            }
            let before = both.naive(from_us, so_far);
            prop_assert_eq!(&counted(both.rules(), &mut person), &before);
            let falls_after = person.falls_after(both.rules());
            let moved = moves[i % moves.len()] * UNIT;
            from_us += moved;
            if person.advance(both.rules(), from_us).is_err() {
                person = both.rebuild(from_us, so_far);
            }
            let wanted = both.naive(from_us, so_far);
            prop_assert_eq!(&counted(both.rules(), &mut person), &wanted);
            if moved >= 0 && falls_after.is_none_or(|us| us >= from_us) {
                prop_assert_eq!(&before, &wanted, "it said {:?}", falls_after);
            }
        }
    }

    #[test]
    fn merged_persons_equal_one_person(both in both(), events in shuffled(20), split: u32, early in 0_usize..20) {
        let from_us = both.begins_us();
        let (now, later) = events.split_at(early.min(events.len()));
        let (a, b): (Vec<_>, Vec<_>) = now.iter().partition(|event| split >> event.id & 1 == 0);
        let (a, b) = (both.live(from_us, &a, split), both.live(from_us, &b, 0));
        let merged = BySession::merge(both.rules(), &a, &b);
        let mut person = merged.unwrap_or_else(|_| both.rebuild(from_us, now));
        prop_assert_eq!(counted(both.rules(), &mut person), both.naive(from_us, now));
        for (i, event) in later.iter().enumerate() {
            if person.apply(both.rules(), *event) == Change::NeedsRefold {
                person = both.rebuild(from_us, &events[..=now.len() + i]);
            }
        }
        prop_assert_eq!(counted(both.rules(), &mut person), both.naive(from_us, &events));
    }

    #[test]
    fn damaged_images_never_panic(
        both in both(), before in shuffled(12), after in shuffled(6), noise: Vec<u8>, at: prop::sample::Index, to: u8
    ) {
        let mut bytes = encoded(&both.live(both.begins_us(), &before, 0));
        prop_assert!(BySession::decode(both.rules(), &mut &bytes[..bytes.len() - 1]).is_err());
        let damaged = at.index(bytes.len());
        bytes[damaged] = to;
        for bytes in [bytes, noise] {
            let Ok(mut person) = BySession::decode(both.rules(), &mut bytes.as_slice()) else { continue };
            for event in &after {
                person.apply(both.rules(), *event);
            }
            let _ = person.advance(both.rules(), 3);
            let _ = BySession::merge(both.rules(), &person, &person);
            person.falls_after(both.rules());
            person.tallies(both.rules());
        }
    }
}

/// Two sessions, the funnel in each; then one of them, and again two.
#[test]
fn a_late_event_that_bridges_two_sessions_leaves_one() {
    let funnel = GeneralRules::new(Options::new(2, 100 * UNIT)).unwrap();
    let sessions = SessionRules::new(3 * UNIT, 100 * UNIT).unwrap();
    let rules = BySessionRules { funnel: &funnel, sessions: &sessions };
    let event = |at: i64, steps: u32| FunnelEvent {
        time_us: at * UNIT,
        id: at as u128,
        steps,
        exclusions: 0,
        part: 0,
        value: 0,
    };
    let mut person = BySession::new(0);
    let mut reached = |at, steps| {
        person.apply(rules, event(at, steps));
        let mut steps: Vec<u32> = person.tallies(rules).as_slice().iter().map(|tally| tally.steps).collect();
        steps.sort_unstable();
        steps
    };
    assert_eq!(reached(0, 0b01), [0b01]);
    assert_eq!(reached(5, 0b01), [0b01, 0b01]);
    assert_eq!(reached(6, 0b10), [0b01, 0b11]);
    // It matches nothing, and yet makes one of both.
    assert_eq!(reached(3, 0), [0b11]);
}
