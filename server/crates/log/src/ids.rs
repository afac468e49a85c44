//! Stored event ids of the last 72 hours of log time: exact, per project.
//!
//! An id is remembered together with the log hour in which it was stored last; it counts as stored while
//! that hour is at most the horizon old. So it is remembered for at least the horizon, and less than an
//! hour longer, and what is still lying in a file never makes a false duplicate.
//!
//! A UUIDv7 names its own hour, which keeps its search to one partition. Ids whose hour is far from the
//! log's (a phone that was off for a month, a clock in the future) and ids of other kinds share one
//! partition with one filter per day; otherwise a sender could open a partition for each hour there ever
//! was. Newest ids lie in memory; a large memtable is frozen and becomes a sorted run on disk behind a
//! filter. That happens in the background; the frozen table answers until the run does.

mod bloom;
mod flush;
pub(crate) mod io;
mod memtable;
mod partition;
mod run;
mod snapshot;

use std::hash::BuildHasher;
use std::sync::Arc;

use footpath_model::id::EventId;
use hashbrown::{DefaultHashBuilder, HashMap};
use parking_lot::Mutex;

use crate::background::Background;
use crate::disk::Disk;
use flush::{FlushPlace, Progress};
pub use io::DedupeError;
use memtable::{Entry, Key};
use partition::Partition;

const HOUR_US: i64 = 3_600_000_000;
const HOUR_MS: u64 = 3_600_000;
/// Measured: 9 bits an id give 3 % false hits over 8 runs; a hit costs a read.
const BITS_NEAR: usize = 20;
const BITS_OTHER: usize = 12;
/// A memtable that cannot be flushed grows to this many times its normal size, then ids are refused.
const FULL_AT: usize = 4;
/// Ids that filters are told in one commit: about half a millisecond, so that no group waits longer for it.
const ADOPTED_AT_ONCE: usize = 16_384;
/// A run that could not be written is tried again after this much log time.
const RETRY_US: i64 = 1_000_000;

/// Where duplicates are remembered, and how ids are kept.
#[derive(Clone)]
pub struct DedupeConfig {
    /// The folder of the runs, and of the snapshot that names them.
    pub disk: Arc<dyn Disk>,
    /// Where runs are sorted and written.
    pub background: Background,
    /// Ids in a memtable at which it becomes a run.
    pub flush_at: usize,
    /// The same for hours that are over, so that 146 of them do not fill the memory.
    pub flush_cold_at: usize,
    /// For how many hours of log time an id is remembered.
    pub horizon_hours: u32,
}

impl DedupeConfig {
    /// One million ids (about 30 MB) a memtable, 72 hours.
    pub fn new(disk: Arc<dyn Disk>, background: Background) -> Self {
        Self { disk, background, flush_at: 1_000_000, flush_cold_at: 16_384, horizon_hours: 72 }
    }
}

/// What a check of an id found.
#[derive(Debug)]
pub enum IdVerdict {
    /// Not stored within the horizon; entered now.
    Fresh,
    /// Stored within the horizon, or earlier in this group.
    Duplicate,
    /// Runs cannot be written and memory is used up. Not entered; a retry succeeds once the disk is well.
    Full,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Hour(u32),
    Other,
}

#[derive(Debug)]
struct Undo {
    place: Place,
    key: Key,
    before: Option<u32>,
}

/// Names of expired runs whose files the last durable snapshot may still name.
pub(crate) type Garbage = Arc<Mutex<Vec<String>>>;

/// See the module.
pub struct IdIndex {
    config: DedupeConfig,
    seed: u64,
    now: u32,
    now_us: i64,
    position: u64,
    next_run: u64,
    by_hour: HashMap<u32, Partition>,
    other: Partition,
    /// The latest own hour of an id that was ahead of the log when it was stored.
    latest_ahead: Option<u32>,
    undo: Vec<Undo>,
    /// Partitions that want a flush, looked at when a group commits.
    large: Vec<Place>,
    /// Partitions with a frozen memtable.
    flushing: Vec<Place>,
    retry_at_us: i64,
    hour_turned: bool,
    garbage: Garbage,
}

impl IdIndex {
    /// An empty index. Removes the runs in its folder.
    ///
    /// # Errors
    /// `Io` if the folder cannot be read.
    pub fn create(config: DedupeConfig) -> Result<Self, DedupeError> {
        let index = Self::empty(config);
        index.remove_strays()?;
        Ok(index)
    }

