//! The admin port: /livez, /readyz, /metrics, /series and gRPC health, in plain text, for the machine's own eyes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use footpath_api::Context;
use http::{StatusCode, header};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, HealthService};

use crate::readings::Readings;
use crate::series::Series;

/// The type of what Prometheus reads (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How often gRPC health follows readiness.
const PAUSE: Duration = Duration::from_millis(200);

/// Whether the server should be sent traffic.
#[derive(Clone)]
pub struct Readiness {
    context: Arc<Context>,
    /// Live numbers hold from this log position on.
    live_from: u64,
}

impl Readiness {
    /// Ready once the live path has read what was stored before the start.
    pub fn new(context: Arc<Context>) -> Self {
        let live_from = context.log.durable_end();
        Self { context, live_from }
    }

    /// Whether it is ready.
    ///
    /// # Errors
    /// Why not, for people.
    pub fn check(&self) -> Result<(), String> {
        let draining = self.context.drain.is_cancelled();
        let healthy = self.context.ingest.metrics().healthy.load(Ordering::Relaxed);
        let position = self.context.hub.read().borrow().position;
        judge(draining, healthy, position, self.live_from, self.context.hub.starting())
    }

    /// Keeps gRPC health up to date, for the server and each of its services; on the way down says so, then ends the
    /// streams that watch it.
    pub async fn report(self, mut reporter: HealthReporter) {
        let names = health_names();
        while !self.context.drain.is_cancelled() {
            let ready = self.check().is_ok();
            set(&reporter, &names, if ready { ServingStatus::Serving } else { ServingStatus::NotServing })
                .await;
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.context.drain.cancelled() => {}
            }
        }
        set(&reporter, &names, ServingStatus::NotServing).await;
        tokio::time::sleep(PAUSE).await;
        for name in &names {
            reporter.clear_service_status(name).await;
        }
    }
}

fn judge(draining: bool, healthy: bool, position: u64, live_from: u64, filling: usize) -> Result<(), String> {
    if draining {
        return Err("draining: the server is stopping".into());
    }
    if !healthy {
        return Err("the log takes nothing: its disk is full or failed; the server's log says which".into());
    }
    if position < live_from {
        return Err(format!("live numbers are catching up: at record {position} of {live_from}"));
    }
    if filling > 0 {
        return Err(format!("live numbers are back-filled: {filling} funnels to go"));
    }
    Ok(())
}

/// A reporter that knows every service, none of them serving yet: asked before the first report, it must not say
/// "not registered".
pub async fn health_reporter() -> HealthReporter {
    let reporter = HealthReporter::new();
    set(&reporter, &health_names(), ServingStatus::NotServing).await;
    reporter
}

/// The services, and "" for the whole server.
fn health_names() -> Vec<String> {
    services().chain([String::new()]).collect()
}

async fn set(reporter: &HealthReporter, names: &[String], status: ServingStatus) {
    for name in names {
        reporter.set_service_status(name, status).await;
    }
}

/// The API's services.
fn services() -> impl Iterator<Item = String> {
    let mut names: Vec<_> = footpath_api::access::TABLE
        .iter()
        .filter_map(|(path, _)| path.split('/').nth(1))
        .map(str::to_owned)
        .collect();
    names.dedup();
    names.into_iter()
}

/// Serves the admin port until the task is dropped.
///
/// # Errors
/// If the port cannot be used any more.
pub async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    readings: Arc<Readings>,
    series: Series,
    health: HealthReporter,
) -> anyhow::Result<()> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(readings));
    let registry = Arc::new(registry);
    let series = Arc::new(series);
    let answer = move || {
        let series = Arc::clone(&series);
        async move { series.answer().await }
    };
    let http = Router::new()
        .route("/livez", get(async || "ok"))
        .route("/readyz", get(async move || ready(&readiness)))
        .route("/metrics", get(async move || metrics(&registry)))
        .route("/series", get(answer));
    let health =
        tonic_health::pb::health_server::HealthServer::new(HealthService::from_health_reporter(health));
    let mut routes = tonic::service::Routes::new(health);
    let grpc = std::mem::take(routes.axum_router_mut());
    axum::serve(listener, grpc.merge(http)).await?;
    Ok(())
}

fn ready(readiness: &Readiness) -> Response {
    match readiness.check() {
        Ok(()) => "ok".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why).into_response(),
    }
}

fn metrics(registry: &Registry) -> Response {
    match open_metrics(registry) {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// What is registered, as text.
///
/// # Errors
/// If a collector cannot write what it has.
pub fn open_metrics(registry: &Registry) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_ready_says_why() {
        assert_eq!(judge(false, true, 7, 7, 0), Ok(()));
        assert!(judge(true, true, 7, 7, 0).unwrap_err().contains("draining"));
        assert!(judge(false, false, 7, 7, 0).unwrap_err().contains("disk"));
        assert!(judge(false, true, 6, 7, 0).unwrap_err().contains("record 6 of 7"));
        assert!(judge(false, true, 7, 7, 2).unwrap_err().contains("2 funnels"));
    }

    #[test]
    fn health_names_every_service_once() {
        let names: Vec<_> = services().collect();
        let unique: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(names.len(), unique.len());
        assert!(names.iter().any(|name| name == "footpath.v1.IngestService"));
    }
}
