//! The golden vectors of `docs/semantics.md`. They are contracts: if one turns red, a published number changes
//! its meaning.

#![allow(clippy::unwrap_used)] // Helpers outside of test functions.

use footpath_engine::{Change, PersonFunnel, Rules, SlimEvent, fold_person};

const MINUTE: i64 = 60_000_000;
const A: u32 = 0b001;
const B: u32 = 0b010;
const C: u32 = 0b100;

/// Events at minutes of the day, with ids in the order given.
fn events(at: &[(i64, u32)]) -> Vec<SlimEvent> {
    let event = |(id, &(minute, mask)): (usize, &(i64, u32))| SlimEvent {
        time_us: minute * MINUTE,
        id: id as u128,
        mask,
    };
    at.iter().enumerate().map(event).collect()
}

fn hour(hour: i64, minute: i64) -> i64 {
    hour * 60 + minute
}

fn three_steps() -> Rules {
    Rules::new(3, 60 * MINUTE).unwrap()
}

/// The depth, after checking that the batch fold, the live state and its reverse arrival agree.
fn depth(rules: &Rules, from_us: i64, events: &[SlimEvent]) -> usize {
    let batch = fold_person(rules, events);
    let mut backwards = PersonFunnel::new(rules);
    for event in events.iter().rev() {
        assert_ne!(backwards.apply(rules, *event), Change::NeedsRefold);
    }
    assert_eq!(PersonFunnel::rebuild(rules, events.iter().copied()).state(rules), batch);
    assert_eq!(backwards.state(rules), batch);
    batch.depth(from_us)
}

#[test]
fn f1_the_latest_entry_converts() {
    let vector = events(&[(hour(13, 0), A), (hour(13, 30), A), (hour(13, 45), B), (hour(14, 15), C)]);
    assert_eq!(depth(&three_steps(), 0, &vector), 3);
    // Without the second A nobody gets to C in time.
    let first_only = events(&[(hour(13, 0), A), (hour(13, 45), B), (hour(14, 15), C)]);
    assert_eq!(depth(&three_steps(), 0, &first_only), 2);
}

#[test]
fn f2_an_unfinished_restart_keeps_the_deeper_chain() {
    let vector = events(&[(0, A), (10, B), (20, A), (30, C)]);
    assert_eq!(depth(&three_steps(), 0, &vector), 3);
}

#[test]
fn f3_the_window_is_inclusive_and_counted_from_the_first_step() {
    assert_eq!(depth(&three_steps(), 0, &events(&[(0, A), (50, B), (60, C)])), 3);
    let mut late = events(&[(0, A), (50, B), (60, C)]);
    late[2].time_us += 1;
    assert_eq!(depth(&three_steps(), 0, &late), 2);
}

#[test]
fn f4_order_counts() {
    assert_eq!(depth(&three_steps(), 0, &events(&[(0, B), (1, A), (2, C)])), 1);
}

#[test]
fn f5_equal_timestamps_count_as_in_order() {
    assert_eq!(depth(&three_steps(), 0, &events(&[(5, C), (5, B), (5, A)])), 3);
    assert_eq!(depth(&three_steps(), 0, &events(&[(5, A), (6, C), (6, B)])), 3);
}

#[test]
fn f6_one_event_is_one_step() {
    let same = Rules::new(2, 60 * MINUTE).unwrap();
    assert_eq!(depth(&same, 0, &events(&[(5, A | B)])), 1);
    assert_eq!(depth(&same, 0, &events(&[(5, A | B), (5, A | B)])), 2);
    assert_eq!(depth(&same, 0, &events(&[(5, A | B), (9, A | B)])), 2);
    // A fits the first event only, so B has to take the second.
    assert_eq!(depth(&same, 0, &events(&[(5, A | B), (5, A)])), 2);
}

#[test]
fn f7_the_entry_is_inside_the_range_and_the_end_need_not_be() {
    let range = three_steps().with_entry_before(Some(100 * MINUTE));
    let from = 50 * MINUTE;
    assert_eq!(depth(&range, from, &events(&[(50, A), (60, B), (110, C)])), 3);
    assert_eq!(depth(&range, from, &events(&[(49, A), (60, B), (70, C)])), 0);
    assert_eq!(depth(&range, from, &events(&[(100, A), (101, B), (102, C)])), 0);
    // An entry behind the range does not push the one inside out.
    assert_eq!(depth(&range, from, &events(&[(99, A), (101, A), (102, B), (103, C)])), 3);
}

#[test]
fn f8_a_rolling_range_is_left_by_time_alone() {
    let person = PersonFunnel::rebuild(&three_steps(), events(&[(0, A), (10, B), (20, C), (30, A)]));
    assert_eq!((person.depth(0), person.falls_after(0)), (3, Some(0)));
    assert_eq!((person.depth(1), person.falls_after(1)), (1, Some(30 * MINUTE)));
    assert_eq!(person.depth(30 * MINUTE + 1), 0);
}
