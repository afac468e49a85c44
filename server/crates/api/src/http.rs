//! The HTTP edges: what a request says it is, errors as JSON, bounded decompression.

use std::io::Read as _;

use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode, header};
use tonic::{Code, Status};

use crate::status::{invalid, reason_of, retry_after, with_reason};

/// Whether a request says that it is gRPC. gRPC-Web says so too, once it is translated.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    matches!(media_type(headers).as_str(), "application/grpc" | "application/grpc+proto")
}

/// What a batch in plain HTTP may say it is. Nothing at all is taken, too: some clients say nothing.
const BATCH: [&str; 4] = ["application/x-protobuf", "application/protobuf", "application/octet-stream", ""];

/// Checks that a body in plain HTTP can be a batch.
///
/// # Errors
/// INVALID_ARGUMENT with what to send.
pub fn check_batch(headers: &HeaderMap) -> Result<(), Status> {
    if BATCH.contains(&media_type(headers).as_str()) {
        return Ok(());
    }
    let message = "this takes a footpath.v1.IngestRequest in protobuf, content type application/x-protobuf; JSON \
                   goes through grpcurl or `footpath send`";
    Err(invalid("content_type_wrong", message))
}

/// The content type in lower case, without parameters; empty where none is given.
fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase()
}

/// UNIMPLEMENTED: nothing is at this path.
pub fn path_unknown() -> Status {
    let message = "nothing is at this path; an RPC's is /package.Service/Method, as in \
                   /footpath.v1.IngestService/Ingest";
    with_reason(Code::Unimplemented, "path_unknown", message, None)
}

/// UNIMPLEMENTED: the path takes another HTTP method.
pub fn method_wrong() -> Status {
    let message = "this path takes another HTTP method: POST for RPCs and batches, GET for the page";
    with_reason(Code::Unimplemented, "method_wrong", message, None)
}

/// An error in the words of the request: a gRPC status without a body, else [`error_response`].
pub fn refusal(status: Status, headers: &HeaderMap) -> Response {
    if is_grpc(headers) { status.into_http() } else { error_response(&status) }
}

