use proptest::prelude::*;

use super::*;
use crate::batch::fold_person;
use crate::reference::naive;

const MINUTE: i64 = 60_000_000;

fn event(minute: i64, id: u128, mask: u32) -> SlimEvent {
    SlimEvent { time_us: minute * MINUTE, id, mask }
}

fn rules(steps: usize, window_minutes: i64) -> Rules {
    Rules::new(steps, window_minutes * MINUTE).unwrap()
}

/// Applies in the given order; where it is asked for, rebuilds from all events seen so far, as a caller would.
fn live(rules: &Rules, arrivals: &[SlimEvent]) -> PersonFunnel {
    let mut person = PersonFunnel::new(rules);
    for (i, event) in arrivals.iter().enumerate() {
        if person.apply(rules, *event) == Change::NeedsRefold {
            person = PersonFunnel::rebuild(rules, sorted(&arrivals[..=i]));
        }
    }
    person
}

fn sorted(events: &[SlimEvent]) -> Vec<SlimEvent> {
    let mut events = events.to_vec();
    events.sort_by_key(SlimEvent::order);
    events
}

#[test]
fn in_order_late_and_older_than_the_base() {
    let rules = rules(2, 60).with_tail_limit(2);
    let mut person = PersonFunnel::new(&rules);
    assert_eq!(person.apply(&rules, event(20, 1, 0b01)), Change::InOrder);
    assert_eq!(person.apply(&rules, event(10, 2, 0b10)), Change::Late);
    assert_eq!(person.depth(0), 1);
    assert_eq!(person.apply(&rules, event(30, 3, 0b01)), Change::InOrder);
    // The base now holds minute 10.
    assert_eq!(person.apply(&rules, event(5, 4, 0b01)), Change::NeedsRefold);
    assert_eq!(person.apply(&rules, event(10, 4, 0b01)), Change::NeedsRefold);
    assert_eq!(person.apply(&rules, event(11, 5, 0b01)), Change::Late);
    assert_eq!(person.apply(&rules, event(40, 6, 0b10)), Change::InOrder);
    assert_eq!(person.depth(0), 2);
}

#[test]
fn a_late_event_completes_a_chain() {
    let rules = rules(3, 60);
    let mut person = PersonFunnel::new(&rules);
    person.apply(&rules, event(0, 1, 0b001));
    person.apply(&rules, event(20, 2, 0b100));
    assert_eq!(person.depth(0), 1);
    assert_eq!(person.apply(&rules, event(10, 3, 0b010)), Change::Late);
    assert_eq!(person.depth(0), 3);
}

#[test]
fn what_cannot_matter_is_not_kept() {
    let rules = rules(2, 60).with_tail_limit(1);
    let mut person = PersonFunnel::new(&rules);
    assert_eq!(person.apply(&rules, event(1, 1, 0)), Change::Irrelevant);
    assert_eq!(person.apply(&rules, event(1, 1, 0b100)), Change::Irrelevant);
    assert!(person.is_empty());
    person.apply(&rules, event(10, 2, 0b01));
    person.apply(&rules, event(20, 3, 0b10));
    // Older than the base, but a chain that entered later is finished.
    assert_eq!(person.apply(&rules, event(5, 4, 0b01)), Change::Irrelevant);
    let entry = event(30, 5, 0b01);
    person.apply(&rules, entry);
    assert_eq!(person.apply(&rules, entry), Change::Duplicate);
}

#[test]
fn a_flood_of_equal_timestamps_stays_small() {
    let rules = rules(3, 60);
    let mut person = PersonFunnel::new(&rules);
    for id in 0..1000 {
        person.apply(&rules, event(0, id, 0b111));
    }
    assert_eq!(person.depth(0), 3);
    assert_eq!(person.tail.as_slice().len(), 3);
}

#[test]
fn a_full_tail_stays_inline() {
    let rules = rules(3, 60);
    let mut person = PersonFunnel::new(&rules);
    let mut changes = Vec::new();
    for i in 0..1000 {
        // In turn, among the last, older than all that are kept, and at the time of the oldest.
        let back = [0, 3, 7, 8, 40][i as usize % 5];
        changes.push(person.apply(&rules, event(2 * i - back, i as u128, 1 << (i % 2))));
        assert!(matches!(person.tail, Tail::Inline { .. }), "event {i}");
    }
    assert!(changes.contains(&Change::Late) && changes.contains(&Change::NeedsRefold));
    // Many of one timestamp do not fit, until there are newer ones.
    let rules = self::rules(10, 60);
    let mut person = PersonFunnel::new(&rules);
    (0..10).for_each(|id| _ = person.apply(&rules, event(0, id, 1 << id)));
    assert!(matches!(person.tail, Tail::Heap(_)));
    assert_eq!(person.depth(0), 10);
    person.apply(&rules, event(1, 11, 1));
    assert!(matches!(person.tail, Tail::Inline { len: 1, .. }));
}

