//! Properties, read lazily from the bytes they were sent in.

use serde_json::{Map, Number, Value as Json};

use crate::wire::{Field, Fields, Raw, WireError, only_bytes, short_entry, text_and_two};

/// A property's value. Borrowed from the record.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// Text.
    String(&'a str),
    /// A whole number.
    Int(i64),
    /// A finite number.
    Double(f64),
    /// A decimal number as written.
    Decimal(&'a str),
    /// An amount of money.
    Money {
        /// ISO 4217 code.
        currency: &'a str,
        /// Whole units.
        units: i64,
        /// Billionths.
        nanos: i32,
    },
    /// True or false.
    Bool(bool),
    /// Microseconds since 1970.
    Time(i64),
    /// Several values.
    List(Vec<Value<'a>>),
    /// Values by key.
    Map(Vec<(&'a str, Value<'a>)>),
}

/// The field number of `Event.properties`, which every property in a record carries.
pub const PROPERTY_FIELD: u32 = 11;

/// The properties of a record, in order. The bytes were validated at ingest; what does not decode is left out.
pub fn properties(bytes: &[u8]) -> impl Iterator<Item = (&str, Value<'_>)> {
    undecoded(bytes).filter_map(|(key, value)| Some((text(key), Value::decode(value).ok()??)))
}

/// The properties of a record, in order: each key, and its encoded `footpath.v1.Value`.
#[inline]
pub fn undecoded(bytes: &[u8]) -> Undecoded<'_> {
    Undecoded(Fields::new(bytes))
}

/// A key, and its encoded `footpath.v1.Value`.
pub type Encoded<'a> = (&'a [u8], &'a [u8]);

/// See [`undecoded`].
#[derive(Debug, Clone)]
pub struct Undecoded<'a>(Fields<'a>);

impl<'a> Undecoded<'a> {
    /// For what is not of the usual form: the next field of `short` or of the rest that is an entry.
    #[inline(never)]
    fn any(&mut self, mut short: Option<Field<'a>>) -> Option<Encoded<'a>> {
        loop {
            let field = match short.take() {
                Some(field) => field,
                None => self.0.next()?.ok()?,
            };
            if let Ok(Some(entry)) = field.bytes().and_then(any_entry) {
                return Some(entry);
            }
        }
    }
}

impl<'a> Iterator for Undecoded<'a> {
    type Item = Encoded<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let short = self.0.next_short();
        if let Some(Field { value: Raw::Bytes(bytes), .. }) = short
            && let Some(entry) = short_entry(bytes)
        {
            return Some(entry);
        }
        self.any(short)
    }
}

/// The value of one property.
pub fn property<'a>(bytes: &'a [u8], key: &str) -> Option<Value<'a>> {
    properties(bytes).find(|(k, _)| *k == key).map(|(_, value)| value)
}

/// The properties as a JSON object; money becomes `{currency, units, nanos}`, times RFC 3339.
pub fn to_json(bytes: &[u8]) -> Map<String, Json> {
    properties(bytes).map(|(key, value)| (key.to_owned(), value.to_json())).collect()
}

#[inline]
fn entry(bytes: &[u8]) -> Result<Option<Encoded<'_>>, WireError> {
    match short_entry(bytes) {
        Some(entry) => Ok(Some(entry)),
        None => any_entry(bytes),
    }
}

#[inline(never)]
fn any_entry(bytes: &[u8]) -> Result<Option<Encoded<'_>>, WireError> {
    let (mut key, mut value): (&[u8], _) = (&[], None);
    for field in Fields::new(bytes) {
        let field = field?;
        match field.number {
            1 => key = field.bytes()?,
            2 => value = Some(field.bytes()?),
            _ => {}
        }
    }
    Ok(value.map(|value| (key, value)))
}

fn text(bytes: &[u8]) -> &str {
    simdutf8::basic::from_utf8(bytes).unwrap_or_default()
}

