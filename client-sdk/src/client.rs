//! The client: what an application holds.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use footpath_proto::v1::PrivacyRequestKind;
use parking_lot::Mutex;

use crate::answer::{self, Answer};
use crate::builder::Builder;
use crate::clock::{Clock, Randomness};
use crate::courier::Courier;
use crate::error::{ShutdownError, TrackError};
use crate::id::EventId;
use crate::intake::{Call, Class, Intake, Taken};
use crate::profile::{Consent, Who};
use crate::queue::Receipt;
use crate::seal::{KeyError, Sealed, Sealer};
use crate::stats::{FlushResult, Stats};
use crate::track::{Changes, Track};
use crate::value::PropertyValue;
use crate::worker::Command;

/// A queue's thread that is at work when the time is up answers a moment later; one that is kept busy is not waited for.
const GRACE: Duration = Duration::from_millis(500);

/// What is sealed outside of the queue is never taken for a part of it.
const OUTSIDE: &[u8] = b"outside";

/// Looks at every event before it is taken: changes it, or leaves it out.
pub(crate) type BeforeSend = Box<dyn Fn(Track) -> Option<Track> + Send + Sync>;

/// Tracks events and delivers them. Cheap to clone; all clones are one client. The last one that is dropped
/// shuts it down.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) project: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) intake: Arc<Intake>,
    pub(crate) commands: Sender<Command>,
    pub(crate) stats: Arc<Mutex<Stats>>,
    pub(crate) before_send: Option<BeforeSend>,
    pub(crate) sealer: Sealer,
    pub(crate) random: Arc<dyn Randomness>,
    pub(crate) worker: Mutex<Option<JoinHandle<()>>>,
    /// The process that the worker's thread is in.
    pub(crate) process: u32,
    /// What carries batches needs it as long as the client lives.
    pub(crate) _carrier: Option<Box<dyn Send + Sync>>,
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

    /// Takes an event. Never waits for a disk or a socket; it survives the end of the process from here on, once the
    /// storage is open ([`Client::is_open`]: milliseconds after the start).
    ///
    /// # Errors
    /// When the event is not valid or not wanted, the queue is full, or the client has ended.
    pub fn track(&self, track: impl Into<Track>) -> Result<EventId, TrackError> {
        self.track_as(track, Class::Normal)
    }

    /// Takes an event of any class.
    ///
    /// # Errors
    /// As [`Client::track`].
    pub fn track_as(&self, track: impl Into<Track>, class: Class) -> Result<EventId, TrackError> {
        self.track_one(track.into(), class)
    }

    fn track_one(&self, track: Track, class: Class) -> Result<EventId, TrackError> {
        let track = match &self.inner.before_send {
            None => track,
            Some(hook) => match hook(track) {
                Some(track) => track,
                None => {
                    self.inner.intake.count_not_wanted();
                    return Err(TrackError::NotWanted("the hook left it out"));
                }
            },
        };
        thread_local!(static FRAME: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
        FRAME.with_borrow_mut(|frame| {
            frame.clear();
            track.put(frame);
            self.track_frame(frame, class)
        })
    }

    /// Takes an event that another language has encoded: the fields of a `footpath.v1.Event` that are the application's
    /// (name, time, ids, session, properties, person, groups). Hooks do not see it.
    ///
    /// # Errors
    /// As [`Client::track`].
    pub fn track_frame(&self, frame: &[u8], class: Class) -> Result<EventId, TrackError> {
        let taken = self.inner.intake.take(Call::Event { class, frame: frame.into() })?;
        if class == Class::Critical {
            let _ = self.inner.commands.send(Command::Absorb);
        }
        self.after(&taken);
        taken.id.ok_or(TrackError::Disabled)
    }

    /// Takes an event that must not be lost even if the power fails: [`Pending::queued`] says when it is on the disk,
    /// [`Pending::delivered`] when the server has it. Only waiting waits.
    ///
    /// # Errors
    /// As [`Client::track`].
    pub fn track_critical(&self, track: impl Into<Track>) -> Result<Pending, TrackError> {
        let id = self.track_as(track, Class::Critical)?;
        Ok(self.receipt(id))
    }

    /// How far a critical event has come, after a restart too.
    pub fn receipt(&self, id: EventId) -> Pending {
        Pending { id, commands: self.inner.commands.clone(), clock: Arc::clone(&self.inner.clock) }
    }

    /// Says who the person is: sends the event `$identify` with changes to the person's properties. Another user than
    /// before begins with a new anonymous id: two users are never made one.
    ///
    /// # Errors
    /// As [`Client::track`]; for an id that stands for nobody in particular, such as "null"; for a backend.
    pub fn identify(&self, user: impl Into<String>, person: Changes) -> Result<(), TrackError> {
        self.call(Call::Identify { user: user.into(), person }).map(drop)
    }

    /// What a backend does instead: says that the person behind an anonymous id is a user.
    ///
    /// # Errors
    /// As [`Client::track`]; for an id that stands for nobody in particular.
    pub fn link(
        &self,
        anonymous: impl Into<String>,
        user: impl Into<String>,
        person: Changes,
    ) -> Result<EventId, TrackError> {
        let linked = self.call(Call::Link { anonymous: anonymous.into(), user: user.into(), person })?;
        linked.ok_or(TrackError::Disabled)
    }

    /// Gives the person another name: sends the event `$alias`.
    ///
    /// # Errors
    /// As [`Client::identify`].
    pub fn alias(&self, name: impl Into<String>) -> Result<(), TrackError> {
        self.call(Call::Alias { name: name.into() }).map(drop)
    }

    /// Changes properties of the person: sends the event `person_updated`.
    ///
    /// # Errors
    /// As [`Client::track`].
    pub fn set_person(&self, changes: Changes) -> Result<EventId, TrackError> {
        self.track(Track::new("person_updated").person(changes))
    }

    /// Says that the person belongs to a group, and changes the group's properties: sends the event `group_joined`.
    ///
    /// # Errors
    /// As [`Client::track`].
    pub fn group(
        &self,
        kind: impl Into<String>,
        id: impl Into<String>,
        changes: Changes,
    ) -> Result<EventId, TrackError> {
        self.track(Track::new("group_joined").group(kind.into(), id.into(), changes))
    }

    /// Somebody looks at a screen: sends the event `screen_viewed` with the property `screen`.
    ///
    /// # Errors
    /// As [`Client::track`].
    pub fn screen(&self, name: impl Into<String>) -> Result<EventId, TrackError> {
        self.track(Track::new("screen_viewed").property("screen", name.into()))
    }

    /// Forgets the person, as after a logout: a new anonymous id, no shared properties, a new session.
    ///
    /// # Errors
    /// As [`Client::identify`].
    pub fn reset(&self) -> Result<(), TrackError> {
        self.call(Call::Reset).map(drop)
    }

    /// Sets a property of every later event that does not set it itself.
    ///
    /// # Errors
    /// As [`Client::track`].
    pub fn register(
        &self,
        key: impl Into<String>,
        value: impl Into<PropertyValue>,
    ) -> Result<(), TrackError> {
        self.call(Call::Register { key: key.into(), value: value.into() }).map(drop)
    }

    /// Takes a shared property away again.
    ///
    /// # Errors
    /// As [`Client::identify`].
    pub fn unregister(&self, key: impl Into<String>) -> Result<(), TrackError> {
        self.call(Call::Unregister { key: key.into() }).map(drop)
    }

    /// The next event begins a new session.
    ///
    /// # Errors
    /// As [`Client::identify`].
    pub fn end_session(&self) -> Result<(), TrackError> {
        self.call(Call::EndSession).map(drop)
    }

    /// What the person allows. Denied: nothing is taken, what waited is destroyed together with its key, and its numbers
    /// are reported as lost.
    ///
    /// # Errors
    /// As [`Client::identify`].
    pub fn set_consent(&self, consent: Consent) -> Result<(), TrackError> {
        self.call(Call::Consent(consent)).map(drop)
    }

    /// Asks the server to delete what it knows of the person. The wish is never evicted, and needs no consent.
    ///
    /// # Errors
    /// As [`Client::identify`].
    pub fn delete_my_data(&self) -> Result<(), TrackError> {
        self.call(Call::Wish(PrivacyRequestKind::Delete)).map(drop)
    }

    /// Asks for a copy of what the server knows of the person.
    ///
    /// # Errors
    /// As [`Client::identify`].
    pub fn access_my_data(&self) -> Result<(), TrackError> {
        self.call(Call::Wish(PrivacyRequestKind::Access)).map(drop)
    }

    /// Whether the storage is open: from then on, what `track` took outlives the process. Until then calls wait in memory.
    pub fn is_open(&self) -> bool {
        self.inner.intake.is_open()
    }

    /// Whom events belong to now, and what that person allows. `None` for a backend and until the storage is open.
    pub fn who(&self) -> Option<Who> {
        self.inner.intake.who()
    }

    /// The id of the event that the call made, if it did.
    fn call(&self, call: Call<'static>) -> Result<Option<EventId>, TrackError> {
        let is_wish = matches!(call, Call::Wish(_));
        let taken = self.inner.intake.take(call)?;
        if let Some((consent, key)) = &taken.consent {
            let _ = self.inner.commands.send(Command::Consent(*consent, key.clone()));
        }
        if is_wish {
            let _ = self.inner.commands.send(Command::Absorb);
        }
        self.after(&taken);
        Ok(taken.id)
    }

    fn after(&self, taken: &Taken) {
        if taken.wake {
            let _ = self.inner.commands.send(Command::Wake);
        }
    }

    /// Sends what was tracked so far without waiting for full batches, and waits until it has reached its end,
    /// delivery is paused, or `timeout` is over. Backoff and the server's hints still hold.
    pub fn flush(&self, timeout: Duration) -> FlushResult {
        let flushed = self.flush_async(timeout).wait_for(timeout.saturating_add(GRACE));
        flushed.unwrap_or_else(|| FlushResult { pending: self.stats().pending, ..FlushResult::default() })
    }

    /// As [`Client::flush`], for async callers.
    pub fn flush_async(&self, timeout: Duration) -> Answer<FlushResult> {
        let (reply, answer) = answer::pair();
        let deadline = self.inner.clock.continuous().saturating_add(timeout);
        let _ = self.inner.commands.send(Command::Flush { deadline, reply });
        answer
    }

    /// For whoever carries this client's batches: see [`Builder::host_carries`].
    pub fn courier(&self) -> Courier {
        Courier::new(self.inner.commands.clone())
    }

    /// Stops sending, for example while the device is offline. Events are taken and kept.
    pub fn hold(&self) {
        let _ = self.inner.commands.send(Command::Hold);
    }

    /// Goes on sending at once, after [`Client::hold`], a pause, or during a backoff.
    pub fn resume(&self) {
        let _ = self.inner.commands.send(Command::Resume);
    }

    /// Sends at once, also during a backoff, unless delivery is paused or held: what a callback about connectivity calls.
    pub fn try_now(&self) {
        let _ = self.inner.commands.send(Command::TryNow);
    }

    /// Sends with another project key from now on, and goes on if delivery was paused.
    pub fn set_key(&self, key: impl Into<String>) {
        let _ = self.inner.commands.send(Command::SetKey(key.into()));
    }

    /// Spends little from now on, or no longer: on a metered link, or with a low battery. Critical events still go.
    pub fn save_data(&self, saving: bool) {
        let _ = self.inner.commands.send(Command::SaveData(saving));
    }

    /// Seals what leaves the queue for a file, as a batch that another process is to send, with the install's key. Without a
    /// key provider it gets a checksum only. The key may be asked for on this thread.
    ///
    /// # Errors
    /// When the key cannot be had now.
    pub fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.inner.sealer.seal(self.inner.sealer.install_key(), plain, OUTSIDE, &*self.inner.random)
    }

    /// What [`Client::seal`] has sealed, also in another process that has the same key; `None` for what can never be read.
    ///
    /// # Errors
    /// When the key cannot be had now.
    pub fn unseal(&self, sealed: &[u8]) -> Result<Option<Vec<u8>>, KeyError> {
        match self.inner.sealer.open(self.inner.sealer.install_key(), sealed, OUTSIDE) {
            Ok(plain) => Ok(Some(plain)),
            Err(Sealed::NotNow(error)) => Err(error),
            Err(Sealed::NoKey | Sealed::Damaged) => Ok(None),
        }
    }

    /// What this client has done so far.
    pub fn stats(&self) -> Stats {
        let mut stats = self.inner.stats.lock().clone();
        let counts = self.inner.intake.counts();
        stats.tracked = counts.tracked;
        (stats.invalid, stats.too_large) = (counts.invalid, counts.too_large);
        (stats.refused_full, stats.not_wanted) = (counts.refused_full, counts.not_wanted);
        stats.after_close = counts.after_close;
        stats.pending += (counts.early + counts.pushed).saturating_sub(stats.counted);
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

/// How far a critical event has come. Dropped, nobody waits any more; the event goes its way.
#[derive(Clone)]
pub struct Pending {
    id: EventId,
    commands: Sender<Command>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pending").field(&self.id).finish()
    }
}

