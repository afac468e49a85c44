//! Between the API's messages and the model's words.

use footpath_model::props;
use footpath_model::record::{EventView, FrameView, text};
use footpath_proto::v1;
use serde_json::Value as Json;

mod funnel;

pub use funnel::{funnel, funnel_message, range};

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

/// JSON as the API's `Struct`.
pub fn json_struct(map: serde_json::Map<String, Json>) -> prost_types::Struct {
    prost_types::Struct { fields: map.into_iter().map(|(k, v)| (k, json_value(v))).collect() }
}

fn json_value(json: Json) -> prost_types::Value {
    use prost_types::value::Kind;
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(b) => Kind::BoolValue(b),
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
pub fn stored_event(
    frame: &FrameView<'_>,
    event: &EventView<'_>,
    offset: u64,
    append_us: i64,
) -> v1::StoredEvent {
    let (head, spans) = (event.head(), event.spans());
    v1::StoredEvent {
        id: head.id.to_string(),
        name: event.name().to_owned(),
        time: Some(timestamp(head.time_us)),
        raw_time: Some(timestamp(head.raw_time_us)),
        received_at: Some(timestamp(frame.head.received_us)),
        stored_at: Some(timestamp(append_us)),
        anonymous_id: text(spans.anonymous_id).to_owned(),
        user_id: text(spans.user_id).to_owned(),
        session_id: text(spans.session_id).to_owned(),
        properties: Some(json_struct(props::to_json(spans.properties))),
        offset,
        index: head.index,
    }
}
