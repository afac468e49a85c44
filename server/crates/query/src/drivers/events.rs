//! Metrics of events, counted by the values of all dimensions at once.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use footpath_engine::attribution::Shape;
use footpath_engine::lens::{PropertyRead, Terms, Values};
use footpath_engine::metric::{Currency, ItemValue, Sketch};
use footpath_engine::{ActorKey, IdentityGraph};
use footpath_history::{Scan, StoredRow};
use footpath_model::control::CountedMetric;
use footpath_model::definition::PropertyRef;
use footpath_model::filter::Facts;

use super::board::{Board, COMMON, Line};
use super::clusters::Clusters;
use super::dimensions::Selectors;
use super::measured::{Edge, What};
use super::{Counted, DriversQuery, Side};
use crate::entities::Properties;
use crate::funnel::facts;
use crate::{QueryError, Source, Span};

/// Currencies that are counted; of more only the first ones.
const MOST_UNITS: usize = 8;

/// Counts a metric of events; `None` if it cannot be explained.
pub(super) fn count(
    source: &Source<'_>,
    query: &DriversQuery<'_>,
    dimensions: &[PropertyRef],
) -> Result<Option<Counted>, QueryError> {
    let reader = Reader::new(source, query.counted, dimensions)?;
    let Some((shape, wanted)) = wanted(&reader.terms) else { return Ok(None) };
    let edges = match wanted[0].0.edge() {
        Some(edge) => reader.edges(query, edge)?,
        None => HashMap::new(),
    };
    let board = Board::new(dimensions.len());
    let clusters = Clusters::default();
    let mut counter = Counter { wanted, edges, board, clusters, units: HashMap::new() };
    let mut events = 0;
    for (side, span) in query.spans() {
        events += reader.read(span, true, &mut |texts, counts| counter.add(side, texts, counts))?;
        counter.board.end_span(side);
        counter.clusters.end_span(shape);
    }
    let (sheet, dispersion) = (counter.most(), counter.clusters.dispersion(shape));
    let slices = counter.board.into_slices(sheet);
    Ok(Some(Counted { shape, slices, dispersion, events }))
}

/// What each term adds, and where.
fn wanted(terms: &Terms) -> Option<(Shape, Vec<(What, Line)>)> {
    let what: Vec<What> = terms.kinds().iter().map(What::of).collect();
    match what[..] {
        [one] => Some((one.shape(), vec![(one, Line::Above)])),
        [above, below] if above.has_ratio() && below.has_ratio() => {
            Some((Shape::Quotient, vec![(above, Line::Above), (below, Line::Below)]))
        }
        _ => None,
    }
}

/// What an event counts for: a term, its number, and the person.
struct Counts<'e> {
    term: usize,
    number: Option<ItemValue<'e>>,
    person: u64,
}

/// Takes an event's values, which are empty where nobody wants them, and what it counts for.
type Each<'e> = dyn FnMut(&[Option<String>], &Counts<'_>) + 'e;

/// Reads the events of a metric.
struct Reader<'a> {
    source: &'a Source<'a>,
    terms: Terms,
    selectors: Selectors,
    graph: Arc<IdentityGraph>,
    properties: Properties,
}

impl<'a> Reader<'a> {
    fn new(
        source: &'a Source<'a>,
        counted: &CountedMetric,
        dimensions: &[PropertyRef],
    ) -> Result<Self, QueryError> {
        let mut counted = counted.clone();
        counted.definition.breakdown = None;
        let graph = source.identity(None)?;
        let mut reads = PropertyRead::of_metric(&counted);
        reads.extend(PropertyRead::of([], dimensions));
        Ok(Self {
            source,
            terms: Terms::new(&counted, Values::default())?,
            selectors: Selectors::new(dimensions),
            properties: Properties::read(source, &graph, &reads)?,
            graph,
        })
    }

    /// Shows every event of a span for each term that it counts for, and says how many events were looked at.
    fn read(&self, span: Span, with_values: bool, each: &mut Each<'_>) -> Result<u64, QueryError> {
        let names: Option<HashSet<String>> = self.terms.names().map(|names| names.into_iter().collect());
        let needs = self.terms.needs().and(self.selectors.needs());
        let scan = Scan {
            from_us: span.from_us,
            to_us: span.to_us.unwrap_or(i64::MAX),
            names: names.as_ref(),
            columns: needs.into(),
            ..self.source.all()
        };
        let mut texts = Vec::new();
        let stats = self.source.pinned.scan(&scan, &mut |row| {
            self.row(row, with_values, &mut texts, each);
            ControlFlow::Continue(())
        })?;
        Ok(stats.rows)
    }

