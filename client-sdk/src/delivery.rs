//! The delivery core: decides what goes out and what an answer means. Synchronous; time is an argument.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use footpath_proto::v1::{Context, FlowHints, IngestRequest, IngestResponse, Producer, Refusal};

use crate::backoff::Backoff;
use crate::clock::{Randomness, random_uuid};
use crate::error::{PauseReason, QueueError};
use crate::queue::{Loss, Queue, Row};
use crate::track::timestamp;
use crate::transport::SendError;

/// When a batch is full or old enough, and what all batches share.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) max_events: usize,
    pub(crate) max_bytes: usize,
    pub(crate) interval: Duration,
    pub(crate) historical: bool,
    pub(crate) context: Context,
}

/// Now, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) mono: Duration,
    pub(crate) wall_us: i64,
    pub(crate) era: u64,
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Send this; then call `on_answer`.
    Send(Box<IngestRequest>),
    /// Ask again at this monotonic time.
    WaitUntil(Duration),
    /// Ask again when something happened.
    Idle,
}

/// What became of events, to be added to the statistics.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) stored: u64,
    pub(crate) duplicates: u64,
    pub(crate) rejected: u64,
    pub(crate) corrupt: u64,
    pub(crate) error: Option<String>,
    /// Set when this answer paused delivery.
    pub(crate) paused: Option<PauseReason>,
}

/// One batch: a fixed set of events under a fixed id, until it has reached its end.
#[derive(Debug)]
struct Batch {
    id: String,
    epoch: u64,
    era: u64,
    rows: Vec<Row>,
    losses: Vec<Loss>,
}

pub(crate) struct Delivery {
    settings: Settings,
    hints: FlowHints,
    backoff: Backoff,
    /// The batch that is on its way or is to be sent again.
    current: Option<Batch>,
    awaiting: bool,
    attempts: u32,
    /// Parts of a refused batch, oldest first.
    parts: VecDeque<Batch>,
    /// Events the server asked to see again later, and when.
    held: HashMap<i64, Duration>,
    /// Nothing is sent before.
    not_before: Duration,
    /// When a batch that is not full goes out anyway.
    due_at: Option<Duration>,
    /// Events up to here do not wait for company.
    force_until: i64,
    /// A batch with losses was refused: until one gets through, they travel alone.
    losses_alone: bool,
    paused: Option<PauseReason>,
}

impl Delivery {
    /// Starts at `now`; what an earlier run left behind is due at once.
    pub(crate) fn new(settings: Settings, backoff: Backoff, now: Duration) -> Self {
        Self {
            settings,
            hints: FlowHints::default(),
            backoff,
            current: None,
            awaiting: false,
            attempts: 0,
            parts: VecDeque::new(),
            held: HashMap::new(),
            not_before: Duration::ZERO,
            due_at: Some(now),
            force_until: 0,
            losses_alone: false,
            paused: None,
        }
    }

    /// Events were committed at `now`.
    pub(crate) fn on_commit(&mut self, now: Duration) {
        self.due_at.get_or_insert(now + self.settings.interval);
    }

    /// Events up to `seq` go out without waiting for a full batch.
    pub(crate) fn force(&mut self, seq: i64) {
        self.force_until = self.force_until.max(seq);
    }

    pub(crate) fn pause(&mut self, reason: PauseReason) {
        self.paused = Some(reason);
    }

    pub(crate) fn resume(&mut self) {
        self.paused = None;
        self.not_before = Duration::ZERO;
        self.backoff.reset();
    }

    pub(crate) fn paused(&self) -> Option<&PauseReason> {
        self.paused.as_ref()
    }

    /// Whether the send that `next` asked for last repeats an earlier one.
    pub(crate) fn is_resend(&self) -> bool {
        self.attempts > 1
    }

    /// What to do at `now`.
    pub(crate) fn next(
        &mut self,
        queue: &Queue,
        now: Now,
        random: &dyn Randomness,
    ) -> Result<Next, QueueError> {
        if self.awaiting || self.paused.is_some() {
            return Ok(Next::Idle);
        }
        if now.mono < self.not_before {
            return Ok(Next::WaitUntil(self.not_before));
        }
        if self.current.is_none() {
            self.attempts = 0;
            self.current = self.parts.pop_front();
        }
        if self.current.is_none() {
            if let Some(wait) = self.gathering(queue, now.mono)? {
                return Ok(wait);
            }
            self.current = self.form(queue, random)?;
        }
        let Some(batch) = &self.current else {
            // Only held events are left: they come back one by one.
            self.due_at = self.held.values().min().copied();
            return Ok(self.due_at.map_or(Next::Idle, Next::WaitUntil));
        };
        self.awaiting = true;
        self.attempts += 1;
        Ok(Next::Send(Box::new(self.request(batch, queue, now))))
    }

