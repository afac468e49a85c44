//! The values of properties.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::frame::DEPTH;
use crate::wire::{put_bytes, put_fixed64, put_message, put_number, put_time};

/// Text of a program: a literal costs nothing.
pub type Text = Cow<'static, str>;

/// A property's value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PropertyValue {
    /// UTF-8 text.
    Text(Text),
    /// A whole number.
    Int(i64),
    /// A finite number.
    Double(f64),
    /// A decimal number as text, for example "12.340"; kept as written.
    Decimal(Text),
    /// An exact amount.
    Money(Money),
    /// True or false.
    Bool(bool),
    /// A moment.
    Time(EventTime),
    /// Several values, in order.
    List(Vec<PropertyValue>),
    /// Values by key.
    Map(BTreeMap<String, PropertyValue>),
    /// An encoded `footpath.v1.Value`, as the bindings to other languages make it.
    Encoded(Vec<u8>),
}

/// An exact amount: `units` + `nanos` / 10^9 of an ISO 4217 currency, both of the same sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Money {
    /// For example "EUR".
    pub currency: Text,
    /// Whole units.
    pub units: i64,
    /// Billionths of a unit.
    pub nanos: i32,
}

impl Money {
    /// For example `Money::new("12.50", "EUR")`.
    ///
    /// # Errors
    /// When `amount` is not written as digits with at most nine places, or is beyond 64 bits.
    pub fn new(amount: &str, currency: impl Into<Text>) -> Result<Self, NotAnAmount> {
        let (units, nanos) = amount_of(amount).ok_or_else(|| NotAnAmount(amount.to_owned()))?;
        Ok(Self { currency: currency.into(), units, nanos })
    }
}

/// A decimal number as text, for example "12.340"; kept as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal(pub Text);

impl From<Decimal> for PropertyValue {
    fn from(Decimal(text): Decimal) -> Self {
        Self::Decimal(text)
    }
}

/// The text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not an amount: write digits with an optional sign and at most nine places, as in \"12.50\""
)]
pub struct NotAnAmount(String);

impl PropertyValue {
    /// A decimal number as text, for example "12.340"; kept as written.
    pub fn decimal(text: impl Into<Text>) -> Self {
        Self::Decimal(text.into())
    }

    /// An exact amount of an ISO 4217 currency, for example `money("12.50", "EUR")`.
    ///
    /// # Errors
    /// As [`Money::new`].
    pub fn money(amount: &str, currency: impl Into<Text>) -> Result<Self, NotAnAmount> {
        Money::new(amount, currency).map(Self::Money)
    }

    /// A moment.
    pub fn time(time: impl Into<EventTime>) -> Self {
        Self::Time(time.into())
    }

    /// Appends the fields of a `footpath.v1.Value`.
    #[cfg(test)]
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        self.put_at(0, out);
    }

    /// Appends the fields of a `footpath.v1.Value`. What lies deeper than anybody takes is left out: as deep as it goes here, it is refused.
    fn put_at(&self, depth: u32, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => put_bytes(out, 1, text.as_bytes()),
            Self::Int(number) => put_number(out, 2, number.cast_unsigned()),
            Self::Double(number) => put_fixed64(out, 3, number.to_bits()),
            Self::Decimal(text) => put_bytes(out, 4, text.as_bytes()),
            Self::Money(Money { currency, units, nanos }) => put_message(out, 5, |out| {
                put_bytes(out, 1, currency.as_bytes());
                put_number(out, 2, units.cast_unsigned());
                put_number(out, 3, i64::from(*nanos).cast_unsigned());
            }),
            Self::Bool(truth) => put_number(out, 6, (*truth).into()),
            Self::Time(time) => put_time(out, 7, time.0),
            Self::List(values) => put_message(out, 8, |out| {
                for value in values.iter().filter(|_| depth <= DEPTH) {
                    put_message(out, 1, |out| value.put_at(depth + 1, out));
                }
            }),
            Self::Map(values) => put_message(out, 9, |out| {
                for (key, value) in values.iter().filter(|_| depth <= DEPTH) {
                    put_entry_at(depth + 1, out, 1, key, value);
                }
            }),
            Self::Encoded(bytes) => out.extend_from_slice(bytes),
        }
    }
}

/// Appends an entry of a `map<string, Value>`.
pub(crate) fn put_entry(out: &mut Vec<u8>, field: u32, key: &str, value: &PropertyValue) {
    put_entry_at(0, out, field, key, value);
}

