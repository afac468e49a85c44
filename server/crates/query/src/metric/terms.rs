//! Metrics of events: one term, or one over another.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use footpath_engine::metric::{ItemValue, MetricKind};
use footpath_engine::{ActorKey, IdentityGraph};
use footpath_history::{Columns, Scan, StoredRow};
use footpath_model::control::CountedMetric;
use footpath_model::definition::{Aggregate, Filter, Term};
use footpath_model::filter::{Facts, FilterError, Needs, Selector, Test};
use footpath_model::props::property;

use super::heads::Counted;
use super::ruler::Ruler;
use super::sets::Sets;
use super::{Cut, Measuring, Rows, Table};
use crate::entities::{Properties, Wanted};
use crate::funnel::facts;
use crate::values::Values;
use crate::{QueryError, Source};

/// What is measured of events, and who is who.
pub(super) struct Terms<'a> {
    source: &'a Source<'a>,
    terms: Vec<Compiled<'a>>,
    breakdown: Option<Selector>,
    graph: Arc<IdentityGraph>,
    properties: Properties,
    values: Values,
}

/// A term, ready to be asked.
struct Compiled<'a> {
    term: &'a Term,
    names: HashSet<String>,
    tests: Vec<Test>,
}

impl<'a> Terms<'a> {
    pub(super) fn new(
        source: &'a Source<'a>,
        counted: &'a CountedMetric,
        terms: &[&'a Term],
    ) -> Result<Self, QueryError> {
        let definition = &counted.definition;
        let left_out = left_out(counted);
        let mut wanted = Wanted::default();
        terms.iter().flat_map(|term| &term.filters).chain(&left_out).for_each(|filter| wanted.filter(filter));
        definition.breakdown.iter().for_each(|by| wanted.property(by));
        let graph = source.identity(None)?;
        let compile = |term: &&'a Term| Compiled::new(term, left_out.as_ref());
        Ok(Self {
            source,
            terms: terms.iter().map(compile).collect::<Result<_, _>>()?,
            breakdown: definition
                .breakdown
                .as_ref()
                .map(|by| Selector::new(&by.scope, &by.property, by.as_of)),
            properties: Properties::read(source, &graph, &wanted)?,
            graph,
            values: Values::default(),
        })
    }

    fn columns(&self) -> Columns {
        let tests = self.terms.iter().flat_map(|term| &term.tests).map(Test::needs);
        let needs =
            tests.chain(self.breakdown.iter().map(Selector::needs)).fold(Needs::default(), Needs::and);
        let numbers = self.terms.iter().any(|term| term.term.aggregate.property().is_some());
        Columns { properties: needs.properties || numbers, rest: needs.context || needs.groups, ids: false }
    }

    /// The names that any of the terms wants; `None` is all of them.
    fn names(&self) -> Option<HashSet<String>> {
        let all = self.terms.iter().any(|term| term.names.is_empty());
        (!all).then(|| self.terms.iter().flat_map(|term| term.names.iter().cloned()).collect())
    }

    /// Counts out of heads what names alone decide, and says how many events there were; `None` if it has to be read row by row.
    fn count_heads(
        &self,
        kinds: &[MetricKind],
        cut: &Cut,
        sets: &mut Sets,
    ) -> Result<Option<u64>, QueryError> {
        // Two terms can want the same events, which are looked at once.
        let ([term], [kind]) = (&self.terms[..], kinds) else { return Ok(None) };
        let heads_tell = matches!(kind, MetricKind::Count | MetricKind::Uniques);
        if !heads_tell || self.breakdown.is_some() || !term.tests.is_empty() {
            return Ok(None);
        }
        let names: Option<Vec<Arc<str>>> =
            self.names().map(|names| names.into_iter().map(Arc::from).collect());
        let counted = Counted {
            pinned: self.source.pinned,
            project: self.source.project.number,
            names: names.as_deref(),
            graph: &self.graph,
            ruler: &Ruler::new(cut.span, &cut.columns),
            times_us: (cut.span.from_us, cut.end_us()),
        };
        let Some((events, found)) = counted.by_column(kind, sets.ordinals())? else { return Ok(None) };
        sets.put(0, found);
        Ok(Some(events))
    }

    fn add(&self, sets: &mut Sets, column: usize, row: &StoredRow<'_>) {
        let person = self.graph.canonical(ActorKey(row.head.actor_key)).0;
        let known = self.properties.of(person);
        let facts = Facts { entities: Some(&known), ..facts(row) };
        let mut value = None;
        for (i, term) in self.terms.iter().enumerate().filter(|(_, term)| term.holds(row.name, &facts)) {
            let text =
                || self.breakdown.as_ref().and_then(|by| self.values.series(by.text(&facts).as_deref()));
            let value = *value.get_or_insert_with(text);
            let key = term.term.aggregate.property();
            let number = key.and_then(|key| property(row.properties, key));
            sets.add(i, column, value, person, number.as_ref().and_then(ItemValue::of));
        }
    }
}

impl Measuring for Terms<'_> {
    fn table(&self, cut: &Cut, rows: Rows<'_>) -> Result<Table, QueryError> {
        let kinds: Vec<_> = self.terms.iter().map(|term| kind(&term.term.aggregate)).collect();
        let mut sets = Sets::new(kinds.clone(), cut);
        if let Some(events) = self.count_heads(&kinds, cut, &mut sets)? {
            return Ok(sets.table(cut, rows, None, events));
        }
        let names = self.names();
        let scan = Scan {
            from_us: cut.span.from_us,
            to_us: cut.end_us(),
            names: names.as_ref(),
            columns: self.columns(),
            ..self.source.all()
        };
        let stats = self.source.pinned.scan(&scan, &mut |row| {
            if let Some(column) = cut.column(row.head.time_us) {
                self.add(&mut sets, column, row);
            }
            ControlFlow::Continue(())
        })?;
        Ok(sets.table(cut, rows, self.breakdown.is_some().then_some(&self.values), stats.rows))
    }
}

impl<'a> Compiled<'a> {
    fn new(term: &'a Term, left_out: Option<&Filter>) -> Result<Self, FilterError> {
        let tests = term.filters.iter().chain(left_out).map(Test::new).collect::<Result<_, _>>()?;
        Ok(Self { term, names: term.events.iter().cloned().collect(), tests })
    }

    fn holds(&self, name: &str, facts: &Facts<'_>) -> bool {
        let named = self.names.is_empty() || self.names.contains(name);
        named && self.tests.iter().all(|test| test.holds(facts))
    }
}

/// What an event has to fulfil so that it is not internal traffic, where that is left out.
pub(super) fn left_out(counted: &CountedMetric) -> Option<Filter> {
    let internal = counted.internal.as_ref().filter(|_| !counted.definition.include_internal);
    internal.map(|internal| Filter::not(internal.clone()))
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
pub(super) fn quantiles(percentiles: &[f64]) -> MetricKind {
    MetricKind::Percentiles(percentiles.iter().map(|percentile| percentile / 100.0).collect())
}
