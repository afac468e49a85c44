//! The client: what an application holds.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError, bounded};
use footpath_proto::v1::DeliveryClass;
use parking_lot::Mutex;
use prost::Message as _;

use crate::builder::Builder;
use crate::clock::{Clock, Randomness};
use crate::error::{ShutdownError, TrackError};
use crate::id::{EventId, IdGenerator};
use crate::lane::lane;
use crate::queue::NewEvent;
use crate::stats::{FlushResult, Stats};
use crate::track::{MAX_EVENT_BYTES, Track, timestamp};
use crate::worker::{Command, Tracked};

/// Room for what is added to an event after its size was checked: id, time, lane, number.
const ADDED_BYTES: usize = 64;

/// Tracks events and delivers them. Cheap to clone; all clones are one client. The last one that is dropped
/// shuts it down.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) project: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Randomness>,
    /// Held while an event enters the channel, so that the order of ids is the order of the queue.
    pub(crate) entry: Mutex<Entry>,
    pub(crate) tracks: Sender<Tracked>,
    pub(crate) commands: Sender<Command>,
    pub(crate) stats: Arc<Mutex<Stats>>,
    pub(crate) max_pending: u64,
    pub(crate) worker: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
pub(crate) struct Entry {
    ids: IdGenerator,
    closed: bool,
    tracked: u64,
    refused_full: u64,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("project", &self.inner.project).finish_non_exhaustive()
    }
}

impl Client {
    /// Begins a client that sends to `endpoint` (for example `http://127.0.0.1:7400`) with a project key.
    pub fn builder(endpoint: impl Into<String>, project_key: impl Into<String>) -> Builder {
        Builder::new(endpoint.into(), project_key.into())
    }

    /// Takes an event. Never waits for a disk or a socket; on disk it is soon after.
    ///
    /// # Errors
    /// When the event is not valid, the queue is full, or the client was shut down.
    pub fn track(&self, track: Track) -> Result<EventId, TrackError> {
        self.enter(track, DeliveryClass::Normal, false, None)
    }

    /// Takes an event that must not be lost even if the process dies now: returns when it is on disk, after
    /// `timeout` at the latest. This one does wait.
    ///
    /// # Errors
    /// As [`Client::track`]; [`TrackError::NotYetDurable`] when the time is up.
    pub fn track_durable(&self, track: Track, timeout: Duration) -> Result<EventId, TrackError> {
        let (told, on_disk) = bounded(1);
        let id = self.enter(track, DeliveryClass::Critical, false, Some(told))?;
        on_disk.recv_timeout(timeout).map(|()| id).map_err(|_| TrackError::NotYetDurable(id))
    }

    /// Says that the person behind `anonymous` is the user `user`: sends the event `$identify`.
    ///
    /// # Errors
    /// As [`Client::track`].
    pub fn identify(&self, anonymous: impl AsRef<str>, user: impl AsRef<str>) -> Result<EventId, TrackError> {
        let track = Track::identify(anonymous.as_ref(), user.as_ref());
        if user.as_ref().is_empty() {
            return Err(TrackError::Invalid("identify needs both ids".into()));
        }
        self.enter(track, DeliveryClass::Normal, true, None)
    }

    fn enter(
        &self,
        track: Track,
        class: DeliveryClass,
        system_event: bool,
        durable: Option<Sender<()>>,
    ) -> Result<EventId, TrackError> {
        track.check(system_event)?;
        let bytes = track.event.encoded_len() + ADDED_BYTES;
        if bytes > MAX_EVENT_BYTES {
            return Err(TrackError::TooLarge { bytes, limit: MAX_EVENT_BYTES });
        }
        let lane = lane(&self.inner.project, track.actor());
        let too_many = self.inner.stats.lock().pending >= self.inner.max_pending;
        let mut entry = self.inner.entry.lock();
        if entry.closed {
            return Err(TrackError::Closed);
        }
        if too_many {
            entry.refused_full += 1;
            return Err(TrackError::QueueFull);
        }
        let wall_us = self.inner.clock.wall_us();
        let id = entry.ids.next(wall_us, &*self.inner.random);
        let mut event = track.event;
        event.id_bytes = id.as_bytes().to_vec();
        event.time = Some(timestamp(track.time_us.unwrap_or(wall_us)));
        let tracked = Tracked { event: NewEvent { class, lane, event }, durable };
        match self.inner.tracks.try_send(tracked) {
            Ok(()) => {
                entry.tracked += 1;
                Ok(id)
            }
            Err(TrySendError::Full(_)) => {
                entry.refused_full += 1;
                Err(TrackError::QueueFull)
            }
            Err(TrySendError::Disconnected(_)) => Err(TrackError::Closed),
        }
    }

    /// Sends what was tracked so far without waiting for full batches, and waits until it has reached its end,
    /// delivery is paused, or `timeout` is over. Backoff and the server's hints still hold.
    pub fn flush(&self, timeout: Duration) -> FlushResult {
        let (reply, result) = bounded(1);
        self.start_flush(timeout, move |flushed| drop(reply.send(flushed)));
        result.recv().unwrap_or_default()
    }

    /// As [`Client::flush`], for async callers.
    pub async fn flush_async(&self, timeout: Duration) -> FlushResult {
        let (reply, result) = tokio::sync::oneshot::channel();
        self.start_flush(timeout, move |flushed| drop(reply.send(flushed)));
        result.await.unwrap_or_default()
    }

    fn start_flush(&self, timeout: Duration, reply: impl FnOnce(FlushResult) + Send + 'static) {
        let deadline = self.inner.clock.monotonic().saturating_add(timeout);
        let _ = self.inner.commands.send(Command::Flush { deadline, reply: Box::new(reply) });
    }

    /// Stops sending, for example while the device is offline. Events are taken and kept.
    pub fn hold(&self) {
        let _ = self.inner.commands.send(Command::Hold);
    }

    /// Goes on sending at once, after [`Client::hold`], a pause, or during a backoff.
    pub fn resume(&self) {
        let _ = self.inner.commands.send(Command::Resume);
    }

    /// What this client has done so far.
    pub fn stats(&self) -> Stats {
        let mut stats = self.inner.stats.lock().clone();
        let entry = self.inner.entry.lock();
        stats.tracked = entry.tracked;
        stats.refused_full = entry.refused_full;
        stats
    }

    /// Saves everything that was tracked and ends the client. Does not wait for the server: what is not
    /// acknowledged is sent after the next start. A second call does nothing.
    ///
    /// # Errors
    /// When events could not be saved, with their number.
    pub fn shutdown(&self) -> Result<(), ShutdownError> {
        self.inner.shutdown()
    }
}

impl Inner {
    fn shutdown(&self) -> Result<(), ShutdownError> {
        // From here on no event enters the channel, so the worker can empty it.
        self.entry.lock().closed = true;
        let Some(worker) = self.worker.lock().take() else { return Ok(()) };
        let (reply, result) = bounded(1);
        let _ = self.commands.send(Command::Shutdown(Box::new(move |ended| drop(reply.send(ended)))));
        if worker.thread().id() == std::thread::current().id() {
            return Ok(()); // A callback let go of the last clone; the worker ends after it.
        }
        let ended = result.recv();
        let _ = worker.join();
        ended.unwrap_or_else(|_| {
            let uncommitted = self.tracks.len() as u64;
            Err(ShutdownError { uncommitted, reason: "the worker thread has died".into() })
        })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.shutdown() {
            tracing::error!(%error, "the client could not save everything");
        }
    }
}