fn put_entry_at(depth: u32, out: &mut Vec<u8>, field: u32, key: &str, value: &PropertyValue) {
    put_message(out, field, |out| {
        put_bytes(out, 1, key.as_bytes());
        put_message(out, 2, |out| value.put_at(depth, out));
    });
}

/// Units and billionths of an amount in text.
fn amount_of(text: &str) -> Option<(i64, i32)> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = whole.bytes().chain(part.bytes()).all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > 9 || !all_digits || digits.ends_with('.') {
        return None;
    }
    let whole: i128 = whole.parse().ok()?;
    let nanos: i32 = format!("{part:0<9}").parse().ok()?;
    let (units, nanos) = if negative { (-whole, -nanos) } else { (whole, nanos) };
    Some((i64::try_from(units).ok()?, nanos))
}

/// A moment, in microseconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTime(pub i64);

impl From<SystemTime> for EventTime {
    fn from(time: SystemTime) -> Self {
        let us = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |us| -us),
        };
        Self(us)
    }
}

impl From<PropertyValue> for f64 {
    /// The number it stands for; NaN for what is none.
    fn from(value: PropertyValue) -> Self {
        match value {
            PropertyValue::Int(number) => number as f64,
            PropertyValue::Double(number) => number,
            _ => f64::NAN,
        }
    }
}

macro_rules! from_plain {
    ($($type:ty => $kind:ident),* $(,)?) => {$(
        impl From<$type> for PropertyValue {
            fn from(value: $type) -> Self {
                Self::$kind(value.into())
            }
        }
    )*};
}

from_plain! {
    &'static str => Text, String => Text, Text => Text, bool => Bool,
    i32 => Int, i64 => Int, u32 => Int, f32 => Double, f64 => Double,
    EventTime => Time, SystemTime => Time, Money => Money,
    Vec<PropertyValue> => List, BTreeMap<String, PropertyValue> => Map,
}

#[cfg(test)]
mod tests {
    use super::*;
    use footpath_proto::v1;
    use prost::Message as _;
    use v1::value::Kind;

    #[test]
    fn amounts_are_read_to_the_billionth() {
        let read = |text: &str| amount_of(text);
        assert_eq!(read("12.50"), Some((12, 500_000_000)));
        assert_eq!(read("-0.000000001"), Some((0, -1)));
        assert_eq!(read("+7"), Some((7, 0)));
        assert_eq!(read("-9223372036854775808"), Some((i64::MIN, 0)));
        for wrong in ["", "-", ".5", "1.", "1.0000000000", "9223372036854775808", "1e3", "1,5", "--1", "٣"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert!(PropertyValue::money("1.5", "EUR").is_ok() && PropertyValue::money("x", "EUR").is_err());
    }

    #[test]
    fn every_kind_is_what_a_generated_client_reads() {
        let money = PropertyValue::money("-3.25", "CHF").unwrap();
        let nested = BTreeMap::from([("a".to_owned(), PropertyValue::List(vec![1.into(), "x".into()]))]);
        let pairs = [
            (PropertyValue::from("text"), Kind::StringValue("text".into())),
            (PropertyValue::from(-1), Kind::IntValue(-1)),
            (PropertyValue::from(1.5), Kind::DoubleValue(1.5)),
            (PropertyValue::decimal("12.340"), Kind::DecimalValue("12.340".into())),
            (money, Kind::MoneyValue(v1::Money { currency: "CHF".into(), units: -3, nanos: -250_000_000 })),
            (PropertyValue::from(false), Kind::BoolValue(false)),
            (
                PropertyValue::from(EventTime(-1)),
                Kind::TimeValue(prost_types::Timestamp { seconds: -1, nanos: 999_999_000 }),
            ),
        ];
        for (value, kind) in pairs {
            let mut out = Vec::new();
            value.put(&mut out);
            assert_eq!(v1::Value::decode(&*out).unwrap().kind, Some(kind), "{value:?}");
        }
        let mut out = Vec::new();
        PropertyValue::from(nested).put(&mut out);
        let Some(Kind::MapValue(map)) = v1::Value::decode(&*out).unwrap().kind else { panic!("a map") };
        let Some(Kind::ListValue(list)) = &map.values["a"].kind else { panic!("a list") };
        assert_eq!(list.values.len(), 2);
    }
}
