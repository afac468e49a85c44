//! The last refused events, kept for people: who sends something wrong sees what and why.
//!
//! They are handed over once their group is on disk (or at once, when the batch never reaches one), redacted on a
//! thread of their own and given to whoever keeps them. It is an aid and not the ledger: a batch hands over at most
//! 1,000, and when too much waits, further ones are counted and let go.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender};
use footpath_model::id::EventId;
use footpath_model::wire::Fields;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::commit::RefusedEvent;
use crate::redact;

/// Refused events handed over per batch: more would push each other out of what is kept of a project.
pub(crate) const PER_BATCH: usize = 1_000;
/// Bytes that may wait to be redacted: four of the largest batches.
const WAITING_BYTES: usize = 16 << 20;
/// They are kept in bunches: each is one transaction of the store.
const BUNCH: Duration = Duration::from_millis(250);
const BUNCH_EVENTS: usize = 1_000;

/// A refused event as it is kept, in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefusedRecord {
    /// When its batch was received, microseconds since 1970.
    pub received_us: i64,
    /// The batch's id if that is a UUID, else its class of lengths.
    pub batch_id: String,
    /// Its index in the batch; 0 for a batch that was refused whole.
    pub index: u32,
    /// Its id; empty without a readable one.
    pub event_id: String,
    /// Stable reason.
    pub reason: String,
    /// What to do; holds no value of the event.
    pub message: String,
    /// Its shape: names and keys as sent, values as types and length classes; empty for a batch that was refused whole.
    pub payload: Map<String, Json>,
}

/// Refused events of one batch.
#[derive(Debug)]
pub(crate) struct RefusedBatch {
    pub(crate) project_id: Arc<str>,
    pub(crate) received_us: i64,
    pub(crate) batch_id: String,
    /// The encoded batch, in which events without bytes of their own are found by their index.
    pub(crate) raw: Bytes,
    pub(crate) events: Vec<(RefusedEvent, Option<Bytes>)>,
}

impl RefusedBatch {
    fn weight(&self) -> usize {
        let own = self.events.iter().filter_map(|(_, bytes)| bytes.as_ref()).map(Bytes::len);
        self.raw.len() + own.sum::<usize>() + 256 * self.events.len()
    }
}

/// Where refused events are handed over; cheap to clone.
#[derive(Clone)]
pub struct RefusedSender {
    queue: Option<Sender<Option<RefusedBatch>>>,
    waiting: Arc<AtomicUsize>,
    dropped: Arc<AtomicU64>,
}

impl RefusedSender {
    /// Keeps nothing.
    pub fn nowhere() -> Self {
        Self { queue: None, waiting: Arc::default(), dropped: Arc::default() }
    }

    /// Refused events that were let go because too much waited.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(crate) fn send(&self, batch: RefusedBatch) {
        let (weight, events) = (batch.weight(), batch.events.len() as u64);
        let fits = self.waiting.fetch_add(weight, Ordering::AcqRel) + weight <= WAITING_BYTES;
        let sent = fits && self.queue.as_ref().is_some_and(|queue| queue.send(Some(batch)).is_ok());
        if !sent {
            self.waiting.fetch_sub(weight, Ordering::AcqRel);
            self.dropped.fetch_add(events, Ordering::Relaxed);
        }
    }
}

/// The thread that redacts; ends, after what waits, when dropped.
pub struct RefusedEvents {
    sender: RefusedSender,
    thread: Option<JoinHandle<()>>,
}

impl RefusedEvents {
    /// Starts the thread. `keep` is given a project's id and encoded [`RefusedRecord`]s, oldest first; it says whether
    /// it has kept them.
    ///
    /// # Errors
    /// The system could not start a thread.
    pub fn start(keep: impl FnMut(&str, &[Vec<u8>]) -> bool + Send + 'static) -> io::Result<Self> {
        let (queue, batches) = crossbeam_channel::unbounded();
        let sender = RefusedSender { queue: Some(queue), ..RefusedSender::nowhere() };
        let counters = sender.clone();
        let work = move || run(&batches, &counters, keep);
        let thread = std::thread::Builder::new().name("refused-events".into()).spawn(work)?;
        Ok(Self { sender, thread: Some(thread) })
    }

    /// Where to hand over.
    pub fn sender(&self) -> RefusedSender {
        self.sender.clone()
    }
}

impl Drop for RefusedEvents {
    fn drop(&mut self) {
        self.sender.queue.as_ref().map(|queue| queue.send(None));
        footpath_log::join(self.thread.take());
    }
}

fn run(
    batches: &Receiver<Option<RefusedBatch>>,
    counters: &RefusedSender,
    mut keep: impl FnMut(&str, &[Vec<u8>]) -> bool,
) {
    while let Ok(Some(first)) = batches.recv() {
        let mut bunch: BTreeMap<Arc<str>, Vec<Vec<u8>>> = BTreeMap::new();
        let (mut next, mut events) = (Some(first), 0);
        let mut ended = false;
        while let Some(batch) = next.take() {
            counters.waiting.fetch_sub(batch.weight(), Ordering::AcqRel);
            events += batch.events.len();
            bunch.entry(Arc::clone(&batch.project_id)).or_default().extend(encoded(batch));
            if events < BUNCH_EVENTS {
                let received = batches.recv_timeout(BUNCH);
                ended = matches!(received, Ok(None));
                next = received.ok().flatten();
            }
        }
        for (project, records) in bunch {
            if !keep(&project, &records) {
                counters.dropped.fetch_add(records.len() as u64, Ordering::Relaxed);
            }
        }
        if ended {
            return;
        }
    }
}

/// The records of a batch as JSON.
fn encoded(batch: RefusedBatch) -> Vec<Vec<u8>> {
    let RefusedBatch { received_us, batch_id, raw, events, .. } = batch;
    let sent: Vec<&[u8]> = sent_events(&raw);
    let batch_id = match EventId::parse(batch_id.as_bytes()) {
        Some(_) => batch_id,
        None => redact::length_class(batch_id.len()),
    };
    let record = |(event, bytes): (RefusedEvent, Option<Bytes>)| {
        let bytes = bytes.as_deref().or_else(|| sent.get(event.index as usize).copied());
        let record = RefusedRecord {
            received_us,
            batch_id: batch_id.clone(),
            index: event.index,
            event_id: event.event_id.map(|id| id.to_string()).unwrap_or_default(),
            reason: event.reason,
            message: event.message,
            payload: bytes.map(redact::shape).unwrap_or_default(),
        };
        serde_json::to_vec(&record).ok()
    };
    events.into_iter().filter_map(record).collect()
}

/// The events of an encoded batch.
fn sent_events(raw: &[u8]) -> Vec<&[u8]> {
    let events = Fields::new(raw).map_while(Result::ok).filter(|field| field.number == 7);
    events.filter_map(|field| field.bytes().ok()).collect()
}
