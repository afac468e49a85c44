//! The properties of persons and groups that definitions read.

use footpath_model::control::{CountedFunnel, CountedMetric};
use footpath_model::definition::{AsOf, Filter, PropertyRef, Scope};

use crate::props::Owner;

/// A property of persons or groups that is read where events are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyRead {
    /// Whose it is.
    pub owner: Owner,
    /// Its key.
    pub key: String,
    /// Whether its newest value is read; else the one as of an event.
    pub current: bool,
}

impl PropertyRead {
    /// Those of a funnel, each once.
    pub fn of_funnel(counted: &CountedFunnel) -> Vec<Self> {
        let definition = &counted.definition;
        let steps = definition.steps.iter().flat_map(|step| &step.filters);
        let exclusions = definition.exclusions.iter().flat_map(|exclusion| &exclusion.filters);
        let internal = counted.internal.iter().filter(|_| !definition.include_internal);
        let breakdown = definition.breakdown.iter().map(|breakdown| &breakdown.by);
        Self::of(steps.chain(exclusions).chain(internal), breakdown.chain(&definition.hold))
    }

    /// Those of a metric of events, each once. What is made of sessions or of a funnel reads none by itself.
    pub fn of_metric(counted: &CountedMetric) -> Vec<Self> {
        let filters = counted.definition.measure.terms().into_iter().flat_map(|term| &term.filters);
        Self::of(filters.chain(&counted.left_out()), &counted.definition.breakdown)
    }

    /// Those of filters and of properties that are asked for, each once.
    pub fn of<'a>(
        filters: impl IntoIterator<Item = &'a Filter>,
        properties: impl IntoIterator<Item = &'a PropertyRef>,
    ) -> Vec<Self> {
        let mut reads = Vec::new();
        let mut read = |scope: &Scope, key: &str, as_of: AsOf| {
            let owner = match scope {
                Scope::Event | Scope::Context => return,
                Scope::Person => Owner::Person,
                Scope::Group(kind) => Owner::Group(kind.clone()),
            };
            let read = Self { owner, key: key.to_owned(), current: as_of == AsOf::Current };
            if !reads.contains(&read) {
                reads.push(read);
            }
        };
        for filter in filters {
            filter.each(&mut |condition| read(&condition.scope, &condition.property, condition.as_of));
        }
        for property in properties {
            read(&property.scope, &property.property, property.as_of);
        }
        reads
    }
}
