//! IngestService and `POST /v1/ingest`: the same bytes through the same admission.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use footpath_ingest::{Accepted, Ingest, IngestError, Source};
use footpath_model::clock::Clock;
use footpath_model::wire::Fields;
use footpath_proto::v1;
use footpath_store::ProjectRow;
use futures_util::{Stream, StreamExt as _};
use prost::Message as _;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::access::Caller;
use crate::context::Context;
use crate::convert::timestamp;
use crate::status::{denied, invalid, reason_of, unavailable, with_reason};

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

/// Stores one batch of `project` and answers when it is on disk.
///
/// # Errors
/// With a stable reason when the whole batch is refused.
pub async fn ingest(
    context: &Context,
    project: &ProjectRow,
    bytes: Bytes,
) -> Result<v1::IngestResponse, Status> {
    let source = Source { project: project.number, project_id: &project.id };
    let accepted = context.ingest.accept(source, bytes).await.map_err(ingest_error)?;
    Ok(answer(accepted, context.clock.as_ref(), &context.ingest))
}

/// The status of a refused batch.
pub fn ingest_error(error: IngestError) -> Status {
    match error {
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

/// Time a stream has to finish once the server drains.
const GRACE: Duration = Duration::from_secs(5);

type AckStream = Pin<Box<dyn Stream<Item = Result<v1::IngestStreamResponse, Status>> + Send>>;

#[tonic::async_trait]
impl generated::ingest_service_server::IngestService for IngestApi {
    async fn ingest(&self, request: Request<Bytes>) -> Result<Response<v1::IngestResponse>, Status> {
        let project = self.context.project_of(&request)?;
        ingest(&self.context, &project, request.into_inner()).await.map(Response::new)
    }

    type IngestStreamStream = AckStream;

    async fn ingest_stream(&self, request: Request<Streaming<Bytes>>) -> Result<Response<AckStream>, Status> {
        let project = self.context.project_of(&request)?;
        let (sender, receiver) = tokio::sync::mpsc::channel(16);
        let pump = pump(
            Arc::clone(&self.context),
            project,
            request.into_inner(),
            sender,
            self.context.drain.clone(),
        );
        tokio::spawn(pump);
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

type AckSender = tokio::sync::mpsc::Sender<Result<v1::IngestStreamResponse, Status>>;

/// Takes batch after batch off one stream; a bad batch is an ack with a status and never ends the stream.
async fn pump(
    context: Arc<Context>,
    project: Arc<ProjectRow>,
    mut batches: Streaming<Bytes>,
    sender: AckSender,
    drain: CancellationToken,
) {
    let mut ends_at = None;
    loop {
        let next = tokio::select! {
            () = drain.cancelled(), if ends_at.is_none() => {
                ends_at = Some(tokio::time::Instant::now() + GRACE);
                if sender.send(Ok(ending(context.clock.now_us()))).await.is_err() { return; }
                continue;
            }
            () = until(ends_at) => return,
            next = batches.next() => next,
        };
        let ack = match next {
            None => return,
            Some(Err(status)) => {
                let _ = sender.send(Err(status)).await; // The transport is broken; nothing more can follow.
                return;
            }
            Some(Ok(bytes)) => one_ack(&context, &project, &bytes).await,
        };
        let message = v1::ingest_stream_response::Message::Ack(ack);
        if sender.send(Ok(v1::IngestStreamResponse { message: Some(message) })).await.is_err() {
            return;
        }
    }
}

async fn until(moment: Option<tokio::time::Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

fn ending(now_us: i64) -> v1::IngestStreamResponse {
    let ending =
        v1::StreamEnding { reason: "drain".into(), at: Some(timestamp(now_us + GRACE.as_micros() as i64)) };
    v1::IngestStreamResponse { message: Some(v1::ingest_stream_response::Message::Ending(ending)) }
}

async fn one_ack(context: &Context, project: &ProjectRow, bytes: &Bytes) -> v1::BatchAck {
    let (sequence, batch) = split(bytes);
    let result = match batch {
        Some(batch) => ingest(context, project, batch).await,
        None => Err(invalid("batch_malformed", "the message is not an IngestStreamRequest with a batch")),
    };
    match result {
        Ok(response) => v1::BatchAck { sequence, response: Some(response), error: None },
        Err(status) => v1::BatchAck { sequence, response: None, error: Some(batch_error(&status)) },
    }
}

fn batch_error(status: &Status) -> v1::BatchError {
    let retryable = matches!(status.code(), Code::Unavailable | Code::ResourceExhausted);
    v1::BatchError {
        code: status.code() as u32,
        reason: reason_of(status).unwrap_or_default(),
        message: status.message().to_owned(),
        retryable,
        retry_after: retryable.then_some(prost_types::Duration { seconds: 1, nanos: 0 }),
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
    let Caller::Key(key) = caller else { return Err(denied("key_needed", "send with a project key")) };
    let project = context.project(&key.project)?;
    let limit = context.ingest.limits().batch_bytes;
    let body = axum::body::to_bytes(body, limit).await.map_err(|_| {
        invalid("batch_too_large", &format!("a batch may hold {limit} bytes; send smaller batches"))
    })?;
    let encoding = parts.headers.get(http::header::CONTENT_ENCODING).and_then(|v| v.to_str().ok());
    let body = crate::http::decompress(body, encoding, limit)?;
    ingest(context, &project, body).await
}

fn protobuf_response(answer: &v1::IngestResponse) -> axum::response::Response {
    let body = axum::body::Body::from(answer.encode_to_vec());
    let mut response = axum::response::Response::new(body);
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/x-protobuf"));
    response
}
