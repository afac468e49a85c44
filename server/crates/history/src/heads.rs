//! Heads: who and when, of all events of a file or of those with one name, as plain columns.
//!
//! They are what most questions need and nothing more, so they are kept decoded ([`crate::cache`]). The events of a name lie
//! together: a question about a few of many names touches nothing else.

use std::sync::Arc;

use crate::error::HistoryError;
use crate::manifest::ChunkFile;

/// Actors in the order in which files are sorted: by their hashes as signed numbers. The greater the place, the greater the
/// number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub u64);

impl Place {
    const SIGN: u64 = 1 << 63;

    /// Of an actor's (or person's) hash.
    #[inline]
    pub fn of(hash: u64) -> Self {
        Self(hash ^ Self::SIGN)
    }

    /// The hash.
    #[inline]
    pub fn hash(self) -> u64 {
        self.0 ^ Self::SIGN
    }

    /// The number of the part it lies in, when all places are cut into `2^bits` equal parts. In order: greater places are in
    /// the same part or in a greater one.
    #[inline]
    pub fn part(self, bits: u32) -> usize {
        self.0.checked_shr(u64::BITS - bits).unwrap_or_default() as usize
    }
}

/// Who and when, in the order of actor and time. Events of an actor are a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heads {
    /// One for each run.
    places: Vec<Place>,
    /// Where each run ends.
    ends: Vec<u32>,
    times_us: Vec<i64>,
    /// Which of several files each event is from; empty where there is one.
    origins: Vec<Origin>,
    /// For each of `2^index_bits` parts its first run, and the end. Searching through places would miss the processor's cache at
    /// every step.
    index: Vec<u32>,
    index_bits: u32,
    /// The earliest and the latest time.
    span_us: Option<(i64, i64)>,
}

/// The number of a file among those that are read as one.
pub(crate) type Origin = u8;

/// Runs that one entry of the index stands for, on average.
const INDEXED_RUNS: usize = 8;

/// An actor's events.
#[derive(Debug, Clone, Copy)]
pub struct Run<'h> {
    /// Whose.
    pub place: Place,
    /// The number of the first one in [`Heads`].
    pub first: u32,
    /// When each was, microseconds since 1970, ascending.
    pub times_us: &'h [i64],
}

impl Heads {
    /// None, with room for so many runs and events of several files.
    pub(crate) fn with_room(runs: usize, events: usize) -> Self {
        Self {
            places: Vec::with_capacity(runs),
            ends: Vec::with_capacity(runs),
            times_us: Vec::with_capacity(events),
            origins: Vec::with_capacity(events),
            ..Self::default()
        }
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.times_us.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.times_us.is_empty()
    }

    /// All times, run by run.
    pub fn times_us(&self) -> &[i64] {
        &self.times_us
    }

    /// Which of the files an event is from.
    pub(crate) fn origin(&self, row: usize) -> Origin {
        self.origins.get(row).copied().unwrap_or_default()
    }

    /// For each event, which of its file's events it is.
    pub fn file_rows(&self) -> Vec<u32> {
        let mut next = [0; Origin::MAX as usize + 1];
        let rows = (0..self.len()).map(|row| {
            let next = &mut next[usize::from(self.origin(row))];
            std::mem::replace(next, *next + 1)
        });
        rows.collect()
    }

    /// How many runs there are.
    pub fn run_count(&self) -> usize {
        self.places.len()
    }

