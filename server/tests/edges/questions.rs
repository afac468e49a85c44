//! Every kind of question and definition once, asked of a running server as a client would.

use footpath_proto::v1;
use prost_types::{Duration, Timestamp};
use tempfile::TempDir;
use tonic::transport::Channel;
use v1::admin_service_client::AdminServiceClient;
use v1::catalog_service_client::CatalogServiceClient;
use v1::definition_service_client::DefinitionServiceClient;
use v1::ingest_service_client::IngestServiceClient;
use v1::live_service_client::LiveServiceClient;
use v1::person_service_client::PersonServiceClient;
use v1::query_service_client::QueryServiceClient;
use v1::watch_response::Message;

use crate::streams::next;
use crate::support::{Server, batch, reason, start, with};

const PROJECT: &str = "default";
/// 2 November 2026, 10:00 UTC.
const START: i64 = 1_793_613_600;

struct Shop {
    _data: TempDir,
    server: Server,
    channel: Channel,
    admin: String,
}

fn text(value: &str) -> v1::Value {
    v1::Value { kind: Some(v1::value::Kind::StringValue(value.into())) }
}

fn event(user: &str, name: &str, minute: i64) -> v1::Event {
    v1::Event {
        name: name.into(),
        user_id: user.into(),
        time: Some(Timestamp { seconds: START + minute * 60, nanos: 0 }),
        ..v1::Event::default()
    }
}

fn with_property(event: v1::Event, key: &str, value: v1::Value) -> v1::Event {
    v1::Event { properties: [(key.to_owned(), value)].into(), ..event }
}

