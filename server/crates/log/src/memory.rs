//! The log without a disk, for tests of what stands on it. "Durable" means as long as the process.

use crate::recent::Recent;
use crate::{Entry, Log, LogError, Record};
use parking_lot::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The in-memory implementation of [`Log`]; trims exactly.
pub struct MemoryLog {
    records: RwLock<Recent>,
    end: AtomicU64,
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self { records: RwLock::new(Recent::new(usize::MAX)), end: AtomicU64::new(0) }
    }
}

impl Log for MemoryLog {
    fn append_group(&self, entries: &[Entry]) -> Result<u64, LogError> {
        let mut records = self.records.write();
        let first = self.durable_end();
        records.push(first, entries);
        self.end.store(first + entries.len() as u64, Ordering::Release);
        Ok(first)
    }

    fn read(&self, from: u64, max_bytes: usize) -> Result<Vec<Record>, LogError> {
        let records = self.records.read();
        let end = self.durable_end();
        let first = records.first().unwrap_or(end);
        if from < first {
            return Err(LogError::Trimmed { first });
        }
        if from > end {
            return Err(LogError::Beyond { from, end });
        }
        Ok(records.read(from, max_bytes).unwrap_or_default())
    }

    fn durable_end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    fn first(&self) -> u64 {
        self.records.read().first().unwrap_or_else(|| self.durable_end())
    }

    fn trim(&self, below: u64) -> Result<(), LogError> {
        self.records.write().trim(below);
        Ok(())
    }

    fn last_append_time_us(&self) -> i64 {
        self.records.read().last_append_time_us().unwrap_or(i64::MIN)
    }

    fn recover(&self) -> Result<(), LogError> {
        Ok(())
    }
}
