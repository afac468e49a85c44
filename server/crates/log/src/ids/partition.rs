//! One partition of the id index: a memtable, one on its way to disk, and sealed generations of runs behind a
//! filter each.

use std::sync::Arc;

use super::bloom::Bloom;
use super::flush::{FlushPlace, Frozen, Progress, Written};
use super::io::DedupeError;
use super::memtable::{Entry, Key, Memtable};
use super::run::Run;
use crate::disk::Disk;

/// Runs flushed on one day of log time. A filter cannot forget, so a generation expires as a whole.
struct Generation {
    day: u32,
    newest: u32,
    filter: Bloom,
    runs: Vec<Run>,
}

/// See the module.
pub(crate) struct Partition {
    pub(crate) memtable: Memtable,
    pub(crate) frozen: Option<Frozen>,
    /// No id of the memtable was stored before this hour.
    oldest: u32,
    /// The memtable holds ids from behind this log position.
    pub(crate) from: u64,
    bits_per_id: usize,
    generations: Vec<Generation>,
}

impl Partition {
    pub(crate) fn new(from: u64, bits_per_id: usize) -> Self {
        let memtable = Memtable::default();
        Self { memtable, frozen: None, oldest: u32::MAX, from, bits_per_id, generations: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.memtable.len() == 0 && self.frozen.is_none() && self.generations.is_empty()
    }

    /// Whether `key` was stored in `since` or later.
    pub(crate) fn holds(&self, hash: u64, key: &Key, since: u32) -> Result<bool, DedupeError> {
        let frozen = self.frozen.as_ref().map(|frozen| frozen.table.as_ref());
        let mut tables = [Some(&self.memtable), frozen].into_iter().flatten();
        if tables.any(|table| table.get(hash, key).is_some_and(|hour| hour >= since)) {
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

    /// Drops what was stored before `since`; the names of expired runs go to `garbage`.
    pub(crate) fn expire(&mut self, since: u32, garbage: &mut Vec<String>) {
        if self.oldest < since {
            self.memtable.forget_before(since);
            self.oldest = since;
        }
        let expired = self.generations.extract_if(.., |generation| generation.newest < since);
        garbage.extend(expired.flat_map(|generation| generation.runs).map(|run| run.name));
    }

    /// Freezes the memtable, which reaches up to log position `to`, and has it written. Only one is on its way at a
    /// time: `false` if there is one already.
    pub(crate) fn flush(&mut self, to: u64, place: FlushPlace<'_>) -> bool {
        if self.frozen.is_some() {
            return false;
        }
        let table = Arc::new(self.memtable.take());
        let mut frozen = Frozen { table, from: self.from, to, progress: Progress::Failed };
        frozen.write(place);
        self.frozen = Some(frozen);
        self.oldest = u32::MAX;
        self.from = to;
        true
    }

    /// Lets the frozen memtable come further: tells the filter at most `budget` ids, which is reduced by that. Hands
    /// back the table when it is no longer needed.
    pub(crate) fn proceed(
        &mut self,
        budget: &mut usize,
        garbage: &mut Vec<String>,
    ) -> Result<Option<Arc<Memtable>>, DedupeError> {
        let Some(frozen) = &mut self.frozen else { return Ok(None) };
        frozen.poll()?;
        let Progress::Written(written) = &mut frozen.progress else { return Ok(None) };
        let first_step = written.known == 0;
        let generation = generation(&mut self.generations, written, first_step, self.bits_per_id);
        let step = written.hashes.len().min(written.known + *budget);
        let news = &written.hashes[written.known..step];
        *budget -= news.len();
        written.known = step;
        if let Some(generation) = generation {
            news.iter().for_each(|&hash| generation.filter.insert(hash));
        }
        if written.known < written.hashes.len() {
            return Ok(None);
        }
        Ok(self.adopt(garbage))
    }

    /// The filter knows every id: from now on the run answers.
    fn adopt(&mut self, garbage: &mut Vec<String>) -> Option<Arc<Memtable>> {
        let Frozen { table, progress, .. } = self.frozen.take()?;
        if let Progress::Written(written) = progress {
            match self.generations.iter_mut().find(|one| one.day == written.day) {
                Some(generation) => generation.runs.push(written.run),
                None => garbage.push(written.run.name), // All of it expired meanwhile.
            }
        }
        Some(table)
    }

    /// Opens a run of an earlier process and takes it in.
    pub(crate) fn reopen(
        &mut self,
        disk: &dyn Disk,
        name: String,
        seed: u64,
        log_end: u64,
    ) -> Result<(), DedupeError> {
        let mut hashes = Vec::new();
        let run = Run::open(disk, name, |entry| hashes.push(entry.key.hash(seed)))?;
        if run.meta.to > log_end {
            return Err(DedupeError::AheadOfLog { file: run.name, covers: run.meta.to, log_end });
        }
        let day = run.meta.newest / 24;
        let written = Written { run, hashes, known: 0, day };
        if let Some(generation) = generation(&mut self.generations, &written, true, self.bits_per_id) {
            written.hashes.iter().for_each(|&hash| generation.filter.insert(hash));
            generation.runs.push(written.run);
        }
        Ok(())
    }

    /// The names of its runs, oldest first.
    pub(crate) fn run_names(&self) -> impl Iterator<Item = &String> {
        self.generations.iter().flat_map(|generation| &generation.runs).map(|run| &run.name)
    }

    /// Ids in memory.
    pub(crate) fn in_memory(&self) -> usize {
        self.memtable.len() + self.frozen.as_ref().map_or(0, |frozen| frozen.table.len())
    }

    /// Bytes of its filters.
    pub(crate) fn filter_bytes(&self) -> usize {
        self.generations.iter().map(|generation| generation.filter.bytes()).sum()
    }
}

/// The generation that a run belongs to, made if it is the run's first step. `None` if it has expired since.
fn generation<'a>(
    generations: &'a mut Vec<Generation>,
    written: &Written,
    first_step: bool,
    bits_per_id: usize,
) -> Option<&'a mut Generation> {
    if first_step && generations.iter().all(|one| one.day != written.day) {
        let filter = Bloom::new(written.hashes.len(), bits_per_id);
        generations.push(Generation { day: written.day, newest: 0, filter, runs: Vec::new() });
    }
    let generation = generations.iter_mut().find(|one| one.day == written.day)?;
    generation.newest = generation.newest.max(written.run.meta.newest);
    Some(generation)
}
