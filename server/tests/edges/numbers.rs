//! Metrics, sessions and active persons as they happen, watched over one stream.

use std::collections::BTreeMap;
use std::time::Duration;

use footpath_model::clock::{Clock as _, SystemClock};
use footpath_proto::v1;
use footpath_proto::v1::watch_response::Message;
use prost_types::Timestamp;
use tempfile::TempDir;
use tonic::Streaming;
use tonic::transport::Channel;
use v1::admin_service_client::AdminServiceClient;
use v1::definition_service_client::DefinitionServiceClient;
use v1::ingest_service_client::IngestServiceClient;
use v1::live_service_client::LiveServiceClient;
use v1::query_service_client::QueryServiceClient;
use v1::subscription::Target;

use crate::streams::next;
use crate::support::{Server, batch, reason, start, with};

const PROJECT: &str = "default";

struct Shop {
    _data: TempDir,
    server: Server,
    channel: Channel,
    admin: String,
}

fn now_s() -> i64 {
    SystemClock.now_us() / 1_000_000
}

fn event(user: &str, name: &str, seconds_ago: i64) -> v1::Event {
    v1::Event {
        name: name.into(),
        user_id: user.into(),
        time: Some(Timestamp { seconds: now_s() - seconds_ago, nanos: 0 }),
        ..v1::Event::default()
    }
}

fn colored(event: v1::Event, color: &str) -> v1::Event {
    let color = v1::Value { kind: Some(v1::value::Kind::StringValue(color.into())) };
    v1::Event { properties: [("color".to_owned(), color)].into(), ..event }
}

fn events(aggregate: v1::MetricAggregate) -> Option<v1::metric::Measure> {
    let term = v1::MetricTerm { aggregate: aggregate.into(), ..v1::MetricTerm::default() };
    Some(v1::metric::Measure::Events(term))
}

fn by(property: &str) -> Option<v1::PropertyReference> {
    Some(v1::PropertyReference { property: property.into(), ..v1::PropertyReference::default() })
}

impl Shop {
    async fn open() -> Self {
        let data = tempfile::tempdir().unwrap();
        let server = start(data.path(), &[]);
        let channel = server.channel().await;
        let admin = server.admin_token(&channel).await;
        Self { _data: data, server, channel, admin }
    }

    async fn send(&self, events: Vec<v1::Event>) {
        let sent = events.len() as u32;
        let mut ingest = IngestServiceClient::new(self.channel.clone());
        let answer = ingest.ingest(with(&self.server.key, batch(events))).await.unwrap().into_inner();
        assert_eq!(answer.stored, sent, "{answer:?}");
    }

    async fn define(&self, metric: v1::Metric) {
        let asked = v1::CreateMetricRequest { project: PROJECT.into(), metric: Some(metric) };
        let mut definitions = DefinitionServiceClient::new(self.channel.clone());
        definitions.create_metric(with(&self.admin, asked)).await.unwrap();
    }

    async fn watch(&self, targets: Vec<(&str, Target)>) -> Watched {
        let one = |(id, target): (&str, Target)| v1::Subscription {
            id: id.into(),
            target: Some(target),
            cursor: String::new(),
        };
        let subscriptions = targets.into_iter().map(one).collect();
        let asked = v1::WatchRequest { project: PROJECT.into(), subscriptions };
        let mut live = LiveServiceClient::new(self.channel.clone());
        let stream = live.watch(with(&self.admin, asked)).await.unwrap().into_inner();
        Watched { stream, seen: Seen::default() }
    }
}

/// What a watcher knows by now.
#[derive(Debug, Default, Clone)]
struct Seen {
    /// By subscription, the numbers by value of the breakdown ("" without one).
    metrics: BTreeMap<String, BTreeMap<String, f64>>,
    /// The numbers by the bucket's beginning, of the first series.
    buckets: BTreeMap<String, BTreeMap<i64, f64>>,
    sessions: v1::SessionNumbers,
    changes: BTreeMap<String, u64>,
    active: v1::ActiveUsers,
    causes: Vec<i32>,
    /// Metrics with an edge inside of a bucket.
    cut: BTreeMap<String, bool>,
    ended: BTreeMap<String, String>,
}

struct Watched {
    stream: Streaming<v1::WatchResponse>,
    seen: Seen,
}

fn value_text(value: Option<&v1::SliceValue>) -> String {
    match value.and_then(|value| value.kind.as_ref()) {
        None => String::new(),
        Some(v1::slice_value::Kind::Value(text)) => text.clone(),
        Some(kind) => format!("{kind:?}"),
    }
}