#[test]
fn a_person_leaves_a_rolling_range() {
    let rules = rules(3, 60);
    let mut person = PersonFunnel::new(&rules);
    for (minute, mask) in [(0, 0b001), (10, 0b010), (20, 0b001), (30, 0b100), (40, 0b010)] {
        person.apply(&rules, event(minute, minute as u128, mask));
    }
    // The whole chain entered at 0, a newer one at 20 got to step 2.
    assert_eq!((person.depth(0), person.falls_after(0)), (3, Some(0)));
    assert_eq!((person.depth(1), person.falls_after(1)), (2, Some(20 * MINUTE)));
    assert_eq!(person.depth(20 * MINUTE), 2);
    assert_eq!((person.depth(20 * MINUTE + 1), person.falls_after(20 * MINUTE + 1)), (0, None));
}

#[test]
fn merging_joins_what_is_in_memory() {
    let rules = rules(3, 60).with_tail_limit(2);
    let a = PersonFunnel::rebuild(&rules, [event(0, 1, 0b001), event(20, 2, 0b100)]);
    let b = PersonFunnel::rebuild(&rules, [event(10, 3, 0b010)]);
    assert_eq!(PersonFunnel::merge(&rules, &a, &b).unwrap().depth(0), 3);
    assert_eq!(PersonFunnel::merge(&rules, &b, &a).unwrap().depth(0), 3);
    let with_base = PersonFunnel::rebuild(&rules, (30..33).map(|m| event(m, m as u128, 0b001)));
    assert!(with_base.has_base());
    assert_eq!(PersonFunnel::merge(&rules, &a, &with_base), Err(NeedsRefold));
    let later = PersonFunnel::rebuild(&rules, [event(31, 9, 0b010)]);
    assert_eq!(PersonFunnel::merge(&rules, &later, &with_base).unwrap().depth(0), 2);
    assert_eq!(PersonFunnel::merge(&rules, &with_base, &PersonFunnel::new(&rules)), Ok(with_base));
}

/// Up to `most` events with distinct ids, many of them at equal times.
fn events(most: usize, steps: usize) -> impl Strategy<Value = Vec<SlimEvent>> {
    let one = (0..12_i64, 0_u32..1 << steps);
    prop::collection::vec(one, 0..=most)
        .prop_map(|all| all.into_iter().enumerate().map(|(i, (t, mask))| event(t, i as u128, mask)).collect())
}

fn funnels(most: usize) -> impl Strategy<Value = (usize, i64, Option<i64>, u8, Vec<SlimEvent>)> {
    (1_usize..=5).prop_flat_map(move |steps| {
        let to = prop::option::of((0..14_i64).prop_map(|minute| minute * MINUTE));
        (Just(steps), 0..14_i64, to, 0_u8..8, events(most, steps))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_fold_finds_what_a_search_over_all_chains_finds((steps, window, to, _, events) in funnels(7)) {
        let rules = rules(steps, window).with_entry_before(to);
        // Every event twice: a second copy is not another event.
        let state = fold_person(&rules, &sorted(&[events.clone(), events.clone()].concat()));
        let (entries, reached): (Vec<_>, Vec<_>) = naive(steps, window * MINUTE, to, &events).into_iter().unzip();
        prop_assert_eq!(state.entries(), &entries);
        if state.depth(i64::MIN) == steps {
            prop_assert_eq!(state.took_us(), (reached[steps - 1] - entries[steps - 1]) as f32);
        }
        prop_assert!(state.entries().is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn any_arrival_order_gives_the_batch_state(
        ((steps, window, to, tail, events), order) in funnels(30).prop_flat_map(|funnel| {
            // Some events arrive twice.
            let twice: Vec<_> = funnel.4.iter().chain(funnel.4.iter().step_by(3)).copied().collect();
            (Just(funnel), Just(twice).prop_shuffle())
        })
    ) {
        let rules = rules(steps, window).with_entry_before(to).with_tail_limit(tail);
        let batch = fold_person(&rules, &sorted(&events));
        let person = live(&rules, &order);
        prop_assert_eq!(person.entries(), batch.entries());
        prop_assert_eq!(person.state(&rules), batch);
        prop_assert!(person.tail.as_slice().len() <= usize::from(tail).max(steps));
    }

    #[test]
    fn merged_persons_equal_one_person(
        (steps, window, to, tail, events) in funnels(20), split: u32, early in 0_usize..20
    ) {
        let rules = rules(steps, window).with_entry_before(to).with_tail_limit(tail);
        let (now, later) = events.split_at(early.min(events.len()));
        let (a, b): (Vec<_>, Vec<_>) = now.iter().partition(|event| split >> event.id & 1 == 0);
        let merged = PersonFunnel::merge(&rules, &live(&rules, &a), &live(&rules, &b));
        let mut person = merged.unwrap_or_else(|_| PersonFunnel::rebuild(&rules, sorted(now)));
        prop_assert_eq!(person.state(&rules), fold_person(&rules, &sorted(now)));
        for (i, event) in later.iter().enumerate() {
            if person.apply(&rules, *event) == Change::NeedsRefold {
                person = PersonFunnel::rebuild(&rules, sorted(&events[..=now.len() + i]));
            }
        }
        prop_assert_eq!(person.state(&rules), fold_person(&rules, &sorted(&events)));
    }
}
