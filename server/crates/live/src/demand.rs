//! Views that nobody defined: sessions and active persons, there while somebody watches them, or as long as a metric is made
//! of them; and what alert rules watch.

use std::collections::BTreeMap;

use footpath_engine::lens::PropertyRead;
use footpath_model::alert::CountedRule;
use footpath_model::control::{CountedMetric, ProjectSettings};
use footpath_model::definition::{Filter, Measure};
use hashbrown::{HashMap, HashSet};
use xxhash_rust::xxh3::xxh3_64;

use crate::active::CountedActive;
use crate::sessions::CountedSessions;
use crate::view::{Counted, ViewKey, WATCHED};

/// How long a view stays that nobody watches any more.
const LINGER_US: i64 = 10 * 60_000_000;

/// How the live path follows a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// By a view of its own.
    Alone(ViewKey),
    /// By the view of sessions.
    Sessions(ViewKey),
    /// Not: it is made of a funnel's conversion, or of properties of persons or groups. Queries answer it.
    No,
}

impl Followed {
    /// The view that has its numbers.
    pub fn view(self) -> Option<ViewKey> {
        match self {
            Self::Alone(key) | Self::Sessions(key) => Some(key),
            Self::No => None,
        }
    }
}

/// How the live path follows a metric.
pub fn followed(metric: &CountedMetric) -> Followed {
    let definition = &metric.definition;
    let internal_is_simple = metric.internal.as_ref().is_none_or(is_of_events);
    match &definition.measure {
        Measure::Sessions(_) if internal_is_simple || definition.include_internal => {
            let internal = definition.include_internal && metric.internal.is_some();
            Followed::Sessions(ViewKey::Sessions { internal })
        }
        Measure::Events(_) | Measure::Ratio { .. } if PropertyRead::of_metric(metric).is_empty() => {
            Followed::Alone(ViewKey::Metric(definition.id.clone()))
        }
        Measure::Events(_) | Measure::Ratio { .. } | Measure::Sessions(_) | Measure::Conversion { .. } => {
            Followed::No
        }
    }
}

/// Whether a filter reads nothing but events. With another one for internal traffic, sessions and active persons are not followed.
pub fn is_of_events(filter: &Filter) -> bool {
    PropertyRead::of([filter], []).is_empty()
}

/// What the live path counts for a rule; `None` for one that is switched off, or if it does not follow it event by event.
pub fn watched(rule: &CountedRule) -> Option<CountedMetric> {
    if rule.definition.disabled { None } else { by_content(rule.watched()) }
}

/// A metric as the live path counts it for rules: the same for all that count the same, under a name made of what that is. `None` if
/// it does not follow it event by event; queries answer it.
pub fn by_content(mut metric: CountedMetric) -> Option<CountedMetric> {
    metric.definition.id.clear();
    metric.definition.name.clear();
    metric.definition.version = 0;
    let content = serde_json::to_vec(&metric).ok()?;
    metric.definition.id = format!("{WATCHED}{:016x}", xxh3_64(&content));
    matches!(followed(&metric), Followed::Alone(_)).then_some(metric)
}

/// What decides which of these views a project has.
#[derive(Debug, Clone, Default)]
pub struct Demand {
    settings: ProjectSettings,
    /// The metrics that are made of sessions.
    metrics: BTreeMap<String, CountedMetric>,
    /// What alert rules watch, by the rules' ids.
    rules: BTreeMap<String, CountedMetric>,
    /// When somebody watched last.
    watched_us: HashMap<ViewKey, i64>,
}

impl Demand {
    /// By a project's settings and metrics.
    pub fn new(settings: ProjectSettings, metrics: &[CountedMetric]) -> Self {
        let mut demand = Self { settings, ..Self::default() };
        metrics.iter().for_each(|metric| demand.put(metric.clone()));
        demand
    }

    /// The settings were changed.
    pub fn set(&mut self, settings: ProjectSettings) {
        self.settings = settings;
    }

    /// A metric was made or changed.
    pub fn put(&mut self, metric: CountedMetric) {
        let id = metric.definition.id.clone();
        match followed(&metric) {
            Followed::Sessions(_) => _ = self.metrics.insert(id, metric),
            _ => _ = self.metrics.remove(&id),
        }
    }

