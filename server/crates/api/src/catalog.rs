//! CatalogService: names of events and properties as they were seen, and the catalogues themselves.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use footpath_engine::catalog::{Catalog, Owner, PropertySeen, Seen};
use footpath_proto::v1;
use parking_lot::RwLock;
use tonic::{Request, Response, Status};

use crate::access::Role;
use crate::context::Context;
use crate::convert::timestamp;
use crate::cursor::{Kind, Scope};

/// The catalogues of all projects, by the projects' numbers: written by the projector, read by calls.
#[derive(Debug, Default)]
pub struct Catalogs {
    projects: RwLock<HashMap<u32, Arc<RwLock<Catalog>>>>,
    stored: AtomicU64,
}

impl Catalogs {
    /// A project's catalogue. Whoever reads it copies what it needs and lets go: the projector waits meanwhile.
    pub fn of(&self, project: u32) -> Arc<RwLock<Catalog>> {
        if let Some(known) = self.projects.read().get(&project) {
            return Arc::clone(known);
        }
        Arc::clone(self.projects.write().entry(project).or_default())
    }

    /// For the projector: puts in what was stored of a project.
    pub fn put(&self, project: u32, catalog: Catalog) {
        self.projects.write().insert(project, Arc::new(RwLock::new(catalog)));
    }

    /// For the projector: all of them.
    pub fn all(&self) -> Vec<(u32, Arc<RwLock<Catalog>>)> {
        let projects = self.projects.read();
        projects.iter().map(|(project, catalog)| (*project, Arc::clone(catalog))).collect()
    }

    /// For the projector: the store holds what the log says below this position.
    pub fn stored_below(&self, position: u64) {
        self.stored.store(position, Ordering::Release);
    }

    /// Where the log must be kept from.
    pub fn stored_position(&self) -> u64 {
        self.stored.load(Ordering::Acquire)
    }
}

/// The service.
#[derive(Clone)]
pub struct CatalogApi {
    context: Arc<Context>,
}

impl CatalogApi {
    /// Serves from `context`.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}

#[tonic::async_trait]
impl v1::catalog_service_server::CatalogService for CatalogApi {
    async fn list_event_names(
        &self,
        request: Request<v1::ListEventNamesRequest>,
    ) -> Result<Response<v1::ListEventNamesResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let asked = request.into_inner();
        let size = crate::page_size(asked.page_size);
        let contains = asked.contains.to_lowercase();
        let scope = Scope::new(Kind::EventNames, project.number, &[&contains]);
        let after = self.context.cursors.open_page(&scope, &asked.page_token)?;
        let catalog = self.context.catalogs.of(project.number);
        let (names, overflow) = {
            let catalog = catalog.read();
            (matching_names(&catalog, &contains), catalog.overflow().names)
        };
        let mut names = page_of_names(names, &after, size + 1);
        let next_page_token = self.context.cursors.cut_page(&scope, &mut names, size, |name| &name.place);
        let names = names.into_iter().map(NameOfPage::message).collect();
        Ok(Response::new(v1::ListEventNamesResponse { names, next_page_token, overflow }))
    }

    async fn list_properties(
        &self,
        request: Request<v1::ListPropertiesRequest>,
    ) -> Result<Response<v1::ListPropertiesResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let with_samples = self.context.caller(&request).at_least(Role::Analyst).is_ok();
        let asked = request.into_inner();
        let size = crate::page_size(asked.page_size);
        let wanted = Wanted::new(&asked);
        let scope = Scope::new(Kind::Properties, project.number, &wanted.subject());
        let after = self.context.cursors.open_page(&scope, &asked.page_token)?;
        let catalog = self.context.catalogs.of(project.number);
        let (mut properties, overflow) = {
            let catalog = catalog.read();
            (
                page_of_properties(&catalog, &wanted, &after, size + 1, with_samples),
                catalog.overflow().properties,
            )
        };
        let next_page_token =
            self.context.cursors.cut_page(&scope, &mut properties, size, |(place, _)| place);
        let properties = properties.into_iter().map(|(_, message)| message).collect();
        Ok(Response::new(v1::ListPropertiesResponse { properties, next_page_token, overflow }))
    }
}

/// A name, and its place in the order of the list.
#[derive(Debug)]
struct NameOfPage {
    place: String,
    name: String,
    seen: Seen,
}

impl NameOfPage {
    fn message(self) -> v1::EventNameEntry {
        let Seen { count, first_us, last_us } = self.seen;
        let (first_seen, last_seen) = (Some(timestamp(first_us)), Some(timestamp(last_us)));
        v1::EventNameEntry { name: self.name, count, first_seen, last_seen }
    }
}

/// Texts in this order are names in theirs: the most frequent first, then by the letters.
fn place_of_name(name: &str, count: u64) -> String {
    format!("{:020}{name}", u64::MAX - count)
}

