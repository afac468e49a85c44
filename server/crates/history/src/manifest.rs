//! The manifest: every chunk file that is part of history, and the log position they cover together.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// One file: the events of one project and one UTC day out of a closed range of log positions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkFile {
    /// Its path in the chunk folder, parted by `/`.
    pub path: String,
    /// The project's number.
    pub project: u32,
    /// The UTC day of the events' times, counted from 1970-01-01.
    pub day: i32,
    /// The first log position of the range.
    pub from: u64,
    /// The log position after the range.
    pub to: u64,
    /// Events in it; never 0.
    pub rows: u64,
    /// The earliest event time, microseconds since 1970.
    pub min_time_us: i64,
    /// The latest event time, microseconds since 1970.
    pub max_time_us: i64,
    /// The lowest actor hash, compared as stored: signed.
    pub min_actor: i64,
    /// The highest actor hash, compared as stored: signed.
    pub max_actor: i64,
    /// How many `$identify` events it holds: a fold of identity skips a file without.
    pub identifies: u64,
    /// Its length.
    pub bytes: u64,
    /// CRC32C of all its bytes.
    pub crc32c: u32,
}

/// History at one moment. Immutable; a new one replaces it when files join.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Manifest {
    /// Grows by one with every change.
    pub number: u64,
    /// The log that the positions belong to.
    pub incarnation: u64,
    /// Every log position below this one is covered: its events are in the files.
    pub upto: u64,
    /// Append time of the last record below `upto`, microseconds since 1970; 0 when there is none.
    pub upto_append_us: i64,
    /// The files, by `from`.
    pub files: Vec<Arc<ChunkFile>>,
}
