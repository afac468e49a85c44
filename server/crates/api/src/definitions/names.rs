//! The events and properties that a definition names, each with the path of its field in the API.

use footpath_model::definition::{AllOf, AnyOf, Filter, NotThis, PropertyRef, Scope};

/// What a definition names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// An event.
    Event(String),
    /// A property.
    Property(Scope, String),
}

/// The events of a list; `path` is what the list belongs to.
pub fn events(path: &str, events: &[String]) -> impl Iterator<Item = (String, Name)> {
    let name =
        move |(i, event): (usize, &String)| (format!("{path}.events[{i}]"), Name::Event(event.clone()));
    events.iter().enumerate().map(name).collect::<Vec<_>>().into_iter()
}

/// A property that is not compared; `path` is its field's.
pub fn property(path: &str, property: &PropertyRef) -> (String, Name) {
    (format!("{path}.property"), Name::Property(property.scope.clone(), property.property.clone()))
}

/// The properties of a filter; `path` is its field's.
pub fn of_filter(path: &str, filter: &Filter) -> Vec<(String, Name)> {
    let of_parts = |which: &str, parts: &[Filter]| {
        let parts = parts.iter().enumerate();
        parts.flat_map(|(i, part)| of_filter(&format!("{path}.{which}[{i}]"), part)).collect()
    };
    match filter {
        Filter::Is(condition) => {
            let name = Name::Property(condition.scope.clone(), condition.property.clone());
            vec![(format!("{path}.property"), name)]
        }
        Filter::All(AllOf { all }) => of_parts("all", all),
        Filter::Any(AnyOf { any }) => of_parts("any", any),
        Filter::Not(NotThis { not }) => of_filter(&format!("{path}.not"), not),
        Filter::Segment(_) => Vec::new(),
    }
}

/// The properties of filters that the API shows as one.
pub fn of_filters(path: &str, filters: &[Filter]) -> Vec<(String, Name)> {
    let path = format!("{path}.filter");
    match filters {
        [one] => of_filter(&path, one),
        several => of_filter(&path, &Filter::all(several.to_vec())),
    }
}

/// The properties of a step's filters, of which the API shows comparisons by themselves.
pub fn of_step(path: &str, filters: &[Filter]) -> Vec<(String, Name)> {
    let plain = filters.iter().take_while(|filter| matches!(filter, Filter::Is(_))).count();
    let (plain, rest) = filters.split_at(plain);
    let plain = plain.iter().enumerate();
    let mut found: Vec<_> =
        plain.flat_map(|(i, one)| of_filter(&format!("{path}.conditions[{i}]"), one)).collect();
    found.extend(of_filters(path, rest));
    found
}

#[cfg(test)]
mod tests {
    use footpath_model::definition::{AsOf, Condition, Op};

    use super::*;

    fn is(property: &str) -> Filter {
        Filter::from(Condition {
            property: property.into(),
            scope: Scope::Event,
            as_of: AsOf::AtEvent,
            op: Op::IsSet,
            values: Vec::new(),
        })
    }

    fn paths(named: &[(String, Name)]) -> Vec<&str> {
        named.iter().map(|(path, _)| path.as_str()).collect()
    }

    #[test]
    fn a_property_is_named_where_the_api_shows_it() {
        let nested = Filter::any(vec![is("b"), Filter::not(is("c"))]);
        assert_eq!(paths(&of_filter("filter", &is("a"))), ["filter.property"]);
        let two = [is("a"), nested.clone()];
        let shown = [
            "events.filter.all[0].property",
            "events.filter.all[1].any[0].property",
            "events.filter.all[1].any[1].not.property",
        ];
        assert_eq!(paths(&of_filters("events", &two)), shown);
        let shown = [
            "steps[0].conditions[0].property",
            "steps[0].filter.any[0].property",
            "steps[0].filter.any[1].not.property",
        ];
        assert_eq!(paths(&of_step("steps[0]", &two)), shown);
        assert!(of_step("steps[0]", &[]).is_empty());
    }
}
