//! The log of a single machine: segments on a [`Disk`], written by one writer, read by many.

use crate::disk::{AlignedBuf, BLOCK, Disk, DiskFile};
use crate::recent::Recent;
use crate::recovery::{self, GroupAt, Segment, Unlisted};
use crate::segment::{self, Place, SegmentHeader};
use crate::{Entry, Log, LogError, Record};
use parking_lot::{Condvar, Mutex, RwLock};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Trimmed segments kept for reuse; more are given back to the file system.
const KEEP_FREE: usize = 4;
/// Zero-filling writes this much at a time.
const FILL_CHUNK: usize = 1024 * 1024;

/// How an [`EmbeddedLog`] is laid out.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddedOptions {
    /// Bytes of a new segment, a multiple of 4096 and below 4 GiB. Existing segments keep their size.
    pub segment_bytes: u64,
    /// A random number that becomes the incarnation of a log made in an empty folder; unused otherwise.
    pub new_incarnation: u64,
    /// Bytes of the newest records that are kept in memory, for readers that keep up.
    pub recent_bytes: usize,
}

impl EmbeddedOptions {
    /// Segments of 64 MiB (the design's figure), and as much of the newest records in memory: what arrives in a few
    /// hundred milliseconds at full speed, so that a reader may be held up for as long.
    pub fn new(new_incarnation: u64) -> Self {
        Self { segment_bytes: 64 << 20, new_incarnation, recent_bytes: 64 << 20 }
    }
}

/// The embedded implementation of [`Log`]. Its [`Disk`] must be held by nobody else.
pub struct EmbeddedLog {
    disk: Arc<dyn Disk>,
    segment_bytes: u64,
    incarnation: u64,
    writer: Mutex<Writer>,
    /// Never empty; the last one is being written. Holds durable groups only.
    segments: RwLock<VecDeque<Segment>>,
    recent: Mutex<Recent>,
    /// Told whenever there is more in `recent`.
    more: Condvar,
    spares: Mutex<Spares>,
    /// Held by the one trim that runs: a segment that could not be dropped goes back to the front.
    trimming: Mutex<()>,
    /// Told whenever a spare was taken.
    spare_taken: Condvar,
    end: AtomicU64,
    last_append_time_us: AtomicI64,
}

struct Writer {
    next_generation: u64,
    failed: Option<String>,
    full: bool,
    buffer: AlignedBuf,
}

struct Spares {
    free: Vec<String>,
    next: u64,
}

/// The writer's view of the active segment.
struct Active {
    file: Arc<dyn DiskFile>,
    place: Place,
    next_offset: u64,
    len: u64,
}

/// With less room than this in the active segment the next group may need another one: more than a usual group.
const ROOM_BYTES: u64 = 8 << 20;

