//! Columns of property values: one builder per kind, used by the maps and by promoted columns.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanBuilder, Float64Builder, Int32Builder, Int64Builder,
    MapArray, NullBufferBuilder, PrimitiveArray, StringArray, StructArray, TimestampMicrosecondBuilder,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field};
use footpath_model::props::Value;

use crate::error::HistoryError;
use crate::file::BATCH_ROWS;
use crate::json;
use crate::schema::{Kind, map_fields, money_fields};

/// Bytes end to end, with where each value ends. Leaner than arrow's own builders, which look at their null bits and
/// their room for every value.
pub(crate) struct BytesBuilder {
    bytes: Vec<u8>,
    ends: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Default for BytesBuilder {
    fn default() -> Self {
        Self::with_room(0)
    }
}

impl BytesBuilder {
    fn with_room(bytes: usize) -> Self {
        let mut ends = Vec::with_capacity(BATCH_ROWS + 1);
        ends.push(0);
        Self { bytes: Vec::with_capacity(bytes), ends, nulls: NullBufferBuilder::new(BATCH_ROWS) }
    }

    #[inline]
    pub(crate) fn append_value(&mut self, value: &[u8]) {
        self.append_option(Some(value));
    }

    #[inline]
    pub(crate) fn append_option(&mut self, value: Option<&[u8]>) {
        self.nulls.append(value.is_some());
        self.bytes.extend_from_slice(value.unwrap_or_default());
        // A batch has 8 k rows of at most 32 KiB each.
        self.ends.push(self.bytes.len() as i32);
    }

    /// The values since the last time. What comes next has room for as much.
    fn parts(&mut self) -> (OffsetBuffer<i32>, Buffer, Option<NullBuffer>) {
        let Self { bytes, ends, mut nulls } = std::mem::replace(self, Self::with_room(self.bytes.len()));
        (OffsetBuffer::new(ends.into()), bytes.into(), nulls.finish())
    }

    pub(crate) fn finish(&mut self) -> Result<ArrayRef, HistoryError> {
        let (ends, bytes, nulls) = self.parts();
        Ok(Arc::new(BinaryArray::try_new(ends, bytes, nulls).map_err(HistoryError::encode)?))
    }
}

/// Text, appended as bytes: it was checked at ingest, and checking a column as a whole costs far less than each value.
#[derive(Default)]
pub(crate) struct TextBuilder(BytesBuilder);

impl TextBuilder {
    #[inline]
    pub(crate) fn append_value(&mut self, text: impl AsRef<[u8]>) {
        self.0.append_value(text.as_ref());
    }

    #[inline]
    pub(crate) fn append_option(&mut self, text: Option<&[u8]>) {
        self.0.append_option(text);
    }

    pub(crate) fn append_null(&mut self) {
        self.0.append_option(None);
    }

    /// Fails if anything of it is not UTF-8.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, HistoryError> {
        let (ends, bytes, nulls) = self.0.parts();
        Ok(Arc::new(StringArray::try_new(ends, bytes, nulls).map_err(HistoryError::encode)?))
    }
}

/// Numbers of a column without nulls.
pub(crate) struct Numbers<T: ArrowPrimitiveType>(Vec<T::Native>);

impl<T: ArrowPrimitiveType> Default for Numbers<T> {
    fn default() -> Self {
        Self(Vec::with_capacity(BATCH_ROWS))
    }
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    #[inline]
    pub(crate) fn push(&mut self, number: T::Native) {
        self.0.push(number);
    }

    pub(crate) fn finish(&mut self) -> PrimitiveArray<T> {
        PrimitiveArray::new(std::mem::take(self).0.into(), None)
    }
}

/// Values of one kind.
pub(crate) enum Values {
    Text(TextBuilder),
    Json(TextBuilder, String),
    Int(Int64Builder),
    Double(Float64Builder),
    Money(Box<Money>),
    Bool(BooleanBuilder),
    Time(TimestampMicrosecondBuilder),
}

/// Amounts of money; a row without one is null as a whole.
#[derive(Default)]
pub(crate) struct Money {
    currency: TextBuilder,
    units: Int64Builder,
    nanos: Int32Builder,
    set: Vec<bool>,
}

