//! From a batch's ack to the first `Watch` delta that has it.
//!
//! An ack names no log position, so coverage is proven by counting: the watched funnel is the load's own plus a last
//! step, `delta_marked`, that no load event matches. A marked batch takes one new person through all steps. Marks are
//! sent one after another, each only after the ack of the one before, so they lie in the log in the order of their
//! numbers; the live path reads the log in order. A delta whose last step counts n more persons than the first snapshot
//! hence has marks 1 to n and with them everything acknowledged before them. Both ends are taken on this process's clock.

mod coverage;
mod marks;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use footpath_proto::v1;
use serde::Serialize;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tonic::Streaming;
use v1::definition_service_client::DefinitionServiceClient;
use v1::ingest_service_client::IngestServiceClient;
use v1::live_service_client::LiveServiceClient;
use v1::watch_response::Message;

use crate::clock::wall_ms;
use crate::patch::next_random;
use crate::report::{Latency, histogram, micros};
use crate::signed::{Signed, connect};
use coverage::Coverage;
use marks::Marks;

const FUNNEL: &str = "load_marked";
/// Longer than any healthy delta takes; what is not seen by then counts as never seen.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server's URL.
    pub target: String,
    /// The project key.
    pub key: String,
    /// A token of role analyst.
    pub token: String,
    /// The project's id.
    pub project: String,
    /// The subscription's interval in ms.
    pub interval_ms: u32,
    /// Marked batches a second.
    pub rate: f64,
    /// How long to send them.
    pub time: Duration,
    /// Seed of persons and pauses; has to differ from run to run.
    pub seed: u64,
}

/// What was found; times in ms.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    marks: u64,
    interval_ms: u32,
    deltas_per_s: f64,
    /// From sending a mark to its ack.
    ack_ms: Latency,
    /// From the ack to the first delta that has the mark; 0 when the delta came first.
    ack_to_delta_ms: Latency,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { marks, interval_ms, deltas_per_s, ack_ms, ack_to_delta_ms } = self;
        writeln!(f, "{marks} marks, interval {interval_ms} ms, {deltas_per_s:.1} deltas/s")?;
        writeln!(f, "  ack ms           {ack_ms}")?;
        writeln!(f, "  ack to delta ms  {ack_to_delta_ms}")
    }
}

/// Defines the funnel, watches it, sends marks and waits until the last one is seen.
///
/// # Errors
/// When a call fails, a mark is not stored, or a mark is not seen within 30 s of the last ack.
pub async fn measure(options: &Options) -> anyhow::Result<Found> {
    let reader = connect(&options.target, &options.token).await?;
    define(reader.clone(), &options.project).await?;
    let (mut stream, baseline) = watch(reader, options).await?;
    let coverage = Arc::new(Mutex::new(Coverage::new()?));
    let shared = Arc::clone(&coverage);
    let mut watching = tokio::spawn(async move { follow(&mut stream, baseline, &shared).await });
    let start = Instant::now();
    let ack_ms = tokio::select! {
        ended = &mut watching => bail!("the watch ended: {:?}", ended?),
        sent = send(options, &coverage) => sent?,
    };
    let seconds = start.elapsed().as_secs_f64();
    let deltas = lock(&coverage).deltas();
    let seen = timeout(PATIENCE, async {
        while !lock(&coverage).complete() {
            sleep(Duration::from_millis(5)).await;
        }
    });
    let seen = seen.await;
    watching.abort();
    let coverage = lock(&coverage);
    ensure!(seen.is_ok(), "{} marks were acknowledged and not seen in 30 s", coverage.open());
    Ok(Found {
        marks: coverage.acks(),
        interval_ms: options.interval_ms,
        deltas_per_s: deltas as f64 / seconds,
        ack_ms,
        ack_to_delta_ms: coverage.latency(),
    })
}

fn lock(coverage: &Mutex<Coverage>) -> MutexGuard<'_, Coverage> {
    coverage.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the funnel; the same definition again changes nothing.
