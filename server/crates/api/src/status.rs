//! The one map from errors to gRPC status.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "footpath";

/// A status with a stable reason (`ErrorInfo`) and, if given, when to try again (`RetryInfo`).
pub fn with_reason(code: Code, reason: &str, message: &str, retry_after: Option<Duration>) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    if let Some(delay) = retry_after {
        details.set_retry_info(Some(delay));
    }
    Status::with_error_details(code, message, details)
}

/// PERMISSION_DENIED.
pub fn denied(reason: &str, message: &str) -> Status {
    with_reason(Code::PermissionDenied, reason, message, None)
}

/// INVALID_ARGUMENT.
pub fn invalid(reason: &str, message: &str) -> Status {
    with_reason(Code::InvalidArgument, reason, message, None)
}

/// NOT_FOUND.
pub fn not_found(reason: &str, message: &str) -> Status {
    with_reason(Code::NotFound, reason, message, None)
}

/// UNAVAILABLE, to be tried again.
pub fn unavailable(reason: &str, message: &str) -> Status {
    with_reason(Code::Unavailable, reason, message, Some(Duration::from_secs(1)))
}

/// The stable reason of a status, where it has one.
pub fn reason_of(status: &Status) -> Option<String> {
    status.get_error_details().error_info().map(|info| info.reason.clone())
}

/// When to try again, where a status says so.
pub fn retry_after(status: &Status) -> Option<Duration> {
    status.get_error_details().retry_info().and_then(|info| info.retry_delay)
}

/// A store's error.
pub fn store(error: footpath_store::StoreError) -> Status {
    use footpath_store::StoreError as E;
    match &error {
        E::Conflict { .. } => with_reason(Code::AlreadyExists, "already_exists", &error.to_string(), None),
        E::NotFound { .. } => not_found("not_found", &error.to_string()),
        E::Invalid { .. } => invalid("invalid", &error.to_string()),
        _ => {
            tracing::error!(%error, "the store failed");
            unavailable("store_failed", "the server's store failed; its log says why")
        }
    }
}

/// A query's error.
pub fn query(error: footpath_query::QueryError) -> Status {
    match &error {
        footpath_query::QueryError::History(_) => {
            tracing::error!(%error, "a query failed");
            unavailable("storage_failed", "stored events cannot be read; the server's log says why")
        }
        _ => invalid("query_invalid", &error.to_string()),
    }
}
