//! The one thread that owns the queue and the delivery core.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use parking_lot::Mutex;

use crate::answer::{self, Giver};
use crate::clock::{Clock, Randomness};
use crate::delivery::{Delivery, Next, Progress};
use crate::error::{PauseReason, Problem, QueueError, ShutdownError};
use crate::folder::Folder;
use crate::fork;
use crate::intake::{Intake, Open, Shared};
use crate::outcome::Outcome;
use crate::profile::Consent;
use crate::queue::{Limits, Receipt};
use crate::seal::Sealer;
use crate::stats::{FlushResult, Stats};
use crate::transport::Outgoing;

mod storage;
mod waiters;

use storage::{Opening, Storage};
use waiters::Waiters;

/// The longest sleep; anything that happens wakes the thread earlier.
const MAX_SLEEP: Duration = Duration::from_secs(3_600);
/// The wait after the storage could not be used, for example because the disk is full; doubled up to a minute.
const RETRY: Duration = Duration::from_secs(1);
const MAX_RETRY: Duration = Duration::from_secs(60);
/// Events gather in the ring this long before they are moved: the ring already outlives the process.
const GATHER: Duration = Duration::from_millis(50);
/// What is in the database and not sent is synced after this, at the latest: a sync costs a phone more than a write.
const SYNC: Duration = Duration::from_secs(10);
/// A batch whose outcome nobody reports is sent again after this.
const LOST_REPORT: Duration = Duration::from_secs(15 * 60);
/// Nothing gets through for this long: the application is told.
const UNREACHABLE: Duration = Duration::from_secs(60);
/// Of what is said before the storage is open, so much is kept: the outcomes of all batches that were given away.
const MAX_EARLY: usize = 128;

/// What the worker is told.
pub(crate) enum Command {
    /// There is something in the ring.
    Wake,
    /// There is something in the ring that is to be on the disk now.
    Absorb,
    /// Somebody would carry a batch.
    Take(Giver<Option<Outgoing>>),
    /// How a send ended.
    Report(String, Box<Outcome>),
    /// A batch is given away: its outcome may come in a later run. Whether it is.
    Detach(String, Giver<bool>),
    /// Of the batches that were given away, only these are still on their way.
    Keep(Vec<String>),
    /// Tell how far an event has come, once it is at least that far.
    Receipt { id: [u8; 16], final_only: bool, reply: Giver<Option<Receipt>>, deadline: Duration },
    /// Send what there is, and say how it went.
    Flush { deadline: Duration, reply: Giver<FlushResult> },
    /// What the person allows has changed.
    Consent(Consent, Option<String>),
    /// Stop sending.
    Hold,
    /// Go on sending at once.
    Resume,
    /// Send at once, unless delivery is paused.
    TryNow,
    /// Another project key, which goes on after a pause for the old one.
    SetKey(String),
    /// Spend little, or no longer.
    SaveData(bool),
    /// Save everything and end.
    Shutdown(Giver<Result<(), ShutdownError>>),
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Command")
    }
}

/// Where the queue lives.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Place {
    Folder(PathBuf),
    Memory,
}

pub(crate) type OnProblem = Box<dyn Fn(&Problem) + Send>;

/// What does not change while a client lives.
pub(crate) struct Setup {
    pub(crate) project: String,
    pub(crate) shared: Shared,
    pub(crate) place: Place,
    pub(crate) ring_bytes: usize,
    pub(crate) sealer: Sealer,
    pub(crate) limits: Limits,
    /// A backend: no person of its own.
    pub(crate) backend: bool,
    /// Until the person was asked.
    pub(crate) first_consent: Consent,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Randomness>,
    pub(crate) on_problem: Option<OnProblem>,
}

impl Setup {
    /// A callback that panics must end neither this thread nor, while that unwinds already, the process.
    fn notify(&self, problem: &Problem) {
        let Some(tell) = &self.on_problem else { return };
        if catch_unwind(AssertUnwindSafe(|| tell(problem))).is_err() {
            tracing::error!(?problem, "the application's callback panicked");
        }
    }
}

