//! Columns of property values: one builder per kind, used by the maps and by promoted columns.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, MapArray, StringBuilder,
    StructArray, TimestampMicrosecondBuilder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field};
use footpath_model::props::Value;

use crate::error::HistoryError;
use crate::json;
use crate::schema::{Kind, map_fields, money_fields};

/// Values of one kind.
pub(crate) enum Values {
    Text(StringBuilder),
    Json(StringBuilder, String),
    Int(Int64Builder),
    Double(Float64Builder),
    Money(Box<Money>),
    Bool(BooleanBuilder),
    Time(TimestampMicrosecondBuilder),
}

/// Amounts of money; a row without one is null as a whole.
#[derive(Default)]
pub(crate) struct Money {
    currency: StringBuilder,
    units: Int64Builder,
    nanos: Int32Builder,
    set: Vec<bool>,
}

impl Values {
    pub(crate) fn new(kind: Kind) -> Self {
        match kind {
            Kind::String | Kind::Decimal => Self::Text(StringBuilder::new()),
            Kind::Json => Self::Json(StringBuilder::new(), String::new()),
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
            Self::Text(b) | Self::Json(b, _) => Arc::new(b.finish()),
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
        let parts: Vec<ArrayRef> = vec![
            Arc::new(self.currency.finish()),
            Arc::new(self.units.finish()),
            Arc::new(self.nanos.finish()),
        ];
        let set = NullBuffer::from(std::mem::take(&mut self.set));
        let nulls = (set.null_count() > 0).then_some(set);
        StructArray::try_new(money_fields(), parts, nulls).map_err(HistoryError::encode)
    }
}

/// A map per row from keys to values of one kind; empty where a row has none.
pub(crate) struct MapColumn {
    kind: Kind,
    ends: Vec<i32>,
    keys: StringBuilder,
    values: Values,
    entries: i32,
}

impl MapColumn {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, ends: vec![0], keys: StringBuilder::new(), values: Values::new(kind), entries: 0 }
    }

    #[inline]
    pub(crate) fn push(&mut self, key: &str, value: &Value<'_>) {
        self.keys.append_value(key);
        self.values.push(value);
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
        let parts: Vec<ArrayRef> = vec![Arc::new(self.keys.finish()), self.values.finish()?];
        let entries = StructArray::try_new(fields.clone(), parts, None).map_err(HistoryError::encode)?;
        let field = Arc::new(Field::new("key_value", DataType::Struct(fields), false));
        let map = MapArray::try_new(field, OffsetBuffer::new(ends.into()), entries, None, false);
        Ok(Arc::new(map.map_err(HistoryError::encode)?))
    }
}
