//! The real transport: tonic.

use std::time::Duration;

use footpath_proto::v1::IngestRequest;
use footpath_proto::v1::ingest_service_client::IngestServiceClient;
use tokio::runtime::Handle;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::error::{BuildError, PauseReason};
use crate::transport::{Reply, SendError, Transport};

/// Sends batches over a tonic channel. Many clients may share one channel and one runtime.
#[derive(Debug)]
pub struct GrpcTransport {
    service: IngestServiceClient<Channel>,
    authorization: MetadataValue<Ascii>,
    runtime: Handle,
    timeout: Duration,
}

impl GrpcTransport {
    /// Sends with `key` as bearer; each attempt ends after `timeout`.
    ///
    /// # Errors
    /// When the key has characters that no header can carry.
    pub fn new(channel: Channel, key: &str, runtime: Handle, timeout: Duration) -> Result<Self, BuildError> {
        let mut authorization: MetadataValue<Ascii> = format!("Bearer {key}")
            .parse()
            .map_err(|_| BuildError::Setting("the key has characters that a header cannot carry".into()))?;
        authorization.set_sensitive(true);
        Ok(Self { service: IngestServiceClient::new(channel), authorization, runtime, timeout })
    }
}

impl Transport for GrpcTransport {
    fn send(&self, batch: IngestRequest, reply: Reply) {
        let mut request = Request::new(batch);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        request.set_timeout(self.timeout);
        let mut service = self.service.clone();
        let timeout = self.timeout;
        self.runtime.spawn(async move {
            let outcome = match tokio::time::timeout(timeout, service.ingest(request)).await {
                Ok(Ok(response)) => Ok(response.into_inner()),
                Ok(Err(status)) => Err(sort(&status)),
                Err(_) => Err(SendError::retry("no answer in time")),
            };
            reply.deliver(outcome);
        });
    }
}

/// What the client does about a status. Whatever is not known to be final is worth another attempt: the
/// queue keeps the batch, and a repetition is counted once.
fn sort(status: &Status) -> SendError {
    let message = format!("{:?}: {}", status.code(), status.message());
    match status.code() {
        Code::InvalidArgument | Code::OutOfRange => SendError::Refused(message),
        Code::Unauthenticated => SendError::Denied(PauseReason::Unauthenticated(message)),
        Code::PermissionDenied => SendError::Denied(PauseReason::PermissionDenied(message)),
        Code::NotFound | Code::Unimplemented => SendError::Denied(PauseReason::NotFound(message)),
        _ => {
            let after = status.get_details_retry_info().and_then(|info| info.retry_delay);
            SendError::Retry { message, after }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    #[test]
    fn sorts_by_what_to_do() {
        assert!(matches!(sort(&Status::out_of_range("x")), SendError::Refused(_)));
        assert!(matches!(sort(&Status::unauthenticated("x")), SendError::Denied(_)));
        assert!(matches!(sort(&Status::unknown("x")), SendError::Retry { after: None, .. }));
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(3)));
        let busy = Status::with_error_details(Code::ResourceExhausted, "x", details);
        assert!(
            matches!(sort(&busy), SendError::Retry { after: Some(after), .. } if after == Duration::from_secs(3))
        );
    }
}
