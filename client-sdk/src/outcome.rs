//! How a send ended: one meaning for both transports, and for whatever lies between them and the server.

use std::time::Duration;

use footpath_proto::v1::IngestResponse;
use prost::Message as _;

use crate::error::PauseReason;

/// What lies on the way may ask for patience, but not for long: nobody else sees that nothing gets through.
const OTHERS_WAIT: Duration = Duration::from_secs(60);

/// How one send ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// An answer was read. Whether it is an ack, the client decides.
    Answered(Box<IngestResponse>),
    /// Not now: the same batch is sent again, not before `after` if the server named a time.
    Retry {
        /// For people.
        message: String,
        /// The server's wish.
        after: Option<Duration>,
    },
    /// The link gave no answer in time, or broke: as [`Outcome::Retry`], and batches become smaller for a while.
    Broken(String),
    /// The server will not take this batch as a whole; it is cut until the bad event is found.
    Refused(String),
    /// No batch will get through until somebody acts: delivery pauses, everything is kept.
    Denied(PauseReason),
}

impl Outcome {
    /// A failure worth another attempt.
    pub fn retry(message: impl Into<String>) -> Self {
        Self::Retry { message: message.into(), after: None }
    }

    /// What an answer in plain HTTP (`POST /v1/ingest`) means.
    ///
    /// Only an answer that is Footpath's own says anything about the events. A captive portal, a proxy or a virus
    /// scanner answers as well, with any status; nothing is given up for that.
    pub fn of_http(answer: &HttpAnswer<'_>) -> Self {
        let text = || format!("HTTP {}", answer.status);
        if answer.status == 200 {
            let is_ours = answer.content_type.is_some_and(|kind| kind.starts_with("application/x-protobuf"));
            return match IngestResponse::decode(answer.body) {
                Ok(response) if is_ours && !response.batch_id.is_empty() => {
                    Self::Answered(Box::new(response))
                }
                _ => Self::retry(
                    "HTTP 200 that is no answer of the server: something on the way answers for it",
                ),
            };
        }
        let after =
            answer.retry_after.and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
        let Some(reason) = our_reason(answer) else {
            let after = after.map(|after| after.min(OTHERS_WAIT));
            return Self::Retry { message: format!("{}, not by the server", text()), after };
        };
        let message = format!("{}: {reason}", text());
        match answer.status {
            400 | 413 | 415 => Self::Refused(message),
            401 => Self::Denied(PauseReason::Unauthenticated(message)),
            403 => Self::Denied(PauseReason::PermissionDenied(message)),
            404 | 405 => Self::Denied(PauseReason::NotFound(message)),
            _ => Self::Retry { message, after },
        }
    }
}

/// An answer in plain HTTP.
#[derive(Debug, Clone, Copy)]
pub struct HttpAnswer<'a> {
    /// The status, for example 200.
    pub status: u16,
    /// The header `content-type`.
    pub content_type: Option<&'a str>,
    /// The header `retry-after`.
    pub retry_after: Option<&'a str>,
    /// The whole body.
    pub body: &'a [u8],
}

/// The stable reason of an error that the server itself answered: JSON with code, domain, message and reason. A gateway
/// answers in JSON as well, but not in this domain.
fn our_reason(answer: &HttpAnswer<'_>) -> Option<String> {
    if !answer.content_type?.starts_with("application/json") {
        return None;
    }
    let body = std::str::from_utf8(answer.body).ok()?;
    // Known keys of a small flat object do not earn a JSON library on a phone.
    if !body.split_whitespace().collect::<String>().contains("\"domain\":\"footpath\"") {
        return None;
    }
    let rest =
        body.split_once("\"reason\"")?.1.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    let reason = rest.split_once('"')?.0;
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    (!reason.is_empty() && reason.chars().all(is_word)).then(|| reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, content_type: &'static str, body: &'static [u8]) -> Outcome {
        Outcome::of_http(&HttpAnswer {
            status,
            content_type: Some(content_type),
            retry_after: Some("7"),
            body,
        })
    }

    #[test]
    fn only_the_servers_own_words_count() {
        const OURS: &[u8] =
            br#"{"code":16,"domain":"footpath","message":"no such key","reason":"key_unknown"}"#;
        const GATEWAYS: &[u8] =
            br#"{"error":{"code":400,"message":"Bad","errors":[{"domain":"global","reason":"invalid"}]}}"#;
        let json = "application/json";
        assert!(matches!(answer(401, json, OURS), Outcome::Denied(PauseReason::Unauthenticated(_))));
        assert!(matches!(answer(403, json, OURS), Outcome::Denied(PauseReason::PermissionDenied(_))));
        assert!(matches!(answer(404, json, OURS), Outcome::Denied(PauseReason::NotFound(_))));
        assert!(matches!(answer(400, json, OURS), Outcome::Refused(_)));
        let seven = Some(Duration::from_secs(7));
        assert!(matches!(answer(429, json, OURS), Outcome::Retry { after, .. } if after == seven));
        assert!(matches!(answer(503, json, OURS), Outcome::Retry { after, .. } if after == seven));
        for status in [200, 204, 301, 302, 400, 401, 403, 404, 407, 413, 500, 511] {
            for (kind, body) in [
                ("text/html", &b"<html>Log in to the train's WLAN"[..]),
                (json, b"{}"),
                (json, b""),
                (json, GATEWAYS),
            ] {
                assert!(matches!(answer(status, kind, body), Outcome::Retry { .. }), "{status} {kind}");
            }
        }
    }

    #[test]
    fn a_cut_answer_is_none() {
        let response = IngestResponse { batch_id: "b".into(), stored: 500, ..IngestResponse::default() };
        let body = response.encode_to_vec();
        let read = |body: &[u8]| {
            let content_type = Some("application/x-protobuf");
            Outcome::of_http(&HttpAnswer { status: 200, content_type, retry_after: None, body })
        };
        assert_eq!(read(&body), Outcome::Answered(Box::new(response)));
        assert!(matches!(read(&body[..body.len() - 1]), Outcome::Retry { .. }));
        assert!(matches!(read(b""), Outcome::Retry { .. }));
    }
}
