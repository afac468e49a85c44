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
//! position it covers. It is encoded between two groups and written elsewhere. After a start the log behind
//! that position is replayed, so the log must not be trimmed beyond [`Dedupe::snapshot_position`]. Streams are
//! not a cache: a trimmed log cannot bring them back, so a damaged or missing snapshot is refused by name and
//! never replaced by an empty one.
//!
//! ```text
//! snapshot  magic [8] | version u32 | position u64 | ids | producers u64 x (project u32, install [16],
//!           epoch u64, streams u32 x (slot u16, stream)) | crc32c u32      all little endian
//! ```

use std::io::ErrorKind;
use std::ops::Range as Offsets;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use footpath_model::id::EventId;

use crate::disk::{Disk, read_whole, replace};
use crate::gaps::{Gaps, Missing};
pub use crate::ids::{DedupeConfig, DedupeError};
use crate::ids::{Garbage, IdIndex, IdVerdict, io};
use crate::streams::{
    Delivered, MAX_INTERVALS, MAX_JUMP, ProducerHandle, Range, StreamError, StreamHandle, StreamTable,
};

const MAGIC: &[u8; 8] = b"FPDEDUP\0";
const VERSION: u32 = 1;
const SNAPSHOT: &str = "snapshot";

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
    /// Its number is 0, or far above all others.
    #[error(
        "stream numbers start at 1 and leave out 4,294,967,296 at most: correct the client, or begin a new epoch"
    )]
    BadNumber,
    /// A run of ids that may hold it cannot be read.
    #[error("the server cannot read its index of ids: retry later")]
    IndexUnreadable,
    /// Ids cannot be written to disk and fill the memory.
    #[error("the server cannot extend its index of ids: retry later")]
    IndexFull,
}

impl Refusal {
    /// Every refusal.
    pub const ALL: [Self; 4] = [Self::TooFragmented, Self::BadNumber, Self::IndexUnreadable, Self::IndexFull];

    /// The stable name of the reason.
    pub fn reason(self) -> &'static str {
        match self {
            Self::TooFragmented => "stream_too_fragmented",
            Self::BadNumber => "stream_number_invalid",
            Self::IndexUnreadable => "id_index_unreadable",
            Self::IndexFull => "id_index_full",
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
pub struct Dedupe {
    disk: Arc<dyn Disk>,
    streams: StreamTable,
    ids: IdIndex,
    gaps: Gaps,
    staged: Vec<StagedNumbers>,
    position: u64,
    snapshot_position: Arc<AtomicU64>,
}

impl Dedupe {
    /// Remembers nothing, and removes runs of an earlier life in the same folder: for a new log.
    ///
    /// # Errors
    /// `Io` if the folder of the runs cannot be read.
    pub fn create(config: DedupeConfig) -> Result<Self, DedupeError> {
        let disk = Arc::clone(&config.disk);
        let streams = StreamTable::new(MAX_INTERVALS);
        let ids = IdIndex::create(config)?;
        Ok(Self::assemble(disk, streams, ids, 0))
    }

    /// Reads the snapshot; without one, as [`Self::create`]. Then replay the log, which holds the offsets `log`, from
    /// [`Self::position`] to its end: for each stored event `replay`, now and then `commit`.
    ///
    /// # Errors
    /// `Corrupt`, `NewerVersion`, `Io` for the snapshot or a run it names, `AheadOfLog` if they cover more than the
    /// log holds, `BehindLog` if the log was trimmed beyond them. Do not go on with an empty index then: it would take
    /// stored events again.
    pub fn load(config: DedupeConfig, log: Offsets<u64>) -> Result<Self, DedupeError> {
        let disk = Arc::clone(&config.disk);
        let bytes = match read_whole(disk.as_ref(), SNAPSHOT) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            read => Some(read.map_err(io::named(SNAPSHOT))?),
        };
        let position = bytes.as_ref().map_or(Ok(0), |bytes| check_envelope(bytes))?;
        if position < log.start {
            return Err(DedupeError::BehindLog { covers: position, log_first: log.start });
        }
        let Some(bytes) = bytes else { return Self::create(config) };
        if position > log.end {
            let file = SNAPSHOT.to_owned();
            return Err(DedupeError::AheadOfLog { file, covers: position, log_end: log.end });
        }
        let mut reader = io::Reader(&bytes[MAGIC.len() + 12..bytes.len() - 4]);
        let ids = IdIndex::decode(&mut reader, config, position, log.end)?;
        let ids = ids.ok_or_else(|| DedupeError::corrupt(SNAPSHOT, "ids"))?;
        let streams = StreamTable::decode(&mut reader, MAX_INTERVALS);
        let streams = streams.ok_or_else(|| DedupeError::corrupt(SNAPSHOT, "streams"))?;
        Ok(Self::assemble(disk, streams, ids, position))
    }

    fn assemble(disk: Arc<dyn Disk>, streams: StreamTable, ids: IdIndex, position: u64) -> Self {
        let gaps = Gaps::of(&streams);
        let snapshot_position = Arc::new(AtomicU64::new(position));
        Self { disk, streams, ids, gaps, staged: Vec::new(), position, snapshot_position }
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
        for staged in self.staged.drain(..) {
            self.gaps.touch(&self.streams, staged.stream);
        }
        self.gaps.count(&self.streams);
        self.gaps.name(&self.streams);
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
                let unbounded = (usize::MAX, u64::MAX);
                if let Ok((_, stream)) = self.streams.insert_at(producer, class, lane, number, unbounded) {
                    self.gaps.touch(&self.streams, stream);
                }
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
        let stream = self.streams.handle(producer, class, lane);
        self.streams.stream_at_mut(stream).explain_loss(from, to, max_intervals)?;
        self.gaps.touch(&self.streams, stream);
        Ok(())
    }

    /// Names the gaps, if somebody asked for it; each commit does, too.
    pub fn name_gaps(&self) {
        self.gaps.name(&self.streams);
    }

    /// Events known to be missing, by project and stream, as of the last commit; shared, cheap to ask.
    pub fn missing(&self) -> Missing {
        self.gaps.missing()
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

    /// The position of the last durable snapshot, shared: the log is needed from there on.
    pub fn snapshot_position(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.snapshot_position)
    }

    /// Encodes a snapshot, to be written by [`Snapshot::write`] on whatever thread may wait for the disk. Write one
    /// at a time, in order.
    ///
    /// # Errors
    /// `GroupStaged` between a check and its commit or rollback.
    pub fn snapshot(&self) -> Result<Snapshot, DedupeError> {
        if !self.staged.is_empty() || self.ids.has_staged() {
            return Err(DedupeError::GroupStaged);
        }
        let mut bytes = Vec::with_capacity(self.ids.encoded_bytes() + self.streams.encoded_bytes() + 64);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.position.to_le_bytes());
        self.ids.encode(&mut bytes);
        self.streams.encode(&mut bytes);
        let garbage = Arc::clone(self.ids.garbage());
        let unnamed = garbage.lock().clone();
        let (disk, written) = (Arc::clone(&self.disk), self.snapshot_position());
        Ok(Snapshot { disk, bytes, position: self.position, written, garbage, unnamed })
    }

