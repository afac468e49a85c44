//! Log lines, and OpenTelemetry where an endpoint is configured.
//!
//! Spans follow a batch from the client's `traceparent` to its commit: rpc, walk, commit. Without an endpoint nobody
//! asks for them and they cost a flag. No key, property value or address is ever put into a span or a log line.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use footpath_api::access::TABLE;
use footpath_ingest::commit::TRACE;
use futures_util::future::Either;
use http::{HeaderMap, Request};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tower::{Layer, Service};
use tracing::instrument::{Instrument as _, Instrumented};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::config::{Config, LogFormat};
use crate::readings::{Kind, Readings};

/// How long the end waits for an endpoint that does not answer.
const FAREWELL: Duration = Duration::from_secs(1);

/// What is sent to the endpoint; keep it until the end.
#[derive(Default)]
pub struct Telemetry {
    tracer: Option<SdkTracerProvider>,
    meter: Option<SdkMeterProvider>,
}

impl Telemetry {
    /// Sets up log lines and, with an endpoint, traces. Once per process, inside the runtime.
    ///
    /// # Errors
    /// If the filter or the endpoint cannot be understood.
    pub fn start(config: &Config) -> anyhow::Result<Self> {
        let filter = EnvFilter::try_new(&config.log_filter).context("log-filter")?;
        let colours = std::io::stderr().is_terminal(); // A file is read without them.
        let lines = tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(std::io::stderr);
        let lines = match config.log_format {
            LogFormat::Text => lines.with_filter(filter).boxed(),
            LogFormat::Json => lines.json().with_filter(filter).boxed(),
        };
        let tracer = config.telemetry_endpoint().map(tracer).transpose()?;
        let spans = tracer.as_ref().map(|provider| {
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("footpath"))
                .with_location(false)
                .with_threads(false)
                .with_tracked_inactivity(false)
                .with_filter(Targets::new().with_target(TRACE, tracing::Level::DEBUG))
        });
        tracing_subscriber::registry().with(lines).with(spans).try_init()?;
        Ok(Self { tracer, meter: None })
    }

    /// With an endpoint, sends the readings there from now on.
    ///
    /// # Errors
    /// If the endpoint cannot be understood.
    pub fn measure(&mut self, config: &Config, readings: &Arc<Readings>) -> anyhow::Result<()> {
        let Some(endpoint) = config.telemetry_endpoint() else { return Ok(()) };
        let exporter = MetricExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
        let provider =
            SdkMeterProvider::builder().with_periodic_exporter(exporter).with_resource(resource()).build();
        observe(&provider, readings);
        self.meter = Some(provider);
        Ok(())
    }

    /// Sends what is left; blocks for a moment at most.
    pub fn stop(self) {
        let traces = self.tracer.map(|provider| provider.shutdown_with_timeout(FAREWELL));
        let metrics = self.meter.map(|provider| provider.shutdown_with_timeout(FAREWELL));
        for error in [traces, metrics].into_iter().flatten().filter_map(Result::err) {
            tracing::warn!(%error, "the last of the telemetry was not delivered");
        }
    }
}

/// A tool says what its user asked for, and errors; log lines only where FOOTPATH_LOG wants them.
///
/// # Errors
/// If logging is set up already.
pub fn for_a_tool() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_env("FOOTPATH_LOG").unwrap_or_else(|_| EnvFilter::new("off"));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(filter);
    Ok(tracing_subscriber::registry().with(lines).try_init()?)
}

fn tracer(endpoint: &str) -> anyhow::Result<SdkTracerProvider> {
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build();
    let exporter = exporter.with_context(|| format!("otlp-endpoint {endpoint:?}"))?;
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource()).build())
}

fn resource() -> Resource {
    Resource::builder().with_service_name("footpath").build()
}

/// One instrument for each reading, under the name that /metrics has for it.
fn observe(provider: &SdkMeterProvider, readings: &Arc<Readings>) {
    let meter = provider.meter_with_scope(InstrumentationScope::builder("footpath").build());
    for (at, reading) in readings.all().into_iter().enumerate() {
        let readings = Arc::clone(readings);
        let values = move || readings.all().swap_remove(at); // The same list each time.
        let labels = |reading: &crate::readings::Reading, value: &str| {
            let label = (!reading.label.is_empty()).then(|| KeyValue::new(reading.label, value.to_owned()));
            label.into_iter().collect::<Vec<_>>()
        };
        match reading.kind {
            Kind::Counter => {
                let builder = meter.f64_observable_counter(reading.name).with_description(reading.help);
                builder
                    .with_callback(move |observer| {
                        let now = values();
                        now.values.iter().for_each(|(v, n)| observer.observe(*n, &labels(&now, v)));
                    })
                    .build();
            }
            Kind::Gauge => {
                let builder = meter.f64_observable_gauge(reading.name).with_description(reading.help);
                builder
                    .with_callback(move |observer| {
                        let now = values();
                        now.values.iter().for_each(|(v, n)| observer.observe(*n, &labels(&now, v)));
                    })
                    .build();
            }
        }
    }
}

/// Opens the span of a call, under the client's own where it sent one.
#[derive(Debug, Clone, Copy, Default)]
pub struct TraceLayer;

impl<S> Layer<S> for TraceLayer {
    type Service = TraceService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TraceService { inner }
    }
}

/// A service whose calls have spans.
#[derive(Debug, Clone)]
pub struct TraceService<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for TraceService<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Instrumented<S::Future>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Only names from the table: a path is the client's own text.
        let known = TABLE.iter().find(|(path, _)| *path == request.uri().path());
        let name = known.map_or("other", |(path, _)| &path[1..]);
        let span = tracing::debug_span!(target: TRACE, "rpc", otel.kind = "server", rpc.system = "grpc", rpc.method = name);
        if span.is_disabled() {
            return Either::Left(self.inner.call(request));
        }
        let parent = TraceContextPropagator::new().extract(&Headers(request.headers()));
        if let Err(error) = span.set_parent(parent) {
            tracing::debug!(%error, "a call begins a trace of its own");
        }
        let answer = span.in_scope(|| self.inner.call(request));
        Either::Right(answer.instrument(span))
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
