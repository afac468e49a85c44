//! Between the API's messages and the model's words.

use footpath_model::definition::{Condition, Counting, Entry, FunnelDefinition, Literal, Op, Order, Step};
use footpath_model::props;
use footpath_model::range::{MAX_LAST_DAYS, Range, RangeError, RollingUnit};
use footpath_model::record::{EventView, FrameView, text};
use footpath_proto::v1;
use serde_json::Value as Json;
use tonic::Status;

use crate::status::invalid;

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

/// A funnel from the API, checked.
///
/// # Errors
/// INVALID_ARGUMENT that names the field.
pub fn definition(funnel: &v1::Funnel, version: u64) -> Result<FunnelDefinition, Status> {
    let window = funnel
        .window
        .as_ref()
        .map_or(0, |w| w.seconds.saturating_mul(1_000_000).saturating_add(i64::from(w.nanos) / 1000));
    let steps = funnel.steps.iter().enumerate().map(step).collect::<Result<_, _>>()?;
    let definition = FunnelDefinition {
        id: funnel.id.clone(),
        name: funnel.title.clone(),
        version,
        steps,
        window_us: window,
        entry: Entry::default(),
        order: Order::default(),
        counting: Counting::default(),
    };
    definition.validate().map_err(|e| invalid("definition_invalid", &e.to_string()))?;
    Ok(definition)
}

fn step((i, step): (usize, &v1::FunnelStep)) -> Result<Step, Status> {
    let conditions = step.conditions.iter().map(|c| condition(i, c)).collect::<Result<_, _>>()?;
    Ok(Step { name: step.label.clone(), events: step.events.clone(), filters: conditions })
}

fn condition(step: usize, c: &v1::PropertyCondition) -> Result<Condition, Status> {
    use v1::ConditionOperator as Wire;
    let op = match c.operator() {
        Wire::Unspecified => {
            return Err(invalid(
                "definition_invalid",
                &format!("steps[{step}].conditions: name an operator"),
            ));
        }
        Wire::Equals => Op::In,
        Wire::NotEquals => Op::NotEq,
        Wire::Contains => Op::Contains,
        Wire::Prefix => Op::Prefix,
        Wire::Greater => Op::Gt,
        Wire::GreaterOrEqual => Op::Gte,
        Wire::Less => Op::Lt,
        Wire::LessOrEqual => Op::Lte,
        Wire::IsSet => Op::IsSet,
        Wire::IsNotSet => Op::IsNotSet,
    };
    let values = c.values.iter().map(|v| Literal::String(v.clone())).collect();
    Ok(Condition { property: c.property.clone(), op, values })
}

/// A range from the API; left out, the last 30 days.
///
/// # Errors
/// INVALID_ARGUMENT that names the field.
pub fn range(range: Option<&v1::TimeRange>) -> Result<(Range, String), Status> {
    use v1::time_range::Kind;
    let zone = range.map(|r| r.time_zone.clone()).filter(|z| !z.is_empty()).unwrap_or_else(|| "UTC".into());
    let kind = match range.and_then(|r| r.kind.as_ref()) {
        None => Range::Last { n: 30, unit: RollingUnit::Days },
        Some(Kind::Fixed(f)) => {
            Range::Fixed { from_us: moment("from", &f.from)?, to_us: moment("to", &f.to)? }
        }
        Some(Kind::Current(c)) => match v1::CalendarRange::try_from(*c) {
            Ok(v1::CalendarRange::Today) => Range::Today,
            Ok(v1::CalendarRange::ThisWeek) => Range::ThisWeek,
            _ => return Err(invalid("range_invalid", "range.current: name today or this week")),
        },
        Some(Kind::Last(last)) => {
            let unit = match last.unit() {
                v1::TimeUnit::Minute => RollingUnit::Minutes,
                v1::TimeUnit::Hour => RollingUnit::Hours,
                v1::TimeUnit::Day => RollingUnit::Days,
                v1::TimeUnit::Unspecified => {
                    return Err(invalid("range_invalid", "range.last.unit: name a unit"));
                }
            };
            Range::Last { n: last.count, unit }
        }
    };
    kind.validate(&zone).map_err(|e| range_invalid(&e))?;
    Ok((kind, zone))
}

fn range_invalid(error: &RangeError) -> Status {
    let what = match error {
        RangeError::TimeZone(_) => format!("range.time_zone: {error}"),
        RangeError::Empty { .. } => "range.fixed: `to` must be later than `from`".to_owned(),
        RangeError::Length { n, .. } => {
            format!("range.last.count: from one unit to {MAX_LAST_DAYS} days, not {n} of this unit")
        }
        RangeError::Now(_) => format!("range: {error}"),
    };
    invalid("range_invalid", &what)
}

fn moment(field: &str, text: &str) -> Result<i64, Status> {
    text.parse::<jiff::Timestamp>()
        .map(jiff::Timestamp::as_microsecond)
        .map_err(|e| invalid("range_invalid", &format!("range.fixed.{field}: {text:?} is not RFC 3339: {e}")))
}

#[cfg(test)]
mod tests {
    use v1::time_range::Kind;

    use super::*;

    fn why(kind: Kind, zone: &str) -> String {
        let asked = v1::TimeRange { kind: Some(kind), time_zone: zone.into() };
        range(Some(&asked)).unwrap_err().message().to_owned()
    }

    #[test]
    fn what_is_wrong_with_a_range_is_named_as_in_the_api() {
        let fixed = |from: &str, to: &str| Kind::Fixed(v1::FixedRange { from: from.into(), to: to.into() });
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
        let last = |count| Kind::Last(v1::RollingRange { count, unit: v1::TimeUnit::Day.into() });
        assert!(why(fixed("soon", late), "").starts_with("range.fixed.from: \"soon\""));
        assert!(why(fixed(early, "soon"), "").starts_with("range.fixed.to: \"soon\""));
        assert_eq!(why(fixed(late, early), ""), "range.fixed: `to` must be later than `from`");
        assert!(why(last(0), "").starts_with("range.last.count: "));
        assert!(why(last(9), "Nowhere").starts_with("range.time_zone: \"Nowhere\""));
    }
}
