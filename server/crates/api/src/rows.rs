//! Between stored rows and the API's messages.

use footpath_ingest::RefusedRecord;
use footpath_model::control::CountedFunnel;
use footpath_model::definition::{Condition, Literal, Op, Step};
use footpath_model::props::rfc3339;
use footpath_model::range::{Range, RollingUnit};
use footpath_proto::v1;
use footpath_store::{FunnelRow, RefusedRow};
use tonic::Status;

/// A funnel as a row; `position` is its control record's in the log.
pub fn funnel_row(project: &str, funnel: &CountedFunnel, position: u64) -> FunnelRow {
    FunnelRow {
        project: project.to_owned(),
        id: funnel.definition.id.clone(),
        json: serde_json::to_string(funnel).unwrap_or_default(),
        version: funnel.definition.version,
        position,
    }
}

/// A row as a funnel.
///
/// # Errors
/// INTERNAL if the row was written by something else.
pub fn counted_funnel(row: &FunnelRow) -> Result<CountedFunnel, Status> {
    serde_json::from_str(&row.json)
        .map_err(|e| crate::status::internal(&format!("the stored funnel {:?} cannot be read: {e}", row.id)))
}

/// A funnel as the API shows it.
pub fn funnel_message(funnel: &CountedFunnel) -> v1::Funnel {
    let definition = &funnel.definition;
    v1::Funnel {
        id: definition.id.clone(),
        title: definition.name.clone(),
        steps: definition.steps.iter().map(step_message).collect(),
        window: Some(prost_types::Duration {
            seconds: definition.window_us / 1_000_000,
            nanos: (definition.window_us % 1_000_000 * 1000) as i32,
        }),
        range: Some(range_message(&funnel.range, &funnel.zone)),
        version: definition.version,
        etag: definition.version.to_string(),
    }
}

fn step_message(step: &Step) -> v1::FunnelStep {
    v1::FunnelStep {
        label: step.label().to_owned(),
        events: step.events.clone(),
        conditions: step.filters.iter().map(condition_message).collect(),
    }
}

fn condition_message(condition: &Condition) -> v1::PropertyCondition {
    use v1::ConditionOperator as Wire;
    let operator = match condition.op {
        Op::Eq | Op::In => Wire::Equals,
        Op::NotEq => Wire::NotEquals,
        Op::Contains => Wire::Contains,
        Op::Prefix => Wire::Prefix,
        Op::Gt => Wire::Greater,
        Op::Gte => Wire::GreaterOrEqual,
        Op::Lt => Wire::Less,
        Op::Lte => Wire::LessOrEqual,
        Op::IsSet => Wire::IsSet,
        Op::IsNotSet => Wire::IsNotSet,
    };
    let values = condition.values.iter().map(|value| match value {
        Literal::String(v) => v.clone(),
        Literal::Number(v) => v.to_string(),
        Literal::Bool(v) => v.to_string(),
    });
    v1::PropertyCondition {
        property: condition.property.clone(),
        operator: operator.into(),
        values: values.collect(),
    }
}

fn range_message(range: &Range, zone: &str) -> v1::TimeRange {
    use v1::time_range::Kind;
    let kind = match range {
        Range::Fixed { from_us, to_us } => {
            Kind::Fixed(v1::FixedRange { from: rfc3339(*from_us), to: rfc3339(*to_us) })
        }
        Range::Today => Kind::Current(v1::CalendarRange::Today.into()),
        Range::ThisWeek => Kind::Current(v1::CalendarRange::ThisWeek.into()),
        Range::Last { n, unit } => {
            let unit = match unit {
                RollingUnit::Minutes => v1::TimeUnit::Minute,
                RollingUnit::Hours => v1::TimeUnit::Hour,
                RollingUnit::Days => v1::TimeUnit::Day,
            };
            Kind::Last(v1::RollingRange { count: *n, unit: unit.into() })
        }
    };
    v1::TimeRange { kind: Some(kind), time_zone: zone.to_owned() }
}

/// A refused event as the API shows it; `None` if the row cannot be read.
pub fn refused_message(row: &RefusedRow) -> Option<v1::RefusedEvent> {
    let record: RefusedRecord = serde_json::from_slice(&row.json).ok()?;
    Some(v1::RefusedEvent {
        received_at: Some(crate::convert::timestamp(record.received_us)),
        batch_id: record.batch_id,
        index: record.index,
        event_id: record.event_id,
        reason: record.reason,
        message: record.message,
        payload: Some(json_struct(record.payload)),
    })
}

fn json_struct(object: serde_json::Map<String, serde_json::Value>) -> prost_types::Struct {
    prost_types::Struct { fields: object.into_iter().map(|(key, value)| (key, json_value(value))).collect() }
}

fn json_value(value: serde_json::Value) -> prost_types::Value {
    use prost_types::value::Kind;
    use serde_json::Value as Json;
    let kind = match value {
        Json::Null => Kind::NullValue(0),
        Json::Bool(value) => Kind::BoolValue(value),
        Json::Number(value) => Kind::NumberValue(value.as_f64().unwrap_or_default()),
        Json::String(value) => Kind::StringValue(value),
        Json::Array(values) => {
            Kind::ListValue(prost_types::ListValue { values: values.into_iter().map(json_value).collect() })
        }
        Json::Object(object) => Kind::StructValue(json_struct(object)),
    };
    prost_types::Value { kind: Some(kind) }
}
