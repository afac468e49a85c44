//! One thread that turns submissions into durable groups.
//!
//! Fair over projects (deficit round-robin), bounded in bytes, judged in log order, synced, and only then answered.

use crate::{Entry, Log, LogError, join};
use bytes::Bytes;
use footpath_model::clock::Clock;
use parking_lot::{Condvar, Mutex};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

mod queue;
use queue::{Item, Queue};

/// How often, while nobody sends, an unhealthy log is tried again (readiness must come back without traffic) and the
/// judge is asked for a last word.
const IDLE_PAUSE: Duration = Duration::from_millis(500);

/// While batches come faster than groups are written, a group waits for more: 4 KiB are written and synced in 0.16 ms,
/// 1.25 MB in 0.5. A sender that is alone and waits for each answer never waits longer.
const GATHER: Duration = Duration::from_millis(1);
/// A group of this size waits no more.
const GATHER_BYTES: usize = 1 << 20;

/// What the judge makes of a batch.
#[derive(Debug)]
pub struct Judged<V> {
    /// What to write, one record each; empty when nothing of the batch is to be stored.
    pub payloads: Vec<Bytes>,
    /// What to tell the sender once the group is durable.
    pub verdict: V,
}

/// Decides, in log order, what of a batch is stored.
///
/// Within a group each batch is judged against all before it. Nothing is final before [`Judge::committed`];
/// after [`Judge::aborted`] everything judged since the last of the two must be forgotten.
pub trait Judge: Send + 'static {
    /// What is submitted.
    type Batch: Send + 'static;
    /// What the sender is told.
    type Verdict: Send + 'static;

    /// Judges one batch. `offset` is where its first payload will lie when one is returned and the group commits.
    fn judge(&mut self, batch: Self::Batch, append_time_us: i64, offset: u64) -> Judged<Self::Verdict>;

    /// The group's last word: records of its own (outcome counts), written under the same sync. None by default.
    fn close_group(&mut self, append_time_us: i64) -> Vec<Bytes> {
        let _ = append_time_us;
        Vec::new()
    }

    /// A batch that was queued is refused without being judged: the log does not take groups.
    fn turned_away(&mut self, batch: Self::Batch) {
        drop(batch);
    }

    /// Whether there is a last word although nobody sends: asked while the queue is empty.
    fn wants_group(&self) -> bool {
        false
    }

    /// The last group is done; nothing follows. The sequencer's stop waits for this.
    fn stopping(&mut self) {}

    /// The group is durable up to `durable_end` (exclusive).
    fn committed(&mut self, durable_end: u64);

    /// The group was not stored.
    fn aborted(&mut self);
}

/// Bounds of groups and of the queue before them.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of submissions in a group. 4 MiB syncs in 0.8 ms at p50 with direct IO; beyond that latency only grows.
    pub group_bytes: usize,
    /// Bytes of one submission; one that is larger than a group makes a group of its own. The largest batch that
    /// ingest takes fits: 4 MiB, times two for plain properties, and a header per event.
    pub submission_bytes: usize,
    /// Submissions in a group.
    pub group_submissions: usize,
    /// Bytes waiting over all projects; beyond it submissions are refused.
    pub queue_bytes: usize,
    /// Bytes waiting for one project, so that one cannot fill the queue for all.
    pub project_queue_bytes: usize,
    /// Bytes a project may send per round while others wait.
    pub quantum_bytes: usize,
    /// What a refused sender is told to wait.
    pub retry_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            group_bytes: 4 << 20,
            submission_bytes: 24 << 20,
            group_submissions: 1024,
            queue_bytes: 64 << 20,
            project_queue_bytes: 32 << 20,
            quantum_bytes: 64 << 10,
            retry_after: Duration::from_millis(200),
        }
    }
}

/// A batch is judged, and what it stored is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed<V> {
    /// Where its first payload lies; `None` when nothing of it was stored.
    pub offset: Option<u64>,
    /// Microseconds since 1970.
    pub append_time_us: i64,
    /// The judge's verdict.
    pub verdict: V,
}