impl EmbeddedLog {
    /// Opens the log, verifies its newest segment and cuts a torn tail.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] and [`LogError::NewerFormat`] name the file; [`LogError::Full`] when a first segment
    /// finds no space; [`LogError::Io`].
    pub fn open(disk: Arc<dyn Disk>, options: EmbeddedOptions) -> Result<Self, LogError> {
        let segment_bytes = options.segment_bytes;
        if !segment_bytes.is_multiple_of(BLOCK as u64)
            || segment_bytes < 2 * BLOCK as u64
            || segment_bytes > u64::from(u32::MAX)
        {
            let message = "segment_bytes must be a multiple of 4096, at least 8192 and below 4 GiB";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message).into());
        }
        let found = recovery::scan(disk.as_ref(), segment_bytes)?;
        let end = found.segments.back().map_or(0, |last| last.end_offset);
        let log = Self {
            disk,
            segment_bytes,
            incarnation: found.segments.back().map_or(options.new_incarnation, |s| s.header.incarnation),
            writer: Mutex::new(Writer {
                next_generation: found.next_generation,
                failed: None,
                full: false,
                buffer: AlignedBuf::default(),
            }),
            segments: RwLock::new(found.segments),
            recent: Mutex::new(Recent::new(options.recent_bytes)),
            more: Condvar::new(),
            spares: Mutex::new(Spares { free: found.free, next: found.next_free }),
            trimming: Mutex::new(()),
            spare_taken: Condvar::new(),
            end: AtomicU64::new(end),
            last_append_time_us: AtomicI64::new(found.last_append_time_us.unwrap_or(i64::MIN)),
        };
        if log.segments.read().is_empty() {
            log.roll(&mut log.writer.lock())?;
        }
        Ok(log)
    }

    /// The random number that tells this log from any other, for instance from one restored out of a backup.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// About how many bytes of the log lie at `from` and behind it.
    pub fn bytes_from(&self, from: u64) -> u64 {
        let segments = self.segments.read();
        segments.iter().map(|segment| segment.bytes_from(from)).sum()
    }

    /// Makes sure a zero-filled segment is ready, so that the next roll costs one small write. A
    /// [`SpareKeeper`](crate::SpareKeeper) calls it; without it the roll fills the segment itself.
    ///
    /// # Errors
    /// [`LogError::Full`] or [`LogError::Io`]; the log itself is not affected.
    pub fn prepare_spare(&self) -> Result<(), LogError> {
        if !self.spares.lock().free.is_empty() {
            return Ok(());
        }
        let name = self.create_spare().map_err(refusal)?;
        self.spares.lock().free.push(name);
        Ok(())
    }

    /// Whether groups can be written: there is room in the active segment, or space for the next one. After an error
    /// [`Log::recover`] fails until there is. Call it at a start: a full disk is otherwise met by the first writer.
    ///
    /// # Errors
    /// As [`EmbeddedLog::prepare_spare`].
    pub fn probe(&self) -> Result<(), LogError> {
        let mut writer = self.writer.lock();
        let active = self.active()?;
        if active.len.saturating_sub(active.place.position) >= ROOM_BYTES {
            return Ok(());
        }
        self.prepare_spare().inspect_err(|_| writer.full = true)
    }

    /// Writes an empty group whose header carries the floor, so that damage to the last real group is later known as
    /// corruption and not taken for a torn tail. Call it on a clean stop.
    ///
    /// # Errors
    /// As [`Log::append_group`].
    pub fn seal(&self) -> Result<(), LogError> {
        self.write_group(&mut self.writer.lock(), &[]).map(|_| ())
    }

    /// Gives back the memory of records below `read`: whoever follows the log has read them.
    pub fn release(&self, read: u64) {
        self.recent.lock().trim(read);
    }

    fn create_spare(&self) -> io::Result<String> {
        let name = {
            let mut spares = self.spares.lock();
            spares.next += 1;
            recovery::free_name(spares.next - 1)
        };
        let filled =
            self.disk.create(&name).and_then(|file| fill_with_zeros(file.as_ref(), self.segment_bytes));
        if filled.is_err() {
            // What it holds is needed elsewhere; if removing fails too, the next start does it.
            self.disk.remove(&name).ok();
        }
        filled.map(|()| name)
    }

    /// Waits until there is no spare, or for `at_most`.
    pub(crate) fn wait_until_spare_taken(&self, at_most: Duration) {
        let mut spares = self.spares.lock();
        if !spares.free.is_empty() {
            self.spare_taken.wait_for(&mut spares, at_most);
        }
    }

    /// Ends the waits of [`Self::wait_until_spare_taken`] early.
    pub(crate) fn wake_keeper(&self) {
        self.spare_taken.notify_all();
    }

    fn take_spare(&self) -> io::Result<String> {
        let spare = self.spares.lock().free.pop();
        self.spare_taken.notify_all();
        match spare {
            Some(name) => return Ok(name),
            None => tracing::debug!("no spare segment was ready, filling one now"),
        }
        self.create_spare()
    }

    /// Starts a fresh segment behind the last durable group.
    fn roll(&self, writer: &mut Writer) -> Result<(), LogError> {
        let spare = self.take_spare().map_err(|error| self.refuse(writer, error))?;
        let generation = writer.next_generation;
        writer.next_generation += 1;
        let header = self.next_header(generation);
        let name = recovery::segment_name(generation);
        match self.activate(writer, &spare, &name, &header) {
            Ok(file) => {
                self.segments.write().push_back(Segment::new(name, header, file));
                Ok(())
            }
            Err(error) => {
                // Under either name: nothing was written to it that anybody was told about.
                self.disk.remove(&spare).or_else(|_| self.disk.remove(&name)).ok();
                Err(self.refuse(writer, error))
            }
        }
    }

    fn next_header(&self, generation: u64) -> SegmentHeader {
        let segments = self.segments.read();
        let last = segments.back();
        SegmentHeader {
            generation,
            incarnation: self.incarnation,
            first_offset: last.map_or(0, |s| s.end_offset),
            previous: last.map_or(0, |s| s.header.generation),
            previous_end: last.map_or(0, |s| s.end_position),
        }
    }

    /// Header first, then the name, then groups: each step durable before the next, so a name never lies.
    fn activate(
        &self,
        writer: &mut Writer,
        spare: &str,
        name: &str,
        header: &SegmentHeader,
    ) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open(spare)?;
        segment::encode_segment(header, writer.buffer.reset(BLOCK));
        file.write_at(writer.buffer.bytes(), 0)?;
        file.sync()?;
        self.disk.rename(spare, name)?;
        self.disk.sync_dir()?;
        Ok(file)
    }

    /// Turns a failed write into the log's state: out of space can be tried again, anything else cannot.
    fn refuse(&self, writer: &mut Writer, error: io::Error) -> LogError {
        if is_full(&error) {
            writer.full = true;
            return LogError::Full;
        }
        self.fail(writer, error)
    }

    fn fail(&self, writer: &mut Writer, error: io::Error) -> LogError {
        let reason = error.to_string();
        tracing::error!(%reason, "the log stopped");
        if let Some(active) = self.segments.write().back_mut() {
            active.poisoned = true;
        }
        writer.failed = Some(reason.clone());
        LogError::Failed(reason)
    }

    fn active(&self) -> io::Result<Active> {
        let segments = self.segments.read();
        let last = segments.back().ok_or(io::ErrorKind::NotFound)?;
        Ok(Active {
            file: Arc::clone(&last.file),
            place: last.place(last.end_position),
            next_offset: last.end_offset,
            len: last.file.len()?,
        })
    }

    fn write_group(&self, writer: &mut Writer, entries: &[Entry]) -> Result<u64, LogError> {
        if let Some(reason) = &writer.failed {
            return Err(LogError::Failed(reason.clone()));
        }
        let stored_len = segment::stored_len(entries);
        let limit = self.segment_bytes as usize - BLOCK;
        if stored_len > limit {
            return Err(LogError::TooLarge { bytes: stored_len, limit });
        }
        let mut active = self.active()?;
        if active.place.position + stored_len as u64 > active.len {
            self.roll(writer)?;
            active = self.active()?;
        }
        let first = active.next_offset;
        // Single writer, one group in flight: all before this group is durable, so the floor is its own offset.
        segment::encode_group(active.place, first, first, entries, writer.buffer.reset(stored_len));
        active
            .file
            .write_at(writer.buffer.bytes(), active.place.position)
            .map_err(|error| self.refuse(writer, error))?;
        active.file.sync().map_err(|error| self.fail(writer, error))?;
        writer.full = false;
        self.publish(first, entries, stored_len);
        Ok(first)
    }

    fn publish(&self, first: u64, entries: &[Entry], stored_len: usize) {
        self.recent.lock().push(first, entries);
        if let Some(active) = self.segments.write().back_mut() {
            active.push_group(entries.len() as u64, stored_len);
            self.end.store(active.end_offset, Ordering::Release);
        }
        self.more.notify_all();
        if let Some(last) = entries.last() {
            self.last_append_time_us.store(last.append_time_us, Ordering::Release);
        }
    }

    /// The groups that hold `from` and what follows, `max_bytes` of them, with the file they lie in.
    fn plan(&self, from: u64, max_bytes: usize) -> Result<Planned, LogError> {
        let segments = self.segments.read();
        let first = segments.front().map_or(0, |s| s.header.first_offset);
        let end = self.durable_end();
        if from < first {
            return Err(LogError::Trimmed { first });
        }
        if from > end {
            return Err(LogError::Beyond { from, end });
        }
        let index = segments.partition_point(|s| s.end_offset <= from);
        let Some(segment) = segments.get(index) else { return Ok(Planned::Nothing) };
        let Some(groups) = &segment.groups else { return Ok(Planned::List(segment.unlisted())) };
        let start = groups.partition_point(|g| g.first_offset <= from).saturating_sub(1);
        let mut bytes = 0;
        let taken = groups[start..].iter().take_while(|group| {
            let room = bytes < max_bytes || bytes == 0;
            bytes += group.len as usize;
            room
        });
        Ok(Planned::Read(Plan {
            name: segment.name.clone(),
            file: Arc::clone(&segment.file),
            place: segment.place(0),
            groups: taken.copied().collect(),
        }))
    }

    /// Lists the groups of a segment of an earlier process, without holding up the writer.
    fn list(&self, unlisted: &Unlisted) -> Result<(), LogError> {
        let groups = unlisted.list()?;
        let mut segments = self.segments.write();
        let found = segments.iter_mut().find(|s| s.header.generation == unlisted.header.generation);
        if let Some(segment) = found {
            segment.groups.get_or_insert(groups);
        }
        Ok(())
    }

    fn read_planned(&self, plan: &Plan, from: u64, max_bytes: usize) -> Result<Vec<Record>, LogError> {
        let mut records = Vec::new();
        let mut bytes = 0;
        for group in &plan.groups {
            let read = recovery::read_group(&plan.name, plan.file.as_ref(), plan.place, group)?;
            for record in read.into_iter().filter(|record| record.offset >= from) {
                bytes += record.payload.len();
                if bytes > max_bytes && !records.is_empty() {
                    return Ok(records);
                }
                records.push(record);
            }
        }
        Ok(records)
    }

    fn forget(&self, segment: &Segment) -> io::Result<()> {
        let free = self.spares.lock().free.len();
        let reusable = !segment.poisoned && free < KEEP_FREE && segment.file.len()? == self.segment_bytes;
        if !reusable {
            unless_gone(self.disk.remove(&segment.name))?;
            return self.disk.sync_dir();
        }
        let name = {
            let mut spares = self.spares.lock();
            spares.next += 1;
            recovery::free_name(spares.next - 1)
        };
        let renamed = unless_gone(self.disk.rename(&segment.name, &name))?;
        // Before it may be overwritten: a lost rename would leave the old name on a new header.
        self.disk.sync_dir()?;
        if renamed {
            self.spares.lock().free.push(name);
        }
        Ok(())
    }
}

