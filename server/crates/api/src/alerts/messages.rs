//! Alerts as the API shows them.

use footpath_alert::{AROUND_US, Incident, IncidentState, Told};
use footpath_engine::alert::{Detail, Finding, Judged, Transition, TransitionKind, channel_name};
use footpath_model::alert::{Annotation, Driver, DriverKind, Series};
use footpath_proto::v1;
use footpath_store::ProjectRow;
use v1::slice_value::Kind;

use super::mute;
use crate::context::Context;
use crate::convert::{property_message, severity_message, timestamp};

/// Which series, as a value of a breakdown; nothing without one.
pub fn value(series: &Series) -> Option<v1::SliceValue> {
    let kind = match series {
        Series::Whole => return None,
        Series::Value(text) => Kind::Value(text.clone()),
        Series::NotSet => Kind::NotSet(true),
    };
    Some(v1::SliceValue { kind: Some(kind) })
}

/// What happened.
pub fn kind(kind: TransitionKind) -> v1::AlertKind {
    match kind {
        TransitionKind::Opened => v1::AlertKind::Opened,
        TransitionKind::Escalated => v1::AlertKind::Escalated,
        TransitionKind::Acknowledged => v1::AlertKind::Acknowledged,
        TransitionKind::Resolved => v1::AlertKind::Resolved,
        TransitionKind::Reopened => v1::AlertKind::Reopened,
        TransitionKind::Commented => v1::AlertKind::Commented,
        TransitionKind::Muted => v1::AlertKind::Muted,
        TransitionKind::Assigned => v1::AlertKind::Assigned,
        TransitionKind::Acted => v1::AlertKind::Acted,
        TransitionKind::Compared => v1::AlertKind::Compared,
    }
}

/// A judged bucket.
pub fn judgement(judged: &Judged) -> v1::Judgement {
    v1::Judgement {
        from: Some(timestamp(judged.from_us)),
        to: Some(timestamp(judged.to_us)),
        finding: finding(judged.finding).into(),
        number: judged.value,
        volume: judged.volume,
        expected: judged.expected,
        low: judged.low,
        high: judged.high,
        p_value: judged.p_value,
        channel: judged.channel.map(|channel| channel_name(channel).to_owned()).unwrap_or_default(),
    }
}

fn finding(finding: Finding) -> v1::AlertFinding {
    match finding {
        Finding::Fine => v1::AlertFinding::Fine,
        Finding::Problem => v1::AlertFinding::Problem,
        Finding::Learning => v1::AlertFinding::Learning,
        Finding::TooLittle => v1::AlertFinding::TooLittle,
        Finding::Late => v1::AlertFinding::Late,
        Finding::Missing => v1::AlertFinding::Missing,
        Finding::Down => v1::AlertFinding::Down,
        Finding::Changed => v1::AlertFinding::Changed,
    }
}

/// Something that happened to an incident.
pub fn event(transition: &Transition) -> v1::IncidentEvent {
    let until_us = match transition.detail {
        Some(Detail::MutedUntil(until_us)) => Some(until_us).filter(|us| *us > 0),
        _ => None,
    };
    v1::IncidentEvent {
        kind: kind(transition.kind).into(),
        at: Some(timestamp(transition.at_us)),
        judgement: transition.judged.as_ref().map(judgement),
        by: transition.by.clone().unwrap_or_default(),
        text: transition.detail.as_ref().and_then(Detail::words).unwrap_or_default(),
        muted_until: until_us.map(timestamp),
    }
}

/// An alert of a watch.
pub fn alert(context: &Context, project: &ProjectRow, told: &Told) -> v1::Alert {
    v1::Alert {
        event: Some(event(&told.transition)),
        incident: Some(incident(context, project, &told.incident)),
    }
}

/// An incident.
pub fn incident(context: &Context, project: &ProjectRow, incident: &Incident) -> v1::Incident {
    let action = |action: &footpath_alert::ActionTaken| v1::IncidentAction {
        text: action.text.clone(),
        at: Some(timestamp(action.at_us)),
        by: action.by.clone(),
        comparison: action.comparison.clone(),
    };
    v1::Incident {
        id: incident.id.clone(),
        project: project.id.clone(),
        alert_rule_id: incident.rule.clone(),
        title: incident.title.clone(),
        metric_id: incident.metric.clone(),
        value: value(&incident.series),
        environments: incident.environments.clone(),
        severity: severity_message(incident.severity).into(),
        state: state(incident.state).into(),
        summary: incident.summary.clone(),
        from: Some(timestamp(incident.from_us)),
        opened_at: Some(timestamp(incident.opened_us)),
        resolved_at: incident.resolved_us.map(timestamp),
        owner: incident.owner.clone(),
        runbook: incident.runbook.clone(),
        link: context.link(&project.id, &incident.id),
        told: incident.told.as_ref().map(judgement),
        completeness: Some(v1::AlertCompleteness {
            processed: Some(timestamp(incident.complete.processed_us)),
            position: incident.complete.position,
            expected: incident.complete.missing,
        }),
        drivers: incident.drivers.iter().map(driver).collect(),
        annotations: annotations(context, project, incident),
        actions: incident.actions.iter().map(action).collect(),
        muted_until: mute::shown(context.clock.now_us(), incident.muted_until_us),
    }
}

fn annotations(context: &Context, project: &ProjectRow, incident: &Incident) -> Vec<v1::Annotation> {
    let (from_us, to_us) = (incident.from_us - AROUND_US, incident.from_us + AROUND_US);
    let read = |fold: &footpath_engine::alert::AlertFold| {
        fold.annotations(from_us, to_us).into_iter().map(annotation).collect()
    };
    context.alerts.read(project.number, read).unwrap_or_default()
}

fn state(state: IncidentState) -> v1::IncidentState {
    match state {
        IncidentState::Open => v1::IncidentState::Open,
        IncidentState::Acknowledged => v1::IncidentState::Acknowledged,
        IncidentState::Resolved => v1::IncidentState::Resolved,
    }
}

/// What probably moved a number.
pub fn driver(driver: &Driver) -> v1::Driver {
    let kind = match driver.kind {
        DriverKind::Volume => v1::DriverKind::Volume,
        DriverKind::Rate => v1::DriverKind::Rate,
        DriverKind::Mix => v1::DriverKind::Mix,
    };
    v1::Driver {
        property: Some(property_message(&driver.property)),
        value: value(&driver.value),
        kind: kind.into(),
        contribution: driver.contribution,
        before: driver.before,
        after: driver.after,
    }
}

/// An annotation.
pub fn annotation(annotation: &Annotation) -> v1::Annotation {
    let ends = annotation.to_us > annotation.from_us;
    v1::Annotation {
        id: annotation.id.clone(),
        text: annotation.text.clone(),
        kind: annotation.kind.clone(),
        from: Some(timestamp(annotation.from_us)),
        to: ends.then(|| timestamp(annotation.to_us)),
        special: annotation.special,
        by: annotation.by.clone(),
    }
}
