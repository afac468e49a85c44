//! Alerts from end to end: a rule, a problem, everybody who is told, a kill in between.

use std::time::Duration;

use footpath_model::clock::{Clock as _, SystemClock};
use footpath_proto::v1;
use tonic::Streaming;
use tonic::transport::Channel;
use v1::alert_service_client::AlertServiceClient;
use v1::definition_service_client::DefinitionServiceClient;
use v1::ingest_service_client::IngestServiceClient;
use v1::live_service_client::LiveServiceClient;
use v1::watch_response::Message;

use crate::receiver::receiver;
use crate::support::{Server, batch, event, reason, start, with};

const PROJECT: &str = "default";
/// A bucket is a minute; then it takes as long as anything does on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

struct World {
    server: Server,
    channel: Channel,
    admin: String,
}

impl World {
    async fn open(data: &std::path::Path) -> Self {
        Self::with(data, &[]).await
    }

    async fn with(data: &std::path::Path, args: &[&str]) -> Self {
        let server = start(data, args);
        let channel = server.channel().await;
        let admin = server.admin_token(&channel).await;
        Self { server, channel, admin }
    }

    fn definitions(&self) -> DefinitionServiceClient<Channel> {
        DefinitionServiceClient::new(self.channel.clone())
    }

    fn alerts(&self) -> AlertServiceClient<Channel> {
        AlertServiceClient::new(self.channel.clone())
    }

    async fn define(&self) {
        let request = v1::CreateMetricRequest { project: PROJECT.into(), metric: Some(payments()) };
        self.definitions().create_metric(with(&self.admin, request)).await.unwrap();
        let request =
            v1::CreateAlertRuleRequest { project: PROJECT.into(), alert_rule: Some(too_many("many")) };
        self.definitions().create_alert_rule(with(&self.admin, request)).await.unwrap();
    }

    async fn send(&self, key: &str, names: &[&str]) {
        let mut ingest = IngestServiceClient::new(self.channel.clone());
        let events = names.iter().map(|name| event(name)).collect();
        ingest.ingest(with(key, batch(events))).await.unwrap();
    }

    async fn watch(&self, cursor: &str) -> Streaming<v1::WatchResponse> {
        let target = v1::subscription::Target::Alerts(v1::AlertSubscription::default());
        let one = v1::Subscription { id: "a".into(), target: Some(target), cursor: cursor.into() };
        let request = v1::WatchRequest { project: PROJECT.into(), subscriptions: vec![one] };
        let mut live = LiveServiceClient::new(self.channel.clone());
        live.watch(with(&self.admin, request)).await.unwrap().into_inner()
    }

    async fn change(&self, incident: &str, change: v1::change_incident_request::Change) -> v1::Incident {
        let request = v1::ChangeIncidentRequest {
            project: PROJECT.into(),
            incident_id: incident.into(),
            change: Some(change),
        };
        let answer = self.alerts().change_incident(with(&self.admin, request)).await.unwrap();
        answer.into_inner().incident.unwrap()
    }
}

fn payments() -> v1::Metric {
    let term = v1::MetricTerm {
        events: vec!["paid".into()],
        aggregate: v1::MetricAggregate::Count.into(),
        ..v1::MetricTerm::default()
    };
    v1::Metric {
        id: "payments".into(),
        measure: Some(v1::metric::Measure::Events(term)),
        ..v1::Metric::default()
    }
}

fn too_many(id: &str) -> v1::AlertRule {
    let threshold = v1::AlertThreshold { above: Some(2.5), below: None };
    v1::AlertRule {
        id: id.into(),
        title: "Payments".into(),
        metric_id: "payments".into(),
        condition: Some(v1::alert_rule::Condition::Threshold(threshold)),
        delay: Some(prost_types::Duration::default()),
        owner: "ann".into(),
        runbook: "https://example.com/runbook".into(),
        ..v1::AlertRule::default()
    }
}