pub(crate) struct Worker {
    setup: Setup,
    intake: Arc<Intake>,
    delivery: Delivery,
    commands: Receiver<Command>,
    stats: Arc<Mutex<Stats>>,
    authorization: String,
    storage: Option<Storage>,
    /// Storages whose folders were deleted, until what they hold is taken over.
    left: Vec<Storage>,
    /// The storage is open, but what lies in its ring was not moved yet.
    opening: Option<Opening>,
    /// What the intake needs, while the storage is closed again.
    open: Option<Box<Open>>,
    /// A file to let go of when the disk is full.
    ballast: Option<PathBuf>,
    /// The disk was full.
    tight: bool,
    /// The database has shown that it is broken.
    suspect: bool,
    /// The storage is not touched before.
    retry_at: Option<Duration>,
    retry_after: Duration,
    /// When what gathers in the ring is moved.
    absorb_at: Option<Duration>,
    /// Events that were moved before this run's own came into the ring.
    committed_before: u64,
    /// Since when there are events that a power loss would take.
    at_risk_since: Option<Duration>,
    /// When there will be something to hand out.
    send_at: Option<Duration>,
    taker: Option<Giver<Option<Outgoing>>>,
    /// What was said of batches before the storage was open.
    early: Vec<Command>,
    /// Keys of those who have withdrawn, until that is noted in the queue.
    withdrawing: Vec<String>,
    /// There is something that was not looked at with the person's consent in mind.
    consent_due: bool,
    /// When to look for what other processes left.
    adopt_at: Duration,
    /// Since when no batch has got through.
    failing_since: Option<Duration>,
    waiters: Waiters,
    told: Vec<Problem>,
}

impl Worker {
    pub(crate) fn new(
        setup: Setup,
        intake: Arc<Intake>,
        delivery: Delivery,
        commands: Receiver<Command>,
        stats: Arc<Mutex<Stats>>,
        key: &str,
    ) -> Self {
        Self {
            setup,
            intake,
            delivery,
            commands,
            stats,
            authorization: format!("Bearer {key}"),
            storage: None,
            left: Vec::new(),
            opening: None,
            open: None,
            ballast: None,
            tight: false,
            suspect: false,
            retry_at: None,
            retry_after: RETRY,
            absorb_at: None,
            committed_before: 0,
            at_risk_since: None,
            send_at: None,
            taker: None,
            early: Vec::new(),
            withdrawing: Vec::new(),
            consent_due: false,
            adopt_at: Duration::ZERO,
            failing_since: None,
            waiters: Waiters::default(),
            told: Vec::new(),
        }
    }

    /// Runs until it is told to shut down.
    pub(crate) fn run(mut self) {
        give_way();
        answer::give_here();
        let mut gate = fork::gate();
        loop {
            self.work();
            let sleep = self.sleep();
            drop(gate);
            let received = self.commands.recv_timeout(sleep);
            gate = fork::gate();
            let mut command = match received {
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return self.shutdown(answer::pair().0),
            };
            // All commands before the next look.
            while let Some(next) = command.take().or_else(|| self.commands.try_recv().ok()) {
                match next {
                    Command::Shutdown(reply) => return self.shutdown(reply),
                    next => self.obey(next),
                }
            }
        }
    }

    fn now(&self) -> Duration {
        self.setup.clock.continuous()
    }

    /// One look at everything that may have become due.
    fn work(&mut self) {
        let now = self.now();
        if self.retry_at.is_some_and(|at| now < at) {
            return self.tell_waiters();
        }
        self.retry_at = None;
        let worked = self.try_work();
        if let Err(error) = worked {
            self.failed(&error);
        } else if self.absorb_at.is_none_or(|at| at <= now + GATHER) {
            self.retry_after = RETRY;
            self.mended(|problem| matches!(problem, Problem::Storage(_)));
        }
        self.publish();
        self.tell_waiters();
    }

    fn try_work(&mut self) -> Result<(), QueueError> {
        if self.storage.is_none() {
            self.open_storage()?;
        }
        let was_tight = self.tight;
        if !self.sends_first()? {
            let is_due = self.absorb_at.is_none_or(|at| at <= self.now()) || was_tight;
            if !self.is_complete() && is_due {
                self.unless_full(Self::complete_storage)?;
            }
            let is_due = self.absorb_at.is_some_and(|at| at <= self.now()) || was_tight || self.waiters.ask();
            if self.is_complete() && is_due {
                self.unless_full(|worker| worker.look_for_orphans().and_then(|()| worker.absorb_all()))?;
            }
        }
        if self.is_complete() {
            self.delivery.wait_for_consent(self.consent() == Some(Consent::Pending), self.now());
        }
        if self.is_complete() || self.may_send_early()? {
            self.drive()?;
        }
        self.sync()
    }

