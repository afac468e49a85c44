//! The delivery core: decides what goes out and what an outcome means. Synchronous; time is an argument.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use footpath_proto::v1::{Context, FlowHints, IngestResponse, Refusal};
use prost::Message as _;

use crate::backoff::Backoff;
use crate::block::Number;
use crate::clock::{Clock, Randomness, random_uuid};
use crate::error::{PauseReason, QueueError};
use crate::intake::Class;
use crate::link::{Budget, Pace};
use crate::offset::Offset;
use crate::outcome::Outcome;
use crate::queue::detached::Detached;
use crate::queue::gather::Most;
use crate::queue::{Fate, GONE, Gathered, Loss, Queue, Queued};
use crate::record::Wish;
use crate::wire::{put_bytes, put_message, put_number, put_time};

mod detached;

/// Nobody makes a client wait longer: whatever is on the way may say `retry-after`, with any number.
const MAX_WAIT: Duration = Duration::from_secs(60 * 60);

/// An event that the server wants to see later waits at least so long.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// When a batch is full or old enough, and what all batches share.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The server refuses a batch whose key is another project's.
    pub(crate) project: String,
    pub(crate) max_events: usize,
    pub(crate) max_bytes: usize,
    pub(crate) interval: Duration,
    pub(crate) historical: bool,
    pub(crate) context: Context,
    /// Bytes an hour while the link costs money or the battery is low.
    pub(crate) saving_bytes_per_hour: u64,
}

/// What to do next.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// Send this; then call `report`.
    Send(Request),
    /// Ask again at this time of the continuous clock.
    WaitUntil(Duration),
    /// Ask again when something happened.
    Idle,
}

/// A batch on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) id: String,
    /// An encoded `footpath.v1.IngestRequest`.
    pub(crate) body: Vec<u8>,
    pub(crate) events: usize,
    pub(crate) is_resend: bool,
}

/// What became of events, to be added to the statistics.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) stored: u64,
    pub(crate) duplicates: u64,
    pub(crate) rejected: u64,
    pub(crate) error: Option<String>,
    /// Set when this outcome paused delivery.
    pub(crate) paused: Option<PauseReason>,
    /// Whether the server has judged the batch. `None`: it was nobody's.
    pub(crate) got_through: Option<bool>,
}

impl Progress {
    /// The server has judged a batch.
    fn judged() -> Self {
        Self { got_through: Some(true), ..Self::default() }
    }

    /// It goes out again.
    fn failed(message: String) -> Self {
        Self { error: Some(message), got_through: Some(false), ..Self::default() }
    }
}

/// One batch: a fixed set of events under a fixed id, until it has reached its end.
#[derive(Debug, Clone)]
struct Batch {
    id: String,
    events: Gathered,
    losses: Vec<Loss>,
    wishes: Vec<Wish>,
    attempts: u32,
    /// Its events were destroyed while it was out: whatever becomes of it, they are not sent again.
    discarded: bool,
}

impl Batch {
    fn new(events: Gathered, random: &dyn Randomness) -> Self {
        let id = random_uuid(random);
        Self { id, events, losses: Vec::new(), wishes: Vec::new(), attempts: 0, discarded: false }
    }

    fn has_riders(&self) -> bool {
        !self.losses.is_empty() || !self.wishes.is_empty()
    }
}

/// A send that has no outcome yet.
#[derive(Debug, Clone)]
struct Flight {
    started: Duration,
    wall_us: i64,
    bytes: usize,
    /// Which key it went out with.
    key: u64,
}

type EventKey = (u64, i32, Number);

pub(crate) struct Delivery {
    settings: Settings,
    context: Vec<u8>,
    hints: FlowHints,
    backoff: Backoff,
    pace: Pace,
    budget: Budget,
    offset: Offset,
    /// The batch that is on its way or is to be sent again.
    current: Option<Batch>,
    flight: Option<Flight>,
    /// Parts of a refused batch, oldest first.
    parts: VecDeque<Batch>,
    /// Batches that were given away, by id, and how long they are waited for.
    detached: BTreeMap<String, (Detached, Duration)>,
    /// Events that do not go out before: the server wants to see them later, or their batch was given away.
    held: HashMap<EventKey, Duration>,
    /// Nothing is sent before.
    not_before: Duration,
    /// When a batch that is not full goes out anyway.
    due_at: Option<Duration>,
    /// Blocks up to here do not wait for company.
    force_until: i64,
    /// A batch with losses or wishes was refused: until one gets through, they travel alone.
    riders_alone: bool,
    /// A wish was refused: it waits until then, and nothing waits for it.
    wishes_at: Duration,
    /// Counts the keys there were.
    key: u64,
    /// What the server will not take anything for.
    denied: Option<PauseReason>,
    /// The application wants nothing to be sent.
    on_hold: bool,
    /// The person has not been asked yet: no event goes out, whatever else does.
    unasked: bool,
}

