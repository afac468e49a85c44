//! What changes along with a definition: whatever uses it is written again, one version on.

use std::collections::HashMap;

use footpath_model::alert::CountedRule;
use footpath_model::control::{Control, CountedFunnel, CountedMetric, ProjectSettings};
use footpath_model::definition::SegmentDefinition;
use tonic::{Code, Status};

use super::kinds::Kind;
use super::known::Known;
use super::uses::Uses;
use crate::status::with_reason;

/// A metric asks for a step of a funnel that is about to lose it.
fn in_use(metric: &CountedMetric) -> Status {
    let funnel = metric.funnel.as_ref().map_or("the funnel", |funnel| funnel.id());
    let what =
        format!("{funnel} would lose a step that metric/{} is made of; change that first", metric.id());
    with_reason(Code::FailedPrecondition, "definition_in_use", &what, None)
}

/// A rule could not watch the metric any more.
fn unfit(rule: &CountedRule, why: &Status) -> Status {
    let what = format!("alert_rule/{} watches it: {}; change that first", rule.id(), why.message());
    with_reason(Code::FailedPrecondition, "definition_in_use", &what, None)
}

/// What has become newer than what others took of it, by id.
#[derive(Default)]
struct Newer {
    funnels: HashMap<String, CountedFunnel>,
    metrics: HashMap<String, CountedMetric>,
}

/// The records of whatever changes along with one: definitions that use it are written again, one version on.
///
/// # Errors
/// FAILED_PRECONDITION if one of them asks for what would be gone; INTERNAL if the store fails.
pub fn followers(known: &Known<'_>, change: &Control) -> Result<Vec<Control>, Status> {
    let mut newer = Newer::default();
    match change {
        Control::PutSegment(segment) => {
            return rewritten(known, newer, &|definition| take_segment(definition, segment));
        }
        Control::PutFunnel(funnel) => {
            newer.funnels.insert(funnel.id().to_owned(), (**funnel).clone());
        }
        Control::PutMetric(metric) => {
            newer.metrics.insert(metric.id().to_owned(), (**metric).clone());
        }
        _ => return Ok(Vec::new()),
    }
    rewritten(known, newer, &|_| {})
}

fn take_segment(definition: &mut dyn Uses, segment: &SegmentDefinition) {
    definition.filters(&mut |filter| {
        filter.each_segment(&mut |one| {
            if one.segment == segment.id {
                one.means = Some(Box::new(segment.filter.clone()));
            }
        });
    });
}

/// The records of all definitions that the project's settings make others of.
///
/// # Errors
/// INTERNAL if the store fails.
pub fn resettled(known: &Known<'_>, settings: &ProjectSettings) -> Result<Vec<Control>, Status> {
    rewritten(known, Newer::default(), &|definition| definition.set(settings))
}

/// The records of all definitions that `change`, or something newer that they use, makes others of, one version on: what is used comes before
/// what uses it.
///
/// # Errors
/// FAILED_PRECONDITION if one of them asks for what would be gone; INTERNAL if the store fails.
fn rewritten(
    known: &Known<'_>,
    mut newer: Newer,
    change: &dyn Fn(&mut dyn Uses),
) -> Result<Vec<Control>, Status> {
    let mut changes = Vec::new();
    for one in known.all::<CountedFunnel>()? {
        let Some(changed) = again(one, |funnel| change(funnel)) else { continue };
        newer.funnels.insert(changed.id().to_owned(), changed.clone());
        changes.push(changed.put());
    }
    for one in known.all::<CountedMetric>()? {
        let Some(changed) = again(one, |metric| {
            change(metric);
            take_funnel(metric, &newer.funnels);
        }) else {
            continue;
        };
        changed.step_is_there().map_err(|_| in_use(&changed))?;
        newer.metrics.insert(changed.id().to_owned(), changed.clone());
        changes.push(changed.put());
    }
    for one in known.all::<CountedRule>()? {
        let Some(changed) = again(one, |rule| {
            change(rule);
            take_metric(rule, &newer.metrics);
        }) else {
            continue;
        };
        changed.metric_fits().map_err(|status| unfit(&changed, &status))?;
        changes.push(changed.put());
    }
    Ok(changes)
}

/// The next version of a definition, if a change makes another one of it.
fn again<K: Kind>(known: K, change: impl FnOnce(&mut K)) -> Option<K> {
    let mut changed = known.clone();
    change(&mut changed);
    let version = known.version() + 1;
    (changed != known).then(|| changed.with_version(version))
}

fn take_funnel(metric: &mut CountedMetric, newer: &HashMap<String, CountedFunnel>) {
    if let Some(own) = &mut metric.funnel
        && let Some(newer) = newer.get(own.id())
    {
        **own = newer.clone();
    }
}

fn take_metric(rule: &mut CountedRule, newer: &HashMap<String, CountedMetric>) {
    if let Some(newer) = newer.get(&rule.definition.metric) {
        rule.metric = newer.clone();
    }
}

/// Several changes as one record.
pub fn together(mut changes: Vec<Control>) -> Control {
    if changes.len() == 1 {
        return changes.remove(0);
    }
    Control::Several { changes }
}

#[cfg(test)]
mod tests;
