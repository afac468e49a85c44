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

/// INTERNAL: a bug. The message is for the server's operator; it holds nothing of a client's.
pub fn internal(message: &str) -> Status {
    tracing::error!(message, "a call ended in an internal error");
    with_reason(Code::Internal, "internal", message, None)
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    /// How a status is made, and the code it has.
    const MAKERS: &[(&str, &str)] = &[
        ("invalid(", "INVALID_ARGUMENT"),
        ("denied(", "PERMISSION_DENIED"),
        ("not_found(", "NOT_FOUND"),
        ("unavailable(", "UNAVAILABLE"),
        ("unauthenticated(", "UNAUTHENTICATED"),
        ("with_reason(Code::Internal,", "INTERNAL"),
        ("with_reason(Code::AlreadyExists,", "ALREADY_EXISTS"),
        ("with_reason(Code::Aborted,", "ABORTED"),
        ("with_reason(Code::FailedPrecondition,", "FAILED_PRECONDITION"),
        ("with_reason(Code::Unimplemented,", "UNIMPLEMENTED"),
        ("with_reason(Code::ResourceExhausted,", "RESOURCE_EXHAUSTED"),
        ("with_reason(Code::DeadlineExceeded,", "DEADLINE_EXCEEDED"),
    ];
    const RETRIED: &[&str] = &["UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"];

    /// Every reason with its code, as this crate's sources have them.
    fn in_the_code() -> BTreeSet<(String, &'static str)> {
        // This one goes through a field.
        let mut found = BTreeSet::from([("message_too_large".to_owned(), "INVALID_ARGUMENT")]);
        for file in sources(concat!(env!("CARGO_MANIFEST_DIR"), "/src").as_ref()) {
            let text = std::fs::read_to_string(file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let dense: String = code.chars().filter(|c| !c.is_whitespace()).collect();
            for (maker, code) in MAKERS {
                let calls = dense.match_indices(maker).map(|(at, _)| &dense[at + maker.len()..]);
                let reasons = calls.filter_map(|rest| rest.strip_prefix('"')?.split('"').next());
                found.extend(reasons.map(|reason| (reason.to_owned(), *code)));
            }
        }
        found
    }

    fn sources(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
    }

    #[test]
    fn the_page_lists_every_reason_with_its_code() {
        let page = include_str!("../../../../docs/errors.md");
        let calls = page.split("\n## ").find(|section| section.starts_with("Refused calls")).unwrap();
        let rows: BTreeSet<_> = calls
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| line.split(" | ").take(3).collect::<Vec<_>>().join(" | "))
            .collect();
        let batches = ["batch_too_large", "batch_malformed"]; // In the table of batches.
        let wanted: BTreeSet<_> = in_the_code()
            .into_iter()
            .filter(|(reason, _)| !batches.contains(&reason.as_str()))
            .map(|(reason, code)| {
                let retry = if RETRIED.contains(&code) { "yes" } else { "no" };
                format!("| `{reason}` | {code} | {retry}")
            })
            .collect();
        let missing: Vec<_> = wanted.difference(&rows).collect();
        let gone: Vec<_> = rows.difference(&wanted).collect();
        assert!(missing.is_empty() && gone.is_empty(), "missing: {missing:#?}\nnot in the code: {gone:#?}");
    }
}
