//! A memtable on its way to disk: frozen, still answering, until its run is durable and its filter knows every id.

use std::sync::Arc;

use crossbeam_channel::{Receiver, TryRecvError, bounded};

use super::io::DedupeError;
use super::memtable::{Entry, Memtable};
use super::run::{Run, RunMeta};
use crate::background::Background;
use crate::disk::Disk;

/// What a flush needs besides the ids.
pub(crate) struct FlushPlace<'a> {
    pub(crate) disk: &'a Arc<dyn Disk>,
    pub(crate) background: &'a Background,
    /// The run's name, never used before.
    pub(crate) name: String,
    /// The ids' own hour, if they are kept by it.
    pub(crate) hour: Option<u32>,
    /// The day of log time whose filter will know it.
    pub(crate) day: u32,
    pub(crate) seed: u64,
}

/// A run on disk that its filter does not know yet.
pub(crate) struct Written {
    pub(crate) run: Run,
    /// The hashes of its ids.
    pub(crate) hashes: Vec<u64>,
    /// How many of them the filter knows.
    pub(crate) known: usize,
    /// The day of log time whose filter it is.
    pub(crate) day: u32,
}

/// How far a frozen memtable has come.
pub(crate) enum Progress {
    /// The run is being written.
    Writing(Receiver<Result<Written, DedupeError>>),
    /// It could not be written; it can be tried again.
    Failed,
    /// It is on disk.
    Written(Box<Written>),
}

/// See the module.
pub(crate) struct Frozen {
    pub(crate) table: Arc<Memtable>,
    /// The log positions whose ids it carries: after `from`, up to `to`.
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) progress: Progress,
}

impl Frozen {
    /// Begins, or begins again, to write the run.
    pub(crate) fn write(&mut self, place: FlushPlace<'_>) {
        let (sender, receiver) = bounded(1);
        let (table, from, to) = (Arc::clone(&self.table), self.from, self.to);
        let FlushPlace { disk, background, name, hour, day, seed } = place;
        let disk = Arc::clone(disk);
        background(Box::new(move || {
            let entries = table.sorted();
            let written = write_run(disk.as_ref(), name, hour, (from, to), &entries);
            let hashes = || entries.iter().map(|entry| entry.key.hash(seed)).collect();
            let written = written.map(|run| Written { run, hashes: hashes(), known: 0, day });
            sender.send(written).ok(); // Nobody waits for it only when the index is gone.
        }));
        self.progress = Progress::Writing(receiver);
    }

    /// Looks whether the run has been written.
    pub(crate) fn poll(&mut self) -> Result<(), DedupeError> {
        let Progress::Writing(receiver) = &self.progress else { return Ok(()) };
        let result = match receiver.try_recv() {
            Ok(result) => result,
            Err(TryRecvError::Empty) => return Ok(()),
            Err(TryRecvError::Disconnected) => Err(DedupeError::Abandoned),
        };
        let written = result.inspect_err(|_| self.progress = Progress::Failed)?;
        self.progress = Progress::Written(Box::new(written));
        Ok(())
    }
}

fn write_run(
    disk: &dyn Disk,
    name: String,
    hour: Option<u32>,
    (from, to): (u64, u64),
    entries: &[Entry],
) -> Result<Run, DedupeError> {
    let hours = || entries.iter().map(|entry| entry.hour);
    let (oldest, newest) = (hours().min().unwrap_or(0), hours().max().unwrap_or(0));
    let meta = RunMeta { hour, ids: entries.len() as u64, from, to, oldest, newest };
    Run::write(disk, name, meta, entries)
}
