//! LiveService: one stream, many subscriptions.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use footpath_live::{CauseTotal, FunnelNumbers, Progress, TailFrame};
use footpath_model::record::{FrameView, text};
use footpath_proto::v1;
use footpath_proto::v1::watch_response::Message;
use footpath_store::ProjectRow;
use futures_util::Stream;
use parking_lot::Mutex;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::context::Context;
use crate::convert::{stored_event, timestamp};
use crate::cursor::Cursor;
use crate::status::{invalid, not_found};

/// Time between two heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Messages that may wait for a slow reader before its subscriptions wait too.
const QUEUE: usize = 64;
/// Subscriptions one watch may carry.
const MAX_SUBSCRIPTIONS: usize = 100;

/// Open watches by id. A watch is held by its own stream; disconnecting is the cleanup.
pub type Watches = Mutex<HashMap<String, Arc<WatchState>>>;

/// One open watch.
pub struct WatchState {
    project: Arc<ProjectRow>,
    sender: mpsc::Sender<Result<v1::WatchResponse, Status>>,
    running: Mutex<HashMap<String, CancellationToken>>,
    closed: CancellationToken,
}

/// The service.
#[derive(Clone)]
pub struct LiveApi {
    context: Arc<Context>,
}

impl LiveApi {
    /// Serves from `context`.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}

type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::WatchResponse, Status>> + Send>>;

#[tonic::async_trait]
impl v1::live_service_server::LiveService for LiveApi {
    type WatchStream = WatchStream;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<WatchStream>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        let state = Arc::new(WatchState {
            project,
            sender,
            running: Mutex::default(),
            closed: self.context.drain.child_token(),
        });
        let watch_id = self.context.codes.random_text(12);
        let started = Message::Started(v1::WatchStarted { watch_id: watch_id.clone() });
        send(&state, started).await;
        for subscription in request.into_inner().subscriptions {
            subscribe(&self.context, &state, subscription)?;
        }
        self.context.watches.lock().insert(watch_id.clone(), Arc::clone(&state));
        tokio::spawn(heartbeats(Arc::clone(&self.context), state, watch_id));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn change_watch(
        &self,
        request: Request<v1::ChangeWatchRequest>,
    ) -> Result<Response<v1::ChangeWatchResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let request = request.into_inner();
        let state = self.context.watches.lock().get(&request.watch_id).cloned();
        let state = state
            .filter(|state| state.project.id == project.id)
            .ok_or_else(|| not_found("watch_unknown", "no such open watch; open one with Watch"))?;
        for id in &request.remove {
            if let Some(running) = state.running.lock().remove(id) {
                running.cancel();
            }
        }
        for subscription in request.add {
            subscribe(&self.context, &state, subscription)?;
        }
        Ok(Response::new(v1::ChangeWatchResponse {}))
    }
}

/// Keeps a watch alive and cleans up when its reader is gone or the server drains.
async fn heartbeats(context: Arc<Context>, state: Arc<WatchState>, id: String) {
    let mut every = tokio::time::interval(HEARTBEAT);
    loop {
        tokio::select! {
            () = state.sender.closed() => break,
            () = state.closed.cancelled() => break,
            _ = every.tick() => {
                let watermark = Some(current_watermark(&context));
                let at = Some(timestamp(context.clock.now_us()));
                send(&state, Message::Heartbeat(v1::Heartbeat { at, watermark })).await;
            }
        }
    }
    context.watches.lock().remove(&id);
    state.closed.cancel();
    if context.drain.is_cancelled() {
        let end = crate::status::unavailable("draining", "the server is stopping; connect again and resume");
        let _ = state.sender.send(Err(end)).await; // The reader may be gone already.
    }
}

/// How complete every answer is by now. Where nothing durable is left to read, that is the present: whatever was
/// acknowledged before the clock was read lies below the end that is read after it.
fn current_watermark(context: &Context) -> v1::Watermark {
    let now_us = context.clock.now_us();
    let end = context.log.durable_end();
    let mut progress = *context.hub.progress().borrow();
    if progress.position >= end {
        progress.processed_us = progress.processed_us.max(now_us);
    }
    watermark(progress)
}

async fn send(state: &WatchState, message: Message) -> bool {
    state.sender.send(Ok(v1::WatchResponse { message: Some(message) })).await.is_ok()
}

fn subscribe(
    context: &Arc<Context>,
    state: &Arc<WatchState>,
    wanted: v1::Subscription,
) -> Result<(), Status> {
    use v1::subscription::Target;
    let stop = state.closed.child_token();
    {
        let mut running = state.running.lock();
        if wanted.id.is_empty() || running.contains_key(&wanted.id) {
            return Err(invalid("subscription_id_invalid", "subscriptions: each needs an id of its own"));
        }
        if running.len() >= MAX_SUBSCRIPTIONS {
            return Err(invalid("too_many_subscriptions", "a watch carries 100 subscriptions; open another"));
        }
        running.insert(wanted.id.clone(), stop.clone());
    }
    let cursor = Cursor::parse(&wanted.cursor)?;
    let (context, state, id) = (Arc::clone(context), Arc::clone(state), wanted.id);
    match wanted.target {
        Some(Target::Funnel(target)) => {
            let interval_ms = if target.interval_ms == 0 { 100 } else { target.interval_ms.clamp(20, 1000) };
            let interval = Duration::from_millis(u64::from(interval_ms));
            tokio::spawn(async move {
                let work = follow_funnel(&context, &state, &id, &target.funnel_id, interval);
                tokio::select! { () = stop.cancelled() => {}, () = work => {} }
            });
        }
        Some(Target::Events(target)) => {
            tokio::spawn(async move {
                let work = crate::tail::follow_events(&context, &state, &id, &target, cursor);
                tokio::select! { () = stop.cancelled() => {}, () = work => {} }
            });
        }
        None => return Err(invalid("subscription_target_missing", "subscriptions: name a funnel or events")),
    }
    Ok(())
}

