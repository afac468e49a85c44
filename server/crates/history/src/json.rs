//! Lists and maps as typed JSON: text that people can query and that gives back the very value.
//!
//! Text, true and false stand for themselves; a number with a point or an exponent is a double, one without is
//! whole; a decimal is `{"$decimal": "1.50"}`, a moment `{"$time": microseconds}`, money
//! `{"$money": [currency, units, nanos]}`. A map's own key that begins with `$` gets a second one.

use std::fmt;

use footpath_model::props::Value;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::encode;

const DECIMAL: &str = "$decimal";
const TIME: &str = "$time";
const MONEY: &str = "$money";

/// Appends a value as JSON.
pub(crate) fn write(out: &mut String, value: &Value<'_>) {
    match value {
        Value::String(text) => quote(out, text),
        Value::Int(number) => out.push_str(&number.to_string()),
        // Debug keeps the point or the exponent, and the sign of a zero.
        Value::Double(number) => out.push_str(&format!("{number:?}")),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Decimal(text) => tagged(out, DECIMAL, |out| quote(out, text)),
        Value::Time(us) => tagged(out, TIME, |out| out.push_str(&us.to_string())),
        Value::Money { currency, units, nanos } => tagged(out, MONEY, |out| {
            out.push('[');
            quote(out, currency);
            out.push_str(&format!(",{units},{nanos}]"));
        }),
        Value::List(values) => {
            out.push('[');
            for (i, value) in values.iter().enumerate() {
                comma(out, i);
                write(out, value);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (i, (key, value)) in entries.iter().enumerate() {
                comma(out, i);
                let escape = if key.starts_with('$') { "$" } else { "" };
                quote(out, &format!("{escape}{key}"));
                out.push(':');
                write(out, value);
            }
            out.push('}');
        }
    }
}

fn comma(out: &mut String, i: usize) {
    if i > 0 {
        out.push(',');
    }
}

fn tagged(out: &mut String, tag: &str, content: impl FnOnce(&mut String)) {
    out.push_str("{\"");
    out.push_str(tag);
    out.push_str("\":");
    content(out);
    out.push('}');
}

fn quote(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// Appends the `footpath.v1.Value` that a text was written from.
///
/// # Errors
/// If the text was written by something else.
pub(crate) fn read(out: &mut Vec<u8>, json: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<Owned>(json)?.put(out);
    Ok(())
}

/// A value that owns its text: JSON's may be escaped.
enum Owned {
    String(String),
    Int(i64),
    Double(f64),
    Decimal(String),
    Money(String, i64, i32),
    Bool(bool),
    Time(i64),
    List(Vec<Owned>),
    Map(Vec<(String, Owned)>),
}

impl Owned {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::String(text) => encode::string(out, text),
            Self::Int(number) => encode::int(out, *number),
            Self::Double(number) => encode::double(out, *number),
            Self::Decimal(text) => encode::decimal(out, text),
            Self::Money(currency, units, nanos) => encode::money(out, currency, *units, *nanos),
            Self::Bool(truth) => encode::bool(out, *truth),
            Self::Time(us) => encode::time(out, *us),
            Self::List(values) => encode::nested(out, 8, |out| {
                values.iter().for_each(|value| encode::nested(out, 1, |out| value.put(out)));
            }),
            Self::Map(entries) => encode::nested(out, 9, |out| {
                entries.iter().for_each(|(key, value)| encode::entry(out, 1, key, |out| value.put(out)));
            }),
        }
    }

    /// A tag and its content; `None` if they do not belong together.
    fn tagged(tag: &str, content: Self) -> Option<Self> {
        match (tag, content) {
            (DECIMAL, Self::String(text)) => Some(Self::Decimal(text)),
            (TIME, Self::Int(us)) => Some(Self::Time(us)),
            (MONEY, Self::List(parts)) => match &parts[..] {
                [Self::String(currency), Self::Int(units), Self::Int(nanos)] => {
                    Some(Self::Money(currency.clone(), *units, i32::try_from(*nanos).ok()?))
                }
                _ => None,
            },
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Owned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OwnedVisitor)
    }
}

struct OwnedVisitor;

impl<'de> Visitor<'de> for OwnedVisitor {
    type Value = Owned;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a typed value")
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Owned, E> {
        Ok(Owned::Bool(truth))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Owned, E> {
        Ok(Owned::Int(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Owned, E> {
        i64::try_from(number).map(Owned::Int).map_err(E::custom)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Owned, E> {
        Ok(Owned::Double(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Owned, E> {
        Ok(Owned::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Owned, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(Owned::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Owned, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Owned>()? {
            match key.strip_prefix('$') {
                None => entries.push((key, value)),
                Some(own) if own.starts_with('$') => entries.push((own.to_owned(), value)),
                Some(_) => {
                    return Owned::tagged(&key, value).ok_or_else(|| A::Error::custom("an unknown tag"));
                }
            }
        }
        Ok(Owned::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn comes_back(value: &Value<'_>, json: &str) {
        let mut text = String::new();
        write(&mut text, value);
        assert_eq!(text, json);
        let mut bytes = Vec::new();
        read(&mut bytes, &text).unwrap();
        let found = Value::decode(&bytes).unwrap().unwrap();
        assert_eq!(format!("{found:?}"), format!("{value:?}")); // As text: -0.0 differs from 0.0.
    }

    #[test]
    fn every_kind_comes_back() {
        use Value::{Bool, Decimal, Double, Int, List, Map, Money, String, Time};
        comes_back(&List(vec![]), "[]");
        comes_back(&Map(vec![]), "{}");
        comes_back(&List(vec![Int(i64::MIN), Int(i64::MAX)]), "[-9223372036854775808,9223372036854775807]");
        comes_back(&List(vec![Double(-0.0), Double(1.0), Double(1e300)]), "[-0.0,1.0,1e300]");
        comes_back(&List(vec![String("a\"\u{1}ü"), Bool(true)]), "[\"a\\\"\\u0001ü\",true]");
        comes_back(&List(vec![Decimal("+01.50")]), "[{\"$decimal\":\"+01.50\"}]");
        comes_back(&List(vec![Time(-1)]), "[{\"$time\":-1}]");
        let money = Money { currency: "EUR", units: -1, nanos: -5 };
        comes_back(&Map(vec![("b", money), ("a", Int(1))]), "{\"b\":{\"$money\":[\"EUR\",-1,-5]},\"a\":1}");
    }

    #[test]
    fn a_key_that_looks_like_a_tag_stays_a_key() {
        let map = Value::Map(vec![("$time", Value::Int(1)), ("$$x", Value::Int(2))]);
        comes_back(&map, "{\"$$time\":1,\"$$$x\":2}");
    }

    #[test]
    fn what_was_not_written_here_is_refused() {
        for text in ["", "null", "{\"$time\":\"x\"}", "{\"$new\":1}", "[18446744073709551615]"] {
            assert!(read(&mut Vec::new(), text).is_err(), "{text}");
        }
    }
}
