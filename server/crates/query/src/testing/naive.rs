//! Reckoning by hand over events as they were sent.

use std::collections::BTreeMap;

use footpath_engine::IdentityGraph;
use footpath_model::definition::{AsOf, Condition, Filter, Op, PropertyRef, Scope};

use super::{Told, graph_of, key};

/// Events of one project in log order, and who is who.
pub(crate) struct World {
    pub(crate) told: Vec<Told>,
    pub(crate) graph: IdentityGraph,
}

impl World {
    pub(crate) fn new(told: Vec<Told>) -> Self {
        Self { graph: graph_of(&told), told }
    }

    pub(crate) fn person(&self, told: &Told) -> u64 {
        self.graph.canonical(key(told.actor())).0
    }

    /// Every person's events, in order.
    pub(crate) fn persons(&self) -> BTreeMap<u64, Vec<&Told>> {
        self.by(|told| Some(self.person(told)))
    }

    /// Events by something, in order.
    pub(crate) fn by<K: Ord>(&self, of: impl Fn(&Told) -> Option<K>) -> BTreeMap<K, Vec<&Told>> {
        let mut found: BTreeMap<K, Vec<&Told>> = BTreeMap::new();
        for told in &self.told {
            of(told).into_iter().for_each(|key| found.entry(key).or_default().push(told));
        }
        found.values_mut().for_each(|own| own.sort_by_key(|told| told.order()));
        found
    }

    /// The person's plan after all events up to a moment.
    pub(crate) fn plan(&self, person: u64, upto: Option<(i64, u128)>) -> Option<String> {
        let own = self.told.iter().filter(|told| self.person(told) == person && told.plan.is_some());
        let before = own.filter(|told| upto.is_none_or(|upto| told.order() <= upto));
        before.max_by_key(|told| told.order())?.plan.clone()
    }

    /// The company's seats after all events up to a moment.
    pub(crate) fn seats(&self, company: &str, upto: Option<(i64, u128)>) -> Option<i64> {
        let own = self.told.iter().filter(|told| told.company.as_deref() == Some(company));
        let own = own.filter(|told| told.seats.is_some());
        let before = own.filter(|told| upto.is_none_or(|upto| told.order() <= upto));
        before.max_by_key(|told| told.order())?.seats
    }
}

type Read = fn(&World, &Told) -> Option<String>;

/// A property, and how it is read by hand.
#[derive(Clone)]
pub(crate) struct Facet {
    pub(crate) property: PropertyRef,
    pub(crate) read: Read,
    /// Values that it has.
    values: [&'static str; 2],
}

/// Every kind of property.
pub(crate) fn facets() -> Vec<Facet> {
    let facet = |property: &str, scope, as_of, read: Read, values| Facet {
        property: PropertyRef { property: property.into(), scope, as_of },
        read,
        values,
    };
    let company = || Scope::Group("company".into());
    vec![
        facet("page", Scope::Event, AsOf::AtEvent, |_, told| told.page.clone(), ["a", "b"]),
        facet("amount", Scope::Event, AsOf::AtEvent, |_, told| Some(told.amount?.to_string()), ["3", "7"]),
        facet("os", Scope::Context, AsOf::AtEvent, |_, told| Some(told.os.clone()), ["ios", "android"]),
        facet(
            "plan",
            Scope::Person,
            AsOf::AtEvent,
            |world, told| world.plan(world.person(told), Some(told.order())),
            ["pro", "free"],
        ),
        facet(
            "plan",
            Scope::Person,
            AsOf::Current,
            |world, told| world.plan(world.person(told), None),
            ["pro", "free"],
        ),
        facet(
            "seats",
            company(),
            AsOf::AtEvent,
            |world, told| Some(world.seats(told.company.as_deref()?, Some(told.order()))?.to_string()),
            ["4", "8"],
        ),
        facet(
            "seats",
            company(),
            AsOf::Current,
            |world, told| Some(world.seats(told.company.as_deref()?, None)?.to_string()),
            ["4", "8"],
        ),
    ]
}

impl Facet {
    /// A condition that it has one of its values or, if `not`, another one.
    pub(crate) fn filter(&self, not: bool) -> Filter {
        Filter::Is(Condition {
            property: self.property.property.clone(),
            scope: self.property.scope.clone(),
            as_of: self.property.as_of,
            op: if not { Op::NotEq } else { Op::In },
            values: self.values.map(str::to_owned).to_vec(),
        })
    }

    /// Whether it holds, by hand.
    pub(crate) fn holds(&self, not: bool, world: &World, told: &Told) -> bool {
        (self.read)(world, told).is_some_and(|value| self.values.contains(&value.as_str()) != not)
    }
}
