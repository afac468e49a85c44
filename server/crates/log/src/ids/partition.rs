//! One partition of the id index: a memtable, and sealed generations of runs behind a filter each.

use std::path::PathBuf;

use super::bloom::Bloom;
use super::io::DedupeError;
use super::memtable::{Entry, Key, Memtable};
use super::run::{Run, RunMeta};

/// Runs flushed on one day of log time. A filter cannot forget, so a generation expires as a whole.
#[derive(Debug)]
struct Generation {
    day: u32,
    newest: u32,
    filter: Bloom,
    runs: Vec<Run>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) memtable: Memtable,
    /// No id of the memtable was stored before this hour.
    oldest: u32,
    /// The memtable holds ids from behind this log position.
    pub(crate) from: u64,
    /// The memtable's size at which it is flushed next; moved on when a flush fails.
    pub(crate) flush_at: usize,
    bits_per_id: usize,
    generations: Vec<Generation>,
}

impl Partition {
    pub(crate) fn new(from: u64, flush_at: usize, bits_per_id: usize) -> Self {
        let memtable = Memtable::default();
        Self { memtable, oldest: u32::MAX, from, flush_at, bits_per_id, generations: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.memtable.len() == 0 && self.generations.is_empty()
    }

    /// Whether `key` was stored in `since` or later.
    pub(crate) fn holds(&self, hash: u64, key: &Key, since: u32) -> Result<bool, DedupeError> {
        if self.memtable.get(hash, key).is_some_and(|hour| hour >= since) {
            return Ok(true);
        }
        for generation in self.generations.iter().rev() {
            if !generation.filter.contains(hash) {
                continue;
            }
            for run in generation.runs.iter().rev() {
                if run.find(key)?.is_some_and(|hour| hour >= since) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Enters an id and returns the hour the memtable had for it.
    pub(crate) fn enter(&mut self, hash: u64, entry: Entry, seed: u64) -> Option<u32> {
        self.oldest = self.oldest.min(entry.hour);
        self.memtable.set(hash, entry, seed)
    }

    /// Takes back what [`Self::enter`] did.
    pub(crate) fn take_back(&mut self, hash: u64, key: Key, before: Option<u32>, seed: u64) {
        match before {
            Some(hour) => {
                self.enter(hash, Entry { key, hour }, seed);
            }
            None => self.memtable.remove(hash, &key),
        }
    }

    /// Drops what was stored before `since`; the files of expired runs go to `garbage`.
    pub(crate) fn expire(&mut self, since: u32, garbage: &mut Vec<PathBuf>) {
        if self.oldest < since {
            self.memtable.forget_before(since);
            self.oldest = since;
        }
        let expired = self.generations.extract_if(.., |generation| generation.newest < since);
        garbage.extend(expired.flat_map(|generation| generation.runs).map(|run| run.path));
    }

    /// Writes the memtable to a run at `path` and empties it. After an error it is as it was.
    pub(crate) fn flush(
        &mut self,
        path: PathBuf,
        hour: Option<u32>,
        to: u64,
        now: u32,
        seed: u64,
    ) -> Result<(), DedupeError> {
        let entries = self.memtable.sorted();
        let hours = || entries.iter().map(|entry| entry.hour);
        let (Some(oldest), Some(newest)) = (hours().min(), hours().max()) else { return Ok(()) };
        let meta = RunMeta { hour, ids: entries.len() as u64, from: self.from, to, oldest, newest };
        let run = Run::write(&path, meta, &entries)?;
        self.adopt(run, now / 24, entries.iter().map(|entry| entry.key.hash(seed)));
        self.memtable.clear();
        self.oldest = u32::MAX;
        self.from = to;
        Ok(())
    }

    /// Takes in a run with the hashes of its ids.
    fn adopt(&mut self, run: Run, day: u32, hashes: impl Iterator<Item = u64>) {
        if self.generations.last().is_none_or(|last| last.day != day) {
            let filter = Bloom::new(run.meta.ids as usize, self.bits_per_id);
            self.generations.push(Generation { day, newest: 0, filter, runs: Vec::new() });
        }
        if let Some(generation) = self.generations.last_mut() {
            generation.newest = generation.newest.max(run.meta.newest);
            hashes.for_each(|hash| generation.filter.insert(hash));
            generation.runs.push(run);
        }
    }

    /// Opens a run of an earlier process and takes it in.
    pub(crate) fn reopen(&mut self, path: PathBuf, seed: u64, log_end: u64) -> Result<(), DedupeError> {
        let mut hashes = Vec::new();
        let run = Run::open(&path, |entry| hashes.push(entry.key.hash(seed)))?;
        if run.meta.to > log_end {
            return Err(DedupeError::AheadOfLog { path, covers: run.meta.to, log_end });
        }
        let day = run.meta.newest / 24;
        self.adopt(run, day, hashes.into_iter());
        Ok(())
    }

    /// The files of its runs, oldest first.
    pub(crate) fn run_files(&self) -> impl Iterator<Item = &PathBuf> {
        self.generations.iter().flat_map(|generation| &generation.runs).map(|run| &run.path)
    }

    /// Bytes of its filters.
    pub(crate) fn filter_bytes(&self) -> usize {
        self.generations.iter().map(|generation| generation.filter.bytes()).sum()
    }
}