/// The next page of alerts.
async fn page(stream: &mut Streaming<v1::WatchResponse>) -> v1::AlertPage {
    let work = async {
        loop {
            match stream.message().await.unwrap().and_then(|message| message.message) {
                Some(Message::Alerts(page)) if !page.alerts.is_empty() => return page,
                Some(_) => {}
                None => panic!("the watch ended"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, work).await.expect("no alert came")
}

fn kinds(page: &v1::AlertPage) -> Vec<v1::AlertKind> {
    page.alerts.iter().map(|alert| alert.event.as_ref().unwrap().kind()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_told_once_over_a_kill_and_ends() {
    let data = tempfile::tempdir().unwrap();
    let world = World::open(data.path()).await;
    let key = world.server.key.clone();
    world.define().await;
    let mut watch = world.watch("").await;
    world.send(&key, &["paid"; 5]).await;
    let opened = page(&mut watch).await;
    assert_eq!(kinds(&opened), [v1::AlertKind::Opened]);
    let incident = opened.alerts[0].incident.clone().unwrap();
    assert_eq!(incident.told.as_ref().unwrap().number, Some(5.0));
    assert_eq!(incident.summary, "Payments: 5, allowed is at most 2.5");
    assert_eq!((incident.owner.as_str(), incident.environments), ("ann", vec!["prod".to_owned()]));
    assert!(incident.link.ends_with(&format!("/#/default/incidents/{}", incident.id)), "{}", incident.link);
    let acknowledged = v1::change_incident_request::Change::Acknowledge(v1::AcknowledgeIncident {});
    let changed = world.change(&incident.id, acknowledged).await;
    assert_eq!(changed.state(), v1::IncidentState::Acknowledged);
    drop(watch);
    drop(world); // SIGKILL.

    let world = World::open(data.path()).await;
    let mut watch = world.watch(&opened.cursor).await;
    assert_eq!(kinds(&page(&mut watch).await), [v1::AlertKind::Acknowledged], "what came after the cursor");
    // Something comes, and not too many payments: it is over.
    world.send(&key, &["seen", "paid"]).await;
    let resolved = page(&mut watch).await;
    assert_eq!(kinds(&resolved), [v1::AlertKind::Resolved]);
    let request = v1::GetIncidentRequest { project: PROJECT.into(), incident_id: incident.id.clone() };
    let story = world.alerts().get_incident(with(&world.admin, request)).await.unwrap().into_inner();
    let told: Vec<_> = story.events.iter().map(v1::IncidentEvent::kind).collect();
    assert_eq!(told, [v1::AlertKind::Opened, v1::AlertKind::Acknowledged, v1::AlertKind::Resolved]);
    let request = v1::ListIncidentsRequest { project: PROJECT.into(), open: true, ..Default::default() };
    let open = world.alerts().list_incidents(with(&world.admin, request)).await.unwrap().into_inner();
    assert!(open.incidents.is_empty());
    simulation(&world).await;
    series(&world).await;
}

/// The rule over the same history: it would have told the same.
async fn simulation(world: &World) {
    let request = v1::SimulateAlertRuleRequest {
        project: PROJECT.into(),
        rule: Some(v1::simulate_alert_rule_request::Rule::AlertRule(too_many("again"))),
        range: None,
    };
    let mut stream =
        world.alerts().simulate_alert_rule(with(&world.admin, request)).await.unwrap().into_inner();
    let (mut percents, mut alerts, mut summaries) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(message) = stream.message().await.unwrap() {
        match message.message.unwrap() {
            v1::simulate_alert_rule_response::Message::Percent(percent) => percents.push(percent),
            v1::simulate_alert_rule_response::Message::Alert(alert) => alerts.push(alert.kind()),
            v1::simulate_alert_rule_response::Message::Summary(summary) => summaries.push(summary),
        }
    }
    assert_eq!(alerts, [v1::AlertKind::Opened, v1::AlertKind::Resolved]);
    assert!(!percents.is_empty() && percents.is_sorted());
    assert_eq!((summaries.len(), summaries[0].incidents, summaries[0].series), (1, 1, 1));
}

async fn series(world: &World) {
    let request =
        v1::ListAlertSeriesRequest { project: PROJECT.into(), alert_rule_id: "many".into(), buckets: 0 };
    let answer = world.alerts().list_alert_series(with(&world.admin, request)).await.unwrap().into_inner();
    assert_eq!((answer.state(), answer.series.len()), (v1::DefinitionState::Live, 1));
    let findings: Vec<_> = answer.series[0].judgements.iter().map(v1::Judgement::finding).collect();
    assert!(findings.contains(&v1::AlertFinding::Problem) && findings.contains(&v1::AlertFinding::Fine));
}

#[tokio::test]
async fn rules_name_metrics_that_are_there_and_metrics_stay_while_rules_name_them() {
    let data = tempfile::tempdir().unwrap();
    let world = World::open(data.path()).await;
    world.define().await;
    let create = |rule| v1::CreateAlertRuleRequest { project: PROJECT.into(), alert_rule: Some(rule) };
    let refused = |rule| async {
        let refused =
            world.definitions().create_alert_rule(with(&world.admin, create(rule))).await.unwrap_err();
        (reason(&refused), refused.message().to_owned())
    };
    let (why, what) = refused(v1::AlertRule { metric_id: "none".into(), ..too_many("r") }).await;
    assert!(
        why == "definition_invalid" && what.contains("metric_id") && what.contains("ListMetrics"),
        "{what}"
    );
    let (why, what) = refused(v1::AlertRule { destinations: vec!["ops".into()], ..too_many("r") }).await;
    assert!(why == "definition_invalid" && what.contains("destinations[0]"), "{what}");
    let (_, what) =
        refused(v1::AlertRule { condition: None, runbook: "ftp://x".into(), ..too_many("r") }).await;
    assert!(what.contains("condition"), "{what}");
    let (_, what) = refused(v1::AlertRule {
        environments: vec!["qa".into()],
        runbook: "ftp://x".into(),
        ..too_many("r")
    })
    .await;
    assert!(what.contains("environments[0]") && what.contains("runbook"), "{what}");
    let request = v1::DeleteMetricRequest { project: PROJECT.into(), metric_id: "payments".into() };
    let used = world.definitions().delete_metric(with(&world.admin, request)).await.unwrap_err();
    assert_eq!(reason(&used), "definition_in_use");
    assert!(used.message().contains("alert_rule/many"), "{}", used.message());
    // A changed metric changes the rule that watches it.
    let metric = v1::Metric { title: "Paid".into(), etag: "1".into(), ..payments() };
    let request =
        v1::UpdateMetricRequest { project: PROJECT.into(), metric: Some(metric), update_mask: None };
    world.definitions().update_metric(with(&world.admin, request)).await.unwrap();
    let request = v1::GetAlertRuleRequest { project: PROJECT.into(), alert_rule_id: "many".into() };
    let rule = world.definitions().get_alert_rule(with(&world.admin, request)).await.unwrap().into_inner();
    assert_eq!(rule.alert_rule.unwrap().version, 2);
}

#[tokio::test]
async fn a_rule_is_muted_for_31_days_at_most() {
    let data = tempfile::tempdir().unwrap();
    let world = World::open(data.path()).await;
    world.define().await;
    let mute = |days: i64| {
        let until_us = SystemClock.now_us() + days * 86_400_000_000;
        let request = v1::MuteAlertRuleRequest {
            project: PROJECT.into(),
            alert_rule_id: "many".into(),
            until: Some(footpath_api::convert::timestamp(until_us)),
        };
        let mut alerts = world.alerts();
        let request = with(&world.admin, request);
        async move { alerts.mute_alert_rule(request).await }
    };
    mute(31).await.unwrap();
    let refused = mute(32).await.unwrap_err();
    assert!(reason(&refused) == "mute_too_long" && refused.message().contains("31 days"), "{refused:?}");
}

#[tokio::test]
async fn annotations_come_and_go() {
    let data = tempfile::tempdir().unwrap();
    let world = World::open(data.path()).await;
    let at = Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 });
    let release =
        v1::Annotation { id: "v2".into(), text: "Version 2".into(), from: at, ..Default::default() };
    let create = |annotation: &v1::Annotation| v1::CreateAnnotationRequest {
        project: PROJECT.into(),
        annotation: Some(annotation.clone()),
    };
    for _ in 0..2 {
        let made = world.alerts().create_annotation(with(&world.admin, create(&release))).await.unwrap();
        assert_eq!(made.into_inner().annotation.unwrap().text, "Version 2");
    }
    let other = v1::Annotation { text: "Version 3".into(), ..release };
    let refused = world.alerts().create_annotation(with(&world.admin, create(&other))).await.unwrap_err();
    assert_eq!(reason(&refused), "annotation_exists");
    let list = || v1::ListAnnotationsRequest { project: PROJECT.into(), ..Default::default() };
    let listed = world.alerts().list_annotations(with(&world.admin, list())).await.unwrap().into_inner();
    assert_eq!(listed.annotations.len(), 1);
    let request = v1::DeleteAnnotationRequest { project: PROJECT.into(), annotation_id: "v2".into() };
    world.alerts().delete_annotation(with(&world.admin, request)).await.unwrap();
    let listed = world.alerts().list_annotations(with(&world.admin, list())).await.unwrap().into_inner();
    assert!(listed.annotations.is_empty());
}

fn webhook(id: &str, url: &str) -> v1::Destination {
    let hook = v1::WebhookDestination { url: url.into(), ..v1::WebhookDestination::default() };
    let kind = Some(v1::destination::Kind::Webhook(hook));
    v1::Destination { id: id.into(), title: "Operations".into(), kind, ..v1::Destination::default() }
}

impl World {
    async fn create(&self, destination: v1::Destination) -> Result<v1::Destination, tonic::Status> {
        let request =
            v1::CreateDestinationRequest { project: PROJECT.into(), destination: Some(destination) };
        let created = self.alerts().create_destination(with(&self.admin, request)).await?;
        Ok(created.into_inner().destination.unwrap())
    }

    async fn deliveries(&self) -> Vec<v1::Delivery> {
        let request = v1::ListDeliveriesRequest { project: PROJECT.into(), ..Default::default() };
        let listed = self.alerts().list_deliveries(with(&self.admin, request)).await.unwrap();
        listed.into_inner().deliveries
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn destinations_are_told_signed_and_every_delivery_is_recorded() {
    let data = tempfile::tempdir().unwrap();
    let world = World::with(data.path(), &["--alert-http=true", "--alert-allow=127.0.0.0/8"]).await;
    let key = world.server.key.clone();
    let (url, requests) = receiver("200 OK");
    let made = world.create(webhook("ops", &url)).await.unwrap();
    let Some(v1::destination::Kind::Webhook(hook)) = &made.kind else { panic!("{made:?}") };
    assert!(hook.secret.starts_with("whsec_") && !hook.url.contains("key"), "{hook:?}");
    let again = world.create(webhook("ops", &url)).await.unwrap();
    assert!(!format!("{again:?}").contains("whsec_"), "shown once: {again:?}");

    let request = v1::SendTestAlertRequest { project: PROJECT.into(), destination_id: "ops".into() };
    let tested = world.alerts().send_test_alert(with(&world.admin, request)).await.unwrap().into_inner();
    assert!(tested.delivered, "{tested:?}");
    let (head, body) = requests.recv_timeout(PATIENCE).unwrap();
    assert!(head.contains("webhook-signature: v1,") && body.contains("\"test\""), "{head} {body}");

    let metric = v1::CreateMetricRequest { project: PROJECT.into(), metric: Some(payments()) };
    world.definitions().create_metric(with(&world.admin, metric)).await.unwrap();
    let rule = v1::AlertRule { destinations: vec!["ops".into()], ..too_many("many") };
    let request = v1::CreateAlertRuleRequest { project: PROJECT.into(), alert_rule: Some(rule) };
    world.definitions().create_alert_rule(with(&world.admin, request)).await.unwrap();
    let request = v1::DeleteDestinationRequest { project: PROJECT.into(), destination_id: "ops".into() };
    let used = world.alerts().delete_destination(with(&world.admin, request)).await.unwrap_err();
    assert_eq!(reason(&used), "definition_in_use");
    world.send(&key, &["paid"; 5]).await;
    let (_, body) = requests.recv_timeout(PATIENCE).unwrap();
    let told: serde_json::Value = serde_json::from_str(&body).unwrap();
    let text = told.to_string();
    for expected in
        ["Payments: 5, allowed is at most 2.5", "\"prod\"", "/#/default/incidents/", "above 2.5", "ann"]
    {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    let mut deliveries = world.deliveries().await;
    for _ in 0..100 {
        if deliveries.iter().all(|one| one.state() == v1::DeliveryState::Delivered) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        deliveries = world.deliveries().await;
    }
    assert_eq!(deliveries.len(), 1);
    assert_eq!((deliveries[0].kind(), deliveries[0].attempts), (v1::AlertKind::Opened, 1));
    assert_eq!(deliveries[0].last_attempts[0].status, 200);
}

#[tokio::test]
async fn private_networks_and_wrong_addresses_are_refused() {
    let data = tempfile::tempdir().unwrap();
    let world = World::open(data.path()).await;
    for (url, why) in [("http://example.com/x", "https"), ("ftp://example.com", "https"), ("", "url")] {
        let refused = world.create(webhook("ops", url)).await.unwrap_err();
        assert!(reason(&refused) == "destination_invalid" && refused.message().contains(why), "{refused:?}");
    }
    for host in ["127.0.0.1:1", "169.254.169.254", "10.0.0.1", "[::1]", "localhost"] {
        let refused = world.create(webhook("own", &format!("https://{host}/x"))).await.unwrap_err();
        assert!(
            reason(&refused) == "destination_invalid" && refused.message().contains("public internet"),
            "{refused:?}"
        );
    }
    let broken = v1::Destination { title: "Ops\nroot".into(), ..webhook("ops", "https://hooks.example/x") };
    let refused = world.create(broken).await.unwrap_err();
    assert!(reason(&refused) == "destination_invalid" && refused.message().contains("title"), "{refused:?}");
}