    fn check_number(&mut self, producer: ProducerHandle, class: u8, lane: u8, number: u64) -> Verdict {
        let bounds = (self.streams.max_intervals(), MAX_JUMP);
        match self.streams.insert_at(producer, class, lane, number, bounds) {
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

/// A snapshot that is not on disk yet.
pub struct Snapshot {
    disk: Arc<dyn Disk>,
    bytes: Vec<u8>,
    position: u64,
    written: Arc<AtomicU64>,
    garbage: Garbage,
    /// Expired runs that it no longer names.
    unnamed: Vec<String>,
}

impl Snapshot {
    /// Its size.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Makes it durable in place of the last one, then removes the runs that it no longer names.
    ///
    /// # Errors
    /// `Io`, and the old snapshot still stands.
    pub fn write(mut self) -> Result<(), DedupeError> {
        let crc = crc32c::crc32c(&self.bytes);
        self.bytes.extend_from_slice(&crc.to_le_bytes());
        replace(self.disk.as_ref(), SNAPSHOT, &self.bytes).map_err(io::named(SNAPSHOT))?;
        self.written.fetch_max(self.position, Ordering::Release);
        self.remove_unnamed();
        Ok(())
    }

    /// What cannot be removed now is removed at the next start.
    fn remove_unnamed(&self) {
        for name in &self.unnamed {
            if let Err(error) = self.disk.remove(name) {
                tracing::warn!(%error, "an expired run of ids could not be removed");
            }
        }
        self.garbage.lock().retain(|name| !self.unnamed.contains(name));
    }
}

/// The position a snapshot covers, if it is whole and of a known version.
fn check_envelope(bytes: &[u8]) -> Result<u64, DedupeError> {
    let corrupt = |what| DedupeError::corrupt(SNAPSHOT, what);
    let mut reader = io::Reader(bytes);
    if reader.take(MAGIC.len()) != Some(MAGIC) {
        return Err(corrupt("not a snapshot of duplicates"));
    }
    let found = reader.u32().ok_or_else(|| corrupt("too short"))?;
    if found > VERSION {
        return Err(DedupeError::NewerVersion { file: SNAPSHOT.to_owned(), found, known: VERSION });
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
