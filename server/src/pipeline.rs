//! The way of an event behind the API, composed from the embedded engines: log, duplicates, store, chunks, live.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use anyhow::Context as _;
use footpath_alert::{Keeper, Outgoing};
use footpath_api::catalog::Catalogs;
use footpath_api::projection::Projection;
use footpath_api::rows::ledger_entry;
use footpath_history::{ChunkCounters, ChunkWriter, Chunks, Stored, TreeDisk, WriterOptions};
use footpath_ingest::{DedupeJudge, Ingest, RefusedEvents};
use footpath_live::{Hub, ImageOptions, KnownProject, Live, LiveError, LiveParts};
use footpath_log::dedupe::{Dedupe, DedupeConfig};
use footpath_log::{
    EmbeddedLog, EmbeddedOptions, Log, RealDisk, Sequencer, SpareKeeper, WriteMode, background_thread,
};
use footpath_model::clock::Clock;
use footpath_store::{DefinitionKind, DefinitionRow, ProjectRow, Store};
use serde::de::DeserializeOwned;

use crate::app::random;
use crate::backlog::{Backlog, Readers};
use crate::config::Config;
use crate::projector::Projector;

/// Frames that a slow tail may fall behind before it reads from the log again.
const TAIL_FRAMES: usize = 1024;

/// Everything between an accepted batch and a published number.
pub struct Pipeline {
    /// Where every event is first.
    pub log: Arc<EmbeddedLog>,
    /// The way in.
    pub ingest: Ingest,
    /// Where numbers are published.
    pub hub: Arc<Hub>,
    /// Stored events as Parquet.
    pub chunks: Arc<Chunks>,
    /// Chunks and the log above them.
    pub stored: Stored,
    /// How far the store follows the log.
    pub projection: Arc<Projection>,
    /// Names and properties as they were seen.
    pub catalogs: Arc<Catalogs>,
    /// Incidents, and what rules have come to.
    pub alerts: Arc<Keeper>,
    /// When the log was written last before this start, microseconds since 1970: nothing came in since.
    pub down_since_us: i64,
    refused: RefusedEvents,
    spares: SpareKeeper,
    writer: Option<ChunkWriter>,
    projector: Projector,
    live: Option<Live>,
    backlog: Backlog,
}

impl Pipeline {
    /// Opens the data folder's parts and starts their threads.
    ///
    /// # Errors
    /// If a part cannot be used; the message says what to do.
    pub fn start(
        config: &Config,
        store: &Arc<dyn Store>,
        outgoing: Arc<dyn Outgoing>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let disk = Arc::new(RealDisk::open(&config.data.join("log"), WriteMode::Direct)?);
        let log = Arc::new(EmbeddedLog::open(disk, EmbeddedOptions::new(u64::from_le_bytes(random())))?);
        let spares = SpareKeeper::start(Arc::clone(&log))?;
        let refused = keep_refused(store)?;
        let ingest = start_ingest(config, &log, clock, &refused)?;
        if let Err(error) = log.probe() {
            tracing::warn!(%error, "the log cannot be written; the server is not ready until it can");
            ingest.metrics().healthy.store(false, Release);
        }
        let shared = Arc::clone(&log) as Arc<dyn Log>;
        let chunk_disk = TreeDisk::open(&config.data.join("chunks"))?;
        let chunks = Chunks::open(Arc::new(chunk_disk), log.incarnation())?;
        let chunks = Arc::new(chunks.with_cache(config.query_cache));
        chunks.check_log(log.first())?;
        let options = WriterOptions {
            age_us: config.chunk_age.as_micros() as i64,
            promoted: config.promote.clone(),
            ..WriterOptions::default()
        };
        let write =
            || ChunkWriter::start(Arc::clone(&shared), Arc::clone(&chunks), Arc::clone(clock), options);
        let writer = (!config.ingest_only).then(write).transpose()?;
        let stored = Stored::new(Arc::clone(&shared), Arc::clone(&chunks));
        let projection = Arc::new(Projection::default());
        // Before the live path, which takes the definitions from the store.
        let catalogs = Arc::new(Catalogs::default());
        let (carried, seen) = (Arc::clone(&projection), Arc::clone(&catalogs));
        let alerts = Arc::new(Keeper::open(Arc::clone(store), outgoing)?);
        let down_since_us = last_append_us(log.as_ref(), clock.now_us())?;
        let projector = Projector::start(shared, Arc::clone(store), carried, seen, Arc::clone(&alerts))?;
        let hub = Arc::new(Hub::new(TAIL_FRAMES));
        let images = ImageOptions {
            disk: Arc::new(RealDisk::open(&config.data.join("images"), WriteMode::Buffered)?),
            incarnation: log.incarnation(),
            every: config.image_interval,
            durable: Arc::new(AtomicU64::new(0)),
        };
        let needed = needed(&chunks, &ingest, &projection, &catalogs, &images);
        let read = read(writer.as_ref(), &hub);
        let metrics = Arc::clone(ingest.metrics());
        let backlog = Backlog::start(Arc::clone(&log), metrics, Readers { needed, read })?;
        let follow = || start_live(store, &log, &stored, &hub, clock, images, config);
        let live = (!config.ingest_only).then(follow).transpose()?;
        Ok(Self {
            log,
            ingest,
            hub,
            chunks,
            stored,
            projection,
            catalogs,
            alerts,
            down_since_us,
            refused,
            spares,
            writer,
            projector,
            live,
            backlog,
        })
    }

    /// What the writer of chunks has done; nothing without one.
    pub fn chunk_counters(&self) -> Arc<ChunkCounters> {
        self.writer.as_ref().map(|writer| Arc::clone(writer.counters())).unwrap_or_default()
    }

