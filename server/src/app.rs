//! The composition root: the only place that names a backend.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use footpath_api::access::Access;
use footpath_api::admin::{OneTimeCodes, create_key};
use footpath_api::layer::AccessLayer;
use footpath_api::web::WebLayer;
use footpath_api::{Context, routes};
use footpath_ingest::{DedupeJudge, Ingest, RefusedEvents};
use footpath_live::{Hub, KnownFunnel, Live};
use footpath_log::dedupe::{Dedupe, DedupeConfig};
use footpath_log::{
    EmbeddedLog, EmbeddedOptions, Log, RealDisk, Sequencer, SpareKeeper, WriteMode, background_thread,
};
use footpath_model::clock::{Clock, SystemClock};
use footpath_store::{EmbeddedStore, Environment, NewProject, SecretRow, Store};
use rand::Rng as _;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::ledger::Ledger;

/// Frames that a slow tail may fall behind before it reads from the log again.
const TAIL_FRAMES: usize = 1024;

/// The server, composed.
pub struct App {
    context: Arc<Context>,
    log: Arc<EmbeddedLog>,
    live: Live,
    ledger: Ledger,
    refused: RefusedEvents,
    spares: SpareKeeper,
    listen: SocketAddr,
    project: String,
    first_key: Option<String>,
}

impl App {
    /// Opens the data folder and starts the threads.
    ///
    /// # Errors
    /// If the folder cannot be used; the message says what to do.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&config.data)
            .with_context(|| format!("cannot make the data folder {}", config.data.display()))?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&config.data.join("state.redb"))?);
        let disk = Arc::new(RealDisk::open(&config.data.join("log"), WriteMode::Direct)?);
        let incarnation = u64::from_le_bytes(random());
        let log = Arc::new(EmbeddedLog::open(disk, EmbeddedOptions::new(incarnation))?);
        let spares = SpareKeeper::start(Arc::clone(&log))?;
        let refused = keep_refused(&store)?;
        let ingest = start_ingest(config, &log, &clock, &refused)?;
        let hub = Arc::new(Hub::new(TAIL_FRAMES));
        let live = start_live(&store, &log, &hub, &clock)?;
        let ledger = Ledger::start(Arc::clone(&log) as Arc<dyn Log>, Arc::clone(&store))?;
        let secret = token_secret(store.as_ref())?;
        let context = Arc::new(Context {
            access: Access::new(Arc::clone(&store), Arc::clone(&clock), secret),
            store,
            ingest,
            hub,
            log: Arc::clone(&log) as Arc<dyn Log>,
            clock,
            codes: OneTimeCodes::new(Box::new(random_fill)),
            watches: footpath_api::live::Watches::default(),
            drain: CancellationToken::new(),
        });
        let first_key = first_start(&context, &config.project)?;
        Ok(Self {
            context,
            log,
            live,
            ledger,
            refused,
            spares,
            listen: config.listen,
            project: config.project.clone(),
            first_key,
        })
    }

    /// Prints how to get in.
    pub fn announce(&self) {
        if let Some(key) = &self.first_key {
            println!("project: {}", self.project);
            println!("project key: {key}");
        }
        let code = self.context.codes.issue(&self.project, self.context.clock.now_us());
        println!("open: http://{}/?code={code}", self.listen);
    }

    /// Serves until SIGTERM or Ctrl-C, then drains.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn serve(self, listen: SocketAddr) -> anyhow::Result<()> {
        let drain = self.context.drain.clone();
        let stop = async move {
            stop_signal().await;
            drain.cancel();
        };
        tonic::transport::Server::builder()
            .accept_http1(true)
            .layer(WebLayer)
            .layer(AccessLayer::new(Arc::clone(&self.context)))
            .add_routes(routes(&self.context)?)
            .serve_with_shutdown(listen, stop)
            .await
            .with_context(|| format!("cannot serve on {listen}; is another server running?"))?;
        let Self { context, log, live, ledger, refused, spares, .. } = self;
        tokio::task::spawn_blocking(move || {
            context.ingest.stop();
            drop(refused);
            drop(spares);
            drop(live);
            drop(ledger);
            log.seal()
        })
        .await??;
        Ok(())
    }
}

/// Keeps the last refused events in the store.
fn keep_refused(store: &Arc<dyn Store>) -> anyhow::Result<RefusedEvents> {
    let store = Arc::clone(store);
    let keep = move |project: &str, records: &[Vec<u8>]| {
        let kept = store.push_refused(project, records);
        kept.inspect_err(|error| tracing::warn!(%error, "refused events could not be kept")).is_ok()
    };
    Ok(RefusedEvents::start(keep)?)
}

fn start_ingest(
    config: &Config,
    log: &Arc<EmbeddedLog>,
    clock: &Arc<dyn Clock>,
    refused: &RefusedEvents,
) -> anyhow::Result<Ingest> {
    let background = background_thread("dedupe")?;
    let disk = Arc::new(RealDisk::open(&config.data.join("ids"), WriteMode::Buffered)?);
    let dedupe_config = DedupeConfig::new(disk, Arc::clone(&background));
    let dedupe = Dedupe::load(dedupe_config, log.first()..log.durable_end())?;
    let judge = DedupeJudge::replayed(dedupe, log.as_ref(), background, refused.sender())?;
    let view = judge.view();
    let now = Arc::clone(clock);
    let sequencer = Sequencer::start(
        Arc::clone(log) as Arc<dyn Log>,
        judge,
        Arc::new(move || now.now_us()),
        footpath_log::Limits::default(),
    )?;
    let limits = footpath_ingest::limits::Limits::default();
    Ok(Ingest::new(sequencer, view, Arc::clone(clock), limits, Arc::new(random)))
}

fn start_live(
    store: &Arc<dyn Store>,
    log: &Arc<EmbeddedLog>,
    hub: &Arc<Hub>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Live> {
    let mut known = Vec::new();
    for project in store.projects()? {
        for row in store.funnels(&project.id, None, usize::MAX)? {
            let counted = serde_json::from_str(&row.json)
                .with_context(|| format!("the stored funnel {:?} cannot be read", row.id))?;
            known.push(KnownFunnel { project: project.number, project_id: project.id.clone(), counted });
        }
    }
    let names = Arc::clone(store);
    let name = move |number| names.projects().ok()?.into_iter().find(|p| p.number == number).map(|p| p.id);
    let log = Arc::clone(log) as Arc<dyn Log>;
    Ok(Live::start(log, Arc::clone(hub), Arc::clone(clock), known, Box::new(name))?)
}

/// The secret that tokens are signed with, made on the first start.
fn token_secret(store: &dyn Store) -> anyhow::Result<Vec<u8>> {
    if let Some(row) = store.secret("jwt")? {
        return Ok(row.bytes);
    }
    let bytes = random::<32>().to_vec();
    store.put_secret(&SecretRow { name: "jwt".into(), bytes: bytes.clone() })?;
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
    let (_, secret) = create_key(context, project, "first key", Environment::Dev)
        .map_err(|status| anyhow::anyhow!("the first key could not be made: {}", status.message()))?;
    Ok(Some(secret))
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    random_fill(&mut bytes);
    bytes
}

#[allow(clippy::disallowed_methods)] // The composition root is where randomness comes from.
fn random_fill(buffer: &mut [u8]) {
    rand::rng().fill_bytes(buffer);
}

async fn stop_signal() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await, // Ctrl-C still works.
        }
    };
    tokio::select! {
        () = terminate => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