impl Seen {
    fn series(&mut self, id: &str, series: &[v1::MetricSeries]) {
        let known = self.metrics.entry(id.to_owned()).or_default();
        for one in series {
            let number = one.total.as_ref().and_then(|total| total.number);
            known.insert(value_text(one.value.as_ref()), number.unwrap_or_default());
        }
        let buckets = self.buckets.entry(id.to_owned()).or_default();
        for bucket in series.iter().flat_map(|one| &one.buckets) {
            let at = bucket.start.as_ref().map_or(0, |start| start.seconds);
            let number = bucket.value.as_ref().and_then(|value| value.number);
            buckets.insert(at, number.unwrap_or_default());
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::MetricSnapshot(one) => {
                self.metrics.remove(&one.subscription_id);
                self.buckets.remove(&one.subscription_id);
                self.series(&one.subscription_id, &one.series);
                self.cut.insert(one.subscription_id, one.cut);
            }
            Message::MetricDelta(one) => {
                self.series(&one.subscription_id, &one.series);
                self.causes.extend(one.causes);
                self.cut.insert(one.subscription_id, one.cut);
            }
            Message::Sessions(one) => {
                for change in &one.changes {
                    *self.changes.entry(change.change.clone()).or_default() += change.count;
                }
                self.sessions = one;
            }
            Message::ActiveUsers(one) => self.active = one,
            Message::Ended(one) => _ = self.ended.insert(one.subscription_id, one.reason),
            _ => {}
        }
    }
}

impl Watched {
    /// Takes messages until the numbers are such.
    async fn until(&mut self, what: &str, such: impl Fn(&Seen) -> bool) -> &Seen {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while !such(&self.seen) {
            let message = tokio::time::timeout_at(deadline, next(&mut self.stream)).await;
            let message = message.unwrap_or_else(|_| panic!("{what}: {:?}", self.seen));
            self.seen.take(message.unwrap().unwrap());
        }
        &self.seen
    }
}

fn metric(id: &str, unit: v1::MetricBucketUnit) -> Target {
    Target::Metric(v1::MetricSubscription {
        metric_id: id.into(),
        unit: unit.into(),
        interval_ms: 20,
        ..v1::MetricSubscription::default()
    })
}

#[tokio::test]
async fn a_delta_says_that_an_edge_lies_inside_of_a_minute() {
    let shop = Shop::open().await;
    let measure = events(v1::MetricAggregate::Count);
    shop.define(v1::Metric { id: "views".into(), measure, ..v1::Metric::default() }).await;
    let minute = now_s() / 60 * 60 - 600;
    let at = |second: i64| Timestamp { seconds: minute + second, nanos: 0 };
    let range = v1::FixedRange { from: at(30).to_string(), to: at(300).to_string() };
    let fixed = v1::time_range::Kind::Fixed(range);
    let range = Some(v1::TimeRange { kind: Some(fixed), time_zone: String::new() });
    let target = v1::MetricSubscription { metric_id: "views".into(), range, ..Default::default() };
    let mut watched = shop.watch(vec![("views", Target::Metric(target))]).await;
    watched.until("nothing yet", |seen| seen.cut.get("views") == Some(&false)).await;
    let one = |second| v1::Event { time: Some(at(second)), ..event("ann", "view", 0) };
    shop.send(vec![one(10), one(40), one(100)]).await;
    let seen = watched.until("the minute's edge", |seen| seen.cut["views"]).await;
    assert_eq!(seen.metrics["views"][""], 1.0, "the minute that is cut counts where it begins");
}

