//! How a client is put together, as a host says it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use footpath_client as core;
use footpath_proto::v1::Context;

use crate::types::{ClientError, Consent, Problem};

/// Who carries the batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Carrier {
    /// The library, by gRPC. Not in the build for phones.
    Grpc,
    /// The host, by its own HTTP stack: `nextBatch` and `report`.
    Host,
    /// Nobody: batches stay in memory and are answered at once. For tests.
    Memory,
}

/// Settings. What is left out has the core's default.
#[derive(Debug, Clone, uniffi::Record)]
pub struct Config {
    /// For example `https://events.example.com`.
    pub endpoint: String,
    /// The project key.
    pub key: String,
    /// The project's id; must be the key's project.
    pub project: String,
    /// Where the queue lies; `None`: in memory, gone with the process.
    pub queue_folder: Option<String>,
    /// Who carries the batches.
    pub carrier: Carrier,
    /// A backend: every event names its person; no session, no device.
    #[uniffi(default = false)]
    pub backend: bool,
    /// What holds on a new install until somebody answers.
    #[uniffi(default = None)]
    pub first_consent: Option<Consent>,
    /// The library's name and version as the server sees them.
    pub library: String,
    /// The app's name.
    #[uniffi(default = "")]
    pub app: String,
    /// The app's version.
    #[uniffi(default = "")]
    pub app_version: String,
    /// The operating system; by default as the core sees it.
    #[uniffi(default = "")]
    pub os: String,
    /// Its version.
    #[uniffi(default = "")]
    pub os_version: String,
    /// The device's model.
    #[uniffi(default = "")]
    pub device_model: String,
    /// BCP 47, for example "de-CH".
    #[uniffi(default = "")]
    pub locale: String,
    /// IANA name, for example "Europe/Zurich".
    #[uniffi(default = "")]
    pub time_zone: String,
    /// Names the time since the device's last start, where the core cannot ask the system itself (Apple's
    /// `kern.bootsessionuuid`). It never leaves the device.
    #[uniffi(default = None)]
    pub boot_id: Option<String>,
    /// Bytes between `track` and the database.
    #[uniffi(default = None)]
    pub ring_bytes: Option<u64>,
    /// An event waits at most so many milliseconds for company.
    #[uniffi(default = None)]
    pub batch_interval_ms: Option<u64>,
    /// Events of a batch, at most.
    #[uniffi(default = None)]
    pub batch_events: Option<u32>,
    /// Bytes of events of a batch, at most.
    #[uniffi(default = None)]
    pub batch_bytes: Option<u64>,
    /// An attempt without an answer ends after so many milliseconds. A host that carries batches has its own.
    #[uniffi(default = None)]
    pub request_timeout_ms: Option<u64>,
    /// The wait after a first failure, in milliseconds; doubled with each further one.
    #[uniffi(default = None)]
    pub backoff_min_ms: Option<u64>,
    /// The longest such wait.
    #[uniffi(default = None)]
    pub backoff_max_ms: Option<u64>,
    /// Trusts servers whose certificate this authority (PEM) signed, instead of the well-known ones. For `Carrier.Grpc`.
    #[uniffi(default = None)]
    pub ca_certificate: Option<Vec<u8>>,
    /// Bytes of events that may wait for the server; of a small number, a quarter is kept for critical ones.
    #[uniffi(default = None)]
    pub max_bytes: Option<u64>,
    /// Events that may wait for the server.
    #[uniffi(default = None)]
    pub max_events: Option<u64>,
    /// Days after which an event that was not delivered is let go.
    #[uniffi(default = None)]
    pub max_age_days: Option<u32>,
    /// Bytes an hour, before compression, on a metered link or a low battery; critical events go all the same.
    #[uniffi(default = None)]
    pub saving_bytes_per_hour: Option<u64>,
    /// Marks this device's events with the property `debug_view`.
    #[uniffi(default = None)]
    pub debug_view: Option<String>,
    /// Takes events of a name from a share of all persons only.
    #[uniffi(default = None)]
    pub samples: Option<HashMap<String, f64>>,
}

/// Is told what the application should know of, from the client's own thread: be quick.
#[uniffi::export(with_foreign)]
pub trait ProblemListener: Send + Sync {
    /// Something needs attention.
    fn on_problem(&self, problem: Problem);
}

/// A key cannot be had now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum KeyFailure {
    /// As on a locked device. It is asked for again.
    #[error("{why}")]
    NotNow {
        /// Why.
        why: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for KeyFailure {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::NotNow { why: error.reason }
    }
}

/// Keeps the keys that seal the queue: Android's Keystore, Apple's Keychain. A key has 32 bytes.
#[uniffi::export(with_foreign)]
pub trait KeyStore: Send + Sync {
    /// The key of that name; none only where it is proven to be gone.
    fn find(&self, id: String) -> Result<Option<Vec<u8>>, KeyFailure>;
    /// Makes the key of that name, or finds the one there is.
    fn make(&self, id: String) -> Result<Vec<u8>, KeyFailure>;
    /// Destroys the key of that name; none is no error.
    fn destroy(&self, id: String) -> Result<(), KeyFailure>;
}

/// A host's keys, as the core asks for them.
struct HostKeys(Arc<dyn KeyStore>);

impl HostKeys {
    fn key(bytes: Vec<u8>) -> Result<core::Key, core::KeyError> {
        let len = bytes.len();
        bytes.try_into().map_err(|_| core::KeyError(format!("a key has 32 bytes, this one has {len}")))
    }
}