impl Values {
    pub(crate) fn new(kind: Kind) -> Self {
        match kind {
            Kind::String | Kind::Decimal => Self::Text(TextBuilder::default()),
            Kind::Json => Self::Json(TextBuilder::default(), String::new()),
            Kind::Int => Self::Int(Int64Builder::new()),
            Kind::Double => Self::Double(Float64Builder::new()),
            Kind::Money => Self::Money(Box::default()),
            Kind::Bool => Self::Bool(BooleanBuilder::new()),
            Kind::Time => Self::Time(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
        }
    }

    /// Appends a value of this kind.
    #[inline]
    pub(crate) fn push(&mut self, value: &Value<'_>) {
        match (self, value) {
            (Self::Text(b), Value::String(text) | Value::Decimal(text)) => b.append_value(text),
            (Self::Int(b), Value::Int(number)) => b.append_value(*number),
            (Self::Double(b), Value::Double(number)) => b.append_value(*number),
            (Self::Bool(b), Value::Bool(truth)) => b.append_value(*truth),
            (Self::Time(b), Value::Time(us)) => b.append_value(*us),
            (Self::Money(b), Value::Money { currency, units, nanos }) => {
                b.push(currency, *units, *nanos, true)
            }
            (Self::Json(b, scratch), value) => {
                scratch.clear();
                json::write(scratch, value);
                b.append_value(scratch);
            }
            (this, _) => this.push_null(), // The caller picks the column by the value's kind.
        }
    }

    pub(crate) fn push_null(&mut self) {
        match self {
            Self::Text(b) | Self::Json(b, _) => b.append_null(),
            Self::Int(b) => b.append_null(),
            Self::Double(b) => b.append_null(),
            Self::Money(b) => b.push("", 0, 0, false),
            Self::Bool(b) => b.append_null(),
            Self::Time(b) => b.append_null(),
        }
    }

    pub(crate) fn finish(&mut self) -> Result<ArrayRef, HistoryError> {
        Ok(match self {
            Self::Text(b) | Self::Json(b, _) => b.finish()?,
            Self::Int(b) => Arc::new(b.finish()),
            Self::Double(b) => Arc::new(b.finish()),
            Self::Money(b) => Arc::new(b.finish()?),
            Self::Bool(b) => Arc::new(b.finish()),
            Self::Time(b) => Arc::new(b.finish()),
        })
    }
}

impl Money {
    fn push(&mut self, currency: &str, units: i64, nanos: i32, set: bool) {
        self.currency.append_value(currency);
        self.units.append_value(units);
        self.nanos.append_value(nanos);
        self.set.push(set);
    }

    fn finish(&mut self) -> Result<StructArray, HistoryError> {
        let parts: Vec<ArrayRef> =
            vec![self.currency.finish()?, Arc::new(self.units.finish()), Arc::new(self.nanos.finish())];
        let set = NullBuffer::from(std::mem::take(&mut self.set));
        let nulls = (set.null_count() > 0).then_some(set);
        StructArray::try_new(money_fields(), parts, nulls).map_err(HistoryError::encode)
    }
}

/// A map per row from keys to values of one kind; empty where a row has none.
pub(crate) struct MapColumn {
    kind: Kind,
    ends: Vec<i32>,
    keys: TextBuilder,
    values: Values,
    entries: i32,
}

impl MapColumn {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, ends: vec![0], keys: TextBuilder::default(), values: Values::new(kind), entries: 0 }
    }

    #[inline]
    pub(crate) fn push(&mut self, key: &[u8], value: &Value<'_>) {
        self.keys.append_value(key);
        self.values.push(value);
        self.entries += 1;
    }

    /// Appends text to a column of it.
    #[inline]
    pub(crate) fn push_text(&mut self, key: &[u8], text: &[u8]) {
        match &mut self.values {
            Values::Text(values) => values.append_value(text),
            other => other.push_null(), // The caller picks the column by the value's kind.
        }
        self.keys.append_value(key);
        self.entries += 1;
    }

    #[inline]
    pub(crate) fn end_row(&mut self) {
        self.ends.push(self.entries);
    }

    pub(crate) fn finish(&mut self) -> Result<ArrayRef, HistoryError> {
        self.entries = 0;
        let ends = std::mem::replace(&mut self.ends, vec![0]);
        let fields = map_fields(self.kind);
        let parts: Vec<ArrayRef> = vec![self.keys.finish()?, self.values.finish()?];
        let entries = StructArray::try_new(fields.clone(), parts, None).map_err(HistoryError::encode)?;
        let field = Arc::new(Field::new("key_value", DataType::Struct(fields), false));
        let map = MapArray::try_new(field, OffsetBuffer::new(ends.into()), entries, None, false);
        Ok(Arc::new(map.map_err(HistoryError::encode)?))
    }
}
