//! IngestService and `POST /v1/ingest`: the same bytes through the same admission.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use footpath_ingest::reason::BatchError;
use footpath_ingest::{Accepted, Ingest, IngestError};
use footpath_model::clock::Clock;
use footpath_model::wire::Fields;
use footpath_proto::v1;
use futures_util::{Stream, StreamExt as _};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use prost::Message as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};
use tracing::Instrument as _;

use crate::access::{Caller, Need};
use crate::budget::{Budget, Held, Share};
use crate::context::{Context, Sender};
use crate::convert::timestamp;
use crate::http::{Encoding, Inflated};
use crate::pieces::Pieces;
use crate::status::{denied, invalid, reason_of, retry_after, unavailable, with_reason};

/// The generated server side, over bytes.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod generated {
    include!(concat!(env!("OUT_DIR"), "/footpath.v1.IngestService.rs"));
}

/// The service.
#[derive(Clone)]
pub struct IngestApi {
    context: Arc<Context>,
}

impl IngestApi {
    /// Serves from `context`.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}

/// Stores one batch of `sender` and answers when it is on disk.
///
/// # Errors
/// With a stable reason when the whole batch is refused.
pub async fn ingest(context: &Context, sender: &Sender, bytes: Bytes) -> Result<v1::IngestResponse, Status> {
    context.metrics.received_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    let accepted = context.ingest.accept(sender.source(), bytes).await.map_err(|error| {
        let status = ingest_error(error);
        context.metrics.batches_refused.add(reason_of(&status).as_deref());
        status
    })?;
    context.metrics.accepted(&accepted, context.clock.now_us() - accepted.received_us);
    Ok(answer(accepted, context.clock.as_ref(), &context.ingest))
}

/// The status of a refused batch.
pub fn ingest_error(error: IngestError) -> Status {
    match error {
        // Nothing is wrong with the batch: with the right key it is taken.
        IngestError::Batch(e @ BatchError::OtherProject { .. }) => denied(e.name(), &e.to_string()),
        IngestError::Batch(e) => invalid(e.name(), &e.to_string()),
        IngestError::Busy { retry_after } => with_reason(
            Code::ResourceExhausted,
            "busy",
            "the server has as much as it can take; send the same batch again after the delay",
            Some(retry_after),
        ),
        IngestError::Stopping => unavailable("draining", "the server is stopping; send the same batch again"),
        IngestError::NotDurable(what) => unavailable(
            "not_durable",
            &format!("nothing of this batch is stored: {what}; send it again later"),
        ),
    }
}

fn answer(accepted: Accepted, clock: &dyn Clock, ingest: &Ingest) -> v1::IngestResponse {
    let limits = ingest.limits();
    v1::IngestResponse {
        batch_id: accepted.batch_id,
        stored: accepted.stored,
        duplicates: accepted.duplicates,
        refused: accepted.refused.into_iter().map(refusal).collect(),
        assigned_ids: accepted.assigned_ids,
        received_at: Some(timestamp(accepted.received_us)),
        answered_at: Some(timestamp(clock.now_us())),
        hints: Some(v1::FlowHints {
            max_batch_events: limits.batch_events as u32,
            max_batch_bytes: limits.batch_bytes as u32,
            min_interval: None,
        }),
        privacy_requests: accepted.privacy_requests,
    }
}

fn refusal(refused: footpath_ingest::RefusedEvent) -> v1::Refusal {
    let retryable = refused.retryable;
    v1::Refusal {
        index: refused.index,
        event_id: refused.event_id.map(|id| id.to_string()).unwrap_or_default(),
        reason: refused.reason,
        message: refused.message,
        retryable,
        retry_after: retryable.then_some(prost_types::Duration { seconds: 1, nanos: 0 }),
    }
}

/// How often an idle stream's key is looked at; a busy one's is with every batch.
const GLANCE: Duration = Duration::from_secs(5);
/// Time a stream has to finish once the server drains.
const GRACE: Duration = Duration::from_secs(5);

type AckStream = Pin<Box<dyn Stream<Item = Result<v1::IngestStreamResponse, Status>> + Send>>;

#[tonic::async_trait]
impl generated::ingest_service_server::IngestService for IngestApi {
    async fn ingest(&self, request: Request<Bytes>) -> Result<Response<v1::IngestResponse>, Status> {
        let sender = self.context.sender(&self.context.caller(&request))?;
        ingest(&self.context, &sender, request.into_inner()).await.map(Response::new)
    }

