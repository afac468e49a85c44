//! The event log and its sequencer: group commit, duplicates, recovery.
//!
//! A frame enters through the [`sequencer`], which forms groups, has them judged in log order and appends each
//! group to a [`Log`] with one sync. Only then is anyone told. Consumers pull with [`Log::read`] from a position
//! they own; [`Log::wait`] tells when there is more.

use bytes::Bytes;
use std::io;
use std::time::Duration;

mod background;
#[cfg(test)]
mod conformance;
pub mod dedupe;
pub mod disk;
mod embedded;
mod gaps;
mod ids;
mod keeper;
mod memory;
mod pages;
mod recent;
mod recovery;
mod segment;
pub mod sequencer;
pub mod streams;

pub use background::{Background, Job, background_thread, join, lower_priority};
pub use disk::{RealDisk, SimDisk, WriteMode};
pub use embedded::{EmbeddedLog, EmbeddedOptions};
pub use gaps::{Gap, Missing, NAMED_RANGES};
pub use keeper::SpareKeeper;
pub use memory::MemoryLog;
pub use pages::{Page, READ_BYTES, pages};
pub use sequencer::{CommitError, Committed, Judge, Judged, Limits, Metrics, Sequencer, SequencerHandle};
pub use streams::StreamKey;

/// One payload to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Microseconds since 1970 at which the sequencer took it; never falls along the log.
    pub append_time_us: i64,
    /// Opaque to the log; at most 4 GiB, in practice a frame of one project's batch.
    pub payload: Bytes,
}

/// One payload as read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number in the log: dense, from 0.
    pub offset: u64,
    /// Microseconds since 1970 at which it was appended.
    pub append_time_us: i64,
    /// The bytes as appended.
    pub payload: Bytes,
}

/// Why the log refused.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// No space left: nothing of the group was stored. Free space; later appends then work by themselves.
    #[error("the disk is full, nothing was stored; free space and send again")]
    Full,
    /// A write or sync failed, so the log takes nothing until [`Log::recover`] has moved to a fresh segment.
    #[error("the log stopped after a failed write or sync ({0}); it must be recovered before it takes more")]
    Failed(String),
    /// The wanted position has been trimmed; go on from `first`, and mark the gap.
    #[error("the log was trimmed: the first readable offset is {first}")]
    Trimmed {
        /// The first offset that can still be read.
        first: u64,
    },
    /// The wanted position lies behind the end: the reader's position belongs to another log.
    #[error("offset {from} is beyond the end of the log at {end}; the position is from another log")]
    Beyond {
        /// What was asked for.
        from: u64,
        /// The next offset to be written.
        end: u64,
    },
    /// Data that was durable is damaged. Restore this file from a backup; the log does not guess.
    #[error("{file} is damaged at byte {position}, below the durable floor; restore it from a backup")]
    Corrupt {
        /// Name of the file.
        file: String,
        /// Byte position of the damaged header or group.
        position: u64,
    },
    /// Written by a newer build.
    #[error("{file} has format version {version}, this build reads up to {supported}; upgrade footpath")]
    NewerFormat {
        /// Name of the file.
        file: String,
        /// The version found.
        version: u16,
        /// The newest version this build reads.
        supported: u16,
    },
    /// The group does not fit into a segment; split it.
    #[error("the group takes {bytes} bytes, a segment holds {limit}; split it")]
    TooLarge {
        /// Bytes the group would take.
        bytes: usize,
        /// Bytes available in an empty segment.
        limit: usize,
    },
    /// Opening or reading failed; the message is the system's.
    #[error("log IO: {0}")]
    Io(#[from] io::Error),
}

/// An append-only log with one writer and many readers.
///
/// Laws, checked by one suite over every implementation: offsets are dense; a group is all there or not at all; what
/// [`Log::append_group`] acknowledged is readable until trimmed, also after a power loss; a reader never sees
/// what is not durable; a refused group leaves no trace.
pub trait Log: Send + Sync + 'static {
    /// Appends and syncs a group and returns the offset of its first entry. Durable on return.
    ///
    /// # Errors
    /// [`LogError::Full`], [`LogError::Failed`], [`LogError::TooLarge`]; then nothing was stored.
    fn append_group(&self, entries: &[Entry]) -> Result<u64, LogError>;

    /// Durable records from `from` on, up to `max_bytes` of payload but at least one; empty at the end.
    ///
    /// # Errors
    /// [`LogError::Trimmed`], [`LogError::Beyond`], [`LogError::Corrupt`], [`LogError::Io`].
    fn read(&self, from: u64, max_bytes: usize) -> Result<Vec<Record>, LogError>;

    /// The offset after the last durable record: the next one to be written.
    fn durable_end(&self) -> u64;

    /// The first offset that can be read.
    fn first(&self) -> u64;

    /// Allows everything below `below` to be dropped. An implementation may keep more (whole segments), never less.
    ///
    /// # Errors
    /// [`LogError::Io`]; the log stays usable.
    fn trim(&self, below: u64) -> Result<(), LogError>;

    /// Blocks until there is something durable at `from`, at most for so long; may return early.
    fn wait(&self, from: u64, at_most: Duration) {
        if self.durable_end() <= from {
            std::thread::sleep(at_most);
        }
    }

    /// Append time of the last durable record, so that time never falls across a restart; `i64::MIN` when unknown.
    fn last_append_time_us(&self) -> i64;

    /// Makes the log take appends again after [`LogError::Full`] or [`LogError::Failed`]; does nothing when healthy.
    ///
    /// # Errors
    /// The reason why it still cannot.
    fn recover(&self) -> Result<(), LogError>;
}
