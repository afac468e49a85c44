//! How a client is put together.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use footpath_proto::v1::Context;
use parking_lot::Mutex;
use prost::Message as _;
#[cfg(feature = "grpc")]
use tokio::runtime::Handle;
#[cfg(feature = "grpc")]
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::backoff::Backoff;
use crate::client::{BeforeSend, Client, Inner};
use crate::clock::{Clock, Randomness, SystemClock, SystemRandom};
use crate::courier::Courier;
use crate::delivery::{Delivery, Settings};
use crate::error::{BuildError, Problem};
use crate::frame;
#[cfg(feature = "http")]
use crate::http::HttpTransport;
use crate::intake::{Intake, MAX_EVENT_BYTES, Shared};
use crate::profile::Consent;
use crate::queue::Limits;
use crate::ring::LARGEST;
use crate::seal::{KeyProvider, Sealer};
use crate::stats::Stats;
use crate::track::Track;
use crate::transport::Transport;
use crate::value::{PropertyValue, put_entry};
use crate::worker::{OnProblem, Place, Setup, Worker};

/// The worker's stack: SQLite needs little, and a process may hold hundreds of clients.
const STACK_BYTES: usize = 512 * 1024;
/// Room for a burst of 20,000 events of 200 bytes, which one thread can track faster than a disk takes them.
const RING_BYTES: usize = 8 << 20;
/// A queue in memory is for tests and simulations, of which there may be many.
const MEMORY_RING_BYTES: usize = 256 << 10;
/// The wait after a first failure, and the longest one, where [`Builder::backoff`] does not say otherwise.
pub const DEFAULT_BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// A connection that is not there by then is tried again.
#[cfg(feature = "grpc")]
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest event has to fit wherever it begins.
const LEAST_RING_BYTES: usize = 128 << 10;
/// For simulations of many clients whose events are small: larger ones than a half of it find no room.
const LEAST_MEMORY_RING_BYTES: usize = 16 << 10;
const MAX_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);
/// The server's default limit.
const MAX_CONTEXT_BYTES: usize = 8 << 10;
const NO_QUEUE: &str = "a queue is needed: `.queue_dir(\"...\")` or `.queue_in_memory()`";

/// As the server names projects; the folder of the queue has this name, too.
fn is_project(id: &str) -> bool {
    (1..=32).contains(&id.len())
        && id.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
}

/// What a header can carry.
pub(crate) fn is_key(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|c| c.is_ascii_graphic())
}

#[cfg(any(feature = "grpc", feature = "http"))]
fn is_pem(bytes: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    bytes.windows(BEGIN.len()).any(|window| window == BEGIN)
}

/// Who carries the batches, if not gRPC.
enum Carrier {
    /// A thread of the client's own.
    Thread(Arc<dyn Transport>),
    /// The same, by HTTP.
    #[cfg(feature = "http")]
    Http,
    /// The host, through a [`Courier`].
    Host,
}

/// Settings of a [`Client`]. Needed: a project, and a queue folder (or a queue in memory).
pub struct Builder {
    #[cfg_attr(not(any(feature = "grpc", feature = "http")), allow(dead_code))] // A host knows it itself.
    endpoint: String,
    key: String,
    project: String,
    place: Option<Place>,
    ring_bytes: Option<usize>,
    settings: Settings,
    backoff: (Duration, Duration),
    request_timeout: Duration,
    limits: Limits,
    shared: Shared,
    backend: bool,
    first_consent: Consent,
    keys: Option<Arc<dyn KeyProvider>>,
    before_send: Option<BeforeSend>,
    carrier: Option<Carrier>,
    #[cfg(feature = "grpc")]
    channel: Option<Channel>,
    #[cfg(feature = "grpc")]
    runtime: Option<Handle>,
    #[cfg(any(feature = "grpc", feature = "http"))]
    ca: Option<Vec<u8>>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Randomness>,
    on_problem: Option<OnProblem>,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("project", &self.project).finish_non_exhaustive()
    }
}

