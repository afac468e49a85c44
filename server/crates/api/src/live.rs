//! LiveService: one stream, many subscriptions.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use footpath_live::{Progress, Shape};
use footpath_model::calendar::CalendarUnit;
use footpath_model::range::{Range, RollingUnit};
use footpath_proto::v1;
use footpath_proto::v1::subscription::Target;
use footpath_proto::v1::watch_response::Message;
use footpath_store::ProjectRow;
use futures_util::Stream;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::access::{Caller, Role};
use crate::context::Context;
use crate::convert::timestamp;
use crate::cursor::{Cursor, Kind, Opened, Scope};
use crate::ingest::{stream_ending, until};
use crate::metrics::Metrics;
use crate::status::{invalid, not_found, unavailable};
use crate::watch::{ActiveWatch, FunnelWatch, MetricWatch, SessionWatch, StateWatch, Told, interval};

/// Time between two heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long before its token expires a watch says so.
const WARNING: Duration = Duration::from_secs(60);
/// A reader that does not take the last message in this time does not get it.
const FAREWELL: Duration = Duration::from_secs(1);
/// Messages that may wait for a slow reader before its subscriptions wait too.
const QUEUE: usize = 64;
/// Bytes of a subscription's id, which every message of it carries.
const MAX_ID_BYTES: usize = 128;
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
    metrics: Arc<Metrics>,
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
        let caller = self.context.caller(&request);
        let wanted = request.into_inner().subscriptions;
        let wanted = checked(&self.context, &project, &caller, wanted)?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        let state = Arc::new(WatchState {
            project,
            sender,
            running: Mutex::default(),
            closed: self.context.drain.child_token(),
            metrics: Arc::clone(&self.context.metrics),
        });
        let begun = state.change(&[], wanted)?;
        let watch_id = self.context.codes.random_text(12);
        state.send(Message::Started(v1::WatchStarted { watch_id: watch_id.clone() })).await;
        start(&self.context, &state, begun);
        self.context.watches.lock().insert(watch_id.clone(), Arc::clone(&state));
        tokio::spawn(keep(Arc::clone(&self.context), state, watch_id, expiry(&caller)));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn change_watch(
        &self,
        request: Request<v1::ChangeWatchRequest>,
    ) -> Result<Response<v1::ChangeWatchResponse>, Status> {
        let project = self.context.allowed(&request, &request.get_ref().project)?;
        let caller = self.context.caller(&request);
        let request = request.into_inner();
        let state = self.context.watches.lock().get(&request.watch_id).cloned();
        let state = state
            .filter(|state| state.project.id == project.id)
            .ok_or_else(|| not_found("watch_unknown", "no such open watch; open one with Watch"))?;
        let wanted = checked(&self.context, &project, &caller, request.add)?;
        let begun = state.change(&request.remove, wanted)?;
        start(&self.context, &state, begun);
        Ok(Response::new(v1::ChangeWatchResponse {}))
    }
}

/// When the caller's credential ends, microseconds since 1970.
fn expiry(caller: &Caller) -> Option<i64> {
    match caller {
        Caller::Token(claims) => Some(claims.exp.saturating_mul(1_000_000)),
        _ => None,
    }
}

/// Keeps a watch alive, announces its end, and cleans up when its reader is gone.
async fn keep(context: Arc<Context>, state: Arc<WatchState>, id: String, expires_us: Option<i64>) {
    let left =
        expires_us.map(|at| Duration::from_micros((at - context.clock.now_us()).max(0).cast_unsigned()));
    let ends_at = left.map(|left| Instant::now() + left);
    let mut warn_at = left.map(|left| Instant::now() + left.saturating_sub(WARNING));
    let mut every = tokio::time::interval(HEARTBEAT);
    let why = loop {
        tokio::select! {
            () = state.sender.closed() => break None,
            () = context.drain.cancelled() => {
                state.announce("drain", context.clock.now_us()).await;
                break Some(unavailable("draining", "the server is stopping; connect again and resume"));
            }
            () = until(warn_at) => {
                warn_at = None;
                state.announce("token_expired", expires_us.unwrap_or_default()).await;
            }
            () = until(ends_at) => break Some(crate::access::token_expired()),
            _ = every.tick() => {
                let watermark = Some(current_watermark(&context, state.project.number));
                let at = Some(timestamp(context.clock.now_us()));
                // A reader that is behind has no need of a heartbeat, and must not delay the end.
                state.offer(Message::Heartbeat(v1::Heartbeat { at, watermark }));
            }
        }
    };
    context.watches.lock().remove(&id);
    state.closed.cancel();
    if let Some(status) = why {
        let _ = tokio::time::timeout(FAREWELL, state.sender.send(Err(status))).await; // It may be gone already.
    }
}