/// What a read has to do.
enum Planned {
    /// The end is reached.
    Nothing,
    /// Read these groups.
    Read(Plan),
    /// List the groups of this segment first.
    List(Unlisted),
}

struct Plan {
    name: String,
    file: Arc<dyn DiskFile>,
    place: Place,
    groups: Vec<GroupAt>,
}

fn fill_with_zeros(file: &dyn DiskFile, bytes: u64) -> io::Result<()> {
    let mut zeros = AlignedBuf::default();
    zeros.reset(FILL_CHUNK.min(bytes as usize)).fill(0);
    let chunk = zeros.bytes();
    let mut at = 0;
    while at < bytes {
        let size = chunk.len().min((bytes - at) as usize);
        file.write_at(&chunk[..size], at)?;
        at += size as u64;
    }
    file.sync()
}

/// False if an earlier attempt, whose end was not made durable, took the name away already.
fn unless_gone(change: io::Result<()>) -> io::Result<bool> {
    match change {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        change => change.map(|()| true),
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn refusal(error: io::Error) -> LogError {
    if is_full(&error) { LogError::Full } else { LogError::Io(error) }
}

impl Log for EmbeddedLog {
    fn append_group(&self, entries: &[Entry]) -> Result<u64, LogError> {
        let mut writer = self.writer.lock();
        if entries.is_empty() {
            return Ok(self.durable_end());
        }
        self.write_group(&mut writer, entries)
    }

    fn read(&self, from: u64, max_bytes: usize) -> Result<Vec<Record>, LogError> {
        if let Some(records) = self.recent.lock().read(from, max_bytes) {
            return Ok(records);
        }
        loop {
            let step = match self.plan(from, max_bytes)? {
                Planned::Nothing => return Ok(Vec::new()),
                Planned::Read(plan) => self.read_planned(&plan, from, max_bytes).map(Some),
                Planned::List(unlisted) => self.list(&unlisted).map(|()| None),
            };
            match step {
                Ok(Some(records)) => return Ok(records),
                Ok(None) => {}
                // A trim may have recycled the file under this reader.
                Err(_) if self.first() > from => return Err(LogError::Trimmed { first: self.first() }),
                Err(error) => return Err(error),
            }
        }
    }

    fn durable_end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    fn first(&self) -> u64 {
        self.segments.read().front().map_or(0, |s| s.header.first_offset)
    }

    fn trim(&self, below: u64) -> Result<(), LogError> {
        // Oldest first and one by one: whatever a power loss keeps of it is still a chain.
        let _one_trim = self.trimming.lock();
        loop {
            let segment = {
                let mut segments = self.segments.write();
                let droppable = segments.len() > 1 && segments.front().is_some_and(|s| s.end_offset <= below);
                if !droppable {
                    return Ok(());
                }
                segments.pop_front()
            };
            let Some(segment) = segment else { return Ok(()) };
            self.recent.lock().trim(segment.end_offset);
            if let Err(error) = self.forget(&segment) {
                // It keeps its name, so it must stay the oldest link: the next trim tries it again.
                self.segments.write().push_front(segment);
                return Err(error.into());
            }
        }
    }

    fn wait(&self, from: u64, at_most: Duration) {
        // A group that is published between the look and the wait is missed; the time is short.
        let mut recent = self.recent.lock();
        if self.durable_end() <= from {
            self.more.wait_for(&mut recent, at_most);
        }
    }

    fn last_append_time_us(&self) -> i64 {
        self.last_append_time_us.load(Ordering::Acquire)
    }

    fn recover(&self) -> Result<(), LogError> {
        let mut writer = self.writer.lock();
        if writer.failed.is_some() {
            if let Some(active) = self.segments.read().back() {
                recovery::verify(active)?;
            }
            self.roll(&mut writer)?;
            writer.failed = None;
        } else if writer.full {
            self.prepare_spare()?;
        }
        writer.full = false;
        Ok(())
    }
}
