//! Alert rules, from the API's messages and to them.

use footpath_model::alert::CountedRule;
use footpath_model::calendar::CalendarUnit;
use footpath_model::control::CountedMetric;
use footpath_model::definition::{
    Against, AlertCondition, AlertRule, Direction, Measure, MetricDefinition, SessionAggregate, Severity,
};
use footpath_proto::v1;
use tonic::Status;
use v1::alert_rule::Condition as Asked;

use super::filter::{filter, filter_message, property, property_message};
use super::{checked, duration, duration_us, known, wrong};

/// How many false alerts a month are acceptable where nobody says.
const USUAL_FALSE_ALERTS: f64 = 1.0;

/// How long a rule waits for what is under way where nobody says, microseconds: phones send within half a minute. What a rule learned from
/// is complete, so a bucket that is judged too soon looks too low.
const USUAL_DELAY_US: i64 = 60_000_000;

/// A rule from the API, checked; its metric is put in by whoever knows it. `zone` is the project's.
///
/// # Errors
/// INVALID_ARGUMENT that names the field.
pub fn rule(rule: &v1::AlertRule, version: u64, zone: &str) -> Result<CountedRule, Status> {
    let definition = AlertRule {
        id: rule.id.clone(),
        name: rule.title.clone(),
        version,
        metric: rule.metric_id.clone(),
        filter: rule.filter.as_ref().map(|one| filter("filter", one)).transpose()?,
        breakdown: rule.breakdown.as_ref().map(|by| property("breakdown", by)).transpose()?,
        top: rule.top,
        environments: rule.environments.clone(),
        include_internal: rule.include_internal,
        every: crate::query::unit(rule.every)?.unwrap_or(CalendarUnit::Minute),
        delay_us: rule.delay.as_ref().map_or(USUAL_DELAY_US, duration_us),
        when: condition(rule.condition.as_ref())?,
        min_volume: rule.min_volume,
        min_effect: rule.min_effect,
        min_effect_percent: rule.min_effect_percent,
        for_buckets: rule.for_buckets,
        cooldown_us: rule.cooldown.as_ref().map_or(0, duration_us),
        severity: severity("severity", rule.severity)?.unwrap_or_default(),
        owner: rule.owner.clone(),
        runbook: rule.runbook.clone(),
        destinations: rule.destinations.clone(),
        disabled: rule.disabled,
    };
    checked(definition.validate(), str::to_owned)?;
    let metric = unresolved(&definition.metric);
    Ok(CountedRule { definition, metric, zone: zone.to_owned() })
}

/// What stands for a metric until it is looked up.
fn unresolved(id: &str) -> CountedMetric {
    let measure = Measure::Sessions(SessionAggregate::Count);
    let (id, name) = (id.to_owned(), String::new());
    let definition =
        MetricDefinition { id, name, version: 0, measure, breakdown: None, include_internal: false };
    CountedMetric { definition, funnel: None, internal: None }
}

fn condition(condition: Option<&Asked>) -> Result<AlertCondition, Status> {
    Ok(match condition {
        None => return Err(wrong("condition", "name one of threshold, change, anomaly, no_data")),
        Some(Asked::Threshold(one)) => AlertCondition::Threshold { above: one.above, below: one.below },
        Some(Asked::Change(change)) => AlertCondition::Change {
            against: match known("change.against", change.against)? {
                v1::AlertBaseline::Previous => Against::Previous,
                v1::AlertBaseline::Day => Against::Day,
                v1::AlertBaseline::Unspecified | v1::AlertBaseline::Week => Against::Week,
            },
            up_percent: change.up_percent,
            down_percent: change.down_percent,
        },
        Some(Asked::Anomaly(anomaly)) => AlertCondition::Anomaly {
            direction: match known("anomaly.direction", anomaly.direction)? {
                v1::AlertDirection::Unspecified => Direction::Both,
                v1::AlertDirection::Up => Direction::Up,
                v1::AlertDirection::Down => Direction::Down,
            },
            false_alerts: match anomaly.false_alerts_per_month {
                0.0 => USUAL_FALSE_ALERTS,
                asked => asked,
            },
        },
        Some(Asked::NoData(_)) => AlertCondition::NoData {},
    })
}

