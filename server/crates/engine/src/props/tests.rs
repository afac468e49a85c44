//! The rules case by case; then any order of arrival against a definition that folds nothing.

use std::borrow::Cow;

use footpath_model::props::Value;
use footpath_model::wire::{put_bytes, put_uint};
use proptest::prelude::*;

use super::*;
use PropertyOperation::{Add, Set, SetOnce, Unset};

mod books;
mod histories;
mod naive;

fn at(time_us: i64) -> Moment {
    Moment::new(time_us, 0)
}

fn int(value: i64) -> PropertyValue {
    PropertyValue::Int(value)
}

fn encoded(field: u32, bytes: &[u8]) -> PropertyValue {
    let mut out = Vec::new();
    put_bytes(&mut out, field, bytes);
    PropertyValue::new(&out).unwrap()
}

fn text(value: &str) -> PropertyValue {
    encoded(1, value.as_bytes())
}

fn decimal(value: &str) -> PropertyValue {
    encoded(4, value.as_bytes())
}

fn money(units: u64) -> PropertyValue {
    let mut amount = Vec::new();
    put_bytes(&mut amount, 1, b"EUR");
    put_uint(&mut amount, 2, units);
    encoded(5, &amount)
}

fn history(operations: &[(i64, PropertyOperation)]) -> History {
    History::rebuild(64, operations.iter().map(|(time, operation)| (at(*time), operation.clone())))
}

fn current(operations: &[(i64, PropertyOperation)]) -> Option<PropertyValue> {
    history(operations).current().map(Cow::into_owned)
}

#[test]
fn the_last_writer_by_event_time_wins() {
    let (free, pro) = (Set(text("free")), Set(text("pro")));
    assert_eq!(current(&[(1, free.clone()), (2, pro.clone())]), Some(text("pro")));
    assert_eq!(current(&[(2, pro.clone()), (1, free.clone())]), Some(text("pro")));
    let plans = history(&[(1, free), (2, pro)]);
    let seen = [0, 1, 2].map(|time| plans.value_at(at(time)).unwrap().map(Cow::into_owned));
    assert_eq!(seen, [None, Some(text("free")), Some(text("pro"))]);
    let later_id = Moment::new(1, 1);
    assert_eq!(plans.value_at(later_id).unwrap().as_deref(), Some(&text("free")));
}

#[test]
fn set_once_sets_where_there_is_no_value() {
    assert_eq!(current(&[(1, SetOnce(int(1))), (2, SetOnce(int(2)))]), Some(int(1)));
    assert_eq!(current(&[(2, SetOnce(int(2))), (1, SetOnce(int(1)))]), Some(int(1)));
    assert_eq!(current(&[(1, Set(int(1))), (2, SetOnce(int(2)))]), Some(int(1)));
    assert_eq!(current(&[(1, SetOnce(int(1))), (2, Unset), (3, SetOnce(int(3)))]), Some(int(3)));
}

#[test]
fn one_event_sets_once_sets_adds_and_unsets_in_this_order() {
    let all = [(1, Add(2.0)), (1, Set(int(5))), (1, SetOnce(int(1)))];
    assert_eq!(current(&all), Some(int(7)));
    assert_eq!(current(&[(1, Add(2.0)), (1, SetOnce(int(1)))]), Some(int(3)));
    assert_eq!(current(&[(1, Unset), (1, Set(int(5)))]), None);
    assert_eq!(current(&[(1, Set(int(5))), (1, Set(int(6)))]), Some(int(5)), "the first one stands");
}

