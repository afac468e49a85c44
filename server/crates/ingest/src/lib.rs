//! Ingest: admission, the wire walk, validation, privacy, commit.
//!
//! A batch arrives as encoded bytes and stays bytes: [`walk::walk_batch`] judges every event alone, masks what
//! must not be stored and leaves event records for the log. What it refuses has a [`reason::Reason`].

pub mod commit;
mod judge;
pub mod limits;
mod outcomes;
pub mod privacy;
pub mod reason;
mod rebuild;
mod redact;
mod refused;
mod replay;
mod snapshots;
mod time_rule;
pub mod walk;

pub use commit::{Accepted, Ingest, IngestError, JudgeView, RefusedEvent, Source};
pub use judge::DedupeJudge;
pub use refused::{RefusedEvents, RefusedRecord, RefusedSender};
