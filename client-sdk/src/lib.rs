//! The Footpath client core: track, queue, deliver; nothing lost, nothing slowed.
//!
//! The journey of an event on this side of the wire:
//!
//! 1. [`Client::track`] encodes the event, checks it, gives it an id and a time and pushes it into the ring, a file in
//!    memory that outlives the process. It never touches a disk or a socket. Until the storage is open, calls wait in a
//!    bounded list.
//! 2. One thread owns everything else. It moves what gathers in the ring into the queue, a SQLite database: events of one
//!    class, epoch and clock era become a block, sealed if the queue is encrypted. An event gets its stream number in the
//!    transaction that stores it, so a number exists exactly when the event does.
//! 3. The delivery core, a synchronous state machine, forms batches: critical events first, oldest first, one in flight.
//! 4. A courier carries them: tonic, HTTP, or the host's own thread. It takes a batch and reports how its send ended.
//! 5. Only a parsed answer with the batch's own id, which accounts for every event, is an ack; then the events leave the
//!    queue. Everything else means that they go out again, later, or, where the server will never take one, that its number
//!    goes into the ledger of losses, which is sent as well.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use footpath_client::{Client, PropertyValue, Track};
//! let client = Client::builder("http://127.0.0.1:7400", "key").project("demo").queue_dir("queue").build()?;
//! client.track(Track::new("checkout_started").property("amount", PropertyValue::money("12.50", "EUR")?))?;
//! client.shutdown()?;
//! # Ok(())
//! # }
//! ```

mod answer;
mod backoff;
mod block;
mod builder;
mod client;
mod clock;
mod courier;
mod delivery;
mod error;
mod folder;
pub mod fork;
mod frame;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "http")]
mod http;
mod id;
mod intake;
mod lane;
mod link;
mod memory;
mod offset;
mod outcome;
mod profile;
mod queue;
mod record;
mod ring;
mod seal;
mod stats;
mod track;
mod transport;
mod value;
mod wire;
mod worker;

/// The guide's examples are compiled.
#[cfg(doctest)]
#[doc = include_str!("../../docs/sdk-rust.md")]
struct Guide;

pub use answer::Answer;
pub use builder::{Builder, DEFAULT_BACKOFF};
pub use client::{Client, Pending};
pub use clock::{Clock, ManualClock, Randomness, SeededRandom, SystemClock, SystemRandom};
pub use courier::Courier;
pub use error::{BuildError, PauseReason, Problem, ShutdownError, TrackError};
#[cfg(feature = "http")]
pub use http::HttpTransport;
pub use id::EventId;
pub use intake::Class;
pub use lane::lane;
pub use memory::{MemoryServer, Step, StreamKey};
pub use offset::ClockOffset;
pub use outcome::{HttpAnswer, Outcome};
pub use profile::{Consent, Who};
pub use queue::{Limits, Receipt};
pub use seal::{FileKeys, Key, KeyError, KeyProvider, MemoryKeys};
pub use stats::{FlushResult, Stats};
pub use track::{Changes, Track};
pub use transport::{Outgoing, Transport};
pub use value::{Decimal, EventTime, Money, NotAnAmount, PropertyValue, Text};
