//! The one thread that owns the queue and the delivery core.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use parking_lot::Mutex;

use crate::answer::{self, Giver};
use crate::clock::{Clock, Randomness};
use crate::delivery::{Delivery, Next, Progress};
use crate::error::{PauseReason, Problem, QueueError, ShutdownError};
use crate::folder::{Folder, Life};
use crate::fork;
use crate::intake::{Intake, Open, Shared, Taken};
use crate::outcome::Outcome;
use crate::profile::{Consent, Profile};
use crate::queue::{Limits, Opened, Queue, Receipt};
use crate::ring::{Consumer, Ring};
use crate::seal::Sealer;
use crate::stats::{FlushResult, Stats};
use crate::transport::Outgoing;

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

/// Of what is said before the storage is open, so much is kept: the outcomes of all batches that were given away.
const MAX_EARLY: usize = 128;

/// The place of events that are not in the queue yet: behind all others.
const NOT_KNOWN: i64 = i64::MAX;

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
    Save(bool),
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

/// The storage, once it is open.
struct Storage {
    queue: Queue,
    ring: Consumer,
    folder: Option<Folder>,
    /// What waited for it and what others left is in: a flush may be measured by it.
    complete: bool,
}

struct FlushWaiter {
    deadline: Duration,
    /// [`NOT_KNOWN`] until everything there was at its flush is in the queue.
    until: i64,
    acked_before: u64,
    rejected_before: u64,
    reply: Giver<FlushResult>,
}

struct ReceiptWaiter {
    id: [u8; 16],
    final_only: bool,
    deadline: Duration,
    reply: Giver<Option<Receipt>>,
}

