//! The log without a disk, for tests of what stands on it. "Durable" means as long as the process.

use crate::{Entry, Log, LogError, Record};
use parking_lot::RwLock;
use std::collections::VecDeque;
use tokio::sync::watch;

/// The in-memory implementation of [`Log`]; trims exactly.
pub struct MemoryLog {
    records: RwLock<VecDeque<Record>>,
    end: watch::Sender<u64>,
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self { records: RwLock::default(), end: watch::Sender::new(0) }
    }
}

impl Log for MemoryLog {
    fn append_group(&self, entries: &[Entry]) -> Result<u64, LogError> {
        let mut records = self.records.write();
        let first = *self.end.borrow();
        let numbered = entries.iter().zip(first..).map(|(entry, offset)| Record {
            offset,
            append_time_us: entry.append_time_us,
            payload: entry.payload.clone(),
        });
        records.extend(numbered);
        self.end.send_replace(first + entries.len() as u64);
        Ok(first)
    }

    fn read(&self, from: u64, max_bytes: usize) -> Result<Vec<Record>, LogError> {
        let records = self.records.read();
        let end = *self.end.borrow();
        let first = records.front().map_or(end, |r| r.offset);
        if from < first {
            return Err(LogError::Trimmed { first });
        }
        if from > end {
            return Err(LogError::Beyond { from, end });
        }
        let mut bytes = 0;
        let wanted = records.iter().skip((from - first) as usize).take_while(|record| {
            let alone = bytes == 0;
            bytes += record.payload.len().max(1);
            alone || bytes <= max_bytes
        });
        Ok(wanted.cloned().collect())
    }

    fn durable_end(&self) -> u64 {
        *self.end.borrow()
    }

    fn first(&self) -> u64 {
        self.records.read().front().map_or_else(|| self.durable_end(), |r| r.offset)
    }

    fn trim(&self, below: u64) -> Result<(), LogError> {
        let mut records = self.records.write();
        while records.front().is_some_and(|record| record.offset < below) {
            records.pop_front();
        }
        Ok(())
    }

    fn subscribe(&self) -> watch::Receiver<u64> {
        self.end.subscribe()
    }

    fn last_append_time_us(&self) -> i64 {
        self.records.read().back().map_or(i64::MIN, |r| r.append_time_us)
    }

    fn recover(&self) -> Result<(), LogError> {
        Ok(())
    }
}
