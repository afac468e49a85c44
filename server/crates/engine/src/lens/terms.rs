//! How a metric sees an event: for which of its terms it counts, under which value, and with which number. The same for the
//! log as it grows and for stored events.

use footpath_model::control::CountedMetric;
use footpath_model::definition::{Aggregate, Filter, Term};
use footpath_model::filter::{Facts, FilterError, Needs, Selector, Test};
use footpath_model::props::property;
use hashbrown::HashMap;

use super::Values;
use crate::metric::{ItemValue, MetricKind};

/// Takes a term's number, the breakdown's value, and the number that is aggregated.
type EachTerm<'e> = dyn FnMut(usize, Option<u32>, Option<ItemValue<'_>>) + 'e;

/// The terms of a metric: one, or above and below the line.
#[derive(Debug)]
pub struct Terms {
    terms: Vec<Compiled>,
    /// Names that any term names, by number.
    names: HashMap<String, usize>,
    /// Whether a term takes all names.
    takes_all: bool,
    by: Option<Selector>,
    values: Values,
}

#[derive(Debug)]
struct Compiled {
    kind: MetricKind,
    property: Option<String>,
    tests: Vec<Test>,
    /// By name's number whether it counts, the last one for names that no term names; `None` is all.
    named: Option<Vec<bool>>,
}

impl Terms {
    /// The terms of a metric of events; none of another.
    ///
    /// # Errors
    /// If a condition cannot be compiled.
    pub fn new(counted: &CountedMetric, values: Values) -> Result<Self, FilterError> {
        let terms = counted.definition.measure.terms();
        let left_out = counted.left_out();
        let names = names(&terms);
        let compile = |term: &&Term| Compiled::new(term, left_out.as_ref(), &names);
        Ok(Self {
            terms: terms.iter().map(compile).collect::<Result<_, _>>()?,
            takes_all: terms.iter().any(|term| term.events.is_empty()),
            names,
            by: counted
                .definition
                .breakdown
                .as_ref()
                .map(|by| Selector::new(&by.scope, &by.property, by.as_of)),
            values,
        })
    }

    /// What each term aggregates.
    pub fn kinds(&self) -> Vec<MetricKind> {
        self.terms.iter().map(|term| term.kind.clone()).collect()
    }

    /// The names of the events that matter, in the order of their numbers; `None` if all do.
    pub fn names(&self) -> Option<Vec<String>> {
        let mut names: Vec<_> = self.names.iter().map(|(name, number)| (*number, name.clone())).collect();
        names.sort();
        (!self.takes_all).then(|| names.into_iter().map(|(_, name)| name).collect())
    }

    /// What they read of an event.
    pub fn needs(&self) -> Needs {
        let tests = self.terms.iter().flat_map(|term| &term.tests).map(Test::needs);
        let needs = tests.chain(self.by.iter().map(Selector::needs)).fold(Needs::default(), Needs::and);
        let numbers = self.terms.iter().any(|term| term.property.is_some());
        Needs { properties: needs.properties || numbers, ..needs }
    }

    /// Whether every event of their names counts, and nothing parts them.
    pub fn are_names_alone(&self) -> bool {
        self.by.is_none() && self.terms.iter().all(|term| term.tests.is_empty())
    }

    /// Whether there is a breakdown.
    pub fn is_broken_down(&self) -> bool {
        self.by.is_some()
    }

    /// The values of the breakdown.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// Shows every term that the event counts for: its number, the breakdown's value, and the number that is aggregated. `number` is
    /// its name's in [`Terms::names`], where that is known.
    #[inline]
    pub fn each(&self, number: Option<usize>, name: &str, facts: &Facts<'_>, each: &mut EachTerm<'_>) {
        let by_text = || self.names.get(name).copied().unwrap_or(self.names.len());
        let name = number.filter(|_| !self.takes_all).unwrap_or_else(by_text);
        let mut value = None;
        for (i, term) in self.terms.iter().enumerate().filter(|(_, term)| term.holds(name, facts)) {
            let value = *value.get_or_insert_with(|| self.value(facts));
            let number = term.property.as_ref().and_then(|key| property(facts.properties, key));
            each(i, value, number.as_ref().and_then(ItemValue::of));
        }
    }

    fn value(&self, facts: &Facts<'_>) -> Option<u32> {
        self.values.series(self.by.as_ref()?.text(facts).as_deref())
    }
}

impl Compiled {
    fn new(
        term: &Term,
        left_out: Option<&Filter>,
        names: &HashMap<String, usize>,
    ) -> Result<Self, FilterError> {
        let named = (!term.events.is_empty()).then(|| {
            let mut named = vec![false; names.len() + 1];
            term.events.iter().filter_map(|name| names.get(name)).for_each(|number| named[*number] = true);
            named
        });
        Ok(Self {
            kind: kind(&term.aggregate),
            property: term.aggregate.property().map(str::to_owned),
            tests: term.filters.iter().chain(left_out).map(Test::new).collect::<Result<_, _>>()?,
            named,
        })
    }

    #[inline]
    fn holds(&self, name: usize, facts: &Facts<'_>) -> bool {
        let named = self.named.as_ref().is_none_or(|named| named[name]);
        named && self.tests.iter().all(|test| test.holds(facts))
    }
}

/// The names of all terms, numbered.
fn names(terms: &[&Term]) -> HashMap<String, usize> {
    let mut names: Vec<&String> = terms.iter().flat_map(|term| &term.events).collect();
    names.sort();
    names.dedup();
    names.into_iter().enumerate().map(|(number, name)| (name.clone(), number)).collect()
}

fn kind(aggregate: &Aggregate) -> MetricKind {
    match aggregate {
        Aggregate::Count => MetricKind::Count,
        Aggregate::Uniques => MetricKind::Uniques,
        Aggregate::Sum(_) => MetricKind::Sum,
        Aggregate::Average(_) => MetricKind::Average,
        Aggregate::Min(_) => MetricKind::Min,
        Aggregate::Max(_) => MetricKind::Max,
        Aggregate::Percentiles { percentiles, .. } => quantiles(percentiles),
    }
}

/// Percentiles, which the kernel counts from 0 to 1.
pub fn quantiles(percentiles: &[f64]) -> MetricKind {
    MetricKind::Percentiles(percentiles.iter().map(|percentile| percentile / 100.0).collect())
}