/// Sends a funnel's numbers: whole at first, then what changed, at most once per interval, the first change
/// at once.
async fn follow_funnel(context: &Context, state: &WatchState, id: &str, funnel: &str, interval: Duration) {
    // A funnel made a moment ago is in the log already, but the live path may not have read it yet.
    let defined_by = context.log.durable_end();
    let _ = context.hub.progress().wait_for(|progress| progress.position >= defined_by).await;
    let Some(mut cell) = context.hub.funnel(state.project.number, funnel) else {
        end(state, id, "funnel_unknown", "no such funnel; ListFunnels names them").await;
        return;
    };
    let mut last = cell.borrow_and_update().clone();
    if !send(state, Message::FunnelSnapshot(snapshot(id, funnel, &last))).await {
        return;
    }
    while cell.changed().await.is_ok() {
        let now = cell.borrow_and_update().clone();
        if now.deleted {
            break;
        }
        if let Some(message) = difference(id, funnel, &last, &now) {
            if !send(state, message).await {
                return;
            }
            last = now;
            tokio::time::sleep(interval).await;
        }
    }
    end(state, id, "funnel_deleted", "the funnel was deleted").await;
}

async fn end(state: &WatchState, id: &str, reason: &str, message: &str) {
    state.running.lock().remove(id);
    let ended = v1::SubscriptionEnded {
        subscription_id: id.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
    };
    send(state, Message::Ended(ended)).await;
}

/// What a subscriber has to hear to get from `last` to `now`; nothing if no number changed.
fn difference(id: &str, funnel: &str, last: &FunnelNumbers, now: &FunnelNumbers) -> Option<Message> {
    if last.version != now.version || last.live != now.live || last.percent != now.percent {
        return Some(Message::FunnelSnapshot(snapshot(id, funnel, now)));
    }
    if last.reached == now.reached && last.causes == now.causes {
        return None;
    }
    let change = now.reached.iter().zip(&last.reached).map(|(n, l)| *n as i64 - *l as i64).collect();
    Some(Message::FunnelDelta(v1::FunnelDelta {
        subscription_id: id.to_owned(),
        change,
        reached: now.reached.clone(),
        causes: causes(last, now),
        watermark: Some(watermark(progress(now))),
        cursor: Cursor { offset: now.position, index: 0 }.to_string(),
    }))
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

fn snapshot(id: &str, funnel: &str, numbers: &FunnelNumbers) -> v1::FunnelSnapshot {
    let state = if numbers.live { v1::FunnelState::Live } else { v1::FunnelState::Backfilling };
    v1::FunnelSnapshot {
        subscription_id: id.to_owned(),
        funnel_id: funnel.to_owned(),
        version: numbers.version,
        state: state.into(),
        backfill_percent: numbers.percent,
        reached: numbers.reached.clone(),
        watermark: Some(watermark(progress(numbers))),
        cursor: Cursor { offset: numbers.position, index: 0 }.to_string(),
        labels: numbers.labels.clone(),
    }
}

fn progress(numbers: &FunnelNumbers) -> Progress {
    Progress { position: numbers.position, processed_us: numbers.processed_us }
}

/// How complete an answer is.
pub fn watermark(progress: Progress) -> v1::Watermark {
    v1::Watermark {
        processed: Some(timestamp(progress.processed_us)),
        position: progress.position,
        expected: 0,
    }
}

/// The events of one frame that a subscription wants, from `cursor` on.
pub fn wanted_events(
    frame: &TailFrame,
    target: &v1::EventSubscription,
    cursor: Cursor,
) -> Vec<v1::StoredEvent> {
    let Ok(view) = FrameView::new(&frame.frame) else { return Vec::new() };
    let after = |index: u32| frame.offset > cursor.offset || index >= cursor.index;
    let events = view.events().filter(|event| {
        let spans = event.spans();
        let named = target.names.is_empty() || target.names.iter().any(|n| n == event.name());
        let actor = if spans.user_id.is_empty() { spans.anonymous_id } else { spans.user_id };
        let acted = target.actor.is_empty() || target.actor == text(actor);
        named && acted && after(event.head().index)
    });
    events.map(|event| stored_event(&view, &event, frame.offset, frame.append_us)).collect()
}

impl WatchState {
    /// The project it watches.
    pub fn project(&self) -> u32 {
        self.project.number
    }

    /// Sends a page of events; false when the reader is gone.
    pub async fn send_events(&self, id: &str, events: Vec<v1::StoredEvent>, cursor: Cursor) -> bool {
        let page = v1::EventPage { subscription_id: id.to_owned(), events, cursor: cursor.to_string() };
        send(self, Message::Events(page)).await
    }

    /// Says that something was left out; false when the reader is gone.
    pub async fn send_gap(&self, id: &str, reason: &str, count: u64) -> bool {
        let gap = v1::Gap { subscription_id: id.to_owned(), reason: reason.to_owned(), count };
        send(self, Message::Gap(gap)).await
    }
}

/// What a tail's receiver gave.
pub fn tail_result(result: Result<Arc<TailFrame>, RecvError>) -> Option<Result<Arc<TailFrame>, u64>> {
    match result {
        Ok(frame) => Some(Ok(frame)),
        Err(RecvError::Lagged(count)) => Some(Err(count)),
        Err(RecvError::Closed) => None,
    }
}
