use proptest::prelude::*;

use super::reference::{Found, naive};
use super::*;
use crate::batch::{fold_person, reached_us};
use crate::funnel::NO_ENTRY;
use crate::funnel::{Rules, SlimEvent};
use crate::person::Change;

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![
        3 => Just(Order::Ordered),
        2 => Just(Order::Strict),
        1 => Just(Order::Any { anchored: false }),
        1 => Just(Order::Any { anchored: true }),
    ]
}

fn ties() -> impl Strategy<Value = Ties> {
    prop_oneof![Just(Ties::InOrder), (1_i64..3).prop_map(|us| Ties::Tolerance { us }), Just(Ties::Increasing)]
}

fn attribution(steps: usize) -> impl Strategy<Value = Attribution> {
    let step = (0..steps).prop_map(Attribution::Step);
    prop_oneof![Just(Attribution::FirstTouch), Just(Attribution::LastTouch), step]
}

/// Rules of every mode but the ClickHouse preset; what does not go together is left out.
pub(crate) fn rules() -> impl Strategy<Value = GeneralRules> {
    (1_usize..=4).prop_flat_map(|steps| {
        let pair = (0..steps, 0..steps);
        let what = (order(), ties(), prop::bool::ANY, prop::bool::ANY, attribution(steps), 0_u32..16);
        let exclusions = (prop::collection::vec(pair, 0..3), prop::bool::ANY);
        let parts = prop_oneof![Just(Parts::Whole), Just(Parts::BestOf)];
        let range = (0_i64..14, prop_oneof![Just(i64::MAX), 4_i64..20], prop::bool::ANY);
        let counting = (prop::bool::ANY, parts);
        (what, exclusions, counting, 0_i64..12, range).prop_map(
            move |(what, exclusions, counting, window_us, range)| {
                let (order, ties, first, between, attribution, optional) = what;
                let any = matches!(order, Order::Any { .. });
                let is_optional = order == Order::Ordered && optional & 8 == 0;
                let whole = Exclusion { after_step: 0, before_step: steps - 1 };
                let exclusion = |(a, b): (usize, usize)| {
                    (a < b).then_some(if any { whole } else { Exclusion { after_step: a, before_step: b } })
                };
                GeneralRules::new(Options {
                    optional: if is_optional && steps > 2 {
                        optional & ((1 << (steps - 1)) - 1) & !1
                    } else {
                        0
                    },
                    window: if between && !any && !is_optional {
                        Window::BetweenSteps
                    } else {
                        Window::FromFirst
                    },
                    entry: if first { Entry::First } else { Entry::Latest },
                    order,
                    ties,
                    exclusions: exclusions.0.into_iter().filter_map(exclusion).collect(),
                    on_exclusion: if exclusions.1 {
                        OnExclusion::DropPerson
                    } else {
                        OnExclusion::BreakAttempt
                    },
                    counting: if counting.0 { Counting::Conversions } else { Counting::Persons },
                    attribution,
                    parts: counting.1,
                    from_us: range.0,
                    to_us: range.1.max(range.0),
                    moving: range.2,
                    ..Options::new(steps, window_us)
                })
                .unwrap()
            },
        )
    })
}

/// The modes of the preset that ClickHouse accepts.
fn preset() -> impl Strategy<Value = GeneralRules> {
    (1_usize..=4, 0_i64..12, 0_u32..32, 0_i64..14, prop::bool::ANY).prop_map(
        |(steps, window_us, bits, from_us, moving)| {
            let has = |bit: u32| bits & (1 << bit) != 0;
            let modes = WindowFunnelModes {
                strict_deduplication: has(0),
                strict_order: has(1),
                strict_increase: has(2),
                strict_once: has(3),
                allow_reentry: has(4) && has(1),
            };
            let window_funnel = Some(modes);
            GeneralRules::new(Options { window_funnel, from_us, moving, ..Options::new(steps, window_us) })
                .unwrap()
        },
    )
}

/// Up to `most` events with distinct ids, most of which match one step.
pub(crate) fn events(most: usize) -> impl Strategy<Value = Vec<FunnelEvent>> {
    let steps = prop_oneof![4 => (0_u32..4).prop_map(|step| 1 << step), 2 => 0_u32..16, 1 => Just(0)];
    let exclusions = prop_oneof![5 => Just(0_u16), 1 => 0_u16..4];
    let one = (0_i64..30, 0_i64..2, steps, exclusions, 0_u64..3);
    prop::collection::vec(one, 0..=most).prop_map(|all| {
        let event =
            |(i, (time, spread, steps, exclusions, part)): (usize, (i64, i64, u32, u16, u64))| FunnelEvent {
                // Half of them within a few microseconds.
                time_us: if spread == 0 { time / 3 } else { time },
                id: i as u128,
                steps,
                exclusions,
                part,
                value: 100 + i as u32,
            };
        all.into_iter().enumerate().map(event).collect()
    })
}

fn sorted(events: &[FunnelEvent]) -> Vec<FunnelEvent> {
    let mut events = events.to_vec();
    events.sort_by_key(FunnelEvent::order);
    events
}