fn matching_names(catalog: &Catalog, contains: &str) -> Vec<(String, Seen)> {
    let matching = catalog.names().filter(|(name, _)| contains_lower(name, contains));
    matching.map(|(name, seen)| (name.to_owned(), seen)).collect()
}

/// `limit` names behind the place `after`. Counts grow between two pages: a name that has become more frequent than the
/// page before ended with is in neither.
fn page_of_names(names: Vec<(String, Seen)>, after: &str, limit: usize) -> Vec<NameOfPage> {
    let placed = names.into_iter().map(|(name, seen)| {
        let place = place_of_name(&name, seen.count);
        NameOfPage { place, name, seen }
    });
    let mut names: Vec<_> = placed.filter(|name| name.place.as_str() > after).collect();
    names.sort_by(|a, b| a.place.cmp(&b.place));
    names.truncate(limit);
    names
}

/// Which properties are asked for.
#[derive(Debug)]
struct Wanted<'a> {
    scope: v1::PropertyScope,
    group_type: &'a str,
    event: &'a str,
    /// In lower case.
    contains: String,
}

impl<'a> Wanted<'a> {
    fn new(asked: &'a v1::ListPropertiesRequest) -> Self {
        let scope = match asked.scope() {
            v1::PropertyScope::Unspecified => v1::PropertyScope::Event,
            scope => scope,
        };
        let contains = asked.contains.to_lowercase();
        Self { scope, group_type: &asked.group_type, event: &asked.event, contains }
    }

    /// What a page token is good for.
    fn subject(&self) -> [&str; 4] {
        [self.scope.as_str_name(), self.group_type, self.event, &self.contains]
    }

    /// The properties of the owners that are asked for.
    fn of<'c>(&self, catalog: &'c Catalog) -> Box<dyn Iterator<Item = PropertySeen<'c>> + 'c>
    where
        'a: 'c,
    {
        let one =
            |owner| Box::new(catalog.properties_of(owner)) as Box<dyn Iterator<Item = PropertySeen<'c>> + 'c>;
        match self.scope {
            v1::PropertyScope::Context => one(Owner::Context),
            v1::PropertyScope::Person => one(Owner::Person),
            v1::PropertyScope::Group if self.group_type.is_empty() => {
                Box::new(catalog.properties().filter(|property| matches!(property.owner, Owner::Group(_))))
            }
            v1::PropertyScope::Group => one(Owner::Group(self.group_type)),
            _ if self.event.is_empty() => {
                Box::new(catalog.properties().filter(|property| matches!(property.owner, Owner::Event(_))))
            }
            _ => one(Owner::Event(self.event)),
        }
    }
}

/// Up to `limit` properties behind the place `after`, with their places: by key, then by whose they are.
fn page_of_properties(
    catalog: &Catalog,
    wanted: &Wanted<'_>,
    after: &str,
    limit: usize,
    with_samples: bool,
) -> Vec<(String, v1::PropertyEntry)> {
    let matching = wanted.of(catalog).filter(|property| contains_lower(property.key, &wanted.contains));
    let placed = matching.map(|property| (place_of_property(&property), property));
    let mut properties: Vec<_> = placed.filter(|(place, _)| place.as_str() > after).collect();
    properties.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    properties.truncate(limit);
    properties
        .into_iter()
        .map(|(place, property)| (place, property_message(&property, with_samples)))
        .collect()
}

/// Texts in this order are properties in theirs. A key has no control characters that matter: where one has, two places may
/// stand the other way round, but never be the same.
fn place_of_property(property: &PropertySeen<'_>) -> String {
    let (group_type, event) = owner_names(property.owner);
    format!("{}\u{1}{group_type}\u{1}{event}", property.key)
}

fn owner_names(owner: Owner<'_>) -> (&str, &str) {
    match owner {
        Owner::Event(name) => ("", name),
        Owner::Group(kind) => (kind, ""),
        Owner::Context | Owner::Person => ("", ""),
    }
}