    /// Why no batch is formed yet, if so.
    fn gathering(&mut self, queue: &Queue, now: Duration) -> Result<Option<Next>, QueueError> {
        self.held.retain(|_, until| *until > now);
        let ready = queue.pending().saturating_sub(self.held.len() as u64);
        let full = ready >= self.max_events() as u64 || queue.pending_bytes() >= self.max_bytes() as u64;
        if (full && ready > 0) || self.due_at.is_some_and(|due| due <= now) {
            return Ok(None);
        }
        if ready > 0 && self.force_until > 0 && queue.waits_until(self.force_until)? {
            return Ok(None);
        }
        Ok(Some(self.due_at.map_or(Next::Idle, Next::WaitUntil)))
    }

    fn form(&mut self, queue: &Queue, random: &dyn Randomness) -> Result<Option<Batch>, QueueError> {
        let lone_losses = if self.losses_alone { queue.losses(None)? } else { Vec::new() };
        if let Some(first) = lone_losses.first() {
            let epoch = first.epoch;
            return Ok(Some(Batch {
                id: random_uuid(random),
                epoch,
                era: 0,
                rows: Vec::new(),
                losses: lone_losses,
            }));
        }
        let rows = queue.oldest(|seq| self.held.contains_key(&seq), self.max_events(), self.max_bytes())?;
        let losses = queue.losses(rows.first().map(|row| row.epoch))?;
        let epoch = rows.first().map(|row| row.epoch).or(losses.first().map(|loss| loss.epoch));
        let era = rows.first().map_or(0, |row| row.era);
        Ok(epoch.map(|epoch| Batch { id: random_uuid(random), epoch, era, rows, losses }))
    }

    fn request(&self, batch: &Batch, queue: &Queue, now: Now) -> IngestRequest {
        // The send time corrects a wrong clock. It says nothing about events of another clock era.
        let same_era = batch.era == now.era;
        IngestRequest {
            batch_id: batch.id.clone(),
            sent_at: same_era.then(|| timestamp(now.wall_us)),
            clock_era: if batch.era == 0 { String::new() } else { format!("{:016x}", batch.era) },
            historical: self.settings.historical,
            context: Some(self.settings.context.clone()),
            producer: Some(Producer { install_id: queue.install().to_owned(), epoch: batch.epoch }),
            events: batch.rows.iter().filter_map(|row| row.event.clone()).collect(),
            losses: batch.losses.iter().map(|loss| loss.range.clone()).collect(),
            privacy_requests: Vec::new(),
        }
    }

    /// Takes the outcome of the batch on its way. On an error the batch is still there and is sent again.
    pub(crate) fn on_answer(
        &mut self,
        queue: &mut Queue,
        outcome: Result<IngestResponse, SendError>,
        now: Duration,
        random: &dyn Randomness,
    ) -> Result<Progress, QueueError> {
        self.awaiting = false;
        let Some(batch) = self.current.take() else { return Ok(Progress::default()) };
        let verdict = match outcome {
            Ok(response) => self.on_response(queue, &batch, &response, now),
            Err(SendError::Retry { message, after }) => Ok(Verdict::Again(message, after)),
            Err(SendError::Refused(message)) => self.on_refused(queue, &batch, message, random),
            Err(SendError::Denied(reason)) => {
                self.paused = Some(reason.clone());
                self.current = Some(batch);
                return Ok(Progress { paused: Some(reason), ..Progress::default() });
            }
        };
        match verdict {
            Ok(Verdict::Done(progress)) => {
                self.backoff.reset();
                self.due_again(queue, now)?;
                Ok(progress)
            }
            Ok(Verdict::Again(message, after)) => {
                self.current = Some(batch);
                self.delay(after, now, random);
                Ok(Progress { error: Some(message), ..Progress::default() })
            }
            Err(error) => {
                self.current = Some(batch);
                self.delay(None, now, random);
                Err(error)
            }
        }
    }

    /// After a finished batch the rest gathers anew; losses get their own wait.
    fn due_again(&mut self, queue: &Queue, now: Duration) -> Result<(), QueueError> {
        let waiting = queue.pending() > 0 || !queue.losses(None)?.is_empty();
        self.due_at = waiting.then_some(now + self.settings.interval);
        Ok(())
    }

    fn delay(&mut self, after: Option<Duration>, now: Duration, random: &dyn Randomness) {
        let backoff = self.backoff.fail(random);
        self.not_before = now + backoff.max(after.unwrap_or_default());
    }

