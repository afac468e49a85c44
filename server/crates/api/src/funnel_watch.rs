//! A funnel on a watch: snapshot, then deltas.

use std::sync::Arc;
use std::time::Duration;

use footpath_live::{CauseTotal, FunnelNumbers, Progress};
use footpath_proto::v1;
use footpath_proto::v1::watch_response::Message;
use tokio::sync::watch;

use crate::context::Context;
use crate::cursor::{Cursor, Scope};
use crate::live::{WatchState, watermark};

/// How long a first snapshot waits for what was acknowledged before it was asked for.
const PATIENCE: Duration = Duration::from_secs(1);

fn interval(asked_ms: u32) -> Duration {
    let ms = if asked_ms == 0 { 100 } else { asked_ms.clamp(20, 1000) };
    Duration::from_millis(u64::from(ms))
}

/// One funnel on one watch.
pub struct FunnelWatch<'a> {
    /// What the services share.
    pub context: &'a Context,
    /// The watch.
    pub state: &'a WatchState,
    /// The subscription's id.
    pub id: &'a str,
    /// The funnel's id.
    pub funnel: &'a str,
    /// What its cursors are for.
    pub scope: &'a Scope,
}

impl FunnelWatch<'_> {
    /// Sends the numbers: whole at first, then what changed, at most once per interval, the first change at once. The
    /// first snapshot holds all that is stored now, and so what any cursor has seen.
    pub async fn follow(&self, interval_ms: u32) {
        let interval = interval(interval_ms);
        // A funnel made a moment ago is in the log already, but the live path may not have read it yet.
        let wanted = self.context.log.durable_end();
        let mut progress = self.context.hub.complete();
        let caught_up = progress.wait_for(|progress| progress.position >= wanted);
        let _ = tokio::time::timeout(PATIENCE, caught_up).await; // Behind, it shows how far it is.
        let Some(mut cell) = self.context.hub.funnel(self.state.project(), self.funnel) else {
            self.state.end(self.id, "funnel_unknown", "no such funnel; ListFunnels names them").await;
            return;
        };
        let mut last = newest(&progress, &mut cell);
        if !self.state.send(self.snapshot(&last)).await {
            return;
        }
        while cell.changed().await.is_ok() {
            let now = newest(&progress, &mut cell);
            if let Some(message) = self.difference(&last, &now) {
                if !self.state.send(message).await {
                    return;
                }
                last = now;
                tokio::time::sleep(interval).await;
            }
        }
        self.state.end(self.id, "funnel_deleted", "the funnel was deleted").await;
    }

    /// What a subscriber has to hear to get from `last` to `now`; nothing if no number changed.
    fn difference(&self, last: &FunnelNumbers, now: &FunnelNumbers) -> Option<Message> {
        if last.version != now.version || last.live != now.live || last.percent != now.percent {
            return Some(self.snapshot(now));
        }
        if last.reached == now.reached && last.causes == now.causes {
            return None;
        }
        let change = now.reached.iter().zip(&last.reached).map(|(n, l)| *n as i64 - *l as i64).collect();
        Some(Message::FunnelDelta(v1::FunnelDelta {
            subscription_id: self.id.to_owned(),
            change,
            reached: now.reached.clone(),
            causes: causes(last, now),
            watermark: Some(self.watermark(now)),
            cursor: self.cursor(now),
        }))
    }

    fn snapshot(&self, numbers: &FunnelNumbers) -> Message {
        let state = if numbers.live { v1::DefinitionState::Live } else { v1::DefinitionState::Backfilling };
        Message::FunnelSnapshot(v1::FunnelSnapshot {
            subscription_id: self.id.to_owned(),
            funnel_id: self.funnel.to_owned(),
            version: numbers.version,
            state: state.into(),
            backfill_percent: numbers.percent,
            reached: numbers.reached.clone(),
            watermark: Some(self.watermark(numbers)),
            cursor: self.cursor(numbers),
            labels: numbers.labels.clone(),
        })
    }

    fn watermark(&self, numbers: &FunnelNumbers) -> v1::Watermark {
        let progress = Progress { position: numbers.position, processed_us: numbers.processed_us };
        watermark(self.context, self.state.project(), progress)
    }

    fn cursor(&self, numbers: &FunnelNumbers) -> String {
        let at = Cursor { offset: numbers.position, ..Cursor::default() };
        self.context.cursors.seal(self.scope, numbers.version, at)
    }
}

/// The numbers, and how complete they are by now: a cell that did not change keeps its old position, while the live path
/// went on. It publishes cells first and its progress last, so what it had reached before the cell is read is in it.
fn newest(
    progress: &watch::Receiver<Progress>,
    cell: &mut watch::Receiver<Arc<FunnelNumbers>>,
) -> Arc<FunnelNumbers> {
    let reached = *progress.borrow();
    let mut numbers = Arc::clone(&cell.borrow_and_update());
    if numbers.live && numbers.position < reached.position {
        let numbers = Arc::make_mut(&mut numbers);
        numbers.position = reached.position;
        numbers.processed_us = numbers.processed_us.max(reached.processed_us);
    }
    numbers
}

/// What each cause brought between `last` and `now`, steps included: their sum is the whole change.
fn causes(last: &FunnelNumbers, now: &FunnelNumbers) -> Vec<v1::CauseCount> {
    let steps = now.reached.len();
    let at = |total: &CauseTotal, step: usize| total.steps.get(step).copied().unwrap_or_default();
    let pairs = now.causes.iter().zip(&last.causes).enumerate();
    pairs
        .filter(|(_, (now, last))| now.persons > last.persons)
        .map(|(i, (now, last))| v1::CauseCount {
            cause: i as i32 + 1,
            persons: now.persons - last.persons,
            change: (0..steps).map(|step| at(now, step) - at(last, step)).collect(),
        })
        .collect()
}