/// A severity from the API; none if none is named.
///
/// # Errors
/// INVALID_ARGUMENT that names the field.
pub fn severity(field: &str, severity: i32) -> Result<Option<Severity>, Status> {
    Ok(match known(field, severity)? {
        v1::AlertSeverity::Unspecified => None,
        v1::AlertSeverity::Info => Some(Severity::Info),
        v1::AlertSeverity::Warning => Some(Severity::Warning),
        v1::AlertSeverity::Critical => Some(Severity::Critical),
    })
}

/// A severity as the API shows it.
pub fn severity_message(severity: Severity) -> v1::AlertSeverity {
    match severity {
        Severity::Info => v1::AlertSeverity::Info,
        Severity::Warning => v1::AlertSeverity::Warning,
        Severity::Critical => v1::AlertSeverity::Critical,
    }
}

/// A rule as the API shows it.
pub fn rule_message(rule: &CountedRule) -> v1::AlertRule {
    let definition = &rule.definition;
    v1::AlertRule {
        id: definition.id.clone(),
        title: definition.name.clone(),
        metric_id: definition.metric.clone(),
        filter: definition.filter.as_ref().map(filter_message),
        breakdown: definition.breakdown.as_ref().map(property_message),
        top: definition.top,
        environments: definition.environments.clone(),
        include_internal: definition.include_internal,
        every: unit_message(definition.every).into(),
        delay: Some(duration(definition.delay_us)),
        condition: Some(condition_message(&definition.when)),
        min_volume: definition.min_volume,
        min_effect: definition.min_effect,
        min_effect_percent: definition.min_effect_percent,
        for_buckets: definition.for_buckets,
        cooldown: (definition.cooldown_us > 0).then(|| duration(definition.cooldown_us)),
        severity: severity_message(definition.severity).into(),
        owner: definition.owner.clone(),
        runbook: definition.runbook.clone(),
        destinations: definition.destinations.clone(),
        disabled: definition.disabled,
        version: definition.version,
        etag: definition.version.to_string(),
    }
}

fn unit_message(unit: CalendarUnit) -> v1::MetricBucketUnit {
    match unit {
        CalendarUnit::Minute => v1::MetricBucketUnit::Minute,
        CalendarUnit::Quarter => v1::MetricBucketUnit::QuarterHour,
        CalendarUnit::Hour => v1::MetricBucketUnit::Hour,
        CalendarUnit::Day => v1::MetricBucketUnit::Day,
        CalendarUnit::Week => v1::MetricBucketUnit::Week,
        CalendarUnit::Month => v1::MetricBucketUnit::Month,
    }
}

fn condition_message(condition: &AlertCondition) -> Asked {
    match condition {
        AlertCondition::Threshold { above, below } => {
            Asked::Threshold(v1::AlertThreshold { above: *above, below: *below })
        }
        AlertCondition::Change { against, up_percent, down_percent } => {
            let against = match against {
                Against::Previous => v1::AlertBaseline::Previous,
                Against::Day => v1::AlertBaseline::Day,
                Against::Week => v1::AlertBaseline::Week,
            };
            let (up_percent, down_percent) = (*up_percent, *down_percent);
            Asked::Change(v1::AlertChange { against: against.into(), up_percent, down_percent })
        }
        AlertCondition::Anomaly { direction, false_alerts } => {
            let direction = match direction {
                Direction::Both => v1::AlertDirection::Unspecified,
                Direction::Up => v1::AlertDirection::Up,
                Direction::Down => v1::AlertDirection::Down,
            };
            let direction = direction.into();
            Asked::Anomaly(v1::AlertAnomaly { direction, false_alerts_per_month: *false_alerts })
        }
        AlertCondition::NoData {} => Asked::NoData(v1::AlertNoData {}),
    }
}
