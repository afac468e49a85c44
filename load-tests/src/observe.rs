//! Watches a server under load: a funnel on an open `Watch`, and the admin port's /metrics every few seconds.

mod judge;
pub mod metrics;
mod sample;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use footpath_proto::v1;
use tokio::time::{Instant, interval};
use v1::live_service_client::LiveServiceClient;
use v1::watch_response::Message;

use crate::signed::connect;
pub use judge::{Tolerance, Verdict};
use metrics::scrape;
pub use sample::{Sample, Samples};

/// What to watch.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server's URL.
    pub target: String,
    /// Address of its admin port.
    pub admin: String,
    /// A token of role viewer.
    pub token: String,
    /// The project's id.
    pub project: String,
    /// The funnel's id.
    pub funnel: String,
    /// The folder of the server's log, to see what it takes on disk.
    pub log: PathBuf,
    /// How long.
    pub time: Duration,
    /// Time between two samples.
    pub every: Duration,
}

/// Samples until the time is over.
///
/// # Errors
/// When the watch ends, or the admin port does not answer.
pub async fn observe(options: &Options) -> anyhow::Result<Samples> {
    let changes = Arc::new(AtomicU64::new(0));
    let watching = watch(options, Arc::clone(&changes));
    let sampling = sample(options, &changes);
    tokio::select! {
        ended = watching => bail!("the watch ended: {:?}", ended?),
        samples = sampling => samples,
    }
}

async fn sample(options: &Options, changes: &AtomicU64) -> anyhow::Result<Samples> {
    let start = Instant::now();
    let mut ticks = interval(options.every);
    let mut samples = Vec::new();
    while start.elapsed() <= options.time {
        ticks.tick().await;
        let seconds = start.elapsed().as_secs_f64();
        let metrics = scrape(&options.admin).await.context("the admin port does not answer")?;
        let mut sample = Sample::of(seconds, &metrics)?;
        sample.log_disk_bytes = segments_bytes(options)?;
        sample.changes = changes.load(Ordering::Relaxed);
        samples.push(sample);
    }
    Ok(Samples(samples))
}

/// Bytes of the log's segments that hold records; free ones wait to be used again.
fn segments_bytes(options: &Options) -> anyhow::Result<f64> {
    let entries = std::fs::read_dir(&options.log)
        .with_context(|| format!("cannot read the log's folder {}", options.log.display()))?;
    let mut bytes = 0;
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("segment-") {
            bytes += entry.metadata().map_or(0, |file| file.len()); // Trimmed between the two looks.
        }
    }
    Ok(bytes as f64)
}

/// Counts the funnel's messages; returns why the stream ended.
async fn watch(options: &Options, changes: Arc<AtomicU64>) -> anyhow::Result<String> {
    let mut client = LiveServiceClient::new(connect(&options.target, &options.token).await?);
    let funnel = v1::FunnelSubscription { funnel_id: options.funnel.clone(), interval_ms: 0 };
    let subscription = v1::Subscription {
        id: "funnel".to_owned(),
        target: Some(v1::subscription::Target::Funnel(funnel)),
        cursor: String::new(),
    };
    let request = v1::WatchRequest { project: options.project.clone(), subscriptions: vec![subscription] };
    let mut stream = client.watch(request).await.context("cannot watch the funnel")?.into_inner();
    while let Some(answer) = stream.message().await? {
        match answer.message {
            Some(Message::FunnelDelta(_) | Message::FunnelSnapshot(_)) => {
                changes.fetch_add(1, Ordering::Relaxed);
            }
            Some(Message::Ended(ended)) => return Ok(format!("{}: {}", ended.reason, ended.message)),
            _ => {}
        }
    }
    Ok("the server closed it".to_owned())
}
