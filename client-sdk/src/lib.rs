//! The Footpath client core: track, queue, deliver; nothing lost, nothing slowed.
//!
//! The journey of an event on this side of the wire:
//!
//! 1. [`Client::track`] checks the event, gives it an id and puts it into a bounded channel. It never
//!    touches a disk or a socket, and says so when the channel is full.
//! 2. One worker thread owns everything else. It commits what waits in the channel to the queue, a SQLite
//!    database, in one transaction. The event gets its stream number in that transaction, so a number
//!    exists exactly when the event is on disk.
//! 3. The delivery core, a synchronous state machine, forms batches, oldest first, one in flight.
//! 4. A [`Transport`] carries the batch, asynchronously, and hands the answer back to the worker.
//! 5. Only a parsed answer with the batch's own id is an ack; then the rows are deleted. Everything else
//!    means that the same batch goes out again, later.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use footpath_client::{Client, Track};
//! let client = Client::builder("http://127.0.0.1:7400", "key").project("demo").queue_dir("queue").build()?;
//! client.track(Track::new("checkout_started").anonymous("device-1").property("items", 3))?;
//! client.shutdown()?;
//! # Ok(())
//! # }
//! ```

mod backoff;
mod builder;
mod client;
mod clock;
mod delivery;
mod error;
mod grpc;
mod id;
mod lane;
mod memory;
mod queue;
mod stats;
mod track;
mod transport;
mod worker;

pub use builder::Builder;
pub use client::Client;
pub use clock::{Clock, ManualClock, Randomness, SeededRandom, SystemClock, SystemRandom};
pub use error::{BuildError, PauseReason, QueueError, ShutdownError, TrackError};
pub use grpc::GrpcTransport;
pub use id::EventId;
pub use lane::lane;
pub use memory::{MemoryServer, Step, StreamKey};
pub use stats::{FlushResult, Stats};
pub use track::{EventTime, PropertyValue, Track};
pub use transport::{Reply, SendError, Transport};