fn not_now(KeyFailure::NotNow { why }: KeyFailure) -> core::KeyError {
    core::KeyError(why)
}

impl core::KeyProvider for HostKeys {
    fn find(&self, id: &str) -> Result<Option<core::Key>, core::KeyError> {
        self.0.find(id.to_owned()).map_err(not_now)?.map(Self::key).transpose()
    }

    fn make(&self, id: &str) -> Result<core::Key, core::KeyError> {
        Self::key(self.0.make(id.to_owned()).map_err(not_now)?)
    }

    fn destroy(&self, id: &str) -> Result<(), core::KeyError> {
        self.0.destroy(id.to_owned()).map_err(not_now)
    }
}

impl Config {
    /// Starts a client.
    pub(crate) fn build(
        self,
        listener: Option<Arc<dyn ProblemListener>>,
        keys: Option<Arc<dyn KeyStore>>,
    ) -> Result<core::Client, ClientError> {
        let context = self.context();
        let mut builder =
            core::Client::builder(self.endpoint, self.key).project(self.project).context(context);
        builder = match self.queue_folder {
            Some(folder) => builder.queue_dir(folder),
            None => builder.queue_in_memory(),
        };
        builder = match self.carrier {
            Carrier::Host => builder.host_carries(),
            Carrier::Memory => builder.transport(Arc::new(core::MemoryServer::new())),
            #[cfg(feature = "grpc")]
            Carrier::Grpc => builder,
            #[cfg(not(feature = "grpc"))]
            Carrier::Grpc => {
                let why = "this build has no gRPC; the host carries the batches".to_owned();
                return Err(ClientError::Invalid { why });
            }
        };
        if self.backend {
            builder = builder.backend();
        }
        if let Some(consent) = self.first_consent {
            builder = builder.first_consent(consent.into());
        }
        if self.boot_id.is_some() {
            builder = builder.clock(Arc::new(core::SystemClock::with_boot_id(self.boot_id)));
        }
        if let Some(bytes) = self.ring_bytes {
            builder = builder.ring_bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
        if let Some(ms) = self.batch_interval_ms {
            builder = builder.batch_interval(Duration::from_millis(ms));
        }
        if let Some(events) = self.batch_events {
            builder = builder.batch_events(events as usize);
        }
        if let Some(bytes) = self.batch_bytes {
            builder = builder.batch_bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
        if let Some(ms) = self.request_timeout_ms {
            builder = builder.request_timeout(Duration::from_millis(ms));
        }
        if self.backoff_min_ms.is_some() || self.backoff_max_ms.is_some() {
            let (min, max) = core::DEFAULT_BACKOFF;
            let min = self.backoff_min_ms.map_or(min, Duration::from_millis);
            let max = self.backoff_max_ms.map_or(max, Duration::from_millis);
            builder = builder.backoff(min, max.max(min));
        }
        if self.ca_certificate.is_some() && self.carrier == Carrier::Host {
            let why = "the host that carries the batches decides whom it trusts: leave the authority's certificate to it".to_owned();
            return Err(ClientError::Invalid { why });
        }
        if let Some(pem) = self.ca_certificate {
            builder = trusting(builder, pem)?;
        }
        if let Some(bytes) = self.saving_bytes_per_hour {
            builder = builder.saving_bytes_per_hour(bytes);
        }
        if let Some(tag) = self.debug_view {
            builder = builder.debug_view(tag);
        }
        for (name, share) in self.samples.unwrap_or_default() {
            builder = builder.sample(name, share);
        }
        let limits = core::Limits::default();
        let bytes = self.max_bytes.unwrap_or(limits.bytes);
        builder = builder.limits(core::Limits {
            bytes,
            events: self.max_events.unwrap_or(limits.events),
            age: self.max_age_days.map_or(limits.age, |days| Duration::from_secs(u64::from(days) * 86_400)),
            critical_bytes: limits.critical_bytes.min(bytes / 4),
        });
        if let Some(keys) = keys {
            builder = builder.encrypt(Arc::new(HostKeys(keys)));
        }
        if let Some(listener) = listener {
            builder = builder.on_problem(move |problem| listener.on_problem(problem.into()));
        }
        builder.build().map_err(|error| ClientError::Invalid { why: error.to_string() })
    }

    fn context(&self) -> Context {
        let (library, library_version) = self.library.split_once(' ').unwrap_or((&self.library, ""));
        let os = if self.os.is_empty() { std::env::consts::OS } else { &self.os };
        Context {
            app: self.app.clone(),
            app_version: self.app_version.clone(),
            os: os.to_owned(),
            os_version: self.os_version.clone(),
            device_model: self.device_model.clone(),
            locale: self.locale.clone(),
            library: library.to_owned(),
            library_version: library_version.to_owned(),
            time_zone: self.time_zone.clone(),
            ..Context::default()
        }
    }
}

#[cfg(feature = "grpc")]
fn trusting(builder: core::Builder, pem: Vec<u8>) -> Result<core::Builder, ClientError> {
    Ok(builder.ca_certificate(pem))
}

#[cfg(not(feature = "grpc"))]
fn trusting(_: core::Builder, _: Vec<u8>) -> Result<core::Builder, ClientError> {
    let why = "this build has no gRPC: the host that carries the batches decides whom it trusts".to_owned();
    Err(ClientError::Invalid { why })
}
