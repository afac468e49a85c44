//! Batches that are given away: a phone's system sends them while the app is suspended, or ended. Whoever took one reports
//! its outcome in this run or a later one; until then its events are not sent.

use std::collections::HashSet;
use std::time::Duration;

use super::{Batch, Delivery, Outcome, Progress, Verdict};
use crate::clock::{Clock, Randomness};
use crate::error::QueueError;
use crate::queue::detached::Detached;
use crate::queue::{GONE, Loss, Queue};
use crate::record::Wish;

/// So long the events of a batch that was given away wait for its outcome, in each run. It is a net below [`Delivery::keep`].
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);
/// Batches that may be away at once.
const MAX_DETACHED: usize = 64;

impl Delivery {
    /// The batch that is out is given away: its outcome may come in a later run, and the next batch may go out now.
    /// Whether it is; otherwise it has to be sent and reported as any other.
    pub(crate) fn detach(&mut self, queue: &Queue, id: &str, now: Duration) -> Result<bool, QueueError> {
        if self.detached.len() >= MAX_DETACHED || !self.is_out(id) {
            return Ok(false);
        }
        let Some(batch) = &self.current else { return Ok(false) };
        let wishes = batch.wishes.iter().map(|wish| wish.id.clone()).collect();
        let detached = Detached::of(&batch.events, &batch.losses, wishes);
        queue.detach(id, &detached)?;
        (self.current, self.flight) = (None, None);
        self.wait_for(id.to_owned(), detached, now);
        // Whoever gives batches away has little time.
        self.due_at = Some(now);
        Ok(true)
    }

    /// Batches of earlier runs may still be answered.
    pub(crate) fn recall(&mut self, queue: &Queue, now: Duration) -> Result<(), QueueError> {
        self.detached.clear();
        for (id, mut batch) in queue.detached()? {
            // What has got through in another way meanwhile is not waited for.
            let found = queue.find(&batch)?;
            for (place, event) in batch.events.iter_mut().zip(found.events) {
                place.block = event.block;
            }
            let waits = batch.events.iter().any(|place| place.block != GONE);
            if waits || !batch.losses.is_empty() || !batch.wishes.is_empty() {
                self.wait_for(id, batch, now);
            } else {
                queue.drop_detached(&id)?;
            }
        }
        Ok(())
    }

    /// Of the batches that were given away, only these are still on their way: the others go out again.
    pub(crate) fn keep(&mut self, queue: &Queue, ids: &[String], now: Duration) -> Result<(), QueueError> {
        let gone: Vec<String> = self.detached.keys().filter(|id| !ids.contains(id)).cloned().collect();
        for id in gone {
            queue.drop_detached(&id)?;
            self.take_back(&id, now);
        }
        Ok(())
    }

    /// The outcome of a batch that was given away; of any other, nothing.
    pub(super) fn report_detached(
        &mut self,
        queue: &mut Queue,
        id: &str,
        outcome: Outcome,
        clock: &dyn Clock,
        random: &dyn Randomness,
    ) -> Result<Progress, QueueError> {
        let now = clock.continuous();
        let Some(detached) = self.take_back(id, now) else { return Ok(Progress::default()) };
        let ended = self.end_detached(queue, id, &detached, outcome, now, random);
        if ended.is_err() {
            self.wait_for(id.to_owned(), detached, now);
        }
        ended
    }

    fn end_detached(
        &mut self,
        queue: &mut Queue,
        id: &str,
        detached: &Detached,
        outcome: Outcome,
        now: Duration,
        random: &dyn Randomness,
    ) -> Result<Progress, QueueError> {
        let progress = match outcome {
            Outcome::Answered(response) => {
                let batch = self.found(queue, id, detached, random)?;
                match self.on_response(queue, &batch, &response, now, random)? {
                    Verdict::Done(progress) => progress,
                    Verdict::Again(message, _) | Verdict::Parts(message) => {
                        self.later(message, None, now, random)
                    }
                }
            }
            // Nobody knows which key it went out with: the next batch will show.
            Outcome::Denied(reason) => self.later(format!("{reason:?}"), None, now, random),
            Outcome::Refused(message) => self.refused_detached(queue, id, detached, message, now, random)?,
            Outcome::Retry { message, after } => self.later(message, after, now, random),
            Outcome::Broken(message) => self.later(message, None, now, random),
        };
        queue.drop_detached(id)?;
        Ok(progress)
    }

    /// Its parts go out, until the one event is found that the server will not have.
    fn refused_detached(
        &mut self,
        queue: &mut Queue,
        id: &str,
        detached: &Detached,
        message: String,
        now: Duration,
        random: &dyn Randomness,
    ) -> Result<Progress, QueueError> {
        let mut batch = self.found(queue, id, detached, random)?;
        batch.events.events.retain(|event| event.block != GONE);
        match self.on_refused(queue, &batch, message, now, random)? {
            Verdict::Done(progress) => Ok(progress),
            Verdict::Again(message, after) => Ok(self.later(message, after, now, random)),
            Verdict::Parts(message) => Ok(self.later(message, None, now, random)),
        }
    }

    fn found(
        &self,
        queue: &Queue,
        id: &str,
        detached: &Detached,
        random: &dyn Randomness,
    ) -> Result<Batch, QueueError> {
        let mut batch = Batch::new(queue.find(detached)?, random);
        id.clone_into(&mut batch.id);
        batch.losses = detached.told();
        let wish = |id: &String| Wish { id: id.clone(), kind: 0, actor: String::new() };
        batch.wishes = detached.wishes.iter().map(wish).collect();
        Ok(batch)
    }

    /// The events go out again, but not at once.
    fn later(
        &mut self,
        message: String,
        after: Option<Duration>,
        now: Duration,
        random: &dyn Randomness,
    ) -> Progress {
        self.delay(after, now, random);
        Progress::failed(message)
    }

    /// Leaves out what a batch that was given away tells already.
    pub(super) fn untold(&self, losses: &mut Vec<Loss>, wishes: &mut Vec<Wish>, now: Duration) {
        let away = self.detached.values().filter(|(_, until)| *until > now);
        for (batch, _) in away {
            losses.retain(|loss| batch.losses.iter().all(|told| told.id != loss.id));
            wishes.retain(|wish| !batch.wishes.contains(&wish.id));
        }
    }

    /// Holds the events of a batch back until its outcome is known.
    fn wait_for(&mut self, id: String, batch: Detached, now: Duration) {
        for place in batch.events.iter().filter(|place| place.block != GONE) {
            self.held.insert((batch.epoch, place.class, place.number()), now + PATIENCE);
        }
        self.detached.insert(id, (batch, now + PATIENCE));
    }

    /// Lets the events of a batch go out again.
    fn take_back(&mut self, id: &str, now: Duration) -> Option<Detached> {
        let (batch, _) = self.detached.remove(id)?;
        for place in &batch.events {
            self.held.remove(&(batch.epoch, place.class, place.number()));
        }
        self.due_at = Some(now);
        Some(batch)
    }

    /// Blocks with events of batches that were given away.
    pub(super) fn blocks_away(&self) -> HashSet<i64> {
        let places = self.detached.values().flat_map(|(batch, _)| &batch.events);
        places.map(|place| place.block).collect()
    }
}
