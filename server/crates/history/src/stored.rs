//! Stored events: chunks and the log above them, read as one.

use std::collections::HashSet;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use footpath_log::Log;
use footpath_model::filter::Needs;
use footpath_model::id::Producer;
use footpath_model::record::EventHead;

use crate::chunks::{Chunks, Pin};
use crate::error::HistoryError;
use crate::log_scan;
use crate::manifest::Manifest;
use crate::read::Wanted;
use crate::stop::Stop;
use crate::workers::Workers;

/// All stored events. A clone is cheap and shows the same.
#[derive(Clone)]
pub struct Stored {
    log: Arc<dyn Log>,
    chunks: Arc<Chunks>,
}

impl Stored {
    /// The events of `log`, of which `chunks` holds the older part.
    pub fn new(log: Arc<dyn Log>, chunks: Arc<Chunks>) -> Self {
        Self { log, chunks }
    }

    /// Freezes what is stored now. The log is not trimmed above the pinned manifest while the pin lives.
    pub fn pin(&self) -> Pinned {
        // The manifest first: what it does not cover must be read from the log, up to a later position.
        let pin = Arc::new(self.chunks.pin());
        Pinned { log: Arc::clone(&self.log), position: self.log.durable_end(), pin, stop: Stop::default() }
    }
}

/// Stored events at one moment: one manifest, and the log above it up to one position.
#[derive(Clone)]
pub struct Pinned {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) pin: Arc<Pin>,
    position: u64,
    pub(crate) stop: Stop,
}

impl Pinned {
    /// The position (exclusive) that this holds for: the log's durable end when it was pinned.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The position below which chunks are read, and above which the log is kept for as long as this lives.
    pub fn chunks_upto(&self) -> u64 {
        self.pin.manifest().upto
    }

    /// Only events below `position` from here on; never more than before.
    #[must_use]
    pub fn upto(self, position: u64) -> Self {
        Self { position: position.min(self.position), ..self }
    }

    /// Ends every reading with [`HistoryError::Stopped`] once this one says so.
    #[must_use]
    pub fn with_stop(self, stop: Stop) -> Self {
        Self { stop, ..self }
    }

    /// Tells whether somebody still waits for an answer.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Who helps with long questions.
    pub fn workers(&self) -> &Workers {
        self.pin.workers()
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        self.pin.manifest()
    }

    /// Append time of the last record below the position, microseconds since 1970; 0 when there is none. Where the log
    /// no longer has that record, it is the last one that is known to lie below it: never too late.
    pub fn processed_us(&self) -> i64 {
        let Some(last) = self.position.checked_sub(1) else { return 0 };
        let record = self.log.read(last, 1).ok().and_then(|records| records.into_iter().next());
        record.map_or_else(|| self.processed_by_chunks(), |record| record.append_time_us)
    }

    fn processed_by_chunks(&self) -> i64 {
        let manifest = self.pin.manifest();
        if self.position >= manifest.upto {
            return manifest.upto_append_us;
        }
        let below = manifest.files.iter().filter(|file| file.to <= self.position);
        below.map(|file| file.append_us).max().unwrap_or_default()
    }

    /// Calls `each` for every event that the scan asks for, exactly once, until it breaks.
    ///
    /// Order: the chunks by their range of log positions, within a file by (actor hash as signed number, time, id);
    /// then the log in log order.
    ///
    /// # Errors
    /// If a chunk or the log cannot be read; `each` may have been called before.
    pub fn scan(
        &self,
        scan: &Scan<'_>,
        each: &mut dyn FnMut(&StoredRow<'_>) -> ControlFlow<()>,
    ) -> Result<ScanStats, HistoryError> {
        let mut stats = ScanStats::default();
        if self.scan_chunks(scan, &mut stats, each)?.is_continue() {
            let from = scan.from_position.max(self.pin.manifest().upto);
            let _ = log_scan::scan(self.log.as_ref(), from..self.position, scan, &mut stats, each)?;
        }
        Ok(stats)
    }

    /// Calls `each` with the position and JSON of every control record of a project in these positions above the chunks, in
    /// log order.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub(crate) fn controls(
        &self,
        project: u32,
        positions: Range<u64>,
        each: &mut dyn FnMut(u64, &[u8]),
    ) -> Result<(), HistoryError> {
        let above = positions.start.max(self.chunks_upto())..positions.end;
        log_scan::controls(self.log.as_ref(), above, project, each)
    }

