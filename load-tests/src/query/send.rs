//! Sends a set, as fast as it is taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use footpath_proto::v1;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tonic::Code;
use v1::ingest_service_client::IngestServiceClient;

use super::Set;
use crate::signed::connect;

const BATCH_EVENTS: usize = 2_000;
/// Batches under way, each on a connection of its own. More would mix the order of time.
const UNDER_WAY: usize = 4;
/// How long to wait when the server is busy.
const PAUSE: Duration = Duration::from_millis(50);

/// What was sent.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// Events that are stored now.
    pub stored: usize,
    /// How long it took.
    pub took: Duration,
}

/// Sends all events to `target` (a URL) with a project key.
///
/// # Errors
/// When a batch is refused for another reason than that the server is busy, or not all of its events were stored.
pub async fn send(target: &str, key: &str, set: Arc<Set>) -> anyhow::Result<Sent> {
    let begin = Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    let mut senders = JoinSet::new();
    for _ in 0..UNDER_WAY {
        let client = IngestServiceClient::new(connect(target, key).await?);
        let (set, next) = (Arc::clone(&set), Arc::clone(&next));
        senders.spawn(async move {
            let mut stored = 0;
            loop {
                let from = next.fetch_add(BATCH_EVENTS, Ordering::Relaxed);
                if from >= set.len() {
                    return anyhow::Ok(stored);
                }
                let range = from..(from + BATCH_EVENTS).min(set.len());
                stored += one(client.clone(), set.batch(range)?).await?;
            }
        });
    }
    let mut stored = 0;
    while let Some(sent) = senders.join_next().await {
        stored += sent??;
    }
    Ok(Sent { stored, took: begin.elapsed() })
}

async fn one<T>(mut client: IngestServiceClient<T>, batch: v1::IngestRequest) -> anyhow::Result<usize>
where
    T: tonic::client::GrpcService<tonic::body::Body>,
    T::Error: Into<tonic::codegen::StdError>,
    T::ResponseBody: tonic::codegen::Body<Data = bytes::Bytes> + Send + 'static,
    <T::ResponseBody as tonic::codegen::Body>::Error: Into<tonic::codegen::StdError> + Send,
{
    loop {
        let answer = client.ingest(batch.clone()).await;
        if answer.as_ref().is_err_and(|status| status.code() == Code::ResourceExhausted) {
            sleep(PAUSE).await;
            continue;
        }
        let answer = answer.context("a batch was refused")?.into_inner();
        let (stored, events) = (answer.stored as usize, batch.events.len());
        ensure!(stored == events, "{stored} of {events} events were stored; send to an empty project");
        return Ok(stored);
    }
}
