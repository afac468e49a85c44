//! Whether something was seen, and what comes nearest to what was not.

use std::cmp::Reverse;

use footpath_model::definition::Scope;
use hashbrown::HashMap;
use strsim::damerau_levenshtein;

use super::Catalog;

impl Catalog {
    /// Whether events of this name were seen.
    pub fn has_event(&self, name: &str) -> bool {
        self.indices.contains_key(name.as_bytes())
    }

    /// The name of events that comes nearest to one that was never seen: the same but for upper and lower case, else by
    /// as few changed, missing, additional and swapped letters as possible, at most a third of its own; of several the
    /// most frequent.
    pub fn nearest_event(&self, name: &str) -> Option<&str> {
        nearest(name, self.names().map(|(name, seen)| (name, seen.count)))
    }

    /// Whether a property was seen: an event's with events of any name.
    pub fn has_property(&self, scope: &Scope, key: &str) -> bool {
        match scope {
            Scope::Event => self.events.iter().any(|event| event.properties.has(key)),
            Scope::Context => self.context.has(key),
            Scope::Person => self.person.has(key),
            Scope::Group(kind) => self.groups.get(kind.as_bytes()).is_some_and(|group| group.has(key)),
        }
    }

    /// The key of the same scope that comes nearest to one that was never seen, by the rule of
    /// [`Catalog::nearest_event`].
    pub fn nearest_property(&self, scope: &Scope, key: &str) -> Option<&str> {
        let properties = match scope {
            Scope::Event => return nearest(key, self.of_all_events().into_iter()),
            Scope::Context => &self.context,
            Scope::Person => &self.person,
            Scope::Group(kind) => self.groups.get(kind.as_bytes())?,
        };
        nearest(key, properties.counts())
    }

    /// Every key of any events' properties, with how often it was seen.
    fn of_all_events(&self) -> HashMap<&str, u64> {
        let mut known = HashMap::new();
        let of_events = self.events.iter().flat_map(|event| event.properties.counts());
        of_events.for_each(|(key, count)| *known.entry(key).or_default() += count);
        known
    }
}

/// The nearest of names, each with how often it was seen.
fn nearest<'a>(wanted: &str, known: impl Iterator<Item = (&'a str, u64)>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let letters = wanted.chars().count();
    let most = letters / 3;
    let distance = |name: &str| {
        let name = name.to_lowercase();
        // The cheap bound first: there may be thousands of names.
        let apart = name.chars().count().abs_diff(letters);
        (apart <= most).then(|| damerau_levenshtein(&wanted, &name)).filter(|distance| *distance <= most)
    };
    let near = known.filter_map(|(name, count)| Some((distance(name)?, Reverse(count), name)));
    near.min().map(|(_, _, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [(&str, u64); 6] = [
        ("checkout_started", 5),
        ("Checkout_Started", 3),
        ("checkout_starter", 9),
        ("page_view", 1_000),
        ("page_views", 7),
        ("ab", 1),
    ];

    #[test]
    fn the_nearest_name() {
        for (wanted, expected) in [
            ("CHECKOUT_STARTED", Some("checkout_started")),
            ("chekcout_started", Some("checkout_started")),
            ("checkout_startex", Some("checkout_starter")),
            ("pageview", Some("page_view")),
            ("page_vie", Some("page_view")),
            ("page_vieww", Some("page_view")),
            ("pagview", Some("page_view")),
            ("pgviw", None),
            ("AB", Some("ab")),
            ("ac", None),
            ("", None),
            ("something else", None),
        ] {
            assert_eq!(nearest(wanted, KNOWN.into_iter()), expected, "{wanted}");
        }
    }

    #[test]
    fn a_third_of_the_letters_counts_letters_not_bytes() {
        assert_eq!(nearest("äöü", [("äöx", 1)].into_iter()), Some("äöx"));
        assert_eq!(nearest("äöü", [("äxx", 1)].into_iter()), None);
    }
}