impl Delivery {
    /// Starts at `now`; what an earlier run left behind is due at once.
    pub(crate) fn new(settings: Settings, backoff: Backoff, now: Duration) -> Self {
        Self {
            context: settings.context.encode_to_vec(),
            pace: Pace::new(settings.max_bytes),
            budget: Budget::new(settings.saving_bytes_per_hour),
            settings,
            hints: FlowHints::default(),
            backoff,
            offset: Offset::default(),
            current: None,
            flight: None,
            parts: VecDeque::new(),
            detached: BTreeMap::new(),
            held: HashMap::new(),
            not_before: Duration::ZERO,
            due_at: Some(now),
            force_until: 0,
            riders_alone: false,
            wishes_at: Duration::ZERO,
            key: 0,
            denied: None,
            on_hold: false,
            unasked: false,
        }
    }

    /// Events were stored at `now`; critical ones are due at once.
    pub(crate) fn on_stored(&mut self, critical: bool, now: Duration) {
        let due = if critical { now } else { now + self.settings.interval };
        self.due_at = Some(self.due_at.map_or(due, |known| known.min(due)));
    }

    /// Blocks up to `block` go out without waiting for a full batch.
    pub(crate) fn force(&mut self, block: i64) {
        self.force_until = self.force_until.max(block);
    }

    /// Nothing goes out until somebody acts.
    pub(crate) fn deny(&mut self, reason: PauseReason) {
        self.denied = Some(reason);
    }

    pub(crate) fn hold(&mut self) {
        self.on_hold = true;
    }

    /// Goes on at once, whatever the reason of a pause or a wait was.
    pub(crate) fn resume(&mut self, now: Duration) {
        self.on_hold = false;
        self.denied = None;
        self.wishes_at = Duration::ZERO;
        self.try_now(now);
    }

    /// There is another key. What the application holds stays, and so does the wait after a key that was refused: one who
    /// is told so and has the next one at hand would ask without end.
    pub(crate) fn renew(&mut self, now: Duration) {
        self.key += 1;
        self.denied = None;
        self.due_at = Some(now);
    }

    /// Sends at once, whatever the reason of a wait was; a pause stays.
    pub(crate) fn try_now(&mut self, now: Duration) {
        self.not_before = Duration::ZERO;
        self.backoff.reset();
        self.due_at = Some(now);
    }

    /// Whether the person has still to be asked.
    pub(crate) fn wait_for_consent(&mut self, unasked: bool, now: Duration) {
        if self.unasked != unasked {
            self.unasked = unasked;
            self.due_at = Some(now);
        }
    }

    pub(crate) fn paused(&self) -> Option<&PauseReason> {
        let held = || self.on_hold.then_some(&PauseReason::Held);
        let unasked = || self.unasked.then_some(&PauseReason::ConsentPending);
        self.denied.as_ref().or_else(held).or_else(unasked)
    }

    /// Spends little from now on, or no longer.
    pub(crate) fn save_data(&mut self, saving: bool, now: Duration) {
        self.budget.save(saving, now);
    }

    /// Blocks of which the server may have something already.
    pub(crate) fn out(&self) -> HashSet<i64> {
        let batches = self.current.iter().chain(&self.parts);
        let mut blocks: HashSet<i64> =
            batches.flat_map(|batch| batch.events.events.iter().map(|event| event.block)).collect();
        blocks.extend(self.blocks_away());
        blocks
    }

    /// Since when a batch is out whose outcome nobody has reported.
    pub(crate) fn out_since(&self) -> Option<Duration> {
        self.flight.as_ref().map(|flight| flight.started)
    }

    fn is_out(&self, id: &str) -> bool {
        self.flight.is_some() && self.current.as_ref().is_some_and(|batch| batch.id == id)
    }

    pub(crate) fn offset(&self) -> &Offset {
        &self.offset
    }

    /// Nobody will report the outcome of what is on its way: it is sent again.
    pub(crate) fn abandon(&mut self) {
        self.flight = None;
        self.current.take_if(|batch| batch.discarded);
    }

