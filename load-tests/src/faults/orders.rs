//! What a client process is told, and what it says.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The environment variable with the orders.
pub const ORDERS: &str = "FOOTPATH_FAULTS_CLIENT";
/// The property that names an event.
pub const KEY: &str = "k";
/// Low bits of a key: the event within its process.
pub const EVENT_BITS: u32 = 13;
/// Bits above those: the process within its client.
pub const LIFE_BITS: u32 = 4;
/// Bits above those: the client within its round.
pub const CLIENT_BITS: u32 = 2;

/// Names a client of all rounds.
pub fn client_of(key: u64) -> u64 {
    key >> (EVENT_BITS + LIFE_BITS)
}

/// The first key of a process. A key has 12 digits at most: of 13 and more, the server masks what may be a card.
pub fn first_key(round: u64, client: u64, life: u64) -> u64 {
    (((round << CLIENT_BITS | client) << LIFE_BITS) | life) << EVENT_BITS
}

/// How batches travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Carrier {
    /// `IngestService/Ingest`.
    Grpc,
    /// `POST /v1/ingest`.
    Http,
}

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// SIGKILL, so many milliseconds after its last event.
    Kill(u64),
    /// In order, without waiting for the server.
    Shutdown,
    /// When it is told that the weather is fine, it has to deliver everything.
    Settle,
    /// It delivers everything and tells which losses it reported.
    Drain,
}

/// Everything a client process has to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Orders {
    /// Where to send.
    pub url: String,
    /// The project key.
    pub key: String,
    /// The queue.
    pub folder: PathBuf,
    /// How batches travel.
    pub carrier: Carrier,
    /// Whether it has no person of its own.
    pub backend: bool,
    /// The key of its first event.
    pub first: u64,
    /// How many events.
    pub count: u64,
    /// Between two events.
    pub pace_us: u64,
    /// Each so many-th event is critical.
    pub critical_every: u64,
    /// How it ends.
    pub end: End,
    /// Bytes that make each event heavier.
    pub filler: usize,
    /// Somebody may have told it to wait for hours: in fine weather, its host calls `resume`.
    pub resumes: bool,
}
