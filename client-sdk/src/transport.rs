//! How a batch leaves. Delivery is pulled: whoever carries batches asks for the next one, sends it as it likes, and
//! reports how that ended. On a phone that is the host's own thread and HTTP stack; here are gRPC, HTTP and a server in
//! memory.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::outcome::Outcome;

/// A batch that is to be sent, now and once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its id; [`crate::Courier::report`] takes it.
    pub id: String,
    /// An encoded `footpath.v1.IngestRequest`.
    pub body: Vec<u8>,
    /// Events in it.
    pub events: usize,
    /// The header `authorization`: the project key as bearer.
    pub authorization: String,
}

/// Below this many bytes compression costs more than it saves.
const WORTH_IT: usize = 1024;

impl Outgoing {
    /// The body for `POST /v1/ingest`, and the header `content-encoding` where there is one.
    pub fn compressed(&self) -> (Vec<u8>, Option<&'static str>) {
        if self.body.len() < WORTH_IT {
            return (self.body.clone(), None);
        }
        let mut gzip = GzEncoder::new(Vec::with_capacity(self.body.len() / 4), Compression::default());
        match gzip.write_all(&self.body).and_then(|()| gzip.finish()) {
            Ok(packed) => (packed, Some("gzip")),
            Err(_) => (self.body.clone(), None),
        }
    }
}

/// Carries batches, one at a time, on a thread of its own.
pub trait Transport: Send + Sync + 'static {
    /// Sends a batch and waits for the outcome, not for ever.
    fn send(&self, batch: &Outgoing) -> Outcome;
}
