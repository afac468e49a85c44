//! The properties that are looked at, and their values for an event.

use footpath_model::context;
use footpath_model::definition::{Measure, PropertyRef, Scope};
use footpath_model::filter::{Facts, Needs, Selector};

use super::{Dimensions, DriversQuery};

/// The properties that a query looks at, each once.
pub(super) fn considered(query: &DriversQuery<'_>) -> Vec<PropertyRef> {
    if matches!(query.counted.definition.measure, Measure::Sessions(_)) {
        return of_sessions(query.dimensions);
    }
    let mut found: Vec<PropertyRef> = Vec::new();
    let mut add = |property: &PropertyRef| {
        if !found.contains(property) {
            found.push(property.clone());
        }
    };
    match query.dimensions {
        Dimensions::These(these) => these.iter().for_each(&mut add),
        Dimensions::Auto(also) => {
            context::names().for_each(|name| {
                let property = name.to_owned();
                add(&PropertyRef { property, scope: Scope::Context, ..PropertyRef::default() })
            });
            also.iter().for_each(&mut add);
        }
    }
    found
}

/// Sessions have no properties but the names of their first and last event.
fn of_sessions(asked: Dimensions<'_>) -> Vec<PropertyRef> {
    let own = ["entry_event", "exit_event"]
        .map(|property| PropertyRef { property: property.to_owned(), ..PropertyRef::default() });
    match asked {
        Dimensions::These(these) => own.into_iter().filter(|own| these.contains(own)).collect(),
        Dimensions::Auto(_) => own.into(),
    }
}

/// Finds the values of an event.
pub(super) struct Selectors(Vec<Selector>);

impl Selectors {
    pub(super) fn new(dimensions: &[PropertyRef]) -> Self {
        let select = |by: &PropertyRef| Selector::new(&by.scope, &by.property, by.as_of);
        Self(dimensions.iter().map(select).collect())
    }

    pub(super) fn needs(&self) -> Needs {
        self.0.iter().map(Selector::needs).fold(Needs::default(), Needs::and)
    }

    /// The value in each dimension, as text.
    pub(super) fn texts<'s>(&'s self, facts: &'s Facts<'s>) -> impl Iterator<Item = Option<String>> + 's {
        self.0.iter().map(|selector| selector.text(facts))
    }
}
