use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const MINUTE_S: i64 = 60;

#[derive(Debug, Clone)]
enum Step {
    Seen(u64, i64),
    Merge(u64, u64),
    Forget(u64),
    Advance(i64),
    Recode,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (0_u64..15, 0_i64..9000).prop_map(|(person, second)| Step::Seen(person, second)),
        1 => (0_u64..15, 0_u64..15).prop_map(|(loser, winner)| Step::Merge(loser, winner)),
        1 => (0_u64..15).prop_map(Step::Forget),
        3 => (0_i64..9000).prop_map(Step::Advance),
        1 => Just(Step::Recode),
    ]
}

/// Days of 100 minutes, so that some begin.
fn day_of(second: i64) -> i64 {
    second / (100 * MINUTE_S) * (100 * MINUTE_S)
}

fn encoded(users: &ActiveUsers) -> Vec<u8> {
    let mut bytes = Vec::new();
    users.encode(&mut bytes);
    bytes
}

fn us(second: i64) -> i64 {
    second * SECOND_US + 999_999
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn windows_are_those_of_a_list_of_last_events(steps in prop::collection::vec(step(), 0..60)) {
        let mut users = ActiveUsers::new(0, 0);
        let (mut last, mut now): (HashMap<u64, i64>, i64) = (HashMap::new(), 0);
        for step in steps {
            match step {
                Step::Seen(person, second) => {
                    users.apply(ActorKey(person), us(second));
                    let known = last.entry(person).or_insert(second);
                    *known = second.max(*known);
                }
                Step::Merge(loser, winner) => {
                    users.merge(ActorKey(loser), ActorKey(winner));
                    if let Some(second) = last.remove(&loser) {
                        let known = last.entry(winner).or_insert(second);
                        *known = second.max(*known);
                    }
                }
                Step::Forget(person) => {
                    users.forget(ActorKey(person));
                    last.remove(&person);
                }
                Step::Advance(second) => {
                    now = now.max(second);
                    users.advance(us(second), us(day_of(now)));
                }
                Step::Recode => users = ActiveUsers::decode(&mut encoded(&users).as_slice()).unwrap(),
            }
            let since = |begin: i64| last.values().filter(|second| **second >= begin).count() as u64;
            let naive = Active {
                five_minutes: since(now - 5 * MINUTE_S),
                half_hour: since(now - 30 * MINUTE_S),
                today: since(day_of(now)),
            };
            prop_assert_eq!(users.active(), naive);
        }
    }

    #[test]
    fn any_order_of_events_and_moments_is_the_same(
        (steps, shuffled) in prop::collection::vec(
            prop_oneof![
                4 => (0_u64..15, 0_i64..9000).prop_map(|(person, second)| Step::Seen(person, second)),
                1 => (0_i64..9000).prop_map(Step::Advance),
            ], 0..60,
        ).prop_flat_map(|steps| (Just(steps.clone()), Just(steps).prop_shuffle())),
    ) {
        let run = |steps: &[Step]| {
            let mut users = ActiveUsers::new(0, 0);
            let mut now = 0;
            for step in steps {
                match step {
                    Step::Seen(person, second) => users.apply(ActorKey(*person), us(*second)),
                    Step::Advance(second) => {
                        now = now.max(*second);
                        users.advance(us(now), us(day_of(now)));
                    }
                    _ => {}
                }
            }
            users
        };
        let (a, b) = (run(&steps), run(&shuffled));
        prop_assert_eq!(a.active(), b.active());
        prop_assert_eq!(encoded(&a), encoded(&b));
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        if let Ok(mut users) = ActiveUsers::decode(&mut bytes.as_slice()) {
            users.apply(ActorKey(1), 5);
            users.advance(1 << 50, 1 << 50);
        }
    }
}

#[test]
fn a_person_leaves_without_any_event() {
    let hour = 3600;
    let mut users = ActiveUsers::new(us(10 * hour), us(0));
    users.apply(ActorKey(1), us(10 * hour));
    let at = |users: &mut ActiveUsers, second: i64| {
        users.advance(us(second), us(day_of_24(second)));
        let Active { five_minutes, half_hour, today } = users.active();
        [five_minutes, half_hour, today]
    };
    assert_eq!(at(&mut users, 10 * hour + 300), [1, 1, 1]);
    assert_eq!(at(&mut users, 10 * hour + 301), [0, 1, 1]);
    assert_eq!(at(&mut users, 10 * hour + 1801), [0, 0, 1]);
    assert_eq!(at(&mut users, 24 * hour), [0, 0, 0]);
    // Dated ahead by a day: counts at once, and until its own moment has passed.
    users.apply(ActorKey(2), us(47 * hour));
    assert_eq!(at(&mut users, 25 * hour), [1, 1, 1]);
    assert_eq!(at(&mut users, 47 * hour + 301), [0, 1, 1]);
    // The clock is set back: nothing moves.
    assert_eq!(at(&mut users, 47 * hour), [0, 1, 1]);
}

fn day_of_24(second: i64) -> i64 {
    second / 86_400 * 86_400
}

#[test]
fn who_is_old_is_forgotten() {
    let mut users = ActiveUsers::new(0, 0);
    for day in 0..50 {
        for person in 0..1000 {
            users.apply(ActorKey(day * 1000 + person), us(day as i64 * 86_400 + 1));
        }
        users.advance(us(day as i64 * 86_400 + 10), us(day as i64 * 86_400));
    }
    assert_eq!(users.active().today, 1000);
    assert!(users.len() <= 2 * 1000 + 1024, "{}", users.len());
    users.advance(us(100 * 86_400), us(100 * 86_400));
    assert!(users.by_second.is_empty());
}
