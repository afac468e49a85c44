//! Counts and unique persons out of heads: where the names of events alone say what is counted.

use std::sync::Arc;

use footpath_engine::metric::{MetricKind, Ordinals, Partial, Uniques};
use footpath_engine::{ActorKey, IdentityGraph};
use footpath_history::{Block, HistoryError, Pinned, Place, Run};

use super::ruler::Ruler;
use crate::by_person::person;
use crate::sorted::{OfPerson, Sorter};

/// Runs of a part: what a second-level cache holds of pairs of 16 bytes.
const PART_RUNS: usize = if cfg!(test) { 20 } else { 16 << 10 };
/// Most bits of a place that parts are told apart by.
const MOST_BITS: u32 = 16;

/// What is counted of which events.
pub(super) struct Counted<'a> {
    pub(super) pinned: &'a Pinned,
    pub(super) project: u32,
    /// `None` is all of them.
    pub(super) names: Option<&'a [Arc<str>]>,
    pub(super) graph: &'a IdentityGraph,
    pub(super) ruler: &'a Ruler,
    pub(super) times_us: (i64, i64),
}

/// How many events there were, and what they are by column.
type Found = (u64, Vec<Partial>);

impl Counted<'_> {
    /// The aggregate of each column; `None` for a kind that needs more than heads.
    pub(super) fn by_column(
        &self,
        kind: &MetricKind,
        ordinals: &mut Ordinals,
    ) -> Result<Option<Found>, HistoryError> {
        let blocks = || self.pinned.blocks(self.project, self.times_us, self.names);
        match kind {
            MetricKind::Count => self.counts(&blocks()?).map(Some),
            MetricKind::Uniques => self.uniques(&blocks()?, ordinals).map(Some),
            _ => Ok(None),
        }
    }

    fn counts(&self, blocks: &[Block]) -> Result<Found, HistoryError> {
        let none = || vec![0_u64; self.ruler.columns()];
        let counts = self.pinned.workers().share(blocks.len(), none, |counts, block| {
            let heads = &blocks[block].heads;
            if let Some(column) = only_column(self.ruler, &blocks[block]) {
                counts[column] += heads.len() as u64;
                return;
            }
            for run in heads.runs() {
                self.ruler.cut(run.times_us, &mut |column, own| counts[column] += own as u64);
            }
        });
        self.pinned.stop().check()?;
        let mut all = none();
        for counts in &counts {
            all.iter_mut().zip(counts).for_each(|(all, own)| *all += own);
        }
        Ok((all.iter().sum(), all.into_iter().map(Partial::Count).collect()))
    }

    /// Parts of all persons are found apart from each other; then each person gets an ordinal.
    fn uniques(&self, blocks: &[Block], ordinals: &mut Ordinals) -> Result<Found, HistoryError> {
        let runs: usize = blocks.iter().map(|block| block.heads.run_count()).sum();
        let bits = (runs / PART_RUNS).next_power_of_two().ilog2().min(MOST_BITS);
        let graph = (self.graph.epoch() > 0).then_some(self.graph);
        let make = || (Vec::new(), Sorter::new());
        let work = |(found, sorter): &mut (Vec<Part>, Sorter<Seen>), part: usize| {
            if self.pinned.stop().check().is_ok() {
                found.push(Part::new(self.ruler, blocks, graph, (part, bits), sorter));
            }
        };
        let parts = self.pinned.workers().share(1 << bits, make, work);
        let parts: Vec<Part> = parts.into_iter().flat_map(|(found, _)| found).collect();
        self.pinned.stop().check()?;
        let mut columns: Vec<Vec<u32>> = vec![Vec::new(); self.ruler.columns()];
        for part in &parts {
            for of_person in part.seen.chunk_by(|a, b| a.person == b.person) {
                let Some(Seen { person, .. }) = of_person.first() else { continue };
                let ordinal = ordinals.ordinal(ActorKey(person.hash()));
                of_person.iter().for_each(|seen| columns[seen.column as usize].push(ordinal));
            }
        }
        let partial = |mut own: Vec<u32>| {
            // Persons who are others can be in several parts, and another metric has given ordinals before.
            own.sort_unstable();
            own.dedup();
            Partial::Uniques(Uniques::of_sorted(&own))
        };
        Ok((parts.iter().map(|part| part.events).sum(), columns.into_iter().map(partial).collect()))
    }
}

/// Who was seen in which column, of one part of all actors.
struct Part {
    events: u64,
    /// Each once, by person.
    seen: Vec<Seen>,
}

/// Somebody was seen in a column.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    person: Place,
    column: u32,
}

impl OfPerson for Seen {
    #[inline]
    fn person(&self) -> Place {
        self.person
    }

    #[inline]
    fn order(&self) -> u128 {
        u128::from(self.person.0) << 32 | u128::from(self.column)
    }
}

impl Part {
    fn new(
        ruler: &Ruler,
        blocks: &[Block],
        graph: Option<&IdentityGraph>,
        (part, bits): (usize, u32),
        sorter: &mut Sorter<Seen>,
    ) -> Self {
        let mut found = Self { events: 0, seen: Vec::new() };
        for block in blocks {
            let only = only_column(ruler, block);
            for run in block.heads.runs_in(part, bits) {
                let place = graph.map_or(run.place, |graph| person(graph, run.place));
                match only {
                    Some(column) => found.add_all(place, column, &run),
                    None => found.add(ruler, place, &run),
                }
            }
        }
        sorter.sort(&mut found.seen, bits);
        found.seen.dedup();
        found.seen.shrink_to_fit();
        found
    }

    fn add_all(&mut self, place: Place, column: usize, run: &Run<'_>) {
        self.events += run.times_us.len() as u64;
        self.seen.push(Seen { person: place, column: column as u32 });
    }

    fn add(&mut self, ruler: &Ruler, place: Place, run: &Run<'_>) {
        ruler.cut(run.times_us, &mut |column, own| {
            self.events += own as u64;
            self.seen.push(Seen { person: place, column: column as u32 });
        });
    }
}

/// The column that a whole block lies in, as most files do where columns are days: then nobody looks at its times.
fn only_column(ruler: &Ruler, block: &Block) -> Option<usize> {
    let (first, last) = block.heads.span_us()?;
    ruler.column(first).filter(|column| ruler.column(last) == Some(*column))
}
