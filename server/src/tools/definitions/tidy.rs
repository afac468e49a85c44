//! What a definition says only because the server fills it in, and a file leaves out.

use footpath_proto::v1;
use v1::alert_rule::Condition;

use super::kind::Kind;
use super::{AlertRule, Funnel};

/// Options that a preset, or Footpath, sets by itself.
const OPTIONS: [fn(&mut v1::Funnel); 9] = [
    |funnel| funnel.window_from = 0,
    |funnel| funnel.entry = 0,
    |funnel| funnel.order = 0,
    |funnel| funnel.ties = 0,
    |funnel| funnel.counting = 0,
    |funnel| funnel.exclusion_effect = 0,
    |funnel| funnel.window_funnel = None,
    |funnel| funnel.breakdown.iter_mut().for_each(|breakdown| breakdown.attribution = 0),
    |funnel| funnel.range.iter_mut().for_each(|range| range.time_zone.clear()),
];

/// Options of an alert rule that Footpath sets by itself.
const RULE_OPTIONS: [fn(&mut v1::AlertRule); 8] = [
    |rule| rule.every = 0,
    |rule| rule.top = 0,
    |rule| rule.environments.clear(),
    |rule| rule.for_buckets = 0,
    |rule| rule.severity = 0,
    |rule| rule.delay = None,
    |rule| rule.cooldown = None,
    |rule| match &mut rule.condition {
        Some(Condition::Change(change)) => change.against = 0,
        Some(Condition::Anomaly(anomaly)) => anomaly.false_alerts_per_month = 0.0,
        _ => {}
    },
];

/// The funnel without what it means anyway; `zone` is the project's.
pub fn tidy(funnel: v1::Funnel, zone: &str) -> v1::Funnel {
    let (steps, exclusions) = (funnel.steps.len(), funnel.exclusions.len());
    let without =
        |funnel: v1::Funnel, clear: &dyn Fn(&mut v1::Funnel)| without::<Funnel>(funnel, zone, clear);
    let mut tidy = OPTIONS.iter().fold(funnel, |funnel, clear| without(funnel, clear));
    for i in 0..steps {
        tidy = without(tidy, &|funnel| funnel.steps[i].label.clear());
    }
    for i in 0..exclusions {
        tidy = without(tidy, &|funnel| funnel.exclusions[i].after_step = 0);
        tidy = without(tidy, &|funnel| funnel.exclusions[i].before_step = 0);
    }
    tidy
}

/// The alert rule without what it means anyway; `zone` is the project's.
pub fn tidy_rule(rule: v1::AlertRule, zone: &str) -> v1::AlertRule {
    RULE_OPTIONS.iter().fold(rule, |rule, clear| without::<AlertRule>(rule, zone, clear))
}

/// `message` without what `clear` takes away, if it means the same then.
fn without<K: Kind>(message: K::Message, zone: &str, clear: &dyn Fn(&mut K::Message)) -> K::Message {
    let mut less = message.clone();
    clear(&mut less);
    match (K::meaning(&message, zone), K::meaning(&less, zone)) {
        (Ok(before), Ok(after)) if before == after => less,
        _ => message,
    }
}
