//! Which steps of a funnel an event matches.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::decimal;
use crate::definition::{Condition, FunnelDefinition, Op, number};
use crate::props::{Value, property};

/// Finds an event's steps: by name first, so that most events are done after one look-up.
#[derive(Debug, Clone)]
pub struct StepMatcher {
    by_name: HashMap<String, NameSteps>,
}

/// The steps that one event name can match.
#[derive(Debug, Clone, Default)]
pub struct NameSteps(Vec<(u32, Vec<Condition>)>);

impl NameSteps {
    /// Bit i is set if an event of this name with these properties matches step i.
    #[inline]
    pub fn mask(&self, properties: &[u8]) -> u32 {
        let matching = self.0.iter().filter(|(_, all)| all.iter().all(|c| holds(c, properties)));
        matching.fold(0, |mask, (bit, _)| mask | bit)
    }

    /// Whether the properties matter.
    pub fn has_conditions(&self) -> bool {
        self.0.iter().any(|(_, conditions)| !conditions.is_empty())
    }
}

impl StepMatcher {
    /// The matcher of a definition.
    pub fn new(definition: &FunnelDefinition) -> Self {
        let mut by_name: HashMap<String, NameSteps> = HashMap::new();
        for (i, step) in definition.steps.iter().enumerate() {
            for name in &step.events {
                by_name.entry(name.clone()).or_default().0.push((1 << i, step.filters.clone()));
            }
        }
        Self { by_name }
    }

    /// Bit i is set if the event matches step i. `properties` as in a record.
    pub fn mask(&self, name: &str, properties: &[u8]) -> u32 {
        self.by_name.get(name).map_or(0, |steps| steps.mask(properties))
    }

    /// The names that match at all, each with its steps.
    pub fn names(&self) -> impl Iterator<Item = (&str, &NameSteps)> {
        self.by_name.iter().map(|(name, steps)| (name.as_str(), steps))
    }
}

/// Whether a condition holds for an event's properties. A property that is not set fulfils `is not set` only.
pub fn holds(condition: &Condition, properties: &[u8]) -> bool {
    let value = property(properties, &condition.property);
    let Some(value) = value else { return condition.op == Op::IsNotSet };
    let any = |test: &dyn Fn(&str) -> bool| condition.values.iter().any(|wanted| test(wanted));
    match condition.op {
        Op::IsSet => true,
        Op::IsNotSet => false,
        Op::In => any(&|wanted| equals(&value, wanted)),
        Op::NotEq => !any(&|wanted| equals(&value, wanted)),
        Op::Contains => any(&|wanted| text(&value).is_some_and(|text| text.contains(wanted))),
        Op::Prefix => any(&|wanted| text(&value).is_some_and(|text| text.starts_with(wanted))),
        Op::Gt => any(&|wanted| compare(&value, wanted).is_some_and(Ordering::is_gt)),
        Op::Gte => any(&|wanted| compare(&value, wanted).is_some_and(Ordering::is_ge)),
        Op::Lt => any(&|wanted| compare(&value, wanted).is_some_and(Ordering::is_lt)),
        Op::Lte => any(&|wanted| compare(&value, wanted).is_some_and(Ordering::is_le)),
    }
}

fn equals(value: &Value<'_>, wanted: &str) -> bool {
    match value {
        Value::String(value) => *value == wanted,
        Value::Bool(value) => wanted == if *value { "true" } else { "false" },
        _ => compare(value, wanted).is_some_and(Ordering::is_eq),
    }
}

fn text<'v>(value: &Value<'v>) -> Option<&'v str> {
    if let Value::String(text) = value { Some(text) } else { None }
}

/// Compares a number with a number written as text: whole numbers, decimals and amounts of money digit by digit, doubles
/// as doubles. `None` if one of them is no number.
fn compare(value: &Value<'_>, wanted: &str) -> Option<Ordering> {
    match value {
        Value::Int(value) => match wanted.parse::<i64>() {
            Ok(wanted) => Some(value.cmp(&wanted)),
            Err(_) => decimal::compare(&value.to_string(), wanted),
        },
        Value::Decimal(value) => decimal::compare(value, wanted),
        Value::Money { units, nanos, .. } => decimal::compare(&amount(*units, *nanos), wanted),
        Value::Double(value) => value.partial_cmp(&number(wanted)?),
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
        ];
        for (value, wanted, order) in cases {
            assert_eq!(compare(&value, wanted), order, "{value:?} and {wanted}");
        }
    }
}