/// Why a batch was not committed; nothing of it was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The queue is full.
    #[error("too much is waiting; send again in {} ms", retry_after.as_millis())]
    Busy {
        /// How long to wait before sending again.
        retry_after: Duration,
    },
    /// The batch alone is larger than a submission may be.
    #[error("the batch has {bytes} bytes, at most {limit} are taken; split it")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// No space on disk.
    #[error("the disk is full")]
    Full,
    /// The log could not write; it is being recovered.
    #[error("the log could not be written: {0}")]
    Failed(String),
    /// The server is stopping.
    #[error("the server is stopping; send again to another one or later")]
    Stopped,
}

impl From<LogError> for CommitError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Full => Self::Full,
            LogError::TooLarge { bytes, limit } => Self::TooLarge { bytes, limit },
            other => Self::Failed(other.to_string()),
        }
    }
}

/// Upper bounds in microseconds of [`Metrics::sync_time`]; the last bucket has none.
pub const SYNC_BUCKETS_US: [u64; 10] =
    [100, 200, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 200_000, 1_000_000];

/// Upper bounds in submissions of [`Metrics::group_size`]; the last bucket has none.
pub const GROUP_BUCKETS: [u64; 8] = [1, 2, 4, 8, 16, 64, 256, 1_024];

/// Counters of a sequencer; all only grow, except the queue's two and `healthy`.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Groups made durable.
    pub groups: AtomicU64,
    /// Groups refused by the log.
    pub groups_failed: AtomicU64,
    /// Submissions answered with a verdict.
    pub committed: AtomicU64,
    /// Submissions refused because the queue was full.
    pub busy: AtomicU64,
    /// Payload bytes made durable.
    pub bytes: AtomicU64,
    /// Writes and syncs by duration, see [`SYNC_BUCKETS_US`].
    pub sync_time: [AtomicU64; SYNC_BUCKETS_US.len() + 1],
    /// Microseconds spent writing and syncing.
    pub sync_time_us: AtomicU64,
    /// Durable groups by their submissions, see [`GROUP_BUCKETS`]; the sum of sizes is `committed`.
    pub group_size: [AtomicU64; GROUP_BUCKETS.len() + 1],
    /// Submissions waiting now.
    pub queue_depth: AtomicU64,
    /// Bytes waiting now.
    pub queue_bytes: AtomicU64,
    /// Whether the log takes groups; readiness hangs on it.
    pub healthy: AtomicBool,
    /// Microseconds that the next group waits, set from outside, so that whoever reads the log keeps up with it; at
    /// most [`MOST_PACE_US`] are waited.
    pub pace_us: AtomicU64,
}

/// A group never waits longer, whatever its pace: far less than a sender's patience.
pub const MOST_PACE_US: u64 = 100_000;

impl Metrics {
    fn record_sync(&self, micros: u64) {
        self.sync_time[bucket(&SYNC_BUCKETS_US, micros)].fetch_add(1, Ordering::Relaxed);
        self.sync_time_us.fetch_add(micros, Ordering::Relaxed);
    }
}

fn bucket(bounds: &[u64], value: u64) -> usize {
    bounds.partition_point(|&bound| bound < value)
}

type Answer<J> = Result<Committed<<J as Judge>::Verdict>, CommitError>;
type Waiting<J> = (<J as Judge>::Batch, oneshot::Sender<Answer<J>>);
type Shared<J> = Arc<SharedState<Waiting<J>>>;

struct SharedState<T> {
    queue: Mutex<Queue<T>>,
    wake: Condvar,
    limits: Limits,
    metrics: Arc<Metrics>,
}

/// The way in; cheap to clone.
pub struct SequencerHandle<J: Judge> {
    shared: Shared<J>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl<J: Judge> Clone for SequencerHandle<J> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), thread: Arc::clone(&self.thread) }
    }
}

