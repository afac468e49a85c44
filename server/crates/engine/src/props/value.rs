//! A property's value, owned.

use footpath_model::decimal;
use footpath_model::props::Value;
use footpath_model::wire::{Fields, Raw, put_bytes};

/// The largest whole number up to which a double can tell all whole numbers apart.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A property's value, as it is kept: numbers as they are, the rest as it was sent.
#[derive(Debug, Clone, PartialEq)]
pub enum PropertyValue {
    /// A whole number.
    Int(i64),
    /// A finite number.
    Double(f64),
    /// True or false.
    Bool(bool),
    /// Microseconds since 1970.
    Time(i64),
    /// A text, decimal, amount of money, list or map: an encoded `footpath.v1.Value`.
    Encoded(Box<[u8]>),
}

impl PropertyValue {
    /// Keeps an encoded `footpath.v1.Value`. `None` if it is none, or a number that is not finite.
    pub fn new(encoded: &[u8]) -> Option<Self> {
        let kind = Fields::new(encoded).last()?.ok()?;
        // What is nested is not looked into: it was checked at ingest.
        if matches!((kind.number, kind.value), (1 | 4 | 5 | 8 | 9, Raw::Bytes(_))) {
            return Some(Self::Encoded(encoded.into()));
        }
        match Value::decode(encoded).ok()?? {
            Value::Int(value) => Some(Self::Int(value)),
            Value::Double(value) => finite(value),
            Value::Bool(value) => Some(Self::Bool(value)),
            Value::Time(us) => Some(Self::Time(us)),
            _ => None,
        }
    }

    /// The value, to compare or show it.
    pub fn view(&self) -> Value<'_> {
        match self {
            Self::Int(value) => Value::Int(*value),
            Self::Double(value) => Value::Double(*value),
            Self::Bool(value) => Value::Bool(*value),
            Self::Time(us) => Value::Time(*us),
            Self::Encoded(bytes) => Value::decode(bytes).ok().flatten().unwrap_or(Value::String("")),
        }
    }

    /// What adding an amount to nothing gives.
    pub fn of_amount(amount: f64) -> Option<Self> {
        whole(amount).map(Self::Int).or_else(|| finite(amount))
    }

    /// The sum with an amount. `None` if the value is no number, or the sum would not be finite.
    pub fn plus(&self, amount: f64) -> Option<Self> {
        match self {
            Self::Int(value) => match whole(amount).and_then(|amount| value.checked_add(amount)) {
                Some(sum) => Some(Self::Int(sum)),
                None => finite(*value as f64 + amount),
            },
            Self::Double(value) => finite(value + amount),
            Self::Encoded(_) if amount.is_finite() => {
                let Value::Decimal(text) = self.view() else { return None };
                decimal::add(text, &amount.to_string()).map(|sum| Self::decimal(&sum))
            }
            _ => None,
        }
    }

    fn decimal(digits: &str) -> Self {
        let mut encoded = Vec::with_capacity(digits.len() + 3);
        put_bytes(&mut encoded, 4, digits.as_bytes());
        Self::Encoded(encoded.into())
    }
}

fn finite(value: f64) -> Option<PropertyValue> {
    value.is_finite().then_some(PropertyValue::Double(value))
}

/// The amount as an integer, if it is one for certain.
fn whole(amount: f64) -> Option<i64> {
    (amount.fract() == 0.0 && amount.abs() <= EXACT).then_some(amount as i64)
}