pub(crate) struct Worker {
    setup: Setup,
    intake: Arc<Intake>,
    delivery: Delivery,
    commands: Receiver<Command>,
    stats: Arc<Mutex<Stats>>,
    authorization: String,
    storage: Option<Storage>,
    /// What the intake needs, while the storage is closed again.
    open: Option<Box<Open>>,
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
    flushes: Vec<FlushWaiter>,
    receipts: Vec<ReceiptWaiter>,
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
            open: None,
            suspect: false,
            retry_at: None,
            retry_after: RETRY,
            absorb_at: None,
            committed_before: 0,
            at_risk_since: None,
            send_at: None,
            taker: None,
            early: Vec::new(),
            flushes: Vec::new(),
            receipts: Vec::new(),
            told: Vec::new(),
        }
    }

    /// Runs until it is told to shut down.
    pub(crate) fn run(mut self) {
        give_way();
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
        } else {
            self.retry_after = RETRY;
        }
        self.publish();
        self.tell_waiters();
    }

    fn try_work(&mut self) -> Result<(), QueueError> {
        if self.storage.is_none() {
            self.open_storage()?;
        }
        if self.absorb_at.is_some_and(|at| at <= self.now()) || !self.receipts.is_empty() {
            self.absorb_all()?;
            self.know_place();
        }
        self.drive()?;
        self.sync()
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

    /// Opens or makes the storage, and lets the intake through to it.
    fn open_storage(&mut self) -> Result<(), QueueError> {
        let (opened, ring, folder) = self.find_storage()?;
        self.suspect = false;
        let Opened { queue, era, intact, .. } = opened;
        let Ring { producer, consumer, torn, ahead } = ring;
        self.stats.lock().torn += u64::from(torn || ahead);
        self.storage = Some(Storage { queue, ring: consumer, folder, complete: false });
        // What lay in the ring may change who the person is, and what they allow.
        let profile = match self.go_on(intact, ahead).and_then(|()| self.stored_profile()) {
            Ok(profile) => profile,
            Err(error) => {
                self.storage = None;
                return Err(error);
            }
        };
        let fresh = || Profile::new(self.setup.first_consent, &*self.setup.random);
        let profile = (!self.setup.backend).then(|| profile.unwrap_or_else(fresh));
        let consent = profile.as_ref().map(|profile| profile.consent);
        let open = match self.open.take() {
            Some(open) => Box::new(open.with(producer)),
            None => {
                let Setup { project, shared, clock, random, .. } = &self.setup;
                Box::new(Open::new(project, producer, shared.clone(), profile, era, &**clock, &**random))
            }
        };
        self.committed_before = self.stats.lock().committed;
        self.delivery.wait_for_consent(consent == Some(Consent::Pending), self.now());
        self.let_in(open)?;
        let adopted = self.adopt_orphans();
        if let (Some(Consent::Denied), Some(storage)) = (consent, &self.storage) {
            storage.queue.note_all_withdrawn()?; // It is the same device, whoever was asked.
        }
        let now = self.now();
        // One that fails costs its batches a second journey; what follows has to be done all the same.
        let recalled =
            self.storage.as_ref().map_or(Ok(()), |storage| self.delivery.recall(&storage.queue, now));
        std::mem::take(&mut self.early).into_iter().for_each(|command| self.obey(command));
        self.delivery.on_stored(true, now);
        if let Some(storage) = &mut self.storage {
            storage.complete = true;
            self.absorb_at = Some(now); // What has waited is in the ring.
        }
        adopted.and(recalled)
    }

    fn stored_profile(&self) -> Result<Option<Profile>, QueueError> {
        self.storage.as_ref().map_or(Ok(None), |storage| storage.queue.profile())
    }

    fn find_storage(&self) -> Result<(Opened, Ring, Option<Folder>), QueueError> {
        let Setup { sealer, random, clock, ring_bytes, .. } = &self.setup;
        let Place::Folder(base) = &self.setup.place else {
            let opened = Queue::in_memory(sealer.clone(), &**random)?;
            let ring = Ring::in_memory(*ring_bytes, &**random);
            let ring = ring.map_err(|error| QueueError::Folder("memory".into(), error))?;
            return Ok((opened, ring, None));
        };
        let folder = Folder::claim(base, &**random)?;
        let found = Life::found(&folder, &**clock);
        let open =
            |found| Queue::open(&folder.database(), sealer.clone(), found, &folder.broken(), &**random);
        if self.suspect && folder.database().exists() {
            self.quarantine(&folder, &folder.path)?;
        }
        let opened = match open(found.as_ref()) {
            Err(error)
                if error.is_corrupt() || error.is_doubtful() && Queue::is_broken_at(&folder.database()) =>
            {
                self.quarantine(&folder, &folder.path)?;
                open(None)?
            }
            opened => opened?,
        };
        let failed = |error| QueueError::Folder(folder.path.clone(), error);
        let ring = Ring::open(&folder.ring(), *ring_bytes, opened.absorbed, !opened.salvaged, &**random)
            .map_err(failed)?;
        Ok((opened, ring, Some(folder)))
    }

    /// Goes on where an earlier run has ended. What it left in the ring goes first, with the numbers that it would have
    /// got then: from a restored backup, the server may have it already. Only what comes now needs numbers of its own
    /// there, and where the queue has lost commits, everything does.
    fn go_on(&mut self, intact: bool, ahead: bool) -> Result<(), QueueError> {
        let Setup { random, clock, .. } = &self.setup;
        let (random, clock) = (Arc::clone(random), Arc::clone(clock));
        if let Some(storage) = self.storage.as_mut().filter(|_| ahead) {
            storage.queue.begin_epoch(&*random)?;
        }
        self.absorb_all()?;
        let Some(Storage { queue, ring, folder, .. }) = &mut self.storage else { return Ok(()) };
        // Even if nothing was absorbed yet: a ring that the queue does not know would be taken for somebody else's.
        queue.note_absorbed(ring.position())?;
        if !intact && !ahead {
            queue.begin_epoch(&*random)?;
        }
        let Some(folder) = folder else { return Ok(()) };
        let life = Life::begin(folder, &*clock, &*random);
        queue.set_life(life.map_err(|error| QueueError::Folder(folder.path.clone(), error))?.as_ref())
    }

    /// Puts a broken database aside, into the folder `into`; answers where it is.
    fn quarantine(&self, folder: &Folder, into: &Path) -> Result<PathBuf, QueueError> {
        let aside = folder.quarantine(into, self.setup.clock.wall_us());
        let aside = aside.map_err(|error| QueueError::Folder(folder.path.clone(), error))?;
        tracing::error!(path = %aside.display(), "the queue's database is broken; it is set aside");
        if let Some(tell) = &self.setup.on_problem {
            tell(&Problem::Quarantined(aside.clone()));
        }
        Ok(aside)
    }

    /// Lets calls through to the ring, those that waited first.
    fn let_in(&mut self, open: Box<Open>) -> Result<(), QueueError> {
        let intake = Arc::clone(&self.intake);
        let mut told = Vec::new();
        let mut failed = None;
        let drain = || match self.absorb_all() {
            Ok(()) => true,
            Err(error) => {
                failed = Some(error);
                false
            }
        };
        let left = intake.open(open, drain, |taken: Taken| told.extend(taken.consent));
        for (consent, key) in told {
            self.on_consent(consent, key);
        }
        // What was let in has woken nobody.
        self.absorb_at = Some(self.now());
        if let Err(open) = left {
            self.open = Some(open);
            self.storage = None;
        }
        failed.map_or(Ok(()), Err)
    }

    /// Takes over what processes that are gone have left. A database of theirs that is broken is set aside, beside this
    /// process's own.
    fn adopt_orphans(&mut self) -> Result<(), QueueError> {
        let Some(Storage { folder: Some(folder), .. }) = &self.storage else { return Ok(()) };
        let (main, orphans) = (folder.path.clone(), folder.orphans());
        for orphan in orphans {
            let mut adopted = self.adopt(&orphan);
            if let Err(error) = &adopted
                && (error.is_corrupt() || Queue::is_broken_at(&orphan.database()))
            {
                let aside = self.quarantine(&orphan, &main)?;
                if let Some(Storage { queue, .. }) = &mut self.storage {
                    queue.salvage(&aside)?;
                }
                adopted = self.adopt(&orphan);
            }
            match adopted {
                Ok(()) => {
                    if let Err(error) = orphan.remove() {
                        tracing::warn!(%error, "what a process left is taken over and cannot be deleted");
                    }
                }
                // Of the orphan or of this queue, which notices soon: the next start tries again.
                Err(error) => {
                    tracing::warn!(%error, path = %orphan.path.display(), "what a process left cannot be read");
                }
            }
        }
        Ok(())
    }

    fn adopt(&mut self, orphan: &Folder) -> Result<(), QueueError> {
        let Some(Storage { queue, .. }) = &mut self.storage else { return Ok(()) };
        let Setup { sealer, random, clock, .. } = &self.setup;
        // It keeps its epoch: no event comes anew, and what is taken over twice has the same numbers.
        let Opened { queue: mut left, absorbed, .. } =
            Queue::open(&orphan.database(), sealer.clone(), None, &[], &**random)?;
        let ring = Ring::open(&orphan.ring(), 1 << 16, absorbed, true, &**random);
        let mut ring = ring.map_err(|error| QueueError::Folder(orphan.path.clone(), error))?;
        if ring.ahead {
            left.begin_epoch(&**random)?;
        }
        let mut torn = ring.torn || ring.ahead;
        loop {
            let absorbed = left.absorb(&mut ring.consumer, clock.wall_us(), &**random)?;
            torn |= absorbed.torn;
            if !absorbed.more {
                break;
            }
        }
        self.stats.lock().torn += u64::from(torn);
        // What cannot be read is named as lost while it is known which numbers were given out there.
        left.give_up_unreadable()?;
        queue.adopt(&left)
    }

    /// Moves everything that is in the ring into the database.
    fn absorb_all(&mut self) -> Result<(), QueueError> {
        let now = self.now();
        let Some(Storage { queue, ring, .. }) = &mut self.storage else { return Ok(()) };
        let Setup { clock, random, limits, .. } = &self.setup;
        ring.wakes();
        let mut total = 0;
        loop {
            let absorbed = queue.absorb(ring, clock.wall_us(), &**random)?;
            if absorbed.events > 0 || absorbed.critical > 0 {
                self.delivery.on_stored(absorbed.critical > 0, now);
            }
            self.stats.lock().torn += u64::from(absorbed.torn);
            total += absorbed.events;
            if !absorbed.more && !absorbed.torn && ring.rests(false) {
                break;
            }
        }
        self.absorb_at = None;
        let evicted = queue.evict(limits, clock.wall_us(), &self.delivery.out())?;
        let mut stats = self.stats.lock();
        stats.committed += total;
        stats.evicted += evicted;
        drop(stats);
        self.intake.set_critical_room(limits.critical_bytes.saturating_sub(queue.critical().1));
        self.destroy_withdrawn()
    }

    /// Destroys what whoever has withdrawn left. Until that is done, nothing is sent.
    fn destroy_withdrawn(&mut self) -> Result<(), QueueError> {
        let now = self.now();
        let Some(Storage { queue, folder, ring, .. }) = &mut self.storage else { return Ok(()) };
        for person in queue.withdrawn()? {
            self.intake.wipe(ring);
            if let Some(Err(error)) = folder.as_ref().map(Folder::remove_broken) {
                tracing::warn!(%error, "a database that was set aside cannot be deleted");
            }
            self.delivery.discard();
            let lost = queue.destroy(&person).inspect_err(|_| self.absorb_at = Some(now))?;
            self.stats.lock().evicted += lost;
        }
        Ok(())
    }

    /// What there was at a flush is in the queue now: calls that waited for the storage, too.
    fn know_place(&mut self) {
        let Some(storage) = self.storage.as_ref().filter(|storage| storage.complete) else { return };
        if self.flushes.iter().all(|waiter| waiter.until != NOT_KNOWN) {
            return;
        }
        let Ok(last) = storage.queue.last_block() else { return };
        self.delivery.force(last);
        for waiter in self.flushes.iter_mut().filter(|waiter| waiter.until == NOT_KNOWN) {
            waiter.until = last;
        }
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
                self.receipts.push(ReceiptWaiter { id, final_only, deadline, reply });
            }
            Command::Flush { deadline, reply } => {
                let stats = self.stats.lock();
                let (acked_before, rejected_before) = (stats.acked, stats.rejected);
                drop(stats);
                self.absorb_at = Some(now);
                self.flushes.push(FlushWaiter {
                    deadline,
                    until: NOT_KNOWN,
                    acked_before,
                    rejected_before,
                    reply,
                });
            }
            Command::Consent(consent, key) => self.on_consent(consent, key),
            Command::Hold => self.delivery.pause(PauseReason::Held),
            Command::Resume => self.resume(),
            Command::TryNow => self.delivery.try_now(now),
            Command::SetKey(key) => {
                self.authorization = format!("Bearer {key}");
                self.resume();
            }
            Command::Save(saving) => self.delivery.save(saving, now),
            Command::Shutdown(_) => {}
        }
    }

    fn resume(&mut self) {
        self.told.retain(|problem| !matches!(problem, Problem::Paused(_)));
        self.delivery.resume(self.now());
    }

    fn on_consent(&mut self, consent: Consent, key: Option<String>) {
        self.delivery.wait_for_consent(consent == Consent::Pending, self.now());
        let Some(key) = key else { return };
        // Noted here, too: where the ring was full, the profile is not in it yet.
        let destroyed = self.absorb_all().and_then(|()| {
            if let Some(storage) = &self.storage {
                storage.queue.note_withdrawn(&key)?;
            }
            self.destroy_withdrawn()
        });
        self.delivery.discard();
        if let Err(error) = destroyed {
            self.absorb_at = Some(self.now());
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
            Ok(progress) => self.count(progress),
            Err(error) => self.failed(&error),
        }
    }

    fn count(&mut self, progress: Progress) {
        if let Some(reason) = progress.paused {
            tracing::warn!(?reason, "delivery is paused; the events are kept");
            self.tell(Problem::Paused(reason));
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
        if let Some(tell) = &self.setup.on_problem {
            tell(&problem);
        }
        self.told.push(problem);
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
        tracing::warn!(%error, "the queue cannot be used; trying again");
        let now = self.now();
        let (first, wait) = (self.retry_after == RETRY, self.retry_after);
        self.retry_at = Some(now + wait);
        self.retry_after = (wait * 2).min(MAX_RETRY);
        let mut stats = self.stats.lock();
        stats.commit_failures += 1;
        stats.last_error = Some(error.to_string());
        drop(stats);
        let is_broken = |storage: &Storage| {
            storage.folder.is_some()
                && (error.is_corrupt() || error.is_doubtful() && storage.queue.is_broken())
        };
        if self.storage.as_ref().is_some_and(is_broken) {
            // It may open without a word and break at the same page again: it is set aside.
            self.suspect = true;
            self.storage = None;
            self.open = self.intake.reopen();
            self.delivery.abandon();
            self.delivery.discard();
            // At once; but one that breaks again and again must not fill the disk with what is set aside.
            self.retry_at = Some(if first { now } else { now + wait });
        } else {
            self.tell(Problem::Storage(error.to_string()));
        }
    }

    fn pending(&self) -> u64 {
        let queued = self.storage.as_ref().map_or(0, |storage| storage.queue.pending());
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

    fn tell_waiters(&mut self) {
        let now = self.now();
        self.flushes.retain(|waiter| waiter.reply.is_wanted());
        self.receipts.retain(|waiter| waiter.reply.is_wanted());
        for waiter in std::mem::take(&mut self.flushes) {
            let queue = self.storage.as_ref().map(|storage| &storage.queue);
            let waits = waiter.until == NOT_KNOWN
                || queue.is_none_or(|queue| queue.waits_until(waiter.until).unwrap_or(true));
            if waits && now < waiter.deadline && self.delivery.paused().is_none() {
                self.flushes.push(waiter);
            } else {
                self.end_flush(waiter, !waits);
            }
        }
        for waiter in std::mem::take(&mut self.receipts) {
            let queue = self.storage.as_ref().map(|storage| &storage.queue);
            let found = queue.and_then(|queue| queue.receipt(&waiter.id).ok()).flatten();
            let far_enough =
                found.as_ref().is_some_and(|found| !waiter.final_only || *found != Receipt::Queued);
            if far_enough || now >= waiter.deadline {
                let _ = waiter.reply.give(found);
            } else {
                self.receipts.push(waiter);
            }
        }
    }

    fn end_flush(&self, waiter: FlushWaiter, complete: bool) {
        let stats = self.stats.lock().clone();
        let _ = waiter.reply.give(FlushResult {
            acked: stats.acked - waiter.acked_before,
            rejected: stats.rejected - waiter.rejected_before,
            pending: self.pending(),
            complete,
            paused: self.delivery.paused().cloned(),
        });
    }

    fn sleep(&mut self) -> Duration {
        let now = self.now();
        let mut next = MAX_SLEEP;
        let mut until = |at: Duration| next = next.min(at.saturating_sub(now));
        self.flushes.iter().for_each(|waiter| until(waiter.deadline));
        self.receipts.iter().for_each(|waiter| until(waiter.deadline));
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
        self.intake.save();
        self.intake.close();
        let absorbed = self.absorb_all();
        self.publish();
        self.taker = None;
        for waiter in std::mem::take(&mut self.flushes) {
            self.end_flush(waiter, false);
        }
        self.receipts.clear();
        let lost = self.intake.give_up();
        let in_ring = self.pending() - self.storage.as_ref().map_or(0, |storage| storage.queue.pending());
        let closed = match self.storage.take() {
            Some(storage) => storage.queue.close(),
            None => Ok(()),
        };
        let last_error = self.stats.lock().last_error.clone().unwrap_or_default();
        let _ = reply.give(match absorbed.and(closed) {
            Ok(()) if lost == 0 => Ok(()),
            Ok(()) => Err(ShutdownError { unsaved: lost, reason: last_error }),
            Err(error) => Err(ShutdownError { unsaved: lost + in_ring, reason: error.to_string() }),
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
            if let Some(tell) = &self.setup.on_problem {
                tell(&Problem::Disabled("a bug of the client; see the log".into()));
            }
        }
    }
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
