//! What the demo measures.

use footpath_proto::v1;
use v1::metric::Measure;

use super::data::{PAYMENT_ERROR, PURCHASE};

/// The demo's metrics: each of a kind of its own, so that the page has something of everything to show.
pub fn metrics() -> Vec<v1::Metric> {
    let purchases = term(v1::MetricAggregate::Count, &[PURCHASE]);
    let failed = v1::MetricRatio {
        numerator: Some(term(v1::MetricAggregate::Count, &[PAYMENT_ERROR])),
        denominator: Some(term(v1::MetricAggregate::Count, &[PURCHASE, PAYMENT_ERROR])),
    };
    let bounces = v1::SessionMeasure {
        aggregate: v1::SessionAggregate::BounceRate.into(),
        ..v1::SessionMeasure::default()
    };
    // Events that only say who somebody is tell no platform.
    let with_platform = v1::PropertyCondition {
        property: "platform".into(),
        operator: v1::ConditionOperator::IsSet.into(),
        ..v1::PropertyCondition::default()
    };
    let visitors = v1::MetricTerm {
        filter: Some(v1::Filter { kind: Some(v1::filter::Kind::Condition(with_platform)) }),
        ..term(v1::MetricAggregate::UniquePersons, &[])
    };
    vec![
        metric("orders", "Orders", Measure::Events(purchases), Some("channel")),
        metric("payments-failed", "Payments that fail", Measure::Ratio(failed), None),
        metric("visitors", "Visitors", Measure::Events(visitors), Some("platform")),
        metric("bounce-rate", "Bounce rate", Measure::Sessions(bounces), None),
    ]
}

fn metric(id: &str, title: &str, measure: Measure, by: Option<&str>) -> v1::Metric {
    v1::Metric {
        id: id.into(),
        title: title.into(),
        measure: Some(measure),
        breakdown: by.map(|property| v1::PropertyReference {
            property: property.into(),
            ..v1::PropertyReference::default()
        }),
        ..v1::Metric::default()
    }
}

fn term(aggregate: v1::MetricAggregate, events: &[&str]) -> v1::MetricTerm {
    v1::MetricTerm {
        events: events.iter().map(|&name| name.to_owned()).collect(),
        aggregate: aggregate.into(),
        ..v1::MetricTerm::default()
    }
}