    /// Events of this install will not be sent any more: they were destroyed.
    pub(crate) fn discard(&mut self) {
        self.parts.clear();
        self.detached.clear();
        self.held.clear();
        match &mut self.current {
            Some(batch) if self.flight.is_some() => batch.discarded = true,
            current => *current = None,
        }
    }

    /// What to do now.
    pub(crate) fn next(
        &mut self,
        queue: &mut Queue,
        clock: &dyn Clock,
        random: &dyn Randomness,
    ) -> Result<Next, QueueError> {
        let now = clock.continuous();
        if self.flight.is_some() || self.denied.is_some() || self.on_hold {
            return Ok(Next::Idle);
        }
        if self.unasked {
            // What was formed before nobody was to be asked is still in the queue.
            self.parts.clear();
            self.current.take_if(|batch| !batch.events.events.is_empty());
        }
        if now < self.not_before {
            return Ok(Next::WaitUntil(self.not_before));
        }
        if self.current.is_none() {
            self.current = self.parts.pop_front();
        }
        if self.current.is_none() {
            if let Some(wait) = self.gathering(queue, now)? {
                return Ok(wait);
            }
            self.current = self.form(queue, now, random)?;
        }
        let Some(batch) = &mut self.current else {
            // Only held events are left: they come back one by one, and what is new meanwhile need not hurry for them.
            self.force_until = 0;
            return self.rest(queue, now);
        };
        queue.sync()?;
        batch.attempts += 1;
        let request = Request {
            id: batch.id.clone(),
            body: encode(batch, &self.settings, &self.context, queue, clock)?,
            events: batch.events.events.len(),
            is_resend: batch.attempts > 1,
        };
        self.budget.spend(request.body.len() as u64, now);
        self.flight =
            Some(Flight { started: now, wall_us: clock.wall_us(), bytes: request.body.len(), key: self.key });
        Ok(Next::Send(request))
    }

    /// Why no batch is formed yet, if so.
    fn gathering(&mut self, queue: &Queue, now: Duration) -> Result<Option<Next>, QueueError> {
        self.held.retain(|_, until| *until > now);
        let pending = if self.unasked { 0 } else { queue.pending() };
        let ready = pending.saturating_sub(self.held.len() as u64);
        if pending == 0 && !self.has_riders(queue, now)? {
            return self.rest(queue, now).map(Some);
        }
        // What is held back fills no batch.
        let bytes = queue.pending_bytes() / pending.max(1) * ready;
        let full = ready >= self.max_events() as u64 || bytes >= self.max_bytes() as u64;
        let due = self.due_at.is_some_and(|due| due <= now);
        let forced = self.force_until > 0 && queue.waits_until(self.force_until)?;
        if !(full && ready > 0 || due || forced) {
            return Ok(Some(self.due_at.map_or(Next::Idle, Next::WaitUntil)));
        }
        if queue.critical().0 > 0 {
            return Ok(None); // They cost what they cost.
        }
        Ok(self.budget.wait(now).map(Next::WaitUntil))
    }

    /// Nothing can go out before what is held back may.
    fn rest(&mut self, queue: &Queue, now: Duration) -> Result<Next, QueueError> {
        let wishes = (self.wishes_at > now && queue.has_wishes()?).then_some(self.wishes_at);
        let budget = self.budget.wait(now).filter(|_| queue.pending() > 0 && !self.unasked);
        self.due_at = self.held.values().copied().chain(wishes).chain(budget).min();
        Ok(self.due_at.map_or(Next::Idle, Next::WaitUntil))
    }

    /// Whether there are losses or wishes to tell.
    fn has_riders(&self, queue: &Queue, now: Duration) -> Result<bool, QueueError> {
        Ok(queue.has_losses()? || now >= self.wishes_at && queue.has_wishes()?)
    }

    fn wishes(&self, queue: &Queue, now: Duration) -> Result<Vec<Wish>, QueueError> {
        if now < self.wishes_at { Ok(Vec::new()) } else { queue.wishes() }
    }

