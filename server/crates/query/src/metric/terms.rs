//! Metrics of events: one term, or one over another.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use footpath_engine::lens;
use footpath_engine::lens::{PropertyRead, Values};
use footpath_engine::metric::MetricKind;
use footpath_engine::{ActorKey, IdentityGraph};
use footpath_history::{Scan, StoredRow};
use footpath_model::control::CountedMetric;
use footpath_model::filter::Facts;

use super::heads::Counted;
use super::ruler::Ruler;
use super::sets::Sets;
use super::{Cut, Measuring, Rows, Table};
use crate::entities::Properties;
use crate::funnel::facts;
use crate::{QueryError, Source};

/// What is measured of events, and who is who.
pub(super) struct Terms<'a> {
    source: &'a Source<'a>,
    terms: lens::Terms,
    graph: Arc<IdentityGraph>,
    properties: Properties,
}

impl<'a> Terms<'a> {
    pub(super) fn new(source: &'a Source<'a>, counted: &'a CountedMetric) -> Result<Self, QueryError> {
        let graph = source.identity(None)?;
        Ok(Self {
            source,
            terms: lens::Terms::new(counted, Values::default())?,
            properties: Properties::read(source, &graph, &PropertyRead::of_metric(counted))?,
            graph,
        })
    }

    /// Counts out of heads what names alone decide, and says how many events there were; `None` if it has to be read row by row.
    fn count_heads(
        &self,
        kinds: &[MetricKind],
        cut: &Cut,
        sets: &mut Sets,
    ) -> Result<Option<u64>, QueryError> {
        // Two terms can want the same events, which are looked at once.
        let [kind] = kinds else { return Ok(None) };
        let heads_tell = matches!(kind, MetricKind::Count | MetricKind::Uniques);
        if !heads_tell || !self.terms.are_names_alone() {
            return Ok(None);
        }
        let names: Option<Vec<Arc<str>>> =
            self.terms.names().map(|names| names.into_iter().map(Arc::from).collect());
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
        self.terms.each(None, row.name, &facts, &mut |term, value, number| {
            sets.add(term, column, value, person, number);
        });
    }
}

impl Measuring for Terms<'_> {
    fn table(&self, cut: &Cut, rows: Rows<'_>) -> Result<Table, QueryError> {
        let kinds = self.terms.kinds();
        let mut sets = Sets::new(kinds.clone(), cut);
        if let Some(events) = self.count_heads(&kinds, cut, &mut sets)? {
            return Ok(sets.table(cut, rows, None, events));
        }
        let names: Option<HashSet<String>> = self.terms.names().map(|names| names.into_iter().collect());
        let scan = Scan {
            from_us: cut.span.from_us,
            to_us: cut.end_us(),
            names: names.as_ref(),
            columns: self.terms.needs().into(),
            ..self.source.all()
        };
        let stats = self.source.pinned.scan(&scan, &mut |row| {
            if let Some(column) = cut.column(row.head.time_us) {
                self.add(&mut sets, column, row);
            }
            ControlFlow::Continue(())
        })?;
        let values = self.terms.is_broken_down().then(|| self.terms.values());
        Ok(sets.table(cut, rows, values, stats.rows))
    }
}