async fn define(channel: Signed, project: &str) -> anyhow::Result<()> {
    let step = |name: &str| v1::FunnelStep { events: vec![name.to_owned()], ..Default::default() };
    let last_30_days = v1::RollingRange { count: 30, unit: v1::TimeUnit::Day.into() };
    let funnel = v1::Funnel {
        id: FUNNEL.to_owned(),
        title: "Load, marked".to_owned(),
        steps: marks::steps().map(step).to_vec(),
        window: Some(prost_types::Duration { seconds: 3600, nanos: 0 }),
        range: Some(v1::TimeRange {
            kind: Some(v1::time_range::Kind::Last(last_30_days)),
            time_zone: String::new(),
        }),
        ..Default::default()
    };
    let wanted = v1::CreateFunnelRequest { project: project.to_owned(), funnel: Some(funnel) };
    DefinitionServiceClient::new(channel).create_funnel(wanted).await.context("cannot define the funnel")?;
    Ok(())
}

/// Opens the watch; returns it once the funnel counts, with the persons at its last step by then.
async fn watch(channel: Signed, options: &Options) -> anyhow::Result<(Streaming<v1::WatchResponse>, u64)> {
    let mut client = LiveServiceClient::new(channel);
    let opening = Instant::now();
    while opening.elapsed() < PATIENCE {
        let mut stream = client.watch(request(options)).await?.into_inner();
        while let Some(answer) = timeout(PATIENCE, stream.message()).await?? {
            match answer.message {
                Some(Message::FunnelSnapshot(now)) if now.state() == v1::DefinitionState::Live => {
                    let baseline = last(&now.reached);
                    return Ok((stream, baseline));
                }
                Some(Message::Ended(_)) => break, // The live path has not come to the definition yet.
                _ => {}
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
    bail!("the funnel does not count within 30 s")
}

fn request(options: &Options) -> v1::WatchRequest {
    let funnel = v1::FunnelSubscription { funnel_id: FUNNEL.to_owned(), interval_ms: options.interval_ms };
    let subscription = v1::Subscription {
        id: "marks".to_owned(),
        target: Some(v1::subscription::Target::Funnel(funnel)),
        cursor: String::new(),
    };
    v1::WatchRequest { project: options.project.clone(), subscriptions: vec![subscription] }
}

fn last(reached: &[u64]) -> u64 {
    reached.last().copied().unwrap_or_default()
}

/// Counts what the deltas cover, until the stream ends.
async fn follow(
    stream: &mut Streaming<v1::WatchResponse>,
    baseline: u64,
    coverage: &Mutex<Coverage>,
) -> anyhow::Result<()> {
    while let Some(answer) = stream.message().await? {
        let now = Instant::now();
        match answer.message {
            Some(Message::FunnelDelta(delta)) => {
                lock(coverage).delta(last(&delta.reached).saturating_sub(baseline), now);
            }
            Some(Message::FunnelSnapshot(_)) => bail!("a second snapshot: the funnel was defined anew"),
            Some(Message::Ended(ended)) => bail!("{}: {}", ended.reason, ended.message),
            _ => {}
        }
    }
    Ok(())
}

/// Sends marks, one at a time, with pauses that vary from half to one and a half of the mean, so that they keep no
/// step with the subscription's interval. Returns the ack latencies.
async fn send(options: &Options, coverage: &Mutex<Coverage>) -> anyhow::Result<Latency> {
    let mut client = IngestServiceClient::new(connect(&options.target, &options.key).await?);
    let mut marks = Marks::new(options.seed);
    let mut random = options.seed;
    let mut acks = histogram()?;
    let mean = 1.0 / options.rate;
    let mut due = Instant::now();
    let end = due + options.time;
    while due < end {
        sleep_until(due).await;
        let batch = marks.batch(wall_ms());
        let events = batch.events.len();
        let sent = Instant::now();
        let answer = client.ingest(batch).await;
        let acked = Instant::now();
        // No retries: without an ack there is nothing to measure from, and the number of marks has to be certain.
        let stored = answer.context("a mark was not acknowledged")?.into_inner().stored as usize;
        ensure!(stored == events, "{stored} of a mark's {events} events were stored");
        acks.saturating_record(micros(acked - sent));
        lock(coverage).acked(acked);
        let vary = 0.5 + (next_random(&mut random) >> 11) as f64 / (1u64 << 53) as f64;
        due = (due + Duration::from_secs_f64(mean * vary)).max(acked);
    }
    Ok(Latency::of(&acks))
}
