//! The thread that turns the log into chunks.
//!
//! It has a thread of its own because encoding in the pipeline's thread held up acknowledgements for seconds, and it
//! yields between pieces of work because it is never urgent: what is not in a chunk yet is read from the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use footpath_log::{Log, lower_priority};
use footpath_model::clock::Clock;
use parking_lot::{Condvar, Mutex};

use crate::builder::Builder;
use crate::chunks::Chunks;
use crate::error::HistoryError;
use crate::schema::Promoted;

/// How long the thread sleeps when the log has nothing new. A chunk is old news by minutes anyway.
const IDLE: Duration = Duration::from_millis(200);
/// How long it waits after a failed write before it tries again.
const RETRY: Duration = Duration::from_secs(1);

/// How much less urgent than the rest of the process. It gets its time all the same: where it falls behind, senders are
/// slowed down.
const NICE: i32 = 10;

/// When a range of positions is closed, and what its files look like.
#[derive(Debug, Clone)]
pub struct WriterOptions {
    /// So many events, or a batch more.
    pub rows: usize,
    /// So many bytes of frames, or a frame more. Memory is about three times this.
    pub bytes: usize,
    /// So many microseconds after the first record of the range was appended.
    pub age_us: i64,
    /// Properties with a column of their own.
    pub promoted: Vec<Promoted>,
}

impl Default for WriterOptions {
    fn default() -> Self {
        // 128 k events of 400 bytes are 52 MB: big enough for few files, small enough to hold beside everything else.
        Self { rows: 128 * 1024, bytes: 64 << 20, age_us: 60_000_000, promoted: Vec::new() }
    }
}

/// What the writer has done since it was started.
#[derive(Debug, Default)]
pub struct ChunkCounters {
    /// Events written into chunks.
    pub rows: AtomicU64,
    /// Bytes of chunks.
    pub bytes: AtomicU64,
    /// Chunk files.
    pub files: AtomicU64,
    /// The log position (exclusive) that chunks cover.
    pub position: AtomicU64,
    /// The log position (exclusive) up to which records were taken off the log.
    pub taken: AtomicU64,
    /// Frames that could not be read and are in no chunk.
    pub skipped_frames: AtomicU64,
    /// Events that could not be encoded and are in no chunk.
    pub skipped_events: AtomicU64,
    /// Attempts to read the log or write files that failed and are tried again.
    pub failures: AtomicU64,
}

/// The running writer; stops when dropped, at the latest after the file it is writing.
pub struct ChunkWriter {
    shared: Arc<Shared>,
    counters: Arc<ChunkCounters>,
    log: Arc<dyn Log>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stop: bool,
    /// Everything below is wanted in chunks now.
    flush_to: u64,
    covered: u64,
    failures: u64,
    last_failure: String,
}

impl ChunkWriter {
    /// Starts at the end of the newest manifest.
    ///
    /// # Errors
    /// [`HistoryError::Option`] for promoted properties that cannot be columns, [`HistoryError::Io`] if the thread
    /// cannot be started.
    pub fn start(
        log: Arc<dyn Log>,
        chunks: Arc<Chunks>,
        clock: Arc<dyn Clock>,
        options: WriterOptions,
    ) -> Result<Self, HistoryError> {
        let counters = Arc::new(ChunkCounters::default());
        let builder = Builder::new(Arc::clone(&log), chunks, options, Arc::clone(&counters))?;
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let work = move || {
            lower_priority(NICE);
            run(builder, clock.as_ref(), &own);
        };
        let thread = std::thread::Builder::new().name("chunks".into()).spawn(work)?;
        Ok(Self { shared, counters, log, thread: Some(thread) })
    }

    /// What it has done.
    pub fn counters(&self) -> &Arc<ChunkCounters> {
        &self.counters
    }

    /// Waits until everything that is in the log now is in chunks.
    ///
    /// # Errors
    /// If an attempt fails meanwhile; the writer goes on trying.
    pub fn flush(&self) -> Result<(), HistoryError> {
        let mut state = self.shared.state.lock();
        let wanted = self.log.durable_end();
        state.flush_to = state.flush_to.max(wanted);
        let failures = state.failures;
        self.shared.changed.notify_all();
        while state.covered < wanted {
            if state.failures != failures {
                return Err(std::io::Error::other(state.last_failure.clone()).into());
            }
            self.shared.changed.wait(&mut state);
        }
        Ok(())
    }
}

impl Drop for ChunkWriter {
    fn drop(&mut self) {
        self.shared.state.lock().stop = true;
        self.shared.changed.notify_all();
        footpath_log::join(self.thread.take());
    }
}

fn run(mut builder: Builder, clock: &dyn Clock, shared: &Shared) {
    let mut state = shared.state.lock();
    state.covered = builder.covered();
    while !state.stop {
        let flush_to = state.flush_to;
        drop(state);
        let step = builder.step(clock.now_us(), flush_to);
        state = shared.state.lock();
        state.covered = builder.covered();
        let pause = match step {
            Ok(true) => None,
            Ok(false) => Some(IDLE),
            Err(error) => {
                tracing::error!(%error, "chunks cannot be written; trying again");
                builder.counters().failures.fetch_add(1, Ordering::Relaxed);
                state.failures += 1;
                state.last_failure = error.to_string();
                Some(RETRY)
            }
        };
        shared.changed.notify_all();
        // A wish may have come while the step ran; it must not wait for the pause to end.
        if let Some(pause) = pause.filter(|_| !state.stop && state.flush_to == flush_to) {
            shared.changed.wait_for(&mut state, pause);
        }
    }
}

#[cfg(test)]
mod tests;
