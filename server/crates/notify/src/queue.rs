//! The queue of one destination: a task that delivers one notice after the other.

use std::sync::Arc;
use std::time::Duration;

use footpath_model::clock::Clock;
use tokio::sync::{Notify, watch};

use crate::sender::Sender;
use crate::{
    Attempt, Backoff, Delivery, DeliveryState, Destination, Listing, Next, Outbox, OutboxError, Outcome,
    PAGE_MOST, Verdict,
};

/// How long to wait before an outbox that failed is asked again.
const OUTBOX_PAUSE: Duration = Duration::from_secs(5);

/// What all queues share.
pub(crate) struct Shared {
    pub(crate) sender: Sender,
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Fn() -> u64 + Send + Sync>,
    pub(crate) backoff: Backoff,
}

impl Shared {
    /// Asks the outbox on a thread that may block.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn Outbox) -> Result<T, OutboxError> + Send + 'static,
    ) -> Result<T, OutboxError> {
        let outbox = Arc::clone(&self.outbox);
        let asked = tokio::task::spawn_blocking(move || ask(&*outbox)).await;
        asked.unwrap_or_else(|stopped| Err(OutboxError::Storage(Box::new(stopped))))
    }
}

/// One destination's queue.
pub(crate) struct Queue {
    pub(crate) shared: Arc<Shared>,
    pub(crate) project: String,
    pub(crate) destination: watch::Receiver<Destination>,
    pub(crate) woken: Arc<Notify>,
    pub(crate) stop: watch::Receiver<bool>,
}

/// Why a wait was over.
enum Woken {
    /// Its time has come, or there is new work.
    Work,
    /// The destination was changed: what failed may go now.
    Changed,
    /// The queue has to end.
    Stop,
}

impl Queue {
    /// Delivers until it is stopped. An attempt that has begun is ended first.
    pub(crate) async fn run(mut self) {
        let mut at_once = false;
        loop {
            let pause = match self.step(at_once).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(%error, "an alert's queue waits for its outbox");
                    Some(OUTBOX_PAUSE)
                }
            };
            at_once = match self.wait(pause).await {
                Woken::Work => false,
                Woken::Changed => true,
                Woken::Stop => return,
            };
        }
    }

    /// Settles or tries the next delivery, if its time has come. Returns how long to wait: none for until something new.
    async fn step(&mut self, at_once: bool) -> Result<Option<Duration>, OutboxError> {
        let destination = self.destination.borrow_and_update().clone();
        let (project, id) = (self.project.clone(), destination.id.clone());
        let Some(row) = self.shared.ask(move |outbox| outbox.head(&project, &id)).await? else {
            return Ok(None);
        };
        let left_us = row.next_attempt_us.saturating_sub(self.shared.clock.now_us());
        if left_us > 0 && !at_once {
            return Ok(Some(Duration::from_micros(left_us.unsigned_abs())));
        }
        let (attempt, next) = match self.was_told(&row).await? {
            true => self.tried(&destination, &row).await,
            false => (never_told(self.shared.clock.now_us()), Next::Failed),
        };
        if next == Next::Failed {
            self.shared.sender.counters.count_failed(&destination.kind, 1);
        }
        self.shared.ask(move |outbox| outbox.record(row.id, &attempt, next)).await?;
        Ok(Some(Duration::ZERO))
    }

    async fn tried(&self, destination: &Destination, row: &Delivery) -> (Attempt, Next) {
        let outcome = self.shared.sender.attempt(destination, &row.notice).await;
        (outcome.attempt(), self.next(row, &outcome))
    }

    fn next(&self, row: &Delivery, outcome: &Outcome) -> Next {
        match outcome.verdict {
            Verdict::Delivered => Next::Delivered,
            Verdict::Refused => Next::Failed,
            Verdict::Retry => self.again(row, outcome),
        }
    }

    /// When it is tried again; not when it will be too old by then.
    fn again(&self, row: &Delivery, outcome: &Outcome) -> Next {
        let backoff = &self.shared.backoff;
        let failures = row.attempt_count.saturating_add(1);
        let now_us = self.shared.clock.now_us();
        let age = Duration::from_micros(now_us.saturating_sub(row.created_us).max(0).unsigned_abs());
        let pause = backoff.pause_asked(failures, (self.shared.random)(), age, outcome.retry_after);
        let at_us = now_us.saturating_add(micros(pause));
        let too_old_us = row.created_us.saturating_add(micros(backoff.give_up));
        if at_us > too_old_us { Next::Failed } else { Next::Again(at_us) }
    }

    /// Whether the receiver can make sense of it: it is news by itself, or something of the incident arrived before, or nothing was ever meant to.
    async fn was_told(&self, row: &Delivery) -> Result<bool, OutboxError> {
        if !row.notice.kind.needs_an_opening() {
            return Ok(true);
        }
        let asked = Listing {
            project: row.project.clone(),
            destination: Some(row.destination.clone()),
            incident: Some(row.notice.incident.clone()),
            before: Some(row.id),
            most: PAGE_MOST,
        };
        let earlier = self.shared.ask(move |outbox| outbox.list(&asked)).await?;
        Ok(earlier.is_empty() || earlier.iter().any(|row| row.state == DeliveryState::Delivered))
    }

    async fn wait(&mut self, pause: Option<Duration>) -> Woken {
        if *self.stop.borrow() {
            return Woken::Stop;
        }
        if pause == Some(Duration::ZERO) {
            return Woken::Work;
        }
        let time = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.stop.changed() => Woken::Stop,
            changed = self.destination.changed() => if changed.is_ok() { Woken::Changed } else { Woken::Stop },
            () = self.woken.notified() => Woken::Work,
            () = time => Woken::Work,
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn never_told(now_us: i64) -> Attempt {
    let outcome = "not sent: nothing of this incident has reached the destination".to_owned();
    Attempt { at_us: now_us, outcome, status: None, took_us: 0 }
}
