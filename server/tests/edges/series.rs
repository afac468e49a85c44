//! Metrics and funnels as Prometheus reads them.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use footpath_proto::v1;
use tonic::transport::Channel;
use v1::admin_service_client::AdminServiceClient;
use v1::definition_service_client::DefinitionServiceClient;
use v1::ingest_service_client::IngestServiceClient;

use crate::openmetrics::Page;
use crate::support::{Server, batch, exchange, start, until, with};

const PROJECT: &str = "default";
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

struct Shop {
    server: Server,
    channel: Channel,
    admin: String,
}

impl Shop {
    async fn open(data: &std::path::Path, args: &[&str]) -> Self {
        let server = start(data, args);
        let channel = server.channel().await;
        let admin = server.admin_token(&channel).await;
        Self { server, channel, admin }
    }

    fn definitions(&self) -> DefinitionServiceClient<Channel> {
        DefinitionServiceClient::new(self.channel.clone())
    }

    async fn define(&self, metric: v1::Metric) {
        let request = v1::CreateMetricRequest { project: PROJECT.into(), metric: Some(metric) };
        self.definitions().create_metric(with(&self.admin, request)).await.unwrap();
    }

    async fn define_funnel(&self) {
        let step = |name: &str| v1::FunnelStep { events: vec![name.into()], ..v1::FunnelStep::default() };
        let funnel = v1::Funnel {
            id: "checkout".into(),
            steps: vec![step("open"), step("order")],
            window: Some(prost_types::Duration { seconds: MINUTE, nanos: 0 }),
            ..v1::Funnel::default()
        };
        let request = v1::CreateFunnelRequest { project: PROJECT.into(), funnel: Some(funnel) };
        self.definitions().create_funnel(with(&self.admin, request)).await.unwrap();
    }

    async fn key(&self, environment: v1::Environment) -> String {
        let (project, label) = (PROJECT.into(), "one".into());
        let asked = v1::CreateProjectKeyRequest { project, label, environment: environment.into() };
        let mut service = AdminServiceClient::new(self.channel.clone());
        service.create_project_key(with(&self.admin, asked)).await.unwrap().into_inner().secret
    }

    async fn send(&self, key: &str, events: Vec<v1::Event>) {
        let mut ingest = IngestServiceClient::new(self.channel.clone());
        let sent = events.len() as u64;
        let answer = ingest.ingest(with(key, batch(events))).await.unwrap().into_inner();
        assert_eq!(u64::from(answer.stored), sent);
    }

    fn page(&self) -> Page {
        let head = "GET /series HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n";
        let answer = exchange(&self.server.admin, head, &[]);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains("200") && head.contains("application/openmetrics-text; version=1.0.0"),
            "{head}"
        );
        Page::read(body)
    }
}

#[allow(clippy::disallowed_methods)] // A test of the real process lives in real time.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed()
}

fn event(name: &str, who: &str, seconds: i64) -> v1::Event {
    let time = Some(prost_types::Timestamp { seconds, nanos: 0 });
    v1::Event { name: name.into(), time, anonymous_id: who.into(), ..v1::Event::default() }
}

fn paid(plan: &str, units: i64, seconds: i64) -> v1::Event {
    use v1::value::Kind::{MoneyValue, StringValue};
    let money = v1::Money { currency: "EUR".into(), units, nanos: 0 };
    let value = |kind| v1::Value { kind: Some(kind) };
    let properties = [("Plan Type", value(StringValue(plan.into()))), ("total", value(MoneyValue(money)))];
    let properties = properties.map(|(key, value)| (key.to_owned(), value));
    v1::Event { properties: HashMap::from(properties), ..event("paid", "a", seconds) }
}

fn term(event: &str, aggregate: v1::MetricAggregate) -> v1::MetricTerm {
    let (events, aggregate) = (vec![event.into()], aggregate.into());
    v1::MetricTerm { events, aggregate, ..v1::MetricTerm::default() }
}

fn metric(id: &str, measure: v1::metric::Measure) -> v1::Metric {
    v1::Metric { id: id.into(), measure: Some(measure), ..v1::Metric::default() }
}

/// In production three payments a minute and one who orders out of two who open; more of it elsewhere.
async fn send_all(shop: &Shop) {
    // Whichever minute and hour is the newest when it is looked: this one, or the next if it begins meanwhile.
    let (minute, hour) = (now() / MINUTE * MINUTE, (now() - MINUTE) / HOUR * HOUR);
    let minutes = [-1, 0, 1].map(|n| minute + n * MINUTE + 30);
    let hours = [-1, 0].map(|n| hour + n * HOUR + HOUR / 2);
    let payments = |at| [paid("gold", 5, at), paid("gold", 7, at), paid("a\"b\\c\nd", 1, at)];
    for (environment, key) in [
        ("prod", shop.server.key.clone()),
        ("staging", shop.key(v1::Environment::Staging).await),
        ("dev", shop.key(v1::Environment::Dev).await),
    ] {
        // Other persons in each, or they would count once.
        let (b, c) = (format!("{environment} b"), format!("{environment} c"));
        let opened = |at| [event("open", &b, at), event("order", &b, at + 1), event("open", &c, at)];
        let all = minutes.into_iter().flat_map(payments).chain(hours.into_iter().flat_map(opened));
        shop.send(&key, all.collect()).await;
    }
}

