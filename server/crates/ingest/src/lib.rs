//! Ingest: admission, the wire walk, validation, privacy, commit.
//!
//! A batch arrives as encoded bytes and stays bytes: [`walk::walk_batch`] judges every event alone, masks what
//! must not be stored and leaves event records for the log. What it refuses has a [`reason::Reason`].

pub mod commit;
pub mod limits;
pub mod privacy;
pub mod reason;
pub mod time_rule;
pub mod walk;

pub use commit::{Accepted, DedupeJudge, Ingest, IngestError, RefusedEvent, Source};
