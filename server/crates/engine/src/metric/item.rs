//! What is added to a metric.

use std::fmt;

use footpath_model::props::Value;

use crate::identity::ActorKey;

/// What a metric needs to know of an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Item<'a> {
    /// Event time, microseconds since 1970.
    pub time_us: i64,
    /// The canonical person.
    pub person: ActorKey,
    /// The number that is aggregated. Without one the event counts for [`super::MetricKind::Count`] and `Uniques` only.
    pub value: Option<ItemValue<'a>>,
}

/// A number with its unit: plain, or an amount in a currency. Numbers of different units are never mixed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ItemValue<'a> {
    unit: Option<Currency>,
    number: Number<'a>,
}

/// A number in the form it was sent in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number<'a> {
    Int(i64),
    /// Finite.
    Double(f64),
    /// An optional sign, digits, optionally a point and digits.
    Decimal(&'a str),
    /// Units and billionths.
    Money(i64, i32),
}

impl<'a> ItemValue<'a> {
    /// The number in a property's value; `None` if it is none. Ingest refuses doubles that are not finite, money without a
    /// currency, and decimals that are no digits; should one get here all the same it counts as none.
    pub fn of(value: &Value<'a>) -> Option<Self> {
        match *value {
            Value::Int(number) => Some(Self::plain(Number::Int(number))),
            Value::Double(number) => number.is_finite().then(|| Self::plain(Number::Double(number))),
            Value::Decimal(text) => split_decimal(text).map(|_| Self::plain(Number::Decimal(text))),
            Value::Money { currency, units, nanos } => Self::money(currency, units, nanos),
            _ => None,
        }
    }

    fn plain(number: Number<'a>) -> Self {
        Self { unit: None, number }
    }

    fn money(currency: &str, units: i64, nanos: i32) -> Option<Self> {
        let sound = nanos.unsigned_abs() < 1_000_000_000;
        let unit = Currency::new(currency).filter(|_| sound)?;
        Some(Self { unit: Some(unit), number: Number::Money(units, nanos) })
    }

    /// The currency; `None` for a plain number.
    pub fn unit(&self) -> Option<Currency> {
        self.unit
    }

    /// A double near the number, whatever its unit.
    pub fn to_f64(&self) -> f64 {
        self.number.to_f64()
    }

    pub(crate) fn number(&self) -> Number<'a> {
        self.number
    }
}

impl Number<'_> {
    /// A double near the number, not beyond the largest ones: what a sketch counts.
    pub(crate) fn to_f64(self) -> f64 {
        match self {
            Self::Int(number) => number as f64,
            Self::Double(number) => number,
            Self::Decimal(text) => text.parse::<f64>().unwrap_or(0.0).clamp(f64::MIN, f64::MAX),
            Self::Money(units, nanos) => units as f64 + f64::from(nanos) / 1e9,
        }
    }
}

/// Sign, whole digits and fraction digits of a decimal; `None` if the text is none.
pub(crate) fn split_decimal(text: &str) -> Option<(bool, &str, &str)> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let sound = all_digits(whole) && all_digits(fraction) && digits.len() > usize::from(digits.contains('.'));
    sound.then_some((text.starts_with('-'), whole, fraction))
}

/// An ISO 4217 code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Three upper-case letters; `None` for anything else.
    pub fn new(code: &str) -> Option<Self> {
        Self::from_bytes(code.as_bytes().try_into().ok()?)
    }

    pub(crate) fn from_bytes(code: [u8; 3]) -> Option<Self> {
        code.iter().all(u8::is_ascii_uppercase).then_some(Self(code))
    }

    pub(crate) fn bytes(self) -> [u8; 3] {
        self.0
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_value_and_nothing_else_has() {
        let money = |currency, nanos| Value::Money { currency, units: 1, nanos };
        for number in [Value::Int(1), Value::Double(1.0), Value::Decimal("-1.5"), money("EUR", 5)] {
            assert!(ItemValue::of(&number).is_some(), "{number:?}");
        }
        let others = [
            Value::String("1"),
            Value::Bool(true),
            Value::Time(1),
            Value::Double(f64::NAN),
            Value::Decimal("1e3"),
            Value::Decimal("."),
            Value::Decimal("-"),
            Value::Decimal("1.-5"),
            money("eur", 5),
            money("EURO", 5),
            money("EUR", 1_000_000_000),
        ];
        for other in others {
            assert_eq!(ItemValue::of(&other), None, "{other:?}");
        }
    }
}
