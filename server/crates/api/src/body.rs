//! The body layer: takes memory from a budget as a message comes in.
//!
//! tonic reserves what a message's 5-byte header announces, so a limit inside a handler comes too late. This layer
//! reads the headers first and refuses what is too large. It gathers the pieces of a message, takes memory for what
//! came, and lets tonic see the header when all of it is here; tonic then copies piece by piece, so that the memory
//! is needed once. Compressed messages are inflated here, so that a bomb ends in the documented error.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use futures_util::future::BoxFuture;
use futures_util::stream::try_unfold;
use http::{HeaderName, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::access::{Need, need};
use crate::budget::{Budget, Held, Slot};
use crate::context::Context;
use crate::http::{Encoding, Inflated, is_grpc};
use crate::metrics::Metrics;
use crate::pieces::Pieces;
use crate::status::{invalid, reason_of, with_reason};

/// Bytes of a message that is sent with a token; definitions are the largest of them.
const MESSAGE_BYTES: usize = 1 << 20;
/// Bytes of a message that is sent without a credential: a code, the name of a service or of a type.
const OPEN_BYTES: usize = 16 << 10;
/// Bytes around a batch on a stream.
pub const ENVELOPE: usize = 64;
/// A message must be here this long after its header, or what is here of it would be held for ever.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Compression flag and length before every message.
const HEADER: usize = 5;
/// What is kept of a refused message on a stream: enough for the batch's number.
const HEAD: usize = 16;
/// A refused message on a stream is read past, unless it is this many times too large.
const SKIP: usize = 16;
/// What a gRPC request names its compression in, and a server what it takes.
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPTED: (&str, &str) = ("grpc-accept-encoding", "identity,gzip,zstd");
const INGEST_STREAM: &str = "/footpath.v1.IngestService/IngestStream";

/// Puts the budget before every gRPC call.
#[derive(Clone)]
pub struct BodyLayer {
    context: Arc<Context>,
}

impl BodyLayer {
    /// Takes from `context.budgets`.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}

impl<S> Layer<S> for BodyLayer {
    type Service = BodyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BodyService { inner, context: Arc::clone(&self.context) }
    }
}

/// A service behind the budget.
#[derive(Clone)]
pub struct BodyService<S> {
    inner: S,
    context: Arc<Context>,
}

impl<S> Service<Request<Body>> for BodyService<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if !is_grpc(request.headers()) {
            return Box::pin(self.inner.call(request)); // The HTTP edge takes its memory itself.
        }
        let (mut parts, body) = request.into_parts();
        let rules = match Rules::new(&self.context, &parts) {
            Ok(rules) => rules,
            Err(status) => return Box::pin(async move { Ok(status.into_http()) }),
        };
        parts.headers.remove(ENCODING); // tonic sees inflated messages.
        let held = Arc::new(Held::default());
        let messages = Messages::new(rules, body, Arc::clone(&held));
        parts.extensions.insert(Arc::clone(&held));
        let answer = self.inner.call(Request::from_parts(parts, messages.into_body()));
        Box::pin(async move {
            let answer = answer.await;
            drop(held); // A unary call's messages are dealt with; a stream's handler has its own hold.
            answer
        })
    }
}

/// The messages of one call's body.
struct Messages {
    inner: Body,
    /// Received, not yet looked at.
    pending: Bytes,
    /// What is left to hand over of a message that is complete.
    out: VecDeque<Bytes>,
    trailers: Option<http::HeaderMap>,
    deadline: Instant,
    rules: Rules,
    held: Arc<Held>,
}

/// What holds for the call's messages.
struct Rules {
    limit: usize,
    too_large: &'static str,
    /// Refused messages are told to the handler, which goes on with the next; else they end the call.
    told: bool,
    encoding: Option<Encoding>,
    budget: Budget,
    metrics: Arc<Metrics>,
}

