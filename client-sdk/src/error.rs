//! What can go wrong, and what to do about it.

use std::path::PathBuf;

/// Why an event was not taken. Nothing of it was kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrackError {
    /// The event can never be stored; correct it.
    #[error("the event is not valid: {0}")]
    Invalid(String),
    /// The event is larger than the server takes; leave properties out.
    #[error("the event has {bytes} bytes, {limit} are allowed")]
    TooLarge {
        /// Its encoded size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Events come faster than the queue's disk takes them, the storage cannot be opened yet and what may be kept until
    /// then is there, or the space for critical events is used up. Track less, or try again later.
    #[error("the queue is full; try again later")]
    QueueFull,
    /// The person has not allowed it, or the event is left out of the sample.
    #[error("the event is not wanted: {0}")]
    NotWanted(&'static str),
    /// The client was shut down.
    #[error("the client was shut down")]
    Closed,
    /// The client has met a bug of its own and takes nothing any more, so that the application goes on. What was queued
    /// is sent after the next start.
    #[error("the client is disabled after a failure of its own")]
    Disabled,
}

/// Why a client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A setting is missing or wrong.
    #[error("{0}")]
    Setting(String),
    /// The endpoint or its TLS settings cannot be used.
    #[cfg(feature = "grpc")]
    #[error("the endpoint cannot be used: {0}")]
    Endpoint(#[from] tonic::transport::Error),
    /// A thread could not be started, or there is no memory.
    #[error("the client cannot start: {0}")]
    System(#[from] std::io::Error),
}

/// What is wrong with a queue.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// It was written by another version of this library; use that one until the queue is empty.
    #[error("the queue has format {found}, this library knows {known}")]
    Format {
        /// The format found.
        found: i64,
        /// The format known.
        known: i64,
    },
    /// The folder or a file in it cannot be used now; everything is kept, and it is tried again.
    #[error("{0} cannot be used: {1}")]
    Folder(PathBuf, std::io::Error),
    /// The database failed; see whether the disk is full or read only. It is tried again.
    #[error("the queue's database failed: {0}")]
    Database(#[from] rusqlite::Error),
    /// The folder was deleted while it was in use. What it held is taken over by the next one.
    #[error("{0} was deleted from outside")]
    Deleted(PathBuf),
    /// The folder was renamed, or copied from another project's. Put it back; its events are not this project's.
    #[error("the queue belongs to the project \"{0}\"")]
    Project(String),
    /// A page of the database was damaged so that rows are gone without a trace.
    #[error("the queue's database has lost events or numbers")]
    Incomplete,
    /// The key cannot be had now, as on a locked device. It is tried again.
    #[error(transparent)]
    Key(crate::seal::KeyError),
}

impl QueueError {
    /// Whether the database itself is broken. Only then it is set aside; a full disk, a lock or a file that cannot be
    /// opened say nothing about what is in it.
    pub(crate) fn is_corrupt(&self) -> bool {
        use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match self {
            // A value of another kind than was stored: a page was damaged, and SQLite finds no fault with it.
            Self::Database(
                InvalidColumnType(..) | IntegralValueOutOfRange(..) | FromSqlConversionFailure(..),
            ) => true,
            Self::Database(error) => {
                matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
            }
            Self::Incomplete => true,
            _ => false,
        }
    }

    /// Whether the disk is full.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::Folder(_, error) => error.kind() == std::io::ErrorKind::StorageFull,
            Self::Database(error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
            _ => false,
        }
    }

    /// Whether a broken database may be behind it, though SQLite says something else: that there is no memory, for example,
    /// where a damaged page names a huge size. What a disk, a lock or a right gives is in no doubt.
    pub(crate) fn is_doubtful(&self) -> bool {
        use rusqlite::ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, FileLockingProtocolFailed, PermissionDenied,
            ReadOnly, SystemIoFailure,
        };
        let Self::Database(error) = self else { return false };
        let is_clear = matches!(
            error.sqlite_error_code(),
            Some(
                CannotOpen
                    | DatabaseBusy
                    | DatabaseLocked
                    | DiskFull
                    | FileLockingProtocolFailed
                    | PermissionDenied
                    | ReadOnly
                    | SystemIoFailure
            )
        );
        !is_clear
    }
}

/// The shutdown could not save everything.
#[derive(Debug, thiserror::Error)]
#[error("{unsaved} events could not be saved: {reason}")]
pub struct ShutdownError {
    /// Events that were tracked and are not in the database. Those in a queue folder are found after the next start.
    pub unsaved: u64,
    /// Why.
    pub reason: String,
}

/// Why delivery is paused. Everything is kept; `Client::set_key` and `Client::resume` go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PauseReason {
    /// The key is not known; set the right one.
    Unauthenticated(String),
    /// The key may not send to this project.
    PermissionDenied(String),
    /// The project or the service does not exist at this endpoint.
    NotFound(String),
    /// The application called `Client::hold`.
    Held,
    /// The person has not been asked yet.
    ConsentPending,
}

/// What the application should know of; each is told once until it changes, a loss each time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Nothing is delivered until somebody acts.
    Paused(PauseReason),
    /// The queue cannot be opened or written now. Events are kept in memory, as many as fit.
    Storage(String),
    /// The queue's database was broken and is set aside; a new one was begun.
    Quarantined(PathBuf),
    /// Events are gone that nobody can name: files of the queue were deleted or damaged. What.
    Lost(String),
    /// The server will never take an event that was sent, and never one like it: correct the application. Why. Told once;
    /// the log tells of each batch.
    Rejected(String),
    /// For a minute no batch has got through. Everything is kept and sent as soon as one does. Why.
    Unreachable(String),
    /// The client has met a bug of its own and is disabled.
    Disabled(String),
}
