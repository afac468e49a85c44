//! A funnel on a watch: snapshot, then deltas.

use std::sync::Arc;
use std::time::Duration;

use footpath_live::{CauseTotal, FunnelNumbers, Numbers, Progress, Shown, ViewKey};
use footpath_proto::v1;
use footpath_proto::v1::watch_response::Message;
use tokio::sync::watch;

use crate::context::Context;
use crate::convert::{slice_value, took};
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
        let key = ViewKey::Funnel(self.funnel.to_owned());
        let Some(mut cell) = self.context.hub.view(self.state.project(), &key) else {
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
    fn difference(&self, last: &Shown, now: &Shown) -> Option<Message> {
        let (was, is) = (&last.standing, &now.standing);
        if was.version != is.version || was.live != is.live || was.percent != is.percent {
            return Some(self.snapshot(now));
        }
        let (Numbers::Funnel(last), Numbers::Funnel(numbers)) = (&last.numbers, &now.numbers) else {
            return Some(self.snapshot(now));
        };
        if last == numbers {
            return None;
        }
        let pairs = numbers.reached.iter().zip(&last.reached);
        Some(Message::FunnelDelta(v1::FunnelDelta {
            subscription_id: self.id.to_owned(),
            change: pairs.map(|(now, last)| *now as i64 - *last as i64).collect(),
            reached: numbers.reached.clone(),
            causes: causes(last, numbers),
            watermark: Some(self.watermark(now)),
            cursor: self.cursor(now),
            conversion_time: took(&numbers.took),
            slices: slices(numbers),
        }))
    }

    fn snapshot(&self, shown: &Shown) -> Message {
        let standing = &shown.standing;
        let state = if standing.live { v1::DefinitionState::Live } else { v1::DefinitionState::Backfilling };
        let mut snapshot = v1::FunnelSnapshot {
            subscription_id: self.id.to_owned(),
            funnel_id: self.funnel.to_owned(),
            version: standing.version,
            state: state.into(),
            backfill_percent: standing.percent,
            watermark: Some(self.watermark(shown)),
            cursor: self.cursor(shown),
            ..v1::FunnelSnapshot::default()
        };
        if let Numbers::Funnel(numbers) = &shown.numbers {
            snapshot.reached.clone_from(&numbers.reached);
            snapshot.labels.clone_from(&numbers.labels);
            snapshot.conversion_time = took(&numbers.took);
            snapshot.slices = slices(numbers);
        }
        Message::FunnelSnapshot(snapshot)
    }

    fn watermark(&self, shown: &Shown) -> v1::Watermark {
        watermark(self.context, self.state.project(), shown.standing.at)
    }

    fn cursor(&self, shown: &Shown) -> String {
        let at = Cursor { offset: shown.standing.at.position, ..Cursor::default() };
        self.context.cursors.seal(self.scope, shown.standing.version, at)
    }
}

/// The numbers, and how complete they are by now: a cell that did not change keeps its old position, while the live path
/// went on. It publishes cells first and its progress last, so what it had reached before the cell is read is in it.
fn newest(progress: &watch::Receiver<Progress>, cell: &mut watch::Receiver<Arc<Shown>>) -> Arc<Shown> {
    let reached = *progress.borrow();
    let mut shown = Arc::clone(&cell.borrow_and_update());
    if shown.standing.live && shown.standing.at.position < reached.position {
        let at = &mut Arc::make_mut(&mut shown).standing.at;
        at.position = reached.position;
        at.processed_us = at.processed_us.max(reached.processed_us);
    }
    shown
}

fn slices(numbers: &FunnelNumbers) -> Vec<v1::FunnelSlice> {
    let slice = |slice: &footpath_live::Slice| v1::FunnelSlice {
        value: Some(slice_value(&slice.value)),
        reached: slice.reached.clone(),
        conversion_time: took(&slice.took),
    };
    numbers.slices.iter().map(slice).collect()
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
