//! Alert rules in files.

use anyhow::bail;
use footpath_api::convert;
use footpath_proto::v1;
use serde::{Deserialize, Serialize};
use tonic::Status;
use v1::alert_rule::Condition;

use super::field::List;
use super::filter::{Where, apart, joined};
use super::metric::Property;
use super::word::{Word, is_default};
use crate::tools::span::Window;

/// One alert rule: exactly one of `threshold`, `change`, `anomaly`, `no_data` is there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertRule {
    /// 1 to 64 of a-z, 0-9, "-", "_".
    pub id: String,
    /// For people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub title: String,
    /// The id of the metric.
    pub metric: String,
    /// What the metric is cut into; left out, minutes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub every: Word<v1::MetricBucketUnit>,
    /// How long after its end a bucket is judged.
    #[serde(default, skip_serializing_if = "is_default")]
    pub delay: Option<Window>,
    /// With a breakdown: how many values are watched.
    #[serde(default, skip_serializing_if = "is_default")]
    pub top: u32,
    /// Environments; left out, prod.
    #[serde(default, skip_serializing_if = "is_default")]
    pub environments: Vec<String>,
    /// Counts internal traffic and bots too.
    #[serde(default, skip_serializing_if = "is_default")]
    pub include_internal: bool,
    /// Buckets of less are not judged.
    #[serde(default, skip_serializing_if = "is_default")]
    pub min_volume: u64,
    /// Smaller differences are no problem.
    #[serde(default, skip_serializing_if = "is_default")]
    pub min_effect: f64,
    /// The same in per cent of what is expected.
    #[serde(default, skip_serializing_if = "is_default")]
    pub min_effect_percent: f64,
    /// So many buckets in a row are a problem, or its end.
    #[serde(default, skip_serializing_if = "is_default")]
    pub for_buckets: u32,
    /// How long nobody is told of a new incident after one is over.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cooldown: Option<Window>,
    /// How bad it is; left out, warning.
    #[serde(default, skip_serializing_if = "is_default")]
    pub severity: Word<v1::AlertSeverity>,
    /// Who looks after it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub owner: String,
    /// A link to what is to be done.
    #[serde(default, skip_serializing_if = "is_default")]
    pub runbook: String,
    /// Ids of the destinations that are told.
    #[serde(default, skip_serializing_if = "is_default")]
    pub destinations: Vec<String>,
    /// Judges nothing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disabled: bool,
    /// A bound that is crossed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub threshold: Option<Threshold>,
    /// A difference from an earlier bucket.
    #[serde(default, skip_serializing_if = "is_default")]
    pub change: Option<Change>,
    /// A number that its past does not let expect.
    #[serde(default, skip_serializing_if = "is_default")]
    pub anomaly: Option<Anomaly>,
    /// Nothing comes any more.
    #[serde(default, skip_serializing_if = "is_default")]
    pub no_data: Option<NoData>,
    /// Watches each value of a property.
    #[serde(default, skip_serializing_if = "is_default")]
    pub breakdown: Option<Property>,
    /// What events have to fulfil, all of it.
    #[serde(default, rename = "where", skip_serializing_if = "is_default")]
    pub conditions: Vec<Where>,
}

/// A bound that is crossed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Threshold {
    /// A problem above it.
    #[serde(skip_serializing_if = "is_default")]
    pub above: Option<f64>,
    /// A problem below it.
    #[serde(skip_serializing_if = "is_default")]
    pub below: Option<f64>,
}

/// A difference from an earlier bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Change {
    /// Which one; left out, the same a week before.
    #[serde(skip_serializing_if = "is_default")]
    pub against: Word<v1::AlertBaseline>,
    /// A problem if it is so much more.
    #[serde(skip_serializing_if = "is_default")]
    pub up_percent: Option<f64>,
    /// A problem if it is so much less.
    #[serde(skip_serializing_if = "is_default")]
    pub down_percent: Option<f64>,
}

/// A number that its past does not let expect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Anomaly {
    /// Which way; left out, both.
    #[serde(skip_serializing_if = "is_default")]
    pub direction: Word<v1::AlertDirection>,
    /// Left out, 1.
    #[serde(skip_serializing_if = "is_default")]
    pub false_alerts_per_month: f64,
}

/// Nothing comes any more: `no_data = {}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoData {}