    fn form(
        &mut self,
        queue: &mut Queue,
        now: Duration,
        random: &dyn Randomness,
    ) -> Result<Option<Batch>, QueueError> {
        let class = if self.budget.wait(now).is_some() { Class::Critical } else { Class::Lossy };
        let most = Most { events: self.max_events(), bytes: self.max_bytes(), class };
        let held = &self.held;
        let skip = |epoch, class, at| held.get(&(epoch, class, at)).is_some_and(|until| *until > now);
        if self.riders_alone
            && let Some(batch) = self.form_riders(queue, now, random)?
        {
            return Ok(Some(batch));
        }
        if !self.unasked {
            let events = queue.gather(skip, most)?;
            if !events.events.is_empty() {
                let mut batch = Batch::new(events, random);
                if !self.riders_alone {
                    batch.losses = queue.losses(Some((&batch.events.install, batch.events.epoch)))?;
                    batch.wishes = self.wishes(queue, now)?;
                    self.untold(&mut batch.losses, &mut batch.wishes, now);
                }
                return Ok(Some(batch));
            }
        }
        // What could not be read has become a loss meanwhile.
        self.form_riders(queue, now, random)
    }

    /// Losses and wishes without events, where there are some to tell.
    fn form_riders(
        &self,
        queue: &Queue,
        now: Duration,
        random: &dyn Randomness,
    ) -> Result<Option<Batch>, QueueError> {
        let (mut losses, mut wishes) = (queue.losses(None)?, self.wishes(queue, now)?);
        self.untold(&mut losses, &mut wishes, now);
        if losses.is_empty() && wishes.is_empty() {
            return Ok(None);
        }
        let mut batch = Batch::new(Gathered::default(), random);
        if let Some(first) = losses.first() {
            (batch.events.install, batch.events.epoch) = (first.install.clone(), first.epoch);
        }
        (batch.losses, batch.wishes) = (losses, wishes);
        Ok(Some(batch))
    }

    /// Takes the outcome of the batch `id`. One that is not on its way any more and was not given away says nothing. On an
    /// error the batch is still there and is sent again.
    pub(crate) fn report(
        &mut self,
        queue: &mut Queue,
        id: &str,
        outcome: Outcome,
        clock: &dyn Clock,
        random: &dyn Randomness,
    ) -> Result<Progress, QueueError> {
        if !self.is_out(id) {
            return self.report_detached(queue, id, outcome, clock, random);
        }
        let now = clock.continuous();
        let (Some(batch), Some(flight)) = (self.current.take(), self.flight.take()) else {
            return Ok(Progress::default());
        };
        if batch.discarded && !matches!(outcome, Outcome::Answered(_)) {
            return Ok(Progress::default());
        }
        let verdict = match outcome {
            Outcome::Answered(response) => {
                self.pace.answered(flight.bytes, now.saturating_sub(flight.started));
                self.offset.learn(&response, flight.wall_us, flight.started, now);
                self.on_response(queue, &batch, &response, now, random)
            }
            Outcome::Retry { message, after } => Ok(Verdict::Again(message, after)),
            Outcome::Broken(message) => {
                self.pace.broke(flight.bytes);
                Ok(self.on_broken(&batch, message, random))
            }
            Outcome::Refused(message) => self.on_refused(queue, &batch, message, now, random),
            Outcome::Denied(reason) if flight.key != self.key => {
                Ok(Verdict::Again(format!("the key before this one: {reason:?}"), None))
            }
            Outcome::Denied(reason) => {
                self.denied = Some(reason.clone());
                self.current = Some(batch);
                self.delay(None, now, random);
                let error = Some(format!("{reason:?}"));
                return Ok(Progress { paused: Some(reason), error, ..Progress::judged() });
            }
        };
        match verdict {
            Ok(Verdict::Done(progress)) => {
                self.backoff.reset();
                self.due_again(queue, now)?;
                Ok(progress)
            }
            Ok(Verdict::Again(message, after)) => {
                self.current = Some(batch).filter(|batch| !batch.discarded);
                self.delay(after, now, random);
                Ok(Progress::failed(message))
            }
            Ok(Verdict::Parts(message)) => {
                self.delay(None, now, random);
                Ok(Progress::failed(message))
            }
            Err(error) => {
                self.current = Some(batch).filter(|batch| !batch.discarded);
                self.delay(None, now, random);
                Err(error)
            }
        }
    }

    /// After a finished batch the rest gathers anew; losses get their own wait.
    fn due_again(&mut self, queue: &Queue, now: Duration) -> Result<(), QueueError> {
        let waiting = queue.pending() > 0 || self.has_riders(queue, now)?;
        let wait = if queue.critical().0 > 0 { Duration::ZERO } else { self.settings.interval };
        if waiting {
            self.due_at = Some(now + wait);
            return Ok(());
        }
        self.rest(queue, now).map(drop)
    }

