//! Metrics and segments, from the API's messages and to them.

use footpath_model::control::CountedMetric;
use footpath_model::definition::{
    Aggregate, Filter, Measure, MetricDefinition, SegmentDefinition, SessionAggregate, Term,
};
use footpath_proto::v1;
use tonic::Status;
use v1::metric::Measure as Asked;

use super::filter::{filter, filter_message, filters, filters_message, property, property_message};
use super::{checked, wrong};

/// A metric from the API, checked; the funnel of a conversion is put in by whoever knows it.
///
/// # Errors
/// INVALID_ARGUMENT that names the field.
pub fn metric(metric: &v1::Metric, version: u64) -> Result<CountedMetric, Status> {
    let definition = MetricDefinition {
        id: metric.id.clone(),
        name: metric.title.clone(),
        version,
        measure: measure(metric.measure.as_ref())?,
        breakdown: metric.breakdown.as_ref().map(|by| property("breakdown", by)).transpose()?,
        include_internal: metric.include_internal,
    };
    checked(definition.validate(), |field| field.replace(".conditions[0]", ".filter"))?;
    Ok(CountedMetric { definition, funnel: None, internal: None })
}

fn measure(measure: Option<&Asked>) -> Result<Measure, Status> {
    Ok(match measure {
        None => return Err(wrong("measure", "name one of events, ratio, sessions, conversion")),
        Some(Asked::Events(one)) => Measure::Events(term("events", one)?),
        Some(Asked::Ratio(ratio)) => {
            let of = |part: &str, one: &Option<v1::MetricTerm>| match one {
                Some(one) => term(&format!("ratio.{part}"), one),
                None => Err(wrong(&format!("ratio.{part}"), "must be set")),
            };
            Measure::Ratio {
                numerator: of("numerator", &ratio.numerator)?,
                denominator: of("denominator", &ratio.denominator)?,
            }
        }
        Some(Asked::Sessions(sessions)) => Measure::Sessions(session_aggregate(sessions)?),
        Some(Asked::Conversion(of)) => Measure::Conversion { funnel: of.funnel_id.clone(), step: of.step },
    })
}

fn term(path: &str, term: &v1::MetricTerm) -> Result<Term, Status> {
    let property = || term.property.clone();
    let aggregate = match term.aggregate() {
        v1::MetricAggregate::Unspecified => return Err(wrong(&format!("{path}.aggregate"), "name one")),
        v1::MetricAggregate::Count => Aggregate::Count,
        v1::MetricAggregate::UniquePersons => Aggregate::Uniques,
        v1::MetricAggregate::Sum => Aggregate::Sum(property()),
        v1::MetricAggregate::Average => Aggregate::Average(property()),
        v1::MetricAggregate::Min => Aggregate::Min(property()),
        v1::MetricAggregate::Max => Aggregate::Max(property()),
        v1::MetricAggregate::Percentiles => {
            Aggregate::Percentiles { property: property(), percentiles: term.percentiles.clone() }
        }
    };
    if aggregate.property().is_none() && !term.property.is_empty() {
        return Err(wrong(&format!("{path}.property"), "counts are of events, not of a property"));
    }
    let percentiles = matches!(aggregate, Aggregate::Percentiles { .. });
    if !percentiles && !term.percentiles.is_empty() {
        return Err(wrong(&format!("{path}.percentiles"), "only with the aggregate percentiles"));
    }
    let filters = filters(path, &[], term.filter.as_ref())?;
    Ok(Term { events: term.events.clone(), filters, aggregate })
}

fn session_aggregate(sessions: &v1::SessionMeasure) -> Result<SessionAggregate, Status> {
    Ok(match sessions.aggregate() {
        v1::SessionAggregate::Unspecified => return Err(wrong("sessions.aggregate", "name one")),
        v1::SessionAggregate::Count => SessionAggregate::Count,
        v1::SessionAggregate::UniquePersons => SessionAggregate::Uniques,
        v1::SessionAggregate::BounceRate => SessionAggregate::BounceRate,
        v1::SessionAggregate::AverageDuration => SessionAggregate::AverageDuration,
        v1::SessionAggregate::DurationPercentiles => {
            SessionAggregate::DurationPercentiles(sessions.percentiles.clone())
        }
        v1::SessionAggregate::AverageEvents => SessionAggregate::AverageEvents,
    })
}

