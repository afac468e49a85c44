//! What probably moved a series, when an incident of it begins.

use footpath_engine::catalog::{Catalog, Owner, PropertySeen, ValueType};
use footpath_model::alert::{CountedRule, Driver, DriverKind, Series};
use footpath_model::calendar::{CalendarUnit, days_before};
use footpath_model::control::CountedMetric;
use footpath_model::definition::{Condition, Op, PropertyRef, Scope};
use footpath_query::{Dimensions, DriversQuery, Kind, SliceValue, Span};
use footpath_store::ProjectRow;
use tonic::Status;

use crate::context::Context;
use crate::query::QueryApi;

/// How many drivers an alert names.
const TOP: usize = 5;
/// How many properties of events are looked at beside the context's.
const CANDIDATES: usize = 20;
/// How many buckets before are usual where there are too few days of them.
const BEFORE: i64 = 60;
/// How many times before are usual, of buckets of an hour or more, as long as that is within seven weeks; and how many there are at least.
const TIMES: i32 = 7;
const LEAST_TIMES: i32 = 2;
const DAY_US: i64 = 86_400_000_000;

/// Looks for what moved a series of a rule in a span of whole buckets.
///
/// # Errors
/// If stored events cannot be read.
pub async fn drivers(
    context: &std::sync::Arc<Context>,
    project: &ProjectRow,
    rule: &CountedRule,
    series: &Series,
    (from_us, to_us): (i64, i64),
) -> Result<Vec<Driver>, Status> {
    let Some(counted) = of_series(rule, series) else { return Ok(Vec::new()) };
    let baseline = baseline(rule, from_us, to_us);
    let candidates = candidates(&context.catalogs.of(project.number).read(), &counted);
    let asked = QueryApi::new(std::sync::Arc::clone(context)).asked(project)?;
    let answer = asked.answer(move |source| {
        let (counted, baseline) = (&counted, baseline.as_slice());
        let window = Span { from_us, to_us: Some(to_us) };
        let dimensions = Dimensions::Auto(&candidates);
        footpath_query::drivers(source, &DriversQuery { counted, window, baseline, dimensions, top: TOP })
    });
    Ok(answer.await?.drivers.iter().filter_map(named).collect())
}

fn named(driver: &footpath_query::Driver) -> Option<Driver> {
    Some(Driver {
        property: driver.property.clone(),
        value: match &driver.value {
            SliceValue::Is(text) => Series::Value(text.clone()),
            SliceValue::NotSet => Series::NotSet,
            SliceValue::Other | SliceValue::NotReached => return None,
        },
        kind: match driver.kind {
            Kind::Volume => DriverKind::Volume,
            Kind::Rate => DriverKind::Rate,
            Kind::Mix => DriverKind::Mix,
        },
        contribution: driver.contribution,
        before: Some(driver.before).filter(|before| before.is_finite()),
        after: Some(driver.after).filter(|after| after.is_finite()),
    })
}

/// What is counted of one series: its value of the breakdown is a filter. `None` where that cannot be said by a filter.
fn of_series(rule: &CountedRule, series: &Series) -> Option<CountedMetric> {
    let mut counted = rule.watched();
    let Some(by) = counted.definition.breakdown.take() else { return Some(counted) };
    let (op, values) = match series {
        Series::Whole => return Some(counted),
        Series::Value(value) => (Op::In, vec![value.clone()]),
        Series::NotSet => (Op::IsNotSet, Vec::new()),
    };
    let PropertyRef { property, scope, as_of } = by;
    counted.narrow(&Condition { property, scope, as_of, op, values }.into()).then_some(counted)
}

