//! Events person by person out of heads that lie in memory: where names alone say what an event is to a question.
//!
//! All places of actors are cut into parts of a few thousand events. Files are sorted by actor, so a part is a short stretch of each of
//! them: it is gathered, sorted and given out while it lies in the processor's cache, part by part, on as many processors as
//! are free. Only the events of actors that are another person have to be found beforehand.

use std::sync::atomic::{AtomicUsize, Ordering};

use footpath_engine::{ActorKey, IdentityGraph};
use footpath_history::{Block, HistoryError, Pinned, Place, Run};

use crate::sorted::{OfPerson, Sorter};

/// Events of a part, 24 bytes each: what a second-level cache holds.
const PART_EVENTS: usize = if cfg!(test) { 20 } else { 32 << 10 };
/// Most bits of a place that parts are told apart by.
const MOST_BITS: u32 = 16;
/// Events of actors that are another person that are held at once: some 200 MB. In tests so few that it happens.
const MOST_MOVED: usize = if cfg!(test) { 60 } else { 8 << 20 };

/// An event, as far as its head tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) person: Place,
    pub(crate) time_us: i64,
    /// Which of the blocks it is in.
    pub(crate) block: u32,
    /// Which of the block's events it is.
    row: u32,
}

impl OfPerson for Head {
    #[inline]
    fn person(&self) -> Place {
        self.person
    }

    #[inline]
    fn order(&self) -> u128 {
        let time = self.time_us.cast_unsigned() ^ 1 << 63;
        u128::from(self.person.0) << 64 | u128::from(time)
    }
}

/// Where a part is gathered and sorted; kept for the next one.
struct Room {
    heads: Vec<Head>,
    sorter: Sorter<Head>,
}

impl Room {
    fn new() -> Self {
        Self { heads: Vec::new(), sorter: Sorter::new() }
    }
}

/// Blocks, ready to be given out by person.
pub(crate) struct ByPerson<'a> {
    pinned: &'a Pinned,
    graph: Option<&'a IdentityGraph>,
    blocks: &'a [Block],
    times_us: (i64, i64),
    bits: u32,
    /// Events of actors that are another person, by person.
    moved: Vec<Head>,
}

impl<'a> ByPerson<'a> {
    /// The events of these times; `None` if too many are of actors that are another person.
    pub(crate) fn new(
        pinned: &'a Pinned,
        graph: &'a IdentityGraph,
        blocks: &'a [Block],
        times_us: (i64, i64),
    ) -> Option<Self> {
        let events: usize = blocks.iter().map(|block| block.heads.len()).sum();
        let bits = (events / PART_EVENTS).next_power_of_two().ilog2().min(MOST_BITS);
        // Without changes everybody is who they say they are.
        let graph = (graph.epoch() > 0).then_some(graph);
        let mut by_person = Self { pinned, graph, blocks, times_us, bits, moved: Vec::new() };
        by_person.moved = by_person.moved()?;
        Some(by_person)
    }

    fn moved(&self) -> Option<Vec<Head>> {
        let Some(graph) = self.graph else { return Some(Vec::new()) };
        let all = AtomicUsize::new(0);
        let find = |found: &mut Vec<Head>, block: usize| {
            if all.load(Ordering::Relaxed) > MOST_MOVED {
                return;
            }
            let before = found.len();
            for run in self.blocks[block].heads.runs() {
                let person = person(graph, run.place);
                if person != run.place {
                    self.take(found, block, person, &run);
                }
            }
            all.fetch_add(found.len() - before, Ordering::Relaxed);
        };
        let mut moved = self.pinned.workers().share(self.blocks.len(), Vec::new, find).concat();
        moved.sort_unstable_by_key(|head| head.person);
        (moved.len() <= MOST_MOVED).then_some(moved)
    }