#[tokio::test]
async fn metrics_sessions_and_active_persons_move_as_events_come() {
    let shop = Shop::open().await;
    shop.send(vec![colored(event("ann", "view", 30), "red"), event("bob", "view", 20)]).await;
    let named = |id: &str, measure, breakdown| v1::Metric {
        id: id.into(),
        measure,
        breakdown,
        ..v1::Metric::default()
    };
    shop.define(named("colors", events(v1::MetricAggregate::Count), by("color"))).await;
    shop.define(named("people", events(v1::MetricAggregate::UniquePersons), None)).await;
    let begun = v1::SessionMeasure { aggregate: v1::SessionAggregate::Count.into(), percentiles: vec![] };
    shop.define(named("visits", Some(v1::metric::Measure::Sessions(begun)), by("entry_event"))).await;
    let minute = v1::MetricBucketUnit::Minute;
    let none = v1::MetricBucketUnit::Unspecified;
    let mut watched = shop
        .watch(vec![
            ("colors", metric("colors", none)),
            ("people", metric("people", minute)),
            ("visits", metric("visits", none)),
            ("sessions", Target::Sessions(v1::SessionSubscription { interval_ms: 20, ..Default::default() })),
            (
                "active",
                Target::ActiveUsers(v1::ActiveUsersSubscription { interval_ms: 20, ..Default::default() }),
            ),
        ])
        .await;
    let number = |seen: &Seen, id: &str, value: &str| {
        seen.metrics.get(id).and_then(|own| own.get(value)).copied().unwrap_or_default()
    };
    let first = watched.until("what is stored", |seen| {
        let shown =
            (number(seen, "colors", "red"), number(seen, "people", ""), number(seen, "visits", "view"));
        shown == (1.0, 2.0, 2.0) && seen.sessions.started == 2 && seen.active.last_5_minutes == 2
    });
    let first = first.await;
    assert_eq!((first.sessions.open, first.sessions.bounces), (2, 2));

    // Cleo is new, Ann goes on, and Bob's older event comes late and widens his session.
    shop.send(vec![colored(event("cleo", "cart", 5), "blue"), colored(event("ann", "cart", 4), "red")]).await;
    shop.send(vec![event("bob", "start", 300)]).await;
    let seen = watched.until("what came", |seen| {
        let colors = ["red", "blue", "NotSet(true)"].map(|color| number(seen, "colors", color));
        let visits = (number(seen, "visits", "cart"), number(seen, "visits", "start"));
        let people = number(seen, "people", "");
        colors == [2.0, 1.0, 2.0] && visits == (1.0, 1.0) && people == 3.0 && seen.sessions.events == 5
    });
    let seen = seen.await.clone();
    assert_eq!((seen.sessions.started, seen.sessions.bounces), (3, 1));
    assert_eq!(seen.changes.get("widened"), Some(&1), "{:?}", seen.changes);
    assert!(seen.causes.contains(&v1::Cause::LateEvent.into()), "{:?}", seen.causes);
    assert_eq!(number(&seen, "visits", "view"), 1.0, "Bob's session begins with another event now");
    watched.until("three are active", |seen| seen.active.last_5_minutes == 3).await;

    // The same numbers from stored events.
    let hour = v1::RollingRange { count: 1, unit: v1::TimeUnit::Hour.into() };
    let range = v1::TimeRange { kind: Some(v1::time_range::Kind::Last(hour)), time_zone: String::new() };
    for (id, unit) in [("colors", none), ("people", minute), ("visits", none)] {
        let asked = v1::QueryMetricRequest {
            project: PROJECT.into(),
            metric_id: id.into(),
            range: Some(range.clone()),
            unit: unit.into(),
            ..v1::QueryMetricRequest::default()
        };
        let mut query = QueryServiceClient::new(shop.channel.clone());
        let answer = query.query_metric(with(&shop.admin, asked)).await.unwrap().into_inner();
        let mut stored = Seen::default();
        stored.series(id, &answer.series);
        // Each subscription has its own pace: one may not have shown the last event yet.
        let same =
            |seen: &Seen| seen.metrics[id] == stored.metrics[id] && seen.buckets[id] == stored.buckets[id];
        watched.until(id, same).await;
    }
}

#[tokio::test]
async fn a_conversion_is_counted_again_while_it_is_watched() {
    let shop = Shop::open().await;
    let step = |name: &str| v1::FunnelStep { events: vec![name.into()], ..v1::FunnelStep::default() };
    let hour = Some(prost_types::Duration { seconds: 3600, nanos: 0 });
    let (id, steps) = ("checkout".into(), vec![step("view"), step("cart")]);
    let funnel = v1::Funnel { id, steps, window: hour, ..v1::Funnel::default() };
    let asked = v1::CreateFunnelRequest { project: PROJECT.into(), funnel: Some(funnel) };
    let mut definitions = DefinitionServiceClient::new(shop.channel.clone());
    definitions.create_funnel(with(&shop.admin, asked)).await.unwrap();
    let conversion = v1::FunnelConversion { funnel_id: "checkout".into(), step: 0 };
    let measure = Some(v1::metric::Measure::Conversion(conversion));
    shop.define(v1::Metric { id: "converted".into(), measure, ..v1::Metric::default() }).await;
    shop.send(vec![event("ann", "view", 30), event("bob", "view", 20)]).await;
    let mut watched =
        shop.watch(vec![("converted", metric("converted", v1::MetricBucketUnit::Unspecified))]).await;
    let share = |seen: &Seen| seen.metrics.get("converted").and_then(|own| own.get("")).copied();
    watched.until("nobody converted", |seen| share(seen) == Some(0.0)).await;
    shop.send(vec![event("ann", "cart", 10)]).await;
    watched.until("one of two did", |seen| share(seen) == Some(0.5)).await;
}