    fn row(
        &self,
        row: &StoredRow<'_>,
        with_values: bool,
        texts: &mut Vec<Option<String>>,
        each: &mut Each<'_>,
    ) {
        let person = self.graph.canonical(ActorKey(row.head.actor_key)).0;
        let known = self.properties.of(person);
        let facts = Facts { entities: Some(&known), ..facts(row) };
        texts.clear();
        self.terms.each(None, row.name, &facts, &mut |term, _, number| {
            if with_values && texts.is_empty() {
                texts.extend(self.selectors.texts(&facts));
            }
            each(texts, &Counts { term, number, person });
        });
    }

    /// The baseline's quantile, by unit.
    fn edges(
        &self,
        query: &DriversQuery<'_>,
        edge: Edge,
    ) -> Result<HashMap<Option<Currency>, f64>, QueryError> {
        let mut sketches: HashMap<Option<Currency>, Sketch> = HashMap::new();
        for span in query.baseline {
            self.read(*span, false, &mut |_, counts| {
                let Some(number) = &counts.number else { return };
                if sketches.len() < MOST_UNITS || sketches.contains_key(&number.unit()) {
                    sketches.entry(number.unit()).or_default().add(number.to_f64());
                }
            })?;
        }
        let quantile = |(unit, sketch): (_, Sketch)| Some((unit, sketch.quantile(edge.quantile())?));
        Ok(sketches.into_iter().filter_map(quantile).collect())
    }
}

/// Counts events.
struct Counter {
    wanted: Vec<(What, Line)>,
    edges: HashMap<Option<Currency>, f64>,
    board: Board,
    /// How much persons vary; of several currencies, only in the first.
    clusters: Clusters,
    /// The sheet of each currency, with how many numbers are on it.
    units: HashMap<Option<Currency>, (usize, u64)>,
}

impl Counter {
    fn add(&mut self, side: Side, texts: &[Option<String>], counts: &Counts<'_>) {
        let Some((what, line)) = self.wanted.get(counts.term).copied() else { return };
        match (what, &counts.number) {
            (What::Each, _) => {
                let places = self.places(texts);
                self.board.add(COMMON, &places, (side, line), 1.0);
                self.clusters.add(counts.person, line, 1.0);
            }
            (What::Person, _) => {
                let places = self.places(texts);
                self.board.add_person(&places, line, counts.person);
            }
            (_, Some(number)) => self.add_number((side, texts), (what, line), number, counts.person),
            // Without a number it counts for nothing that is made of numbers.
            (_, None) => {}
        }
    }

    fn add_number(
        &mut self,
        (side, texts): (Side, &[Option<String>]),
        (what, line): (What, Line),
        number: &ItemValue<'_>,
        person: u64,
    ) {
        let Some(sheet) = self.sheet(number.unit()) else { return };
        let places = self.places(texts);
        let added = match what {
            What::Beyond(which) => {
                let edge = self.edges.get(&number.unit());
                f64::from(u8::from(edge.is_some_and(|edge| which.is_beyond(number.to_f64(), *edge))))
            }
            _ => number.to_f64(),
        };
        let mut add = |line, added| {
            self.board.add(sheet, &places, (side, line), added);
            if sheet == COMMON + 1 {
                self.clusters.add(person, line, added);
            }
        };
        add(line, added);
        if what.is_mean() {
            add(Line::Below, 1.0);
        }
    }

    fn places(&mut self, texts: &[Option<String>]) -> Vec<u32> {
        self.board.places(texts.iter().cloned())
    }

    fn sheet(&mut self, unit: Option<Currency>) -> Option<usize> {
        if self.units.len() >= MOST_UNITS && !self.units.contains_key(&unit) {
            return None;
        }
        let board = &mut self.board;
        let (sheet, numbers) = self.units.entry(unit).or_insert_with(|| (board.add_sheet(), 0));
        *numbers += 1;
        Some(*sheet)
    }

    /// The sheet with the most numbers; the common one if there are none.
    fn most(&self) -> usize {
        let most = self.units.values().max_by_key(|(sheet, numbers)| (*numbers, std::cmp::Reverse(*sheet)));
        most.map_or(COMMON, |(sheet, _)| *sheet)
    }
}
