//! What reading snapshots and runs shares: why it fails, and a reader over bytes.

use std::io;

/// Why a file of the duplicate index could not be used. None of these is ever taken for "not seen".
#[derive(Debug, thiserror::Error)]
pub enum DedupeError {
    /// The operating system refused; the same call may succeed once the cause is gone.
    #[error("{file} of the duplicate index: {source}: make it accessible or free space, then retry")]
    Io {
        /// The file's name.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// A checksum or a length does not fit: the file was damaged after it was written.
    #[error("{file} of the duplicate index is damaged ({what}): restore it from a backup")]
    Corrupt {
        /// The file's name.
        file: String,
        /// What does not fit.
        what: &'static str,
    },
    /// A newer release wrote the file.
    #[error(
        "{file} of the duplicate index has format version {found}, this release reads up to {known}: upgrade footpath"
    )]
    NewerVersion {
        /// The file's name.
        file: String,
        /// Its version.
        found: u32,
        /// The newest version this release reads.
        known: u32,
    },
    /// The file covers more of the log than there is: it belongs to another log.
    #[error(
        "{file} of the duplicate index covers the log up to {covers}, which ends at {log_end}: restore log and index together"
    )]
    AheadOfLog {
        /// The file's name.
        file: String,
        /// The position it covers.
        covers: u64,
        /// Where the log ends.
        log_end: u64,
    },
    /// The log has been trimmed beyond what is remembered: what lies between is unknown.
    #[error(
        "the duplicate index covers the log up to {covers}, which now begins at {log_first}: restore log and index together"
    )]
    BehindLog {
        /// The position it covers; 0 without a snapshot.
        covers: u64,
        /// Where the log begins.
        log_first: u64,
    },
    /// A snapshot was asked for in the middle of a group.
    #[error("a group is staged: commit or roll it back, then take the snapshot")]
    GroupStaged,
    /// The thread that should have written a run ended.
    #[error("the background thread has ended; restart the server")]
    Abandoned,
}

impl DedupeError {
    pub(crate) fn corrupt(file: &str, what: &'static str) -> Self {
        Self::Corrupt { file: file.to_owned(), what }
    }
}

/// Turns an IO error into one that names the file.
pub(crate) fn named(file: &str) -> impl FnOnce(io::Error) -> DedupeError + '_ {
    move |source| DedupeError::Io { file: file.to_owned(), source }
}

/// A reader over bytes whose lengths cannot be trusted; each read is `None` past the end.
#[derive(Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}
