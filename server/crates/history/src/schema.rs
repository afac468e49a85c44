//! The schema of a chunk. Every file has all of these columns, in this order, then the promoted ones.
//!
//! Only types that a Delta table of reader version 1 knows: no unsigned numbers (hashes and epochs keep their 64 bits
//! in a signed one), no fixed-length bytes. Names need no quoting in SQL. Project and day are in the path, not in
//! the file: a Delta table's partition columns must not be in its files.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use footpath_model::props::Value;

use crate::error::HistoryError;

/// The format's version, kept in each file under [`VERSION_KEY`].
pub const VERSION: u32 = 1;
/// The key of the version in a file's metadata.
pub const VERSION_KEY: &str = "footpath.format";

/// The log position of the event's frame.
pub const LOG_OFFSET: &str = "log_offset";
/// The event's index in its batch.
pub const BATCH_INDEX: &str = "batch_index";
/// The event's id, 16 bytes, big endian.
pub const EVENT_ID: &str = "event_id";
/// When it happened, corrected.
pub const EVENT_TIME: &str = "event_time";
/// When it happened, as sent.
pub const RAW_TIME: &str = "raw_time";
/// When its batch was received.
pub const RECEIVE_TIME: &str = "receive_time";
/// When it was put on disk.
pub const APPEND_TIME: &str = "append_time";
/// How `event_time` came about: 0 as sent, 1 receipt, 2 corrected, 3 too far ahead.
pub const TIME_RULE: &str = "time_rule";
/// The actor's lane.
pub const LANE: &str = "lane";
/// The user id, else the anonymous id.
pub const ACTOR: &str = "actor";
/// `xxh3_64(project, 0, actor)`, its bits in a signed number.
pub const ACTOR_HASH: &str = "actor_hash";
/// Who numbered the event: the install's UUID, 16 bytes; null if nobody did.
pub const INSTALL: &str = "install";
/// The epoch of its stream, its bits in a signed number; null if it has none.
pub const STREAM_EPOCH: &str = "stream_epoch";
/// The delivery class of its stream; 0 is not numbered.
pub const STREAM_CLASS: &str = "stream_class";
/// Its number in its stream; 0 is not numbered.
pub const STREAM_NUMBER: &str = "stream_number";
/// What happened.
pub const NAME: &str = "name";
/// Anonymous id; null if none.
pub const ANONYMOUS_ID: &str = "anonymous_id";
/// User id; null if none.
pub const USER_ID: &str = "user_id";
/// Session id; null if none.
pub const SESSION_ID: &str = "session_id";
/// The batch's context as JSON, fields as in `footpath.v1.Context`, and `environment` (`staging`, `dev`; left out for
/// `prod`); null if nothing is set.
pub const CONTEXT: &str = "context";
/// Sent as history.
pub const HISTORICAL: &str = "historical";
/// Changes to person and groups: those fields of `footpath.v1.Event`, encoded; null if none.
pub const CHANGES: &str = "changes";

/// The kinds of property values. Each has a map of its own, `props_<kind>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Text.
    String,
    /// A whole number.
    Int,
    /// A finite number.
    Double,
    /// A decimal number as written, as text.
    Decimal,
    /// Currency, units and billionths.
    Money,
    /// True or false.
    Bool,
    /// A moment.
    Time,
    /// A list or a map, as typed JSON.
    Json,
}

impl Kind {
    /// All, in the order of their columns.
    pub const ALL: [Self; 8] = [
        Self::String,
        Self::Int,
        Self::Double,
        Self::Decimal,
        Self::Money,
        Self::Bool,
        Self::Time,
        Self::Json,
    ];

    /// The kind of a value.
    pub fn of(value: &Value<'_>) -> Self {
        match value {
            Value::String(_) => Self::String,
            Value::Int(_) => Self::Int,
            Value::Double(_) => Self::Double,
            Value::Decimal(_) => Self::Decimal,
            Value::Money { .. } => Self::Money,
            Value::Bool(_) => Self::Bool,
            Value::Time(_) => Self::Time,
            Value::List(_) | Value::Map(_) => Self::Json,
        }
    }

    /// Its name in column names.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int => "int",
            Self::Double => "double",
            Self::Decimal => "decimal",
            Self::Money => "money",
            Self::Bool => "bool",
            Self::Time => "time",
            Self::Json => "json",
        }
    }

    /// The column of its map.
    pub fn map_column(self) -> String {
        format!("props_{}", self.name())
    }

    fn data_type(self) -> DataType {
        match self {
            Self::String | Self::Decimal | Self::Json => DataType::Utf8,
            Self::Int => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Money => DataType::Struct(money_fields()),
            Self::Bool => DataType::Boolean,
            Self::Time => time(),
        }
    }
}

/// A property that has a column of its own, `p_<key>_<kind>`, and is then not in the map. A value of another kind
/// stays in that kind's map: it is never cast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promoted {
    /// The property's key.
    pub key: String,
    /// The kind of value.
    pub kind: Kind,
}

impl Promoted {
    /// The column's name.
    pub fn column(&self) -> String {
        format!("p_{}_{}", self.key, self.kind.name())
    }

