//! Pulls the log, gathers, and writes a closed range of positions at a time. No thread and no clock of its own.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use footpath_log::{Log, LogError, Record};
use footpath_model::record::RecordError;

use crate::chunks::Chunks;
use crate::error::HistoryError;
use crate::file::{self, Layout};
use crate::gather::{Gathered, Key, Part};
use crate::manifest::ChunkFile;
use crate::pages::Out;
use crate::writer::{ChunkCounters, WriterOptions};

/// Bytes read from the log at a time.
const READ_BYTES: usize = 1 << 20;

/// The range that is being gathered, and how to write it.
pub(crate) struct Builder {
    log: Arc<dyn Log>,
    chunks: Arc<Chunks>,
    layout: Layout,
    options: WriterOptions,
    counters: Arc<ChunkCounters>,
    gathered: Gathered,
    /// Everything below is in chunks.
    from: u64,
    /// Everything below was gathered.
    next: u64,
    first_append_us: i64,
    last_append_us: i64,
    /// The range is being written: until it is, nothing joins it, or its files would get other names and those of the
    /// failed attempt would lie about until the next start.
    closing: bool,
    /// Files that only wait to join; they must not be written again.
    written: Option<Vec<ChunkFile>>,
}

impl Builder {
    pub(crate) fn new(
        log: Arc<dyn Log>,
        chunks: Arc<Chunks>,
        options: WriterOptions,
        counters: Arc<ChunkCounters>,
    ) -> Result<Self, HistoryError> {
        let layout = Layout::new(&options.promoted)?;
        let from = chunks.manifest().upto;
        counters.position.store(from, Ordering::Relaxed);
        counters.taken.store(from, Ordering::Relaxed);
        Ok(Self {
            log,
            chunks,
            layout,
            options,
            counters,
            gathered: Gathered::default(),
            from,
            next: from,
            first_append_us: 0,
            last_append_us: 0,
            closing: false,
            written: None,
        })
    }

    /// The position (exclusive) that chunks cover.
    pub(crate) fn covered(&self) -> u64 {
        self.from
    }

    pub(crate) fn counters(&self) -> &ChunkCounters {
        &self.counters
    }

    /// Gathers what is new, and closes the range when it is time, or when `flush_to` wants it; false if there was
    /// nothing to do. After an error the same step may be tried again.
    pub(crate) fn step(&mut self, now_us: i64, flush_to: u64) -> Result<bool, HistoryError> {
        let pulled = !self.closing && !self.is_full() && self.pull()?;
        let flush = self.from < flush_to && (flush_to <= self.next || !pulled);
        // What the log has already joins an old range before it is closed: whoever is behind would make a file of every page.
        let old = !pulled && self.is_old(now_us);
        self.closing |= self.next > self.from && (self.is_full() || old || flush);
        if self.closing {
            self.close()?;
            return Ok(true);
        }
        Ok(pulled)
    }

    fn is_full(&self) -> bool {
        self.gathered.rows >= self.options.rows || self.gathered.bytes >= self.options.bytes
    }

    fn is_old(&self, now_us: i64) -> bool {
        now_us.saturating_sub(self.first_append_us) >= self.options.age_us
    }

    /// Takes records until there is nothing more or the range is full; false if there was none.
    fn pull(&mut self) -> Result<bool, HistoryError> {
        let records = match self.log.read(self.next, READ_BYTES) {
            Err(LogError::Trimmed { first }) if self.next == self.from => {
                tracing::error!(
                    from = self.from,
                    to = first,
                    "the log was trimmed: these positions are in no chunk"
                );
                (self.from, self.next) = (first, first);
                return Ok(true);
            }
            read => read?,
        };
        let some = !records.is_empty();
        for record in &records {
            if self.is_full() {
                break;
            }
            self.take(record)?;
        }
        Ok(some)
    }

    fn take(&mut self, record: &Record) -> Result<(), HistoryError> {
        match self.gathered.take(record) {
            Ok(taken) if taken.skipped == 0 => {}
            Ok(taken) => {
                tracing::error!(
                    position = record.offset,
                    events = taken.skipped,
                    "damaged events are in no chunk"
                );
                add(&self.counters.skipped_events, taken.skipped);
            }
            // Not poison but a downgrade: it waits for the newer program, and nothing is lost meanwhile.
            Err(RecordError::Newer(version)) => {
                return Err(HistoryError::Newer {
                    file: format!("the log record at {}", record.offset),
                    version: version.into(),
                    supported: footpath_model::record::VERSION.into(),
                });
            }
            // Reading a frame depends on its bytes alone: a second try would end the same.
            Err(RecordError::Damaged) => {
                tracing::error!(position = record.offset, "a damaged frame is in no chunk");
                add(&self.counters.skipped_frames, 1);
            }
        }
        if self.next == self.from {
            self.first_append_us = record.append_time_us;
        }
        self.next = record.offset + 1;
        self.counters.taken.store(self.next, Ordering::Relaxed);
        self.last_append_us = record.append_time_us;
        Ok(())
    }

