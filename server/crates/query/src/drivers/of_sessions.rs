//! Metrics of sessions, counted by the names of their first and last events.

use std::sync::Arc;

use footpath_engine::attribution::Shape;
use footpath_engine::lens::{SessionBy, SessionWhat, session_sets};
use footpath_engine::metric::{ItemValue, Sketch};
use footpath_engine::{IdentityGraph, Session};
use footpath_history::StoredRow;
use footpath_model::definition::{PropertyRef, SessionAggregate};

use super::board::{Board, COMMON, Line};
use super::clusters::Clusters;
use super::measured::What;
use super::{Counted, DriversQuery, Side};
use crate::sessions::{Counts, EventNames, Reading, SessionsQuery, each_persons_sessions};
use crate::{QueryError, Source, Span};

/// Counts a metric of sessions.
pub(super) fn count(
    source: &Source<'_>,
    query: &DriversQuery<'_>,
    aggregate: &SessionAggregate,
    dimensions: &[PropertyRef],
) -> Result<Option<Counted>, QueryError> {
    let reader = Reader::new(source, query)?;
    let sets = session_sets(aggregate);
    let Some((measured, what)) = sets.first().map(|(measured, kind)| (*measured, What::of(kind))) else {
        return Ok(None);
    };
    let mut counter = Counter {
        // A share of sessions: what is above is one of those below.
        is_share: sets.len() > 1,
        measured,
        what,
        edge: reader.edge(query, measured, what)?,
        by: dimensions.iter().map(by).collect(),
        board: Board::new(dimensions.len()),
        clusters: Clusters::default(),
    };
    let shape = if counter.is_share { Shape::Share } else { what.shape() };
    let mut events = 0;
    for (side, span) in query.spans() {
        events +=
            reader.read(span, &mut |person, session| counter.add(side, person, session, &reader.names))?;
        counter.board.end_span(side);
        counter.clusters.end_span(shape);
    }
    let dispersion = counter.clusters.dispersion(shape);
    Ok(Some(Counted { shape, slices: counter.board.into_slices(COMMON), dispersion, events }))
}

fn by(dimension: &PropertyRef) -> SessionBy {
    if dimension.property == "exit_event" { SessionBy::Exit } else { SessionBy::Entry }
}

/// Reads sessions by the time of their beginning.
struct Reader<'a> {
    source: &'a Source<'a>,
    counts: Counts,
    graph: Arc<IdentityGraph>,
    names: EventNames,
}

impl<'a> Reader<'a> {
    fn new(source: &'a Source<'a>, query: &DriversQuery<'_>) -> Result<Self, QueryError> {
        let counted = query.counted;
        let internal = counted.internal.as_ref().filter(|_| !counted.definition.include_internal);
        let graph = source.identity(None)?;
        let counts = Counts::new(source, &graph, internal)?;
        Ok(Self { source, counts, graph, names: EventNames::default() })
    }

    fn read(&self, span: Span, each: &mut dyn FnMut(u64, &Session)) -> Result<u64, QueryError> {
        let query = SessionsQuery {
            person: None,
            from_us: span.from_us,
            to_us: span.to_us.unwrap_or(i64::MAX),
            after: None,
            limit: 0,
            internal: None,
        };
        let keep = |row: &StoredRow<'_>| self.counts.holds(&self.graph, row);
        let reading =
            Reading { graph: &self.graph, names: &self.names, columns: self.counts.columns(), keep: &keep };
        each_persons_sessions(self.source, &reading, &query, &mut |person, sessions| {
            let own = sessions.iter().filter(|session| span.holds(session.start_us));
            own.for_each(|session| each(person, session));
        })
    }

    /// The baseline's quantile, where one is measured.
    fn edge(
        &self,
        query: &DriversQuery<'_>,
        measured: SessionWhat,
        what: What,
    ) -> Result<Option<f64>, QueryError> {
        let Some(edge) = what.edge() else { return Ok(None) };
        let mut sketch = Sketch::new();
        for span in query.baseline {
            self.read(*span, &mut |_, session| {
                number(measured, session).into_iter().for_each(|n| sketch.add(n))
            })?;
        }
        Ok(sketch.quantile(edge.quantile()))
    }
}

fn number(measured: SessionWhat, session: &Session) -> Option<f64> {
    measured.number(session).as_ref().and_then(ItemValue::of).map(|number| number.to_f64())
}

/// Counts sessions.
struct Counter {
    measured: SessionWhat,
    what: What,
    is_share: bool,
    edge: Option<f64>,
    by: Vec<SessionBy>,
    board: Board,
    clusters: Clusters,
}

impl Counter {
    fn add(&mut self, side: Side, person: u64, session: &Session, names: &EventNames) {
        let places = self.board.places(self.by.iter().map(|by| Some(names.name(by.name(session)))));
        if self.what == What::Person {
            return self.board.add_person(&places, Line::Above, person);
        }
        let above = match self.what {
            What::Each => f64::from(u8::from(self.measured.is_of(session))),
            What::Beyond(which) => {
                let number = number(self.measured, session).unwrap_or_default();
                f64::from(u8::from(self.edge.is_some_and(|edge| which.is_beyond(number, edge))))
            }
            _ => number(self.measured, session).unwrap_or_default(),
        };
        let mut add = |line, number| {
            self.board.add(COMMON, &places, (side, line), number);
            self.clusters.add(person, line, number);
        };
        add(Line::Above, above);
        if self.is_share || self.what.is_mean() {
            add(Line::Below, 1.0);
        }
    }
}