impl Rules {
    fn new(context: &Context, parts: &http::request::Parts) -> Result<Self, Status> {
        let path = parts.uri.path();
        let batch = context.ingest.limits().batch_bytes;
        let need = need(path).unwrap_or(Need::Nothing);
        let told = path == INGEST_STREAM;
        let (limit, too_large) = match need {
            Need::Key if told => (batch + ENVELOPE, "batch_too_large"),
            Need::Key => (batch, "batch_too_large"),
            Need::Token(_) => (MESSAGE_BYTES, "message_too_large"),
            Need::Nothing => (OPEN_BYTES, "message_too_large"),
        };
        let encoding = Encoding::of(&parts.headers, &ENCODING).map_err(|mut status| {
            let (name, accepted) = ACCEPTED;
            status.metadata_mut().insert(name, MetadataValue::from_static(accepted));
            status
        })?;
        let (budget, metrics) = (context.budgets.of(need).clone(), Arc::clone(&context.metrics));
        Ok(Self { limit, too_large, told, encoding, budget, metrics })
    }

    fn too_large(&self) -> Status {
        let message = format!("a message may hold {} bytes, decompressed; send smaller ones", self.limit);
        invalid(self.too_large, &message)
    }

    /// The encoding that a message's flag names; none for a plain message.
    fn encoding(&self, flag: u8) -> Result<Option<Encoding>, Status> {
        match (flag, self.encoding) {
            (0, _) => Ok(None),
            (1, Some(encoding)) => Ok(Some(encoding)),
            (1, None) => {
                Err(invalid("compression_unknown", "a compressed message needs the header grpc-encoding"))
            }
            _ => Err(malformed("a gRPC message begins with 0 or 1")),
        }
    }
}

fn malformed(what: &str) -> Status {
    invalid("frame_malformed", what)
}

impl Messages {
    fn new(rules: Rules, body: Body, held: Arc<Held>) -> Self {
        Self {
            inner: body,
            pending: Bytes::new(),
            out: VecDeque::new(),
            trailers: None,
            deadline: Instant::now() + PATIENCE,
            rules,
            held,
        }
    }

    fn into_body(self) -> Body {
        let frames = try_unfold(self, |mut messages| async move {
            Ok::<_, Status>(messages.next().await?.map(|frame| (frame, messages)))
        });
        Body::new(StreamBody::new(frames))
    }

    async fn next(&mut self) -> Result<Option<Frame<Bytes>>, Status> {
        if self.out.is_empty() && !self.open().await? {
            return Ok(self.trailers.take().map(Frame::trailers));
        }
        Ok(self.out.pop_front().map(Frame::data))
    }

    /// Takes in the next message and decides what happens with it; false at the body's end.
    async fn open(&mut self) -> Result<bool, Status> {
        let Some((flag, bytes)) = self.header().await? else { return Ok(false) };
        self.deadline = Instant::now() + PATIENCE;
        let encoding = self.rules.encoding(flag)?;
        let (mut message, all) = (Pieces::new(&self.rules.budget), HEADER + bytes);
        if bytes > self.rules.limit {
            return self.refuse(message, all, self.rules.too_large()).await;
        }
        while message.bytes() < all {
            let left = all - message.bytes();
            let arrived = self.arrived(left).await?;
            if let Err(busy) = message.make_room(arrived).await {
                self.rules.metrics.bodies_refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                return self.refuse(message, all, busy).await;
            }
            message.push(self.pending.split_to(arrived), arrived == left);
        }
        if let Some(encoding) = encoding {
            return self.inflate(message, encoding).await;
        }
        let (pieces, share) = message.into_list();
        self.out = pieces;
        self.held.push(Slot { share, refusal: None });
        Ok(true)
    }

    /// The next header; it stays in `pending`.
    async fn header(&mut self) -> Result<Option<(u8, usize)>, Status> {
        while self.pending.len() < HEADER {
            // Some bytes of a header do not keep alive what they came in, however long the rest takes.
            self.pending = Bytes::copy_from_slice(&self.pending);
            let Some(more) = self.receive().await? else {
                return if self.pending.is_empty() {
                    Ok(None)
                } else {
                    Err(malformed("the body ends too early"))
                };
            };
            if self.pending.is_empty() {
                self.pending = more;
            } else {
                self.pending = [self.pending.as_ref(), &more].concat().into();
            }
        }
        let mut header = &self.pending[..HEADER];
        Ok(Some((header.get_u8(), header.get_u32() as usize)))
    }

