//! How a batch leaves: a trait with two implementations, gRPC and in memory.

use std::time::Duration;

use crossbeam_channel::Sender;
use footpath_proto::v1::{IngestRequest, IngestResponse};

use crate::error::PauseReason;
use crate::worker::Command;

/// Carries batches to a server.
pub trait Transport: Send + Sync + 'static {
    /// Starts sending `request` and returns at once; the outcome goes to `reply`, from any thread. Called with
    /// one batch at a time by each client.
    fn send(&self, request: IngestRequest, reply: Reply);
}

/// Why a batch has no answer, sorted by what the client does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendError {
    /// Not now: the same batch is sent again, not before `after` if the server named a time.
    Retry {
        /// For people.
        message: String,
        /// The server's wish.
        after: Option<Duration>,
    },
    /// The server will not take this batch as a whole; it is cut until the bad event is found.
    Refused(String),
    /// No batch will get through until somebody acts: delivery pauses, everything is kept.
    Denied(PauseReason),
}

impl SendError {
    /// A failure worth another attempt.
    pub fn retry(message: impl Into<String>) -> Self {
        Self::Retry { message: message.into(), after: None }
    }
}

/// Takes the outcome of one send. Dropped without one, it reports a failure worth another attempt.
#[derive(Debug)]
pub struct Reply {
    worker: Option<Sender<Command>>,
}

impl Reply {
    pub(crate) fn new(worker: Sender<Command>) -> Self {
        Self { worker: Some(worker) }
    }

    /// Hands the outcome to the client. Never blocks.
    pub fn deliver(mut self, outcome: Result<IngestResponse, SendError>) {
        self.report(outcome);
    }

    fn report(&mut self, outcome: Result<IngestResponse, SendError>) {
        if let Some(worker) = self.worker.take() {
            // A client that is gone keeps the batch in its queue; nobody needs the answer.
            let _ = worker.send(Command::Answer(Box::new(outcome)));
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.report(Err(SendError::retry("the transport gave up without an answer")));
    }
}
