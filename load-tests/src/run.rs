//! Sends batches: as fast as they are answered (`saturate`), or on a schedule that waits for no answer (`open_loop`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use bytes::BytesMut;
use footpath_proto::v1::IngestResponse;
use http::uri::PathAndQuery;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tonic::Request;
use tonic::client::Grpc;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};

use crate::clock::wall_ms;
use crate::report::Tally;
use crate::source::Source;
use crate::wire::RawCodec;

const INGEST: &str = "/footpath.v1.IngestService/Ingest";
const DRAIN: Duration = Duration::from_secs(30);

/// One connection with its source of batches.
pub struct Connection {
    channel: Channel,
    auth: Option<MetadataValue<Ascii>>,
    source: Mutex<Source>,
    in_flight: Semaphore,
}

/// When a run measures. What is sent before `from` warms up and is checked, but not counted as speed.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// The first moment that counts.
    pub from: Instant,
    /// The end of sending.
    pub to: Instant,
}

impl Connection {
    /// Connects; at most `in_flight` batches are under way at once.
    ///
    /// # Errors
    /// When the target is no URL, nothing listens there, or the key is not printable.
    pub async fn open(
        target: &str,
        key: Option<&str>,
        source: Source,
        in_flight: usize,
    ) -> anyhow::Result<Self> {
        let channel = Endpoint::from_shared(target.to_owned())
            .with_context(|| format!("{target} is not a URL like http://127.0.0.1:7400"))?
            .tcp_nodelay(true)
            .connect()
            .await
            .with_context(|| format!("nothing answers at {target}; start the server first"))?;
        let auth =
            key.map(|key| format!("Bearer {key}").parse()).transpose().context("the key is not printable")?;
        Ok(Self { channel, auth, source: Mutex::new(source), in_flight: Semaphore::new(in_flight) })
    }

    fn source(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends one fresh batch and checks the answer. Returns how many events it held.
    async fn send(&self) -> Result<(usize, IngestResponse), String> {
        let (mut template, batch_id) = self.source().take(wall_ms()).ok_or("no template is free")?;
        let events = template.len();
        let kept = std::mem::take(&mut template.bytes).freeze();
        let mut request = Request::new(kept.clone());
        if let Some(auth) = &self.auth {
            request.metadata_mut().insert("authorization", auth.clone());
        }
        let answer = self.call(request).await;
        template.bytes = kept.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        self.source().give_back(template);
        let answer = answer?;
        if answer.batch_id.as_bytes() != batch_id {
            return Err(format!("the answer names batch {:?}, not the one sent", answer.batch_id));
        }
        Ok((events, answer))
    }

    async fn call(&self, request: Request<bytes::Bytes>) -> Result<IngestResponse, String> {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.map_err(|error| format!("connection lost: {error}"))?;
        let path = PathAndQuery::from_static(INGEST);
        let answer = grpc.unary(request, path, RawCodec).await;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|status| format!("{:?}: {}", status.code(), status.message()))
    }
}

/// Keeps `in_flight` batches under way on every connection until the window ends.
pub async fn saturate(
    connections: &[Arc<Connection>],
    in_flight: usize,
    window: Window,
    tally: &Arc<Mutex<Tally>>,
) {
    let mut workers = JoinSet::new();
    for connection in connections.iter().flat_map(|one| std::iter::repeat_n(one, in_flight)) {
        let (connection, tally) = (Arc::clone(connection), Arc::clone(tally));
        workers.spawn(async move {
            while Instant::now() < window.to {
                let sent = Instant::now();
                let answer = connection.send().await;
                let failed = answer.is_err();
                note(&tally, window, sent, sent, answer);
                if failed {
                    sleep(Duration::from_millis(50)).await;
                }
            }
        });
    }
    drain(workers, window.to, tally).await;
}

/// Sends a batch every `interval`, in turn over the connections, whether or not earlier ones are answered.
/// Latency counts from the moment a batch was due, so a stall is charged to every batch that it delayed.
pub async fn open_loop(
    connections: &[Arc<Connection>],
    interval: Duration,
    start: Instant,
    window: Window,
    tally: &Arc<Mutex<Tally>>,
) {
    let mut under_way = JoinSet::new();
    for (index, connection) in (0u64..).zip(connections.iter().cycle()) {
        let due = start + Duration::from_nanos((interval.as_nanos() as u64).saturating_mul(index));
        if due >= window.to {
            break;
        }
        sleep_until(due).await;
        while under_way.try_join_next().is_some() {}
        let (connection, tally) = (Arc::clone(connection), Arc::clone(tally));
        under_way.spawn(async move {
            let Ok(_permit) = connection.in_flight.acquire().await else { return };
            let sent = Instant::now();
            let answer = connection.send().await;
            note(&tally, window, due, sent, answer);
        });
    }
    drain(under_way, window.to, tally).await;
}

/// Waits for the last answers; what has none after 30 s is an error.
async fn drain(mut tasks: JoinSet<()>, end: Instant, tally: &Mutex<Tally>) {
    while let Ok(Some(done)) = timeout_at(end + DRAIN, tasks.join_next()).await {
        if let Err(error) = done {
            lock(tally).error(format!("a sender ended early: {error}"));
        }
    }
    for _ in 0..tasks.len() {
        lock(tally).error("no answer within 30 s of the end".to_owned());
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note(
    tally: &Mutex<Tally>,
    window: Window,
    due: Instant,
    sent: Instant,
    answer: Result<(usize, IngestResponse), String>,
) {
    let now = Instant::now();
    let mut tally = lock(tally);
    let (events, answer) = match answer {
        Ok(answered) => answered,
        Err(error) => return tally.error(error),
    };
    tally.answer(events, &answer);
    if now >= window.from && now < window.to {
        tally.in_window(events);
    }
    if due >= window.from {
        tally.latency(now - due, now - sent);
    }
}
