//! A sender: makes batches and sends the very same bytes again until each is acknowledged.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use footpath_proto::v1;
use rand::RngExt as _;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use super::link::{Link, with};
use super::source::{Kind, Source};

type IngestClient = v1::ingest_service_client::IngestServiceClient<Channel>;

/// Mean pause between two batches.
const PACE_MS: u64 = 60;
/// Batches under way on a stream.
const IN_FLIGHT: usize = 4;
/// Acknowledged batches kept to be sent once more.
const KEPT: usize = 8;
/// Longer than any answer takes; the batch is then sent again.
const ANSWER: Duration = Duration::from_secs(30);
/// Between two attempts to reach a server that is gone.
const AGAIN: Duration = Duration::from_millis(5);

/// A batch and its number in the books.
type Work = (usize, v1::IngestRequest);

/// See the module.
#[derive(Debug)]
pub struct Sender {
    source: Source,
    kind: Kind,
    streams: bool,
    acked: VecDeque<Work>,
    /// Whether the last thing it does in a round is to send something acknowledged once more.
    farewell: bool,
}

impl Sender {
    /// Sends what `source` makes, over `IngestStream` or batch by batch.
    pub fn new(source: Source, kind: Kind, streams: bool) -> Self {
        Self { source, kind, streams, acked: VecDeque::new(), farewell: false }
    }

    /// Sends until the link says to stop and everything is acknowledged.
    ///
    /// # Errors
    /// If an answer contradicts the books.
    pub async fn run(mut self, link: Arc<Link>) -> anyhow::Result<Self> {
        self.farewell = self.source.rng().random_bool(0.5);
        if self.streams {
            self.run_stream(&link).await?;
        } else {
            self.run_unary(&link).await?;
        }
        Ok(self)
    }

    /// Sends one batch.
    ///
    /// # Errors
    /// If an answer contradicts the books.
    pub async fn greet(&mut self, link: &Link) -> anyhow::Result<bool> {
        let work = self.fresh(link);
        attempt(&connect(link).await, link, &work).await
    }

    /// The next batch: mostly a fresh one, sometimes one that was acknowledged before.
    fn next_work(&mut self, link: &Link) -> Option<Work> {
        if !link.is_producing() {
            return std::mem::take(&mut self.farewell).then(|| self.any_acked()).flatten();
        }
        if self.source.rng().random_bool(0.1) {
            return self.any_acked().or_else(|| Some(self.fresh(link)));
        }
        Some(self.fresh(link))
    }

    fn fresh(&mut self, link: &Link) -> Work {
        let (batch, entries) = self.source.next();
        (link.books().enter(batch.batch_id.clone(), entries), batch)
    }

    fn any_acked(&mut self) -> Option<Work> {
        let count = self.acked.len();
        (count > 0).then(|| self.acked[self.source.rng().random_range(0..count)].clone())
    }

    fn keep(&mut self, work: Work) {
        if self.kind == Kind::Heavy {
            return;
        }
        self.acked.push_back(work);
        if self.acked.len() > KEPT {
            self.acked.pop_front();
        }
    }

    async fn pause(&mut self, link: &Link) {
        if link.is_producing() {
            sleep(Duration::from_millis(self.source.rng().random_range(0..=2 * PACE_MS))).await;
        }
    }

    async fn run_unary(&mut self, link: &Link) -> anyhow::Result<()> {
        let mut client = connect(link).await;
        while let Some(work) = self.next_work(link) {
            loop {
                // Twins race each other into the log; one of them is the duplicate.
                let twins = self.source.rng().random_bool(0.1);
                if unary(&client, link, &work, twins).await? {
                    break;
                }
                client = connect(link).await;
            }
            self.keep(work);
            self.pause(link).await;
        }
        Ok(())
    }

    async fn run_stream(&mut self, link: &Link) -> anyhow::Result<()> {
        let mut waiting = VecDeque::new();
        loop {
            let mut client = connect(link).await;
            let Ok(mut stream) = Stream::open(&mut client, link).await else { continue };
            if self.follow(&mut stream, link, &mut waiting).await? {
                return Ok(());
            }
            for (batch, _) in &waiting {
                link.books().unanswered(*batch);
            }
        }
    }