    fn on_response(
        &mut self,
        queue: &mut Queue,
        batch: &Batch,
        response: &IngestResponse,
        now: Duration,
    ) -> Result<Verdict, QueueError> {
        let sent: Vec<&Row> = batch.rows.iter().filter(|row| row.event.is_some()).collect();
        if let Some(doubt) = doubts(batch, sent.len(), response) {
            return Ok(Verdict::Again(doubt, None));
        }
        let refused: HashMap<usize, &Refusal> =
            response.refused.iter().map(|refusal| (refusal.index as usize, refusal)).collect();
        let mut done = Vec::new();
        let mut lost: Vec<(&Row, &str)> = Vec::new();
        let mut again = Vec::new();
        for (index, row) in sent.into_iter().enumerate() {
            match refused.get(&index) {
                None => done.push(row),
                Some(refusal) if refusal.retryable => again.push((row, *refusal)),
                Some(_) => lost.push((row, "rejected")),
            }
        }
        let rejected = lost.len() as u64;
        lost.extend(batch.rows.iter().filter(|row| row.event.is_none()).map(|row| (row, "corrupt")));
        let corrupt = lost.len() as u64 - rejected;
        let reported: Vec<i64> = batch.losses.iter().map(|loss| loss.id).collect();
        queue.settle(&done, &lost, &reported)?;
        if !reported.is_empty() {
            self.losses_alone = false;
        }
        for (row, refusal) in again {
            let wait = refusal.retry_after.and_then(positive).unwrap_or(self.backoff.min());
            self.held.insert(row.seq, now + wait);
        }
        self.take_hints(response.hints.unwrap_or_default(), now);
        let error =
            response.refused.first().map(|refusal| format!("{}: {}", refusal.reason, refusal.message));
        let (stored, duplicates) = (u64::from(response.stored), u64::from(response.duplicates));
        Ok(Verdict::Done(Progress { stored, duplicates, rejected, corrupt, error, paused: None }))
    }

    fn take_hints(&mut self, hints: FlowHints, now: Duration) {
        let pause = hints.min_interval.and_then(positive).unwrap_or_default();
        self.not_before = now + pause;
        self.hints = hints;
    }

    /// The server refused the batch as a whole. Losses are taken off first, then the events are halved.
    fn on_refused(
        &mut self,
        queue: &mut Queue,
        batch: &Batch,
        message: String,
        random: &dyn Randomness,
    ) -> Result<Verdict, QueueError> {
        let mut progress = Progress { error: Some(message), ..Progress::default() };
        let part = |rows: &[Row]| Batch {
            id: random_uuid(random),
            epoch: batch.epoch,
            era: batch.era,
            rows: rows.to_vec(),
            losses: Vec::new(),
        };
        if batch.rows.is_empty() {
            // Nothing but losses: the server will not have them. Its gap stays named, which is still true.
            let reported: Vec<i64> = batch.losses.iter().map(|loss| loss.id).collect();
            queue.settle(&[], &[], &reported)?;
            return Ok(Verdict::Done(progress));
        }
        if !batch.losses.is_empty() {
            self.losses_alone = true;
            self.parts.push_front(part(&batch.rows));
            return Ok(Verdict::Done(progress));
        }
        if let [only] = batch.rows.as_slice() {
            let reason = if only.event.is_some() { "rejected" } else { "corrupt" };
            queue.settle(&[], &[(only, reason)], &[])?;
            progress.rejected = u64::from(only.event.is_some());
            progress.corrupt = 1 - progress.rejected;
            return Ok(Verdict::Done(progress));
        }
        let (left, right) = batch.rows.split_at(batch.rows.len() / 2);
        self.parts.push_front(part(right));
        self.parts.push_front(part(left));
        Ok(Verdict::Done(progress))
    }

    fn max_events(&self) -> usize {
        limit(self.settings.max_events, self.hints.max_batch_events)
    }

    fn max_bytes(&self) -> usize {
        limit(self.settings.max_bytes, self.hints.max_batch_bytes)
    }
}

/// What an outcome means for its batch.
enum Verdict {
    /// It has reached its end, or was cut into parts.
    Done(Progress),
    /// The same batch again, later.
    Again(String, Option<Duration>),
}

/// Why an answer is no ack, if so. A proxy's page, another batch's answer or one that does not account for
/// every event proves nothing about this batch.
fn doubts(batch: &Batch, sent: usize, response: &IngestResponse) -> Option<String> {
    if response.batch_id != batch.id {
        return Some("the answer does not carry the batch's id".into());
    }
    let indexes: HashSet<u32> = response.refused.iter().map(|refusal| refusal.index).collect();
    let in_range = indexes.iter().all(|index| (*index as usize) < sent);
    if !in_range || indexes.len() != response.refused.len() {
        return Some("the answer refuses events that the batch does not have".into());
    }
    let counted = u64::from(response.stored) + u64::from(response.duplicates) + indexes.len() as u64;
    (counted != sent as u64).then(|| format!("the answer accounts for {counted} of {sent} events"))
}

fn limit(own: usize, hint: u32) -> usize {
    if hint == 0 { own } else { own.min(hint as usize) }
}

fn positive(duration: prost_types::Duration) -> Option<Duration> {
    Duration::try_from(duration).ok()
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
