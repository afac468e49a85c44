//! Where events come from: the key says it, and every way of asking can name it.

use std::collections::BTreeMap;
use std::time::Duration;

use footpath_model::wire::put_bytes;
use footpath_proto::v1;
use prost::Message as _;
use tempfile::TempDir;
use tonic::transport::Channel;
use v1::admin_service_client::AdminServiceClient;
use v1::catalog_service_client::CatalogServiceClient;
use v1::definition_service_client::DefinitionServiceClient;
use v1::ingest_service_client::IngestServiceClient;
use v1::live_service_client::LiveServiceClient;
use v1::query_service_client::QueryServiceClient;
use v1::watch_response::Message;

use crate::streams::{events, next};
use crate::support::{Server, batch, http, start, with};

const PROJECT: &str = "default";

/// Six persons look at something in production, two in staging, one on a developer's machine: by unary calls, by a stream
/// and by HTTP. The last one claims to be in production.
struct Shop {
    _data: TempDir,
    server: Server,
    channel: Channel,
    admin: String,
}

/// One view by each of these persons, one second after the other.
fn views(persons: std::ops::Range<usize>) -> v1::IngestRequest {
    let view = |person: usize| v1::Event {
        name: "view".into(),
        user_id: format!("person {person}"),
        ..v1::Event::default()
    };
    batch(persons.map(view).collect())
}

/// The batch with a context that says `environment` under the number that is reserved for it.
fn claiming(environment: &str, batch: &v1::IngestRequest) -> Vec<u8> {
    let mut context = v1::Context { os: "ios".into(), ..v1::Context::default() }.encode_to_vec();
    put_bytes(&mut context, 11, environment.as_bytes());
    let mut bytes = batch.encode_to_vec();
    put_bytes(&mut bytes, 5, &context);
    bytes
}

impl Shop {
    async fn open() -> Self {
        let data = tempfile::tempdir().unwrap();
        let server = start(data.path(), &[]);
        let channel = server.channel().await;
        let admin = server.admin_token(&channel).await;
        Self { _data: data, server, channel, admin }
    }

    async fn key(&self, environment: v1::Environment) -> String {
        let asked = v1::CreateProjectKeyRequest {
            project: PROJECT.into(),
            label: "one".into(),
            environment: environment.into(),
        };
        let mut service = AdminServiceClient::new(self.channel.clone());
        service.create_project_key(with(&self.admin, asked)).await.unwrap().into_inner().secret
    }