    /// Calls `each` once for every person with its events, sorted by time; in parts, each thread with an `A` of its own. Says how
    /// many events there were.
    pub(crate) fn share<A: Send>(
        &self,
        make: impl Fn() -> A + Sync,
        each: impl Fn(&mut A, &[Head]) -> Result<(), HistoryError> + Sync,
    ) -> Result<(Vec<A>, u64), HistoryError> {
        let make = || (make(), Room::new(), Ok(0_u64));
        let work = |(own, room, events): &mut (A, Room, Result<u64, HistoryError>), part: usize| {
            if let Ok(before) = *events {
                *events = self.part(part, room, &mut |person| each(own, person)).map(|more| before + more);
            }
        };
        let shared = self.pinned.workers().share(self.parts(), make, work);
        let mut all = (Vec::with_capacity(shared.len()), 0);
        for (own, _, events) in shared {
            all.0.push(own);
            all.1 += events?;
        }
        Ok(all)
    }

    /// As [`ByPerson::share`], on this thread.
    pub(crate) fn each(
        &self,
        each: &mut dyn FnMut(&[Head]) -> Result<(), HistoryError>,
    ) -> Result<u64, HistoryError> {
        let (mut room, mut events) = (Room::new(), 0);
        for part in 0..self.parts() {
            events += self.part(part, &mut room, each)?;
        }
        Ok(events)
    }

    fn parts(&self) -> usize {
        1 << self.bits
    }

    fn part(
        &self,
        part: usize,
        Room { heads, sorter }: &mut Room,
        each: &mut dyn FnMut(&[Head]) -> Result<(), HistoryError>,
    ) -> Result<u64, HistoryError> {
        self.pinned.stop().check()?;
        heads.clear();
        for (number, block) in self.blocks.iter().enumerate() {
            for run in block.heads.runs_in(part, self.bits) {
                if self.graph.is_none_or(|graph| person(graph, run.place) == run.place) {
                    self.take(heads, number, run.place, &run);
                }
            }
        }
        let from = self.moved.partition_point(|head| head.person.part(self.bits) < part);
        let moved = self.moved[from..].iter().take_while(|head| head.person.part(self.bits) == part);
        heads.extend(moved);
        sorter.sort(heads, self.bits);
        for person in heads.chunk_by(|a, b| a.person == b.person) {
            each(person)?;
        }
        Ok(heads.len() as u64)
    }

    /// Takes the events of a run that lie in the span.
    #[inline]
    fn take(&self, heads: &mut Vec<Head>, block: usize, person: Place, run: &Run<'_>) {
        let (from_us, to_us) = self.times_us;
        let rows = run.first..;
        let of_run = rows.zip(run.times_us).filter(|(_, time_us)| (from_us..to_us).contains(*time_us));
        heads.extend(of_run.map(|(row, time_us)| Head {
            person,
            time_us: *time_us,
            block: block as u32,
            row,
        }));
    }
}

/// The person whose events an actor's are.
#[inline]
pub(crate) fn person(graph: &IdentityGraph, actor: Place) -> Place {
    Place::of(graph.canonical(ActorKey(actor.hash())).0)
}

/// Ids of events, looked up as they are needed.
pub(crate) struct IdsOf<'a> {
    pinned: &'a Pinned,
    blocks: &'a [Block],
    /// By block, for each of its events which of its file's events it is.
    rows: Vec<Option<Vec<u32>>>,
}

impl<'a> IdsOf<'a> {
    pub(crate) fn new(pinned: &'a Pinned, blocks: &'a [Block]) -> Self {
        Self { pinned, blocks, rows: vec![None; blocks.len()] }
    }

    /// The event's id.
    pub(crate) fn id(&mut self, head: &Head) -> Result<u128, HistoryError> {
        let block = &self.blocks[head.block as usize];
        let rows = self.rows[head.block as usize].get_or_insert_with(|| block.heads.file_rows());
        let row = head.row as usize;
        let ids = self.pinned.ids(block, row)?;
        Ok(rows.get(row).and_then(|row| ids.get(*row as usize)).copied().unwrap_or_default())
    }
}
