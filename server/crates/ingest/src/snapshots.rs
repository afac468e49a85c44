//! When the duplicate index is written to disk, so that a start replays little of the log.

use crossbeam_channel::{Receiver, TryRecvError, bounded};
use footpath_log::Background;
use footpath_log::dedupe::{Dedupe, DedupeError};

/// At least this often while there is traffic, unless told otherwise.
const PERIOD_US: i64 = 60_000_000;
/// A replay runs at some hundred megabytes a second, and a start should take less than a second.
const LEAST_LOG_BYTES: u64 = 256 << 20;
/// A snapshot costs at most a quarter of what the log itself writes.
const LOG_BYTES_PER_BYTE: u64 = 4;
/// After a failure.
const RETRY_US: i64 = 5_000_000;

/// The schedule and the snapshot that is being written.
pub(crate) struct Snapshots {
    background: Background,
    writing: Option<Receiver<Result<(), DedupeError>>>,
    period_us: i64,
    /// Time of the next one; none before the first group.
    due_us: Option<i64>,
    not_before_us: i64,
    /// Bytes of log behind the last one.
    log_bytes: u64,
    last_bytes: u64,
}

impl Snapshots {
    /// `log_bytes` were replayed behind the last snapshot.
    pub(crate) fn new(background: Background, log_bytes: u64) -> Self {
        Self {
            background,
            writing: None,
            period_us: PERIOD_US,
            due_us: None,
            not_before_us: i64::MIN,
            log_bytes,
            last_bytes: 0,
        }
    }

    /// Takes one at least this often while there is traffic.
    pub(crate) fn set_period(&mut self, period_us: i64) {
        self.period_us = period_us;
    }

    /// The log has grown.
    pub(crate) fn grown(&mut self, bytes: u64) {
        self.log_bytes += bytes;
    }

    /// Between two groups: takes a snapshot when it is time, and has it written.
    pub(crate) fn proceed(&mut self, dedupe: &Dedupe, now_us: i64) {
        self.poll(now_us);
        let due_us = *self.due_us.get_or_insert(now_us.saturating_add(self.period_us));
        let much = self.log_bytes >= LEAST_LOG_BYTES.max(self.last_bytes * LOG_BYTES_PER_BYTE);
        let wanted = much || (now_us >= due_us && self.log_bytes > 0);
        if wanted && now_us >= self.not_before_us && self.writing.is_none() {
            self.begin(dedupe, now_us);
        }
    }

    /// The last group is done: waits for a snapshot of everything.
    pub(crate) fn finish(&mut self, dedupe: &Dedupe) {
        if let Some(writing) = self.writing.take() {
            writing.recv().ok(); // Whatever became of it, the next one holds more.
        }
        let written = dedupe.snapshot().and_then(|snapshot| snapshot.write());
        if let Err(error) = written {
            tracing::error!(%error, "the duplicate index was not written; the next start replays the log");
        }
    }

    fn begin(&mut self, dedupe: &Dedupe, now_us: i64) {
        let snapshot = match dedupe.snapshot() {
            Ok(snapshot) => snapshot,
            Err(error) => return tracing::error!(%error, "the duplicate index cannot be written"),
        };
        self.last_bytes = snapshot.bytes() as u64;
        self.log_bytes = 0;
        self.due_us = Some(now_us.saturating_add(self.period_us));
        let (sender, receiver) = bounded(1);
        (self.background)(Box::new(move || {
            sender.send(snapshot.write()).ok(); // Nobody waits for it only when the judge is gone.
        }));
        self.writing = Some(receiver);
    }

    fn poll(&mut self, now_us: i64) {
        let Some(writing) = &self.writing else { return };
        let result = match writing.try_recv() {
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => Err(DedupeError::Abandoned),
            Ok(result) => result,
        };
        self.writing = None;
        if let Err(error) = result {
            tracing::error!(%error, "the duplicate index was not written; trying again");
            self.due_us = Some(now_us);
            self.not_before_us = now_us.saturating_add(RETRY_US);
            self.log_bytes = self.log_bytes.max(1);
        }
    }
}
