//! Rows out of decoded columns.

use arrow::array::{
    Array, BinaryArray, BooleanArray, Float64Array, Int8Array, Int32Array, Int32DictionaryArray, Int64Array,
    MapArray, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use footpath_model::id::{EventId, Producer, lane};
use footpath_model::props::PROPERTY_FIELD;
use footpath_model::record::{EventHead, TimeRule};

use super::column;
use crate::schema::{self, Kind, Promoted};
use crate::stored::{Columns, StoredRow};
use crate::{context, encode, json};

/// Columns that every scan decodes.
pub(super) const HEAD: [&str; 6] = [
    schema::LOG_OFFSET,
    schema::BATCH_INDEX,
    schema::EVENT_ID,
    schema::EVENT_TIME,
    schema::ACTOR_HASH,
    schema::NAME,
];
/// Columns of [`Columns::ids`].
pub(super) const IDS: [&str; 3] = [schema::ANONYMOUS_ID, schema::USER_ID, schema::SESSION_ID];
/// Columns of [`Columns::rest`]. Lane and actor follow from the others.
pub(super) const REST: [&str; 11] = [
    schema::RAW_TIME,
    schema::RECEIVE_TIME,
    schema::APPEND_TIME,
    schema::TIME_RULE,
    schema::INSTALL,
    schema::STREAM_EPOCH,
    schema::STREAM_CLASS,
    schema::STREAM_NUMBER,
    schema::CONTEXT,
    schema::HISTORICAL,
    schema::CHANGES,
];

/// Whether a column holds properties.
pub(super) fn is_property(name: &str) -> bool {
    name.starts_with("props_") || Promoted::of_column(name).is_some()
}

/// A decoded batch, its columns by type.
pub(super) struct RowBatch<'b> {
    rows: usize,
    log_offset: &'b Int64Array,
    batch_index: &'b Int32Array,
    event_id: &'b BinaryArray,
    event_time: &'b TimestampMicrosecondArray,
    actor_hash: &'b Int64Array,
    names: Names<'b>,
    ids: Option<Ids<'b>>,
    properties: Vec<Property<'b>>,
    rest: Option<Rest<'b>>,
}

/// Names, each distinct one once.
pub(super) struct Names<'b> {
    pub(super) keys: &'b Int32Array,
    pub(super) values: &'b StringArray,
}

impl<'b> Names<'b> {
    pub(super) fn new(batch: &'b RecordBatch) -> Result<Self, ArrowError> {
        let names: &Int32DictionaryArray = column(batch, schema::NAME)?;
        Ok(Self { keys: names.keys(), values: typed(names.values())? })
    }

    fn value(&self, i: usize) -> &'b str {
        self.values.value(self.keys.value(i) as usize)
    }
}

struct Ids<'b> {
    anonymous_id: &'b StringArray,
    user_id: &'b StringArray,
    session_id: &'b StringArray,
}

struct Rest<'b> {
    raw_time: &'b TimestampMicrosecondArray,
    receive_time: &'b TimestampMicrosecondArray,
    append_time: &'b TimestampMicrosecondArray,
    time_rule: &'b Int8Array,
    install: &'b BinaryArray,
    stream_epoch: &'b Int64Array,
    stream_class: &'b Int8Array,
    stream_number: &'b Int64Array,
    context: &'b StringArray,
    historical: &'b BooleanArray,
    changes: &'b BinaryArray,
}

