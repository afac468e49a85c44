//! Duplicates, judged in log order.
//!
//! The sequencer asks about each event of a group and stages what is fresh. `commit` follows the group's
//! sync, `rollback` a failed one: only then does a number or an id count as seen for good. A second copy in
//! the same group is a duplicate of the first and must not be answered before the group is on disk.
//!
//! A numbered event is judged by its number alone, for ever; an event without a number by its id, for
//! 72 hours of log time. Ids of numbered events are not kept.
//!
//! A snapshot holds the streams, the ids that are not in runs yet, the names of the runs, and the log
//! position it covers. After a start the log behind that position is replayed, so the log must not be
//! trimmed beyond [`Dedupe::snapshot_position`]. Streams are not a cache: a trimmed log cannot bring them
//! back, so a damaged snapshot is refused by name and never replaced by an empty one.
//!
//! ```text
//! snapshot  magic [8] | version u32 | position u64 | ids | producers u64 x (project u32, install [16],
//!           epoch u64, streams u32 x (slot u16, stream)) | crc32c u32      all little endian
//! ```

use std::path::Path;

use footpath_model::id::EventId;

pub use crate::ids::{DedupeError, IdConfig};
use crate::ids::{IdIndex, IdVerdict, io};
use crate::streams::{
    Delivered, MAX_INTERVALS, ProducerHandle, Range, StreamError, StreamHandle, StreamKey, StreamTable,
};

const MAGIC: &[u8; 8] = b"FPDEDUP\0";
const VERSION: u32 = 1;

/// Where duplicates are remembered, and how much.
#[derive(Debug, Clone)]
pub struct DedupeConfig {
    /// The ids' part.
    pub ids: IdConfig,
    /// Intervals a stream may hold above its low-water mark.
    pub max_intervals: usize,
}

impl DedupeConfig {
    /// The normal bounds, with runs in `run_dir`.
    pub fn new(run_dir: impl Into<std::path::PathBuf>) -> Self {
        Self { ids: IdConfig::new(run_dir), max_intervals: MAX_INTERVALS }
    }
}

/// What tells one event from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKey {
    /// The client numbered it.
    Numbered {
        /// From [`Dedupe::producer`] of the same project, once per batch.
        producer: ProducerHandle,
        /// The class of events.
        class: u8,
        /// The actor's lane.
        lane: u8,
        /// From 1.
        number: u64,
    },
    /// It has an id only.
    Id(EventId),
}

/// How an event was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Not stored yet: it belongs into the group.
    Fresh,
    /// Stored already, or earlier in this group.
    Duplicate,
    /// Not judged. It must not be stored; the client is told the reason.
    Refused(Refusal),
}

/// Why an event could not be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its stream has too many holes.
    #[error("the stream has too many holes: send the missing numbers, or begin a new epoch, then retry")]
    TooFragmented,
    /// Its number is 0.
    #[error("stream numbers start at 1: correct the client")]
    BadNumber,
    /// A run of ids that may hold it cannot be read.
    #[error("the server cannot read its index of ids: retry later")]
    IndexUnreadable,
    /// Ids cannot be written to disk and fill the memory.
    #[error("the server cannot extend its index of ids: retry later")]
    IndexFull,
}

impl Refusal {
    /// The stable name of the reason.
    pub fn reason(self) -> &'static str {
        match self {
            Self::TooFragmented => "STREAM_TOO_FRAGMENTED",
            Self::BadNumber => "STREAM_NUMBER_INVALID",
            Self::IndexUnreadable => "ID_INDEX_UNREADABLE",
            Self::IndexFull => "ID_INDEX_FULL",
        }
    }

    /// Whether the same event may be taken later.
    pub fn retryable(self) -> bool {
        self != Self::BadNumber
    }
}

/// Numbers of one stream, staged one after the other.
#[derive(Debug)]
struct StagedNumbers {
    stream: StreamHandle,
    range: Range,
}

/// See the module.
#[derive(Debug)]
pub struct Dedupe {
    streams: StreamTable,
    ids: IdIndex,
    staged: Vec<StagedNumbers>,
    position: u64,
    snapshot_position: u64,
}

