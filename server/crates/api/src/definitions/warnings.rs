//! What a definition names and the project's events never had: most often a misspelling.

use std::collections::HashSet;

use footpath_engine::Catalog;
use footpath_proto::v1;
use footpath_store::ProjectRow;

use super::names::Name;
use crate::context::Context;

/// Warns of the events and properties among `names` that the project's catalogue has never seen, each once, with the
/// nearest that it has. Before the first event, and where there were more than a catalogue keeps, it warns of nothing.
pub fn of(context: &Context, project: &ProjectRow, names: &[(String, Name)]) -> Vec<v1::DefinitionWarning> {
    let catalog = context.catalogs.of(project.number);
    let mut warned = HashSet::new();
    let fresh = names.iter().filter(|(path, name)| warned.insert((path, named(name))));
    // The lock is taken anew for each, since looking for the nearest of thousands takes milliseconds.
    fresh.filter_map(|(path, name)| warning(&catalog.read(), path, name)).collect()
}

fn warning(catalog: &Catalog, path: &str, name: &Name) -> Option<v1::DefinitionWarning> {
    let overflow = catalog.overflow();
    let (is_known, overflows) = match name {
        Name::Event(name) => (catalog.has_event(name), overflow.names),
        Name::Property(scope, key) => {
            (catalog.has_property(scope, key), overflow.properties || overflow.names)
        }
    };
    if is_known || overflows || catalog.is_empty() {
        return None;
    }
    let nearest = match name {
        Name::Event(name) => catalog.nearest_event(name),
        Name::Property(scope, key) => catalog.nearest_property(scope, key),
    };
    Some(v1::DefinitionWarning {
        field: path.to_owned(),
        name: named(name).to_owned(),
        nearest: nearest.unwrap_or_default().to_owned(),
    })
}

fn named(name: &Name) -> &str {
    match name {
        Name::Event(name) | Name::Property(_, name) => name,
    }
}

#[cfg(test)]
mod tests {
    use footpath_engine::catalog::Row;
    use footpath_model::definition::Scope;

    use super::*;

    fn row(kind: u8, owner: &str, key: &str, json: &str) -> Row {
        Row { kind, owner: owner.into(), key: key.into(), json: json.into() }
    }

    fn rows() -> Vec<Row> {
        let property = r#"{"types":{"int":2},"first_us":1,"last_us":2,"samples":[]}"#;
        vec![
            row(1, "checkout", "", r#"{"count":1,"first_us":1,"last_us":2}"#),
            row(2, "checkout", "amount", property),
            row(4, "", "tier", property),
        ]
    }

    fn warned(catalog: &Catalog, name: &Name) -> Option<(String, String)> {
        warning(catalog, "steps[0]", name).map(|warning| (warning.name, warning.nearest))
    }

    fn event(name: &str) -> Name {
        Name::Event(name.into())
    }

    fn property(scope: Scope, key: &str) -> Name {
        Name::Property(scope, key.into())
    }

    #[test]
    fn what_was_never_seen_is_named_with_the_nearest() {
        let catalog = Catalog::load(rows()).unwrap();
        let pair = |name: &str, nearest: &str| Some((name.to_owned(), nearest.to_owned()));
        assert_eq!(warned(&catalog, &event("checkout")), None);
        assert_eq!(warned(&catalog, &event("Chekout")), pair("Chekout", "checkout"));
        assert_eq!(warned(&catalog, &event("pay")), pair("pay", ""));
        assert_eq!(warned(&catalog, &property(Scope::Event, "amount")), None);
        assert_eq!(warned(&catalog, &property(Scope::Event, "amuont")), pair("amuont", "amount"));
        assert_eq!(warned(&catalog, &property(Scope::Person, "amount")), pair("amount", ""));
        assert_eq!(warned(&catalog, &property(Scope::Group("team".into()), "tier")), pair("tier", ""));
    }

    #[test]
    fn an_empty_or_overflowing_catalogue_warns_of_nothing() {
        let unseen = [event("pay"), property(Scope::Person, "x")];
        let warned =
            |catalog: Catalog| unseen.iter().map(|name| warned(&catalog, name).is_some()).collect::<Vec<_>>();
        assert_eq!(warned(Catalog::new()), [false, false]);
        let overflowing = |json: &str| {
            let overflow = row(0, "", "", json);
            Catalog::load(rows().into_iter().chain([overflow])).unwrap()
        };
        assert_eq!(warned(overflowing(r#"{"names":false,"properties":true}"#)), [true, false]);
        assert_eq!(warned(overflowing(r#"{"names":true,"properties":false}"#)), [false, false]);
    }
}