    /// On a full disk it is done later: what is sent makes room. But nothing is sent before what has to be destroyed is.
    fn unless_full(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), QueueError>,
    ) -> Result<(), QueueError> {
        match work(self) {
            Err(error) if error.is_full() && !self.is_destroying() => {
                self.absorb_later(&error);
                Ok(())
            }
            worked => worked,
        }
    }

    fn is_complete(&self) -> bool {
        self.storage.as_ref().is_some_and(|storage| storage.complete)
    }

    /// The disk is full: what comes stays in the ring until what is in the database was sent, which makes room.
    fn absorb_later(&mut self, error: &QueueError) {
        self.tight = true;
        let has_some = self.storage.as_ref().is_some_and(|storage| storage.queue.pending() > 0);
        let at_once = !has_some && self.make_room();
        self.absorb_at = Some(self.now() + if at_once { Duration::ZERO } else { self.retry_after });
        self.note_failure(error);
        self.tell(Problem::Storage(error.to_string()));
    }

    /// Syncs what has been at risk for long.
    fn sync(&mut self) -> Result<(), QueueError> {
        let now = self.now();
        let Some(Storage { queue, .. }) = &mut self.storage else { return Ok(()) };
        if self.at_risk_since.is_some_and(|since| now >= since + SYNC) {
            queue.sync()?;
        }
        self.at_risk_since = queue.is_at_risk().then(|| self.at_risk_since.unwrap_or(now));
        Ok(())
    }

    fn obey(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Wake => match &self.storage {
                // The second time the ring is getting full: it is not let gather any longer.
                Some(_) if self.absorb_at.is_some() => self.absorb_at = Some(now),
                Some(storage) => {
                    storage.ring.rests(true);
                    self.absorb_at = Some(now + GATHER);
                }
                None => {}
            },
            Command::Absorb => self.absorb_at = Some(now),
            // Whoever asked before is answered that there is none.
            Command::Take(reply) => self.taker = Some(reply),
            Command::Report(..) | Command::Keep(_) if self.storage.is_none() => {
                if self.early.len() < MAX_EARLY {
                    self.early.push(command);
                }
            }
            Command::Report(id, outcome) => self.on_report(&id, *outcome),
            Command::Detach(id, reply) => {
                let _ = reply.give(self.detach(&id));
            }
            Command::Keep(ids) => {
                if let Some(storage) = &self.storage
                    && let Err(error) = self.delivery.keep(&storage.queue, &ids, now)
                {
                    self.failed(&error);
                }
            }
            Command::Receipt { id, final_only, reply, deadline } => {
                self.on_ask(id, final_only, deadline, reply);
            }
            Command::Flush { deadline, reply } => self.on_flush(deadline, reply),
            Command::Consent(consent, key) => self.on_consent(consent, key),
            Command::Hold => self.delivery.hold(),
            Command::Resume => {
                self.mended(|problem| matches!(problem, Problem::Paused(_)));
                self.delivery.resume(now);
            }
            Command::TryNow => self.delivery.try_now(now),
            Command::SetKey(key) => self.set_key(&key),
            Command::SaveData(saving) => self.delivery.save_data(saving, now),
            Command::Shutdown(_) => {}
        }
    }

    fn set_key(&mut self, key: &str) {
        self.mended(|problem| matches!(problem, Problem::Paused(_)));
        if crate::builder::is_key(key) {
            self.authorization = format!("Bearer {key}");
            return self.delivery.renew(self.now());
        }
        let why = "the key has characters that no header can carry".to_owned();
        self.delivery.deny(PauseReason::Unauthenticated(why.clone()));
        self.tell(Problem::Paused(PauseReason::Unauthenticated(why)));
    }

    fn on_consent(&mut self, consent: Consent, key: Option<String>) {
        // Several threads may have spoken: what holds is what the intake says.
        let holds = self.consent().unwrap_or(consent);
        self.delivery.wait_for_consent(holds == Consent::Pending, self.now());
        let Some(key) = key else { return };
        self.withdrawing.push(key);
        let destroyed = self.absorb_all();
        self.delivery.discard();
        if let Err(error) = destroyed {
            self.failed(&error);
        }
    }

    fn detach(&mut self, id: &str) -> bool {
        let now = self.now();
        let Some(storage) = &self.storage else { return false };
        match self.delivery.detach(&storage.queue, id, now) {
            Ok(detached) => detached,
            Err(error) => {
                self.failed(&error);
                false
            }
        }
    }

    fn on_report(&mut self, id: &str, outcome: Outcome) {
        let Setup { clock, random, .. } = &self.setup;
        let Some(storage) = &mut self.storage else { return };
        match self.delivery.report(&mut storage.queue, id, outcome, &**clock, &**random) {
            Ok(progress) => {
                self.note_reach(&progress);
                self.count(progress);
            }
            Err(error) => self.failed(&error),
        }
    }

    /// A train's tunnel is nothing to tell of; a server that nothing reaches for long is.
    fn note_reach(&mut self, progress: &Progress) {
        let now = self.now();
        match progress.got_through {
            None => {}
            Some(true) => {
                if self.failing_since.take().is_some() {
                    tracing::info!("batches get through again");
                    self.mended(|problem| matches!(problem, Problem::Unreachable(_)));
                }
                self.stats.lock().last_error = None;
            }
            Some(false) => {
                let why = progress.error.clone().unwrap_or_default();
                if self.failing_since.is_none() {
                    tracing::warn!(why, "a batch did not get through; its events are kept and sent again");
                }
                if now >= *self.failing_since.get_or_insert(now) + UNREACHABLE {
                    self.tell(Problem::Unreachable(why));
                }
            }
        }
    }

    fn count(&mut self, progress: Progress) {
        if let Some(reason) = progress.paused {
            tracing::warn!(?reason, "delivery is paused; the events are kept");
            self.tell(Problem::Paused(reason));
        }
        if progress.rejected > 0 {
            let (events, why) = (progress.rejected, progress.error.clone().unwrap_or_default());
            tracing::error!(events, why, "the server will never take these events; they are given up");
            self.tell(Problem::Rejected(why));
        }
        let mut stats = self.stats.lock();
        stats.stored += progress.stored;
        stats.duplicates += progress.duplicates;
        stats.acked += progress.stored + progress.duplicates;
        stats.rejected += progress.rejected;
        stats.last_error = progress.error.or(stats.last_error.take());
        stats.clock = self.delivery.offset().best();
    }

    /// Tells the application, once.
    fn tell(&mut self, problem: Problem) {
        let same = |known: &Problem| std::mem::discriminant(known) == std::mem::discriminant(&problem);
        if self.told.iter().any(same) {
            return;
        }
        self.setup.notify(&problem);
        self.told.push(problem);
    }

    /// It is told again when it comes again.
    fn mended(&mut self, problem: impl Fn(&Problem) -> bool) {
        self.told.retain(|told| !problem(told));
    }

    /// Hands out what is to be sent.
    fn drive(&mut self) -> Result<(), QueueError> {
        let now = self.now();
        if self.delivery.out_since().is_some_and(|since| now > since + LOST_REPORT) {
            self.delivery.abandon();
        }
        self.send_at = None;
        self.taker.take_if(|taker| !taker.is_wanted());
        let (Some(storage), true) = (&mut self.storage, self.taker.is_some()) else { return Ok(()) };
        let Setup { clock, random, .. } = &self.setup;
        let next = self.delivery.next(&mut storage.queue, &**clock, &**random)?;
        if let Next::WaitUntil(at) = next {
            self.send_at = Some(at);
        }
        if let Next::Send(request) = next {
            let mut stats = self.stats.lock();
            stats.sends += 1;
            stats.resends += u64::from(request.is_resend);
            stats.sent_bytes += request.body.len() as u64;
            drop(stats);
            let outgoing = Outgoing {
                id: request.id,
                body: request.body,
                events: request.events,
                authorization: self.authorization.clone(),
            };
            if self.taker.take().is_none_or(|taker| taker.give(Some(outgoing)).is_err()) {
                self.delivery.abandon(); // Whoever asked has just given up.
            }
        }
        Ok(())
    }

    /// The storage could not be used: everything is kept, and it is tried again.
    fn failed(&mut self, error: &QueueError) {
        let now = self.now();
        let (first, wait) = (self.retry_after == RETRY, self.retry_after);
        self.retry_at = Some(now + wait);
        self.note_failure(error);
        let is_gone = matches!(error, QueueError::Deleted(_));
        if is_gone || self.storage.as_ref().is_some_and(|storage| storage.is_broken_by(error)) {
            self.close_storage(error);
        }
        if is_gone || self.suspect {
            // At once; but one that breaks again and again must not fill the disk with what is set aside.
            self.retry_at = Some(if first { now } else { now + wait });
            return;
        }
        if error.is_full() && self.make_room() {
            self.retry_at = Some(now);
        }
        self.tell(Problem::Storage(error.to_string()));
    }

    fn note_failure(&mut self, error: &QueueError) {
        tracing::warn!(%error, "the queue cannot be used; trying again");
        self.retry_after = (self.retry_after * 2).min(MAX_RETRY);
        let mut stats = self.stats.lock();
        stats.commit_failures += 1;
        stats.last_error = Some(error.to_string());
    }

    fn pending(&self) -> u64 {
        let storages = self.storage.iter().chain(&self.left);
        let queued: u64 = storages.map(|storage| storage.queue.pending()).sum();
        let counts = self.intake.counts();
        let in_ring = counts.pushed.saturating_sub(self.stats.lock().committed - self.committed_before);
        queued + counts.early + in_ring
    }

    fn publish(&self) {
        let counts = self.intake.counts();
        let pending = self.pending();
        let mut stats = self.stats.lock();
        (stats.pending, stats.counted) = (pending, counts.early + counts.pushed);
        if let Some(storage) = &self.storage {
            stats.pending_bytes = storage.queue.pending_bytes();
            stats.unreadable = storage.queue.unreadable();
        }
        stats.paused = self.delivery.paused().cloned();
    }

    fn sleep(&mut self) -> Duration {
        let now = self.now();
        let mut next = MAX_SLEEP;
        let mut until = |at: Duration| next = next.min(at.saturating_sub(now));
        self.waiters.deadline().into_iter().for_each(&mut until);
        if let Some(at) = self.retry_at {
            until(at);
            return next;
        }
        self.absorb_at.into_iter().for_each(&mut until);
        self.at_risk_since.into_iter().for_each(|since| until(since + SYNC));
        self.delivery.out_since().into_iter().for_each(|since| until(since + LOST_REPORT));
        self.send_at.into_iter().for_each(&mut until);
        next
    }

    fn shutdown(mut self, reply: Giver<Result<(), ShutdownError>>) {
        if self.storage.is_none() {
            let _ = self.open_storage();
        }
        if !self.is_complete() {
            let _ = self.complete_storage();
        }
        self.intake.save();
        self.intake.close();
        let mut absorbed = self.absorb_all();
        if let Err(error @ QueueError::Deleted(_)) = &absorbed {
            self.close_storage(error);
            absorbed =
                self.open_storage().and_then(|()| self.complete_storage()).and_then(|()| self.absorb_all());
        }
        self.publish();
        self.taker = None;
        self.end_waiters();
        let lost = self.intake.give_up();
        let kept = self.storage.as_ref().map_or(0, |storage| storage.queue.pending());
        let is_saved = absorbed.is_ok() && self.left.is_empty();
        let unsaved = if is_saved { lost } else { lost + self.pending() - kept };
        let closed = match self.storage.take() {
            Some(Storage { queue, folder, .. }) => queue.close().map(|()| {
                let for_good = folder.filter(|folder| absorbed.is_ok() && !folder.is_main());
                for_good.as_ref().into_iter().for_each(Folder::remove_ring);
            }),
            None => Ok(()),
        };
        let last_error = self.stats.lock().last_error.clone().unwrap_or_default();
        let _ = reply.give(match absorbed.and(closed) {
            Ok(()) if unsaved == 0 => Ok(()),
            Ok(()) => Err(ShutdownError { unsaved, reason: last_error }),
            Err(error) => Err(ShutdownError { unsaved, reason: error.to_string() }),
        });
    }
}

/// Lets the application's threads go first: being woken by `track`, this thread would otherwise take the processor of its
/// very caller (its largest latency was that, up to a time slice). It still gets its fair share.
fn give_way() {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let param = libc::sched_param { sched_priority: 0 };
        // SAFETY: a plain system call about this thread; `param` lives as long as it lasts. A refusal changes nothing.
        let _ = unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const param) };
    }
}

impl Drop for Worker {
    /// Whatever ends the thread, nobody waits for it.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.intake.disable();
            self.setup.notify(&Problem::Disabled("a bug of the client; see the log".into()));
        }
    }
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
