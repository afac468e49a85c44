//! History: stored events as Parquet chunks, and scans over chunks and log together.
//!
//! [`ChunkWriter`] pulls the log on a thread of its own and turns closed ranges of positions into files: one per
//! project and UTC day, sorted by actor and time, in the schema of [`schema`]. [`Chunks`] is the list of those files,
//! the manifest. [`Stored`] is what queries read: [`Stored::pin`] freezes one manifest and one log position, and
//! [`Pinned::scan`] gives every event below that position once, whatever the writer does meanwhile. [`Pinned::blocks`] gives who and
//! when alone, as columns that are kept decoded.

mod blocks;
mod builder;
mod cache;
mod chunks;
mod columns;
mod context;
mod delta;
#[cfg(test)]
mod duckdb;
mod encode;
mod error;
mod file;
mod gather;
mod groups;
mod heads;
mod hybrid;
mod identity;
mod json;
mod log_scan;
mod manifest;
mod output;
mod pages;
mod properties;
mod read;
pub mod schema;
mod short;
mod stop;
mod stored;
#[cfg(test)]
mod testing;
mod tree;
mod values;
mod workers;
mod writer;

pub use chunks::{Chunks, Pin};
pub use error::HistoryError;
pub use heads::{Block, Heads, Place, Run};
pub use manifest::{ChunkFile, Manifest};
pub use stop::{Stop, StopOnDrop};
pub use stored::{Columns, Pinned, Scan, ScanStats, Stored, StoredRow};
pub use tree::TreeDisk;
pub use workers::Workers;
pub use writer::{ChunkCounters, ChunkWriter, WriterOptions};
