//! Requests over HTTP/1.1: one connection for each, to an address that was judged. No redirect is followed and no proxy asked.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use url::{Position, Url};

use crate::attempt::{Told, quoted};
use crate::check::check_url;
use crate::{Guard, Request, Resolver, Secret, Settings, SettingsError, Verdict, reach};

/// How much of an answer is read, in bytes.
const ANSWER_BYTES: usize = 4 * 1_024;
/// How large the head of an answer may be, in bytes; hyper takes no less than 8 KiB.
const HEAD_BYTES: usize = 16 * 1_024;

/// Sends requests.
pub(crate) struct Http {
    guard: Guard,
    resolver: Resolver,
    tls: TlsConnector,
    plain: bool,
}

impl Http {
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let guard = Guard::new(settings.allow.clone());
        let tls = connector(&settings.authorities)?;
        Ok(Self { guard, resolver: Arc::clone(&settings.resolver), tls, plain: settings.http })
    }

    /// One POST, without a limit of time.
    pub(crate) async fn post(&self, request: Request) -> Told {
        self.tried(request).await.unwrap_or_else(|told| told)
    }

    async fn tried(&self, request: Request) -> Result<Told, Told> {
        let url = check_url(&Secret::new(&request.url), self.plain)
            .map_err(|error| Told::refused(error.to_string()))?;
        let host = url.host_str().ok_or_else(|| Told::refused("the url has no host"))?.to_owned();
        let addresses = reach::addresses(&self.resolver, &self.guard, &host).await?;
        let stream = reach::connect(&addresses, url.port_or_known_default().unwrap_or(443)).await?;
        let request = built(&url, request)?;
        if url.scheme() == "http" {
            return exchange(stream, request).await;
        }
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name =
            ServerName::try_from(name).map_err(|_| Told::refused("the url's host is no name for TLS"))?;
        let stream = self.tls.connect(name, stream).await.map_err(|error| Told::retry(tls_words(&error)))?;
        exchange(stream, request).await
    }
}

fn connector(authorities: &[Vec<u8>]) -> Result<TlsConnector, SettingsError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for der in authorities {
        let added = roots.add(CertificateDer::from(der.clone()));
        added.map_err(|error| SettingsError::Authority(error.to_string()))?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| SettingsError::Tls(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn tls_words(error: &io::Error) -> String {
    format!("TLS failed: {error}")
}

fn built(url: &Url, request: Request) -> Result<http::Request<Full<Bytes>>, Told> {
    let path = &url[Position::BeforePath..Position::AfterQuery];
    let host = &url[Position::BeforeHost..Position::AfterPort];
    let mut builder = http::Request::post(path)
        .header(http::header::HOST, host)
        .header(http::header::USER_AGENT, concat!("Footpath/", env!("CARGO_PKG_VERSION")))
        .header(http::header::CONNECTION, "close");
    for (name, value) in request.headers {
        builder = builder.header(name, value);
    }
    builder.body(Full::from(request.body)).map_err(|_| Told::refused("the url cannot be requested"))
}

/// Sends the request and reads as much of the answer as is kept. The connection ends with this future.
async fn exchange<S>(stream: S, request: http::Request<Full<Bytes>>) -> Result<Told, Told>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |_| Told::retry("the connection broke before an answer");
    let handshake = http1::Builder::new().max_buf_size(HEAD_BYTES).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(broken)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        Ok(told(response).await)
    };
    tokio::pin!(connection, answer);
    tokio::select! {
        told = &mut answer => told,
        // What has arrived can still be read when the connection is over.
        _ = &mut connection => answer.await,
    }
}

async fn told(response: http::Response<Incoming>) -> Told {
    let status = response.status();
    let retry_after = retry_after(response.headers());
    let answer = beginning(response.into_body()).await;
    let answer = String::from_utf8_lossy(&answer);
    let words = if answer.trim().is_empty() {
        format!("answered {status}")
    } else {
        format!("answered {status}: {}", quoted(&answer))
    };
    Told { verdict: verdict(status), words, status: Some(status.as_u16()), retry_after }
}

/// The first bytes of the body; what comes later is not read, and an error ends it.
async fn beginning(mut body: Incoming) -> Vec<u8> {
    let mut kept = Vec::new();
    while kept.len() < ANSWER_BYTES {
        let Some(Ok(frame)) = body.frame().await else { break };
        let data = frame.into_data().unwrap_or_default();
        let room = ANSWER_BYTES - kept.len();
        kept.extend_from_slice(&data[..data.len().min(room)]);
    }
    kept
}

/// 2xx is taken; 5xx, 429, 408 and 425 may pass; a redirect is refused, since it could lead anywhere; the rest does not change by trying again.
fn verdict(status: http::StatusCode) -> Verdict {
    match status.as_u16() {
        200..=299 => Verdict::Delivered,
        408 | 425 | 429 | 500..=599 => Verdict::Retry,
        _ => Verdict::Refused,
    }
}

/// `Retry-After` in seconds. The form with a date is not read: the backoff stands then.
fn retry_after(headers: &http::HeaderMap) -> Option<Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_an_address_are_one_address() {
        for spelling in
            ["0x7f.1", "2130706433", "0177.0.0.1", "127.1", "127.0.0.1.", "①②⑦.0.0.1", "[::ffff:7f00:1]"]
        {
            let url = check_url(&Secret::new(format!("https://{spelling}/hook")), false).unwrap();
            let host = url.host_str().unwrap().trim_matches(['[', ']']).parse().unwrap();
            assert!(Guard::default().check(host).is_err(), "{spelling}");
        }
    }

    #[test]
    fn statuses_are_judged() {
        let of = |code| verdict(http::StatusCode::from_u16(code).unwrap());
        assert_eq!([of(200), of(204)], [Verdict::Delivered; 2]);
        assert_eq!([of(429), of(500), of(503), of(408)], [Verdict::Retry; 4]);
        assert_eq!([of(301), of(307), of(400), of(404), of(410)], [Verdict::Refused; 5]);
    }
}
