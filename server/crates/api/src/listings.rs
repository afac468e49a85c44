//! Persons of funnels that were read ahead. Every page costs a fold of the whole funnel; so whoever turns one gets the next ones from
//! the same fold, all of one moment.

use std::collections::VecDeque;
use std::sync::Arc;

use footpath_query::FunnelPersons;
use parking_lot::Mutex;

use crate::cursor::Scope;

/// Persons that are read at a time by whoever turns a page; some megabytes.
pub const AHEAD: usize = 20_000;
/// Lists that are kept, and for how long, microseconds.
const LISTS: usize = 8;
const KEPT_US: i64 = 60_000_000;

struct Listing {
    scope: Scope,
    read_us: i64,
    persons: Arc<FunnelPersons>,
}

/// Lists of persons, each read a moment ago.
#[derive(Default)]
pub struct Listings(Mutex<VecDeque<Listing>>);

impl Listings {
    /// A list that has persons behind this one, and where they begin in it.
    pub fn behind(&self, scope: &Scope, person: u64, now_us: i64) -> Option<(Arc<FunnelPersons>, usize)> {
        let mut kept = self.0.lock();
        kept.retain(|one| (one.read_us..one.read_us.saturating_add(KEPT_US)).contains(&now_us));
        kept.iter().filter(|one| one.scope == *scope).find_map(|one| {
            let persons = &one.persons.persons;
            let at = persons.binary_search_by_key(&person, |one| one.key).ok()? + 1;
            (at < persons.len()).then(|| (Arc::clone(&one.persons), at))
        })
    }

    /// Keeps a list instead of the oldest.
    pub fn keep(&self, scope: &Scope, persons: &Arc<FunnelPersons>, now_us: i64) {
        let mut kept = self.0.lock();
        kept.truncate(LISTS - 1);
        kept.push_front(Listing { scope: *scope, read_us: now_us, persons: Arc::clone(persons) });
    }
}

#[cfg(test)]
mod tests {
    use footpath_query::FunnelPerson;

    use super::*;
    use crate::cursor::Kind;

    #[test]
    fn a_list_is_found_by_its_scope_for_a_minute() {
        let scope = |of: &str| Scope::new(Kind::FunnelPersons, 1, &[of]);
        let person = |key| FunnelPerson { key, id: key.to_string(), steps: Vec::new(), value: None };
        let list =
            FunnelPersons { persons: vec![person(3), person(5), person(9)], ..FunnelPersons::default() };
        let (listings, list) = (Listings::default(), Arc::new(list));
        listings.keep(&scope("a"), &list, 7);
        let at = |of: &str, person, now_us| listings.behind(&scope(of), person, now_us).map(|(_, at)| at);
        assert_eq!(
            (at("a", 3, 7), at("a", 5, 8), at("a", 9, 8), at("a", 4, 8)),
            (Some(1), Some(2), None, None)
        );
        assert_eq!((at("b", 3, 8), at("a", 3, 7 + KEPT_US)), (None, None), "of another question; too old");
        (0..LISTS).for_each(|i| listings.keep(&scope(&i.to_string()), &list, 7));
        assert_eq!((at("a", 3, 8), at("0", 3, 8)), (None, Some(1)), "the oldest goes first");
    }
}