impl AlertRule {
    /// As the API takes it.
    ///
    /// # Errors
    /// If it does not have exactly one condition, or a filter says nothing or several things.
    pub fn to_message(&self) -> anyhow::Result<v1::AlertRule> {
        let condition = match (self.threshold, self.change, self.anomaly, self.no_data) {
            (Some(Threshold { above, below }), None, None, None) => {
                Condition::Threshold(v1::AlertThreshold { above, below })
            }
            (None, Some(Change { against, up_percent, down_percent }), None, None) => {
                let against = against.number();
                Condition::Change(v1::AlertChange { against, up_percent, down_percent })
            }
            (None, None, Some(Anomaly { direction, false_alerts_per_month }), None) => {
                let direction = direction.number();
                Condition::Anomaly(v1::AlertAnomaly { direction, false_alerts_per_month })
            }
            (None, None, None, Some(NoData {})) => Condition::NoData(v1::AlertNoData {}),
            _ => bail!("an alert rule has exactly one of threshold, change, anomaly, no_data"),
        };
        Ok(v1::AlertRule {
            id: self.id.clone(),
            title: self.title.clone(),
            metric_id: self.metric.clone(),
            filter: joined(&self.conditions)?,
            breakdown: self.breakdown.as_ref().map(Into::into),
            top: self.top,
            environments: self.environments.clone(),
            include_internal: self.include_internal,
            every: self.every.number(),
            delay: self.delay.map(Into::into),
            condition: Some(condition),
            min_volume: self.min_volume,
            min_effect: self.min_effect,
            min_effect_percent: self.min_effect_percent,
            for_buckets: self.for_buckets,
            cooldown: self.cooldown.map(Into::into),
            severity: self.severity.number(),
            owner: self.owner.clone(),
            runbook: self.runbook.clone(),
            destinations: self.destinations.clone(),
            disabled: self.disabled,
            ..v1::AlertRule::default()
        })
    }

    /// Its lists of conditions.
    pub fn wheres(&self) -> Vec<List<'_>> {
        vec![List { of: String::new(), conditions: &self.conditions, is_split: false }]
    }

    /// What a message comes down to: what is left out is spelled out. `zone` is the project's.
    ///
    /// # Errors
    /// INVALID_ARGUMENT as the server's.
    pub fn spelled_out(message: &v1::AlertRule, zone: &str) -> Result<v1::AlertRule, Status> {
        let rule = convert::rule(message, 1, zone)?;
        let definition = &rule.definition;
        Ok(v1::AlertRule {
            top: u32::try_from(definition.top()).unwrap_or(u32::MAX),
            environments: definition.environments(),
            for_buckets: definition.for_buckets(),
            ..convert::rule_message(&rule)
        })
    }

    /// From the API.
    ///
    /// # Errors
    /// If the server is newer and says something that files cannot say.
    pub fn from_message(message: v1::AlertRule) -> anyhow::Result<Self> {
        let mut rule = Self {
            every: Word::of(message.every),
            severity: Word::of(message.severity),
            id: message.id,
            title: message.title,
            metric: message.metric_id,
            delay: message.delay.map(Into::into),
            top: message.top,
            environments: message.environments,
            include_internal: message.include_internal,
            min_volume: message.min_volume,
            min_effect: message.min_effect,
            min_effect_percent: message.min_effect_percent,
            for_buckets: message.for_buckets,
            cooldown: message.cooldown.map(Into::into),
            owner: message.owner,
            runbook: message.runbook,
            destinations: message.destinations,
            disabled: message.disabled,
            breakdown: message.breakdown.map(Into::into),
            conditions: apart(message.filter),
            ..Self::default()
        };
        match message.condition {
            Some(Condition::Threshold(v1::AlertThreshold { above, below })) => {
                rule.threshold = Some(Threshold { above, below });
            }
            Some(Condition::Change(v1::AlertChange { against, up_percent, down_percent })) => {
                let against = Word::of(against);
                rule.change = Some(Change { against, up_percent, down_percent });
            }
            Some(Condition::Anomaly(v1::AlertAnomaly { direction, false_alerts_per_month })) => {
                let direction = Word::of(direction);
                rule.anomaly = Some(Anomaly { direction, false_alerts_per_month });
            }
            Some(Condition::NoData(_)) => rule.no_data = Some(NoData {}),
            None => bail!("alert rule {:?} needs a newer version of this program", rule.id),
        }
        Ok(rule)
    }
}

#[cfg(test)]
mod tests;