    /// A metric was deleted.
    pub fn delete(&mut self, id: &str) {
        self.metrics.remove(id);
    }

    /// An alert rule was made or changed.
    pub fn put_rule(&mut self, rule: &CountedRule) {
        let id = rule.definition.id.clone();
        match watched(rule) {
            Some(metric) => _ = self.rules.insert(id, metric),
            None => _ = self.rules.remove(&id),
        }
    }

    /// An alert rule was deleted.
    pub fn delete_rule(&mut self, id: &str) {
        self.rules.remove(id);
    }

    /// Somebody watches a view at `now_us`.
    pub fn watch(&mut self, key: &ViewKey, now_us: i64) {
        if let Some(watched_us) = self.watched_us.get_mut(key) {
            *watched_us = now_us;
            return;
        }
        self.watched_us.insert(key.clone(), now_us);
    }

    /// The views that there have to be at `now_us`.
    pub fn wanted(&mut self, now_us: i64) -> HashSet<ViewKey> {
        self.watched_us.retain(|_, watched_us| now_us - *watched_us < LINGER_US);
        let of_metrics = self.metrics.values().filter_map(|metric| followed(metric).view());
        let of_rules = self.rules.values().map(|metric| ViewKey::Metric(metric.definition.id.clone()));
        of_metrics.chain(of_rules).chain(self.watched_us.keys().cloned()).collect()
    }

    /// What such a view counts; `None` if it is not of this kind, or cannot be followed.
    pub fn counted(&self, key: &ViewKey) -> Option<Counted> {
        let simple = self.settings.internal.as_ref().is_none_or(is_of_events);
        match key {
            ViewKey::Funnel(_) => None,
            ViewKey::Metric(id) => {
                let watched = self.rules.values().find(|metric| metric.definition.id == *id);
                watched.map(|metric| Counted::Metric(Box::new(metric.clone())))
            }
            ViewKey::Active(zone) => simple.then(|| {
                let internal = self.settings.internal.clone();
                Counted::Active(Box::new(CountedActive { zone: zone.clone(), internal }))
            }),
            ViewKey::Sessions { internal } => (simple || *internal).then(|| {
                let of_it = |metric: &&CountedMetric| followed(metric).view().as_ref() == Some(key);
                let metrics = self.metrics.values().filter(of_it).cloned().collect();
                Counted::Sessions(Box::new(CountedSessions::of(&self.settings, *internal, metrics)))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rule as the store keeps it.
    fn rule(definition: &str, metric: &str) -> CountedRule {
        let definition =
            format!(r#"{{"id":"r","metric":"m","every":"minute","when":{{"no_data":{{}}}}{definition}}}"#);
        let json = format!(r#"{{"definition":{definition},"metric":{metric},"zone":"UTC"}}"#);
        serde_json::from_str(&json).unwrap()
    }

    /// Views outlive the program in images, and are found again by these names.
    #[test]
    fn the_same_content_keeps_its_name() {
        let count = r#"{"definition":{"id":"m","name":"Payments","version":3,
            "measure":{"events":{"events":["paid"],"filters":[],"aggregate":"count"}}},
            "internal":{"property":"email","op":"contains","values":["@example.com"]}}"#;
        let ratio = r#"{"definition":{"id":"m","version":1,"measure":{"ratio":{
            "numerator":{"events":["paid"],"aggregate":"count"},
            "denominator":{"events":["seen"],"aggregate":"uniques"}}},
            "breakdown":{"property":"os"},"include_internal":true}}"#;
        let narrower = r#","filter":{"property":"plan","op":"in","values":["pro"]},
            "breakdown":{"property":"country"},"environments":["staging","dev"]"#;
        let internal = r#","include_internal":true"#;
        let names = [("", count), (internal, count), (narrower, count), ("", ratio), (narrower, ratio)]
            .map(|(definition, metric)| watched(&rule(definition, metric)).unwrap().definition.id);
        assert_eq!(
            names,
            [
                "~37b0a42fefef5df1",
                "~5cfcbc430e7def4c",
                "~80a5f310f8834743",
                "~c90512c8bd117980",
                "~35d0f2317daf1c4e"
            ]
        );
    }
}
