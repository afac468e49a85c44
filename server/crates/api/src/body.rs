//! The body layer: takes memory from the budget before a message is buffered.
//!
//! tonic reserves what a message's 5-byte header announces, so a limit inside a handler comes too late. This layer
//! reads the headers first: it refuses what is too large, waits for memory, and inflates compressed messages itself
//! so that a bomb ends in the documented error.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::future::BoxFuture;
use futures_util::stream::try_unfold;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::budget::{Budget, Held, Share, Slot};
use crate::context::Context;
use crate::http::{Inflated, inflate, is_grpc};
use crate::metrics::Metrics;
use crate::status::{invalid, reason_of, with_reason};

/// Bytes of a message of any service but ingest; definitions are the largest of them.
const MESSAGE_BYTES: usize = 1 << 20;
/// Bytes around a batch on a stream.
pub const ENVELOPE: usize = 64;
/// A message must be here this long after its header: memory that nothing fills would be held for ever.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Compression flag and length before every message.
const HEADER: usize = 5;
/// What is kept of a refused message on a stream: enough for the batch's number.
const HEAD: usize = 16;
/// A refused message on a stream is read past, unless it is this many times too large.
const SKIP: usize = 16;
const INGEST: &str = "/footpath.v1.IngestService/";
const INGEST_STREAM: &str = "/footpath.v1.IngestService/IngestStream";

/// Puts the budget before every gRPC call.
#[derive(Clone)]
pub struct BodyLayer {
    context: Arc<Context>,
}

impl BodyLayer {
    /// Takes from `context.budget`.
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
        let held = Arc::new(Held::default());
        let (mut parts, body) = request.into_parts();
        let messages = Messages::new(&self.context, &parts, body, Arc::clone(&held));
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
    /// Bytes of the current message, its header included, that may pass.
    left: usize,
    /// Ready to go out before anything else.
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
    encoding: Option<String>,
    budget: Budget,
    metrics: Arc<Metrics>,
}

impl Rules {
    fn new(context: &Context, parts: &http::request::Parts) -> Self {
        let path = parts.uri.path();
        let batch = context.ingest.limits().batch_bytes;
        let (limit, too_large) = match path {
            INGEST_STREAM => (batch + ENVELOPE, "batch_too_large"),
            _ if path.starts_with(INGEST) => (batch, "batch_too_large"),
            _ => (MESSAGE_BYTES, "message_too_large"),
        };
        let encoding = parts.headers.get("grpc-encoding").and_then(|value| value.to_str().ok());
        Self {
            limit,
            too_large,
            told: path == INGEST_STREAM,
            encoding: encoding.filter(|name| *name != "identity").map(str::to_owned),
            budget: context.budget.clone(),
            metrics: Arc::clone(&context.metrics),
        }
    }

    fn too_large(&self) -> Status {
        let message = format!("a message may hold {} bytes, decompressed; send smaller ones", self.limit);
        invalid(self.too_large, &message)
    }

    /// The encoding that a message's flag names; none for a plain message.
    fn encoding(&self, flag: u8) -> Result<Option<&str>, Status> {
        match (flag, &self.encoding) {
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
    fn new(context: &Context, parts: &http::request::Parts, body: Body, held: Arc<Held>) -> Self {
        Self {
            inner: body,
            pending: Bytes::new(),
            left: 0,
            out: VecDeque::new(),
            trailers: None,
            deadline: Instant::now() + PATIENCE,
            rules: Rules::new(context, parts),
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
        if self.out.is_empty() && self.left == 0 && !self.open().await? {
            return Ok(self.trailers.take().map(Frame::trailers));
        }
        if let Some(ready) = self.out.pop_front() {
            return Ok(Some(Frame::data(ready)));
        }
        let some = self.some(self.left).await?;
        self.left -= some.len();
        Ok(Some(Frame::data(some)))
    }

    /// Reads the next message's header and decides what happens with it; false at the body's end.
    async fn open(&mut self) -> Result<bool, Status> {
        let Some((flag, bytes)) = self.header().await? else { return Ok(false) };
        self.deadline = Instant::now() + PATIENCE;
        let inflates = self.rules.encoding(flag)?.is_some();
        if bytes > self.rules.limit {
            return self.refuse(bytes, self.rules.too_large()).await;
        }
        // Inflating needs the result twice for a moment: here and in tonic's buffer.
        let cost = if inflates { bytes + 2 * self.rules.limit } else { bytes };
        let share = match self.rules.budget.take(cost).await {
            Ok(share) => share,
            Err(busy) => {
                self.rules.metrics.bodies_refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                return self.refuse(bytes, busy).await;
            }
        };
        if inflates {
            return self.inflate(bytes, share).await;
        }
        self.held.push(Slot { share: Some(share), refusal: None });
        self.left = HEADER + bytes;
        Ok(true)
    }

    /// The next header; it stays in `pending`.
    async fn header(&mut self) -> Result<Option<(u8, usize)>, Status> {
        while self.pending.len() < HEADER {
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

    async fn inflate(&mut self, bytes: usize, mut share: Share) -> Result<bool, Status> {
        self.pending.advance(HEADER);
        let mut packed = BytesMut::with_capacity(bytes);
        while packed.len() < bytes {
            packed.extend_from_slice(&self.some(bytes - packed.len()).await?);
        }
        let encoding = self.rules.encoding(1)?;
        match inflate(&packed, encoding.unwrap_or_default(), self.rules.limit) {
            Ok(Inflated::Fits(message)) => {
                self.out.extend([frame_header(message.len()), message.clone()]);
                self.held.push(Slot { share: share.split(message.len()), refusal: None });
                Ok(true)
            }
            Ok(Inflated::TooLarge(beginning)) => self.tell(&beginning, self.rules.too_large()),
            Err(damaged) => self.tell(&[], damaged),
        }
    }

    /// Reads past a message that is not taken.
    async fn refuse(&mut self, bytes: usize, why: Status) -> Result<bool, Status> {
        if !self.rules.told || bytes > SKIP * self.rules.limit {
            self.rules.metrics.batches_refused.add(reason_of(&why).as_deref());
            return Err(why);
        }
        self.pending.advance(HEADER);
        let (mut beginning, mut left) = (Vec::with_capacity(HEAD), bytes);
        while left > 0 {
            let some = self.some(left).await?;
            left -= some.len();
            beginning.extend_from_slice(&some[..some.len().min(HEAD - beginning.len())]);
        }
        self.tell(&beginning, why)
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

    /// The next bytes of the current message, at least one and at most `most`.
    async fn some(&mut self, most: usize) -> Result<Bytes, Status> {
        if self.pending.is_empty() {
            let more = tokio::time::timeout_at(self.deadline, self.receive()).await;
            let more = more.map_err(|_| too_slow())??;
            self.pending = more.ok_or_else(|| malformed("the body ends inside a message"))?;
        }
        Ok(self.pending.split_to(most.min(self.pending.len())))
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