    fn delay(&mut self, after: Option<Duration>, now: Duration, random: &dyn Randomness) {
        let backoff = self.backoff.fail(random);
        self.not_before = now + backoff.max(after.unwrap_or_default().min(MAX_WAIT));
    }

    fn on_response(
        &mut self,
        queue: &mut Queue,
        batch: &Batch,
        response: &IngestResponse,
        now: Duration,
        random: &dyn Randomness,
    ) -> Result<Verdict, QueueError> {
        if let Some(doubt) = doubts(batch, response) {
            return Ok(Verdict::Again(doubt, None));
        }
        let refused: HashMap<usize, &Refusal> =
            response.refused.iter().map(|refusal| (refusal.index as usize, refusal)).collect();
        let mut fates = Vec::with_capacity(batch.events.events.len());
        let mut again = Vec::new();
        for (index, event) in batch.events.events.iter().enumerate() {
            match refused.get(&index) {
                None => fates.push((index, Fate::Acked)),
                Some(refusal) if refusal.retryable => again.push((event, *refusal)),
                Some(refusal) => {
                    let why = format!("{}: {}", refusal.reason, refusal.message);
                    fates.push((index, Fate::Lost { word: "rejected", why }));
                }
            }
        }
        let rejected = (refused.len() - again.len()) as u64;
        settle(queue, batch, &fates, random)?;
        self.riders_alone &= !batch.has_riders();
        for (event, refusal) in again {
            if event.block == GONE {
                continue;
            }
            let wait = refusal.retry_after.and_then(duration).unwrap_or_default().max(LEAST_WAIT);
            self.held.insert((batch.events.epoch, event.class, event.at), now + wait.min(MAX_WAIT));
        }
        self.take_hints(response.hints.unwrap_or_default(), now);
        let error =
            response.refused.first().map(|refusal| format!("{}: {}", refusal.reason, refusal.message));
        let (stored, duplicates) = (u64::from(response.stored), u64::from(response.duplicates));
        Ok(Verdict::Done(Progress { stored, duplicates, rejected, error, ..Progress::judged() }))
    }

    fn take_hints(&mut self, hints: FlowHints, now: Duration) {
        let pause = hints.min_interval.and_then(duration).unwrap_or_default();
        self.not_before = now + pause.min(MAX_WAIT);
        self.hints = hints;
    }

    /// A link that breaks under large batches gets smaller ones: numbers make it safe to cut what may have arrived.
    fn on_broken(&mut self, batch: &Batch, message: String, random: &dyn Randomness) -> Verdict {
        let too_large = batch.events.body.len() > self.pace.bytes() && batch.events.events.len() > 1;
        if !too_large {
            return Verdict::Again(message, None);
        }
        self.cut(batch, random);
        Verdict::Parts(message)
    }

    /// The server refused the batch as a whole. What rides along is taken off first, then the events are halved.
    fn on_refused(
        &mut self,
        queue: &mut Queue,
        batch: &Batch,
        message: String,
        now: Duration,
        random: &dyn Randomness,
    ) -> Result<Verdict, QueueError> {
        let mut progress = Progress { error: Some(message.clone()), ..Progress::judged() };
        let events = &batch.events.events;
        if events.is_empty() {
            return self.on_refused_riders(queue, batch, message, now, random);
        }
        if batch.has_riders() {
            self.riders_alone = true;
            self.parts.push_front(Batch::new(batch.events.clone(), random));
            return Ok(Verdict::Done(progress));
        }
        if events.len() == 1 {
            settle(queue, batch, &[(0, Fate::Lost { word: "rejected", why: message })], random)?;
            progress.rejected = 1;
            return Ok(Verdict::Done(progress));
        }
        self.cut(batch, random);
        Ok(Verdict::Done(progress))
    }

    /// A wish is kept and sent again later; until then others go their way. Losses that the server will not have are dropped:
    /// its gap stays named, which is still true.
    fn on_refused_riders(
        &mut self,
        queue: &mut Queue,
        batch: &Batch,
        message: String,
        now: Duration,
        random: &dyn Randomness,
    ) -> Result<Verdict, QueueError> {
        if batch.wishes.is_empty() {
            settle(queue, batch, &[], random)?;
        } else {
            self.wishes_at = now + MAX_WAIT;
        }
        Ok(Verdict::Done(Progress { error: Some(message), ..Progress::judged() }))
    }

    fn cut(&mut self, batch: &Batch, random: &dyn Randomness) {
        let middle = batch.events.events.len() / 2;
        let (left, right) = batch.events.events.split_at(middle);
        for half in [right, left] {
            self.parts.push_front(Batch::new(part(&batch.events, half), random));
        }
    }

