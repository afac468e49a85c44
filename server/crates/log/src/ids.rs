//! Stored event ids of the last 72 hours of log time: exact, per project.
//!
//! An id is remembered together with the log hour in which it was stored last; it counts as stored while
//! that hour is at most the horizon old. So it is remembered for at least the horizon, and less than an
//! hour longer, and what is still lying in a file never makes a false duplicate.
//!
//! A UUIDv7 names its own hour, which keeps its search to one partition. Ids whose hour is far from the
//! log's (a phone that was off for a month, a clock in the future) and ids of other kinds share one
//! partition with one filter per day; otherwise a sender could open a partition for each hour there ever
//! was. Newest ids lie in memory; large memtables become sorted runs on disk behind a filter.

mod bloom;
pub(crate) mod io;
mod memtable;
mod partition;
mod run;

use std::fs;
use std::hash::BuildHasher;
use std::path::PathBuf;

use footpath_model::id::EventId;
use hashbrown::{DefaultHashBuilder, HashMap, HashSet};

pub use io::DedupeError;
use io::{Reader, named};
use memtable::{Entry, Key};
use partition::Partition;

const HOUR_US: i64 = 3_600_000_000;
const HOUR_MS: u64 = 3_600_000;
/// Measured: 9 bits an id give 3 % false hits over 8 runs; a hit costs a read.
const BITS_NEAR: usize = 20;
const BITS_OTHER: usize = 12;
/// A memtable that cannot be flushed grows to this many times its normal size, then ids are refused.
const FULL_AT: usize = 4;

/// Where and how ids are kept.
#[derive(Debug, Clone)]
pub struct IdConfig {
    /// The folder of the runs; nothing else may lie in it.
    pub run_dir: PathBuf,
    /// Ids in a memtable at which it becomes a run.
    pub flush_at: usize,
    /// The same for hours that are over, so that 146 of them do not fill the memory.
    pub flush_cold_at: usize,
    /// For how many hours of log time an id is remembered.
    pub horizon_hours: u32,
}

