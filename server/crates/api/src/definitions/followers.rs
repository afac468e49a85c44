//! What changes along with a definition: whatever uses it is written again, one version on.

use std::collections::HashMap;

use footpath_model::alert::CountedRule;
use footpath_model::control::{Control, CountedFunnel, CountedMetric, ProjectSettings};
use tonic::{Code, Status};

use super::kinds::Kind;
use super::known::Known;
use super::uses::Uses;
use crate::status::with_reason;

/// A metric asks for a step of a funnel that is about to lose it.
fn in_use(funnel: &str, metric: &CountedMetric) -> Status {
    let what =
        format!("{funnel} would lose a step that metric/{} is made of; change that first", metric.id());
    with_reason(Code::FailedPrecondition, "definition_in_use", &what, None)
}

/// A rule could not watch the metric any more.
fn unfit(rule: &CountedRule, why: &Status) -> Status {
    let what = format!("alert_rule/{} watches it: {}; change that first", rule.id(), why.message());
    with_reason(Code::FailedPrecondition, "definition_in_use", &what, None)
}

/// The records of whatever changes along with one: definitions that use it are written again, one version on.
///
/// # Errors
/// FAILED_PRECONDITION if one of them asks for what would be gone; INTERNAL if the store fails.
pub fn followers(known: &Known<'_>, change: &Control) -> Result<Vec<Control>, Status> {
    let mut changes = direct_followers(known, change)?;
    changes.extend(rules_of(known, change, &changes)?);
    Ok(changes)
}

/// The records of rules that watch one of the metrics which are changed.
fn rules_of(known: &Known<'_>, change: &Control, changes: &[Control]) -> Result<Vec<Control>, Status> {
    let metrics = [change].into_iter().chain(changes).filter_map(|change| match change {
        Control::PutMetric(metric) => Some((metric.id(), metric)),
        _ => None,
    });
    let metrics: HashMap<_, _> = metrics.collect();
    if metrics.is_empty() {
        return Ok(Vec::new());
    }
    let rewritten = changes.iter().filter_map(|change| match change {
        Control::PutRule(rule) => Some(rule.id()),
        _ => None,
    });
    let rewritten: Vec<_> = rewritten.collect();
    let mut records = Vec::new();
    for mut rule in known.all::<CountedRule>()? {
        let Some(metric) = metrics.get(rule.definition.metric.as_str()) else { continue };
        if rewritten.contains(&rule.id()) {
            continue;
        }
        rule.metric = (***metric).clone();
        rule.metric_fits().map_err(|status| unfit(&rule, &status))?;
        let version = rule.version() + 1;
        records.push(rule.with_version(version).put());
    }
    Ok(records)
}

fn direct_followers(known: &Known<'_>, change: &Control) -> Result<Vec<Control>, Status> {
    match change {
        Control::PutSegment(segment) => rewritten(known, &|definition| {
            definition.filters(&mut |filter| {
                filter.each_segment(&mut |one| {
                    if one.segment == segment.id {
                        one.means = Some(Box::new(segment.filter.clone()));
                    }
                });
            });
        }),
        Control::PutFunnel(funnel) => {
            let metrics = known.all::<CountedMetric>()?.into_iter();
            let using = metrics.filter(|one| one.funnel.as_ref().is_some_and(|own| own.id() == funnel.id()));
            using
                .map(|mut metric| {
                    metric.funnel = Some(funnel.clone());
                    metric.step_is_there().map_err(|_| in_use(funnel.id(), &metric))?;
                    let version = metric.version() + 1;
                    Ok(metric.with_version(version).put())
                })
                .collect()
        }
        _ => Ok(Vec::new()),
    }
}

/// The records of all definitions that the project's settings make others of.
///
/// # Errors
/// INTERNAL if the store fails.
pub fn resettled(known: &Known<'_>, settings: &ProjectSettings) -> Result<Vec<Control>, Status> {
    rewritten(known, &|definition| definition.set(settings))
}

/// The records of all definitions that `change` makes others of, one version on.
///
/// # Errors
/// INTERNAL if the store fails.
fn rewritten(known: &Known<'_>, change: &dyn Fn(&mut dyn Uses)) -> Result<Vec<Control>, Status> {
    fn again<K: Kind>(known: K, change: &dyn Fn(&mut K)) -> Option<K> {
        let mut changed = known.clone();
        change(&mut changed);
        let version = known.version() + 1;
        (changed != known).then(|| changed.with_version(version))
    }
    let mut changes = Vec::new();
    let (mut funnels, mut metrics) = (HashMap::new(), HashMap::new());
    for one in known.all::<CountedFunnel>()? {
        if let Some(changed) = again(one, &|funnel| change(funnel)) {
            funnels.insert(changed.id().to_owned(), changed.clone());
            changes.push(changed.put());
        }
    }
    for one in known.all::<CountedMetric>()? {
        let changed = again(one, &|metric| {
            change(metric);
            let newer = metric.funnel.as_ref().and_then(|own| funnels.get(own.id()));
            metric.funnel = newer.cloned().map(Box::new).or(metric.funnel.take());
        });
        metrics.extend(changed.as_ref().map(|one| (one.id().to_owned(), one.clone())));
        changes.extend(changed.map(Kind::put));
    }
    for one in known.all::<CountedRule>()? {
        let changed = again(one, &|rule| {
            change(rule);
            if let Some(newer) = metrics.get(&rule.definition.metric) {
                rule.metric = newer.clone();
            }
        });
        changes.extend(changed.map(Kind::put));
    }
    Ok(changes)
}

/// Several changes as one record.
pub fn together(mut changes: Vec<Control>) -> Control {
    if changes.len() == 1 {
        return changes.remove(0);
    }
    Control::Several { changes }
}