    /// What a column's name stands for; `None` if it is no promoted property.
    pub fn of_column(name: &str) -> Option<Self> {
        let (key, kind) = name.strip_prefix("p_")?.rsplit_once('_')?;
        let kind = Kind::ALL.into_iter().find(|k| k.name() == kind)?;
        Some(Self { key: key.to_owned(), kind })
    }
}

impl std::str::FromStr for Promoted {
    type Err = HistoryError;

    /// Reads `key:kind`.
    fn from_str(text: &str) -> Result<Self, HistoryError> {
        let pair = text.trim().rsplit_once(':');
        let known =
            pair.and_then(|(key, kind)| Some((key, Kind::ALL.into_iter().find(|k| k.name() == kind)?)));
        let (key, kind) = known.ok_or_else(|| {
            let kinds = Kind::ALL.map(Kind::name).join(", ");
            HistoryError::Option(format!("{text:?} is no key:kind pair; kinds are {kinds}"))
        })?;
        Ok(Self { key: key.to_owned(), kind })
    }
}

/// Checks a list of promoted properties.
///
/// # Errors
/// If a key cannot be part of a column's name, or two columns would differ by case only.
pub fn check_promoted(promoted: &[Promoted]) -> Result<(), HistoryError> {
    let mut seen = std::collections::HashSet::new();
    for one in promoted {
        let plain = one.key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if one.key.is_empty() || !plain {
            let message =
                format!("a promoted key may hold letters, digits and \"_\" only, not {:?}", one.key);
            return Err(HistoryError::Option(message));
        }
        // Delta tables do not tell names apart by case.
        if !seen.insert(one.column().to_lowercase()) {
            return Err(HistoryError::Option(format!("the column {:?} is promoted twice", one.column())));
        }
    }
    Ok(())
}

/// The schema with these promoted properties.
pub fn schema(promoted: &[Promoted]) -> SchemaRef {
    let mut fields = vec![
        Field::new(LOG_OFFSET, DataType::Int64, false),
        Field::new(BATCH_INDEX, DataType::Int32, false),
        Field::new(EVENT_ID, DataType::Binary, false),
        Field::new(EVENT_TIME, time(), false),
        Field::new(RAW_TIME, time(), false),
        Field::new(RECEIVE_TIME, time(), false),
        Field::new(APPEND_TIME, time(), false),
        Field::new(TIME_RULE, DataType::Int8, false),
        Field::new(LANE, DataType::Int16, false),
        Field::new(ACTOR, DataType::Utf8, false),
        Field::new(ACTOR_HASH, DataType::Int64, false),
        Field::new(INSTALL, DataType::Binary, true),
        Field::new(STREAM_EPOCH, DataType::Int64, true),
        Field::new(STREAM_CLASS, DataType::Int8, false),
        Field::new(STREAM_NUMBER, DataType::Int64, false),
        Field::new(NAME, DataType::Utf8, false),
        Field::new(ANONYMOUS_ID, DataType::Utf8, true),
        Field::new(USER_ID, DataType::Utf8, true),
        Field::new(SESSION_ID, DataType::Utf8, true),
        Field::new(CONTEXT, DataType::Utf8, true),
        Field::new(HISTORICAL, DataType::Boolean, false),
        Field::new(CHANGES, DataType::Binary, true),
    ];
    fields.extend(Kind::ALL.map(|kind| Field::new(kind.map_column(), map(kind), false)));
    fields.extend(promoted.iter().map(|one| Field::new(one.column(), one.kind.data_type(), true)));
    Arc::new(Schema::new(fields))
}

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The type of a kind's map.
fn map(kind: Kind) -> DataType {
    DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(map_fields(kind)), false)), false)
}

/// Key and value of a kind's map.
pub(crate) fn map_fields(kind: Kind) -> Fields {
    vec![Field::new("key", DataType::Utf8, false), Field::new("value", kind.data_type(), false)].into()
}

/// The parts of money.
pub(crate) fn money_fields() -> Fields {
    vec![
        Field::new("currency", DataType::Utf8, false),
        Field::new("units", DataType::Int64, false),
        Field::new("nanos", DataType::Int32, false),
    ]
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promoted_columns_are_named_after_key_and_kind() {
        let one = Promoted { key: "cart_total".into(), kind: Kind::Money };
        assert_eq!(one.column(), "p_cart_total_money");
        assert_eq!(Promoted::of_column("p_cart_total_money"), Some(one));
        assert_eq!(Promoted::of_column("props_string"), None);
    }

    #[test]
    fn promoted_properties_are_written_as_pairs() {
        let one: Promoted = " total:money".parse().unwrap();
        assert_eq!(one, Promoted { key: "total".into(), kind: Kind::Money });
        assert!("total".parse::<Promoted>().is_err() && "total:sum".parse::<Promoted>().is_err());
    }

    #[test]
    fn names_that_delta_cannot_hold_are_refused() {
        let promoted = |key: &str| Promoted { key: key.into(), kind: Kind::Int };
        assert!(check_promoted(&[promoted("a"), promoted("b")]).is_ok());
        assert!(check_promoted(&[promoted("a b")]).is_err());
        assert!(check_promoted(&[promoted("a"), promoted("A")]).is_err());
    }
}