impl IdConfig {
    /// One million ids (about 30 MB) a memtable, 72 hours.
    pub fn new(run_dir: impl Into<PathBuf>) -> Self {
        Self { run_dir: run_dir.into(), flush_at: 1_000_000, flush_cold_at: 16_384, horizon_hours: 72 }
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

#[derive(Debug, Clone, Copy)]
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

/// See the module.
#[derive(Debug)]
pub struct IdIndex {
    config: IdConfig,
    seed: u64,
    now: u32,
    position: u64,
    next_run: u64,
    by_hour: HashMap<u32, Partition>,
    other: Partition,
    /// The latest own hour of an id that was ahead of the log when it was stored.
    latest_ahead: Option<u32>,
    undo: Vec<Undo>,
    /// Partitions that want a flush, looked at when a group commits.
    large: Vec<Place>,
    hour_turned: bool,
    /// Files of expired runs: the last snapshot still names them.
    garbage: Vec<PathBuf>,
}

impl IdIndex {
    /// An empty index. Creates the folder and removes the runs in it.
    ///
    /// # Errors
    /// `Io` if the folder cannot be made or read.
    pub fn create(config: IdConfig) -> Result<Self, DedupeError> {
        let index = Self::empty(config)?;
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

    /// The staged ids are in the log, which now reaches `position`. Flushes what is large.
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
        let mut result = Ok(());
        while let Some(place) = self.large.pop() {
            result = result.and(self.flush(place));
        }
        result
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
        self.partitions().map(|(_, partition)| partition.memtable.len()).sum()
    }

    /// Runs on disk that are in use.
    pub fn runs(&self) -> usize {
        self.partitions().map(|(_, partition)| partition.run_files().count()).sum()
    }

    /// Bytes of all filters.
    pub fn filter_bytes(&self) -> usize {
        self.partitions().map(|(_, partition)| partition.filter_bytes()).sum()
    }

    pub(crate) fn has_staged(&self) -> bool {
        !self.undo.is_empty()
    }

    fn empty(config: IdConfig) -> Result<Self, DedupeError> {
        fs::create_dir_all(&config.run_dir).map_err(named(&config.run_dir))?;
        Ok(Self {
            seed: DefaultHashBuilder::default().hash_one(0),
            now: 0,
            position: 0,
            next_run: 0,
            by_hour: HashMap::new(),
            other: Partition::new(0, config.flush_at, BITS_OTHER),
            latest_ahead: None,
            undo: Vec::new(),
            large: Vec::new(),
            hour_turned: false,
            garbage: Vec::new(),
            config,
        })
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
            Place::Hour(hour) => self
                .by_hour
                .entry(hour)
                .or_insert_with(|| Partition::new(self.position, self.config.flush_at, BITS_NEAR)),
        }
    }

    fn enter(&mut self, place: Place, own_hour: Option<u32>, hash: u64, entry: Entry) -> Option<u32> {
        if matches!(place, Place::Other) && own_hour.is_some_and(|hour| hour > self.now) {
            self.latest_ahead = self.latest_ahead.max(own_hour);
        }
        let seed = self.seed;
        let partition = self.partition_mut(place);
        let before = partition.enter(hash, entry, seed);
        if before.is_none() && partition.memtable.len() == partition.flush_at {
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
        let garbage = &mut self.garbage;
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

    fn flush(&mut self, place: Place) -> Result<(), DedupeError> {
        let path = self.run_path(self.next_run);
        self.next_run += 1;
        let (to, now, seed, step) = (self.position, self.now, self.seed, self.config.flush_at);
        let (hour, partition) = match place {
            Place::Other => (None, &mut self.other),
            Place::Hour(hour) => match self.by_hour.get_mut(&hour) {
                Some(partition) => (Some(hour), partition),
                None => return Ok(()),
            },
        };
        let result = partition.flush(path, hour, to, now, seed);
        // After a failure, not at every commit: sorting a million ids takes its time.
        partition.flush_at = partition.memtable.len() + if result.is_ok() { step } else { step / 4 + 1 };
        result
    }

    fn partitions(&self) -> impl Iterator<Item = (Option<u32>, &Partition)> {
        let by_hour = self.by_hour.iter().map(|(hour, partition)| (Some(*hour), partition));
        by_hour.chain([(None, &self.other)])
    }

    fn run_path(&self, number: u64) -> PathBuf {
        self.config.run_dir.join(format!("{number:016x}.ids"))
    }

    /// Removes files that no snapshot names: the log's tail is replayed and brings their ids back.
    fn remove_strays(&self) -> Result<(), DedupeError> {
        let dir = &self.config.run_dir;
        let used: HashSet<&PathBuf> = self.partitions().flat_map(|(_, one)| one.run_files()).collect();
        for file in fs::read_dir(dir).map_err(named(dir))? {
            let path = file.map_err(named(dir))?.path();
            let is_ours = path.extension().is_some_and(|name| name == "ids" || name == "tmp");
            if is_ours && !used.contains(&path) {
                fs::remove_file(&path).map_err(named(&path))?;
            }
        }
        Ok(())
    }

    /// A snapshot that no longer names the expired runs is on disk: removes their files. What cannot be
    /// removed now is removed at the next start.
    pub(crate) fn remove_garbage(&mut self) {
        for path in self.garbage.drain(..) {
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(%error, "an expired run of ids could not be removed");
            }
        }
    }

    /// Appends everything that is not in runs, and the names of the runs.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.now.to_le_bytes());
        out.extend_from_slice(&self.latest_ahead.map_or(0, |hour| hour + 1).to_le_bytes());
        out.extend_from_slice(&self.next_run.to_le_bytes());
        out.extend_from_slice(&(self.partitions().count() as u32).to_le_bytes());
        for (hour, partition) in self.partitions() {
            out.push(u8::from(hour.is_some()));
            out.extend_from_slice(&hour.unwrap_or(0).to_le_bytes());
            out.extend_from_slice(&partition.from.to_le_bytes());
            out.extend_from_slice(&(partition.run_files().count() as u32).to_le_bytes());
            for path in partition.run_files() {
                let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
                out.extend_from_slice(&u64::from_str_radix(stem, 16).unwrap_or(u64::MAX).to_le_bytes());
            }
            out.extend_from_slice(&(partition.memtable.len() as u64).to_le_bytes());
            for entry in partition.memtable.iter() {
                out.extend_from_slice(&entry.key.0);
                out.extend_from_slice(&entry.hour.to_le_bytes());
            }
        }
    }

    /// Reads what [`Self::encode`] wrote and opens the runs it names. `Ok(None)` if the bytes make no sense.
    pub(crate) fn decode(
        reader: &mut Reader<'_>,
        config: IdConfig,
        position: u64,
        log_end: u64,
    ) -> Result<Option<Self>, DedupeError> {
        let mut index = Self::empty(config)?;
        index.position = position;
        let mut head = || Some((reader.u32()?, reader.u32()?, reader.u64()?, reader.u32()?));
        let Some((now, latest_ahead, next_run, partitions)) = head() else { return Ok(None) };
        (index.now, index.next_run) = (now, next_run);
        index.latest_ahead = latest_ahead.checked_sub(1);
        for _ in 0..partitions {
            let Some((place, runs)) = index.decode_partition(reader) else { return Ok(None) };
            for number in runs {
                let path = index.run_path(number);
                let seed = index.seed;
                index.partition_mut(place).reopen(path, seed, log_end)?;
            }
        }
        index.remove_strays()?;
        Ok(Some(index))
    }

    fn decode_partition(&mut self, reader: &mut Reader<'_>) -> Option<(Place, Vec<u64>)> {
        let kept_by_hour = reader.u8()? == 1;
        let hour = reader.u32()?;
        let place = if kept_by_hour { Place::Hour(hour) } else { Place::Other };
        let from = reader.u64()?;
        let runs = reader.u32()?;
        let runs = (0..runs).map(|_| reader.u64()).collect::<Option<Vec<_>>>()?;
        let ids = reader.u64()?;
        self.partition_mut(place).from = from;
        for _ in 0..ids {
            let entry = Entry { key: Key(reader.array()?), hour: reader.u32()? };
            // `latest_ahead` is already what it was; only the memtable is filled here.
            let hash = entry.key.hash(self.seed);
            self.enter(place, None, hash, entry);
        }
        Some((place, runs))
    }
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
