//! The composition root: the only place that names a backend.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use footpath_api::access::Access;
use footpath_api::admin::{OneTimeCodes, create_key};
use footpath_api::body::BodyLayer;
use footpath_api::budget::Budget;
use footpath_api::cursor::Cursors;
use footpath_api::layer::AccessLayer;
use footpath_api::projection::Projection;
use footpath_api::web::WebLayer;
use footpath_api::{Context, routes};
use footpath_ingest::{DedupeJudge, Ingest};
use footpath_history::{Chunks, Stored};
use footpath_live::{Hub, ImageOptions, KnownProject, Live, LiveParts};
use footpath_log::dedupe::{Dedupe, DedupeConfig};
use footpath_log::{EmbeddedLog, EmbeddedOptions, Log, RealDisk, Sequencer, WriteMode};
use footpath_model::clock::{Clock, SystemClock};
use footpath_store::{EmbeddedStore, Environment, NewProject, SecretRow, Store};
use rand::Rng as _;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::projector::Projector;

/// Frames that a slow tail may fall behind before it reads from the log again.
const TAIL_FRAMES: usize = 1024;

/// The server, composed.
pub struct App {
    context: Arc<Context>,
    log: Arc<EmbeddedLog>,
    live: Live,
    projector: Projector,
    listen: SocketAddr,
    until_stdin_closes: bool,
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
        let ingest = start_ingest(config, &log, &clock)?;
        let hub = Arc::new(Hub::new(TAIL_FRAMES));
        let projection = Arc::new(Projection::default());
        // Before the live path, which takes the definitions from the store.
        let projector =
            Projector::start(Arc::clone(&log) as Arc<dyn Log>, Arc::clone(&store), Arc::clone(&projection))?;
        let live = start_live(config, &store, &log, &hub, &clock)?;
        let secret = token_secret(store.as_ref())?;
        let cursors = Cursors::new(&secret_named(store.as_ref(), "cursors")?, log.incarnation());
        let context = Arc::new(Context {
            access: Access::new(Arc::clone(&store), Arc::clone(&clock), secret),
            store,
            ingest,
            hub,
            log: Arc::clone(&log) as Arc<dyn Log>,
            projection,
            clock,
            codes: OneTimeCodes::new(Box::new(random_fill)),
            cursors,
            watches: footpath_api::live::Watches::default(),
            budget: Budget::new(config.body_memory),
            metrics: Arc::default(),
            drain: CancellationToken::new(),
        });
        let first_key = first_start(&context, &config.project)?;
        Ok(Self {
            context,
            log,
            live,
            projector,
            listen: config.listen,
            until_stdin_closes: config.until_stdin_closes,
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
        let until_stdin_closes = self.until_stdin_closes;
        let stop = async move {
            tokio::select! {
                () = stop_signal() => {}
                () = stdin_closed(), if until_stdin_closes => {}
            }
            drain.cancel();
        };
        tonic::transport::Server::builder()
            .accept_http1(true)
            .layer(WebLayer)
            .layer(AccessLayer::new(Arc::clone(&self.context)))
            .layer(BodyLayer::new(Arc::clone(&self.context)))
            .add_routes(routes(&self.context)?)
            .serve_with_shutdown(listen, stop)
            .await
            .with_context(|| format!("cannot serve on {listen}; is another server running?"))?;
        let Self { context, log, live, projector, .. } = self;
        tokio::task::spawn_blocking(move || {
            context.ingest.stop();
            drop(live);
            drop(projector);
            log.seal()
        })
        .await??;
        Ok(())
    }
}

fn start_ingest(config: &Config, log: &Arc<EmbeddedLog>, clock: &Arc<dyn Clock>) -> anyhow::Result<Ingest> {
    let dedupe = Dedupe::create(DedupeConfig::new(config.data.join("ids")))?;
    let judge = DedupeJudge::replayed(dedupe, log.as_ref())?;
    let now = Arc::clone(clock);
    let sequencer = Sequencer::start(
        Arc::clone(log) as Arc<dyn Log>,
        judge,
        Arc::new(move || now.now_us()),
        footpath_log::Limits::default(),
    )?;
    let limits = config.limits();
    Ok(Ingest::new(sequencer, Arc::clone(clock), limits, Arc::new(random)))
}

fn start_live(
    config: &Config,
    store: &Arc<dyn Store>,
    log: &Arc<EmbeddedLog>,
    hub: &Arc<Hub>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Live> {
    let names = Arc::clone(store);
    let name = move |number| names.projects().ok()?.into_iter().find(|p| p.number == number).map(|p| p.id);
    let chunk_disk = RealDisk::open(&config.data.join("chunks"), WriteMode::Buffered)?;
    let chunks = Chunks::open(Arc::new(chunk_disk), log.incarnation())?;
    let images = ImageOptions {
        disk: Arc::new(RealDisk::open(&config.data.join("images"), WriteMode::Buffered)?),
        incarnation: log.incarnation(),
        every: config.image_interval,
        durable: Arc::default(),
    };
    let known = known_projects(store.as_ref())?;
    let (log, hub) = (Arc::clone(log) as Arc<dyn Log>, Arc::clone(hub));
    let stored = Stored::new(Arc::clone(&log), Arc::new(chunks));
    let clock = Arc::clone(clock);
    let names = Box::new(name);
    Ok(Live::start(LiveParts { log, stored, hub, clock, known, names, images: Some(images) })?)
}

/// What was defined before.
fn known_projects(store: &dyn Store) -> anyhow::Result<Vec<KnownProject>> {
    let mut known = Vec::new();
    for project in store.projects()? {
        let rows = store.funnels(&project.id, None, usize::MAX)?;
        let funnels = rows.iter().map(|row| {
            serde_json::from_str(&row.json)
                .with_context(|| format!("the stored funnel {:?} cannot be read", row.id))
        });
        let funnels = funnels.collect::<anyhow::Result<_>>()?;
        known.push(KnownProject { number: project.number, id: project.id, funnels });
    }
    Ok(known)
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