/// What is usual: the hour before minutes, the same hours of the last week, the same days of the last weeks. What lasted longer than it is
/// until the same hours or days has its likes further back, and fewer of them.
fn baseline(rule: &CountedRule, from_us: i64, to_us: i64) -> Vec<Span> {
    let unit = rule.definition.every;
    let days = i32::try_from((to_us - from_us + DAY_US - 1) / DAY_US).unwrap_or(i32::MAX / TIMES);
    let step = match unit {
        CalendarUnit::Minute | CalendarUnit::Quarter => {
            let begin_us = from_us - BEFORE * unit.usual_us();
            return vec![Span { from_us: begin_us, to_us: Some(from_us) }];
        }
        CalendarUnit::Hour => days,
        _ => (days + 6) / 7 * 7,
    };
    let earlier = |n: i32| {
        let back = |us| days_before(us, n * step, &rule.zone).ok();
        Some(Span { from_us: back(from_us)?, to_us: Some(back(to_us)?) })
    };
    (1..=(TIMES * TIMES / step).clamp(LEAST_TIMES, TIMES)).filter_map(earlier).collect()
}

/// Properties of the metric's events that may explain something: texts and truths of which several persons had the same.
fn candidates(catalog: &Catalog, counted: &CountedMetric) -> Vec<PropertyRef> {
    let terms = counted.definition.measure.terms();
    // Of a ratio the denominator first.
    let names = terms.iter().rev().flat_map(|term| &term.events).map(String::as_str);
    let mut names: Vec<_> = names.collect();
    if names.is_empty() {
        names = catalog.names().map(|(name, _)| name).take(CANDIDATES).collect();
    }
    let mut keys: Vec<String> = Vec::new();
    for name in names {
        for property in catalog.properties_of(Owner::Event(name)).filter(is_candidate) {
            if keys.len() < CANDIDATES && !keys.iter().any(|key| key == property.key) {
                keys.push(property.key.to_owned());
            }
        }
    }
    let own = |property| PropertyRef { property, scope: Scope::Event, ..PropertyRef::default() };
    keys.into_iter().map(own).collect()
}

fn is_candidate(property: &PropertySeen<'_>) -> bool {
    let says = |(kind, _): &(ValueType, u64)| matches!(kind, ValueType::String | ValueType::Bool);
    property.types.iter().any(says) && !property.samples.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(breakdown: &str, series: &Series) -> Option<String> {
        let rule = r#"{"definition":{"id":"r","metric":"m","every":"minute","when":{"no_data":{}},
            "filter":{"property":"plan","op":"in","values":["pro"]}BREAKDOWN},
            "metric":{"definition":{"id":"m","version":1,"measure":{"ratio":{
            "numerator":{"events":["paid"],"aggregate":"count"},
            "denominator":{"events":["seen"],"aggregate":"count"}}}}},"zone":"UTC"}"#;
        let rule = rule.replace("BREAKDOWN", breakdown);
        serde_json::to_string(&of_series(&serde_json::from_str(&rule).unwrap(), series)?).ok()
    }

    #[test]
    fn a_series_is_a_filter_beside_the_rules_own() {
        let with = |more: &str| {
            let filters = format!(r#"[{{"property":"plan","op":"in","values":["pro"]}}{more}]"#);
            let term = |name| format!(r#"{{"events":["{name}"],"filters":{filters},"aggregate":"count"}}"#);
            let (numerator, denominator) = (term("paid"), term("seen"));
            let ratio = format!(r#"{{"ratio":{{"numerator":{numerator},"denominator":{denominator}}}}}"#);
            let prod = r#"{"property":"environment","scope":"context","op":"in","values":["prod"]}"#;
            format!(
                r#"{{"definition":{{"id":"m","name":"","version":1,"measure":{ratio}}},"internal":{{"any":[{{"not":{prod}}}]}}}}"#
            )
        };
        let is_at = r#",{"property":"country","op":"in","values":["AT"]}"#;
        let is_nowhere = r#",{"property":"country","op":"is_not_set","values":[]}"#;
        let by_country = r#","breakdown":{"property":"country"}"#;
        assert_eq!(asked("", &Series::Whole), Some(with("")));
        assert_eq!(asked(by_country, &Series::Value("AT".into())), Some(with(is_at)));
        assert_eq!(asked(by_country, &Series::NotSet), Some(with(is_nowhere)));
    }
}