/// A gRPC status as an HTTP answer with a JSON body, and `Retry-After` where it says when.
pub fn error_response(status: &Status) -> Response {
    let reason = reason_of(status).unwrap_or_default();
    let code = match status.code() {
        Code::InvalidArgument if reason == "batch_too_large" => StatusCode::PAYLOAD_TOO_LARGE,
        Code::InvalidArgument if reason == "content_type_wrong" => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::InvalidArgument | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unimplemented if reason == "method_wrong" => StatusCode::METHOD_NOT_ALLOWED,
        Code::NotFound | Code::Unimplemented => StatusCode::NOT_FOUND,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::REQUEST_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let body = serde_json::json!({
        "code": status.code() as i32,
        "domain": crate::status::DOMAIN,
        "reason": reason,
        "message": status.message(),
    });
    let mut response = (code, axum::Json(body)).into_response();
    if let Some(delay) = retry_after(status) {
        let seconds = delay.as_secs_f64().ceil() as u64;
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// How bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Encoding {
    /// What a header names; `None` for bytes as they are.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for what is not known.
    pub fn of(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Self>, Status> {
        let Some(value) = headers.get(name) else { return Ok(None) };
        match value.as_bytes().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Ok(None),
            b"gzip" => Ok(Some(Self::Gzip)),
            b"zstd" => Ok(Some(Self::Zstd)),
            _ => {
                let message = format!("{name}: {value:?} is not known; use gzip, zstd or identity");
                Err(invalid("compression_unknown", &message))
            }
        }
    }
}

/// What came out of compressed bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Inflated {
    /// All of it.
    Fits(Bytes),
    /// The beginning of more than the limit.
    TooLarge(Vec<u8>),
}

/// A zstd frame may ask for a window of this many bytes (as a power of two) and no more: 8 MiB, the most that any
/// of its ordinary levels uses.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Inflates at most `limit` bytes. Memory stays below twice the limit and the window, whatever the bytes claim.
///
/// # Errors
/// INVALID_ARGUMENT for damaged data.
pub fn inflate(packed: &[u8], encoding: Encoding, limit: usize) -> Result<Inflated, Status> {
    let damaged =
        |e: std::io::Error| invalid("compression_damaged", &format!("the data does not inflate: {e}"));
    let mut out = Vec::with_capacity(limit.min(4 * packed.len()));
    let cap = limit as u64 + 1;
    match encoding {
        Encoding::Gzip => {
            // A gzip file may have several members, one after the other; what follows them is damage.
            flate2::read::MultiGzDecoder::new(packed).take(cap).read_to_end(&mut out).map_err(damaged)?;
        }
        Encoding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(packed).map_err(damaged)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(damaged)?;
            decoder.take(cap).read_to_end(&mut out).map_err(damaged)?;
        }
    }
    if out.len() > limit { Ok(Inflated::TooLarge(out)) } else { Ok(Inflated::Fits(out.into())) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::Encoding::{Gzip, Zstd};
    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn grpc_is_told_by_its_content_type() {
        let is = |kind: &str| is_grpc(&HeaderMap::from_iter([(header::CONTENT_TYPE, kind.parse().unwrap())]));
        for kind in ["application/grpc", "application/grpc+proto", "Application/gRPC; charset=utf-8"] {
            assert!(is(kind), "{kind}");
        }
        for kind in ["application/json", "application/grpc-web", "application/grpc+json", "application/grpcx"]
        {
            assert!(!is(kind), "{kind}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let zeros = vec![0; 64 << 20];
        for (packed, encoding) in [(gzip(&zeros), Gzip), (zstd::encode_all(&zeros[..], 19).unwrap(), Zstd)] {
            let Inflated::TooLarge(out) = inflate(&packed, encoding, 1 << 20).unwrap() else {
                panic!("{encoding:?} went through")
            };
            assert_eq!(out.len(), (1 << 20) + 1);
            assert!(out.capacity() <= 2 << 20, "{encoding:?} took {} bytes", out.capacity());
        }
    }

    #[test]
    fn what_fits_comes_out_and_damage_is_named() {
        assert_eq!(inflate(&gzip(b"abc"), Gzip, 3).unwrap(), Inflated::Fits("abc".into()));
        let reason = |bytes: &[u8], encoding| reason_of(&inflate(bytes, encoding, 9).unwrap_err()).unwrap();
        assert_eq!(reason(b"abc", Gzip), "compression_damaged");
        assert_eq!(reason(b"abc", Zstd), "compression_damaged");
    }

    #[test]
    fn an_encoding_is_named_in_any_case() {
        let name = header::CONTENT_ENCODING;
        let of = |value: &str| {
            Encoding::of(&HeaderMap::from_iter([(name.clone(), value.parse().unwrap())]), &name)
        };
        assert_eq!(of("GZip").unwrap(), Some(Gzip));
        assert_eq!(of("zstd").unwrap(), Some(Zstd));
        assert_eq!(of("Identity").unwrap(), None);
        assert_eq!(Encoding::of(&HeaderMap::new(), &name).unwrap(), None);
        for unknown in ["br", "deflate", "gzip, gzip"] {
            let status = of(unknown).unwrap_err();
            assert_eq!(reason_of(&status).as_deref(), Some("compression_unknown"));
            assert!(status.message().contains("gzip, zstd"), "{status:?}");
        }
    }

    #[test]
    fn every_member_of_a_gzip_body_is_read() {
        let two = [gzip(b"abc"), gzip(b"def")].concat();
        assert_eq!(inflate(&two, Gzip, 9).unwrap(), Inflated::Fits("abcdef".into()));
        assert_eq!(inflate(&two, Gzip, 5).unwrap(), Inflated::TooLarge("abcdef".into()));
        let trailing = [gzip(b"abc"), b"more".to_vec()].concat();
        let status = inflate(&trailing, Gzip, 9).unwrap_err();
        assert_eq!(reason_of(&status).as_deref(), Some("compression_damaged"));
    }

    #[test]
    fn a_window_larger_than_any_batch_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(&vec![7; 1 << 20]).unwrap();
        let packed = encoder.finish().unwrap();
        assert!(inflate(&packed, Zstd, 4 << 20).is_err());
    }
}
