//! The simulated shop: installs that send through the client core, and the books about what they sent.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use footpath_client::{Changes, Client, EventId, Stats, Track, TrackError};
use parking_lot::Mutex;
use tokio::sync::{RwLock, RwLockWriteGuard};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::api::PROJECT;

/// Installs open at the same time, at most: each has a thread.
const MAX_OPEN: usize = 1_000;
/// Between `track` and the queue; a visitor makes an event every few seconds.
const RING_BYTES: usize = 16 << 10;
/// An event waits at most this long for company, so that the page moves smoothly.
const INTERVAL: Duration = Duration::from_millis(250);
/// The longest wait between two attempts: after a kill nobody should wait for minutes.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));
/// The pause before a client that could not deliver is asked again.
const AGAIN: Duration = Duration::from_millis(300);

/// What the clients say: a sum over installs.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Sums {
    /// Events taken by `track`.
    pub tracked: u64,
    /// Events acknowledged.
    pub acked: u64,
    /// Acknowledged events that the acknowledged batch stored.
    pub stored: u64,
    /// Acknowledged events that an earlier attempt had stored.
    pub duplicates: u64,
    /// Events the server will never take.
    pub rejected: u64,
    /// Events that wait for the server.
    pub waiting: u64,
}

impl Sums {
    fn add(&mut self, stats: &Stats) {
        self.tracked += stats.tracked;
        self.acked += stats.acked;
        self.stored += stats.stored;
        self.duplicates += stats.duplicates;
        self.rejected += stats.rejected + stats.evicted;
        self.waiting += stats.pending;
    }
}

struct Open {
    client: Client,
    offline: bool,
    ids: Vec<EventId>,
}

#[derive(Default)]
struct Books {
    open: HashMap<u64, Open>,
    closed: Sums,
    closed_ids: Vec<EventId>,
}

/// The shop.
pub struct Shop {
    channel: Channel,
    key: String,
    books: Mutex<Books>,
    /// Whoever tracks reads; whoever checks the books writes: nothing is sold during stocktaking.
    gate: RwLock<()>,
    outage: AtomicBool,
    next: AtomicU64,
    /// Cancelled when the shop closes: visits end early.
    pub closing: CancellationToken,
}

impl Shop {
    /// A shop whose installs send over `channel` with a project key.
    pub fn new(channel: Channel, key: String) -> Self {
        Self {
            channel,
            key,
            books: Mutex::default(),
            gate: RwLock::new(()),
            outage: AtomicBool::new(false),
            next: AtomicU64::new(0),
            closing: CancellationToken::new(),
        }
    }

    /// Whether payments fail.
    pub fn outage(&self) -> bool {
        self.outage.load(Ordering::Relaxed)
    }

    /// Lets payments fail or succeed.
    pub fn set_outage(&self, outage: bool) {
        self.outage.store(outage, Ordering::Relaxed);
    }

    /// A new install, or `None` while there are too many.
    ///
    /// # Errors
    /// If the client cannot be built.
    pub fn open(self: &Arc<Self>, offline: bool) -> anyhow::Result<Option<Install>> {
        if self.books.lock().open.len() >= MAX_OPEN {
            return Ok(None);
        }
        let client = Client::builder("", &self.key)
            .project(PROJECT)
            .channel(self.channel.clone())
            .queue_in_memory()
            .ring_bytes(RING_BYTES)
            .backend()
            .batch_interval(INTERVAL)
            .backoff(BACKOFF.0, BACKOFF.1)
            .request_timeout(Duration::from_secs(10))
            .build()?;
        if offline {
            client.hold();
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let open = Open { client: client.clone(), offline, ids: Vec::new() };
        self.books.lock().open.insert(number, open);
        Ok(Some(Install { shop: Arc::clone(self), number, client }))
    }

    /// Lets every offline install go online. Returns how many, and with how many events.
    pub async fn bring_back(&self) -> (usize, u64) {
        let _open = self.gate.read().await;
        let mut books = self.books.lock();
        let (mut installs, mut events) = (0, 0);
        for open in books.open.values_mut().filter(|open| open.offline) {
            open.offline = false;
            open.client.resume();
            installs += 1;
            events += open.client.stats().pending;
        }
        (installs, events)
    }

    /// How many installs are open, and how many of them are offline.
    pub fn open_installs(&self) -> (usize, usize) {
        let books = self.books.lock();
        (books.open.len(), books.open.values().filter(|open| open.offline).count())
    }

    /// What the clients say by now, and how many events wait on offline ones.
    pub fn sums(&self) -> (Sums, u64) {
        let books = self.books.lock();
        let (mut sums, mut offline) = (books.closed, 0);
        for open in books.open.values() {
            let stats = open.client.stats();
            offline += if open.offline { stats.pending } else { 0 };
            sums.add(&stats);
        }
        sums.waiting -= offline;
        (sums, offline)
    }

    /// Stops the trade until the guard is dropped.
    pub async fn pause(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().await
    }

    /// Waits until everything tracked online has reached its end, or `limit` is over.
    pub async fn deliver(&self, limit: Duration) {
        let clients: Vec<Client> = {
            let books = self.books.lock();
            books.open.values().filter(|open| !open.offline).map(|open| open.client.clone()).collect()
        };
        let flushes = clients.iter().map(deliver);
        // When the time is up, what still waits shows in the sums.
        let _ = tokio::time::timeout(limit, futures_util::future::join_all(flushes)).await;
    }

    /// The sums and the ids of everything that was tracked online. Exact while the trade is paused.
    pub fn online(&self) -> (Sums, Vec<EventId>) {
        let books = self.books.lock();
        let (mut sums, mut ids) = (books.closed, books.closed_ids.clone());
        for open in books.open.values().filter(|open| !open.offline) {
            sums.add(&open.client.stats());
            ids.extend(&open.ids);
        }
        (sums, ids)
    }
}

/// Flushes until everything tracked so far has reached its end.
async fn deliver(client: &Client) {
    while !client.flush_async(Duration::from_secs(5)).await.complete {
        tokio::time::sleep(AGAIN).await;
    }
}

/// One simulated install: a client of its own.
pub struct Install {
    shop: Arc<Shop>,
    number: u64,
    client: Client,
}

impl Install {
    /// Tracks an event, unless the books are being checked: then it waits.
    ///
    /// # Errors
    /// If the client does not take it.
    pub async fn track(&self, track: Track) -> Result<(), TrackError> {
        let _open = self.shop.gate.read().await;
        let id = self.client.track(track)?;
        self.note(id);
        Ok(())
    }

    /// Says that a visitor is a known customer.
    ///
    /// # Errors
    /// If the client does not take it.
    pub async fn identify(&self, visitor: &str, customer: &str) -> Result<(), TrackError> {
        let _open = self.shop.gate.read().await;
        let id = self.client.link(visitor, customer, Changes::new())?;
        self.note(id);
        Ok(())
    }

    fn note(&self, id: EventId) {
        if let Some(open) = self.shop.books.lock().open.get_mut(&self.number) {
            open.ids.push(id);
        }
    }

    /// Delivers what waits, then ends the install. An offline one waits until it is brought back.
    pub async fn close(self) {
        deliver(&self.client).await;
        let _open = self.shop.gate.read().await;
        let mut books = self.shop.books.lock();
        if let Some(open) = books.open.remove(&self.number) {
            books.closed.add(&open.client.stats());
            books.closed_ids.extend(open.ids);
        }
        drop(books);
        let client = self.client;
        tokio::task::spawn_blocking(move || drop(client)); // The last clone ends its thread.
    }
}