async fn define_all(shop: &Shop) {
    use v1::metric::Measure::{Events, Ratio, Sessions};
    shop.define(metric("payments", Events(term("paid", v1::MetricAggregate::Count)))).await;
    let total = v1::MetricTerm { property: "total".into(), ..term("paid", v1::MetricAggregate::Sum) };
    let plan = v1::PropertyReference { property: "Plan Type".into(), ..v1::PropertyReference::default() };
    let revenue = v1::Metric { breakdown: Some(plan), ..metric("revenue", Events(total.clone())) };
    shop.define(revenue).await;
    let count = term("paid", v1::MetricAggregate::Count);
    let each = v1::MetricRatio { numerator: Some(count.clone()), denominator: Some(count) };
    shop.define(metric("one", Ratio(each))).await;
    let duration = v1::SessionAggregate::AverageDuration.into();
    let sessions = v1::SessionMeasure { aggregate: duration, ..v1::SessionMeasure::default() };
    shop.define(metric("durations", Sessions(sessions))).await;
    shop.define_funnel().await;
}

fn check_metrics(page: &Page) {
    let of = |metric| [("project", PROJECT), ("metric", metric), ("environment", "prod")];
    assert_eq!(page.number("footpath_metric", &of("payments")), Some(3.0));
    let by = |plan| [&of("revenue")[..], &[("currency", "EUR"), ("Plan_Type", plan)]].concat();
    assert_eq!(page.number("footpath_metric", &by("gold")), Some(12.0));
    assert_eq!(page.number("footpath_metric", &by("a\"b\\c\nd")), Some(1.0));
    assert_eq!(page.number("footpath_metric_ratio", &of("one")), Some(1.0));
    let end = page.number("footpath_metric_bucket_end_timestamp_seconds", &of("payments")).unwrap();
    assert!(end % 60.0 == 0.0 && (0.0..120.0).contains(&(now() as f64 - end)), "{end}");
    for metric in ["payments", "revenue", "one", "durations"] {
        assert_eq!(page.number("footpath_series_answered", &of(metric)), Some(1.0), "{metric}");
        assert_eq!(page.number("footpath_series_cut", &of(metric)), Some(0.0), "{metric}");
    }
}

fn check_funnel(page: &Page) {
    let of = [("project", PROJECT), ("funnel", "checkout"), ("environment", "prod")];
    assert_eq!(page.number("footpath_funnel_entered", &of), Some(2.0));
    assert_eq!(page.number("footpath_funnel_converted", &of), Some(1.0));
    let step = |step| [&of[..], &[("step", step)]].concat();
    assert_eq!(page.number("footpath_funnel_step", &step("1")), Some(2.0));
    assert_eq!(page.number("footpath_funnel_step", &step("2")), Some(1.0));
    let end = page.number("footpath_funnel_bucket_end_timestamp_seconds", &of).unwrap();
    assert!(end % 3600.0 == 0.0 && end <= now() as f64, "{end}");
}

/// A rule that watches a metric as it is: from then on the live path counts the same.
async fn watch(shop: &Shop, metric: &str) {
    let condition = v1::AlertThreshold { above: Some(1e9), below: None };
    let rule = v1::AlertRule {
        id: "rule".into(),
        metric_id: metric.into(),
        condition: Some(v1::alert_rule::Condition::Threshold(condition)),
        ..v1::AlertRule::default()
    };
    let request = v1::CreateAlertRuleRequest { project: PROJECT.into(), alert_rule: Some(rule) };
    shop.definitions().create_alert_rule(with(&shop.admin, request)).await.unwrap();
}

#[tokio::test]
async fn production_is_shown_in_its_newest_whole_buckets() {
    let data = tempfile::tempdir().unwrap();
    let shop = Shop::open(data.path(), &["--series", "default,default/payments,default/none,nowhere"]).await;
    shop.server.until_ready().await;
    define_all(&shop).await;
    send_all(&shop).await;
    until(|| shop.server.metric("footpath_watermark_age_seconds") == Some(0.0)).await;
    let page = shop.page();
    check_metrics(&page);
    check_funnel(&page);
    assert_eq!(page.number("footpath_series_known_missing_events", &[("project", PROJECT)]), Some(0.0));
    let unknown = |name| page.number("footpath_series_unknown", &[("selected", name)]);
    assert_eq!(["default", "default/none", "nowhere"].map(unknown), [Some(0.0), Some(1.0), Some(1.0)]);
    watch(&shop, "payments").await;
    // While the live path begins to follow it, and when it does.
    for _ in 0..20 {
        check_metrics(&shop.page());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_page_of_operations_lists_every_family() {
    let data = tempfile::tempdir().unwrap();
    let shop = Shop::open(data.path(), &["--series=default"]).await;
    define_all(&shop).await;
    // A session that began in an hour that has been over for an hour.
    let at = now() / HOUR * HOUR - HOUR - HOUR / 2;
    let at = [at, at - HOUR, at + HOUR].map(|at| event("open", "a", at)).to_vec();
    shop.send(&shop.server.key, at).await;
    until(|| shop.server.metric("footpath_watermark_age_seconds") == Some(0.0)).await;
    send_all(&shop).await;
    let mut families = Vec::new();
    until(|| {
        families = shop.page().families;
        families.len() == 12
    })
    .await;
    let docs = include_str!("../../../docs/operations.md");
    let rows: Vec<_> = families.iter().map(|(name, help)| format!("- `{name}`: {help}")).collect();
    let documented: Vec<_> = docs.lines().filter(|line| line.starts_with("- `footpath_")).collect();
    let rows: Vec<_> = rows.iter().map(|row| row.trim_end_matches('.')).collect();
    assert_eq!(documented, rows, "docs/operations.md should hold:\n{}", rows.join("\n"));
}

#[tokio::test]
async fn nothing_is_shown_unless_it_was_selected() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let (status, body) = server.get("/series");
    assert!(status.contains("404") && body.contains("setting \"series\""), "{status}: {body}");
}
