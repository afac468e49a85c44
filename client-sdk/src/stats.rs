//! What a client says about itself.

use crate::error::PauseReason;
use crate::offset::ClockOffset;

/// Counts since the client was built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Events that `track` took.
    pub tracked: u64,
    /// Events and calls that can never be right.
    pub invalid: u64,
    /// Events that are larger than the server takes.
    pub too_large: u64,
    /// Events and calls that came after `shutdown`, or after a bug of the client's own.
    pub after_close: u64,
    /// Events that `track` refused because the queue was full.
    pub refused_full: u64,
    /// Events that were left out: no consent, not in the sample, or, of those tracked before the storage was open, too large
    /// with what every event carries.
    pub not_wanted: u64,
    /// Events moved into the database.
    pub committed: u64,
    /// Events the server acknowledged: stored + duplicates.
    pub acked: u64,
    /// Acknowledged events that this client's batches stored.
    pub stored: u64,
    /// Acknowledged events that an earlier attempt had stored.
    pub duplicates: u64,
    /// Events the server will never take; their numbers are reported as lost.
    pub rejected: u64,
    /// Events let go because of age, space or withdrawn consent; their numbers are reported as lost.
    pub evicted: u64,
    /// Events in the database that could not be read any more, or whose key is gone; their numbers are reported as lost.
    pub unreadable: u64,
    /// Times that a part of the ring could not be read: a power loss or a damaged file took what was in it.
    pub torn: u64,
    /// Events that wait: in the database, in the ring, or in memory until the storage is open.
    pub pending: u64,
    /// Their size in the database, in bytes.
    pub pending_bytes: u64,
    /// Batches handed out, repetitions included.
    pub sends: u64,
    /// Batches handed out once more.
    pub resends: u64,
    /// Bytes handed out, before compression.
    pub sent_bytes: u64,
    /// Failed attempts to write the queue; the events stay in the ring and are tried again.
    pub commit_failures: u64,
    /// The last failure, for people.
    pub last_error: Option<String>,
    /// Why delivery is paused, when it is.
    pub paused: Option<PauseReason>,
    /// How wrong this device's clock is, once the server has answered.
    pub clock: Option<ClockOffset>,
    /// Events that had been taken when `pending` was counted; later ones wait as well.
    pub(crate) counted: u64,
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
