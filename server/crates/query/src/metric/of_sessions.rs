//! Metrics of sessions, by the time of their beginning.

use std::sync::Arc;

use footpath_engine::lens::{SessionBy, SessionWhat, Values, session_sets};
use footpath_engine::metric::{ItemValue, MetricKind};
use footpath_engine::{IdentityGraph, Session};
use footpath_history::StoredRow;
use footpath_model::control::CountedMetric;
use footpath_model::definition::SessionAggregate;

use super::sets::Sets;
use super::{Cut, Measuring, Rows, Table};
use crate::sessions::{Counts, EventNames, Reading, SessionsQuery, each_persons_sessions};
use crate::{QueryError, Source};

/// What is measured of sessions.
pub(super) struct OfSessions<'a> {
    source: &'a Source<'a>,
    sets: Vec<(SessionWhat, MetricKind)>,
    by: Option<SessionBy>,
    counts: Counts,
    graph: Arc<IdentityGraph>,
    values: Values,
}

impl<'a> OfSessions<'a> {
    pub(super) fn new(
        source: &'a Source<'a>,
        counted: &'a CountedMetric,
        aggregate: &SessionAggregate,
    ) -> Result<Self, QueryError> {
        let internal = counted.internal.as_ref().filter(|_| !counted.definition.include_internal);
        let graph = source.identity(None)?;
        Ok(Self {
            source,
            sets: session_sets(aggregate),
            by: SessionBy::of(&counted.definition),
            counts: Counts::new(source, &graph, internal)?,
            graph,
            values: Values::default(),
        })
    }

    fn add(&self, sets: &mut Sets, column: usize, person: u64, session: &Session, names: &EventNames) {
        let name = self.by.map(|by| names.name(by.name(session)));
        let value = self.values.series(name.as_deref());
        for (set, (what, _)) in self.sets.iter().enumerate().filter(|(_, (what, _))| what.is_of(session)) {
            let number = what.number(session);
            sets.add(set, column, value, person, number.as_ref().and_then(ItemValue::of));
        }
    }
}

impl Measuring for OfSessions<'_> {
    fn table(&self, cut: &Cut, rows: Rows<'_>) -> Result<Table, QueryError> {
        let kinds = self.sets.iter().map(|(_, kind)| kind.clone()).collect();
        let (names, mut sets) = (EventNames::default(), Sets::new(kinds, cut));
        let query = SessionsQuery {
            person: None,
            from_us: cut.span.from_us,
            to_us: cut.end_us(),
            after: None,
            limit: 0,
            internal: None,
        };
        let keep = |row: &StoredRow<'_>| self.counts.holds(&self.graph, row);
        let reading =
            Reading { graph: &self.graph, names: &names, columns: self.counts.columns(), keep: &keep };
        let events = each_persons_sessions(self.source, &reading, &query, &mut |person, sessions| {
            for session in &sessions {
                if let Some(column) = cut.column(session.start_us) {
                    self.add(&mut sets, column, person, session, &names);
                }
            }
        })?;
        Ok(sets.table(cut, rows, self.by.is_some().then_some(&self.values), events))
    }
}