/// How complete every answer is by now. Where nothing durable is left to read, that is the present: whatever was
/// acknowledged before the clock was read lies below the end that is read after it.
fn current_watermark(context: &Context, project: u32) -> v1::Watermark {
    watermark(context, project, current(context))
}

/// How far all numbers are by now.
pub fn current(context: &Context) -> Progress {
    let now_us = context.clock.now_us();
    let end = context.log.durable_end();
    let mut progress = *context.hub.complete().borrow();
    if progress.position >= end {
        progress.processed_us = progress.processed_us.max(now_us);
    }
    progress
}

/// What a subscription is about.
enum Wanted {
    Funnel { funnel: String, interval: Duration },
    Metric { metric: String, shape: Shape, interval: Duration },
    Sessions { shape: Shape, interval: Duration },
    Active { zone: String, interval: Duration },
    Events(v1::EventSubscription),
    Alerts(v1::AlertSubscription),
}

/// A subscription that may begin: its target and cursor are good.
struct Checked {
    id: String,
    wanted: Wanted,
    scope: Scope,
    from: Option<Opened<Cursor>>,
}

/// Checks all of `wanted`; nothing begins here.
fn checked(
    context: &Context,
    project: &ProjectRow,
    caller: &Caller,
    wanted: Vec<v1::Subscription>,
) -> Result<Vec<Checked>, Status> {
    let check = |subscription: v1::Subscription| -> Result<Checked, Status> {
        let (wanted, scope) = checked_target(context, project, caller, subscription.target)?;
        let from = context.cursors.open(&scope, &subscription.cursor)?;
        Ok(Checked { id: subscription.id, wanted, scope, from })
    };
    wanted.into_iter().map(check).collect()
}

fn checked_target(
    context: &Context,
    project: &ProjectRow,
    caller: &Caller,
    target: Option<Target>,
) -> Result<(Wanted, Scope), Status> {
    let missing = || {
        invalid(
            "subscription_target_missing",
            "subscriptions: name a funnel, metric, sessions, active_users, events or alerts",
        )
    };
    let number = project.number;
    Ok(match target.ok_or_else(missing)? {
        Target::Funnel(v1::FunnelSubscription { funnel_id: funnel, interval_ms }) => {
            let scope = Scope::new(Kind::Funnel, number, &[&funnel]);
            (Wanted::Funnel { funnel, interval: interval(interval_ms)? }, scope)
        }
        Target::Metric(asked) => {
            let usual = Range::Last { n: 60, unit: RollingUnit::Minutes };
            let unit = crate::query::unit(asked.unit)?;
            let top = crate::query::top(asked.top)?;
            let shape = shape(context, project, asked.range.as_ref(), usual, (unit, top))?;
            let (metric, interval) = (asked.metric_id, interval(asked.interval_ms)?);
            let scope = Scope::new(Kind::WatchedMetric, number, &[&metric, &format!("{shape:?}")]);
            (Wanted::Metric { metric, shape, interval }, scope)
        }
        Target::Sessions(v1::SessionSubscription { range, interval_ms }) => {
            let shape = shape(context, project, range.as_ref(), Range::Today, (None, 0))?;
            let scope = Scope::new(Kind::WatchedSessions, number, &[&format!("{shape:?}")]);
            (Wanted::Sessions { shape, interval: interval(interval_ms)? }, scope)
        }
        Target::ActiveUsers(v1::ActiveUsersSubscription { time_zone, interval_ms }) => {
            let today = v1::TimeRange { kind: None, time_zone };
            let (_, zone) = crate::convert::range(Some(&today), &project.time_zone)?;
            let scope = Scope::new(Kind::ActiveUsers, number, &[&zone]);
            (Wanted::Active { zone, interval: interval(interval_ms)? }, scope)
        }
        Target::Events(events) => {
            caller.at_least(Role::Analyst)?; // As ListEvents: these are persons' own events, not numbers.
            let scope = crate::tail::scope(number, &events);
            (Wanted::Events(events), scope)
        }
        Target::Alerts(alerts) => {
            crate::convert::severity("subscriptions: min_severity", alerts.min_severity)?;
            let scope = crate::alerts::scope(number, &alerts);
            (Wanted::Alerts(alerts), scope)
        }
    })
}

/// How numbers are looked at; `usual` is the range where none is named.
fn shape(
    context: &Context,
    project: &ProjectRow,
    asked: Option<&v1::TimeRange>,
    usual: Range,
    (unit, top): (Option<CalendarUnit>, usize),
) -> Result<Shape, Status> {
    let (range, zone) = crate::convert::range(asked, &project.time_zone)?;
    let range = if asked.is_some_and(|asked| asked.kind.is_some()) { range } else { usual };
    let shape = Shape { metric: None, range, zone, unit, top };
    let laid = shape.lay(context.clock.now_us());
    laid.map_err(|error| invalid("range_invalid", &format!("range: {error}")))?;
    Ok(shape)
}