impl<'b> RowBatch<'b> {
    pub(super) fn new(batch: &'b RecordBatch, columns: Columns) -> Result<Self, ArrowError> {
        Ok(Self {
            rows: batch.num_rows(),
            log_offset: column(batch, schema::LOG_OFFSET)?,
            batch_index: column(batch, schema::BATCH_INDEX)?,
            event_id: column(batch, schema::EVENT_ID)?,
            event_time: column(batch, schema::EVENT_TIME)?,
            actor_hash: column(batch, schema::ACTOR_HASH)?,
            names: Names::new(batch)?,
            ids: columns.ids.then(|| Ids::new(batch)).transpose()?,
            properties: if columns.properties { properties(batch)? } else { Vec::new() },
            rest: columns.rest.then(|| Rest::new(batch)).transpose()?,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// One row; properties and context are written into the buffers.
    pub(super) fn row<'r>(
        &'r self,
        i: usize,
        properties: &'r mut Vec<u8>,
        context: &'r mut Vec<u8>,
    ) -> Result<StoredRow<'r>, serde_json::Error> {
        properties.clear();
        for property in &self.properties {
            property.put(properties, i)?;
        }
        let head = self.head(i);
        let mut row = StoredRow {
            offset: self.log_offset.value(i).cast_unsigned(),
            index: head.index,
            append_us: 0,
            received_us: 0,
            historical: false,
            producer: Producer::default(),
            head,
            name: self.names.value(i),
            anonymous_id: "",
            user_id: "",
            session_id: "",
            properties,
            changes: &[],
            context: &[],
        };
        if let Some(ids) = &self.ids {
            row.anonymous_id = text(ids.anonymous_id, i);
            row.user_id = text(ids.user_id, i);
            row.session_id = text(ids.session_id, i);
        }
        if let Some(rest) = &self.rest {
            context.clear();
            rest.fill(&mut row, i, context)?;
            row.context = context;
        }
        Ok(row)
    }

    fn head(&self, i: usize) -> EventHead {
        let actor_key = self.actor_hash.value(i).cast_unsigned();
        let time_us = self.event_time.value(i);
        EventHead {
            lane: lane(actor_key),
            class: 0,
            time_rule: TimeRule::AsSent,
            actor_key,
            id: EventId(sixteen(self.event_id.value(i))),
            time_us,
            raw_time_us: time_us,
            number: 0,
            index: self.batch_index.value(i).cast_unsigned(),
        }
    }
}

impl<'b> Ids<'b> {
    fn new(batch: &'b RecordBatch) -> Result<Self, ArrowError> {
        Ok(Self {
            anonymous_id: column(batch, schema::ANONYMOUS_ID)?,
            user_id: column(batch, schema::USER_ID)?,
            session_id: column(batch, schema::SESSION_ID)?,
        })
    }
}

impl<'b> Rest<'b> {
    fn new(batch: &'b RecordBatch) -> Result<Self, ArrowError> {
        Ok(Self {
            raw_time: column(batch, schema::RAW_TIME)?,
            receive_time: column(batch, schema::RECEIVE_TIME)?,
            append_time: column(batch, schema::APPEND_TIME)?,
            time_rule: column(batch, schema::TIME_RULE)?,
            install: column(batch, schema::INSTALL)?,
            stream_epoch: column(batch, schema::STREAM_EPOCH)?,
            stream_class: column(batch, schema::STREAM_CLASS)?,
            stream_number: column(batch, schema::STREAM_NUMBER)?,
            context: column(batch, schema::CONTEXT)?,
            historical: column(batch, schema::HISTORICAL)?,
            changes: column(batch, schema::CHANGES)?,
        })
    }

    fn fill<'r>(
        &'r self,
        row: &mut StoredRow<'r>,
        i: usize,
        context: &mut Vec<u8>,
    ) -> Result<(), serde_json::Error> {
        row.head.raw_time_us = self.raw_time.value(i);
        row.head.time_rule = TimeRule::from_u8(self.time_rule.value(i).cast_unsigned());
        row.head.class = self.stream_class.value(i).cast_unsigned();
        row.head.number = self.stream_number.value(i).cast_unsigned();
        row.received_us = self.receive_time.value(i);
        row.append_us = self.append_time.value(i);
        row.historical = self.historical.value(i);
        row.producer.install = sixteen(bytes(self.install, i));
        if self.stream_epoch.is_valid(i) {
            row.producer.epoch = self.stream_epoch.value(i).cast_unsigned();
        }
        row.changes = bytes(self.changes, i);
        match text(self.context, i) {
            "" => Ok(()),
            json => context::from_json(context, json),
        }
    }
}

/// Text, empty where it is null.
fn text(column: &StringArray, i: usize) -> &str {
    if column.is_null(i) { "" } else { column.value(i) }
}

/// Bytes, empty where they are null.
fn bytes(column: &BinaryArray, i: usize) -> &[u8] {
    if column.is_null(i) { &[] } else { column.value(i) }
}

pub(super) fn sixteen(bytes: &[u8]) -> [u8; 16] {
    bytes.try_into().unwrap_or_default()
}

/// Where properties of one kind lie.
enum Property<'b> {
    Map { rows: &'b MapArray, keys: &'b StringArray, values: Values<'b> },
    Promoted { key: String, values: Values<'b> },
}

fn properties(batch: &RecordBatch) -> Result<Vec<Property<'_>>, ArrowError> {
    let schema = batch.schema_ref();
    let columns = schema.fields().iter().zip(batch.columns());
    let found = columns.filter_map(|(field, array)| {
        let map = |kind: &Kind| kind.map_column() == *field.name();
        if let Some(kind) = Kind::ALL.into_iter().find(map) {
            return Some(Property::map(kind, array.as_ref()));
        }
        let promoted = Promoted::of_column(field.name())?;
        Some(
            Values::new(promoted.kind, array.as_ref())
                .map(|v| Property::Promoted { key: promoted.key, values: v }),
        )
    });
    found.collect()
}

