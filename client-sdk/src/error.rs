//! What can go wrong, and what to do about it.

use std::path::PathBuf;

/// Why an event was not taken. Nothing of it was kept.
#[derive(Debug, thiserror::Error)]
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
    /// Events come faster than the queue's disk takes them, or too many wait for the server. Track less, or
    /// try again later.
    #[error("the queue is full; try again later")]
    QueueFull,
    /// The client was shut down.
    #[error("the client was shut down")]
    Closed,
    /// The event is in the queue's buffer, but was not yet on disk when the time was up. It will still be
    /// committed; do not track it again.
    #[error("the event was taken but is not on disk yet")]
    NotYetDurable(crate::EventId),
}

/// Why a client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A setting is missing or wrong.
    #[error("{0}")]
    Setting(String),
    /// The queue could not be opened.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The endpoint or its TLS settings cannot be used.
    #[error("the endpoint cannot be used: {0}")]
    Endpoint(#[from] tonic::transport::Error),
    /// A thread could not be started.
    #[error("no thread could be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// What is wrong with a queue.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Another client has it open; one folder serves one client at a time.
    #[error("the queue is in use by another client")]
    InUse,
    /// It was written by a newer version of this library; upgrade.
    #[error("the queue has format {found}, this library knows up to {known}")]
    Newer {
        /// The format found.
        found: i64,
        /// The newest format known.
        known: i64,
    },
    /// The folder could not be made.
    #[error("the queue folder {0} could not be made: {1}")]
    Folder(PathBuf, std::io::Error),
    /// The database failed; see whether the disk is full or read only.
    #[error("the queue's database failed: {0}")]
    Database(#[from] rusqlite::Error),
}

/// The shutdown could not save everything.
#[derive(Debug, thiserror::Error)]
#[error("{uncommitted} events could not be saved: {reason}")]
pub struct ShutdownError {
    /// Events that were tracked and are lost.
    pub uncommitted: u64,
    /// Why.
    pub reason: String,
}

/// Why delivery is paused. Everything is kept; `Client::resume` goes on.
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
}