/// Ann buys within half an hour, Bob comes back too late, Cleo only looks. Ann is on the plan "pro" and works for Acme.
fn visits() -> Vec<v1::Event> {
    let money = v1::Money { currency: "EUR".into(), units: 12, nanos: 500_000_000 };
    let paid = v1::Value { kind: Some(v1::value::Kind::MoneyValue(money)) };
    let set = |key: &str, value: &str| {
        Some(v1::PropertyChanges { set: [(key.to_owned(), text(value))].into(), ..Default::default() })
    };
    let acme = v1::GroupChange { r#type: "company".into(), id: "acme".into(), changes: set("size", "big") };
    vec![
        v1::Event { person: set("plan", "pro"), groups: vec![acme], ..event("ann", "view", 0) },
        with_property(event("ann", "cart", 10), "color", text("red")),
        with_property(event("ann", "paid", 20), "total", paid),
        with_property(event("bob", "view", 0), "bot", text("yes")),
        event("bob", "cart", 30),
        event("bob", "paid", 300),
        event("cleo", "view", 5),
    ]
}

async fn shop() -> Shop {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let channel = server.channel().await;
    let admin = server.admin_token(&channel).await;
    let mut ingest = IngestServiceClient::new(channel.clone());
    let sent = v1::IngestRequest { historical: true, ..batch(visits()) };
    let answer = ingest.ingest(with(&server.key, sent)).await.unwrap().into_inner();
    assert_eq!(answer.stored, 7, "{answer:?}");
    Shop { _data: data, server, channel, admin }
}

fn november() -> Option<v1::TimeRange> {
    let fixed = v1::FixedRange { from: "2026-11-01T00:00:00Z".into(), to: "2026-12-01T00:00:00Z".into() };
    Some(v1::TimeRange { kind: Some(v1::time_range::Kind::Fixed(fixed)), time_zone: String::new() })
}

fn step(event: &str) -> v1::FunnelStep {
    v1::FunnelStep { events: vec![event.into()], ..v1::FunnelStep::default() }
}

fn checkout() -> v1::Funnel {
    v1::Funnel {
        id: "checkout".into(),
        steps: vec![step("view"), step("cart"), step("paid")],
        window: Some(Duration { seconds: 3600, nanos: 0 }),
        range: november(),
        ..v1::Funnel::default()
    }
}

impl Shop {
    async fn funnel(&self, funnel: v1::Funnel) -> v1::QueryFunnelResponse {
        let asked = v1::QueryFunnelRequest {
            project: PROJECT.into(),
            funnel: Some(funnel),
            compare_previous: true,
            ..v1::QueryFunnelRequest::default()
        };
        let mut query = QueryServiceClient::new(self.channel.clone());
        query.query_funnel(with(&self.admin, asked)).await.unwrap().into_inner()
    }

    /// Watches the funnel until it shows these numbers.
    async fn shows(&self, wanted: &[u64]) {
        let target = v1::FunnelSubscription { funnel_id: "checkout".into(), interval_ms: 20 };
        let target = Some(v1::subscription::Target::Funnel(target));
        let one = v1::Subscription { id: "f".into(), target, ..v1::Subscription::default() };
        let asked = v1::WatchRequest { project: PROJECT.into(), subscriptions: vec![one] };
        let mut live = LiveServiceClient::new(self.channel.clone());
        let mut stream = live.watch(with(&self.admin, asked)).await.unwrap().into_inner();
        loop {
            let reached = match next(&mut stream).await.unwrap() {
                Some(Message::FunnelSnapshot(snapshot)) => snapshot.reached,
                Some(Message::FunnelDelta(delta)) => delta.reached,
                Some(_) => continue,
                None => panic!("the stream ended"),
            };
            if reached == wanted {
                return;
            }
        }
    }

    async fn metric(&self, measure: v1::metric::Measure) -> v1::QueryMetricResponse {
        let asked = v1::QueryMetricRequest {
            project: PROJECT.into(),
            metric: Some(v1::Metric { measure: Some(measure), ..v1::Metric::default() }),
            range: november(),
            unit: v1::MetricBucketUnit::Day.into(),
            ..v1::QueryMetricRequest::default()
        };
        let mut query = QueryServiceClient::new(self.channel.clone());
        query.query_metric(with(&self.admin, asked)).await.unwrap().into_inner()
    }
}

#[tokio::test]
async fn funnels_answer_who_how_long_and_why() {
    let shop = shop().await;
    let answer = shop.funnel(checkout()).await;
    assert_eq!(answer.reached, [3, 2, 1]);
    let time = answer.conversion_time.unwrap();
    assert_eq!(time.count, 1);
    assert!((1188..=1212).contains(&time.median.unwrap().seconds), "20 minutes to 1 %");
    assert_eq!(answer.step_times.len(), 2);
    assert_eq!(answer.previous.unwrap().reached, [0, 0, 0]);

    let by_color = v1::FunnelBreakdown {
        property: Some(v1::PropertyReference { property: "color".into(), ..Default::default() }),
        attribution: v1::BreakdownAttribution::Step.into(),
        attribution_step: 2,
    };
    let answer = shop.funnel(v1::Funnel { breakdown: Some(by_color), ..checkout() }).await;
    let slices: Vec<_> =
        answer.slices.iter().map(|s| (s.value.clone().unwrap().kind.unwrap(), s.reached[0])).collect();
    use v1::slice_value::Kind::{NotReached, NotSet, Value};
    assert_eq!(slices, [(Value("red".into()), 1), (NotSet(true), 1), (NotReached(true), 1)]);

    let mut query = QueryServiceClient::new(shop.channel.clone());
    let asked = v1::ListFunnelPersonsRequest {
        project: PROJECT.into(),
        funnel: Some(checkout()),
        step: 2,
        dropped: true,
        ..v1::ListFunnelPersonsRequest::default()
    };
    let persons = query.list_funnel_persons(with(&shop.admin, asked)).await.unwrap().into_inner().persons;
    assert_eq!(persons.iter().map(|person| person.id.as_str()).collect::<Vec<_>>(), ["bob"]);

    let mut page = async |size: u32, token: &str, value| {
        let asked = v1::ListFunnelPersonsRequest {
            project: PROJECT.into(),
            funnel: Some(checkout()),
            step: 1,
            page_size: size,
            page_token: token.to_owned(),
            value,
            ..v1::ListFunnelPersonsRequest::default()
        };
        query.list_funnel_persons(with(&shop.admin, asked)).await.map(tonic::Response::into_inner)
    };
    let all = page(100, "", None).await.unwrap();
    assert!(all.persons.len() == 3 && all.next_page_token.is_empty(), "{all:?}");
    let (mut turned, mut token) = (Vec::new(), String::new());
    loop {
        let next = page(1, &token, None).await.unwrap();
        turned.extend(next.persons);
        token = next.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(turned, all.persons, "page by page, the later ones read ahead");
    let red = v1::SliceValue { kind: Some(Value("red".into())) };
    assert_eq!(reason(&page(100, "", Some(red)).await.unwrap_err()), "query_invalid");

    let explain = |person: &str| v1::ExplainFunnelRequest {
        project: PROJECT.into(),
        funnel: Some(checkout()),
        person: person.into(),
        ..v1::ExplainFunnelRequest::default()
    };
    let bob = query.explain_funnel(with(&shop.admin, explain("bob"))).await.unwrap().into_inner();
    assert_eq!((bob.attempts[0].stopped_before, bob.attempts[0].reason.as_str()), (3, "too_late"));
    assert!(!bob.summary.is_empty() && bob.events.len() == 3, "{bob:?}");
    let nobody = query.explain_funnel(with(&shop.admin, explain("zoe"))).await.unwrap_err();
    assert_eq!(reason(&nobody), "person_unknown");
}

#[tokio::test]
async fn conditions_reach_persons_and_groups() {
    let shop = shop().await;
    let condition = |scope: v1::PropertyScope, group_type: &str, property: &str, value: &str| {
        v1::filter::Kind::Condition(v1::PropertyCondition {
            property: property.into(),
            operator: v1::ConditionOperator::Equals.into(),
            values: vec![value.into()],
            scope: scope.into(),
            group_type: group_type.into(),
            ..v1::PropertyCondition::default()
        })
    };
    let filtered = |kind: v1::filter::Kind| {
        let mut funnel = checkout();
        funnel.steps[0].filter = Some(v1::Filter { kind: Some(kind) });
        funnel
    };
    let pro = || condition(v1::PropertyScope::Person, "", "plan", "pro");
    assert_eq!(shop.funnel(filtered(pro())).await.reached, [1, 1, 1]);
    let not_pro = v1::filter::Kind::Not(Box::new(v1::Filter { kind: Some(pro()) }));
    assert_eq!(shop.funnel(filtered(not_pro)).await.reached, [2, 1, 0]);
    let big = condition(v1::PropertyScope::Group, "company", "size", "big");
    assert_eq!(shop.funnel(filtered(big)).await.reached, [1, 1, 1]);
    let mut definitions = DefinitionServiceClient::new(shop.channel.clone());
    let asked = v1::CreateFunnelRequest { project: PROJECT.into(), funnel: Some(filtered(pro())) };
    definitions.create_funnel(with(&shop.admin, asked)).await.unwrap();
    shop.shows(&[1, 1, 1]).await;
    // A plan that comes late counts for what came before it.
    let set = [("plan".to_owned(), text("pro"))].into();
    let person = Some(v1::PropertyChanges { set, ..v1::PropertyChanges::default() });
    let late = v1::Event { person, ..event("bob", "signed up", -5) };
    let sent = v1::IngestRequest { historical: true, ..batch(vec![late]) };
    let mut ingest = IngestServiceClient::new(shop.channel.clone());
    ingest.ingest(with(&shop.server.key, sent)).await.unwrap();
    shop.shows(&[2, 2, 1]).await;
    assert_eq!(shop.funnel(filtered(pro())).await.reached, [2, 2, 1]);
}

#[tokio::test]
async fn sessions_are_followed_by_the_projects_rules() {
    let shop = shop().await;
    let by_session = || v1::Funnel { counting: v1::FunnelCounting::Sessions.into(), ..checkout() };
    let asked = v1::CreateFunnelRequest { project: PROJECT.into(), funnel: Some(by_session()) };
    let mut definitions = DefinitionServiceClient::new(shop.channel.clone());
    definitions.create_funnel(with(&shop.admin, asked)).await.unwrap();
    shop.shows(&[3, 2, 1]).await;
    // A late event that matches nothing bridges what were two sessions of Dora.
    let mut ingest = IngestServiceClient::new(shop.channel.clone());
    for (visit, reached) in [
        (vec![event("dora", "view", 0), event("dora", "cart", 50)], [4, 2, 1]),
        (vec![event("dora", "ping", 25)], [4, 3, 1]),
    ] {
        let sent = v1::IngestRequest { historical: true, ..batch(visit) };
        ingest.ingest(with(&shop.server.key, sent)).await.unwrap();
        shop.shows(&reached).await;
        assert_eq!(shop.funnel(by_session()).await.reached, reached);
    }
    // With shorter pauses nobody gets further than one step in a session.
    let session_gap = Some(Duration { seconds: 300, nanos: 0 });
    let project = v1::Project { id: PROJECT.into(), session_gap, ..Default::default() };
    let mask = prost_types::FieldMask { paths: vec!["session_gap".into()] };
    let asked = v1::UpdateProjectRequest { project: Some(project), update_mask: Some(mask) };
    AdminServiceClient::new(shop.channel.clone()).update_project(with(&shop.admin, asked)).await.unwrap();
    shop.shows(&[4, 0, 0]).await;
    assert_eq!(shop.funnel(by_session()).await.reached, [4, 0, 0]);
}

#[tokio::test]
async fn what_cannot_be_computed_is_refused_when_it_is_defined() {
    let shop = shop().await;
    let mut definitions = DefinitionServiceClient::new(shop.channel.clone());
    let modes = v1::WindowFunnelModes { allow_reentry: true, ..v1::WindowFunnelModes::default() };
    let alone =
        v1::Funnel { preset: v1::FunnelPreset::Clickhouse.into(), window_funnel: Some(modes), ..checkout() };
    let by_newer = v1::Funnel { order: 99, ..checkout() };
    for (funnel, field) in [(alone, "window_funnel.allow_reentry"), (by_newer, "order")] {
        let asked = v1::CreateFunnelRequest { project: PROJECT.into(), funnel: Some(funnel) };
        let status = definitions.create_funnel(with(&shop.admin, asked)).await.unwrap_err();
        assert_eq!(reason(&status), "definition_invalid");
        assert!(status.message().contains(field), "{status}");
    }
    let asked = v1::CreateFunnelRequest { project: PROJECT.into(), funnel: Some(checkout()) };
    definitions.create_funnel(with(&shop.admin, asked)).await.unwrap();
    let conversion = |step: u32| {
        let of = v1::FunnelConversion { funnel_id: "checkout".into(), step };
        let measure = Some(v1::metric::Measure::Conversion(of));
        let metric = v1::Metric { id: "converted".into(), measure, ..v1::Metric::default() };
        v1::CreateMetricRequest { project: PROJECT.into(), metric: Some(metric) }
    };
    let status = definitions.create_metric(with(&shop.admin, conversion(4))).await.unwrap_err();
    assert_eq!(reason(&status), "definition_invalid");
    definitions.create_metric(with(&shop.admin, conversion(3))).await.unwrap();
    let mut update = async |window_s: i64| {
        let window = Some(Duration { seconds: window_s, nanos: 0 });
        let funnel = Some(v1::Funnel { window, ..checkout() });
        let asked = v1::UpdateFunnelRequest { project: PROJECT.into(), funnel, update_mask: None };
        definitions
            .update_funnel(with(&shop.admin, asked))
            .await
            .unwrap()
            .into_inner()
            .funnel
            .unwrap()
            .version
    };
    assert_eq!((update(77).await, update(77).await), (2, 2), "what does not change keeps its version");
    assert_eq!(update(78).await, 3);
    let shorter = v1::Funnel { steps: vec![step("view"), step("cart")], ..checkout() };
    let asked = v1::UpdateFunnelRequest { project: PROJECT.into(), funnel: Some(shorter), update_mask: None };
    let status = definitions.update_funnel(with(&shop.admin, asked)).await.unwrap_err();
    assert_eq!(reason(&status), "definition_in_use");
}

#[tokio::test]
async fn a_merge_names_the_person_and_takes_ids_as_events_do() {
    let shop = shop().await;
    let mut persons = PersonServiceClient::new(shop.channel.clone());
    let asked = |from: &str, into: &str| v1::MergePersonsRequest {
        project: PROJECT.into(),
        from: from.into(),
        into: into.into(),
    };
    let merged = |from: &'static str, into: &'static str| with(&shop.admin, asked(from, into));
    let answer = persons.merge_persons(merged("cleo", "bob")).await.unwrap().into_inner();
    assert_eq!(answer.person, "bob");
    // Into an id of Bob's: the person is still Bob.
    let answer = persons.merge_persons(merged("ann", "cleo")).await.unwrap().into_inner();
    assert_eq!(answer.person, "bob");
    let long = with(&shop.admin, asked("ann", &"x".repeat(513)));
    assert_eq!(reason(&persons.merge_persons(long).await.unwrap_err()), "query_invalid");
}

#[tokio::test]
async fn metrics_and_sessions_are_counted() {
    let shop = shop().await;
    let term = |events: &[&str], aggregate: v1::MetricAggregate, property: &str| v1::MetricTerm {
        events: events.iter().map(|name| (*name).to_owned()).collect(),
        aggregate: aggregate.into(),
        property: property.into(),
        ..v1::MetricTerm::default()
    };
    let count = term(&["view"], v1::MetricAggregate::Count, "");
    let answer = shop.metric(v1::metric::Measure::Events(count.clone())).await;
    assert_eq!(answer.series[0].total.as_ref().unwrap().number, Some(3.0));
    assert_eq!(answer.series[0].buckets.len(), 1);
    let sum = term(&["paid"], v1::MetricAggregate::Sum, "total");
    let answer = shop.metric(v1::metric::Measure::Events(sum)).await;
    let money = answer.series[0].total.as_ref().unwrap().money[0].clone();
    assert_eq!((money.currency.as_str(), money.units, money.nanos), ("EUR", 12, 500_000_000));
    let paid = term(&["paid"], v1::MetricAggregate::UniquePersons, "");
    let ratio = v1::MetricRatio { numerator: Some(paid), denominator: Some(count) };
    let answer = shop.metric(v1::metric::Measure::Ratio(ratio)).await;
    assert_eq!(answer.series[0].total.as_ref().unwrap().number, Some(2.0 / 3.0));
    let sessions = v1::SessionMeasure { aggregate: v1::SessionAggregate::Count.into(), percentiles: vec![] };
    let answer = shop.metric(v1::metric::Measure::Sessions(sessions)).await;
    assert_eq!(answer.series[0].total.as_ref().unwrap().number, Some(4.0), "bob has two");

    let mut query = QueryServiceClient::new(shop.channel.clone());
    let asked =
        v1::ListSessionsRequest { project: PROJECT.into(), person: "bob".into(), ..Default::default() };
    let sessions = query.list_sessions(with(&shop.admin, asked)).await.unwrap().into_inner().sessions;
    let seen: Vec<_> =
        sessions.iter().map(|s| (s.entry_event.as_str(), s.exit_event.as_str(), s.bounce)).collect();
    assert_eq!(seen, [("view", "cart", false), ("paid", "paid", true)]);
    let everybody = v1::ListSessionsRequest { project: PROJECT.into(), ..Default::default() };
    assert_eq!(
        reason(&query.list_sessions(with(&shop.admin, everybody)).await.unwrap_err()),
        "query_invalid"
    );
}

#[tokio::test]
async fn persons_are_read_joined_and_parted() {
    let shop = shop().await;
    let mut persons = PersonServiceClient::new(shop.channel.clone());
    let get = |id: &str| v1::GetPersonRequest { project: PROJECT.into(), id: id.into(), identity_epoch: 0 };
    let ann = persons.get_person(with(&shop.admin, get("ann"))).await.unwrap().into_inner();
    let plan = ann.properties.unwrap().fields["plan"].kind.clone().unwrap();
    assert_eq!(plan, prost_types::value::Kind::StringValue("pro".into()));
    assert_eq!(ann.events, 3);
    let acme = v1::GetGroupRequest { project: PROJECT.into(), r#type: "company".into(), id: "acme".into() };
    assert_eq!(persons.get_group(with(&shop.admin, acme)).await.unwrap().into_inner().persons, 1);

    let merge = |from: &str, into: &str| v1::MergePersonsRequest {
        project: PROJECT.into(),
        from: from.into(),
        into: into.into(),
    };
    let moved =
        persons.merge_persons(with(&shop.admin, merge("cleo", "bob"))).await.unwrap().into_inner().moved;
    assert_eq!(moved, 1);
    assert_eq!(shop.funnel(checkout()).await.reached, [2, 2, 1], "bob and cleo are one");
    let again =
        persons.merge_persons(with(&shop.admin, merge("cleo", "bob"))).await.unwrap().into_inner().moved;
    assert_eq!(again, 0);
    let poison = persons.merge_persons(with(&shop.admin, merge("null", "bob"))).await.unwrap_err();
    assert_eq!(reason(&poison), "identity_refused");
    let unmerge = v1::UnmergePersonRequest { project: PROJECT.into(), id: "cleo".into() };
    persons.unmerge_person(with(&shop.admin, unmerge)).await.unwrap();
    assert_eq!(shop.funnel(checkout()).await.reached, [3, 2, 1]);
}

#[tokio::test]
async fn definitions_follow_segments_and_settings() {
    let shop = shop().await;
    let mut definitions = DefinitionServiceClient::new(shop.channel.clone());
    let is_set = |property: &str| v1::Filter {
        kind: Some(v1::filter::Kind::Condition(v1::PropertyCondition {
            property: property.into(),
            operator: v1::ConditionOperator::IsSet.into(),
            ..v1::PropertyCondition::default()
        })),
    };
    let segment = v1::Segment { id: "colored".into(), filter: Some(is_set("color")), ..Default::default() };
    let asked = v1::CreateSegmentRequest { project: PROJECT.into(), segment: Some(segment.clone()) };
    definitions.create_segment(with(&shop.admin, asked)).await.unwrap();
    // A metric is defined between them: whoever follows funnels passes over it.
    let measure = v1::SessionMeasure { aggregate: v1::SessionAggregate::Count.into(), percentiles: vec![] };
    let measure = Some(v1::metric::Measure::Sessions(measure));
    let metric = Some(v1::Metric { id: "visits".into(), measure, ..v1::Metric::default() });
    let asked = v1::CreateMetricRequest { project: PROJECT.into(), metric };
    definitions.create_metric(with(&shop.admin, asked)).await.unwrap();
    let mut funnel = checkout();
    let of_segment = v1::filter::Kind::SegmentId("colored".into());
    funnel.steps[1].filter = Some(v1::Filter { kind: Some(of_segment) });
    let asked = v1::CreateFunnelRequest { project: PROJECT.into(), funnel: Some(funnel) };
    definitions.create_funnel(with(&shop.admin, asked)).await.unwrap();
    let mut state = v1::DefinitionState::Unspecified;
    for _ in 0..200 {
        let asked = v1::GetFunnelRequest { project: PROJECT.into(), funnel_id: "checkout".into() };
        state = definitions.get_funnel(with(&shop.admin, asked)).await.unwrap().into_inner().state();
        if state == v1::DefinitionState::Live {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(state, v1::DefinitionState::Live, "within 2 s: nothing holds its back-fill up");
    let ask = || v1::QueryFunnelRequest {
        project: PROJECT.into(),
        funnel_id: "checkout".into(),
        ..v1::QueryFunnelRequest::default()
    };
    let mut query = QueryServiceClient::new(shop.channel.clone());
    let answer = query.query_funnel(with(&shop.admin, ask())).await.unwrap().into_inner();
    assert_eq!((answer.reached, answer.version), (vec![3, 1, 1], 1));

    // Another segment is another funnel, one version on.
    let segment = v1::Segment { filter: Some(is_set("nothing")), ..segment };
    let asked =
        v1::UpdateSegmentRequest { project: PROJECT.into(), segment: Some(segment), update_mask: None };
    definitions.update_segment(with(&shop.admin, asked)).await.unwrap();
    let answer = query.query_funnel(with(&shop.admin, ask())).await.unwrap().into_inner();
    assert_eq!((answer.reached, answer.version), (vec![3, 0, 0], 2));
    let asked = v1::DeleteSegmentRequest { project: PROJECT.into(), segment_id: "colored".into() };
    let status = definitions.delete_segment(with(&shop.admin, asked)).await.unwrap_err();
    assert_eq!(reason(&status), "definition_in_use");

    // Bots are left out from now on.
    let project =
        v1::Project { id: PROJECT.into(), internal_traffic: Some(is_set("bot")), ..Default::default() };
    let mask = prost_types::FieldMask { paths: vec!["internal_traffic".into()] };
    let asked = v1::UpdateProjectRequest { project: Some(project), update_mask: Some(mask) };
    AdminServiceClient::new(shop.channel.clone()).update_project(with(&shop.admin, asked)).await.unwrap();
    let answer = query.query_funnel(with(&shop.admin, ask())).await.unwrap().into_inner();
    assert_eq!((answer.reached, answer.version), (vec![2, 0, 0], 3));
    let answer = shop.funnel(v1::Funnel { include_internal: true, ..checkout() }).await;
    assert_eq!(answer.reached, [3, 2, 1]);
    // What is left out interrupts nobody.
    let ping = with_property(event("dora", "ping", 5), "bot", text("yes"));
    let visit = vec![event("dora", "view", 0), ping, event("dora", "cart", 10)];
    let sent = v1::IngestRequest { historical: true, ..batch(visit) };
    let mut ingest = IngestServiceClient::new(shop.channel.clone());
    ingest.ingest(with(&shop.server.key, sent)).await.unwrap();
    for (include_internal, reached) in [(false, [3, 2]), (true, [4, 2])] {
        let (order, steps) = (v1::FunnelOrder::Strict.into(), vec![step("view"), step("cart")]);
        let answer = shop.funnel(v1::Funnel { include_internal, order, steps, ..checkout() }).await;
        assert_eq!(answer.reached, reached, "{include_internal}");
    }
    for (include_internal, events) in [(false, 2), (true, 3)] {
        let project = PROJECT.into();
        let person = "bob".into();
        let asked = v1::ListSessionsRequest { project, person, include_internal, ..Default::default() };
        let sessions = query.list_sessions(with(&shop.admin, asked)).await.unwrap().into_inner().sessions;
        assert_eq!(sessions.iter().map(|session| session.events).sum::<u64>(), events, "{sessions:?}");
    }
}

#[tokio::test]
async fn the_catalogue_knows_what_was_seen_and_warns_of_the_rest() {
    let shop = shop().await;
    let mut catalog = CatalogServiceClient::new(shop.channel.clone());
    let names = async |catalog: &mut CatalogServiceClient<Channel>| {
        let asked = v1::ListEventNamesRequest { project: PROJECT.into(), ..Default::default() };
        let names = catalog.list_event_names(with(&shop.admin, asked)).await.unwrap().into_inner().names;
        names.into_iter().map(|entry| (entry.name, entry.count)).collect::<Vec<_>>()
    };
    let mut seen = Vec::new();
    for _ in 0..200 {
        seen = names(&mut catalog).await;
        if seen.len() == 3 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(seen[0], ("view".into(), 3));
    let asked =
        v1::ListPropertiesRequest { project: PROJECT.into(), event: "cart".into(), ..Default::default() };
    let found = catalog.list_properties(with(&shop.admin, asked)).await.unwrap().into_inner().properties;
    assert_eq!((found[0].key.as_str(), found[0].types[0].r#type.as_str()), ("color", "string"));

    let misspelt = v1::Funnel { steps: vec![step("veiw"), step("cart")], ..checkout() };
    let asked = v1::CreateFunnelRequest { project: PROJECT.into(), funnel: Some(misspelt) };
    let mut definitions = DefinitionServiceClient::new(shop.channel.clone());
    let warnings = definitions.create_funnel(with(&shop.admin, asked)).await.unwrap().into_inner().warnings;
    assert_eq!(warnings.len(), 1);
    assert_eq!((warnings[0].field.as_str(), warnings[0].nearest.as_str()), ("steps[0].events[0]", "view"));
}