fn found(rules: &GeneralRules, attempts: &[Attempt]) -> Vec<Found> {
    let found = |attempt: &Attempt| Found {
        steps: attempt.steps,
        entry_us: attempt.entry_us,
        times: (0..rules.options().steps).map(|step| attempt.reached_us(step)).collect(),
        value: Some(attempt.value),
    };
    attempts.iter().map(found).collect()
}

/// What was found and what was wanted, without values if equal times leave some of them open.
fn compared(found: Vec<Found>, wanted: Vec<Found>) -> (Vec<Found>, Vec<Found>) {
    if wanted.iter().all(|wanted| wanted.value.is_some()) {
        return (found, wanted);
    }
    let without_values = |all: Vec<Found>| {
        let mut all: Vec<_> = all.into_iter().map(|found| Found { value: None, ..found }).collect();
        all.sort_by(|a, b| (a.entry_us, a.steps, &a.times).cmp(&(b.entry_us, b.steps, &b.times)));
        all
    };
    (without_values(found), without_values(wanted))
}

/// Applies in the given order as a caller would: rebuilds from all events so far where it is asked to, writes and reads an
/// image now and then.
fn live(rules: &GeneralRules, from_us: i64, arrivals: &[FunnelEvent], images: u32) -> GeneralPerson {
    let mut person = GeneralPerson::new(rules, from_us);
    for (i, event) in arrivals.iter().enumerate() {
        if person.apply(rules, *event) == Change::NeedsRefold {
            person = GeneralPerson::rebuild(rules, from_us, sorted(&arrivals[..=i]));
        }
        if images & (1 << (i % 32)) != 0 {
            let mut bytes = Vec::new();
            person.encode(&mut bytes);
            let read = GeneralPerson::decode(rules, &mut bytes.as_slice());
            assert_eq!(read.as_ref(), Ok(&person));
            person = read.unwrap();
        }
    }
    person
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(16_000))]

    #[test]
    fn the_fold_finds_what_a_search_over_all_chains_finds(rules in rules(), events in events(7)) {
        let from_us = rules.options().from_us;
        // Every event twice: a second copy is not another event.
        let attempts = fold_general(&rules, from_us, sorted(&[events.clone(), events.clone()].concat()));
        let (got, wanted) = compared(found(&rules, &attempts), naive(&rules, from_us, &events));
        prop_assert_eq!(got, wanted);
    }

    #[test]
    fn one_state_answers_for_every_beginning(rules in rules(), events in events(7)) {
        let mut options = rules.options().clone();
        (options.entry, options.counting, options.moving) = (Entry::Latest, Counting::Persons, true);
        options.from_us = 0;
        let rules = GeneralRules::new(options).unwrap();
        let mut person = live(&rules, 0, &events, 0);
        let mut falls_after = person.falls_after(&rules, 0);
        for from_us in 0..31 {
            let attempts = person.attempts(&rules, from_us);
            let (got, wanted) = compared(found(&rules, &attempts), naive(&rules, from_us, &events));
            prop_assert_eq!(got, wanted);
            if falls_after.is_none_or(|us| us >= from_us) && from_us > 0 {
                prop_assert_eq!(person.attempts(&rules, from_us - 1), attempts, "it said {:?}", falls_after);
            }
            falls_after = person.falls_after(&rules, from_us);
        }
    }

    #[test]
    fn the_fast_kernel_says_the_same(
        steps in 1_usize..=4, window_us in 0_i64..14, to_us in prop::option::of(0_i64..20), events in events(14)
    ) {
        let options = Options { to_us: to_us.unwrap_or(i64::MAX), moving: true, ..Options::new(steps, window_us) };
        let rules = GeneralRules::new(options).unwrap();
        prop_assert_eq!(rules.fast(), Some(Rules::new(steps, window_us).unwrap().with_entry_before(to_us)));
        let slim = |e: FunnelEvent| SlimEvent { time_us: e.time_us, id: e.id, mask: e.steps };
        let slim: Vec<_> = sorted(&events).into_iter().map(slim).collect();
        let fast = fold_person(&rules.fast().unwrap(), &slim);
        let mut person = live(&rules, 0, &events, 0);
        for from_us in 0..31 {
            let attempts = person.attempts(&rules, from_us);
            let depth = attempts.first().map_or(0, |attempt| attempt.depth(&rules));
            prop_assert_eq!(depth, fast.depth(from_us));
            let Some(attempt) = attempts.first() else { continue };
            prop_assert_eq!(attempt.entry_us, fast.entries()[depth - 1]);
            let times = reached_us(&rules.fast().unwrap(), &slim, attempt.entry_us, depth);
            for (step, time_us) in times.into_iter().enumerate() {
                prop_assert_eq!(attempt.reached_us(step), Some(time_us).filter(|us| *us != NO_ENTRY));
            }
        }
    }
}