    /// Works on one stream until it breaks (`false`) or everything is acknowledged.
    async fn follow(
        &mut self,
        stream: &mut Stream,
        link: &Link,
        waiting: &mut VecDeque<Work>,
    ) -> anyhow::Result<bool> {
        for work in waiting.iter() {
            if !stream.send(link, work).await {
                return Ok(false);
            }
        }
        loop {
            while waiting.len() < IN_FLIGHT {
                let Some(work) = self.next_work(link) else { break };
                let sent = stream.send(link, &work).await;
                waiting.push_back(work);
                if !sent {
                    return Ok(false);
                }
                self.pause(link).await;
            }
            if waiting.is_empty() {
                return Ok(true);
            }
            let Some(ack) = stream.ack().await else { return Ok(false) };
            let place = waiting.iter().position(|(batch, _)| *batch as u64 == ack.sequence);
            let place = place.with_context(|| format!("an ack of a batch that was not sent: {ack:?}"))?;
            let Some(answer) = ack.response else { return Ok(false) }; // A refused batch is sent again.
            if !take(link, waiting[place].0, &answer)? {
                return Ok(false);
            }
            let work = waiting.remove(place);
            self.keep(work.context("the batch was there a moment ago")?);
        }
    }
}

/// Waits for a server and for its port.
async fn connect(link: &Link) -> IngestClient {
    loop {
        if let Ok(endpoint) = Endpoint::from_shared(link.url().await)
            && let Ok(channel) = endpoint.connect().await
        {
            return IngestClient::new(channel);
        }
        sleep(AGAIN).await;
    }
}

/// Sends a batch once, or twice at once; says whether it is acknowledged.
async fn unary(client: &IngestClient, link: &Link, work: &Work, twins: bool) -> anyhow::Result<bool> {
    if !twins {
        return attempt(client, link, work).await;
    }
    link.books().racing(work.0, true);
    let (one, other) = tokio::join!(attempt(client, link, work), attempt(client, link, work));
    link.books().racing(work.0, false);
    Ok(one? | other?)
}

async fn attempt(client: &IngestClient, link: &Link, (batch, request): &Work) -> anyhow::Result<bool> {
    let mut client = client.clone();
    link.books().sending(*batch);
    let call = timeout(ANSWER, client.ingest(with(&link.key, request.clone())));
    match call.await {
        Ok(Ok(answer)) => take(link, *batch, answer.get_ref()),
        Ok(Err(status)) if is_final(&status) => {
            Err(anyhow::anyhow!("batch {} was refused: {status:?}", request.batch_id))
        }
        _ => {
            link.books().unanswered(*batch);
            sleep(AGAIN).await;
            Ok(false)
        }
    }
}

/// What no retry can change.
fn is_final(status: &tonic::Status) -> bool {
    use tonic::Code::{InvalidArgument, NotFound, PermissionDenied, Unauthenticated, Unimplemented};
    matches!(status.code(), InvalidArgument | NotFound | PermissionDenied | Unauthenticated | Unimplemented)
}

fn take(link: &Link, batch: usize, answer: &v1::IngestResponse) -> anyhow::Result<bool> {
    link.answered();
    link.books().answered(batch, answer)
}

/// An open `IngestStream`.
struct Stream {
    out: mpsc::Sender<v1::IngestStreamRequest>,
    acks: Streaming<v1::IngestStreamResponse>,
}

impl Stream {
    async fn open(client: &mut IngestClient, link: &Link) -> Result<Self, tonic::Status> {
        let (out, batches) = mpsc::channel(IN_FLIGHT);
        let call = client.ingest_stream(with(&link.key, ReceiverStream::new(batches)));
        Ok(Self { out, acks: call.await?.into_inner() })
    }

    /// Whether it could be sent.
    async fn send(&self, link: &Link, (batch, request): &Work) -> bool {
        link.books().sending(*batch);
        let message = v1::IngestStreamRequest { sequence: *batch as u64, batch: Some(request.clone()) };
        self.out.send(message).await.is_ok()
    }

    /// The next ack; nothing when the stream is broken.
    async fn ack(&mut self) -> Option<v1::BatchAck> {
        use v1::ingest_stream_response::Message;
        loop {
            let message = timeout(ANSWER, self.acks.message()).await.ok()?.ok()??;
            if let Some(Message::Ack(ack)) = message.message {
                return Some(ack);
            }
        }
    }
}