impl Dedupe {
    /// Remembers nothing, and removes runs of an earlier life in the same folder: for a new log.
    ///
    /// # Errors
    /// `Io` if the folder of the runs cannot be made.
    pub fn create(config: DedupeConfig) -> Result<Self, DedupeError> {
        let streams = StreamTable::new(config.max_intervals);
        let ids = IdIndex::create(config.ids)?;
        Ok(Self { streams, ids, staged: Vec::new(), position: 0, snapshot_position: 0 })
    }

    /// Reads the snapshot at `path`; without one, as [`Self::create`]. Then replay the log from behind
    /// [`Self::position`] to its end: for each stored event `replay`, now and then `commit`.
    ///
    /// # Errors
    /// `Corrupt`, `NewerVersion`, `Io` for the snapshot or a run it names, and `AheadOfLog` if they cover more
    /// than `log_end`. Do not go on with an empty index then: it would take stored events again.
    pub fn load(path: &Path, config: DedupeConfig, log_end: u64) -> Result<Self, DedupeError> {
        let Some(bytes) = io::read_whole(path)? else { return Self::create(config) };
        let corrupt = |what| DedupeError::Corrupt { path: path.to_owned(), what };
        let position = check_envelope(path, &bytes)?;
        if position > log_end {
            return Err(DedupeError::AheadOfLog { path: path.to_owned(), covers: position, log_end });
        }
        let mut reader = io::Reader(&bytes[MAGIC.len() + 12..bytes.len() - 4]);
        let ids = IdIndex::decode(&mut reader, config.ids, position, log_end)?;
        let ids = ids.ok_or_else(|| corrupt("ids"))?;
        let streams = StreamTable::decode(&mut reader, config.max_intervals);
        let streams = streams.ok_or_else(|| corrupt("streams"))?;
        Ok(Self { streams, ids, staged: Vec::new(), position, snapshot_position: position })
    }

    /// Looks a producer up, once per batch. The handle is good until the process ends.
    pub fn producer(&mut self, project: u32, install: [u8; 16], epoch: u64) -> ProducerHandle {
        self.streams.producer(project, install, epoch)
    }

    /// Judges an event, and stages it if it is fresh. `log_time_us` is the append time that the log record
    /// will carry, in microseconds since 1970; it never falls.
    pub fn check_and_stage(&mut self, project: u32, key: EventKey, log_time_us: i64) -> Verdict {
        match key {
            EventKey::Numbered { producer, class, lane, number } => {
                self.check_number(producer, class, lane, number)
            }
            EventKey::Id(id) => match self.ids.check_and_stage(project, id, log_time_us) {
                Ok(IdVerdict::Fresh) => Verdict::Fresh,
                Ok(IdVerdict::Duplicate) => Verdict::Duplicate,
                Ok(IdVerdict::Full) => Verdict::Refused(Refusal::IndexFull),
                Err(error) => {
                    tracing::error!(%error, "an id could not be judged");
                    Verdict::Refused(Refusal::IndexUnreadable)
                }
            },
        }
    }

    /// The group is on disk and the log reaches `position`: what was staged is seen for good.
    ///
    /// # Errors
    /// `Io` if ids could not be moved to disk. The group is committed all the same and remembered in memory;
    /// report the error, do not refuse the group.
    pub fn commit(&mut self, position: u64) -> Result<(), DedupeError> {
        self.staged.clear();
        self.position = self.position.max(position);
        self.ids.commit(position)
    }

    /// The group did not reach the disk: what was staged is fresh again.
    pub fn rollback(&mut self) {
        while let Some(StagedNumbers { stream, range: (from, to) }) = self.staged.pop() {
            (from..=to).rev().for_each(|number| self.streams.remove(stream, number));
        }
        self.ids.rollback();
    }

    /// Remembers an event that the log holds behind [`Self::position`], with its record's append time.
    pub fn replay(&mut self, project: u32, key: EventKey, log_time_us: i64) {
        match key {
            EventKey::Numbered { producer, class, lane, number } => {
                // What is stored is a member, even if the bound was lowered since.
                let _ = self.streams.insert_at(producer, class, lane, number, usize::MAX);
            }
            EventKey::Id(id) => self.ids.replay(project, id, log_time_us),
        }
    }