#[tokio::test]
async fn a_metric_that_is_unknown_says_so_and_a_metric_ends_with_its_definition() {
    let shop = Shop::open().await;
    let measure = events(v1::MetricAggregate::Count);
    shop.define(v1::Metric { id: "all".into(), measure, ..v1::Metric::default() }).await;
    let none = v1::MetricBucketUnit::Unspecified;
    let targets = vec![("all", metric("all", none)), ("nothing", metric("nothing", none))];
    let mut watched = shop.watch(targets).await;
    watched.until("an unknown one ends", |seen| seen.ended.contains_key("nothing")).await;
    assert_eq!(watched.seen.ended["nothing"], "metric_unknown");
    let counts = |seen: &Seen| seen.metrics.get("all").is_some_and(|own| !own.is_empty());
    watched.until("a known one counts", counts).await;

    let mut definitions = DefinitionServiceClient::new(shop.channel.clone());
    let asked = v1::GetMetricRequest { project: PROJECT.into(), metric_id: "all".into() };
    let known = definitions.get_metric(with(&shop.admin, asked)).await.unwrap().into_inner();
    assert_eq!((known.state(), known.backfill_percent), (v1::DefinitionState::Live, 100));
    let asked = v1::DeleteMetricRequest { project: PROJECT.into(), metric_id: "all".into() };
    definitions.delete_metric(with(&shop.admin, asked)).await.unwrap();
    watched.until("it ends", |seen| seen.ended.contains_key("all")).await;
    assert_eq!(watched.seen.ended["all"], "metric_deleted");

    let days = v1::RollingRange { count: 3, unit: v1::TimeUnit::Day.into() };
    let range = v1::TimeRange { kind: Some(v1::time_range::Kind::Last(days)), time_zone: String::new() };
    let unit = v1::MetricBucketUnit::Minute.into();
    let too_fine = Target::Metric(v1::MetricSubscription { range: Some(range), unit, ..Default::default() });
    let one = v1::Subscription { id: "m".into(), target: Some(too_fine), cursor: String::new() };
    let asked = v1::WatchRequest { project: PROJECT.into(), subscriptions: vec![one] };
    let mut live = LiveServiceClient::new(shop.channel.clone());
    let status = live.watch(with(&shop.admin, asked)).await.unwrap_err();
    assert_eq!(reason(&status), "range_invalid");
}