    async fn inflate(&mut self, packed: Pieces, encoding: Encoding) -> Result<bool, Status> {
        match packed.inflate(HEADER, encoding, self.rules.limit).await {
            Ok((Inflated::Fits(message), share)) => {
                self.out.extend([frame_header(message.len()), message]);
                self.out.retain(|bytes| !bytes.is_empty());
                self.held.push(Slot { share, refusal: None });
                Ok(true)
            }
            Ok((Inflated::TooLarge(beginning), _)) => self.tell(&beginning, self.rules.too_large()),
            Err(why) => self.tell(&[], why),
        }
    }

    /// Reads past a message of `all` bytes that is not taken; `taken` is what was read of it.
    async fn refuse(&mut self, taken: Pieces, all: usize, why: Status) -> Result<bool, Status> {
        if !self.rules.told || all > SKIP * self.rules.limit {
            self.rules.metrics.batches_refused.add(reason_of(&why).as_deref());
            return Err(why);
        }
        let mut left = all - taken.bytes();
        let mut beginning = taken.beginning(HEADER + HEAD); // The rest of it is free again.
        while left > 0 {
            let arrived = self.arrived(left).await?;
            let some = self.pending.split_to(arrived);
            left -= arrived;
            beginning.extend_from_slice(&some[..arrived.min(HEADER + HEAD - beginning.len())]);
        }
        let packed = beginning.first() != Some(&0); // Then nothing can be read from it.
        self.tell(if packed { &[] } else { &beginning[HEADER..] }, why)
    }

    /// Ends the call, or hands the handler the message's beginning and why the rest is missing.
    fn tell(&mut self, beginning: &[u8], why: Status) -> Result<bool, Status> {
        self.rules.metrics.batches_refused.add(reason_of(&why).as_deref());
        if !self.rules.told {
            return Err(why);
        }
        let beginning = Bytes::copy_from_slice(&beginning[..beginning.len().min(HEAD)]);
        self.out.extend([frame_header(beginning.len()), beginning]);
        self.out.retain(|bytes| !bytes.is_empty());
        self.held.push(Slot { share: None, refusal: Some(why) });
        Ok(true)
    }

    /// How many of the next `most` bytes of the current message are in `pending`; at least one.
    async fn arrived(&mut self, most: usize) -> Result<usize, Status> {
        if self.pending.is_empty() {
            let more = tokio::time::timeout_at(self.deadline, self.receive()).await;
            let more = more.map_err(|_| too_slow())??;
            self.pending = more.ok_or_else(|| malformed("the body ends inside a message"))?;
        }
        Ok(most.min(self.pending.len()))
    }

    /// The next bytes of the body that are not empty; `None` at its end.
    async fn receive(&mut self) -> Result<Option<Bytes>, Status> {
        while let Some(frame) = self.inner.frame().await {
            match frame?.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Ok(Some(data)),
                Err(other) => self.trailers = other.into_trailers().ok(),
            }
        }
        Ok(None)
    }
}

/// DEADLINE_EXCEEDED: a body came too slowly.
pub fn too_slow() -> Status {
    let message = "the body did not arrive in time; send smaller batches, or over a better connection";
    with_reason(Code::DeadlineExceeded, "body_too_slow", message, Some(Duration::from_secs(1)))
}