    /// Marks `from..=to` of a stream as lost for good, by the client's own account. Call it when the record
    /// of the loss is on disk, and again in a replay.
    ///
    /// # Errors
    /// `BadNumber` for an empty range or one with 0, `TooFragmented` if too many losses are listed.
    pub fn explain_loss(
        &mut self,
        producer: ProducerHandle,
        class: u8,
        lane: u8,
        (from, to): Range,
    ) -> Result<(), StreamError> {
        let max_intervals = self.streams.max_intervals();
        self.streams.stream_mut(producer, class, lane).explain_loss(from, to, max_intervals)
    }

    /// The first `limit` ranges missing in each stream of a project; streams without holes are left out.
    /// Walks all streams: for answers to people, not per event. Contains staged numbers.
    pub fn holes(&self, project: u32, limit: usize) -> impl Iterator<Item = (StreamKey, Vec<Range>)> {
        let streams = self.streams.iter().filter(move |(key, _)| key.project == project);
        let holes = streams.map(move |(key, stream)| (key, stream.holes(limit)));
        holes.filter(|(_, holes)| !holes.is_empty())
    }

    /// The streams.
    pub fn streams(&self) -> &StreamTable {
        &self.streams
    }

    /// The ids.
    pub fn ids(&self) -> &IdIndex {
        &self.ids
    }

    /// The log position up to which everything is remembered.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The position of the last snapshot: the log is needed from behind it.
    pub fn snapshot_position(&self) -> u64 {
        self.snapshot_position
    }

    /// Writes a snapshot beside `path`, syncs it, and puts it in place by a rename. Always use the same path:
    /// runs that the new snapshot does not name are removed.
    ///
    /// # Errors
    /// `GroupStaged` between a check and its commit or rollback; `Io`, and the old snapshot still stands.
    pub fn snapshot_to(&mut self, path: &Path) -> Result<(), DedupeError> {
        if !self.staged.is_empty() || self.ids.has_staged() {
            return Err(DedupeError::GroupStaged);
        }
        let mut bytes = Vec::new();
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.position.to_le_bytes());
        self.ids.encode(&mut bytes);
        self.streams.encode(&mut bytes);
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        io::write_whole(path, &bytes)?;
        self.snapshot_position = self.position;
        self.ids.remove_garbage();
        Ok(())
    }

    fn check_number(&mut self, producer: ProducerHandle, class: u8, lane: u8, number: u64) -> Verdict {
        let max_intervals = self.streams.max_intervals();
        match self.streams.insert_at(producer, class, lane, number, max_intervals) {
            Ok((Delivered::Fresh, stream)) => {
                self.stage(stream, number);
                Verdict::Fresh
            }
            Ok((Delivered::Duplicate, _)) => Verdict::Duplicate,
            Err(StreamError::TooFragmented) => Verdict::Refused(Refusal::TooFragmented),
            Err(StreamError::BadNumber) => Verdict::Refused(Refusal::BadNumber),
        }
    }

    fn stage(&mut self, stream: StreamHandle, number: u64) {
        match self.staged.last_mut() {
            Some(last) if last.stream == stream && last.range.1.checked_add(1) == Some(number) => {
                last.range.1 = number;
            }
            _ => self.staged.push(StagedNumbers { stream, range: (number, number) }),
        }
    }
}

/// The position a snapshot covers, if it is whole and of a known version.
fn check_envelope(path: &Path, bytes: &[u8]) -> Result<u64, DedupeError> {
    let corrupt = |what| DedupeError::Corrupt { path: path.to_owned(), what };
    let mut reader = io::Reader(bytes);
    if reader.take(MAGIC.len()) != Some(MAGIC) {
        return Err(corrupt("not a snapshot of duplicates"));
    }
    let found = reader.u32().ok_or_else(|| corrupt("too short"))?;
    if found > VERSION {
        return Err(DedupeError::NewerVersion { path: path.to_owned(), found, known: VERSION });
    }
    let position = reader.u64().ok_or_else(|| corrupt("too short"))?;
    let body = reader.0.len().checked_sub(4).ok_or_else(|| corrupt("too short"))?;
    let (content, crc) = bytes.split_at(bytes.len() - reader.0.len() + body);
    if crc != crc32c::crc32c(content).to_le_bytes() {
        return Err(corrupt("checksum"));
    }
    Ok(position)
}

#[cfg(test)]
#[path = "ids/dedupe_tests.rs"]
mod tests;
