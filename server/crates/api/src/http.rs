//! The HTTP edges: errors as JSON, bounded decompression, the page.

use std::io::Read as _;

use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use tonic::{Code, Status};

use crate::status::{invalid, reason_of};

/// A gRPC status as an HTTP answer with a JSON body.
pub fn error_response(status: &Status) -> Response {
    let code = match status.code() {
        Code::InvalidArgument | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let body = serde_json::json!({
        "code": status.code() as i32,
        "reason": reason_of(status).unwrap_or_default(),
        "message": status.message(),
    });
    (code, axum::Json(body)).into_response()
}

/// Undoes `Content-Encoding`; the limit holds for what comes out.
///
/// # Errors
/// INVALID_ARGUMENT for an unknown encoding, damaged data, or more than `limit` bytes.
pub fn decompress(body: Bytes, encoding: Option<&str>, limit: usize) -> Result<Bytes, Status> {
    let damaged =
        |e: std::io::Error| invalid("compression_damaged", &format!("the body does not decompress: {e}"));
    let mut out = Vec::new();
    let cap = limit as u64 + 1;
    match encoding {
        None | Some("identity" | "") => return Ok(body),
        Some("gzip") => {
            flate2::read::GzDecoder::new(&body[..]).take(cap).read_to_end(&mut out).map_err(damaged)?;
        }
        Some("zstd") => {
            let decoder = zstd::stream::read::Decoder::new(&body[..]).map_err(damaged)?;
            decoder.take(cap).read_to_end(&mut out).map_err(damaged)?;
        }
        Some(other) => {
            let message = format!("content-encoding {other:?} is not known; use gzip, zstd or none");
            return Err(invalid("compression_unknown", &message));
        }
    }
    if out.len() > limit {
        let message = format!("a batch may hold {limit} bytes uncompressed; send smaller batches");
        return Err(invalid("batch_too_large", &message));
    }
    Ok(out.into())
}

/// A file of the page.
pub fn asset(path: &str) -> Response {
    let (kind, body) = match path {
        "index.html" => ("text/html; charset=utf-8", include_str!("../../../dashboard/index.html")),
        "icon.svg" => ("image/svg+xml", include_str!("../../../dashboard/icon.svg")),
        "style.css" => ("text/css; charset=utf-8", include_str!("../../../dashboard/style.css")),
        "app.js" => ("text/javascript; charset=utf-8", include_str!("../../../dashboard/app.js")),
        "grpcweb.js" => ("text/javascript; charset=utf-8", include_str!("../../../dashboard/grpcweb.js")),
        "codec.js" => ("text/javascript; charset=utf-8", include_str!("../../../dashboard/codec.js")),
        _ => return (StatusCode::NOT_FOUND, "no such file").into_response(),
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'self'")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (headers, body).into_response()
}

/// The API's descriptors, for the page's codec.
pub fn descriptors() -> Response {
    ([(header::CONTENT_TYPE, "application/octet-stream")], footpath_proto::DESCRIPTORS).into_response()
}
