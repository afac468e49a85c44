//! What is to be delivered, and how it went.

use serde::{Deserialize, Serialize};

use crate::Notice;

/// How many attempts of a delivery are kept; all are counted.
pub const KEPT_ATTEMPTS: usize = 10;

/// The most rows of a page.
pub const PAGE_MOST: usize = 500;

/// Where deliveries are kept until they are settled, and after that as a record.
///
/// Laws, checked by the conformance suite (`conformance::run`, feature `conformance`):
/// 1. **Order**: ids grow in the order in which they were enqueued ([`Enqueue`], or a transaction of the implementation's own); [`head`](Self::head) is the pending row with the lowest id,
///    whether or not its time has come.
/// 2. **Once**: the same notice for the same destination of a project is one row; enqueuing it again returns that row's id and changes nothing.
/// 3. **Apart**: destinations of different projects are different, whatever their ids.
/// 4. **Settled is settled**: recording an attempt of a row that is not pending changes nothing.
/// 5. **Durable**, where the implementation is: what returned `Ok` is there after a crash.
///
/// Every method blocks, a write for one disk sync: the deliverer calls from blocking threads.
pub trait Outbox: Send + Sync {
    /// The next delivery of the destination: the oldest that is pending.
    fn head(&self, project: &str, destination: &str) -> Result<Option<Delivery>, OutboxError>;
    /// Records an attempt and what follows from it, as [`Delivery::note`] does. [`OutboxError::Unknown`] when there is no such row.
    fn record(&self, id: u64, attempt: &Attempt, next: Next) -> Result<(), OutboxError>;
    /// Fails every pending delivery of the destination with this as the last attempt, and says how many there were: the destination is gone.
    fn abandon(&self, project: &str, destination: &str, attempt: &Attempt) -> Result<u64, OutboxError>;
    /// Deliveries of a project, the newest first.
    fn list(&self, asked: &Listing) -> Result<Vec<Delivery>, OutboxError>;
}

/// An outbox that notices are put into by themselves. Others take them in the transaction of what decided on them.
pub trait Enqueue: Outbox {
    /// Adds a delivery of the notice, due at once, to a destination of the notice's project. Returns its id.
    fn enqueue(&self, destination: &str, notice: &Notice, now_us: i64) -> Result<u64, OutboxError>;
}

/// Why an outbox failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// No such row.
    #[error("delivery {0} does not exist: list what there is")]
    Unknown(u64),
    /// The storage failed.
    #[error("the outbox cannot be used: {0}")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Which deliveries are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The project.
    pub project: String,
    /// Only of this destination.
    pub destination: Option<String>,
    /// Only of this incident.
    pub incident: Option<String>,
    /// Only ids below this: the last one of the page before.
    pub before: Option<u64>,
    /// At most so many, up to [`PAGE_MOST`].
    pub most: usize,
}

impl Listing {
    /// Whether the delivery is asked for; `most` aside.
    pub fn matches(&self, row: &Delivery) -> bool {
        let same = |asked: &Option<String>, has: &str| asked.as_deref().is_none_or(|asked| asked == has);
        row.project == self.project
            && same(&self.destination, &row.destination)
            && same(&self.incident, &row.notice.incident)
            && self.before.is_none_or(|before| row.id < before)
    }
}

/// A notice on its way to a destination, or settled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its id, growing in the order of enqueuing.
    pub id: u64,
    /// The project.
    pub project: String,
    /// The destination's id in it.
    pub destination: String,
    /// What is told.
    pub notice: Notice,
    /// How far it is.
    pub state: DeliveryState,
    /// When it was enqueued; microseconds since 1970.
    pub created_us: i64,
    /// The last [`KEPT_ATTEMPTS`] attempts, the oldest first.
    pub attempts: Vec<Attempt>,
    /// How many attempts there were.
    pub attempt_count: u32,
    /// When it is tried next; of no meaning once it is settled.
    pub next_attempt_us: i64,
}

impl Delivery {
    /// A delivery that was not tried yet.
    pub fn new(id: u64, destination: &str, notice: &Notice, now_us: i64) -> Self {
        Self {
            id,
            project: notice.project.clone(),
            destination: destination.to_owned(),
            notice: notice.clone(),
            state: DeliveryState::Pending,
            created_us: now_us,
            attempts: Vec::new(),
            attempt_count: 0,
            next_attempt_us: now_us,
        }
    }

    /// Notes an attempt and what follows. Does nothing to a delivery that is settled.
    pub fn note(&mut self, attempt: &Attempt, next: Next) {
        if self.state != DeliveryState::Pending {
            return;
        }
        self.attempt_count = self.attempt_count.saturating_add(1);
        let too_many = (self.attempts.len() + 1).saturating_sub(KEPT_ATTEMPTS);
        self.attempts.drain(..too_many);
        self.attempts.push(attempt.clone());
        match next {
            Next::Again(at_us) => self.next_attempt_us = at_us,
            Next::Delivered => self.state = DeliveryState::Delivered,
            Next::Failed => self.state = DeliveryState::Failed,
        }
    }
}

/// How far a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Not settled: it is tried, or tried again.
    Pending,
    /// The receiver took it.
    Delivered,
    /// It will not be tried again; the last attempt says why.
    Failed,
}

/// What follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is tried again at this time, microseconds since 1970.
    Again(i64),
    /// The receiver took it.
    Delivered,
    /// It will not be tried again.
    Failed,
}

/// An attempt and its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began; microseconds since 1970.
    pub at_us: i64,
    /// What happened, with the first 200 characters of the receiver's answer and without secrets.
    pub outcome: String,
    /// The HTTP status or SMTP code, if there was one.
    pub status: Option<u16>,
    /// How long it took, in microseconds.
    pub took_us: u64,
}