/// Starts subscriptions that have their place on the watch.
fn start(context: &Arc<Context>, state: &Arc<WatchState>, begun: Vec<(Checked, CancellationToken)>) {
    for (subscription, stop) in begun {
        let (context, state) = (Arc::clone(context), Arc::clone(state));
        tokio::spawn(async move {
            tokio::select! { () = stop.cancelled() => {}, () = follow(&context, &state, &subscription) => {} }
        });
    }
}

async fn follow(context: &Arc<Context>, state: &WatchState, subscription: &Checked) {
    let Checked { id, wanted, scope, from } = subscription;
    let watch = StateWatch { context, state, id, scope };
    let (told, interval): (&dyn Told, Duration) = match wanted {
        Wanted::Funnel { funnel, interval } => (&FunnelWatch { funnel }, *interval),
        Wanted::Metric { metric, shape, interval } => (&MetricWatch { metric, shape }, *interval),
        Wanted::Sessions { shape, interval } => (&SessionWatch { shape }, *interval),
        Wanted::Active { zone, interval } => (&ActiveWatch { zone }, *interval),
        Wanted::Events(target) => {
            return crate::tail::follow_events(context, state, id, target, scope, from.clone()).await;
        }
        Wanted::Alerts(target) => {
            return crate::alerts::follow_alerts(context, state, id, target, scope, from.clone()).await;
        }
    };
    watch.follow(told, interval).await;
}

/// How complete an answer is.
pub fn watermark(context: &Context, project: u32, progress: Progress) -> v1::Watermark {
    v1::Watermark {
        processed: Some(timestamp(progress.processed_us)),
        position: progress.position,
        expected: context.ingest.missing(project),
    }
}

impl WatchState {
    /// The project it watches.
    pub fn project(&self) -> u32 {
        self.project.number
    }

    /// The same, with its id.
    pub fn project_row(&self) -> &Arc<ProjectRow> {
        &self.project
    }

    /// How many subscriptions it carries.
    pub fn subscriptions(&self) -> usize {
        self.running.lock().len()
    }

    /// Ends the subscriptions `remove` and makes room for `add`: all of it, or nothing if one cannot be.
    fn change(
        &self,
        remove: &[String],
        add: Vec<Checked>,
    ) -> Result<Vec<(Checked, CancellationToken)>, Status> {
        let mut running = self.running.lock();
        let mut ids: HashSet<&str> = running.keys().map(String::as_str).collect();
        for id in remove {
            ids.remove(id.as_str());
        }
        if !add.iter().all(|new| (1..=MAX_ID_BYTES).contains(&new.id.len()) && ids.insert(&new.id)) {
            let what = "subscriptions: each needs an id of its own, of 1 to 128 bytes";
            return Err(invalid("subscription_id_invalid", what));
        }
        if ids.len() > MAX_SUBSCRIPTIONS {
            return Err(invalid("too_many_subscriptions", "a watch carries 100 subscriptions; open another"));
        }
        for ended in remove.iter().filter_map(|id| running.remove(id)) {
            ended.cancel();
        }
        let begin = |new: Checked| {
            let stop = self.closed.child_token();
            running.insert(new.id.clone(), stop.clone());
            (new, stop)
        };
        Ok(add.into_iter().map(begin).collect())
    }

    /// Sends a message; false when the reader is gone.
    pub async fn send(&self, message: Message) -> bool {
        self.sender.send(Ok(v1::WatchResponse { message: Some(message) })).await.is_ok()
    }

    /// Sends a message if the reader has room for it.
    fn offer(&self, message: Message) {
        let _ = self.sender.try_send(Ok(v1::WatchResponse { message: Some(message) })); // Full or gone.
    }

    async fn announce(&self, reason: &str, at_us: i64) {
        let ending = Message::Ending(stream_ending(reason, at_us));
        let _ = tokio::time::timeout(FAREWELL, self.send(ending)).await; // The status says the same.
    }

    /// Ends a subscription and says why.
    pub async fn end(&self, id: &str, reason: &str, message: &str) {
        self.running.lock().remove(id);
        let (subscription_id, reason, message) = (id.to_owned(), reason.to_owned(), message.to_owned());
        self.send(Message::Ended(v1::SubscriptionEnded { subscription_id, reason, message })).await;
    }

    /// Sends a page of events; false when the reader is gone.
    pub async fn send_events(&self, id: &str, events: Vec<v1::StoredEvent>, cursor: String) -> bool {
        self.send(Message::Events(v1::EventPage { subscription_id: id.to_owned(), events, cursor })).await
    }

    /// Says that something was left out; false when the reader is gone.
    pub async fn send_gap(&self, id: &str, reason: &str, count: u64) -> bool {
        self.metrics.gaps.add([reason]);
        self.send(Message::Gap(v1::Gap { subscription_id: id.to_owned(), reason: reason.to_owned(), count }))
            .await
    }
}
