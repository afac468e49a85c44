//! Histories and books as bytes.
//!
//! ```text
//! history   base u8: 0 none, 1 without a value, 2 with one | base: (moment, refused varint, value)
//!           operations varint x (moment, rank u8, value or f64)
//! value     kind u8 | i64, f64, u8 or (len varint, bytes)
//! book      version u8 | limit varint | keys varint x (0, or 1 key, or 2 kind key) | histories varint x
//!           (entity u64, key varint, history)
//! ```
//! A moment is i64 and u128, a key or kind a varint length and text; all little endian.

use footpath_model::wire::{put_varint, varint};

use super::book::PropertyBook;
use super::history::{Base, History};
use super::keys::{KeyId, Keys, Owner};
use super::moment::Moment;
use super::operation::{Placed, PropertyOperation};
use super::value::PropertyValue;

/// The version of the bytes below.
pub const FORMAT: u8 = 1;

/// The bytes are no properties, or of a newer version: rebuild them from stored events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not properties of this version; rebuild them from stored events")]
pub struct BadProperties;

impl History {
    /// Appends the history.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.base.as_ref().map_or(0, |base| 1 + u8::from(base.value.is_some())));
        if let Some(base) = &self.base {
            put_moment(out, base.until);
            put_varint(out, base.refused.into());
            base.value.iter().for_each(|value| put_value(out, value));
        }
        put_varint(out, self.operations.len() as u64);
        for placed in &self.operations {
            put_moment(out, placed.moment);
            out.push(placed.operation.rank());
            match &placed.operation {
                PropertyOperation::SetOnce(value) | PropertyOperation::Set(value) => put_value(out, value),
                PropertyOperation::Add(amount) => out.extend_from_slice(&amount.to_le_bytes()),
                PropertyOperation::Unset => {}
            }
        }
    }

    /// Reads a history from the front of `bytes` and moves them behind it.
    ///
    /// # Errors
    /// [`BadProperties`] if the bytes are cut, or operations are not in order.
    pub fn decode(bytes: &mut &[u8]) -> Result<Self, BadProperties> {
        let mut reader = Reader(bytes);
        let history = reader.history()?;
        *bytes = reader.0;
        Ok(history)
    }

    fn is_sound(&self) -> bool {
        let behind = |base: &Base| self.operations.first().is_none_or(|first| first.moment > base.until);
        let rising = self.operations.is_sorted_by(|a, b| a.order() < b.order());
        rising && self.base.as_deref().is_none_or(behind)
    }
}

impl PropertyBook {
    /// Appends the book.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(FORMAT);
        put_varint(out, self.limit as u64);
        put_varint(out, self.keys.names().len() as u64);
        for name in self.keys.names() {
            match name {
                None => out.push(0),
                Some((Owner::Person, key)) => {
                    out.push(1);
                    put_bytes(out, key.as_bytes());
                }
                Some((Owner::Group(kind), key)) => {
                    out.push(2);
                    put_bytes(out, kind.as_bytes());
                    put_bytes(out, key.as_bytes());
                }
            }
        }
        put_varint(out, self.histories.len() as u64);
        for ((entity, key), history) in &self.histories {
            out.extend_from_slice(&entity.to_le_bytes());
            put_varint(out, key.0.into());
            history.encode(out);
        }
    }

    /// Reads a book from the front of `bytes` and moves them behind it.
    ///
    /// # Errors
    /// [`BadProperties`] if the bytes are cut, of another version, or contradict themselves.
    pub fn decode(bytes: &mut &[u8]) -> Result<Self, BadProperties> {
        let mut reader = Reader(bytes);
        if reader.array()? != [FORMAT] {
            return Err(BadProperties);
        }
        let mut book = Self::new(reader.number()?);
        let names = (0..reader.number()?).map(|_| reader.name()).collect::<Result<Vec<_>, _>>()?;
        book.keys = Keys::from_names(names).ok_or(BadProperties)?;
        for _ in 0..reader.number()? {
            let entity = u64::from_le_bytes(reader.array()?);
            let key = KeyId(u32::try_from(reader.number()?).map_err(|_| BadProperties)?);
            let history = reader.history()?;
            let known = book.keys.name(key).is_some();
            if !known || book.histories.insert((entity, key), history).is_some() {
                return Err(BadProperties);
            }
        }
        *bytes = reader.0;
        Ok(book)
    }
}

