//! Records of the alert path: rules as they are counted, what was observed of their metrics, what people do about incidents.
//!
//! What a rule decides is a fold of these records alone, in the order of the log: after a restart, and in every replay, it comes
//! out the same.

use serde::{Deserialize, Serialize};

use crate::control::CountedMetric;
use crate::definition::AlertRule;

mod bounds;
mod observed;
mod people;

pub use bounds::Bounds;
pub use observed::{Completeness, Driver, DriverKind, Learned, LearnedSeries, Observed, Reading, Series};
pub use people::{Annotation, IncidentAct, IncidentChange};

/// A rule as it stands after a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CountedRule {
    /// The definition.
    pub definition: AlertRule,
    /// The metric that it watches, as it stood then.
    pub metric: CountedMetric,
    /// IANA name of the zone that buckets are cut in.
    pub zone: String,
}

impl CountedRule {
    /// What is counted for the rule: its metric, narrowed by its filter, its environments and its breakdown.
    pub fn watched(&self) -> CountedMetric {
        let rule = &self.definition;
        let mut watched = self.metric.clone().within(rule.environments(), rule.include_internal);
        if let Some(by) = &rule.breakdown {
            watched.definition.breakdown = Some(by.clone());
        }
        if let Some(filter) = &rule.filter {
            watched.narrow(filter); // Where it cannot be, the rule was refused.
        }
        watched
    }
}