fn frame_header(bytes: usize) -> Bytes {
    let length = (bytes as u32).to_be_bytes();
    Bytes::copy_from_slice(&[0, length[0], length[1], length[2], length[3]])
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use tokio::sync::mpsc::{self, Sender};
    use tokio::task::JoinHandle;
    use tokio_stream::wrappers::ReceiverStream;

    use super::*;

    type Frames = JoinHandle<Result<Vec<Bytes>, Status>>;

    /// A body that takes what is sent, and a reader that wants everything.
    fn body(budget: &Budget, encoding: Option<Encoding>) -> (Sender<Bytes>, Frames) {
        let rules = Rules {
            limit: 1 << 20,
            too_large: "message_too_large",
            told: false,
            encoding,
            budget: budget.clone(),
            metrics: Arc::default(),
        };
        let (sender, receiver) = mpsc::channel(16);
        let frames = ReceiverStream::new(receiver).map(|piece| Ok::<_, Status>(Frame::data(piece)));
        let messages = Messages::new(rules, Body::new(StreamBody::new(frames)), Arc::default());
        let mut body = messages.into_body();
        let reading = async move {
            let mut pieces = Vec::new();
            while let Some(frame) = body.frame().await {
                pieces.push(frame?.into_data().unwrap());
            }
            Ok(pieces)
        };
        (sender, tokio::spawn(reading))
    }

    fn announced(bytes: usize, beginning: &[u8]) -> Bytes {
        [&frame_header(bytes), beginning].concat().into()
    }

    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_announced_takes_nothing_and_holds_up_nobody() {
        let budget = Budget::new(10_000);
        let half_sent: Vec<_> = [None, Some(Encoding::Gzip)].map(|encoding| body(&budget, encoding)).into();
        for (sender, _) in &half_sent {
            sender.send(announced(9_000, &[7; 95])).await.unwrap();
        }
        settle().await;
        assert_eq!(budget.in_use(), 200);
        let (sender, good) = body(&budget, None);
        sender.send(announced(9_000, &[1; 4_500])).await.unwrap();
        sender.send(vec![2; 4_500].into()).await.unwrap();
        drop(sender);
        let pieces = good.await.unwrap().unwrap();
        assert_eq!(pieces.concat(), [&announced(9_000, &[1; 4_500])[..], &[2; 4_500]].concat());
        assert_eq!(pieces.len(), 2);
        assert!(half_sent.iter().all(|(_, reading)| !reading.is_finished()));
    }

    #[tokio::test]
    async fn some_bytes_of_a_header_do_not_keep_their_buffer() {
        let (sender, reading) = body(&Budget::new(100), None);
        let buffer = Bytes::from(vec![0; 1 << 16]);
        sender.send(buffer.slice(..2)).await.unwrap();
        settle().await;
        assert!(buffer.is_unique());
        sender.send(buffer.slice(..3)).await.unwrap();
        drop(sender);
        assert_eq!(reading.await.unwrap().unwrap().concat(), [0; HEADER]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_does_not_come_in_time_gives_its_memory_back() {
        let budget = Budget::new(10_000);
        let (sender, reading) = body(&budget, None);
        let began = Instant::now();
        for piece in [announced(9_000, &[7; 4_995]), Bytes::from_static(b"more")] {
            sender.send(piece).await.unwrap();
            settle().await;
            tokio::time::advance(PATIENCE / 4).await;
        }
        assert_eq!(budget.in_use(), 5_004);
        let status = reading.await.unwrap().unwrap_err();
        assert_eq!(reason_of(&status).as_deref(), Some("body_too_slow"));
        assert!((PATIENCE..PATIENCE + Duration::from_secs(1)).contains(&began.elapsed()));
        assert_eq!(budget.in_use(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_memory_for_the_rest_is_told_and_gives_back_what_it_had() {
        let budget = Budget::new(10_000);
        let others = budget.take(5_000).await.unwrap();
        let (sender, reading) = body(&budget, None);
        sender.send(announced(9_000, &[7; 4_000])).await.unwrap();
        settle().await;
        assert_eq!(budget.in_use(), 9_005);
        sender.send(vec![7; 5_000].into()).await.unwrap();
        let status = reading.await.unwrap().unwrap_err();
        assert_eq!(reason_of(&status).as_deref(), Some("busy"));
        assert_eq!(budget.in_use(), others.num_permits());
    }
}