impl Builder {
    pub(crate) fn new(endpoint: String, key: String) -> Self {
        let context = Context {
            os: std::env::consts::OS.into(),
            library: "footpath-rust".into(),
            library_version: env!("CARGO_PKG_VERSION").into(),
            ..Context::default()
        };
        let settings = Settings {
            project: String::new(),
            max_events: 500,
            max_bytes: 512 * 1024,
            interval: Duration::from_secs(1),
            historical: false,
            context,
            saving_bytes_per_hour: 256 * 1024,
        };
        Self {
            endpoint,
            key,
            project: String::new(),
            place: None,
            ring_bytes: None,
            settings,
            backoff: DEFAULT_BACKOFF,
            request_timeout: Duration::from_secs(30),
            limits: Limits::default(),
            shared: Shared::default(),
            backend: false,
            first_consent: Consent::Granted,
            keys: None,
            before_send: None,
            carrier: None,
            #[cfg(feature = "grpc")]
            channel: None,
            #[cfg(feature = "grpc")]
            runtime: None,
            #[cfg(any(feature = "grpc", feature = "http"))]
            ca: None,
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
            on_problem: None,
        }
    }

    /// The project's id, part of every event's lane. Must be the key's project.
    pub fn project(mut self, id: impl Into<String>) -> Self {
        self.project = id.into();
        self
    }

