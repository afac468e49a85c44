//! How a value is compared with what stands in a condition.

use std::cmp::Ordering;

use crate::decimal;
use crate::definition::{number, time};
use crate::props::Value;

/// Whether a value is the same as what `wanted` reads as.
pub(super) fn equals(value: &Value<'_>, wanted: &str) -> bool {
    match value {
        Value::String(value) => *value == wanted,
        Value::Bool(value) => wanted == if *value { "true" } else { "false" },
        _ => compare(value, wanted).is_some_and(Ordering::is_eq),
    }
}

/// The text of a value; `None` if it is none.
pub(super) fn text<'v>(value: &Value<'v>) -> Option<&'v str> {
    if let Value::String(text) = value { Some(text) } else { None }
}

/// Compares a number or a time with one written as text: whole numbers, decimals and amounts of money digit by digit, doubles
/// as doubles, times as moments. `None` if they cannot be compared.
pub(super) fn compare(value: &Value<'_>, wanted: &str) -> Option<Ordering> {
    match value {
        Value::Int(value) => match wanted.parse::<i64>() {
            Ok(wanted) => Some(value.cmp(&wanted)),
            Err(_) => decimal::compare(&value.to_string(), wanted),
        },
        Value::Decimal(value) => decimal::compare(value, wanted),
        Value::Money { units, nanos, .. } => decimal::compare(&amount(*units, *nanos), wanted),
        Value::Double(value) => value.partial_cmp(&number(wanted)?),
        Value::Time(us) => Some(us.cmp(&time(wanted)?)),
        _ => None,
    }
}

/// Units and nanos have the same sign.
fn amount(units: i64, nanos: i32) -> String {
    let sign = if units < 0 || nanos < 0 { "-" } else { "" };
    format!("{sign}{}.{:09}", units.unsigned_abs(), nanos.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_without_rounding() {
        use Ordering::{Equal, Greater, Less};
        let money = |units, nanos| Value::Money { currency: "EUR", units, nanos };
        let cases = [
            (Value::Int(9_007_199_254_740_993), "9007199254740992", Some(Greater)),
            (Value::Int(9_007_199_254_740_993), "9007199254740993.5", Some(Less)),
            (Value::Int(i64::MIN), "-9223372036854775808", Some(Equal)),
            (Value::Int(i64::MAX), "9223372036854775808", Some(Less)),
            (Value::Int(1_000), "1e3", Some(Equal)),
            (Value::Decimal("9007199254740993"), "9007199254740992", Some(Greater)),
            (Value::Decimal("-0.50"), "-.5", Some(Equal)),
            (Value::Decimal("0.1"), "0.10000000000000000001", Some(Less)),
            (money(-1, -500_000_000), "-1.5", Some(Equal)),
            (money(0, -1), "0", Some(Less)),
            (Value::Double(0.5), "0.5", Some(Equal)),
            (Value::Double(0.5), "half", None),
            (Value::Time(5), "5", None),
            (Value::Time(5), "1970-01-01T00:00:00Z", Some(Greater)),
            (Value::Time(1_000_000), "1970-01-01T01:00:01+01:00", Some(Equal)),
        ];
        for (value, wanted, order) in cases {
            assert_eq!(compare(&value, wanted), order, "{value:?} and {wanted}");
        }
    }
}