fn property_message(property: &PropertySeen<'_>, with_samples: bool) -> v1::PropertyEntry {
    let scope = match property.owner {
        Owner::Event(_) => v1::PropertyScope::Event,
        Owner::Context => v1::PropertyScope::Context,
        Owner::Person => v1::PropertyScope::Person,
        Owner::Group(_) => v1::PropertyScope::Group,
    };
    let (group_type, event) = owner_names(property.owner);
    let mut types = property.types.clone();
    types.sort_by_key(|(kind, count)| (Reverse(*count), *kind));
    let types = types
        .into_iter()
        .map(|(kind, count)| v1::PropertyTypeCount { r#type: kind.name().to_owned(), count });
    v1::PropertyEntry {
        key: property.key.to_owned(),
        scope: scope.into(),
        group_type: group_type.to_owned(),
        event: event.to_owned(),
        types: types.collect(),
        first_seen: Some(timestamp(property.first_us)),
        last_seen: Some(timestamp(property.last_us)),
        samples: if with_samples { property.samples.to_vec() } else { Vec::new() },
    }
}

/// Whether a text holds one that is in lower case, whatever its own case is.
fn contains_lower(text: &str, contains: &str) -> bool {
    contains.is_empty() || text.to_lowercase().contains(contains)
}

#[cfg(test)]
mod tests {
    use footpath_engine::catalog::Row;

    use super::*;

    fn row(kind: u8, owner: &str, key: &str, json: &str) -> Row {
        Row { kind, owner: owner.into(), key: key.into(), json: json.into() }
    }

    fn name(name: &str, count: u64) -> Row {
        row(1, name, "", &format!(r#"{{"count":{count},"first_us":1000000,"last_us":2000000}}"#))
    }

    fn property(kind: u8, owner: &str, key: &str) -> Row {
        let json = r#"{"types":{"int":2,"string":7},"first_us":1,"last_us":2,"samples":["pro"]}"#;
        row(kind, owner, key, json)
    }

    fn catalog() -> Catalog {
        let rows = [
            name("page_view", 1_000),
            name("Pay", 20),
            name("pay_failed", 20),
            name("login", 3),
            property(2, "Pay", "plan"),
            property(2, "login", "plan"),
            property(2, "login", "method"),
            property(3, "", "os"),
            property(4, "", "tier"),
            property(5, "company", "size"),
            property(5, "team", "size"),
        ];
        Catalog::load(rows).unwrap()
    }

    #[test]
    fn names_by_frequency_page_by_page() {
        let catalog = catalog();
        let page = |contains: &str, after: &str, limit| {
            page_of_names(matching_names(&catalog, contains), after, limit)
        };
        let names = |page: &[NameOfPage]| page.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&page("", "", 9)), ["page_view", "Pay", "pay_failed", "login"]);
        let first = page("", "", 2);
        assert_eq!(names(&first), ["page_view", "Pay"]);
        assert_eq!(names(&page("", &first[1].place, 9)), ["pay_failed", "login"]);
        assert_eq!(names(&page("pay", "", 9)), ["Pay", "pay_failed"]);
    }

    fn keys(asked: &v1::ListPropertiesRequest, after: &str, limit: usize) -> Vec<(String, String)> {
        let page = page_of_properties(&catalog(), &Wanted::new(asked), after, limit, true);
        page.into_iter().map(|(_, one)| (one.key, one.event + &one.group_type)).collect()
    }

    #[test]
    fn properties_of_whom_they_were_asked_for() {
        let asked = |scope: v1::PropertyScope, group_type: &str, event: &str| v1::ListPropertiesRequest {
            scope: scope.into(),
            group_type: group_type.into(),
            event: event.into(),
            ..Default::default()
        };
        use v1::PropertyScope as S;
        let of = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, owner)| ((*key).to_owned(), (*owner).to_owned())).collect::<Vec<_>>()
        };
        let all = of(&[("method", "login"), ("plan", "Pay"), ("plan", "login")]);
        assert_eq!(keys(&asked(S::Unspecified, "", ""), "", 9), all);
        assert_eq!(keys(&asked(S::Event, "", "Pay"), "", 9), of(&[("plan", "Pay")]));
        assert_eq!(keys(&asked(S::Event, "", "pay"), "", 9), []);
        assert_eq!(keys(&asked(S::Context, "", ""), "", 9), of(&[("os", "")]));
        assert_eq!(keys(&asked(S::Person, "", ""), "", 9), of(&[("tier", "")]));
        assert_eq!(keys(&asked(S::Group, "", ""), "", 9), of(&[("size", "company"), ("size", "team")]));
        assert_eq!(keys(&asked(S::Group, "team", ""), "", 9), of(&[("size", "team")]));
        let some = v1::ListPropertiesRequest { contains: "PLA".into(), ..Default::default() };
        assert_eq!(keys(&some, "", 9), all[1..]);
        let first = page_of_properties(&catalog(), &Wanted::new(&some), "", 1, true);
        assert_eq!(keys(&some, &first[0].0, 9), all[2..]);
    }

    #[test]
    fn samples_are_for_those_who_may_read_events() {
        let catalog = catalog();
        let of = |with_samples| {
            let seen = catalog.properties_of(Owner::Person).next().unwrap();
            property_message(&seen, with_samples)
        };
        assert_eq!((of(true).samples, of(false).samples), (vec!["pro".to_owned()], vec![]));
        let types: Vec<_> = of(false).types.into_iter().map(|one| (one.r#type, one.count)).collect();
        assert_eq!(types, [("string".to_owned(), 7), ("int".to_owned(), 2)]);
    }
}
