//! Funnels and ranges, from the API's messages and to them.

use footpath_model::control::CountedFunnel;
use footpath_model::definition::{Condition, Counting, Entry, FunnelDefinition, Op, Order, Step};
use footpath_model::props::rfc3339;
use footpath_model::range::{MAX_LAST_DAYS, Range, RangeError, RollingUnit};
use footpath_proto::v1;
use tonic::Status;

use crate::status::invalid;

/// A funnel from the API, checked.
///
/// # Errors
/// INVALID_ARGUMENT that names the field.
pub fn funnel(funnel: &v1::Funnel, version: u64) -> Result<CountedFunnel, Status> {
    let steps = funnel.steps.iter().enumerate().map(step).collect::<Result<_, _>>()?;
    let definition = FunnelDefinition {
        id: funnel.id.clone(),
        name: funnel.title.clone(),
        version,
        steps,
        window_us: funnel.window.as_ref().map_or(0, window_us),
        entry: Entry::default(),
        order: Order::default(),
        counting: Counting::default(),
    };
    definition.validate().map_err(|e| invalid("definition_invalid", &e.to_string()))?;
    let (range, zone) = range(funnel.range.as_ref())?;
    Ok(CountedFunnel { definition, range, zone })
}

fn window_us(window: &prost_types::Duration) -> i64 {
    window.seconds.saturating_mul(1_000_000).saturating_add(i64::from(window.nanos) / 1000)
}

fn step((i, step): (usize, &v1::FunnelStep)) -> Result<Step, Status> {
    let conditions = step.conditions.iter().map(|c| condition(i, c)).collect::<Result<_, _>>()?;
    Ok(Step { name: step.label.clone(), events: step.events.clone(), filters: conditions })
}

const OPERATORS: [(v1::ConditionOperator, Op); 10] = [
    (v1::ConditionOperator::Equals, Op::In),
    (v1::ConditionOperator::NotEquals, Op::NotEq),
    (v1::ConditionOperator::Contains, Op::Contains),
    (v1::ConditionOperator::Prefix, Op::Prefix),
    (v1::ConditionOperator::Greater, Op::Gt),
    (v1::ConditionOperator::GreaterOrEqual, Op::Gte),
    (v1::ConditionOperator::Less, Op::Lt),
    (v1::ConditionOperator::LessOrEqual, Op::Lte),
    (v1::ConditionOperator::IsSet, Op::IsSet),
    (v1::ConditionOperator::IsNotSet, Op::IsNotSet),
];

fn condition(step: usize, condition: &v1::PropertyCondition) -> Result<Condition, Status> {
    let known = OPERATORS.iter().find(|(operator, _)| *operator == condition.operator());
    let Some((_, op)) = known else {
        let what = format!("steps[{step}].conditions: name an operator");
        return Err(invalid("definition_invalid", &what));
    };
    Ok(Condition { property: condition.property.clone(), op: *op, values: condition.values.clone() })
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
    let operator = OPERATORS.iter().find(|(_, op)| *op == condition.op);
    v1::PropertyCondition {
        property: condition.property.clone(),
        operator: operator.map_or(v1::ConditionOperator::Unspecified, |(operator, _)| *operator).into(),
        values: condition.values.clone(),
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