fn put_moment(out: &mut Vec<u8>, moment: Moment) {
    out.extend_from_slice(&moment.time_us.to_le_bytes());
    out.extend_from_slice(&moment.id().to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_value(out: &mut Vec<u8>, value: &PropertyValue) {
    let mut number = |kind: u8, bytes: [u8; 8]| {
        out.push(kind);
        out.extend_from_slice(&bytes);
    };
    match value {
        PropertyValue::Int(value) => number(0, value.to_le_bytes()),
        PropertyValue::Double(value) => number(1, value.to_le_bytes()),
        PropertyValue::Time(us) => number(2, us.to_le_bytes()),
        PropertyValue::Bool(value) => out.extend([3, u8::from(*value)]),
        PropertyValue::Encoded(bytes) => {
            out.push(4);
            put_bytes(out, bytes);
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadProperties> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(BadProperties)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn number(&mut self) -> Result<usize, BadProperties> {
        let mut at = 0;
        let value = varint(self.0, &mut at).map_err(|_| BadProperties)?;
        self.0 = &self.0[at..];
        usize::try_from(value).map_err(|_| BadProperties)
    }

    fn bytes(&mut self) -> Result<&'a [u8], BadProperties> {
        let len = self.number()?;
        let (taken, rest) = self.0.split_at_checked(len).ok_or(BadProperties)?;
        self.0 = rest;
        Ok(taken)
    }

    fn text(&mut self) -> Result<String, BadProperties> {
        std::str::from_utf8(self.bytes()?).map(str::to_owned).map_err(|_| BadProperties)
    }

    fn name(&mut self) -> Result<Option<(Owner, String)>, BadProperties> {
        match self.array()? {
            [0] => Ok(None),
            [1] => Ok(Some((Owner::Person, self.text()?))),
            [2] => Ok(Some((Owner::Group(self.text()?), self.text()?))),
            _ => Err(BadProperties),
        }
    }

    fn moment(&mut self) -> Result<Moment, BadProperties> {
        Ok(Moment::new(i64::from_le_bytes(self.array()?), u128::from_le_bytes(self.array()?)))
    }

    fn finite(&mut self) -> Result<f64, BadProperties> {
        let number = f64::from_le_bytes(self.array()?);
        if number.is_finite() { Ok(number) } else { Err(BadProperties) }
    }

    fn value(&mut self) -> Result<PropertyValue, BadProperties> {
        match self.array()? {
            [0] => Ok(PropertyValue::Int(i64::from_le_bytes(self.array()?))),
            [1] => Ok(PropertyValue::Double(self.finite()?)),
            [2] => Ok(PropertyValue::Time(i64::from_le_bytes(self.array()?))),
            [3] => Ok(PropertyValue::Bool(self.array()? != [0])),
            [4] => PropertyValue::new(self.bytes()?).ok_or(BadProperties),
            _ => Err(BadProperties),
        }
    }

    fn base(&mut self, has_value: bool) -> Result<Base, BadProperties> {
        let until = self.moment()?;
        let refused = u32::try_from(self.number()?).map_err(|_| BadProperties)?;
        let value = has_value.then(|| self.value()).transpose()?;
        Ok(Base { until, refused, value })
    }

    fn placed(&mut self) -> Result<Placed, BadProperties> {
        let moment = self.moment()?;
        let operation = match self.array()? {
            [0] => PropertyOperation::SetOnce(self.value()?),
            [1] => PropertyOperation::Set(self.value()?),
            [2] => PropertyOperation::Add(self.finite()?),
            [3] => PropertyOperation::Unset,
            _ => return Err(BadProperties),
        };
        Ok(Placed { moment, operation })
    }

    fn history(&mut self) -> Result<History, BadProperties> {
        let base = match self.array()? {
            [0] => None,
            [has @ 1..=2] => Some(Box::new(self.base(has == 2)?)),
            _ => return Err(BadProperties),
        };
        let mut history = History { base, operations: Vec::new() };
        for _ in 0..self.number()? {
            history.operations.push(self.placed()?);
        }
        history.operations.shrink_to_fit();
        if history.is_sound() { Ok(history) } else { Err(BadProperties) }
    }
}