impl<'b> Property<'b> {
    fn map(kind: Kind, array: &'b dyn Array) -> Result<Self, ArrowError> {
        let rows: &MapArray = typed(array)?;
        Ok(Self::Map { rows, keys: typed(rows.keys())?, values: Values::new(kind, rows.values())? })
    }

    /// Appends the row's properties.
    fn put(&self, out: &mut Vec<u8>, i: usize) -> Result<(), serde_json::Error> {
        match self {
            Self::Map { rows, keys, values } => {
                let offsets = rows.value_offsets();
                for at in offsets[i] as usize..offsets[i + 1] as usize {
                    values.put_entry(out, keys.value(at), at)?;
                }
                Ok(())
            }
            Self::Promoted { values, .. } if values.is_null(i) => Ok(()),
            Self::Promoted { key, values } => values.put_entry(out, key, i),
        }
    }
}

/// Decoded values of one kind.
enum Values<'b> {
    String(&'b StringArray),
    Int(&'b Int64Array),
    Double(&'b Float64Array),
    Decimal(&'b StringArray),
    Money { rows: &'b StructArray, currency: &'b StringArray, units: &'b Int64Array, nanos: &'b Int32Array },
    Bool(&'b BooleanArray),
    Time(&'b TimestampMicrosecondArray),
    Json(&'b StringArray),
}

impl<'b> Values<'b> {
    fn new(kind: Kind, array: &'b dyn Array) -> Result<Self, ArrowError> {
        Ok(match kind {
            Kind::String => Self::String(typed(array)?),
            Kind::Int => Self::Int(typed(array)?),
            Kind::Double => Self::Double(typed(array)?),
            Kind::Decimal => Self::Decimal(typed(array)?),
            Kind::Money => Self::money(typed(array)?)?,
            Kind::Bool => Self::Bool(typed(array)?),
            Kind::Time => Self::Time(typed(array)?),
            Kind::Json => Self::Json(typed(array)?),
        })
    }

    fn money(rows: &'b StructArray) -> Result<Self, ArrowError> {
        let part = |name: &str| {
            rows.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("money has no {name}")))
        };
        Ok(Self::Money {
            rows,
            currency: typed(part("currency")?)?,
            units: typed(part("units")?)?,
            nanos: typed(part("nanos")?)?,
        })
    }

    fn is_null(&self, i: usize) -> bool {
        match self {
            Self::String(a) | Self::Decimal(a) | Self::Json(a) => a.is_null(i),
            Self::Int(a) => a.is_null(i),
            Self::Double(a) => a.is_null(i),
            Self::Money { rows, .. } => rows.is_null(i),
            Self::Bool(a) => a.is_null(i),
            Self::Time(a) => a.is_null(i),
        }
    }

    fn put_entry(&self, out: &mut Vec<u8>, key: &str, i: usize) -> Result<(), serde_json::Error> {
        let mut put = Ok(());
        encode::entry(out, PROPERTY_FIELD, key, |out| put = self.put(out, i));
        put
    }

    fn put(&self, out: &mut Vec<u8>, i: usize) -> Result<(), serde_json::Error> {
        match self {
            Self::String(a) => encode::string(out, a.value(i)),
            Self::Int(a) => encode::int(out, a.value(i)),
            Self::Double(a) => encode::double(out, a.value(i)),
            Self::Decimal(a) => encode::decimal(out, a.value(i)),
            Self::Money { currency, units, nanos, .. } => {
                encode::money(out, currency.value(i), units.value(i), nanos.value(i));
            }
            Self::Bool(a) => encode::bool(out, a.value(i)),
            Self::Time(a) => encode::time(out, a.value(i)),
            Self::Json(a) => return json::read(out, a.value(i)),
        }
        Ok(())
    }
}

/// An array of the type it must have.
fn typed<A: Array + 'static>(array: &dyn Array) -> Result<&A, ArrowError> {
    let other = || ArrowError::SchemaError(format!("a column is of another type: {}", array.data_type()));
    array.as_any().downcast_ref().ok_or_else(other)
}