    fn scan_chunks(
        &self,
        scan: &Scan<'_>,
        stats: &mut ScanStats,
        each: &mut dyn FnMut(&StoredRow<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, HistoryError> {
        let wanted = Wanted::new(scan, self.position, &self.stop);
        for file in &self.pin.manifest().files {
            if !wanted.may_hold(file) {
                continue;
            }
            stats.files += 1;
            if self.pin.read(file, &wanted, stats, each)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The closed ranges of log positions, from `position` on, whose events of a project lie in chunks, in order and
    /// apart from each other. What is above the last one is in the log.
    pub fn ranges(&self, project: u32, position: u64) -> Vec<Range<u64>> {
        let files = self.pin.manifest().files.iter();
        let own = files.filter(|file| file.project == project && file.to > position);
        let mut ranges: Vec<_> = own.map(|file| file.from..file.to).collect();
        ranges.sort_unstable_by_key(|range| range.start);
        ranges.dedup();
        ranges
    }
}

/// Which events are wanted, and what of them.
#[derive(Debug, Clone, Copy)]
pub struct Scan<'a> {
    /// The project's number.
    pub project: u32,
    /// From this event time on, microseconds since 1970.
    pub from_us: i64,
    /// Before this event time.
    pub to_us: i64,
    /// Only of these actors, by their hash; `None` means all.
    pub actors: Option<&'a HashSet<u64>>,
    /// Only with these names; `None` means all.
    pub names: Option<&'a HashSet<String>>,
    /// From this log position on.
    pub from_position: u64,
    /// What is decoded.
    pub columns: Columns,
}

impl Scan<'_> {
    /// Every event of a project, with nothing but its head and name.
    pub fn all(project: u32) -> Self {
        Self {
            project,
            from_us: i64::MIN,
            to_us: i64::MAX,
            actors: None,
            names: None,
            from_position: 0,
            columns: Columns::HEAD,
        }
    }
}

/// What a scan decodes beside the position, index, name, time, id, actor hash and lane.
/// What is not asked for is zero or empty, or may be there all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Columns {
    /// Anonymous, user and session id.
    pub ids: bool,
    /// Properties.
    pub properties: bool,
    /// Everything else: times of append and receipt, raw time and rule, stream, changes, context.
    pub rest: bool,
}

impl Columns {
    /// Nothing more.
    pub const HEAD: Self = Self { ids: false, properties: false, rest: false };
    /// The ids.
    pub const IDS: Self = Self { ids: true, ..Self::HEAD };
    /// The properties.
    pub const PROPERTIES: Self = Self { properties: true, ..Self::HEAD };
    /// All there is.
    pub const ALL: Self = Self { ids: true, properties: true, rest: true };
}

impl From<Needs> for Columns {
    /// What has to be decoded for what a definition reads of an event.
    fn from(needs: Needs) -> Self {
        Self { properties: needs.properties, rest: needs.context || needs.groups, ..Self::HEAD }
    }
}

/// A stored event, wherever it was read from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StoredRow<'a> {
    /// The log position of its frame.
    pub offset: u64,
    /// Its index in the batch as sent; the same as `head.index`.
    pub index: u32,
    /// When it was put on disk, microseconds since 1970.
    pub append_us: i64,
    /// When its batch was received, microseconds since 1970.
    pub received_us: i64,
    /// Whether its batch was sent as history.
    pub historical: bool,
    /// Who numbered it.
    pub producer: Producer,
    /// The fixed part.
    pub head: EventHead,
    /// Its name.
    pub name: &'a str,
    /// Anonymous id; empty if none.
    pub anonymous_id: &'a str,
    /// User id; empty if none.
    pub user_id: &'a str,
    /// Session id; empty if none.
    pub session_id: &'a str,
    /// Entries of `Event.properties`, as in a record.
    pub properties: &'a [u8],
    /// The fields `Event.person` and `Event.groups`, as in a record.
    pub changes: &'a [u8],
    /// The batch's `Context`, as in a record.
    pub context: &'a [u8],
}

/// What a scan touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScanStats {
    /// Events given to the caller.
    pub rows: u64,
    /// Files read.
    pub files: u64,
    /// Row groups left out by actor or time.
    pub row_groups_skipped: u64,
    /// Log records looked at.
    pub records: u64,
}

#[cfg(test)]
mod tests;
