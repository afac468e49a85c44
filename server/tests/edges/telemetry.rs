//! Traces and metrics, as an OTLP collector sees them.

use std::sync::Arc;

use footpath_proto::v1::ingest_service_client::IngestServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
use tonic::{Request, Response, Status};

use crate::support::{batch, command, event, spawn, until, with};

/// Keeps what it is sent.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    metrics: Arc<Mutex<Vec<String>>>,
    /// All that came, as text.
    said: Arc<Mutex<String>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let request = request.into_inner();
        self.said.lock().push_str(&format!("{request:?}"));
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        self.spans.lock().extend(scopes.flat_map(|scope| scope.spans));
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let request = request.into_inner();
        self.said.lock().push_str(&format!("{request:?}"));
        let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
        let names = scopes.flat_map(|scope| scope.metrics).map(|metric| metric.name);
        self.metrics.lock().extend(names);
        Ok(Response::new(Default::default()))
    }
}

async fn collect() -> (Collector, String) {
    let collector = Collector::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tonic::transport::Server::builder()
        .add_service(TraceServiceServer::new(collector.clone()))
        .add_service(MetricsServiceServer::new(collector.clone()))
        .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener));
    tokio::spawn(serving);
    (collector, format!("http://{address}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_client_to_the_commit() {
    let (collector, endpoint) = collect().await;
    let data = tempfile::tempdir().unwrap();
    let mut command = command(data.path());
    command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--otlp-endpoint", &endpoint]);
    command.env("OTEL_BSP_SCHEDULE_DELAY", "100").env("OTEL_METRIC_EXPORT_INTERVAL", "200");
    let server = spawn(&mut command);
    let mut ingest = IngestServiceClient::new(server.channel().await);
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let mut request = with(&server.key, batch(vec![event("a-telling-name")]));
    request.metadata_mut().insert("traceparent", format!("00-{trace}-{parent}-01").parse().unwrap());
    ingest.ingest(request).await.unwrap();

    let ours = || -> Vec<Span> {
        let spans = collector.spans.lock();
        spans.iter().filter(|span| hex(&span.trace_id) == trace).cloned().collect()
    };
    until(|| ours().len() >= 3).await;
    let spans = ours();
    let find =
        |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{spans:?}"));
    let (rpc, walk, commit) = (find("rpc"), find("walk"), find("commit"));
    assert_eq!(hex(&rpc.parent_span_id), parent);
    assert_eq!((&walk.parent_span_id, &commit.parent_span_id), (&rpc.span_id, &rpc.span_id));
    assert!(commit.attributes.iter().any(|attribute| attribute.key == "queue_us"), "{commit:?}");
    until(|| collector.metrics.lock().iter().any(|name| name == "footpath_events_stored")).await;
    let said = collector.said.lock();
    assert!(!said.contains(&server.key) && !said.contains("a-telling-name"), "content leaked into telemetry");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
