//! The one thread that owns the queue and the delivery core.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, select};
use footpath_proto::v1::IngestResponse;
use parking_lot::Mutex;

use crate::clock::{Clock, Randomness};
use crate::delivery::{Delivery, Next, Now, Progress};
use crate::error::{PauseReason, QueueError, ShutdownError};
use crate::queue::{NewEvent, Queue};
use crate::stats::{FlushResult, Stats};
use crate::transport::{Reply, SendError, Transport};

/// Events of one commit: enough to spread the cost of a sync, few enough to keep it short.
const MAX_COMMIT: usize = 1_000;
/// The longest sleep; anything that happens wakes the thread earlier.
const MAX_SLEEP: Duration = Duration::from_secs(60);
/// The wait after the queue could not be written, for example because the disk is full.
const COMMIT_RETRY: Duration = Duration::from_secs(1);

/// The place of events that are not in the queue yet: behind all others.
const NOT_KNOWN: i64 = i64::MAX;

/// What the worker is told beside events.
pub(crate) enum Command {
    /// The transport's outcome.
    Answer(Box<Result<IngestResponse, SendError>>),
    /// Send what there is, and say how it went.
    Flush { deadline: Duration, reply: Box<dyn FnOnce(FlushResult) + Send> },
    /// Stop sending.
    Hold,
    /// Go on sending.
    Resume,
    /// Save everything and end.
    Shutdown(Box<dyn FnOnce(Result<(), ShutdownError>) + Send>),
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Command")
    }
}

/// An event, and whom to tell when it is on disk.
pub(crate) struct Tracked {
    pub(crate) event: NewEvent,
    pub(crate) durable: Option<Sender<()>>,
}

struct Waiter {
    deadline: Duration,
    /// [`NOT_KNOWN`] until everything there was at its flush is committed.
    until_seq: i64,
    acked_before: u64,
    rejected_before: u64,
    reply: Box<dyn FnOnce(FlushResult) + Send>,
}

pub(crate) type OnPause = Box<dyn Fn(&PauseReason) + Send>;

pub(crate) struct Worker {
    pub(crate) queue: Queue,
    pub(crate) delivery: Delivery,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Randomness>,
    pub(crate) tracks: Receiver<Tracked>,
    pub(crate) commands: Receiver<Command>,
    pub(crate) commands_in: Sender<Command>,
    pub(crate) stats: Arc<Mutex<Stats>>,
    pub(crate) on_pause: Option<OnPause>,
    pub(crate) era: Era,
    pub(crate) inbox: Inbox,
}

/// Events that left the channel and are not committed yet.
#[derive(Default)]
pub(crate) struct Inbox {
    events: Vec<NewEvent>,
    durable: Vec<Sender<()>>,
    retry_at: Option<Duration>,
    waiters: Vec<Waiter>,
}

/// The clock era: a random id that changes when the wall clock jumps against the monotonic one.
pub(crate) struct Era {
    id: u64,
    offset_us: i128,
}

impl Era {
    /// The design's bound: a jump of more than 2 s begins a new era.
    const JUMP_US: i128 = 2_000_000;

    pub(crate) fn new(clock: &dyn Clock, random: &dyn Randomness) -> Self {
        Self { id: random.next_u64() | 1, offset_us: offset(clock) }
    }

    fn current(&mut self, clock: &dyn Clock, random: &dyn Randomness) -> u64 {
        if (offset(clock) - self.offset_us).abs() > Self::JUMP_US {
            *self = Self::new(clock, random);
        }
        self.id
    }
}

fn offset(clock: &dyn Clock) -> i128 {
    i128::from(clock.wall_us()) - i128::try_from(clock.monotonic().as_micros()).unwrap_or(i128::MAX)
}

