//! What a client says about itself.

use crate::error::PauseReason;

/// Counts since the client was built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Events that `track` took.
    pub tracked: u64,
    /// Events that `track` refused because the queue was full.
    pub refused_full: u64,
    /// Events committed to the queue.
    pub committed: u64,
    /// Events the server acknowledged: stored + duplicates.
    pub acked: u64,
    /// Acknowledged events that this client's batches stored.
    pub stored: u64,
    /// Acknowledged events that an earlier attempt had stored.
    pub duplicates: u64,
    /// Events the server will never take; their numbers are reported as lost.
    pub rejected: u64,
    /// Queue rows that could not be read any more; their numbers are reported as lost.
    pub corrupt: u64,
    /// Events that wait: in the queue, or in the channel to it.
    pub pending: u64,
    /// Batches handed to the transport, repetitions included.
    pub sends: u64,
    /// Batches handed to the transport once more.
    pub resends: u64,
    /// Failed attempts to write the queue; the events stay in memory and are tried again.
    pub commit_failures: u64,
    /// The last failure, for people.
    pub last_error: Option<String>,
    /// Why delivery is paused, when it is.
    pub paused: Option<PauseReason>,
}

/// How a flush ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlushResult {
    /// Events acknowledged while the flush ran.
    pub acked: u64,
    /// Events rejected while the flush ran.
    pub rejected: u64,
    /// Events that still wait. They are kept and will be sent.
    pub pending: u64,
    /// Whether everything tracked before the flush has reached its end.
    pub complete: bool,
    /// Why delivery is paused, when it is.
    pub paused: Option<PauseReason>,
}