    /// Judges an id stored at `log_time_us` (microseconds since 1970, never falling) and enters it if it is
    /// fresh, until the group is committed or rolled back.
    ///
    /// # Errors
    /// `Io` or `Corrupt` if a run that might hold the id cannot be read; the id is then not entered.
    pub fn check_and_stage(
        &mut self,
        project: u32,
        id: EventId,
        log_time_us: i64,
    ) -> Result<IdVerdict, DedupeError> {
        self.now_us = self.now_us.max(log_time_us);
        self.advance(hour_of_us(log_time_us));
        let key = Key::new(project, id.0);
        let hash = key.hash(self.seed);
        let own_hour = own_hour(id);
        if self.holds(hash, &key, own_hour)? {
            return Ok(IdVerdict::Duplicate);
        }
        let place = self.place(own_hour);
        let full_at = self.config.flush_at.saturating_mul(FULL_AT);
        let partition = self.partition_mut(place);
        if partition.memtable.len() >= full_at {
            return Ok(IdVerdict::Full);
        }
        let before = self.enter(place, own_hour, hash, Entry { key, hour: self.now });
        self.undo.push(Undo { place, key, before });
        Ok(IdVerdict::Fresh)
    }

    /// Enters an id that the log holds.
    pub fn replay(&mut self, project: u32, id: EventId, log_time_us: i64) {
        let hour = hour_of_us(log_time_us);
        self.advance(hour);
        let key = Key::new(project, id.0);
        let own_hour = own_hour(id);
        self.enter(self.place(own_hour), own_hour, key.hash(self.seed), Entry { key, hour });
    }

    /// The staged ids are in the log, which now reaches `position`. Has written what is large.
    ///
    /// # Errors
    /// `Io` if a run could not be written. The ids are committed all the same and stay in memory; a later
    /// commit tries again.
    pub fn commit(&mut self, position: u64) -> Result<(), DedupeError> {
        self.undo.clear();
        self.position = self.position.max(position);
        if std::mem::take(&mut self.hour_turned) {
            self.find_cold();
        }
        self.flush_large();
        self.proceed()
    }

    /// The staged ids did not reach the log: forgets them.
    pub fn rollback(&mut self) {
        while let Some(Undo { place, key, before }) = self.undo.pop() {
            let (hash, seed) = (key.hash(self.seed), self.seed);
            self.partition_mut(place).take_back(hash, key, before, seed);
        }
    }

    /// Ids held in memory.
    pub fn in_memory(&self) -> usize {
        self.partitions().map(|(_, partition)| partition.in_memory()).sum()
    }

    /// Runs on disk that are in use.
    pub fn runs(&self) -> usize {
        self.partitions().map(|(_, partition)| partition.run_names().count()).sum()
    }

    /// Bytes of all filters.
    pub fn filter_bytes(&self) -> usize {
        self.partitions().map(|(_, partition)| partition.filter_bytes()).sum()
    }

    pub(crate) fn garbage(&self) -> &Garbage {
        &self.garbage
    }

    pub(crate) fn has_staged(&self) -> bool {
        !self.undo.is_empty()
    }

    fn empty(config: DedupeConfig) -> Self {
        Self {
            seed: DefaultHashBuilder::default().hash_one(0),
            now: 0,
            now_us: 0,
            position: 0,
            next_run: 0,
            by_hour: HashMap::new(),
            other: Partition::new(0, BITS_OTHER),
            latest_ahead: None,
            undo: Vec::new(),
            large: Vec::new(),
            flushing: Vec::new(),
            retry_at_us: 0,
            hour_turned: false,
            garbage: Garbage::default(),
            config,
        }
    }

    /// The first log hour that still counts.
    fn since(&self) -> u32 {
        self.now.saturating_sub(self.config.horizon_hours)
    }

    fn holds(&self, hash: u64, key: &Key, own_hour: Option<u32>) -> Result<bool, DedupeError> {
        let since = self.since();
        let Some(hour) = own_hour else { return self.other.holds(hash, key, since) };
        if let Some(partition) = self.by_hour.get(&hour)
            && partition.holds(hash, key, since)?
        {
            return Ok(true);
        }
        // Stored elsewhere only if its hour was far from the log's at that time.
        let may_be_elsewhere = hour < since || self.latest_ahead.is_some_and(|latest| hour <= latest);
        Ok(may_be_elsewhere && self.other.holds(hash, key, since)?)
    }

    fn place(&self, own_hour: Option<u32>) -> Place {
        match own_hour {
            Some(hour) if hour >= self.since() && hour <= self.now + 1 => Place::Hour(hour),
            _ => Place::Other,
        }
    }

    fn partition_mut(&mut self, place: Place) -> &mut Partition {
        match place {
            Place::Other => &mut self.other,
            Place::Hour(hour) => {
                self.by_hour.entry(hour).or_insert_with(|| Partition::new(self.position, BITS_NEAR))
            }
        }
    }

