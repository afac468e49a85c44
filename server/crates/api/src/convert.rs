//! Between the API's messages and the model's words.

use footpath_history::StoredRow;
use footpath_model::context::environment;
use footpath_model::definition::{FieldError, InvalidDefinition};
use footpath_model::props;
use footpath_proto::v1;
use serde_json::Value as Json;
use tonic::Status;

use crate::status::invalid;

mod filter;
mod funnel;
mod measure;
mod metric;
mod range;
mod rule;

pub use filter::{filter_message, property_message};
pub use funnel::{funnel, funnel_message};
pub use measure::{conversion_time, metric_series, slice_value, slice_value_of, span, took};
pub use metric::{internal, metric, metric_message, segment, segment_message};
pub use range::range;
pub use rule::{rule, rule_message, severity, severity_message};

/// A definition that is not valid, and the field that is why.
fn wrong(field: &str, problem: &str) -> Status {
    invalid("definition_invalid", &format!("{field}: {problem}"))
}

/// What is wrong with a definition, its fields named as in the API.
/// A value of an enumeration. One that is not known is refused: a newer client means something else by it than the default.
///
/// # Errors
/// INVALID_ARGUMENT that names the field.
pub fn known<E: TryFrom<i32>>(field: &str, number: i32) -> Result<E, Status> {
    let older =
        || wrong(field, &format!("{number} is not known here; the client may be newer than this server"));
    E::try_from(number).map_err(|_| older())
}

fn checked(valid: Result<(), InvalidDefinition>, named: impl Fn(&str) -> String) -> Result<(), Status> {
    valid.map_err(|InvalidDefinition(errors)| {
        let name = |error: FieldError| FieldError { field: named(&error.field), ..error };
        let named = InvalidDefinition(errors.into_iter().map(name).collect());
        invalid("definition_invalid", &named.to_string())
    })
}

/// A moment as the API writes it.
pub fn timestamp(us: i64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: us.div_euclid(1_000_000),
        nanos: (us.rem_euclid(1_000_000) * 1000) as i32,
    }
}

/// Microseconds since 1970.
pub fn micros(t: &prost_types::Timestamp) -> i64 {
    t.seconds.saturating_mul(1_000_000).saturating_add(i64::from(t.nanos) / 1000)
}

/// Microseconds of a duration.
pub fn duration_us(duration: &prost_types::Duration) -> i64 {
    duration.seconds.saturating_mul(1_000_000).saturating_add(i64::from(duration.nanos) / 1000)
}

/// A duration as the API writes it.
pub fn duration(us: i64) -> prost_types::Duration {
    prost_types::Duration { seconds: us / 1_000_000, nanos: (us % 1_000_000 * 1000) as i32 }
}

/// JSON as the API's `Struct`.
pub fn json_struct(map: serde_json::Map<String, Json>) -> prost_types::Struct {
    prost_types::Struct { fields: map.into_iter().map(|(k, v)| (k, json_value(v))).collect() }
}

/// Up to here every whole number is a double of its own.
const EXACT: u64 = 1 << 53;

fn json_value(json: Json) -> prost_types::Value {
    use prost_types::value::Kind;
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(b) => Kind::BoolValue(b),
        // As text, like 64-bit numbers in protobuf's JSON: a double would be another number.
        Json::Number(n) if n.as_i64().is_some_and(|n| n.unsigned_abs() > EXACT) => {
            Kind::StringValue(n.to_string())
        }
        Json::Number(n) => Kind::NumberValue(n.as_f64().unwrap_or_default()),
        Json::String(s) => Kind::StringValue(s),
        Json::Array(values) => {
            Kind::ListValue(prost_types::ListValue { values: values.into_iter().map(json_value).collect() })
        }
        Json::Object(map) => Kind::StructValue(json_struct(map)),
    };
    prost_types::Value { kind: Some(kind) }
}

/// An event as it was stored.
pub fn stored_event(row: &StoredRow<'_>) -> v1::StoredEvent {
    v1::StoredEvent {
        id: row.head.id.to_string(),
        name: row.name.to_owned(),
        time: Some(timestamp(row.head.time_us)),
        raw_time: Some(timestamp(row.head.raw_time_us)),
        received_at: Some(timestamp(row.received_us)),
        stored_at: Some(timestamp(row.append_us)),
        anonymous_id: row.anonymous_id.to_owned(),
        user_id: row.user_id.to_owned(),
        session_id: row.session_id.to_owned(),
        properties: Some(json_struct(props::to_json(row.properties))),
        offset: row.offset,
        index: row.index,
        environment: environment(row.context).to_owned(),
    }
}