    /// All runs, in order.
    pub fn runs(&self) -> impl Iterator<Item = Run<'_>> {
        self.some_runs(0, self.places.len())
    }

    /// The earliest and the latest time; `None` without events.
    pub fn span_us(&self) -> Option<(i64, i64)> {
        self.span_us
    }

    /// The runs of the actors in one of `2^bits` parts ([`Place::part`]), in order.
    #[inline]
    pub fn runs_in(&self, part: usize, bits: u32) -> impl Iterator<Item = Run<'_>> {
        let begin = |part: usize| self.begin(part, bits).min(self.places.len());
        self.some_runs(begin(part), begin(part + 1))
    }

    /// The first run of a part, or of one behind it.
    #[inline]
    fn begin(&self, part: usize, bits: u32) -> usize {
        let entry = |i: usize| self.index.get(i).map_or(self.places.len(), |run| *run as usize);
        match self.index_bits.checked_sub(bits) {
            Some(finer) => entry(part << finer),
            None => {
                let cell = part >> (bits - self.index_bits);
                let places = &self.places[entry(cell)..entry(cell + 1)];
                entry(cell) + places.partition_point(|place| place.part(bits) < part)
            }
        }
    }

    #[inline]
    fn some_runs(&self, from: usize, to: usize) -> impl Iterator<Item = Run<'_>> {
        let mut first = from.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.places[from..to].iter().zip(&self.ends[from..to]).map(move |(place, end)| {
            let run = Run { place: *place, first, times_us: &self.times_us[first as usize..*end as usize] };
            first = *end;
            run
        })
    }

    /// Adds the next event in order.
    #[inline]
    pub(crate) fn push(&mut self, place: Place, time_us: i64) {
        self.times_us.push(time_us);
        let end = self.times_us.len() as u32;
        match self.ends.last_mut() {
            Some(last) if self.places.last() == Some(&place) => *last = end,
            _ => {
                self.places.push(place);
                self.ends.push(end);
            }
        }
    }

    /// Adds the next event in order, of one of several files.
    #[inline]
    pub(crate) fn push_of(&mut self, origin: Origin, place: Place, time_us: i64) {
        self.push(place, time_us);
        self.origins.push(origin);
    }

    /// After the last event: makes the index, and gives back room that is not used.
    pub(crate) fn finish(&mut self) {
        self.places.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.times_us.shrink_to_fit();
        self.origins.shrink_to_fit();
        self.index_bits = (self.places.len() / INDEXED_RUNS).checked_ilog2().unwrap_or_default();
        let begin = |part: usize| self.places.partition_point(|place| place.part(self.index_bits) < part);
        self.index = (0..=1_usize << self.index_bits).map(|part| begin(part) as u32).collect();
        let times = || self.times_us.iter().copied();
        self.span_us = times().min().zip(times().max());
    }

    /// What it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<Place>()
            + self.ends.capacity() * size_of::<u32>()
            + self.times_us.capacity() * size_of::<i64>()
            + self.origins.capacity() * size_of::<Origin>()
            + self.index.capacity() * size_of::<u32>()
    }
}

/// Which events a block has: those of one name, or all.
pub(crate) type Name = Option<Arc<str>>;

/// The heads of what a question wants out of a group of files, or of the log above.
pub struct Block {
    /// The number of the name in the question; 0 where all events are wanted.
    pub name: usize,
    /// Who and when. Times that are not wanted can be among them.
    pub heads: Arc<Heads>,
    pub(crate) ids: Ids,
}

/// Where the events' ids are.
pub(crate) enum Ids {
    /// Here.
    Known(Arc<Vec<u128>>),
    /// In these files, of the events with this name.
    In(Arc<[Arc<ChunkFile>]>, Name),
}

/// The heads of events that are not sorted yet, with their ids.
#[derive(Default)]
pub(crate) struct Unsorted(Vec<(Place, i64, u128)>);

impl Unsorted {
    pub(crate) fn push(&mut self, actor: u64, time_us: i64, id: u128) {
        self.0.push((Place::of(actor), time_us, id));
    }

    /// As a block; `None` if there is no event.
    pub(crate) fn block(mut self, name: usize) -> Option<Block> {
        self.0.sort_unstable();
        let mut heads = Heads::default();
        self.0.iter().for_each(|(place, time_us, _)| heads.push(*place, *time_us));
        heads.finish();
        let ids = self.0.iter().map(|(_, _, id)| *id).collect();
        let some = !heads.is_empty();
        some.then(|| Block { name, heads: Arc::new(heads), ids: Ids::Known(Arc::new(ids)) })
    }
}

/// A file has fewer rows than heads can number.
pub(crate) fn check_rows(file: &ChunkFile) -> Result<(), HistoryError> {
    match u32::try_from(file.rows) {
        Ok(_) => Ok(()),
        Err(_) => Err(HistoryError::damaged(&file.path, "it says it has more than 4 billion rows")),
    }
}
