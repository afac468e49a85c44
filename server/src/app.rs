//! The composition root: the only place that names a backend.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use footpath_api::access::Access;
use footpath_api::admin::{OneTimeCodes, create_key};
use footpath_api::body::BodyLayer;
use footpath_api::budget::Budgets;
use footpath_api::cursor::Cursors;
use footpath_api::layer::AccessLayer;
use footpath_api::series::SeriesNumbers;
use footpath_api::web::WebLayer;
use footpath_api::{Context, routes};
use footpath_live::Progress;
use footpath_log::Log;
use footpath_log::disk::make_folder;
use footpath_model::clock::Clock;
use footpath_store::{EmbeddedStore, Environment, NewProject, SecretRow, Store};
use rand::Rng as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthService;

use crate::admin::{self, Readiness};
use crate::alerting::{self, Messages, evaluate};
use crate::config::Config;
use crate::listener;
use crate::pipeline::Pipeline;
use crate::readings::{Consumer, Readings};
use crate::series::Series;
use crate::telemetry::{Telemetry, TraceLayer};

/// How long open calls and streams may take to end after the stop signal. Orchestrators kill after 10 s at the
/// earliest; what follows takes well below two.
const DRAIN: Duration = Duration::from_secs(8);
/// A connection whose peer is gone without a word is noticed after these two.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(20);
/// Our headers are an authorization and a few words.
const HEADER_BYTES: u32 = 16 << 10;

/// The server, composed.
pub struct App {
    context: Arc<Context>,
    pipeline: Pipeline,
    listener: TcpListener,
    admin_listener: TcpListener,
    tls: Option<TlsAcceptor>,
    first_key: Option<String>,
}

impl App {
    /// Opens the data folder, takes the ports and starts the threads. Inside a runtime.
    ///
    /// # Errors
    /// If the clock, the folder, a port or the certificate cannot be used; the message says what to do.
    pub fn open(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        config.check()?;
        check_clock(clock.as_ref())?;
        let tls = config.tls_cert.as_deref().zip(config.tls_key.as_deref());
        let tls = tls.map(|(cert, key)| listener::tls(cert, key)).transpose()?;
        let (listener, admin_listener) = (listen(config.listen)?, listen(config.admin_listen)?);
        make_folder(&config.data)
            .with_context(|| format!("cannot make the data folder {}", config.data.display()))?;
        check_state(&config.data)?;
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&config.data.join("state.redb"))?);
        let outgoing = Arc::new(Messages::new(Arc::clone(&store), config.public_url()));
        let pipeline = Pipeline::start(config, &store, outgoing, &clock)?;
        let deliverer = Arc::new(alerting::deliver(config, &store, &clock)?);
        let secret = token_secret(store.as_ref())?;
        let cursors = Cursors::new(&secret_named(store.as_ref(), "cursors")?, pipeline.log.incarnation());
        let context = Arc::new(Context {
            access: Access::new(Arc::clone(&store), Arc::clone(&clock), secret),
            store,
            ingest: pipeline.ingest.clone(),
            hub: Arc::clone(&pipeline.hub),
            log: Arc::clone(&pipeline.log) as Arc<dyn Log>,
            stored: pipeline.stored.clone(),
            projection: Arc::clone(&pipeline.projection),
            catalogs: Arc::clone(&pipeline.catalogs),
            alerts: Arc::clone(&pipeline.alerts),
            deliverer,
            public_url: config.public_url(),
            turn: tokio::sync::Mutex::default(),
            merge_limit: config.merge_limit,
            clock,
            codes: OneTimeCodes::new(Box::new(random_fill)),
            cursors,
            watches: footpath_api::live::Watches::default(),
            recounts: footpath_api::recount::Recounts::default(),
            listings: footpath_api::listings::Listings::default(),
            budgets: Budgets::new(config.body_memory),
            metrics: Arc::default(),
            drain: CancellationToken::new(),
        });
        let first_key = first_start(&context, &config.project)?;
        Ok(Self { context, pipeline, listener, admin_listener, tls, first_key })
    }

    /// Prints how to get in.
    ///
    /// # Errors
    /// If a port is gone already.
    pub fn announce(&self, config: &Config) -> anyhow::Result<()> {
        if let Some(key) = &self.first_key {
            println!("project: {}", config.project);
            println!("project key: {key}");
        }
        println!("admin: http://{}", reachable(self.admin_listener.local_addr()?));
        let code = self.context.codes.issue(&config.project, self.context.clock.now_us());
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        println!("open: {scheme}://{}/?code={code}", reachable(self.listener.local_addr()?));
        Ok(())
    }

    /// Serves until SIGTERM or Ctrl-C, then drains.
    ///
    /// # Errors
    /// If a part cannot be started or the log cannot be closed.
    pub async fn serve(
        self,
        config: &Config,
        mut telemetry: Telemetry,
        stop: StopSignal,
    ) -> anyhow::Result<()> {
        let Self { context, pipeline, listener, admin_listener, tls, .. } = self;
        let room = Arc::new(Semaphore::new(config.max_connections));
        let readings = Readings::new(
            Arc::clone(&context),
            consumers(&context, &pipeline),
            pipeline.chunk_counters(),
            Arc::clone(&room),
            config.max_connections,
        );
        let readings = Arc::new(readings);
        telemetry.measure(config, &readings)?;
        let waking = tokio::spawn(alerting::wake(Arc::clone(&context)));
        let evaluator = (!config.ingest_only).then(|| evaluate(&context, pipeline.down_since_us));
        let health = admin::health_reporter().await;
        let readiness = Readiness::new(Arc::clone(&context));
        tokio::spawn(readiness.clone().report(health.clone()));
        let series = selected(&context, config);
        let admin = tokio::spawn(admin::serve(admin_listener, readiness, readings, series, health.clone()));
        let serving = tonic::transport::Server::builder()
            .accept_http1(true)
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE_ANSWER))
            .http2_max_header_list_size(HEADER_BYTES)
            .max_concurrent_streams(config.max_streams)
            .layer(TraceLayer)
            .layer(WebLayer)
            .layer(AccessLayer::new(Arc::clone(&context)))
            .layer(BodyLayer::new(Arc::clone(&context)))
            .add_routes(routes(&context, config.reflection)?)
            .add_service(HealthServer::new(HealthService::from_health_reporter(health)))
            .serve_with_incoming_shutdown(
                listener::connections(listener, tls, room),
                context.drain.clone().cancelled_owned(),
            );
        tokio::select! {
            served = serving => served?,
            () = drained(&context.drain, stop, config.until_stdin_closes) => tracing::warn!("some calls did not end in time and are cut off"),
        }
        waking.abort();
        context.deliverer.stop().await;
        drop(evaluator); // It writes into the log, which is about to be closed.
        tokio::task::spawn_blocking(move || {
            let stopped = pipeline.stop();
            telemetry.stop();
            stopped
        })
        .await??;
        admin.abort(); // Last: until here it says "draining".
        Ok(())
    }
}

