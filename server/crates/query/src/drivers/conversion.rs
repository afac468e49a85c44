//! A funnel's conversion, counted by the values of the event that entered it.
//!
//! One pass for all dimensions: an event carries one number through the kernel, as for a breakdown by first touch, and here it stands for
//! the event's values in all of them together.

use std::cell::RefCell;
use std::collections::HashMap;

use footpath_engine::attribution::Shape;
use footpath_engine::lens::PropertyRead;
use footpath_engine::{ActorKey, Attempt, FunnelEvent};
use footpath_history::{Columns, Scan, StoredRow};
use footpath_model::control::CountedFunnel;
use footpath_model::definition::{Counting, PropertyRef};
use footpath_model::filter::Facts;

use super::board::{Board, COMMON, Line};
use super::clusters::Clusters;
use super::dimensions::Selectors;
use super::{Counted, DriversQuery, Side};
use crate::entities::Properties;
use crate::funnel::{Folds, Prepared, facts, times};
use crate::sessions::InSessions;
use crate::units::Units;
use crate::{QueryError, Source, Span};

/// Different sets of values that are kept apart, some 100 bytes each; what comes later counts under "other" in each dimension.
const MOST_SETS: usize = 200_000;

/// Counts a funnel's entries, and those that reached a step (from 1; 0 is the last).
pub(super) fn count(
    source: &Source<'_>,
    query: &DriversQuery<'_>,
    (funnel, step): (&CountedFunnel, u32),
    dimensions: &[PropertyRef],
) -> Result<Counted, QueryError> {
    let mut funnel = funnel.clone();
    funnel.definition.breakdown = None;
    let reader = Reader::new(source, &funnel, step, dimensions)?;
    let (mut board, mut sets) = (Board::new(dimensions.len()), Sets::default());
    let (mut clusters, mut events) = (Clusters::default(), 0);
    for (side, span) in query.spans() {
        let mut counter = Counter { board: &mut board, sets: &mut sets, clusters: &mut clusters, side };
        events += reader.read(span, &mut counter)?;
        clusters.end_span(Shape::Share);
    }
    let dispersion = clusters.dispersion(Shape::Share);
    Ok(Counted { shape: Shape::Share, slices: board.into_slices(COMMON), dispersion, events })
}

/// Where attempts are counted.
struct Counter<'c> {
    board: &'c mut Board,
    sets: &'c mut Sets,
    clusters: &'c mut Clusters,
    side: Side,
}

/// Reads a funnel's attempts.
struct Reader<'a> {
    prepared: Prepared<'a>,
    /// Counted from 0.
    step: usize,
    selectors: Selectors,
    properties: Properties,
}

impl<'a> Reader<'a> {
    fn new(
        source: &'a Source<'a>,
        funnel: &'a CountedFunnel,
        step: u32,
        dimensions: &[PropertyRef],
    ) -> Result<Self, QueryError> {
        let steps = funnel.definition.steps.len();
        let asked = if step == 0 { steps } else { step as usize };
        let at = asked.checked_sub(1).filter(|at| *at < steps).ok_or(QueryError::Step { step, steps })?;
        let prepared = Prepared::new(source, funnel, None)?;
        Ok(Self {
            step: at,
            selectors: Selectors::new(dimensions),
            properties: Properties::read(source, &prepared.graph, &PropertyRead::of([], dimensions))?,
            prepared,
        })
    }

    /// Counts the attempts that entered in a span, and says how many events were looked at.
    fn read(&self, span: Span, counter: &mut Counter<'_>) -> Result<u64, QueryError> {
        let prepared = &self.prepared;
        let folds = Folds::new(prepared, span)?;
        let scan = prepared.scan(times(&folds.plan, span));
        let units = Units {
            pinned: prepared.source.pinned,
            scan: Scan { columns: self.columns(scan.columns), ..scan },
            unit: &|row| prepared.unit(row),
        };
        let counter = RefCell::new(counter);
        let mut keep = |row: &StoredRow<'_>| {
            let event = prepared.event(row)?;
            let Counter { board, sets, .. } = &mut **counter.borrow_mut();
            Some(FunnelEvent { value: self.set(row, board, sets), ..event })
        };
        let mut each = |unit: u64, events: Vec<FunnelEvent>| {
            let counter = &mut **counter.borrow_mut();
            folds.attempts(&events).iter().for_each(|attempt| self.add(unit, attempt, counter));
        };
        if prepared.definition().counting == Counting::Sessions {
            let rules = prepared.source.sessions;
            let in_sessions = InSessions { units, rules, graph: &prepared.graph };
            return Ok(in_sessions.each(&mut keep, &mut each)?);
        }
        Ok(units.each(&mut keep, &mut each)?)
    }

    /// What is read for the funnel and for the dimensions.
    fn columns(&self, of_funnel: Columns) -> Columns {
        let own = Columns::from(self.selectors.needs());
        Columns {
            ids: of_funnel.ids,
            properties: of_funnel.properties || own.properties,
            rest: of_funnel.rest || own.rest,
        }
    }

    /// The number of an event's values in all dimensions.
    fn set(&self, row: &StoredRow<'_>, board: &mut Board, sets: &mut Sets) -> u32 {
        let person = self.prepared.graph.canonical(ActorKey(row.head.actor_key)).0;
        let known = self.properties.of(person);
        let facts = Facts { entities: Some(&known), ..facts(row) };
        let places = board.places(self.selectors.texts(&facts));
        sets.number(places, board)
    }

    fn add(&self, unit: u64, attempt: &Attempt, counter: &mut Counter<'_>) {
        let Some(places) = counter.sets.places(attempt.value) else { return };
        let got_there = attempt.steps & (1 << self.step) != 0;
        for (line, number) in [(Line::Below, 1.0), (Line::Above, f64::from(u8::from(got_there)))] {
            counter.board.add(COMMON, places, (counter.side, line), number);
            counter.clusters.add(unit, line, number);
        }
    }
}

/// Sets of values, numbered.
#[derive(Debug, Default)]
struct Sets {
    numbers: HashMap<Vec<u32>, u32>,
    places: Vec<Vec<u32>>,
}

impl Sets {
    fn number(&mut self, mut places: Vec<u32>, board: &mut Board) -> u32 {
        if self.places.len() >= MOST_SETS && !self.numbers.contains_key(&places) {
            places = board.others();
        }
        if let Some(number) = self.numbers.get(&places) {
            return *number;
        }
        let number = self.places.len() as u32;
        self.places.push(places.clone());
        self.numbers.insert(places, number);
        number
    }

    fn places(&self, number: u32) -> Option<&[u32]> {
        self.places.get(number as usize).map(Vec::as_slice)
    }
}
