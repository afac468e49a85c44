//! The transport for programs that reach the server through plain HTTP only: `POST /v1/ingest`.

use std::io::Read as _;
use std::time::Duration;

use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use crate::outcome::{HttpAnswer, Outcome};
use crate::transport::{Outgoing, Transport};

/// An answer of the server is far smaller; a portal's page need not be read to its end.
const MAX_ANSWER: u64 = 4 << 20;

/// Sends batches by HTTP/1.1, through the proxy that the environment names.
#[derive(Debug)]
pub struct HttpTransport {
    agent: ureq::Agent,
    url: String,
}

impl HttpTransport {
    /// Sends to `endpoint`, for example `https://events.example.com`; each attempt ends after `timeout`.
    pub fn new(endpoint: &str, timeout: Duration) -> Self {
        Self::over(TlsConfig::default(), endpoint, timeout)
    }

    /// As [`HttpTransport::new`], but trusts servers whose certificate one of these authorities (PEM) signed, instead of
    /// the well-known ones.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn trusting(pem: &[u8], endpoint: &str, timeout: Duration) -> Result<Self, String> {
        let items: Result<Vec<_>, _> = parse_pem(pem).collect();
        let items = items.map_err(|error| format!("the authority's certificate cannot be read: {error}"))?;
        let certificates = items.into_iter().filter_map(|item| match item {
            PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        });
        let tls = TlsConfig::builder().root_certs(RootCerts::from(certificates)).build();
        Ok(Self::over(tls, endpoint, timeout))
    }

    fn over(tls: TlsConfig, endpoint: &str, timeout: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(timeout))
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0) // A portal redirects; its answer would be another server's.
            .build();
        Self { agent: config.into(), url: format!("{}/v1/ingest", endpoint.trim_end_matches('/')) }
    }

    fn answer(&self, batch: &Outgoing) -> Result<Outcome, String> {
        let (body, encoding) = batch.compressed();
        let mut request = self
            .agent
            .post(&self.url)
            .header("content-type", "application/x-protobuf")
            .header("authorization", &batch.authorization);
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        let mut response = request.send(&body[..]).map_err(|error| error.to_string())?;
        let mut read = Vec::new();
        let reader = response.body_mut().as_reader();
        reader.take(MAX_ANSWER).read_to_end(&mut read).map_err(|error| error.to_string())?;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        Ok(Outcome::of_http(&HttpAnswer {
            status: response.status().as_u16(),
            content_type: header("content-type"),
            retry_after: header("retry-after"),
            body: &read,
        }))
    }
}

impl Transport for HttpTransport {
    fn send(&self, batch: &Outgoing) -> Outcome {
        self.answer(batch).unwrap_or_else(Outcome::Broken)
    }
}
