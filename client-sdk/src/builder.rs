//! How a client is put together.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use footpath_proto::v1::Context;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::backoff::Backoff;
use crate::client::{Client, Entry, Inner};
use crate::clock::{Clock, Randomness, SystemClock, SystemRandom};
use crate::delivery::{Delivery, Settings};
use crate::error::{BuildError, PauseReason};
use crate::grpc::GrpcTransport;
use crate::queue::Queue;
use crate::stats::Stats;
use crate::transport::{Reply, Transport};
use crate::worker::{Era, Inbox, OnPause, Worker};

/// The worker's stack: SQLite needs little, and a process may hold hundreds of clients.
const STACK_BYTES: usize = 512 * 1024;

enum Place {
    Nowhere,
    Folder(PathBuf),
    Memory,
}

/// Settings of a [`Client`]. Needed: a project, and a queue folder (or a queue in memory).
pub struct Builder {
    endpoint: String,
    key: String,
    project: String,
    place: Place,
    settings: Settings,
    backoff: (Duration, Duration),
    request_timeout: Duration,
    buffer: usize,
    max_pending: u64,
    transport: Option<Arc<dyn Transport>>,
    channel: Option<Channel>,
    runtime: Option<Handle>,
    ca: Option<Vec<u8>>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Randomness>,
    on_pause: Option<OnPause>,
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
        let interval = Duration::from_secs(1);
        let settings =
            Settings { max_events: 500, max_bytes: 512 * 1024, interval, historical: false, context };
        Self {
            endpoint,
            key,
            project: String::new(),
            place: Place::Nowhere,
            settings,
            backoff: (Duration::from_millis(250), Duration::from_secs(30)),
            request_timeout: Duration::from_secs(30),
            buffer: 8_192,
            max_pending: 1_000_000,
            transport: None,
            channel: None,
            runtime: None,
            ca: None,
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
            on_pause: None,
        }
    }

    /// The project's id, part of every event's lane. Must be the key's project.
    pub fn project(mut self, id: impl Into<String>) -> Self {
        self.project = id.into();
        self
    }

    /// Keeps the queue in this folder, made if needed. It serves one client at a time.
    pub fn queue_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.place = Place::Folder(folder.into());
        self
    }

    /// Keeps the queue in memory: what is not delivered is gone with the client. For tests and simulations;
    /// every such client is a new install.
    pub fn queue_in_memory(mut self) -> Self {
        self.place = Place::Memory;
        self
    }

    /// What all events share; by default this library's name and version and the operating system.
    pub fn context(mut self, context: Context) -> Self {
        self.settings.context = context;
        self
    }

    /// A batch holds at most this many events; 500 by default.
    pub fn batch_events(mut self, events: usize) -> Self {
        self.settings.max_events = events.max(1);
        self
    }

    /// A batch holds at most this many bytes of events; 512 KiB by default.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_bytes = bytes.max(1);
        self
    }

    /// An event waits at most this long for company; 1 s by default.
    pub fn batch_interval(mut self, interval: Duration) -> Self {
        self.settings.interval = interval;
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

    /// Events between `track` and the disk, at most; 8,192 by default.
    pub fn buffer(mut self, events: usize) -> Self {
        self.buffer = events.max(1);
        self
    }

    /// Events that may wait for the server, about; 1,000,000 by default. Beyond it `track` says that the queue
    /// is full.
    pub fn max_pending(mut self, events: u64) -> Self {
        self.max_pending = events;
        self
    }

    /// Sends through this instead of gRPC; endpoint, key, channel and runtime are not used.
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Sends over this channel, which may be shared; the endpoint is not used.
    pub fn channel(mut self, channel: Channel) -> Self {
        self.channel = Some(channel);
        self
    }

    /// Sends on this runtime. By default: the caller's, else a small one of the client's own.
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Trusts servers whose certificate this authority (PEM) signed. Needed for `https` endpoints.
    pub fn ca_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca = Some(pem.into());
        self
    }

    /// Uses this clock. Its monotonic time must advance for anything to be sent.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Uses this randomness for ids, epochs and jitter.
    pub fn randomness(mut self, random: Arc<dyn Randomness>) -> Self {
        self.random = random;
        self
    }

    /// Called once whenever the server's answer pauses delivery, from the client's own thread: be quick.
    pub fn on_pause(mut self, callback: impl Fn(&PauseReason) + Send + 'static) -> Self {
        self.on_pause = Some(Box::new(callback));
        self
    }

    /// Opens the queue and starts the client. What an earlier run left in the queue is sent at once.
    ///
    /// # Errors
    /// When a setting is missing, or the queue or the endpoint cannot be used.
    pub fn build(mut self) -> Result<Client, BuildError> {
        if self.project.is_empty() {
            return Err(BuildError::Setting("a project is needed: `.project(\"...\")`".into()));
        }
        let queue = match &self.place {
            Place::Folder(folder) => Queue::open(folder, &*self.random)?,
            Place::Memory => Queue::in_memory(&*self.random)?,
            Place::Nowhere => {
                return Err(BuildError::Setting("a queue is needed: `.queue_dir(\"...\")`".into()));
            }
        };
        let transport = self.take_transport()?;
        let backoff = Backoff::new(self.backoff.0, self.backoff.1);
        let delivery = Delivery::new(self.settings, backoff, self.clock.monotonic());
        let (tracks_in, tracks) = crossbeam_channel::bounded(self.buffer);
        let (commands_in, commands) = crossbeam_channel::unbounded();
        let stats = Arc::new(Mutex::new(Stats { pending: queue.pending(), ..Stats::default() }));
        let worker = Worker {
            queue,
            delivery,
            transport,
            clock: self.clock.clone(),
            random: self.random.clone(),
            tracks,
            commands,
            commands_in: commands_in.clone(),
            stats: stats.clone(),
            on_pause: self.on_pause,
            era: Era::new(&*self.clock, &*self.random),
            inbox: Inbox::default(),
        };
        let thread = std::thread::Builder::new().name("footpath-client".into()).stack_size(STACK_BYTES);
        let inner = Inner {
            project: self.project,
            clock: self.clock,
            random: self.random,
            entry: Mutex::new(Entry::default()),
            tracks: tracks_in,
            commands: commands_in,
            stats,
            max_pending: self.max_pending,
            worker: Mutex::new(Some(thread.spawn(move || worker.run())?)),
        };
        Ok(Client { inner: Arc::new(inner) })
    }

    fn take_transport(&mut self) -> Result<Arc<dyn Transport>, BuildError> {
        if let Some(transport) = self.transport.take() {
            return Ok(transport);
        }
        let given = self.runtime.take().or_else(|| Handle::try_current().ok());
        let Some(handle) = given else {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
            let handle = runtime.handle().clone();
            return Ok(Arc::new(WithRuntime { inner: self.grpc(handle)?, runtime: Some(runtime) }));
        };
        Ok(Arc::new(self.grpc(handle)?))
    }

    fn grpc(&mut self, runtime: Handle) -> Result<GrpcTransport, BuildError> {
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => {
                let _inside = runtime.enter(); // A channel starts a task as soon as it is made.
                let mut endpoint = Endpoint::from_shared(self.endpoint.clone())?
                    .connect_timeout(Duration::from_secs(10))
                    .tcp_nodelay(true);
                if let Some(pem) = self.ca.take() {
                    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
                    endpoint = endpoint.tls_config(tls)?;
                }
                endpoint.connect_lazy()
            }
        };
        GrpcTransport::new(channel, &self.key, runtime, self.request_timeout)
    }
}

/// A transport with a runtime of its own.
struct WithRuntime {
    inner: GrpcTransport,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Transport for WithRuntime {
    fn send(&self, request: footpath_proto::v1::IngestRequest, reply: Reply) {
        self.inner.send(request, reply);
    }
}

impl Drop for WithRuntime {
    fn drop(&mut self) {
        // Dropping a runtime waits for its tasks, and panics inside another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