impl Pending {
    /// The event's id. [`Client::receipt`] takes it, in a later run too.
    pub fn id(&self) -> EventId {
        self.id
    }

    /// Waits until the event is on the disk; `None` when the time is up, or no such event is known.
    pub fn queued(&self, timeout: Duration) -> Option<Receipt> {
        self.wait(false, timeout)
    }

    /// Waits until the server has the event or will never take it. When the time is up: how far it has come.
    pub fn delivered(&self, timeout: Duration) -> Option<Receipt> {
        self.wait(true, timeout)
    }

    /// As [`Pending::queued`], for async callers.
    pub fn queued_async(&self, timeout: Duration) -> Answer<Option<Receipt>> {
        self.ask(false, timeout)
    }

    /// As [`Pending::delivered`], for async callers.
    pub fn delivered_async(&self, timeout: Duration) -> Answer<Option<Receipt>> {
        self.ask(true, timeout)
    }

    fn wait(&self, final_only: bool, timeout: Duration) -> Option<Receipt> {
        self.ask(final_only, timeout).wait_for(timeout.saturating_add(GRACE)).flatten()
    }

    fn ask(&self, final_only: bool, timeout: Duration) -> Answer<Option<Receipt>> {
        let (reply, answer) = answer::pair();
        let deadline = self.clock.continuous().saturating_add(timeout);
        let _ = self.commands.send(Command::Receipt { id: *self.id.as_bytes(), final_only, reply, deadline });
        answer
    }
}

impl Inner {
    fn shutdown(&self) -> Result<(), ShutdownError> {
        if std::process::id() != self.process {
            return Ok(()); // A fork has no copy of the thread, and the queue is the parent's.
        }
        let Some(worker) = self.worker.lock().take() else { return Ok(()) };
        let (reply, answer) = answer::pair();
        let _ = self.commands.send(Command::Shutdown(reply));
        if worker.thread().id() == std::thread::current().id() {
            return Ok(()); // A callback let go of the last clone; the worker ends after it.
        }
        let ended = answer.wait_anyway();
        let _ = worker.join();
        ended.unwrap_or_else(|| {
            let unsaved = self.intake.counts().early;
            Err(ShutdownError { unsaved, reason: "the queue's thread has died".into() })
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
