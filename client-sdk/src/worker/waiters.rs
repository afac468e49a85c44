//! Whoever waits for a flush or a receipt.

use std::time::Duration;

use super::Worker;
use crate::answer::Giver;
use crate::queue::{Queue, Receipt};
use crate::stats::FlushResult;

/// The place of events that are not in the queue yet: behind all others.
const NOT_KNOWN: i64 = i64::MAX;

struct Flush {
    deadline: Duration,
    /// [`NOT_KNOWN`] until everything there was at its flush is in the queue.
    until: i64,
    acked_before: u64,
    rejected_before: u64,
    reply: Giver<FlushResult>,
}

struct Ask {
    id: [u8; 16],
    final_only: bool,
    deadline: Duration,
    reply: Giver<Option<Receipt>>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Waiters {
    flushes: Vec<Flush>,
    asks: Vec<Ask>,
}

impl Waiters {
    /// Whether somebody asks how far an event has come.
    pub(super) fn ask(&self) -> bool {
        !self.asks.is_empty()
    }

    /// When the first of them has waited long enough.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let flushes = self.flushes.iter().map(|flush| flush.deadline);
        flushes.chain(self.asks.iter().map(|ask| ask.deadline)).min()
    }
}

impl Worker {
    pub(super) fn on_flush(&mut self, deadline: Duration, reply: Giver<FlushResult>) {
        self.absorb_at = Some(self.now());
        let stats = self.stats.lock();
        let (acked_before, rejected_before) = (stats.acked, stats.rejected);
        let flush = Flush { deadline, until: NOT_KNOWN, acked_before, rejected_before, reply };
        self.waiters.flushes.push(flush);
    }

    pub(super) fn on_ask(
        &mut self,
        id: [u8; 16],
        final_only: bool,
        deadline: Duration,
        reply: Giver<Option<Receipt>>,
    ) {
        self.waiters.asks.push(Ask { id, final_only, deadline, reply });
    }

    /// What there was at a flush is in the queue now: calls that waited for the storage, too.
    pub(super) fn know_place(&mut self) {
        let Some(storage) = self.storage.as_ref().filter(|storage| storage.complete) else { return };
        if self.waiters.flushes.iter().all(|flush| flush.until != NOT_KNOWN) {
            return;
        }
        let Ok(last) = storage.queue.last_block() else { return };
        self.delivery.force(last);
        for flush in self.waiters.flushes.iter_mut().filter(|flush| flush.until == NOT_KNOWN) {
            flush.until = last;
        }
    }

    /// Answers to whoever need not wait any longer.
    pub(super) fn tell_waiters(&mut self) {
        let now = self.now();
        self.waiters.flushes.retain(|flush| flush.reply.is_wanted());
        self.waiters.asks.retain(|ask| ask.reply.is_wanted());
        for flush in std::mem::take(&mut self.waiters.flushes) {
            let waits = self.queue().is_none_or(|queue| flush.waits(queue));
            if waits && now < flush.deadline && self.delivery.paused().is_none() {
                self.waiters.flushes.push(flush);
            } else {
                self.end_flush(flush, !waits);
            }
        }
        for ask in std::mem::take(&mut self.waiters.asks) {
            let found = self.queue().and_then(|queue| queue.receipt(&ask.id).ok()).flatten();
            let far_enough = found.as_ref().is_some_and(|found| !ask.final_only || *found != Receipt::Queued);
            if far_enough || now >= ask.deadline {
                let _ = ask.reply.give(found);
            } else {
                self.waiters.asks.push(ask);
            }
        }
    }

    /// Nobody waits any longer: the client ends.
    pub(super) fn end_waiters(&mut self) {
        for flush in std::mem::take(&mut self.waiters.flushes) {
            self.end_flush(flush, false);
        }
        self.waiters.asks.clear();
    }

    fn end_flush(&self, flush: Flush, complete: bool) {
        let stats = self.stats.lock().clone();
        let _ = flush.reply.give(FlushResult {
            acked: stats.acked - flush.acked_before,
            rejected: stats.rejected - flush.rejected_before,
            pending: self.pending(),
            complete,
            paused: self.delivery.paused().cloned(),
        });
    }

    fn queue(&self) -> Option<&Queue> {
        self.storage.as_ref().map(|storage| &storage.queue)
    }
}

impl Flush {
    /// Whether something of its time has not reached its end: events, or wishes.
    fn waits(&self, queue: &Queue) -> bool {
        let events = self.until == NOT_KNOWN || queue.waits_until(self.until).unwrap_or(true);
        events || queue.has_wishes().unwrap_or(true)
    }
}