    fn max_events(&self) -> usize {
        limit(self.settings.max_events, self.hints.max_batch_events)
    }

    fn max_bytes(&self) -> usize {
        limit(self.settings.max_bytes, self.hints.max_batch_bytes).min(self.pace.bytes())
    }
}

/// What an outcome means for its batch.
enum Verdict {
    /// It has reached its end, or was cut because the server wants it so.
    Done(Progress),
    /// The same batch again, later.
    Again(String, Option<Duration>),
    /// Its parts, later.
    Parts(String),
}

fn settle(
    queue: &mut Queue,
    batch: &Batch,
    fates: &[(usize, Fate)],
    random: &dyn Randomness,
) -> Result<(), QueueError> {
    let granted: Vec<String> = batch.wishes.iter().map(|wish| wish.id.clone()).collect();
    queue.settle(&batch.events, fates, &batch.losses, &granted, random)
}

/// Some neighbouring events of a batch.
fn part(whole: &Gathered, events: &[Queued]) -> Gathered {
    let start = events.first().map_or(0, |event| event.span.start);
    let end = events.last().map_or(0, |event| event.span.end);
    let shift =
        |event: &Queued| Queued { span: event.span.start - start..event.span.end - start, ..event.clone() };
    Gathered {
        install: whole.install.clone(),
        body: whole.body[start..end].to_vec(),
        events: events.iter().map(shift).collect(),
        ..*whole
    }
}

/// An `IngestRequest`.
fn encode(
    batch: &Batch,
    settings: &Settings,
    context: &[u8],
    queue: &Queue,
    clock: &dyn Clock,
) -> Result<Vec<u8>, QueueError> {
    let events = &batch.events;
    let mut out = Vec::with_capacity(events.body.len() + context.len() + 256);
    put_bytes(&mut out, 1, batch.id.as_bytes());
    if let Some(era) = queue.era(events.era)? {
        // The send time corrects a wrong clock: what that era's clock would show now, even if another one has begun.
        if let Some(us) = era.shows(clock) {
            put_time(&mut out, 2, us);
        }
        put_bytes(&mut out, 3, format!("{:016x}", era.id).as_bytes());
    }
    if settings.historical {
        put_number(&mut out, 4, 1);
    }
    put_bytes(&mut out, 5, context);
    if !events.install.is_empty() {
        put_message(&mut out, 6, |out| {
            put_bytes(out, 1, events.install.as_bytes());
            put_number(out, 2, events.epoch);
        });
    }
    out.extend_from_slice(&events.body);
    for loss in &batch.losses {
        put_bytes(&mut out, 8, &loss.range.encode_to_vec());
    }
    for wish in &batch.wishes {
        put_message(&mut out, 9, |out| {
            put_bytes(out, 1, wish.id.as_bytes());
            put_number(out, 2, i64::from(wish.kind).cast_unsigned());
            put_bytes(out, 3, wish.actor.as_bytes());
        });
    }
    put_bytes(&mut out, 10, settings.project.as_bytes());
    Ok(out)
}

/// Why an answer is no ack, if so. A proxy's page, another batch's answer or one that does not account for
/// every event and every wish proves nothing about this batch.
fn doubts(batch: &Batch, response: &IngestResponse) -> Option<String> {
    let sent = batch.events.events.len();
    if response.batch_id != batch.id {
        return Some("the answer does not carry the batch's id".into());
    }
    let indexes: HashSet<u32> = response.refused.iter().map(|refusal| refusal.index).collect();
    let in_range = indexes.iter().all(|index| (*index as usize) < sent);
    if !in_range || indexes.len() != response.refused.len() {
        return Some("the answer refuses events that the batch does not have".into());
    }
    let counted = u64::from(response.stored) + u64::from(response.duplicates) + indexes.len() as u64;
    if counted != sent as u64 {
        return Some(format!("the answer accounts for {counted} of {sent} events"));
    }
    let wishes = batch.wishes.len();
    (response.privacy_requests as usize != wishes).then(|| {
        format!("the answer accounts for {} of {wishes} privacy requests", response.privacy_requests)
    })
}

fn limit(own: usize, hint: u32) -> usize {
    if hint == 0 { own } else { own.min(hint as usize) }
}

fn duration(duration: prost_types::Duration) -> Option<Duration> {
    Duration::try_from(duration).ok()
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