#[test]
fn sums_are_exact_where_the_value_is() {
    let double = PropertyValue::Double;
    let large = 9_007_199_254_740_993;
    let cases = [
        (None, 2.0, Some(int(2))),
        (None, 0.5, Some(double(0.5))),
        (Some(int(large)), 1.0, Some(int(large + 1))),
        (Some(int(1)), 0.5, Some(double(1.5))),
        (Some(int(i64::MAX)), 1.0, Some(double(i64::MAX as f64))),
        (Some(double(0.1)), 0.2, Some(double(0.1 + 0.2))),
        (Some(double(f64::MAX)), f64::MAX, None),
        (Some(decimal("0.10")), 0.2, Some(decimal("0.30"))),
        (Some(decimal("99999999999999999999")), 1.0, Some(decimal("100000000000000000000"))),
        (Some(decimal("1")), -1.0, Some(decimal("0"))),
        (Some(text("1")), 1.0, None),
        (Some(money(1)), 1.0, None),
        (Some(PropertyValue::Bool(true)), 1.0, None),
        (Some(PropertyValue::Time(1)), 1.0, None),
    ];
    for (value, amount, sum) in cases {
        let before: Vec<_> = value.clone().map(|value| (1, Set(value))).into_iter().collect();
        let counted = history(&[before, vec![(2, Add(amount))]].concat());
        let expected = sum.clone().or(value.clone());
        assert_eq!(counted.current().map(Cow::into_owned), expected, "{value:?} + {amount}");
        assert_eq!(counted.refused(), u32::from(sum.is_none()), "{value:?} + {amount}");
    }
}

#[test]
fn what_is_no_value_is_not_kept() {
    assert_eq!(PropertyValue::new(b""), None);
    assert_eq!(PropertyValue::new(&[0x19, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f]), None, "infinity");
    assert_eq!(PropertyValue::new(&[0x10, 7]), Some(int(7)));
    assert_eq!(text("x").view(), Value::String("x"));
}

#[test]
fn a_change_says_from_when_on_values_are_different() {
    let mut plan = History::default();
    let mut apply = |time, operation| plan.apply(64, at(time), operation);
    assert_eq!(apply(5, Set(int(5))), HistoryChange::Changed { from: at(5) });
    assert_eq!(apply(5, Set(int(5))), HistoryChange::Duplicate);
    assert_eq!(apply(7, SetOnce(int(7))), HistoryChange::Unchanged);
    assert_eq!(apply(6, Unset), HistoryChange::Changed { from: at(6) });
    assert_eq!(plan.value_at(at(7)).unwrap().as_deref(), Some(&int(7)));
}

#[test]
fn the_newest_event_is_kept_until_all_of_it_has_come() {
    let mut plan = History::default();
    for operation in [SetOnce(int(1)), Set(int(5)), Add(2.0)] {
        assert_eq!(plan.apply(1, at(1), operation), HistoryChange::Changed { from: at(1) });
    }
    assert_eq!(plan.apply(1, at(2), Unset), HistoryChange::Changed { from: at(2) });
    assert_eq!(plan.apply(1, at(1), Unset), HistoryChange::NeedsRefold);
}

#[test]
fn bytes_whose_operations_are_not_in_order_are_no_history() {
    let sound = History::rebuild(1, [(at(1), Set(int(1))), (at(2), Add(1.0))]);
    let base = sound.base.clone();
    let placed = |history: &History| history.operations[0].clone();
    let unsorted = [
        History { base: base.clone(), operations: vec![placed(&history(&[(1, Unset)]))] },
        History { base, operations: vec![placed(&sound), placed(&sound)] },
    ];
    for history in unsorted {
        let mut bytes = Vec::new();
        history.encode(&mut bytes);
        assert_eq!(History::decode(&mut bytes.as_slice()), Err(BadProperties));
    }
}

#[test]
fn what_is_older_than_the_kept_operations_needs_stored_events() {
    let mut visits = History::default();
    for time in 1..=5 {
        visits.apply(3, at(time), Add(1.0));
    }
    assert_eq!(visits.current().as_deref(), Some(&int(5)));
    assert_eq!(visits.value_at(at(1)), Err(Forgotten));
    assert_eq!(visits.value_at(at(2)).unwrap().as_deref(), Some(&int(2)));
    assert_eq!(visits.apply(3, at(2), Add(1.0)), HistoryChange::NeedsRefold);
    assert_eq!(visits.apply(3, at(1), Add(1.0)), HistoryChange::NeedsRefold);
    let other = history(&[(2, Add(1.0))]);
    assert_eq!(History::merge(3, &visits, &other), Err(Forgotten));
    let other = history(&[(3, Set(int(10)))]);
    assert_eq!(History::merge(3, &other, &visits).unwrap().current().as_deref(), Some(&int(13)));
}