impl<J: Judge> SequencerHandle<J> {
    /// Queues a batch of `bytes` (its weight in fairness and limits). The receiver yields once the batch's group is
    /// durable or refused; dropping it changes nothing about the batch. If it yields a `RecvError`, the sequencer died.
    ///
    /// # Errors
    /// [`CommitError::Busy`], [`CommitError::TooLarge`], [`CommitError::Stopped`] at once, without queueing.
    pub fn submit(
        &self,
        project: u32,
        batch: J::Batch,
        bytes: usize,
    ) -> Result<oneshot::Receiver<Answer<J>>, CommitError> {
        let SharedState { queue, wake, limits, metrics } = self.shared.as_ref();
        if bytes > limits.submission_bytes {
            return Err(CommitError::TooLarge { bytes, limit: limits.submission_bytes });
        }
        let (sender, receiver) = oneshot::channel();
        let mut queue = queue.lock();
        let was_empty = queue.is_empty();
        let pushed = queue.push(project, Item { bytes, content: (batch, sender) }, limits);
        if let Err(error) = pushed {
            metrics.busy.fetch_add(u64::from(matches!(error, CommitError::Busy { .. })), Ordering::Relaxed);
            return Err(error);
        }
        queue.report(metrics);
        // Only when there is something to do: the thread may be gathering.
        if was_empty || queue.bytes() >= GATHER_BYTES {
            wake.notify_one();
        }
        Ok(receiver)
    }

    /// The counters.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.shared.metrics
    }

    /// Takes no more, commits what waits, and returns when the thread has ended. Blocks: not for async threads.
    pub fn stop(&self) {
        self.shared.queue.lock().stop();
        self.shared.wake.notify_all();
        let thread = self.thread.lock().take();
        join(thread);
    }
}

/// The thread's own state.
pub struct Sequencer<J: Judge> {
    log: Arc<dyn Log>,
    judge: J,
    clock: Arc<dyn Clock>,
    last_time_us: i64,
    shared: Shared<J>,
}

