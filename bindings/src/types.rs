//! What crosses the border, in types of its own.

use footpath_client as core;

/// Why a call was refused. Nothing of it was kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum ClientError {
    /// The event or the call can never be right; correct it.
    #[error("not valid: {why}")]
    Invalid {
        /// What is wrong.
        why: String,
    },
    /// The event is larger than the server takes.
    #[error("the event has {bytes} bytes, {limit} are allowed")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// Too much waits; try again later.
    #[error("the queue is full; try again later")]
    QueueFull,
    /// No consent, or not in the sample.
    #[error("not wanted: {why}")]
    NotWanted {
        /// Why.
        why: String,
    },
    /// The client was shut down.
    #[error("the client was shut down")]
    Closed,
    /// The client has met a bug of its own and takes nothing any more.
    #[error("the client is disabled after a failure of its own")]
    Disabled,
}

impl From<core::TrackError> for ClientError {
    fn from(error: core::TrackError) -> Self {
        use core::TrackError as From;
        match error {
            From::Invalid(why) => Self::Invalid { why },
            From::TooLarge { bytes, limit } => Self::TooLarge { bytes: bytes as u64, limit: limit as u64 },
            From::QueueFull => Self::QueueFull,
            From::NotWanted(why) => Self::NotWanted { why: why.to_owned() },
            From::Closed => Self::Closed,
            From::Disabled => Self::Disabled,
        }
    }
}

/// What the person allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Consent {
    /// Events are taken and sent.
    Granted,
    /// Nobody has answered yet: events are kept and sent once consent is granted.
    Pending,
    /// Nothing is taken, and what waited is destroyed.
    Denied,
}

impl From<core::Consent> for Consent {
    fn from(consent: core::Consent) -> Self {
        match consent {
            core::Consent::Granted => Self::Granted,
            core::Consent::Pending => Self::Pending,
            core::Consent::Denied => Self::Denied,
        }
    }
}

impl From<Consent> for core::Consent {
    fn from(consent: Consent) -> Self {
        match consent {
            Consent::Granted => Self::Granted,
            Consent::Pending => Self::Pending,
            Consent::Denied => Self::Denied,
        }
    }
}

/// How carefully an event is kept until the server has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Delivery {
    /// On the disk before its receipt says so.
    Critical,
    /// In memory that outlives the process at once, on the disk soon after.
    Normal,
    /// As normal, but the first to go when space is short.
    Lossy,
}

impl From<Delivery> for core::Class {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Critical => Self::Critical,
            Delivery::Normal => Self::Normal,
            Delivery::Lossy => Self::Lossy,
        }
    }
}

/// How far an event has come.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Receipt {
    /// On this device's disk.
    Queued,
    /// On the server's disk.
    Acked,
    /// The server will never take it, or it was given up here.
    Rejected {
        /// Why.
        why: String,
    },
}

impl From<core::Receipt> for Receipt {
    fn from(receipt: core::Receipt) -> Self {
        match receipt {
            core::Receipt::Queued => Self::Queued,
            core::Receipt::Acked => Self::Acked,
            core::Receipt::Rejected(why) => Self::Rejected { why },
        }
    }
}

/// Why delivery is paused. Everything is kept.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Pause {
    /// The key is not known; set the right one.
    Unauthenticated {
        /// The server's words.
        message: String,
    },
    /// The key may not send to this project.
    PermissionDenied {
        /// The server's words.
        message: String,
    },
    /// The project or the service does not exist at this endpoint.
    NotFound {
        /// The server's words.
        message: String,
    },
    /// The application called `hold`.
    Held,
    /// The person has not been asked yet.
    ConsentPending,
}

impl From<core::PauseReason> for Pause {
    fn from(reason: core::PauseReason) -> Self {
        use core::PauseReason as From;
        match reason {
            From::Unauthenticated(message) => Self::Unauthenticated { message },
            From::PermissionDenied(message) => Self::PermissionDenied { message },
            From::NotFound(message) => Self::NotFound { message },
            From::Held => Self::Held,
            From::ConsentPending => Self::ConsentPending,
        }
    }
}

/// What the application should know of; each is told once until it changes, a loss each time.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Problem {
    /// Nothing is delivered until somebody acts.
    Paused {
        /// Why.
        reason: Pause,
    },
    /// The queue cannot be opened or written now. Events are kept in memory, as many as fit.
    Storage {
        /// For people.
        message: String,
    },
    /// The queue's database was broken and is set aside; a new one was begun.
    Quarantined {
        /// Where it is now.
        path: String,
    },
    /// Events are gone that nobody can name: files of the queue were deleted or damaged.
    Lost {
        /// What, for people.
        message: String,
    },
    /// The server will never take an event that was sent, and never one like it: correct the application.
    Rejected {
        /// Why.
        message: String,
    },
    /// For a minute no batch has got through. Everything is kept and sent as soon as one does.
    Unreachable {
        /// Why.
        message: String,
    },
    /// The client has met a bug of its own and is disabled.
    Disabled {
        /// For people.
        message: String,
    },
    /// One that this version does not know.
    Other {
        /// For people.
        message: String,
    },
}