/// A metric as the API shows it.
pub fn metric_message(metric: &CountedMetric) -> v1::Metric {
    let definition = &metric.definition;
    v1::Metric {
        id: definition.id.clone(),
        title: definition.name.clone(),
        breakdown: definition.breakdown.as_ref().map(property_message),
        include_internal: definition.include_internal,
        version: definition.version,
        etag: definition.version.to_string(),
        measure: Some(measure_message(&definition.measure)),
    }
}

fn measure_message(measure: &Measure) -> Asked {
    match measure {
        Measure::Events(term) => Asked::Events(term_message(term)),
        Measure::Ratio { numerator, denominator } => Asked::Ratio(v1::MetricRatio {
            numerator: Some(term_message(numerator)),
            denominator: Some(term_message(denominator)),
        }),
        Measure::Sessions(aggregate) => Asked::Sessions(sessions_message(aggregate)),
        Measure::Conversion { funnel, step } => {
            Asked::Conversion(v1::FunnelConversion { funnel_id: funnel.clone(), step: *step })
        }
    }
}

fn term_message(term: &Term) -> v1::MetricTerm {
    let aggregate = match &term.aggregate {
        Aggregate::Count => v1::MetricAggregate::Count,
        Aggregate::Uniques => v1::MetricAggregate::UniquePersons,
        Aggregate::Sum(_) => v1::MetricAggregate::Sum,
        Aggregate::Average(_) => v1::MetricAggregate::Average,
        Aggregate::Min(_) => v1::MetricAggregate::Min,
        Aggregate::Max(_) => v1::MetricAggregate::Max,
        Aggregate::Percentiles { .. } => v1::MetricAggregate::Percentiles,
    };
    let percentiles = match &term.aggregate {
        Aggregate::Percentiles { percentiles, .. } => percentiles.clone(),
        _ => Vec::new(),
    };
    v1::MetricTerm {
        events: term.events.clone(),
        filter: filters_message(&term.filters),
        aggregate: aggregate.into(),
        property: term.aggregate.property().unwrap_or_default().to_owned(),
        percentiles,
    }
}

fn sessions_message(aggregate: &SessionAggregate) -> v1::SessionMeasure {
    let (aggregate, percentiles) = match aggregate {
        SessionAggregate::Count => (v1::SessionAggregate::Count, Vec::new()),
        SessionAggregate::Uniques => (v1::SessionAggregate::UniquePersons, Vec::new()),
        SessionAggregate::BounceRate => (v1::SessionAggregate::BounceRate, Vec::new()),
        SessionAggregate::AverageDuration => (v1::SessionAggregate::AverageDuration, Vec::new()),
        SessionAggregate::DurationPercentiles(p) => (v1::SessionAggregate::DurationPercentiles, p.clone()),
        SessionAggregate::AverageEvents => (v1::SessionAggregate::AverageEvents, Vec::new()),
    };
    v1::SessionMeasure { aggregate: aggregate.into(), percentiles }
}

/// A segment from the API, checked.
///
/// # Errors
/// INVALID_ARGUMENT that names the field.
pub fn segment(segment: &v1::Segment, version: u64) -> Result<SegmentDefinition, Status> {
    let own = segment.filter.as_ref().ok_or_else(|| wrong("filter", "must be set"))?;
    let definition = SegmentDefinition {
        id: segment.id.clone(),
        name: segment.title.clone(),
        version,
        filter: filter("filter", own)?,
    };
    checked(definition.validate(), str::to_owned)?;
    Ok(definition)
}

/// A segment as the API shows it.
pub fn segment_message(segment: &SegmentDefinition) -> v1::Segment {
    v1::Segment {
        id: segment.id.clone(),
        title: segment.name.clone(),
        filter: Some(filter_message(&segment.filter)),
        version: segment.version,
        etag: segment.version.to_string(),
    }
}

/// The project's filter for internal traffic and bots, checked like a segment's.
///
/// # Errors
/// INVALID_ARGUMENT that names the field.
pub fn internal(asked: &v1::Filter) -> Result<Filter, Status> {
    let path = "settings.internal_traffic";
    let filter = filter(path, asked)?;
    let as_segment =
        SegmentDefinition { id: "internal".into(), name: String::new(), version: 1, filter: filter.clone() };
    checked(as_segment.validate(), |field| field.replacen("filter", path, 1))?;
    Ok(filter)
}