impl Worker {
    /// Runs until it is told to shut down.
    pub(crate) fn run(mut self) {
        let mut sleep = Duration::ZERO;
        loop {
            let mut command = None;
            let (tracks, commands) = (self.tracks.clone(), self.commands.clone());
            // Uncommitted events wait for the disk; the channel behind them fills up, and `track` says so.
            let tracks = if self.inbox.retry_at.is_some() { crossbeam_channel::never() } else { tracks };
            select! {
                recv(commands) -> received => command = received.ok(),
                recv(tracks) -> tracked => if let Ok(tracked) = tracked { self.take(tracked) },
                default(sleep) => {}
            }
            self.commit();
            // All commands before the next send: an event tracked after a `hold` must not overtake it.
            while let Some(next) = command.take().or_else(|| self.commands.try_recv().ok()) {
                match next {
                    Command::Shutdown(reply) => return self.shutdown(reply),
                    next => self.obey(next),
                }
            }
            let wake = self.drive();
            self.publish();
            self.tell_waiters();
            sleep = self.sleep(wake);
        }
    }

    fn now(&mut self) -> Now {
        let era = self.era.current(&*self.clock, &*self.random);
        Now { mono: self.clock.monotonic(), wall_us: self.clock.wall_us(), era }
    }

    fn take(&mut self, tracked: Tracked) {
        self.inbox.events.push(tracked.event);
        self.inbox.durable.extend(tracked.durable);
    }

    /// Commits what waits in the channel. Returns whether nothing is left uncommitted.
    fn commit(&mut self) -> bool {
        let now = self.now();
        if self.inbox.retry_at.is_some_and(|at| now.mono < at) {
            return false;
        }
        self.inbox.retry_at = None;
        while self.inbox.events.len() < MAX_COMMIT {
            let Ok(tracked) = self.tracks.try_recv() else { break };
            self.take(tracked);
        }
        if self.inbox.events.is_empty() {
            return true;
        }
        match self.queue.commit(&self.inbox.events, now.era) {
            Ok(()) => {
                self.stats.lock().committed += self.inbox.events.len() as u64;
                self.inbox.events.clear();
                for told in self.inbox.durable.drain(..) {
                    let _ = told.try_send(()); // Whoever stopped waiting need not be told.
                }
                self.delivery.on_commit(now.mono);
                self.force_for_waiters();
                true
            }
            Err(error) => {
                self.inbox.retry_at = Some(now.mono + COMMIT_RETRY);
                self.failed(&error);
                false
            }
        }
    }