impl<J: Judge> Sequencer<J> {
    /// Starts the thread. The log must have no other writer.
    ///
    /// # Errors
    /// The system could not start a thread.
    pub fn start(
        log: Arc<dyn Log>,
        judge: J,
        clock: Arc<dyn Clock>,
        limits: Limits,
    ) -> io::Result<SequencerHandle<J>> {
        let metrics = Arc::new(Metrics { healthy: AtomicBool::new(true), ..Metrics::default() });
        let shared = Arc::new(SharedState {
            queue: Mutex::new(Queue::default()),
            wake: Condvar::new(),
            limits,
            metrics,
        });
        let last_time_us = log.last_append_time_us();
        let sequencer = Self { log, judge, clock, last_time_us, shared: Arc::clone(&shared) };
        let thread = std::thread::Builder::new().name("sequencer".into()).spawn(move || sequencer.run())?;
        Ok(SequencerHandle { shared, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    fn run(mut self) {
        let closing = CloseOnExit(Arc::clone(&self.shared));
        while let Some(group) = self.next_group() {
            if !self.recovered() {
                self.turn_away(group);
            } else if !group.is_empty() || self.judge.wants_group() {
                self.pace();
                self.commit(group);
            }
        }
        if self.judge.wants_group() && self.recovered() {
            self.commit(Vec::new());
        }
        self.judge.stopping();
        drop(closing);
    }

    /// Waits for work; an empty group asks to look after what needs no traffic, `None` ends the thread.
    fn next_group(&self) -> Option<Vec<Waiting<J>>> {
        let SharedState { queue, wake, limits, metrics } = self.shared.as_ref();
        let mut queue = queue.lock();
        if !queue.is_empty() {
            // It came while the last group was written.
            wake.wait_while_for(&mut queue, |queue| queue.bytes() < GATHER_BYTES && !queue.stopped(), GATHER);
        }
        loop {
            let group = queue.take_group(limits);
            if !group.is_empty() {
                queue.report(metrics);
                return Some(group);
            }
            if queue.stopped() {
                return None;
            }
            if wake.wait_for(&mut queue, IDLE_PAUSE).timed_out() {
                return Some(Vec::new());
            }
        }
    }

    fn pace(&self) {
        let pace_us = self.shared.metrics.pace_us.load(Ordering::Relaxed).min(MOST_PACE_US);
        if pace_us > 0 {
            std::thread::sleep(Duration::from_micros(pace_us));
        }
    }

    fn recovered(&self) -> bool {
        let healthy = &self.shared.metrics.healthy;
        if healthy.load(Ordering::Relaxed) {
            return true;
        }
        match self.log.recover() {
            Ok(()) => {
                tracing::info!("the log takes batches again");
                healthy.store(true, Ordering::Relaxed);
            }
            Err(error) => tracing::debug!(%error, "the log is still not writable"),
        }
        healthy.load(Ordering::Relaxed)
    }

    fn turn_away(&mut self, group: Vec<Waiting<J>>) {
        for (batch, sender) in group {
            self.judge.turned_away(batch);
            sender.send(Err(CommitError::Failed("the log is not ready yet".into()))).ok();
        }
    }

    fn commit(&mut self, group: Vec<Waiting<J>>) {
        // Timers run on append time, so it never falls, whatever the machine's clock does.
        let now = self.clock.now_us().max(self.last_time_us);
        let first = self.log.durable_end();
        let mut entries = Vec::with_capacity(group.len() + 1);
        let mut answers = Vec::with_capacity(group.len());
        for (batch, sender) in group {
            let offset = first + entries.len() as u64;
            let Judged { payloads, verdict } = self.judge.judge(batch, now, offset);
            let offset = (!payloads.is_empty()).then_some(offset);
            entries.extend(payloads.into_iter().map(|payload| Entry { append_time_us: now, payload }));
            answers.push((Committed { offset, append_time_us: now, verdict }, sender));
        }
        let last_word = self.judge.close_group(now).into_iter();
        entries.extend(last_word.map(|payload| Entry { append_time_us: now, payload }));
        match self.append(&entries) {
            Ok(()) => self.confirm(now, &entries, answers),
            Err(error) => self.abort(error, answers),
        }
    }

    fn append(&self, entries: &[Entry]) -> Result<(), LogError> {
        if entries.is_empty() {
            return Ok(());
        }
        let before = self.clock.now_us();
        let appended = self.log.append_group(entries);
        let micros = self.clock.now_us().saturating_sub(before).max(0).cast_unsigned();
        self.shared.metrics.record_sync(micros);
        appended.map(|_| ())
    }

    fn confirm(&mut self, now: i64, entries: &[Entry], answers: Vec<Answered<J>>) {
        self.last_time_us = now;
        self.judge.committed(self.log.durable_end());
        let metrics = &self.shared.metrics;
        metrics.groups.fetch_add(1, Ordering::Relaxed);
        let size = answers.len() as u64;
        metrics.committed.fetch_add(size, Ordering::Relaxed);
        metrics.group_size[bucket(&GROUP_BUCKETS, size)].fetch_add(1, Ordering::Relaxed);
        let bytes: usize = entries.iter().map(|entry| entry.payload.len()).sum();
        metrics.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        for (committed, sender) in answers {
            // A sender that went away retries, and is then told "duplicate".
            sender.send(Ok(committed)).ok();
        }
    }

    fn abort(&mut self, error: LogError, answers: Vec<Answered<J>>) {
        self.judge.aborted();
        let metrics = &self.shared.metrics;
        metrics.groups_failed.fetch_add(1, Ordering::Relaxed);
        // Told once, not twice a second for as long as it lasts.
        let fails = !matches!(error, LogError::TooLarge { .. });
        if fails && metrics.healthy.swap(false, Ordering::Relaxed) {
            tracing::error!(%error, "the log takes no batches until it can be written again");
        }
        let error = CommitError::from(error);
        for (_, sender) in answers {
            sender.send(Err(error.clone())).ok();
        }
    }
}

type Answered<J> = (Committed<<J as Judge>::Verdict>, oneshot::Sender<Answer<J>>);

/// However the thread ends, also by a panic of the judge, nobody is left waiting for ever.
struct CloseOnExit<T>(Arc<SharedState<T>>);

impl<T> Drop for CloseOnExit<T> {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock();
        queue.stop();
        queue.clear();
        self.0.metrics.healthy.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