impl From<&core::Problem> for Problem {
    fn from(problem: &core::Problem) -> Self {
        match problem {
            core::Problem::Paused(reason) => Self::Paused { reason: reason.clone().into() },
            core::Problem::Storage(message) => Self::Storage { message: message.clone() },
            core::Problem::Quarantined(path) => Self::Quarantined { path: path.display().to_string() },
            core::Problem::Lost(message) => Self::Lost { message: message.clone() },
            core::Problem::Rejected(message) => Self::Rejected { message: message.clone() },
            core::Problem::Unreachable(message) => Self::Unreachable { message: message.clone() },
            core::Problem::Disabled(message) => Self::Disabled { message: message.clone() },
            other => Self::Other { message: format!("{other:?}") },
        }
    }
}

/// A batch for the host to send: `POST {endpoint}/v1/ingest`, content type `application/x-protobuf`.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Batch {
    /// Its id, for the report.
    pub id: String,
    /// The body, compressed already where that is worth it.
    pub body: Vec<u8>,
    /// The header `content-encoding`, where there is one.
    pub content_encoding: Option<String>,
    /// The header `authorization`.
    pub authorization: String,
    /// Events in it.
    pub events: u64,
}

/// Whom a device's events belong to now, and what that person allows.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Who {
    /// The device's own id for its user.
    pub anonymous_id: String,
    /// The known user; empty before somebody is known.
    pub user_id: String,
    /// What the person allows.
    pub consent: Consent,
}

impl From<core::Who> for Who {
    fn from(who: core::Who) -> Self {
        let core::Who { anonymous_id, user_id, consent } = who;
        Self { anonymous_id, user_id, consent: consent.into() }
    }
}

/// The server's clock less this device's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct ClockOffset {
    /// Microseconds to add to the wall clock.
    pub offset_us: i64,
    /// The true offset lies within so many microseconds of it.
    pub uncertainty_us: i64,
}

/// What the client says about itself: counts since it was made.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Stats {
    /// Events that were taken.
    pub tracked: u64,
    /// Events that were refused because the queue was full.
    pub refused_full: u64,
    /// Events that were left out: no consent, or not in the sample.
    pub not_wanted: u64,
    /// Events moved into the database.
    pub committed: u64,
    /// Events the server acknowledged.
    pub acked: u64,
    /// Acknowledged events that this client's batches stored.
    pub stored: u64,
    /// Acknowledged events that an earlier attempt had stored.
    pub duplicates: u64,
    /// Events the server will never take.
    pub rejected: u64,
    /// Events let go because of age or space.
    pub evicted: u64,
    /// Events on the disk that could not be read any more.
    pub unreadable: u64,
    /// Times that a part of what was tracked could not be read: a power loss or a damaged file took it.
    pub torn: u64,
    /// Failed attempts to write the queue; they are repeated.
    pub commit_failures: u64,
    /// Events that wait.
    pub pending: u64,
    /// Their size in the database, in bytes.
    pub pending_bytes: u64,
    /// Batches handed out.
    pub sends: u64,
    /// Batches handed out once more.
    pub resends: u64,
    /// Bytes handed out, before compression.
    pub sent_bytes: u64,
    /// The last failure, for people.
    pub last_error: Option<String>,
    /// Why delivery is paused, when it is.
    pub paused: Option<Pause>,
    /// How wrong this device's clock is, once the server has answered.
    pub clock: Option<ClockOffset>,
}

impl From<core::Stats> for Stats {
    fn from(stats: core::Stats) -> Self {
        let offset = |clock: core::ClockOffset| ClockOffset {
            offset_us: clock.offset_us,
            uncertainty_us: clock.uncertainty_us,
        };
        Self {
            tracked: stats.tracked,
            refused_full: stats.refused_full,
            not_wanted: stats.not_wanted,
            committed: stats.committed,
            acked: stats.acked,
            stored: stats.stored,
            duplicates: stats.duplicates,
            torn: stats.torn,
            commit_failures: stats.commit_failures,
            rejected: stats.rejected,
            evicted: stats.evicted,
            unreadable: stats.unreadable,
            pending: stats.pending,
            pending_bytes: stats.pending_bytes,
            sends: stats.sends,
            resends: stats.resends,
            sent_bytes: stats.sent_bytes,
            last_error: stats.last_error,
            paused: stats.paused.map(Into::into),
            clock: stats.clock.map(offset),
        }
    }
}

/// How a flush ended.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct FlushResult {
    /// Events acknowledged while it ran.
    pub acked: u64,
    /// Events rejected while it ran.
    pub rejected: u64,
    /// Events that still wait. They are kept and will be sent.
    pub pending: u64,
    /// Whether everything tracked before has reached its end.
    pub complete: bool,
    /// Why delivery is paused, when it is.
    pub paused: Option<Pause>,
}

impl From<core::FlushResult> for FlushResult {
    fn from(result: core::FlushResult) -> Self {
        Self {
            acked: result.acked,
            rejected: result.rejected,
            pending: result.pending,
            complete: result.complete,
            paused: result.paused.map(Into::into),
        }
    }
}
