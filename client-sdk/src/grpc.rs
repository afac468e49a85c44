//! The transport of servers and desktops: tonic. A batch is sent as the bytes it is; nothing is encoded again.

use std::collections::HashMap;
use std::time::Duration;

use bytes::{Buf as _, BufMut as _};
use footpath_proto::v1::IngestResponse;
use http::uri::PathAndQuery;
use prost::Message as _;
use tokio::runtime::Handle;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::courier::Courier;
use crate::error::PauseReason;
use crate::outcome::Outcome;
use crate::transport::Outgoing;

/// The domain of the server's own errors.
const DOMAIN: &str = "footpath";
const METHOD: PathAndQuery = PathAndQuery::from_static("/footpath.v1.IngestService/Ingest");

/// Sends batches over a tonic channel. Many clients may share one channel and one runtime.
#[derive(Debug, Clone)]
pub(crate) struct GrpcCarrier {
    channel: Channel,
    timeout: Duration,
}

impl GrpcCarrier {
    /// Each attempt ends after `timeout`.
    pub(crate) fn new(channel: Channel, timeout: Duration) -> Self {
        Self { channel, timeout }
    }

    /// Carries batches as a task until the client ends.
    pub(crate) fn start(self, courier: Courier, runtime: &Handle) {
        runtime.spawn(async move {
            while let Some(batch) = courier.next().await {
                courier.report(&batch.id, self.send(&batch).await);
            }
        });
    }

    async fn send(&self, batch: &Outgoing) -> Outcome {
        match tokio::time::timeout(self.timeout, self.call(batch)).await {
            Ok(Ok(response)) => Outcome::Answered(Box::new(response)),
            Ok(Err(status)) => sort(&status),
            Err(_) => Outcome::Broken("no answer in time".into()),
        }
    }

    async fn call(&self, batch: &Outgoing) -> Result<IngestResponse, Status> {
        let mut request = Request::new(batch.body.clone());
        let authorization = batch.authorization.parse();
        let mut authorization: tonic::metadata::MetadataValue<tonic::metadata::Ascii> =
            authorization.map_err(|_| unreadable_key())?;
        authorization.set_sensitive(true);
        request.metadata_mut().insert("authorization", authorization);
        request.set_timeout(self.timeout);
        let mut grpc = Grpc::new(self.channel.clone())
            .send_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Gzip);
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        grpc.unary(request, METHOD, Bytes).await.map(tonic::Response::into_inner)
    }
}

fn unreadable_key() -> Status {
    let details = ErrorDetails::with_error_info("key_unreadable", DOMAIN, HashMap::new());
    let message = "the key has characters that no header can carry";
    Status::with_error_details(Code::Unauthenticated, message, details)
}

/// What the client does about a status. Whatever is not known to be final is worth another attempt: the
/// queue keeps the batch, and a repetition is counted once.
///
/// Only a status with the server's own details says anything about the events. A mesh's proxy gives any code as well,
/// and of a portal's page tonic makes one; nothing is given up for that.
fn sort(status: &Status) -> Outcome {
    let message = format!("{:?}: {}", status.code(), status.message());
    let is_ours = status.get_details_error_info().is_some_and(|info| info.domain == DOMAIN);
    match status.code() {
        Code::DeadlineExceeded | Code::Cancelled => Outcome::Broken(message),
        Code::InvalidArgument | Code::OutOfRange if is_ours => Outcome::Refused(message),
        Code::Unauthenticated if is_ours => Outcome::Denied(PauseReason::Unauthenticated(message)),
        Code::PermissionDenied if is_ours => Outcome::Denied(PauseReason::PermissionDenied(message)),
        Code::NotFound | Code::Unimplemented if is_ours => Outcome::Denied(PauseReason::NotFound(message)),
        _ => {
            let after = status.get_details_retry_info().and_then(|info| info.retry_delay);
            Outcome::Retry { message, after }
        }
    }
}

/// Requests as bytes, answers as messages.
#[derive(Debug, Clone, Copy, Default)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = IngestResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = IngestResponse;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<IngestResponse>, Status> {
        let bytes = bytes.copy_to_bytes(bytes.remaining());
        // An answer that cannot be read is no ack, and no reason to give up the batch.
        let read = IngestResponse::decode(bytes).map_err(|error| Status::unavailable(error.to_string()));
        read.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_by_what_to_do() {
        let ours = |code| {
            let details = ErrorDetails::with_error_info("some_reason", DOMAIN, HashMap::new());
            sort(&Status::with_error_details(code, "x", details))
        };
        for code in [Code::InvalidArgument, Code::OutOfRange] {
            assert!(matches!(ours(code), Outcome::Refused(_)));
        }
        for code in [Code::Unauthenticated, Code::PermissionDenied, Code::NotFound, Code::Unimplemented] {
            assert!(matches!(ours(code), Outcome::Denied(_)));
        }
        assert!(matches!(sort(&unreadable_key()), Outcome::Denied(_)));
        // Somebody else's word, or tonic's own for a page that is no gRPC.
        for code in (1..=16).map(Code::from_i32) {
            let theirs = ErrorDetails::with_error_info("RBAC", "mesh.example.com", HashMap::new());
            for status in [Status::new(code, "x"), Status::with_error_details(code, "x", theirs)] {
                assert!(matches!(sort(&status), Outcome::Retry { .. } | Outcome::Broken(_)), "{code:?}");
            }
        }
        assert!(matches!(sort(&Status::unknown("x")), Outcome::Retry { after: None, .. }));
        assert!(matches!(sort(&Status::deadline_exceeded("x")), Outcome::Broken(_)));
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(3)));
        let busy = Status::with_error_details(Code::ResourceExhausted, "x", details);
        assert!(
            matches!(sort(&busy), Outcome::Retry { after: Some(after), .. } if after == Duration::from_secs(3))
        );
    }
}