/// What /series shows.
fn selected(context: &Arc<Context>, config: &Config) -> Series {
    let selected = Some(config.series.clone()).filter(|selected| !selected.is_empty());
    Series::new(selected.map(|selected| SeriesNumbers::new(Arc::clone(context), selected)))
}

/// Waits for the stop signal, tells everybody, and returns when the time to end is over.
async fn drained(drain: &CancellationToken, stop: StopSignal, until_stdin_closes: bool) {
    tokio::select! {
        () = stop.received() => {}
        () = stdin_closed(), if until_stdin_closes => {}
    }
    tracing::info!("stopping: open calls may end, streams are told");
    drain.cancel();
    tokio::time::sleep(DRAIN).await;
}

/// Whoever reads the log.
fn consumers(context: &Arc<Context>, pipeline: &Pipeline) -> Vec<Consumer> {
    let (hub, projection) = (Arc::clone(&context.hub), Arc::clone(&context.projection));
    let chunks = Arc::clone(&pipeline.chunks);
    let covered = move || {
        let manifest = chunks.manifest();
        Progress { position: manifest.upto, processed_us: manifest.upto_append_us }
    };
    vec![
        Consumer::new("live", move || *hub.read().borrow()),
        Consumer::new("ledger", move || projection.progress()),
        Consumer::new("chunks", covered),
    ]
}

/// 2020-01-01: no machine that runs this can be right about an earlier time.
const EARLIEST_US: i64 = 1_577_836_800_000_000;

/// Events would be stored under the wrong time, and times before 1970 cannot even be written.
fn check_clock(clock: &dyn Clock) -> anyhow::Result<()> {
    anyhow::ensure!(
        clock.now_us() >= EARLIEST_US,
        "the system's clock is set to a time before 2020: set it right, then start again"
    );
    Ok(())
}

/// Without its state a folder that holds events would look like a new one: other keys, and no funnel.
fn check_state(data: &Path) -> anyhow::Result<()> {
    let state = data.join("state.redb");
    let is_new = match std::fs::metadata(&state) {
        Ok(found) => found.len() == 0,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    let holds =
        |folder: &str| std::fs::read_dir(data.join(folder)).is_ok_and(|mut found| found.next().is_some());
    anyhow::ensure!(
        !is_new || !(holds("log") || holds("chunks")),
        "{} is missing, but {} holds events: restore the file from a backup, or name another folder with --data \
         to start anew",
        state.display(),
        data.display()
    );
    Ok(())
}

/// Where a program of this machine finds what listens at `address`: "every address" is none to go to.
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        });
    }
    address
}

fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .and_then(TcpListener::from_std);
    listener.with_context(|| format!("cannot serve on {address}; is another server running?"))
}

/// The secret that tokens are signed with, made on the first start.
pub fn token_secret(store: &dyn Store) -> anyhow::Result<Vec<u8>> {
    Ok(secret_named(store, "jwt")?.to_vec())
}

fn secret_named(store: &dyn Store, name: &str) -> anyhow::Result<[u8; 32]> {
    if let Some(row) = store.secret(name)? {
        let bytes = row.bytes.try_into().ok();
        return bytes.with_context(|| format!("the stored secret {name:?} does not have 32 bytes"));
    }
    let bytes = random::<32>();
    store.put_secret(&SecretRow { name: name.into(), bytes: bytes.to_vec() })?;
    Ok(bytes)
}

/// Makes the first project and its first key; the key's secret is shown this once.
fn first_start(context: &Context, project: &str) -> anyhow::Result<Option<String>> {
    if !context.store.projects()?.is_empty() {
        return Ok(None);
    }
    context.store.create_project(&NewProject {
        id: project.to_owned(),
        title: project.to_owned(),
        time_zone: "UTC".into(),
        created_at_us: context.clock.now_us(),
    })?;
    let (_, secret) = create_key(context, project, "first key", Environment::Prod)
        .map_err(|status| anyhow::anyhow!("the first key could not be made: {}", status.message()))?;
    Ok(Some(secret))
}

pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    random_fill(&mut bytes);
    bytes
}

#[allow(clippy::disallowed_methods)] // The composition root is where randomness comes from.
fn random_fill(buffer: &mut [u8]) {
    rand::rng().fill_bytes(buffer);
}

/// SIGTERM and Ctrl-C, from the moment it is made: one that comes while the log is still being read counts, too.
pub struct StopSignal {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignal {
    /// # Errors
    /// If the system has no room for it.
    pub fn listen() -> std::io::Result<Self> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt })
    }

    async fn received(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Ends when whoever started this process is gone or closes its end.
async fn stdin_closed() {
    let (told, closed) = tokio::sync::oneshot::channel();
    // A thread of its own: a read that blocks for ever would hold up the runtime's end.
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink()); // An error is an end as well.
        let _ = told.send(());
    });
    let _ = closed.await;
}

#[cfg(test)]
mod replay;

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};
    use footpath_model::clock::ManualClock;

    use super::*;

    /// What is usual, on any free ports.
    pub(super) fn config(data: &Path) -> Config {
        let command = Config::augment_args(clap::Command::new("serve").no_binary_name(true));
        let ports = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data"];
        let args = ports.map(Into::into).into_iter().chain([data.as_os_str().to_owned()]);
        Config::from_arg_matches(&command.get_matches_from(args)).unwrap()
    }

    #[tokio::test]
    async fn a_clock_before_2020_stops_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let config = config(&data);
        for wrong in [0, EARLIEST_US - 1] {
            let error = App::open(&config, Arc::new(ManualClock::at(wrong))).err().unwrap().to_string();
            assert!(error.contains("clock") && !data.exists(), "{error}");
        }
        let right = App::open(&config, Arc::new(ManualClock::at(EARLIEST_US))).unwrap();
        tokio::task::spawn_blocking(|| right.pipeline.stop()).await.unwrap().unwrap();
    }

    #[test]
    fn a_link_never_leads_to_every_address() {
        for (given, shown) in [
            ("0.0.0.0:7400", "127.0.0.1:7400"),
            ("[::]:7400", "[::1]:7400"),
            ("192.0.2.1:7400", "192.0.2.1:7400"),
        ] {
            assert_eq!(reachable(given.parse().unwrap()).to_string(), shown);
        }
    }

    #[test]
    fn events_without_their_state_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        check_state(folder.path()).unwrap();
        std::fs::create_dir(folder.path().join("log")).unwrap();
        check_state(folder.path()).unwrap();
        std::fs::write(folder.path().join("log/1"), "x").unwrap();
        for empty in [false, true] {
            if empty {
                std::fs::write(folder.path().join("state.redb"), "").unwrap();
            }
            let error = check_state(folder.path()).unwrap_err().to_string();
            assert!(error.contains("state.redb is missing") && error.contains("backup"), "{error}");
        }
        std::fs::write(folder.path().join("state.redb"), "x").unwrap();
        check_state(folder.path()).unwrap();
    }
}
