//! The admin port.

use footpath_proto::v1::ingest_service_client::IngestServiceClient;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{Server, batch, event, start, until, with};

async fn health_client(address: &str) -> HealthClient<Channel> {
    let endpoint = Endpoint::new(format!("http://{address}")).unwrap();
    HealthClient::new(endpoint.connect().await.unwrap())
}

async fn health(address: &str, service: &str) -> i32 {
    let mut client = health_client(address).await;
    let asked = HealthCheckRequest { service: service.into() };
    client.check(asked).await.unwrap().into_inner().status
}

#[tokio::test]
async fn a_server_is_alive_ready_and_healthy() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    assert!(server.get("/livez").0.contains("200"));
    server.until_ready().await;
    for address in [&server.admin, &server.address] {
        for service in ["", "footpath.v1.IngestService", "footpath.v1.LiveService"] {
            let mut client = health_client(address).await;
            let asked = HealthCheckRequest { service: service.into() };
            let mut watch = client.watch(asked).await.unwrap().into_inner();
            while watch.message().await.unwrap().unwrap().status != ServingStatus::Serving as i32 {}
            assert_eq!(health(address, service).await, ServingStatus::Serving as i32);
        }
    }
}

async fn send_some(server: &Server) {
    let mut ingest = IngestServiceClient::new(server.channel().await);
    let id = "0190163d-8694-739b-aea5-966c26f8ad91";
    let sent = footpath_proto::v1::IngestRequest {
        batch_id: id.into(),
        ..batch(vec![event("view"), event("pay"), event("")])
    };
    for _ in 0..2 {
        ingest.ingest(with(&server.key, sent.clone())).await.unwrap();
    }
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    send_some(&server).await;
    let metric = |name: &str| server.metric(name);
    assert_eq!(metric("footpath_events_stored_total"), Some(2.0));
    assert_eq!(metric("footpath_events_duplicate_total"), Some(2.0));
    assert_eq!(metric("footpath_events_refused_total{reason=\"name_missing\"}"), Some(2.0));
    assert_eq!(metric("footpath_ack_seconds_count"), Some(2.0));
    assert!(metric("footpath_log_sync_seconds_count") >= Some(2.0));
    assert!(metric("footpath_log_group_batches_count") >= Some(2.0));
    assert!(metric("footpath_received_bytes_total") > Some(0.0));
    assert!(metric("process_resident_memory_bytes") > Some(1e6));
    assert_eq!(metric("footpath_log_healthy"), Some(1.0));
    for consumer in ["live", "ledger"] {
        until(|| metric(&format!("footpath_consumer_lag_records{{consumer=\"{consumer}\"}}")) == Some(0.0))
            .await;
        assert_eq!(metric(&format!("footpath_consumer_lag_seconds{{consumer=\"{consumer}\"}}")), Some(0.0));
    }
    assert_eq!(metric("footpath_watermark_age_seconds"), Some(0.0));
    until(|| metric("footpath_body_bytes") == Some(0.0)).await;
}

#[tokio::test]
async fn the_page_lists_every_metric() {
    let data = tempfile::tempdir().unwrap();
    let server = start(data.path(), &[]);
    let (_, page) = server.get("/metrics");
    let field = |line: &str, at: usize| line.split(' ').nth(at).unwrap_or_default().to_owned();
    let types = page.lines().filter(|line| line.starts_with("# TYPE "));
    let mut rows: Vec<_> = types
        .map(|line| {
            let (name, kind) = (field(line, 2), field(line, 3));
            let help = format!("# HELP {name} ");
            let help = page.lines().find_map(|line| line.strip_prefix(&help)).unwrap();
            let shown = if kind == "counter" { format!("{name}_total") } else { name };
            format!("| `{shown}` | {kind} | {} |", help.trim_end_matches('.'))
        })
        .collect();
    let docs = include_str!("../../../docs/operations.md");
    let mut documented: Vec<_> =
        docs.lines().filter(|line| line.starts_with("| `")).map(str::to_owned).collect();
    rows.sort();
    documented.sort();
    assert_eq!(documented, rows, "docs/operations.md should hold:\n{}", rows.join("\n"));
}