impl<'a> Value<'a> {
    /// Decodes a `footpath.v1.Value`; `None` if no kind is set.
    ///
    /// # Errors
    /// If the bytes are not protobuf.
    #[inline]
    pub fn decode(bytes: &'a [u8]) -> Result<Option<Self>, WireError> {
        // The usual forms are known by their first bytes.
        if let Some(string) = only_bytes(bytes, 1) {
            return Ok(Some(Self::String(text(string))));
        }
        if let Some(money) = only_bytes(bytes, 5) {
            return Self::money(money).map(Some);
        }
        match *bytes {
            [0x10, number @ 0..0x80] => Ok(Some(Self::Int(number.into()))),
            [0x30, truth @ 0..0x80] => Ok(Some(Self::Bool(truth != 0))),
            [0x19, a, b, c, d, e, f, g, h] => {
                Ok(Some(Self::Double(f64::from_le_bytes([a, b, c, d, e, f, g, h]))))
            }
            _ => Self::decode_any(bytes),
        }
    }

    #[inline(never)]
    fn decode_any(bytes: &'a [u8]) -> Result<Option<Self>, WireError> {
        let Some(field) = Fields::new(bytes).last().transpose()? else { return Ok(None) };
        let value = match (field.number, field.value) {
            (1, Raw::Bytes(b)) => Self::String(text(b)),
            (2, Raw::Varint(v)) => Self::Int(v as i64),
            (3, Raw::Fixed64(v)) => Self::Double(f64::from_bits(v)),
            (4, Raw::Bytes(b)) => Self::Decimal(text(b)),
            (5, Raw::Bytes(b)) => Self::money(b)?,
            (6, Raw::Varint(v)) => Self::Bool(v != 0),
            (7, Raw::Bytes(b)) => Self::Time(timestamp_us(b)?),
            (8, Raw::Bytes(b)) => Self::list(b)?,
            (9, Raw::Bytes(b)) => Self::map(b)?,
            _ => return Ok(None),
        };
        Ok(Some(value))
    }

    fn money(bytes: &'a [u8]) -> Result<Self, WireError> {
        if let Some((currency, units, nanos)) = text_and_two(bytes) {
            return Ok(Self::Money { currency: text(currency), units: units as i64, nanos: nanos as i32 });
        }
        let (mut currency, mut units, mut nanos) = ("", 0, 0);
        for field in Fields::new(bytes) {
            let field = field?;
            match field.number {
                1 => currency = text(field.bytes()?),
                2 => units = field.varint()? as i64,
                3 => nanos = field.varint()? as i32,
                _ => {}
            }
        }
        Ok(Self::Money { currency, units, nanos })
    }

    fn list(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut values = Vec::new();
        for field in Fields::new(bytes) {
            if let Some(value) = Self::decode(field?.bytes()?)? {
                values.push(value);
            }
        }
        Ok(Self::List(values))
    }

    fn map(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut values = Vec::new();
        for field in Fields::new(bytes) {
            if let Some((key, value)) = entry(field?.bytes()?)?
                && let Some(value) = Self::decode(value)?
            {
                values.push((text(key), value));
            }
        }
        Ok(Self::Map(values))
    }

    /// As JSON.
    pub fn to_json(&self) -> Json {
        match self {
            Self::String(v) | Self::Decimal(v) => Json::from(*v),
            Self::Int(v) => Json::from(*v),
            Self::Double(v) => Number::from_f64(*v).map_or(Json::Null, Json::Number),
            Self::Money { currency, units, nanos } => {
                serde_json::json!({"currency": currency, "units": units, "nanos": nanos})
            }
            Self::Bool(v) => Json::from(*v),
            Self::Time(us) => Json::from(rfc3339(*us)),
            Self::List(values) => values.iter().map(Self::to_json).collect(),
            Self::Map(values) => {
                values.iter().map(|(k, v)| ((*k).to_owned(), v.to_json())).collect::<Map<_, _>>().into()
            }
        }
    }
}

/// Microseconds of a `google.protobuf.Timestamp`; nanoseconds are cut.
///
/// # Errors
/// If the bytes are not protobuf.
pub fn timestamp_us(bytes: &[u8]) -> Result<i64, WireError> {
    let (mut seconds, mut nanos) = (0_i64, 0_i32);
    for field in Fields::new(bytes) {
        let field = field?;
        match field.number {
            1 => seconds = field.varint()? as i64,
            2 => nanos = field.varint()? as i32,
            _ => {}
        }
    }
    Ok(seconds.saturating_mul(1_000_000).saturating_add(i64::from(nanos) / 1000))
}

/// A moment as RFC 3339 text in UTC.
pub fn rfc3339(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).map(|t| t.to_string()).unwrap_or_default()
}