    /// Commits what waits, stops every reader of the log where it is (the next start goes on from there), and closes the
    /// log. Blocks.
    ///
    /// # Errors
    /// If the log cannot be closed.
    pub fn stop(self) -> anyhow::Result<()> {
        let Self { log, ingest, refused, spares, writer, projector, live, backlog, .. } = self;
        ingest.stop();
        drop((refused, spares, backlog, writer, live, projector));
        Ok(log.seal()?)
    }
}

/// When the log was written last; `now_us` for an empty one.
fn last_append_us(log: &EmbeddedLog, now_us: i64) -> anyhow::Result<i64> {
    let Some(last) = log.durable_end().checked_sub(1).filter(|last| *last >= log.first()) else {
        return Ok(now_us);
    };
    Ok(log.read(last, 1)?.first().map_or(now_us, |record| record.append_time_us))
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
    let judge = DedupeJudge::replayed(dedupe, log.as_ref(), background, refused.sender())?
        .snapshots_every(config.snapshot_interval);
    let view = judge.view();
    let limits = group_limits(&config.limits());
    let sequencer = Sequencer::start(Arc::clone(log) as Arc<dyn Log>, judge, Arc::clone(clock), limits)?;
    Ok(Ingest::new(sequencer, view, Arc::clone(clock), config.limits(), Arc::new(random)))
}

/// The sequencer must take the largest batch that is allowed. [`Config::check`] holds it below a project's share of the
/// queue, which in turn is below a segment.
fn group_limits(limits: &footpath_ingest::limits::Limits) -> footpath_log::Limits {
    let usual = footpath_log::Limits::default();
    footpath_log::Limits { submission_bytes: usual.submission_bytes.max(limits.heaviest_batch()), ..usual }
}

fn start_live(
    store: &Arc<dyn Store>,
    log: &Arc<EmbeddedLog>,
    stored: &Stored,
    hub: &Arc<Hub>,
    clock: &Arc<dyn Clock>,
    images: ImageOptions,
    config: &Config,
) -> anyhow::Result<Live> {
    let (projects, decisions) = (Arc::clone(store), Arc::clone(store));
    let name = move |number| {
        let all = projects.projects().map_err(|error| LiveError::Project(error.to_string()))?;
        Ok(all.into_iter().find(|project| project.number == number).map(|project| project.id))
    };
    Ok(Live::start(LiveParts {
        log: Arc::clone(log) as Arc<dyn Log>,
        stored: stored.clone(),
        hub: Arc::clone(hub),
        clock: Arc::clone(clock),
        known: known_projects(store.as_ref())?,
        names: Box::new(name),
        ledger: Arc::new(move |number| {
            let rows =
                decisions.identity(number, 0).map_err(|error| LiveError::Project(error.to_string()))?;
            Ok(rows.iter().filter_map(ledger_entry).collect())
        }),
        images: Some(images),
        reconcile: Some(config.reconcile_every).filter(|every| !every.is_zero()),
        most_units: config.live_units,
    })?)
}

/// What was defined before.
fn known_projects(store: &dyn Store) -> anyhow::Result<Vec<KnownProject>> {
    let known = |project: ProjectRow| {
        let settings = store.settings(&project.id)?;
        let settings = settings.map(|row| serde_json::from_str(&row.json)).transpose();
        Ok(KnownProject {
            number: project.number,
            settings: settings.context("the stored settings cannot be read")?.unwrap_or_default(),
            funnels: stored(store, &project.id, DefinitionKind::Funnel)?,
            metrics: stored(store, &project.id, DefinitionKind::Metric)?,
            rules: stored(store, &project.id, DefinitionKind::Rule)?,
            id: project.id,
        })
    };
    store.projects()?.into_iter().map(known).collect()
}

/// All definitions of a kind.
fn stored<T: DeserializeOwned>(
    store: &dyn Store,
    project: &str,
    kind: DefinitionKind,
) -> anyhow::Result<Vec<T>> {
    let rows = store.definitions(project, kind, None, usize::MAX)?;
    let read = |row: &DefinitionRow| {
        serde_json::from_str(&row.json)
            .with_context(|| format!("the stored {kind:?} {:?} cannot be read", row.id))
    };
    rows.iter().map(read).collect()
}

/// The log is kept from the position on that somebody needs after a restart, or reads right now.
fn needed(
    chunks: &Arc<Chunks>,
    ingest: &Ingest,
    projection: &Arc<Projection>,
    catalogs: &Arc<Catalogs>,
    images: &ImageOptions,
) -> Box<dyn Fn() -> u64 + Send> {
    let (chunks, projection, catalogs) = (Arc::clone(chunks), Arc::clone(projection), Arc::clone(catalogs));
    let (snapshot, image) = (ingest.snapshot_position(), Arc::clone(&images.durable));
    Box::new(move || {
        let durable = snapshot.load(Acquire).min(image.load(Acquire));
        let stored = projection.progress().position.min(catalogs.stored_position());
        chunks.trim_floor().min(durable).min(stored)
    })
}

/// Where the slower of the readers is that every event has to pass. Nobody waits for readers that are switched off.
fn read(writer: Option<&ChunkWriter>, hub: &Arc<Hub>) -> Box<dyn Fn() -> u64 + Send> {
    let Some(writer) = writer else { return Box::new(|| u64::MAX) };
    let (counters, hub) = (Arc::clone(writer.counters()), Arc::clone(hub));
    Box::new(move || {
        let live = hub.read().borrow().position;
        let live = if live == 0 { u64::MAX } else { live }; // It is still being restored and reads nothing.
        counters.taken.load(Relaxed).min(live)
    })
}