fn shuffled(most: usize) -> impl Strategy<Value = (Vec<FunnelEvent>, Vec<FunnelEvent>)> {
    events(most).prop_flat_map(|events| {
        // Some events arrive twice.
        let twice: Vec<_> = events.iter().chain(events.iter().step_by(3)).copied().collect();
        (Just(events), Just(twice).prop_shuffle())
    })
}

fn all_rules() -> impl Strategy<Value = GeneralRules> {
    let limits = (0_usize..8, 0_usize..40);
    (prop_oneof![4 => rules(), 1 => preset()], limits)
        .prop_map(|(rules, (tail, kept))| rules.with_limits(tail, kept))
}

proptest! {
    #![proptest_config(config(6000))]

    #[test]
    fn any_arrival_order_gives_the_batch_answer(
        rules in all_rules(), (events, arrivals) in shuffled(30), images: u32
    ) {
        let from_us = rules.options().from_us;
        let mut person = live(&rules, from_us, &arrivals, images);
        let wanted = fold_general(&rules, from_us, sorted(&events));
        prop_assert_eq!(person.attempts(&rules, from_us), wanted);
    }

    #[test]
    fn a_moving_range_gives_the_batch_answer(
        rules in all_rules(), (_, arrivals) in shuffled(24), moves in prop::collection::vec(0_i64..4, 30)
    ) {
        let options = Options { moving: true, from_us: i64::MIN, to_us: i64::MAX, ..rules.options().clone() };
        let rules = GeneralRules::new(options).unwrap().with_limits(5, 12);
        let mut from_us = 0;
        let mut person = GeneralPerson::new(&rules, from_us);
        for (i, event) in arrivals.iter().enumerate() {
            let so_far = || sorted(&arrivals[..=i]);
            if person.apply(&rules, *event) == Change::NeedsRefold {
                person = GeneralPerson::rebuild(&rules, from_us, so_far());
            }
            prop_assert_eq!(person.attempts(&rules, from_us), fold_general(&rules, from_us, so_far()));
            let falls_after = person.falls_after(&rules, from_us);
            let before = person.attempts(&rules, from_us);
            from_us += moves[i % moves.len()];
            if person.advance(&rules, from_us).is_err() {
                person = GeneralPerson::rebuild(&rules, from_us, so_far());
            }
            let wanted = fold_general(&rules, from_us, so_far());
            prop_assert_eq!(&person.attempts(&rules, from_us), &wanted);
            if falls_after.is_none_or(|us| us >= from_us) {
                prop_assert_eq!(&before, &wanted, "it said {:?}", falls_after);
            }
        }
    }

    #[test]
    fn merged_persons_equal_one_person(rules in all_rules(), events in events(20), split: u32, early in 0_usize..20) {
        let from_us = rules.options().from_us;
        let (now, later) = events.split_at(early.min(events.len()));
        let (a, b): (Vec<_>, Vec<_>) = now.iter().partition(|event| split >> event.id & 1 == 0);
        let (a, b) = (live(&rules, from_us, &a, split), live(&rules, from_us, &b, 0));
        let merged = GeneralPerson::merge(&rules, &a, &b);
        let mut person = merged.unwrap_or_else(|_| GeneralPerson::rebuild(&rules, from_us, sorted(now)));
        prop_assert_eq!(person.attempts(&rules, from_us), fold_general(&rules, from_us, sorted(now)));
        for (i, event) in later.iter().enumerate() {
            if person.apply(&rules, *event) == Change::NeedsRefold {
                person = GeneralPerson::rebuild(&rules, from_us, sorted(&events[..=now.len() + i]));
            }
        }
        prop_assert_eq!(person.attempts(&rules, from_us), fold_general(&rules, from_us, sorted(&events)));
    }

    #[test]
    fn damaged_images_never_panic(
        rules in all_rules(), before in events(12), after in events(6), noise: Vec<u8>, at: prop::sample::Index, to: u8
    ) {
        let mut bytes = Vec::new();
        live(&rules, rules.options().from_us, &before, 0).encode(&mut bytes);
        prop_assert!(GeneralPerson::decode(&rules, &mut &bytes[..bytes.len() - 1]).is_err());
        let damaged = at.index(bytes.len());
        bytes[damaged] = to;
        for bytes in [bytes, noise] {
            let Ok(mut person) = GeneralPerson::decode(&rules, &mut bytes.as_slice()) else { continue };
            for event in &after {
                person.apply(&rules, *event);
            }
            person.falls_after(&rules, 3);
            person.attempts(&rules, 3);
        }
    }
}

#[test]
fn a_flood_of_equal_timestamps_stays_small() {
    let rules = GeneralRules::new(Options::new(3, 10)).unwrap();
    let mut person = GeneralPerson::new(&rules, 0);
    for id in 0..10_000 {
        let event = FunnelEvent { time_us: 5, id, steps: 0b111, exclusions: 0, part: 0, value: 0 };
        assert_eq!(person.apply(&rules, event), Change::InOrder);
    }
    let mut bytes = Vec::new();
    person.encode(&mut bytes);
    assert!(bytes.len() < 500, "{} bytes", bytes.len());
    assert_eq!(person.attempts(&rules, 0)[0].depth(&rules), 3);
}