    /// Keeps the queue under this folder, made if needed. Several processes may name the same one.
    pub fn queue_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.place = Some(Place::Folder(folder.into()));
        self
    }

    /// Keeps the queue in memory: what is not delivered is gone with the client. For tests and simulations;
    /// every such client is a new install.
    pub fn queue_in_memory(mut self) -> Self {
        self.place = Some(Place::Memory);
        self
    }

    /// Bytes between `track` and the database, 128 KiB to 1 GiB; 8 MiB by default. For a queue in memory 16 KiB at least, 256 KiB
    /// by default; an event of more than half of it finds no room. They are allocated at the start.
    pub fn ring_bytes(mut self, bytes: usize) -> Self {
        self.ring_bytes = Some(bytes);
        self
    }

    /// How much may wait for the server; beyond it the oldest of the least important events go, and are reported as lost.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// A backend: no person, no session and no device of its own; every event names its user or anonymous id.
    pub fn backend(mut self) -> Self {
        self.backend = true;
        self
    }

    /// What holds on a new install until [`Client::set_consent`]; granted by default.
    pub fn first_consent(mut self, consent: Consent) -> Self {
        self.first_consent = consent;
        self
    }

    /// Encrypts the queue with keys kept there.
    pub fn encrypt(mut self, keys: Arc<dyn KeyProvider>) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Looks at every event before it is taken, on the caller's thread: changes it, or leaves it out.
    pub fn before_send(mut self, hook: impl Fn(Track) -> Option<Track> + Send + Sync + 'static) -> Self {
        self.before_send = Some(Box::new(hook));
        self
    }

    /// Takes events of this name from a share of all persons only, 0 to 1. Critical ones are always taken.
    pub fn sample(mut self, name: impl Into<String>, share: f64) -> Self {
        self.shared.samples.push((name.into(), share));
        self
    }

    /// A property of every event of this process, unless the event sets it itself. It wins over a registered one.
    pub fn property(mut self, key: impl Into<String>, value: impl Into<PropertyValue>) -> Self {
        let key = key.into();
        let mut entry = Vec::new();
        put_entry(&mut entry, 11, &key, &value.into());
        self.shared.properties.retain(|(known, _)| *known != key);
        self.shared.properties.push((key, entry));
        self
    }

    /// Marks every event of this process, so that a developer finds the own device among all others: the property
    /// `debug_view`.
    pub fn debug_view(self, tag: impl Into<String>) -> Self {
        self.property("debug_view", tag.into())
    }

    /// What all events share; by default this library's name and version and the operating system.
    pub fn context(mut self, context: Context) -> Self {
        self.settings.context = context;
        self
    }

    /// A batch holds at most this many events; 500 by default.
    pub fn batch_events(mut self, events: usize) -> Self {
        self.settings.max_events = events;
        self
    }

    /// A batch holds at most this many bytes of events; 512 KiB by default.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_bytes = bytes;
        self
    }

    /// An event waits at most this long for company; 1 s by default. Critical ones do not wait.
    pub fn batch_interval(mut self, interval: Duration) -> Self {
        self.settings.interval = interval;
        self
    }

    /// Bytes an hour, before compression, while [`Client::save_data`] is on; 256 KiB by default.
    pub fn saving_bytes_per_hour(mut self, bytes: u64) -> Self {
        self.settings.saving_bytes_per_hour = bytes;
        self
    }

    /// Batches may hold events of any time after 1970 and raise no alerts.
    pub fn historical(mut self, historical: bool) -> Self {
        self.settings.historical = historical;
        self
    }

    /// The wait after a first failure and the longest wait; 250 ms and 30 s by default.
    pub fn backoff(mut self, min: Duration, max: Duration) -> Self {
        self.backoff = (min, max);
        self
    }

    /// An attempt without an answer ends after this; 30 s by default.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Sends through this on a thread of the client's own; endpoint, channel and runtime are not used.
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.carrier = Some(Carrier::Thread(transport));
        self
    }

    /// Sends by `POST /v1/ingest` to the endpoint, through the proxy that the environment names.
    #[cfg(feature = "http")]
    pub fn http(mut self) -> Self {
        self.carrier = Some(Carrier::Http);
        self
    }

    /// Sends nothing by itself: the host asks [`Client::courier`] for batches and carries them.
    pub fn host_carries(mut self) -> Self {
        self.carrier = Some(Carrier::Host);
        self
    }

    /// Sends over this channel, which may be shared; the endpoint is not used.
    #[cfg(feature = "grpc")]
    pub fn channel(mut self, channel: Channel) -> Self {
        self.channel = Some(channel);
        self
    }

    /// Sends on this runtime. By default: the caller's, else a small one of the client's own.
    #[cfg(feature = "grpc")]
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Trusts servers whose certificate this authority (PEM) signed, instead of the well-known ones.
    #[cfg(any(feature = "grpc", feature = "http"))]
    pub fn ca_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca = Some(pem.into());
        self
    }

    /// Uses this clock. Its continuous time must advance for anything to be sent.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Uses this randomness for ids, epochs and jitter.
    pub fn randomness(mut self, random: Arc<dyn Randomness>) -> Self {
        self.random = random;
        self
    }

    /// Called when something needs the application's attention, once until it changes, from the client's own thread: be
    /// quick.
    pub fn on_problem(mut self, callback: impl Fn(&Problem) + Send + 'static) -> Self {
        self.on_problem = Some(Box::new(callback));
        self
    }

    /// Starts the client and returns at once: the storage is opened by the client's thread, and what is tracked until then
    /// is kept in memory. What an earlier run left in the queue is sent as soon as it is open.
    ///
    /// # Errors
    /// When a setting is missing, the endpoint cannot be used, or there is no thread to be had.
    pub fn build(mut self) -> Result<Client, BuildError> {
        self.check().map_err(BuildError::Setting)?;
        let Some(place) = self.place.take() else { return Err(BuildError::Setting(NO_QUEUE.into())) };
        let default_ring = if matches!(place, Place::Memory) { MEMORY_RING_BYTES } else { RING_BYTES };
        self.settings.project.clone_from(&self.project);
        let backoff = Backoff::new(self.backoff.0, self.backoff.1);
        let delivery = Delivery::new(self.settings.clone(), backoff, self.clock.continuous());
        let intake = Arc::new(Intake::new(Arc::clone(&self.clock), Arc::clone(&self.random), self.backend));
        let stats = Arc::new(Mutex::new(Stats::default()));
        let (commands_in, commands) = std::sync::mpsc::channel();
        let courier = Courier::new(commands_in.clone());
        let carrier = self.start_carrier(courier)?;
        let sealer = Sealer::new(self.keys);
        let setup = Setup {
            project: self.project.clone(),
            shared: self.shared,
            place,
            ring_bytes: self.ring_bytes.unwrap_or(default_ring),
            sealer: sealer.clone(),
            limits: self.limits,
            backend: self.backend,
            first_consent: self.first_consent,
            clock: Arc::clone(&self.clock),
            random: Arc::clone(&self.random),
            on_problem: self.on_problem,
        };
        let worker =
            Worker::new(setup, Arc::clone(&intake), delivery, commands, Arc::clone(&stats), &self.key);
        let thread = std::thread::Builder::new().name("footpath-queue".into()).stack_size(STACK_BYTES);
        let thread = thread.spawn(move || worker.run())?;
        let inner = Inner {
            project: self.project,
            clock: self.clock,
            intake,
            commands: commands_in,
            stats,
            before_send: self.before_send,
            sealer,
            random: self.random,
            worker: Mutex::new(Some(thread)),
            process: std::process::id(),
            _carrier: carrier,
        };
        Ok(Client { inner: Arc::new(inner) })
    }

    /// What is wrong with the settings, and what would be right.
    fn check(&self) -> Result<(), String> {
        let that = |holds: bool, need: &str| if holds { Ok(()) } else { Err(need.to_owned()) };
        that(
            is_project(&self.project),
            "a project's id has 1 to 32 of a-z, 0-9 and \"-\": `.project(\"...\")`",
        )?;
        // Who else carries may have one of their own.
        let keyless = self.key.is_empty() && matches!(self.carrier, Some(Carrier::Thread(_) | Carrier::Host));
        that(keyless || is_key(&self.key), "a project key is a word without spaces or line breaks")?;
        that(self.place != Some(Place::Folder(PathBuf::new())), NO_QUEUE)?;
        let least =
            if self.place == Some(Place::Memory) { LEAST_MEMORY_RING_BYTES } else { LEAST_RING_BYTES };
        let ring = self.ring_bytes.unwrap_or(RING_BYTES);
        that(
            (least..=LARGEST).contains(&ring),
            "`ring_bytes` is 128 KiB to 1 GiB; of a queue in memory, 16 KiB at least",
        )?;
        let Settings { max_events, max_bytes, interval, context, .. } = &self.settings;
        that(*max_events > 0 && *max_bytes > 0, "a batch holds at least one event, of one byte")?;
        that(*interval <= MAX_INTERVAL, "`batch_interval` is a day at most")?;
        that(context.encoded_len() <= MAX_CONTEXT_BYTES, "a context has at most 8 KiB")?;
        let timeout = self.request_timeout;
        that(
            !timeout.is_zero() && timeout <= MAX_INTERVAL,
            "`request_timeout` is longer than nothing, and a day at most",
        )?;
        let (min, max) = self.backoff;
        that(
            !min.is_zero() && min <= max && max <= MAX_INTERVAL,
            "`backoff` is longer than nothing, its longest wait no shorter than its first, and a day at most",
        )?;
        let Limits { bytes, events, age, critical_bytes } = self.limits;
        that(events > 0 && !age.is_zero(), "`limits` leave room for one event, for some time")?;
        that(critical_bytes >= MAX_EVENT_BYTES as u64, "`limits` leave 32 KiB for critical events")?;
        that(critical_bytes < bytes, "`limits` leave bytes for events that are not critical")?;
        that(
            !self.backend || self.first_consent == Consent::Granted,
            "a backend asks nobody for consent: it tracks only those who gave it",
        )?;
        #[cfg(any(feature = "grpc", feature = "http"))]
        that(self.ca.as_deref().is_none_or(is_pem), "a `ca_certificate` is PEM with a CERTIFICATE in it")?;
        let Shared { properties, samples } = &self.shared;
        let shares = samples.iter().all(|(_, share)| (0.0..=1.0).contains(share));
        that(shares, "a sample is a share from 0 to 1")?;
        let entries: Vec<u8> = properties.iter().flat_map(|(_, entry)| entry).copied().collect();
        that(entries.len() <= MAX_EVENT_BYTES / 2, "the properties of all events have at most 16 KiB")?;
        frame::check_properties(&entries).map_err(|error| error.to_string())
    }

    fn start_carrier(&mut self, courier: Courier) -> Result<Option<Box<dyn Send + Sync>>, BuildError> {
        match self.carrier.take() {
            Some(Carrier::Host) => Ok(None),
            Some(Carrier::Thread(transport)) => carry(courier, transport),
            #[cfg(feature = "http")]
            Some(Carrier::Http) => {
                check_scheme(&self.endpoint)?;
                let (endpoint, timeout) = (&self.endpoint, self.request_timeout);
                let http = self.ca.take().map(|pem| HttpTransport::trusting(&pem, endpoint, timeout));
                let http = http.unwrap_or_else(|| Ok(HttpTransport::new(endpoint, timeout)));
                carry(courier, Arc::new(http.map_err(BuildError::Setting)?))
            }
            #[cfg(feature = "grpc")]
            _ => self.start_grpc(courier),
            #[cfg(not(feature = "grpc"))]
            None => Err(BuildError::Setting("say who carries the batches: `.host_carries()`".into())),
        }
    }

    #[cfg(feature = "grpc")]
    fn start_grpc(&mut self, courier: Courier) -> Result<Option<Box<dyn Send + Sync>>, BuildError> {
        let given = self.runtime.take().or_else(|| Handle::try_current().ok());
        let (handle, own) = match given {
            Some(handle) => (handle, None),
            None => {
                let mut runtime = tokio::runtime::Builder::new_multi_thread();
                let runtime = runtime.worker_threads(1).thread_name("footpath-send").enable_all().build()?;
                (runtime.handle().clone(), Some(OwnRuntime(Some(runtime))))
            }
        };
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => self.connect(&handle)?,
        };
        crate::grpc::GrpcCarrier::new(channel, self.request_timeout).start(courier, &handle);
        Ok(own.map(|own| Box::new(own) as Box<dyn Send + Sync>))
    }

    #[cfg(feature = "grpc")]
    fn connect(&mut self, runtime: &Handle) -> Result<Channel, BuildError> {
        check_scheme(&self.endpoint)?;
        let _inside = runtime.enter(); // A channel starts a task as soon as it is made.
        // A connection that something on the way has forgotten looks as if it were there, and all attempts would go into
        // it. One whose answer to a ping does not come while an attempt lasts is given up.
        let ping = self.request_timeout / 2;
        let endpoint = Endpoint::from_shared(self.endpoint.clone())?;
        if !["", "/"].contains(&endpoint.uri().path()) {
            let why = format!(
                "the endpoint \"{}\" has a path, which gRPC does not send: `.http()` does",
                self.endpoint
            );
            return Err(BuildError::Setting(why));
        }
        let mut endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(ping)
            .keep_alive_timeout(ping)
            .tcp_nodelay(true);
        if let Some(pem) = self.ca.take() {
            endpoint =
                endpoint.tls_config(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))?;
        } else if self.endpoint.starts_with("https://") {
            endpoint = endpoint.tls_config(ClientTlsConfig::new().with_webpki_roots())?;
        }
        Ok(endpoint.connect_lazy())
    }
}

#[cfg(any(feature = "grpc", feature = "http"))]
fn check_scheme(endpoint: &str) -> Result<(), BuildError> {
    if ["http://", "https://"].iter().any(|scheme| endpoint.starts_with(scheme)) {
        return Ok(());
    }
    Err(BuildError::Setting(format!("the endpoint \"{endpoint}\" begins with neither http:// nor https://")))
}

/// Carries batches on a thread of its own, which ends with the client.
fn carry(
    courier: Courier,
    transport: Arc<dyn Transport>,
) -> Result<Option<Box<dyn Send + Sync>>, BuildError> {
    let thread = std::thread::Builder::new().name("footpath-send".into());
    thread.spawn(move || courier.carry(&*transport))?;
    Ok(None)
}

/// A runtime of the client's own.
#[cfg(feature = "grpc")]
struct OwnRuntime(Option<tokio::runtime::Runtime>);

#[cfg(feature = "grpc")]
impl Drop for OwnRuntime {
    fn drop(&mut self) {
        // Dropping a runtime waits for its tasks, and panics inside another runtime.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
