//! What the operator decides.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::{Backoff, InvalidDestination, MailServer};

/// Turns a name into addresses.
pub type Resolver =
    Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>> + Send + Sync>;

/// The machine's own resolver.
pub fn system_resolver() -> Resolver {
    Arc::new(|host| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

/// What the operator decides.
#[derive(Clone)]
pub struct Settings {
    /// Networks beside the public internet that destinations may be in, for receivers of one's own.
    pub allow: Vec<IpNet>,
    /// Whether URLs may be `http://`.
    pub http: bool,
    /// How long an attempt may take, all in all.
    pub timeout: Duration,
    /// When a failed attempt is tried again.
    pub backoff: Backoff,
    /// The mail server for destinations without one. It is the operator's, so it may be anywhere.
    pub relay: Option<MailServer>,
    /// Authorities that are trusted beside Mozilla's, as DER.
    pub authorities: Vec<Vec<u8>>,
    /// Turns names into addresses.
    pub resolver: Resolver,
}

impl Default for Settings {
    /// The public internet over TLS, 10 s an attempt, no relay.
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            http: false,
            timeout: Duration::from_secs(10),
            backoff: Backoff::default(),
            relay: None,
            authorities: Vec::new(),
            resolver: system_resolver(),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Settings");
        shown.field("allow", &self.allow).field("http", &self.http).field("timeout", &self.timeout);
        shown.field("backoff", &self.backoff).field("relay", &self.relay).finish_non_exhaustive()
    }
}

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The mail relay.
    #[error("the mail relay: {0}")]
    Relay(InvalidDestination),
    /// An authority's certificate.
    #[error("an authority is not a certificate in DER: {0}")]
    Authority(String),
    /// TLS.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}