    async fn send_from_everywhere(&self) {
        let mut ingest = IngestServiceClient::new(self.channel.clone());
        let prod = self.key(v1::Environment::Prod).await;
        // Each person's view is a batch of its own: a batch counts for one actor in the catalogue.
        for person in 0..6 {
            let answer = ingest.ingest(with(&prod, views(person..person + 1))).await.unwrap().into_inner();
            assert_eq!(answer.stored, 1);
        }
        let staging = self.key(v1::Environment::Staging).await;
        let sent = v1::IngestStreamRequest { sequence: 1, batch: Some(views(6..8)) };
        let stream = with(&staging, futures_util::stream::iter([sent]));
        let mut acks = ingest.ingest_stream(stream).await.unwrap().into_inner();
        assert!(acks.message().await.unwrap().is_some());
        let dev = self.key(v1::Environment::Dev).await;
        let body = claiming("prod", &views(8..9));
        let head = format!(
            "POST /v1/ingest HTTP/1.1\r\nHost: footpath\r\nConnection: close\r\nAuthorization: Bearer {dev}\r\nContent-Type: application/x-protobuf\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let (status, _) = http(&self.server.address, &head, &body);
        assert!(status.contains("200"), "what a client claims is no error: {status}");
    }

    /// What the catalogue knows of the environment.
    async fn environments_seen(&self) -> v1::PropertyEntry {
        let asked = v1::ListPropertiesRequest {
            project: PROJECT.into(),
            scope: v1::PropertyScope::Context.into(),
            contains: "environment".into(),
            ..v1::ListPropertiesRequest::default()
        };
        let mut catalog = CatalogServiceClient::new(self.channel.clone());
        let page = catalog.list_properties(with(&self.admin, asked)).await.unwrap().into_inner();
        page.properties.into_iter().next().unwrap_or_default()
    }

    /// The metric's total, by value of its breakdown.
    async fn counted(&self, metric: v1::Metric) -> BTreeMap<String, f64> {
        let day = v1::RollingRange { count: 1, unit: v1::TimeUnit::Day.into() };
        let range = v1::TimeRange { kind: Some(v1::time_range::Kind::Last(day)), time_zone: String::new() };
        let asked = v1::QueryMetricRequest {
            project: PROJECT.into(),
            metric: Some(metric),
            range: Some(range),
            ..v1::QueryMetricRequest::default()
        };
        let mut query = QueryServiceClient::new(self.channel.clone());
        totals(&query.query_metric(with(&self.admin, asked)).await.unwrap().into_inner().series)
    }
}

fn totals(series: &[v1::MetricSeries]) -> BTreeMap<String, f64> {
    let total = |one: &v1::MetricSeries| {
        let value = match one.value.as_ref().and_then(|value| value.kind.as_ref()) {
            Some(v1::slice_value::Kind::Value(text)) => text.clone(),
            other => format!("{other:?}"),
        };
        (value, one.total.as_ref().and_then(|total| total.number).unwrap_or_default())
    };
    series.iter().map(total).collect()
}

fn condition(operator: v1::ConditionOperator, environment: &str) -> Option<v1::Filter> {
    let condition = v1::PropertyCondition {
        property: "environment".into(),
        operator: operator.into(),
        values: vec![environment.into()],
        scope: v1::PropertyScope::Context.into(),
        ..v1::PropertyCondition::default()
    };
    Some(v1::Filter { kind: Some(v1::filter::Kind::Condition(condition)) })
}

/// How many views fulfil the filter.
fn count(filter: Option<v1::Filter>) -> v1::Metric {
    let term =
        v1::MetricTerm { aggregate: v1::MetricAggregate::Count.into(), filter, ..v1::MetricTerm::default() };
    v1::Metric { measure: Some(v1::metric::Measure::Events(term)), ..v1::Metric::default() }
}

fn by_environment() -> v1::Metric {
    let breakdown = v1::PropertyReference {
        property: "environment".into(),
        scope: v1::PropertyScope::Context.into(),
        ..v1::PropertyReference::default()
    };
    v1::Metric { id: "places".into(), breakdown: Some(breakdown), ..count(None) }
}

fn everywhere() -> BTreeMap<String, f64> {
    [("prod", 6.0), ("staging", 2.0), ("dev", 1.0)].map(|(name, n)| (name.to_owned(), n)).into()
}

#[tokio::test]
async fn filters_and_breakdowns_of_stored_events_name_it() {
    let shop = Shop::open().await;
    shop.send_from_everywhere().await;
    assert_eq!(shop.counted(by_environment()).await, everywhere());
    use v1::ConditionOperator::{Equals, NotEquals};
    for (operator, environment, wanted) in
        [(Equals, "prod", 6.0), (Equals, "staging", 2.0), (Equals, "dev", 1.0), (NotEquals, "prod", 3.0)]
    {
        let found = shop.counted(count(condition(operator, environment))).await;
        assert_eq!(found.into_values().collect::<Vec<_>>(), [wanted], "{operator:?} {environment}");
    }
}

#[tokio::test]
async fn metrics_and_funnels_that_are_followed_name_it() {
    let shop = Shop::open().await;
    let mut definitions = DefinitionServiceClient::new(shop.channel.clone());
    let asked = v1::CreateMetricRequest { project: PROJECT.into(), metric: Some(by_environment()) };
    definitions.create_metric(with(&shop.admin, asked)).await.unwrap();
    let step = v1::FunnelStep {
        events: vec!["view".into()],
        filter: condition(v1::ConditionOperator::Equals, "prod"),
        ..v1::FunnelStep::default()
    };
    let window = Some(prost_types::Duration { seconds: 3600, nanos: 0 });
    let funnel = v1::Funnel { id: "real".into(), steps: vec![step], window, ..v1::Funnel::default() };
    let asked = v1::CreateFunnelRequest { project: PROJECT.into(), funnel: Some(funnel) };
    definitions.create_funnel(with(&shop.admin, asked)).await.unwrap();
    shop.send_from_everywhere().await;
    let metric = v1::MetricSubscription { metric_id: "places".into(), interval_ms: 20, ..Default::default() };
    let funnel = v1::FunnelSubscription { funnel_id: "real".into(), interval_ms: 20 };
    let targets = [v1::subscription::Target::Metric(metric), v1::subscription::Target::Funnel(funnel)];
    let one = |(id, target): (usize, _)| v1::Subscription {
        id: id.to_string(),
        target: Some(target),
        ..v1::Subscription::default()
    };
    let subscriptions = targets.into_iter().enumerate().map(one).collect();
    let asked = v1::WatchRequest { project: PROJECT.into(), subscriptions };
    let mut live = LiveServiceClient::new(shop.channel.clone());
    let mut stream = live.watch(with(&shop.admin, asked)).await.unwrap().into_inner();
    let (mut places, mut reached) = (BTreeMap::new(), Vec::new());
    while (&places, reached.as_slice()) != (&everywhere(), &[6]) {
        match next(&mut stream).await.unwrap() {
            Some(Message::MetricSnapshot(snapshot)) => places = totals(&snapshot.series),
            Some(Message::MetricDelta(delta)) => places.extend(totals(&delta.series)),
            Some(Message::FunnelSnapshot(snapshot)) => reached = snapshot.reached,
            Some(Message::FunnelDelta(delta)) => reached = delta.reached,
            Some(_) => {}
            None => panic!("the stream ended at {places:?}, {reached:?}"),
        }
    }
}

#[tokio::test]
async fn lists_of_events_and_the_catalogue_show_it() {
    let shop = Shop::open().await;
    let mut live = LiveServiceClient::new(shop.channel.clone());
    let mut tail = live.watch(with(&shop.admin, events("", &[]))).await.unwrap().into_inner();
    assert!(matches!(next(&mut tail).await.unwrap(), Some(Message::Started(_))));
    shop.send_from_everywhere().await;
    let mut query = QueryServiceClient::new(shop.channel.clone());
    let asked = v1::ListEventsRequest { project: PROJECT.into(), ..v1::ListEventsRequest::default() };
    let listed = query.list_events(with(&shop.admin, asked)).await.unwrap().into_inner().events;
    let mut tailed = Vec::new();
    while tailed.len() < listed.len() {
        match next(&mut tail).await.unwrap() {
            Some(Message::Events(page)) => tailed.extend(page.events),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(tailed, listed);
    let mut places = BTreeMap::new();
    listed.into_iter().for_each(|event| *places.entry(event.environment).or_default() += 1.0);
    assert_eq!(places, everywhere());

    // The catalogue follows the log; nobody waits for it.
    let mut known = shop.environments_seen().await;
    while known.types.iter().map(|one| one.count).sum::<u64>() < 9 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        known = shop.environments_seen().await;
    }
    assert_eq!(known.samples, ["prod"], "of the others fewer than five actors are known");
}
