//! Metrics of sessions, by the time of their beginning.

use std::sync::Arc;

use footpath_engine::lens::{Values, quantiles};
use footpath_engine::metric::{ItemValue, MetricKind};
use footpath_engine::{IdentityGraph, Session};
use footpath_history::StoredRow;
use footpath_model::control::CountedMetric;
use footpath_model::definition::SessionAggregate;
use footpath_model::props::Value;

use super::sets::Sets;
use super::{Cut, Measuring, Rows, Table};
use crate::sessions::{Counts, EventNames, Reading, SessionsQuery, each_persons_sessions};
use crate::{QueryError, Source};

/// What a session of a breakdown is called by.
#[derive(Debug, Clone, Copy)]
enum By {
    Entry,
    Exit,
}

/// What is measured of sessions.
pub(super) struct OfSessions<'a> {
    source: &'a Source<'a>,
    aggregate: &'a SessionAggregate,
    by: Option<By>,
    counts: Counts,
    graph: Arc<IdentityGraph>,
    values: Values,
}

impl<'a> OfSessions<'a> {
    pub(super) fn new(
        source: &'a Source<'a>,
        counted: &'a CountedMetric,
        aggregate: &'a SessionAggregate,
    ) -> Result<Self, QueryError> {
        let internal = counted.internal.as_ref().filter(|_| !counted.definition.include_internal);
        let graph = source.identity(None)?;
        let breakdown = counted.definition.breakdown.as_ref();
        Ok(Self {
            source,
            aggregate,
            by: breakdown.map(|by| if by.property == "exit_event" { By::Exit } else { By::Entry }),
            counts: Counts::new(source, &graph, internal)?,
            graph,
            values: Values::default(),
        })
    }

    fn kinds(&self) -> Vec<MetricKind> {
        match self.aggregate {
            SessionAggregate::Count => vec![MetricKind::Count],
            SessionAggregate::Uniques => vec![MetricKind::Uniques],
            SessionAggregate::BounceRate => vec![MetricKind::Count; 2],
            SessionAggregate::AverageDuration | SessionAggregate::AverageEvents => vec![MetricKind::Average],
            SessionAggregate::DurationPercentiles(percentiles) => vec![quantiles(percentiles)],
        }
    }

    fn add(&self, sets: &mut Sets, column: usize, person: u64, session: &Session, names: &EventNames) {
        let name = self.by.map(|by| match by {
            By::Entry => names.name(session.entry),
            By::Exit => names.name(session.exit),
        });
        let value = self.values.series(name.as_deref());
        let number = match self.aggregate {
            SessionAggregate::AverageEvents => Some(Value::Int(session.events.cast_signed())),
            SessionAggregate::AverageDuration | SessionAggregate::DurationPercentiles(_) => {
                Some(Value::Double(session.duration_us() as f64 / 1e6))
            }
            _ => None,
        };
        let number = number.as_ref().and_then(ItemValue::of);
        let is_rate = *self.aggregate == SessionAggregate::BounceRate;
        if session.is_bounce() || !is_rate {
            sets.add(0, column, value, person, number);
        }
        if is_rate {
            sets.add(1, column, value, person, None);
        }
    }
}

impl Measuring for OfSessions<'_> {
    fn table(&self, cut: &Cut, rows: Rows<'_>) -> Result<Table, QueryError> {
        let (names, mut sets) = (EventNames::default(), Sets::new(self.kinds(), cut));
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