    /// Writes what was gathered and makes it part of history.
    fn close(&mut self) -> Result<(), HistoryError> {
        let files = match self.written.take() {
            Some(files) => files,
            None => self.write()?,
        };
        let joined = self.chunks.join(&files, self.next, self.last_append_us);
        if let Err(error) = joined {
            self.written = Some(files);
            return Err(error);
        }
        self.count(&files);
        self.closing = false;
        self.gathered.clear();
        self.from = self.next;
        self.counters.position.store(self.from, Ordering::Relaxed);
        Ok(())
    }

    fn write(&mut self) -> Result<Vec<ChunkFile>, HistoryError> {
        self.gathered.merge_old_days();
        // Out of the way of the borrow; if a write fails it goes back, sorted or not.
        let mut parts = std::mem::take(&mut self.gathered.parts);
        let files: Result<Vec<_>, _> =
            parts.iter_mut().filter_map(|(part, keys)| self.write_part(*part, keys).transpose()).collect();
        self.gathered.parts = parts;
        files
    }

    /// Writes one file; `None` if none of its events can be encoded.
    fn write_part(&self, part: Part, keys: &mut Vec<Key>) -> Result<Option<ChunkFile>, HistoryError> {
        if keys.is_empty() {
            return Ok(None); // An attempt before left nothing of it.
        }
        match self.try_part(part, keys) {
            Err(HistoryError::Encode(error)) => {
                tracing::error!(%error, project = part.project, "a chunk failed; looking for the event that fails");
            }
            written => return written.map(Some),
        }
        let sound = sound(keys, &|few| self.encode(&mut few.to_vec(), &mut io::sink()).is_ok());
        let bad = keys.len() - sound.len();
        tracing::error!(events = bad, from = self.from, to = self.next, "events that fail are in no chunk");
        add(&self.counters.skipped_events, bad as u64);
        *keys = sound;
        if keys.is_empty() {
            return Ok(None);
        }
        self.try_part(part, keys).map(Some)
    }

    fn try_part(&self, part: Part, keys: &mut [Key]) -> Result<ChunkFile, HistoryError> {
        let path = file::path(part, &(self.from..self.next));
        let mut output = self.chunks.begin(&path)?;
        let encoded = self.encode(keys, &mut output);
        output.check()?;
        let links = encoded?;
        let (bytes, crc32c) = output.finish()?;
        let times = || keys.iter().map(|key| key.time_us);
        Ok(ChunkFile {
            path,
            project: part.project,
            day: part.day,
            from: self.from,
            to: self.next,
            append_us: self.last_append_us,
            rows: keys.len() as u64,
            min_time_us: times().min().unwrap_or_default(),
            max_time_us: times().max().unwrap_or_default(),
            min_actor: keys.first().map_or(0, |key| key.actor),
            max_actor: keys.last().map_or(0, |key| key.actor),
            identifies: links.identifies,
            aliases: links.aliases,
            bytes,
            crc32c,
        })
    }

    fn encode(&self, keys: &mut [Key], out: Out<'_>) -> Result<file::LinkCounts, HistoryError> {
        let work = || self.layout.encode(&self.gathered, keys, out, &std::thread::yield_now);
        // One event must not end the thread, whatever the encoder thinks of it.
        catch_unwind(AssertUnwindSafe(work))
            .unwrap_or_else(|_| Err(HistoryError::encode("the encoder panicked")))
    }

    fn count(&self, files: &[ChunkFile]) {
        add(&self.counters.files, files.len() as u64);
        add(&self.counters.rows, files.iter().map(|file| file.rows).sum());
        add(&self.counters.bytes, files.iter().map(|file| file.bytes).sum());
    }
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// The keys without those that fail even alone: each has then failed twice.
fn sound(keys: &[Key], works: &dyn Fn(&[Key]) -> bool) -> Vec<Key> {
    if works(keys) {
        return keys.to_vec();
    }
    if keys.len() <= 1 {
        return Vec::new();
    }
    let (left, right) = keys.split_at(keys.len() / 2);
    let mut found = sound(left, works);
    found.extend(sound(right, works));
    found
}

#[cfg(test)]
mod tests;