    fn enter(&mut self, place: Place, own_hour: Option<u32>, hash: u64, entry: Entry) -> Option<u32> {
        if matches!(place, Place::Other) && own_hour.is_some_and(|hour| hour > self.now) {
            self.latest_ahead = self.latest_ahead.max(own_hour);
        }
        let (seed, flush_at) = (self.seed, self.config.flush_at);
        let partition = self.partition_mut(place);
        let before = partition.enter(hash, entry, seed);
        if before.is_none() && partition.memtable.len() == flush_at {
            self.large.push(place);
        }
        before
    }

    /// Lets log time move on, and what is older than the horizon go.
    fn advance(&mut self, hour: u32) {
        if hour <= self.now {
            return;
        }
        self.now = hour;
        self.hour_turned = true;
        let since = self.since();
        let garbage = &mut *self.garbage.lock();
        self.by_hour.retain(|_, partition| {
            partition.expire(since, garbage);
            !partition.is_empty()
        });
        self.other.expire(since, garbage);
        if self.other.is_empty() {
            self.latest_ahead = None;
        }
    }

    fn find_cold(&mut self) {
        let Self { by_hour, large, config, now, .. } = self;
        let cold = by_hour.iter().filter(|(hour, partition)| {
            hour.saturating_add(1) < *now && partition.memtable.len() >= config.flush_cold_at
        });
        large.extend(cold.map(|(hour, _)| Place::Hour(*hour)));
    }

    /// Freezes what is large. What has a frozen memtable already waits for a later commit.
    fn flush_large(&mut self) {
        for place in std::mem::take(&mut self.large) {
            let (position, least) = (self.position, self.config.flush_cold_at.min(self.config.flush_at));
            let Some((partition, order)) = self.order(place) else { continue };
            if partition.memtable.len() < least {
                continue; // Rolled back, expired, or flushed meanwhile.
            }
            let waits = !partition.flush(position, order);
            if waits { self.large.push(place) } else { self.flushing.push(place) }
        }
    }

    /// Lets every frozen memtable come further.
    fn proceed(&mut self) -> Result<(), DedupeError> {
        let mut budget = ADOPTED_AT_ONCE;
        let mut result = Ok(());
        for place in std::mem::take(&mut self.flushing) {
            let proceeded = self.proceed_one(place, &mut budget);
            if proceeded.is_err() {
                self.retry_at_us = self.now_us.saturating_add(RETRY_US);
            }
            if !matches!(proceeded, Ok(true)) {
                self.flushing.push(place);
            }
            result = result.and(proceeded.map(|_| ()));
        }
        result
    }

    /// `Ok(true)` when nothing is frozen any more.
    fn proceed_one(&mut self, place: Place, budget: &mut usize) -> Result<bool, DedupeError> {
        let (retry, garbage) = (self.now_us >= self.retry_at_us, Arc::clone(&self.garbage));
        let background = Arc::clone(&self.config.background);
        let Some((partition, order)) = self.order(place) else { return Ok(true) };
        match &mut partition.frozen {
            Some(frozen) if retry && matches!(frozen.progress, Progress::Failed) => frozen.write(order),
            _ => {}
        }
        if let Some(table) = partition.proceed(budget, &mut garbage.lock())? {
            // Giving tens of megabytes back to the system takes its time as well.
            background(Box::new(move || drop(table)));
        }
        Ok(partition.frozen.is_none())
    }

    /// A partition, and what a flush of it needs.
    fn order(&mut self, place: Place) -> Option<(&mut Partition, FlushPlace<'_>)> {
        let name = run_name(self.next_run);
        let (day, seed) = (self.now / 24, self.seed);
        let Self { by_hour, other, config, next_run, .. } = self;
        let (hour, partition) = match place {
            Place::Other => (None, other),
            Place::Hour(hour) => (Some(hour), by_hour.get_mut(&hour)?),
        };
        *next_run += 1;
        let (disk, background) = (&config.disk, &config.background);
        Some((partition, FlushPlace { disk, background, name, hour, day, seed }))
    }

    fn partitions(&self) -> impl Iterator<Item = (Option<u32>, &Partition)> {
        let by_hour = self.by_hour.iter().map(|(hour, partition)| (Some(*hour), partition));
        by_hour.chain([(None, &self.other)])
    }
}

fn run_name(number: u64) -> String {
    format!("{number:016x}.ids")
}

/// The hour of log time, counted from 1970.
fn hour_of_us(us: i64) -> u32 {
    u32::try_from(us / HOUR_US).unwrap_or(0)
}

/// The hour a UUIDv7 was made in by its own account.
fn own_hour(id: EventId) -> Option<u32> {
    let is_v7 = id.0[6] >> 4 == 7 && id.0[8] >> 6 == 0b10;
    let mut ms = [0_u8; 8];
    ms[2..].copy_from_slice(&id.0[..6]);
    is_v7.then(|| (u64::from_be_bytes(ms) / HOUR_MS) as u32)
}

#[cfg(test)]
mod tests;
