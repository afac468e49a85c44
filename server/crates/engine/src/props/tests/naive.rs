//! The value as it is defined, from the end, with arithmetic of its own.

use super::*;

/// An operation and where it stands.
pub(super) type Done = (Moment, PropertyOperation);

/// Sorted, each once; of equal ones the first given stands.
pub(super) fn in_order(done: &[Done]) -> Vec<Done> {
    let order = |done: &Done| {
        (done.0, ["once", "set", "sum", "unset"].iter().position(|kind| *kind == name(&done.1)))
    };
    let mut sorted: Vec<Done> = Vec::new();
    for one in done {
        if sorted.iter().all(|other| order(other) != order(one)) {
            sorted.push(one.clone());
        }
    }
    sorted.sort_by_key(order);
    sorted
}

fn name(operation: &PropertyOperation) -> &'static str {
    match operation {
        SetOnce(_) => "once",
        Set(_) => "set",
        Add(_) => "sum",
        Unset => "unset",
    }
}

pub(super) fn value_at(done: &[Done], moment: Moment) -> Option<PropertyValue> {
    let until: Vec<Done> = done.iter().filter(|done| done.0 <= moment).cloned().collect();
    value(&in_order(&until))
}

fn value(sorted: &[Done]) -> Option<PropertyValue> {
    let ((_, last), before) = sorted.split_last()?;
    match last {
        Unset => None,
        Set(value) => Some(value.clone()),
        SetOnce(once) => value(before).or(Some(once.clone())),
        Add(amount) => {
            let before = value(before);
            sum(before.as_ref(), *amount).or(before)
        }
    }
}

fn sum(value: Option<&PropertyValue>, amount: f64) -> Option<PropertyValue> {
    let whole = amount == amount.trunc();
    match value.map(PropertyValue::view) {
        None if whole => Some(int(amount as i64)),
        None => Some(PropertyValue::Double(amount)),
        Some(Value::Int(value)) if whole => {
            let sum = i128::from(value) + amount as i128;
            Some(i64::try_from(sum).map_or(PropertyValue::Double(value as f64 + amount), int))
        }
        Some(Value::Int(value)) => Some(PropertyValue::Double(value as f64 + amount)),
        Some(Value::Double(value)) => Some(PropertyValue::Double(value + amount)),
        Some(Value::Decimal(text)) => Some(decimal(&decimal_sum(text, &format!("{amount}")))),
        Some(_) => None,
    }
}

/// By way of whole numbers.
fn decimal_sum(a: &str, b: &str) -> String {
    let places = |text: &str| text.split('.').nth(1).map_or(0, str::len);
    let most = places(a).max(places(b));
    let scaled = |text: &str| -> i128 {
        let digits = text.replace('.', "") + &"0".repeat(most - places(text));
        digits.parse().unwrap()
    };
    let sum = scaled(a) + scaled(b);
    let scale = 10_i128.pow(most as u32);
    let sign = if sum < 0 { "-" } else { "" };
    let whole = sum.abs() / scale;
    if most == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{:0most$}", sum.abs() % scale) }
}

pub(super) fn operation() -> impl Strategy<Value = PropertyOperation> {
    let value = || {
        prop_oneof![
            4 => (-3_i64..3).prop_map(int),
            1 => Just(int(i64::MAX)),
            2 => prop::sample::select(vec![-0.5, 0.1, 2.0]).prop_map(PropertyValue::Double),
            2 => prop::sample::select(vec!["1.50", "-3", "0.125"]).prop_map(decimal),
            2 => prop::sample::select(vec!["a", "b"]).prop_map(text),
            1 => any::<bool>().prop_map(PropertyValue::Bool),
            1 => Just(PropertyValue::Time(5)),
            1 => Just(money(3)),
        ]
    };
    prop_oneof![
        3 => value().prop_map(Set),
        3 => value().prop_map(SetOnce),
        4 => prop::sample::select(vec![1.0, -2.0, 0.5, 0.1]).prop_map(Add),
        2 => Just(Unset),
    ]
}

/// Ids whose lower halves are in the other order than the ids.
fn event_id(id: u128) -> u128 {
    (id << 64) | (3 - id)
}

/// Few moments, so that everything collides.
pub(super) fn moment() -> impl Strategy<Value = Moment> {
    (0_i64..6, 0_u128..3).prop_map(|(time_us, id)| Moment::new(time_us, event_id(id)))
}

pub(super) fn moments() -> impl Iterator<Item = Moment> {
    let all = (0..6).flat_map(|time_us| (0..3).map(move |id| Moment::new(time_us, event_id(id))));
    [Moment::FIRST].into_iter().chain(all).chain([Moment::LAST])
}