    /// Commits all there is, however much.
    fn commit_all(&mut self) -> bool {
        loop {
            if !self.commit() {
                return false;
            }
            if self.tracks.is_empty() {
                return true;
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Answer(outcome) => self.on_answer(*outcome),
            Command::Flush { deadline, reply } => self.on_flush(deadline, reply),
            Command::Hold => self.delivery.pause(PauseReason::Held),
            Command::Resume => self.delivery.resume(),
            Command::Shutdown(_) => {}
        }
    }

    fn on_answer(&mut self, outcome: Result<IngestResponse, SendError>) {
        let now = self.clock.monotonic();
        match self.delivery.on_answer(&mut self.queue, outcome, now, &*self.random) {
            Ok(progress) => self.count(progress),
            Err(error) => self.failed(&error),
        }
    }

    fn count(&mut self, progress: Progress) {
        if let Some(reason) = &progress.paused {
            tracing::warn!(?reason, "delivery is paused; the events are kept");
            if let Some(on_pause) = &self.on_pause {
                on_pause(reason);
            }
        }
        let mut stats = self.stats.lock();
        stats.stored += progress.stored;
        stats.duplicates += progress.duplicates;
        stats.acked += progress.stored + progress.duplicates;
        stats.rejected += progress.rejected;
        stats.corrupt += progress.corrupt;
        stats.last_error = progress.error.or(stats.last_error.take());
    }

    fn on_flush(&mut self, deadline: Duration, reply: Box<dyn FnOnce(FlushResult) + Send>) {
        let committed = self.commit_all();
        let last = self.queue.last_seq().ok();
        // Never `NOT_KNOWN`: what is forced stays so, and every later event would travel alone.
        self.delivery.force(last.unwrap_or_default());
        let until_seq = last.filter(|_| committed).unwrap_or(NOT_KNOWN);
        let stats = self.stats.lock();
        let (acked_before, rejected_before) = (stats.acked, stats.rejected + stats.corrupt);
        drop(stats);
        self.inbox.waiters.push(Waiter { deadline, until_seq, acked_before, rejected_before, reply });
    }

    /// What a flush could not commit is in the queue now, or a part of it.
    fn force_for_waiters(&mut self) {
        if self.inbox.waiters.iter().any(|waiter| waiter.until_seq == NOT_KNOWN) {
            self.delivery.force(self.queue.last_seq().unwrap_or_default());
        }
    }

    /// Sends what is to be sent. Returns when to come back.
    fn drive(&mut self) -> Option<Duration> {
        let now = self.now();
        match self.delivery.next(&self.queue, now, &*self.random) {
            Ok(Next::Send(request)) => {
                let mut stats = self.stats.lock();
                stats.sends += 1;
                stats.resends += u64::from(self.delivery.is_resend());
                drop(stats);
                self.transport.send(*request, Reply::new(self.commands_in.clone()));
                None
            }
            Ok(Next::WaitUntil(at)) => Some(at),
            Ok(Next::Idle) => None,
            Err(error) => {
                self.failed(&error);
                Some(now.mono + COMMIT_RETRY)
            }
        }
    }

    fn failed(&self, error: &QueueError) {
        tracing::warn!(%error, "the queue cannot be used; trying again");
        let mut stats = self.stats.lock();
        stats.commit_failures += 1;
        stats.last_error = Some(error.to_string());
    }

    fn pending(&self) -> u64 {
        self.queue.pending() + (self.inbox.events.len() + self.tracks.len()) as u64
    }

    fn publish(&self) {
        let pending = self.pending();
        let mut stats = self.stats.lock();
        stats.pending = pending;
        stats.paused = self.delivery.paused().cloned();
    }

    fn tell_waiters(&mut self) {
        if self.inbox.waiters.is_empty() {
            return;
        }
        let now = self.clock.monotonic();
        for waiter in std::mem::take(&mut self.inbox.waiters) {
            let waits =
                !self.inbox.events.is_empty() || self.queue.waits_until(waiter.until_seq).unwrap_or(true);
            if waits && now < waiter.deadline && self.delivery.paused().is_none() {
                self.inbox.waiters.push(waiter);
            } else {
                self.tell(waiter, !waits);
            }
        }
    }

    fn tell(&self, waiter: Waiter, complete: bool) {
        let stats = self.stats.lock().clone();
        (waiter.reply)(FlushResult {
            acked: stats.acked - waiter.acked_before,
            rejected: stats.rejected + stats.corrupt - waiter.rejected_before,
            pending: self.pending(),
            complete,
            paused: self.delivery.paused().cloned(),
        });
    }

    fn sleep(&self, wake: Option<Duration>) -> Duration {
        let deadlines = self.inbox.waiters.iter().map(|waiter| waiter.deadline);
        let next = deadlines.chain(wake).chain(self.inbox.retry_at).min();
        next.map_or(MAX_SLEEP, |at| at.saturating_sub(self.clock.monotonic()).min(MAX_SLEEP))
    }

    fn shutdown(mut self, reply: Box<dyn FnOnce(Result<(), ShutdownError>) + Send>) {
        self.inbox.retry_at = None;
        self.commit_all();
        self.publish();
        for waiter in std::mem::take(&mut self.inbox.waiters) {
            self.tell(waiter, false);
        }
        let uncommitted = (self.inbox.events.len() + self.tracks.len()) as u64;
        let last_error = self.stats.lock().last_error.clone();
        let closed = self.queue.close();
        reply(match closed {
            Ok(()) if uncommitted == 0 => Ok(()),
            Ok(()) => Err(ShutdownError { uncommitted, reason: last_error.unwrap_or_default() }),
            Err(error) => Err(ShutdownError { uncommitted, reason: error.to_string() }),
        });
    }
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
