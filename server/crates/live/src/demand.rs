//! Views that nobody defined: sessions and active persons, there while somebody watches them, or as long as a metric is made
//! of them.

use std::collections::BTreeMap;

use footpath_engine::lens::PropertyRead;
use footpath_model::control::{CountedMetric, ProjectSettings};
use footpath_model::definition::{Filter, Measure};
use hashbrown::{HashMap, HashSet};

use crate::active::CountedActive;
use crate::sessions::CountedSessions;
use crate::view::{Counted, ViewKey};

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

/// What decides which of these views a project has.
#[derive(Debug, Clone, Default)]
pub struct Demand {
    settings: ProjectSettings,
    /// The metrics that are made of sessions.
    metrics: BTreeMap<String, CountedMetric>,
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
        of_metrics.chain(self.watched_us.keys().cloned()).collect()
    }

    /// What such a view counts; `None` if it is not of this kind, or cannot be followed.
    pub fn counted(&self, key: &ViewKey) -> Option<Counted> {
        let simple = self.settings.internal.as_ref().is_none_or(is_of_events);
        match key {
            ViewKey::Funnel(_) | ViewKey::Metric(_) => None,
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