    type IngestStreamStream = AckStream;

    async fn ingest_stream(&self, request: Request<Streaming<Bytes>>) -> Result<Response<AckStream>, Status> {
        let caller = self.context.caller(&request);
        let (acks, receiver) = tokio::sync::mpsc::channel(16);
        let pump = Pump {
            sender: self.context.sender(&caller)?,
            caller,
            held: request.extensions().get::<Arc<Held>>().cloned().unwrap_or_default(),
            context: Arc::clone(&self.context),
            acks,
        };
        tokio::spawn(pump.run(request.into_inner()).in_current_span());
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

/// Takes batch after batch off one stream; a bad batch is an ack with a status and never ends the stream.
struct Pump {
    context: Arc<Context>,
    sender: Sender,
    caller: Caller,
    held: Arc<Held>,
    acks: tokio::sync::mpsc::Sender<Result<v1::IngestStreamResponse, Status>>,
}

impl Pump {
    async fn run(self, mut batches: Streaming<Bytes>) {
        use v1::ingest_stream_response::Message;
        let mut ends_at = None;
        let mut glance = tokio::time::interval(GLANCE);
        loop {
            let next = tokio::select! {
                _ = glance.tick() => match self.context.access.still(&self.caller) {
                    Ok(()) => continue,
                    Err(status) => return self.end_of_access(status).await,
                },
                () = self.context.drain.cancelled(), if ends_at.is_none() => {
                    ends_at = Some(tokio::time::Instant::now() + GRACE);
                    let ending = self.ending("drain", GRACE);
                    if self.send(Message::Ending(ending)).await { continue } else { return }
                }
                () = until(ends_at) => return,
                next = batches.next() => next,
            };
            let bytes = match next {
                None => return,
                Some(Ok(bytes)) => bytes,
                Some(Err(status)) => return self.end(status).await, // The framing is lost; nothing can follow.
            };
            // The message's memory is given back when its ack is on its way.
            let slot = self.held.next();
            let revoked = self.context.access.still(&self.caller).err();
            let refusal = revoked.clone().or(slot.refusal);
            let ack = one_ack(&self.context, &self.sender, &bytes, refusal).await;
            if !self.send(Message::Ack(ack)).await {
                return;
            }
            if let Some(status) = revoked {
                return self.end_of_access(status).await;
            }
        }
    }

    /// The key was revoked.
    async fn end_of_access(&self, status: Status) {
        let reason = reason_of(&status).unwrap_or_default();
        let ending = self.ending(&reason, Duration::ZERO);
        self.send(v1::ingest_stream_response::Message::Ending(ending)).await;
        self.end(status).await;
    }

    async fn send(&self, message: v1::ingest_stream_response::Message) -> bool {
        self.acks.send(Ok(v1::IngestStreamResponse { message: Some(message) })).await.is_ok()
    }

    async fn end(&self, status: Status) {
        let _ = self.acks.send(Err(status)).await; // The client may be gone already.
    }

    fn ending(&self, reason: &str, grace: Duration) -> v1::StreamEnding {
        stream_ending(reason, self.context.clock.now_us() + grace.as_micros() as i64)
    }
}

/// Waits for a moment, for ever if there is none.
pub async fn until(moment: Option<tokio::time::Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// The announcement that a stream will be closed at `at_us`.
pub fn stream_ending(reason: &str, at_us: i64) -> v1::StreamEnding {
    v1::StreamEnding { reason: reason.to_owned(), at: Some(timestamp(at_us)) }
}

async fn one_ack(context: &Context, sender: &Sender, bytes: &Bytes, refusal: Option<Status>) -> v1::BatchAck {
    let (sequence, batch) = split(bytes);
    let result = match (refusal, batch) {
        (Some(refusal), _) => Err(refusal),
        (None, Some(batch)) => ingest(context, sender, batch).await,
        (None, None) => {
            Err(invalid("batch_malformed", "the message is not an IngestStreamRequest with a batch"))
        }
    };
    match result {
        Ok(response) => v1::BatchAck { sequence, response: Some(response), error: None },
        Err(status) => v1::BatchAck { sequence, response: None, error: Some(batch_error(&status)) },
    }
}

fn batch_error(status: &Status) -> v1::BatchError {
    let delay = retry_after(status);
    v1::BatchError {
        code: status.code() as u32,
        reason: reason_of(status).unwrap_or_default(),
        message: status.message().to_owned(),
        retryable: delay.is_some(),
        retry_after: delay.and_then(|delay| delay.try_into().ok()),
    }
}

/// The sequence and the batch of an `IngestStreamRequest`, without decoding the batch.
fn split(bytes: &Bytes) -> (u64, Option<Bytes>) {
    let (mut sequence, mut batch) = (0, None);
    for field in Fields::new(bytes) {
        let Ok(field) = field else { return (sequence, None) };
        match field.number {
            1 => sequence = field.varint().unwrap_or(0),
            2 => batch = field.bytes().ok().map(|b| bytes.slice_ref(b)),
            _ => {}
        }
    }
    (sequence, batch)
}

/// `POST /v1/ingest`: answers with an encoded `IngestResponse`, or with a JSON error.
pub async fn http_ingest(
    axum::extract::State(context): axum::extract::State<Arc<Context>>,
    request: axum::extract::Request,
) -> axum::response::Response {
    match http_ingest_inner(&context, request).await {
        Ok(answer) => protobuf_response(&answer),
        Err(status) => crate::http::error_response(&status),
    }
}

async fn http_ingest_inner(
    context: &Context,
    request: axum::extract::Request,
) -> Result<v1::IngestResponse, Status> {
    let (parts, body) = request.into_parts();
    let caller = context.access.check("/footpath.v1.IngestService/Ingest", &parts.headers)?;
    let sender = context.sender(&caller)?;
    // The share is held until the batch is answered.
    let (batch, _share) = receive(context, &sender, &parts.headers, body)
        .await
        .inspect_err(|status| context.metrics.batches_refused.add(reason_of(status).as_deref()))?;
    ingest(context, &sender, batch).await
}

/// The batch in a body, and the memory it takes. One that is too large once inflated has the same outcome as one that
/// came so.
async fn receive(
    context: &Context,
    sender: &Sender,
    headers: &HeaderMap,
    body: axum::body::Body,
) -> Result<(Bytes, Option<Share>), Status> {
    crate::http::check_batch(headers)?;
    let limit = context.ingest.limits().batch_bytes;
    let encoding = Encoding::of(headers, &header::CONTENT_ENCODING)?;
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if declared.is_some_and(|bytes: usize| bytes > limit) {
        return Err(too_large(limit));
    }
    let collecting = collect(context.budgets.of(Need::Key), body, limit);
    let collected = tokio::time::timeout(crate::body::PATIENCE, collecting).await;
    let packed = collected.map_err(|_| crate::body::too_slow())??;
    let Some(encoding) = encoding else { return Ok(packed.into_bytes()) };
    match packed.inflate(0, encoding, limit).await? {
        (Inflated::Fits(batch), share) => Ok((batch, share)),
        (Inflated::TooLarge(beginning), _) => {
            let error = BatchError::TooLarge { bytes: beginning.len(), limit };
            Err(ingest_error(context.ingest.refuse(sender.source(), error)))
        }
    }
}

/// Reads a body; memory for it is taken as it comes.
async fn collect(budget: &Budget, mut body: axum::body::Body, limit: usize) -> Result<Pieces, Status> {
    let mut pieces = Pieces::new(budget);
    while let Some(frame) = body.frame().await {
        let broken = |_| unavailable("body_broken", "the body ended too early; send the same batch again");
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        if pieces.bytes() + data.len() > limit {
            return Err(too_large(limit));
        }
        pieces.make_room(data.len()).await?;
        pieces.push(data, false);
    }
    Ok(pieces)
}

fn too_large(limit: usize) -> Status {
    invalid("batch_too_large", &format!("a batch may hold {limit} bytes, decompressed; send smaller ones"))
}

fn protobuf_response(answer: &v1::IngestResponse) -> axum::response::Response {
    let body = axum::body::Body::from(answer.encode_to_vec());
    let mut response = axum::response::Response::new(body);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/x-protobuf"));
    response
}