#[tokio::test]
async fn live_numbers_are_compared_with_stored_events_and_do_not_drift() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &["--reconcile-every", "1ms"]);
    let channel = server.channel().await;
    let admin = server.admin_token(&channel).await;
    let shop = Shop { _data: data, server, channel, admin };
    shop.send(vec![event("ann", "view", 30), event("bob", "view", 20), event("ann", "cart", 10)]).await;
    let people = events(v1::MetricAggregate::UniquePersons);
    shop.define(v1::Metric { id: "people".into(), measure: people, ..v1::Metric::default() }).await;
    let begun = v1::SessionMeasure { aggregate: v1::SessionAggregate::Count.into(), percentiles: vec![] };
    let begun = Some(v1::metric::Measure::Sessions(begun));
    shop.define(v1::Metric { id: "visits".into(), measure: begun, ..v1::Metric::default() }).await;
    let mut query = QueryServiceClient::new(shop.channel.clone());
    let list = async |query: &mut QueryServiceClient<Channel>, page_size, page_token: String| {
        let project = PROJECT.into();
        let asked = v1::ListReconciliationsRequest { project, page_size, page_token };
        query.list_reconciliations(with(&shop.admin, asked)).await.unwrap().into_inner()
    };
    let mut all = Vec::new();
    for _ in 0..600 {
        all = list(&mut query, 0, String::new()).await.reconciliations;
        if all.len() >= 2 && all.iter().all(|one| one.compared > 0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let names: std::collections::BTreeSet<_> = all.iter().map(|one| one.definition.as_str()).collect();
    assert!(names.contains("metric/people") && names.contains("sessions"), "{all:?}");
    assert!(all.iter().all(|one| one.drift == 0 && !one.repaired && one.position > 0), "{all:?}");
    let first = list(&mut query, 1, String::new()).await;
    assert_eq!(first.reconciliations.len(), 1);
    assert!(!first.next_page_token.is_empty());
}

#[tokio::test]
async fn a_project_without_events_has_numbers_too() {
    let shop = Shop::open().await;
    let sessions = Target::Sessions(v1::SessionSubscription::default());
    let active = Target::ActiveUsers(v1::ActiveUsersSubscription::default());
    let mut watched = shop.watch(vec![("sessions", sessions), ("active", active)]).await;
    let live = v1::DefinitionState::Live;
    watched.until("both count", |seen| seen.sessions.state() == live && seen.active.state() == live).await;
}

#[tokio::test]
async fn a_metric_of_sessions_ends_with_its_definition_too() {
    let shop = Shop::open().await;
    shop.send(vec![event("ann", "view", 30)]).await;
    let begun = v1::SessionMeasure { aggregate: v1::SessionAggregate::Count.into(), percentiles: vec![] };
    let measure = Some(v1::metric::Measure::Sessions(begun));
    shop.define(v1::Metric { id: "visits".into(), measure, ..v1::Metric::default() }).await;
    let none = v1::MetricBucketUnit::Unspecified;
    let sessions = Target::Sessions(v1::SessionSubscription::default());
    let mut watched = shop.watch(vec![("visits", metric("visits", none)), ("sessions", sessions)]).await;
    let one = |seen: &Seen| seen.metrics.get("visits").and_then(|own| own.get("")) == Some(&1.0);
    watched.until("it counts", one).await;
    let asked = v1::DeleteMetricRequest { project: PROJECT.into(), metric_id: "visits".into() };
    let mut definitions = DefinitionServiceClient::new(shop.channel.clone());
    definitions.delete_metric(with(&shop.admin, asked)).await.unwrap();
    watched.until("it ends", |seen| seen.ended.contains_key("visits")).await;
    assert_eq!(watched.seen.ended["visits"], "metric_deleted");
    assert!(!watched.seen.ended.contains_key("sessions"), "the sessions go on");
}

#[tokio::test]
async fn sessions_are_not_followed_where_internal_traffic_is_told_by_persons() {
    let shop = Shop::open().await;
    shop.send(vec![event("ann", "view", 30)]).await;
    let term = v1::MetricTerm {
        events: vec!["view".into()],
        aggregate: v1::MetricAggregate::Count.into(),
        ..v1::MetricTerm::default()
    };
    let measure = Some(v1::metric::Measure::Events(term));
    shop.define(v1::Metric { id: "views".into(), measure, ..v1::Metric::default() }).await;
    let targets = || {
        let sessions = Target::Sessions(v1::SessionSubscription::default());
        let active = Target::ActiveUsers(v1::ActiveUsersSubscription::default());
        vec![("sessions", sessions), ("active", active)]
    };
    let views = ("views", metric("views", v1::MetricBucketUnit::Unspecified));
    let mut before = shop.watch(targets().into_iter().chain([views]).collect()).await;
    let live = v1::DefinitionState::Live;
    before.until("all count", |seen| seen.sessions.state() == live && seen.active.state() == live).await;
    let staff = v1::PropertyCondition {
        scope: v1::PropertyScope::Person.into(),
        property: "staff".into(),
        operator: v1::ConditionOperator::IsSet.into(),
        ..v1::PropertyCondition::default()
    };
    let staff = v1::Filter { kind: Some(v1::filter::Kind::Condition(staff)) };
    let project = v1::Project { id: PROJECT.into(), internal_traffic: Some(staff), ..v1::Project::default() };
    let mask = prost_types::FieldMask { paths: vec!["internal_traffic".into()] };
    let asked = v1::UpdateProjectRequest { project: Some(project), update_mask: Some(mask) };
    AdminServiceClient::new(shop.channel.clone()).update_project(with(&shop.admin, asked)).await.unwrap();
    // Whoever watched them is told, as whoever asks now. A metric of events is counted again instead.
    for mut watched in [before, shop.watch(targets()).await] {
        watched.until("both end", |seen| seen.ended.len() == 2).await;
        assert!(
            watched.seen.ended.values().all(|reason| reason == "not_followed"),
            "{:?}",
            watched.seen.ended
        );
    }
}
