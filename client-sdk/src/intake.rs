//! Where the application's calls arrive: checked, given an id and a time, and put into the ring. No call waits for a disk
//! or a socket; the lock is held for some hundred nanoseconds, and never across IO.
//!
//! Until the storage is open, calls are kept in order in a bounded list: who they belong to is known only then.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use footpath_proto::v1::{DeliveryClass, PrivacyRequestKind};
use parking_lot::Mutex;

use crate::clock::{Clock, Era, Randomness, Reading, random_uuid};
use crate::error::TrackError;
use crate::frame::{self, Frame, check_id};
use crate::id::{EventId, IdGenerator};
use crate::lane::lane;
use crate::profile::{Consent, Profile, Who};
use crate::record::{Wish, event_prefix, put_profile};
use crate::ring::{Consumer, Producer, Pushed};
use crate::track::{Changes, Track};
use crate::value::{PropertyValue, put_entry};
use crate::wire::{put_bytes, put_time};

/// The server's default limit of an encoded event.
pub(crate) const MAX_EVENT_BYTES: usize = 32 * 1024;
/// Room for what the queue adds: class, lane, number.
const ADDED_BYTES: usize = 24;
/// What an event carries beside the application's bytes, its person's ids and what every event carries: id, session, time.
const ABOUT_AN_EVENT: usize = 256;
/// What is kept until the storage is open.
const MAX_EARLY_BYTES: usize = 1 << 20;
/// A profile is saved at least this often while something happens, so that a visit goes on after a restart.
const SAVE_EVERY: Duration = Duration::from_secs(60);

/// How carefully an event is kept until the server has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Class {
    /// On the disk before its receipt says so. The last to go, and never for the sake of others.
    Critical,
    /// In memory that outlives the process at once, on the disk soon after.
    #[default]
    Normal,
    /// As normal, but the first to go when space is short.
    Lossy,
}

impl Class {
    pub(crate) fn code(self) -> u8 {
        let class = match self {
            Self::Critical => DeliveryClass::Critical,
            Self::Normal => DeliveryClass::Normal,
            Self::Lossy => DeliveryClass::Lossy,
        };
        class as u8
    }
}

/// Something the application said.
#[derive(Debug, Clone)]
pub(crate) enum Call<'a> {
    /// An event, as a frame.
    Event {
        class: Class,
        frame: Cow<'a, [u8]>,
    },
    Identify {
        user: String,
        person: Changes,
    },
    /// What a backend knows of somebody else.
    Link {
        anonymous: String,
        user: String,
        person: Changes,
    },
    Alias {
        name: String,
    },
    Reset,
    Register {
        key: String,
        value: PropertyValue,
    },
    Unregister {
        key: String,
    },
    EndSession,
    Consent(Consent),
    Wish(PrivacyRequestKind),
}

impl Call<'_> {
    fn into_owned(self) -> Call<'static> {
        match self {
            Self::Event { class, frame } => Call::Event { class, frame: Cow::Owned(frame.into_owned()) },
            Self::Identify { user, person } => Call::Identify { user, person },
            Self::Link { anonymous, user, person } => Call::Link { anonymous, user, person },
            Self::Alias { name } => Call::Alias { name },
            Self::Reset => Call::Reset,
            Self::Register { key, value } => Call::Register { key, value },
            Self::Unregister { key } => Call::Unregister { key },
            Self::EndSession => Call::EndSession,
            Self::Consent(consent) => Call::Consent(consent),
            Self::Wish(kind) => Call::Wish(kind),
        }
    }

    fn weight(&self) -> usize {
        64 + match self {
            Self::Event { frame, .. } => frame.len(),
            _ => 256,
        }
    }
}

/// What a call brought.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Taken {
    /// The event's id, where it made one.
    pub(crate) id: Option<EventId>,
    /// The queue's thread is to be woken.
    pub(crate) wake: bool,
    /// What the person allows now, and the key to destroy where it was withdrawn.
    pub(crate) consent: Option<(Consent, Option<String>)>,
}

/// Calls that wait for the storage.
#[derive(Debug, Default)]
pub(crate) struct Early {
    calls: VecDeque<(Call<'static>, EventId, Reading)>,
    bytes: usize,
}

enum Mode {
    Opening(Early),
    Open(Box<Open>),
    /// With the number of events it had put into the ring.
    Closed(u64),
    Disabled,
}

/// What the application said, in numbers.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) tracked: u64,
    pub(crate) invalid: u64,
    pub(crate) too_large: u64,
    pub(crate) refused_full: u64,
    pub(crate) not_wanted: u64,
    pub(crate) after_close: u64,
    /// Waiting for the storage.
    pub(crate) early: u64,
    /// Put into the ring.
    pub(crate) pushed: u64,
}

struct State {
    mode: Mode,
    ids: IdGenerator,
    counts: Counts,
}

/// See the module.
pub(crate) struct Intake {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Randomness>,
    /// No person of its own.
    backend: bool,
    /// Bytes of critical events that may still be taken.
    critical_room: AtomicU64,
}

impl Intake {
    pub(crate) fn new(clock: Arc<dyn Clock>, random: Arc<dyn Randomness>, backend: bool) -> Self {
        let state = State {
            mode: Mode::Opening(Early::default()),
            ids: IdGenerator::default(),
            counts: Counts::default(),
        };
        Self { state: Mutex::new(state), clock, random, backend, critical_room: AtomicU64::new(u64::MAX) }
    }

    /// Takes a call.
    pub(crate) fn take(&self, call: Call<'_>) -> Result<Taken, TrackError> {
        self.try_take(call).inspect_err(|error| self.count(error))
    }

    fn count(&self, refused: &TrackError) {
        let counts = &mut self.state.lock().counts;
        let count = match refused {
            TrackError::Invalid(_) => &mut counts.invalid,
            TrackError::TooLarge { .. } => &mut counts.too_large,
            TrackError::QueueFull => &mut counts.refused_full,
            TrackError::NotWanted(_) => &mut counts.not_wanted,
            TrackError::Closed | TrackError::Disabled => &mut counts.after_close,
        };
        *count += 1;
    }

    fn try_take(&self, call: Call<'_>) -> Result<Taken, TrackError> {
        // Checked before the lock; what is kept for later is known to be good.
        let frame = self.check(&call)?;
        let critical = matches!(call, Call::Event { class: Class::Critical, .. });
        if critical && self.critical_room.load(Ordering::Relaxed) < call.weight() as u64 {
            return Err(TrackError::QueueFull);
        }
        let now = Reading::now(&*self.clock);
        let mut state = self.state.lock();
        let State { mode, ids, counts } = &mut *state;
        let is_event = frame.is_some();
        let taken = match mode {
            Mode::Open(open) => {
                let id = ids.next(now.wall_us, &*self.random);
                match (&call, &frame) {
                    (Call::Event { class, frame: bytes }, Some(frame)) => {
                        open.event(*class, bytes, frame, id, now, &*self.random)
                    }
                    _ => open.apply(call, id, now, &*self.random),
                }
            }
            Mode::Opening(early) => early.keep(call, ids.next(now.wall_us, &*self.random), now),
            Mode::Closed(_) => Err(TrackError::Closed),
            Mode::Disabled => Err(TrackError::Disabled),
        };
        counts.tracked += u64::from(is_event && taken.is_ok());
        taken
    }

    /// The frame of an event.
    fn check<'a>(&self, call: &'a Call<'_>) -> Result<Option<Frame<'a>>, TrackError> {
        match call {
            Call::Event { frame, .. } => {
                let frame = check_frame(frame)?;
                if self.backend && frame.actor().is_empty() {
                    return Err(TrackError::Invalid("a backend names a user or an anonymous id".into()));
                }
                return Ok(Some(frame));
            }
            Call::Link { anonymous, user, person } => {
                check_id(anonymous).and(check_id(user)).and_then(|()| check_changes(person))?;
            }
            _ if self.backend => return Err(nobody()),
            Call::Identify { user, person } => check_id(user).and_then(|()| check_changes(person))?,
            Call::Alias { name } => check_id(name)?,
            Call::Register { key, value } => {
                let mut entry = Vec::new();
                put_entry(&mut entry, 11, key, value);
                frame::check_properties(&entry)?;
            }
            _ => {}
        }
        Ok(None)
    }

    /// An event that the application itself left out.
    pub(crate) fn count_not_wanted(&self) {
        self.state.lock().counts.not_wanted += 1;
    }

    /// Who the device's events belong to now; `None` for a backend and before the storage is open.
    pub(crate) fn who(&self) -> Option<Who> {
        match &self.state.lock().mode {
            Mode::Open(open) => open.profile.as_ref().map(Profile::who),
            _ => None,
        }
    }

    /// Whether somebody has said what the person allows, and it is not known yet what that means.
    pub(crate) fn has_early_consent(&self) -> bool {
        let is_consent = |(call, ..): &(Call<'_>, EventId, Reading)| matches!(call, Call::Consent(_));
        matches!(&self.state.lock().mode, Mode::Opening(early) if early.calls.iter().any(is_consent))
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state.lock().mode, Mode::Open(_))
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = self.state.lock();
        let (early, pushed) = match &state.mode {
            Mode::Opening(early) => (early.events() as u64, 0),
            Mode::Open(open) => (0, open.pushed),
            Mode::Closed(pushed) => (0, *pushed),
            Mode::Disabled => (0, 0),
        };
        Counts { early, pushed, ..state.counts }
    }

    /// How many more bytes of critical events may be taken.
    pub(crate) fn set_critical_room(&self, bytes: u64) {
        self.critical_room.store(bytes, Ordering::Relaxed);
    }

    /// Opens up: what was kept is applied in order, then calls go straight to the ring. `drain` makes room in a full ring;
    /// without success the rest waits for the next attempt.
    pub(crate) fn open(
        &self,
        mut open: Box<Open>,
        mut drain: impl FnMut() -> bool,
        mut told: impl FnMut(Taken),
        mut left_out: impl FnMut(EventId, TrackError),
    ) -> Result<(), Box<Open>> {
        loop {
            let (call, id, at) = {
                let mut state = self.state.lock();
                let Mode::Opening(early) = &mut state.mode else { return Ok(()) };
                match early.calls.pop_front() {
                    Some(next) => {
                        early.bytes -= next.0.weight();
                        next
                    }
                    None => {
                        state.mode = Mode::Open(open);
                        return Ok(());
                    }
                }
            };
            loop {
                match open.apply(call.clone(), id, at, &*self.random) {
                    Err(TrackError::QueueFull) => {}
                    Err(error) => {
                        tracing::warn!(%error, "a call from before the storage was open is left out");
                        self.uncount(&call);
                        if matches!(call, Call::Event { class: Class::Critical, .. }) {
                            left_out(id, error);
                        }
                        break;
                    }
                    Ok(taken) => {
                        told(taken);
                        break;
                    }
                }
                if !drain() {
                    if let Mode::Opening(early) = &mut self.state.lock().mode {
                        early.bytes += call.weight();
                        early.calls.push_front((call, id, at));
                    }
                    return Err(open);
                }
            }
        }
    }

    /// An event was taken before it could be known that it is not wanted.
    fn uncount(&self, call: &Call<'_>) {
        if matches!(call, Call::Event { .. }) {
            let counts = &mut self.state.lock().counts;
            counts.tracked -= 1;
            counts.not_wanted += 1;
        }
    }

    /// The storage is gone for now, as after a broken database: calls wait again.
    pub(crate) fn reopen(&self) -> Option<Box<Open>> {
        let mut state = self.state.lock();
        match std::mem::replace(&mut state.mode, Mode::Opening(Early::default())) {
            Mode::Open(open) => Some(open),
            other => {
                state.mode = other;
                None
            }
        }
    }

    /// Takes nothing any more.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        if let Mode::Open(open) = &state.mode {
            state.mode = Mode::Closed(open.pushed);
        }
    }

    /// Takes nothing any more, and what was kept for the storage is let go; how many events.
    pub(crate) fn give_up(&self) -> u64 {
        let mut state = self.state.lock();
        let Mode::Opening(early) = &state.mode else { return 0 };
        let lost = early.events() as u64;
        state.mode = Mode::Closed(0);
        lost
    }

    /// Takes nothing any more, because of a bug.
    pub(crate) fn disable(&self) {
        self.state.lock().mode = Mode::Disabled;
    }

    /// Overwrites what the ring has let go of, piece by piece: no call waits longer than for one.
    pub(crate) fn wipe(&self, ring: &Consumer) {
        let mut piece = Some(0);
        while let Some(from) = piece {
            let _no_push = self.state.lock();
            // SAFETY: the ring's other end is used under this lock only, or by the thread that this runs on.
            piece = unsafe { ring.wipe_piece(from) };
        }
    }

    /// Saves the profile as it is. The queue's thread has to look into the ring then.
    pub(crate) fn save(&self) {
        if let Mode::Open(open) = &mut self.state.lock().mode {
            open.unsaved = open.profile.is_some();
            open.save(self.clock.continuous());
        }
    }

    /// Saves what had no room in the ring; whether there is something in it now.
    pub(crate) fn catch_up(&self) -> bool {
        let Mode::Open(open) = &mut self.state.lock().mode else { return false };
        let left = |open: &Open| (open.unsaved, open.era_unsaved);
        let before = left(open);
        open.save(self.clock.continuous());
        before != left(open)
    }
}

fn nobody() -> TrackError {
    TrackError::Invalid("a backend has no person of its own; name one with each event".into())
}

fn check_changes(person: &Changes) -> Result<(), TrackError> {
    check_frame(&Track::new("x").person(person.clone()).encode()).map(drop)
}

fn check_frame(bytes: &[u8]) -> Result<Frame<'_>, TrackError> {
    if bytes.len() > MAX_EVENT_BYTES {
        return Err(TrackError::TooLarge { bytes: bytes.len(), limit: MAX_EVENT_BYTES });
    }
    let frame = frame::check(bytes)?;
    if frame.name.starts_with('$') {
        return Err(TrackError::Invalid("names that begin with \"$\" are reserved".into()));
    }
    Ok(frame)
}

impl Early {
    fn events(&self) -> usize {
        self.calls.iter().filter(|(call, ..)| matches!(call, Call::Event { .. })).count()
    }

    fn keep(&mut self, call: Call<'_>, id: EventId, at: Reading) -> Result<Taken, TrackError> {
        let weight = call.weight();
        if self.bytes + weight > MAX_EARLY_BYTES {
            return Err(TrackError::QueueFull);
        }
        self.bytes += weight;
        self.calls.push_back((call.into_owned(), id, at));
        Ok(Taken { id: Some(id), ..Taken::default() })
    }
}

/// What the builder says about all events.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared {
    /// Properties of every event, each as an entry of the map.
    pub(crate) properties: Vec<(String, Vec<u8>)>,
    /// The share of persons whose events of a name are taken.
    pub(crate) samples: Vec<(String, f64)>,
}

impl Shared {
    /// Whether an event is in the sample: for one person always the same.
    fn takes(&self, name: &str, actor: &str) -> bool {
        let share = self.samples.iter().find(|(known, _)| known == name).map(|(_, share)| *share);
        share.is_none_or(|share| {
            let hash = xxhash_rust::xxh3::xxh3_64(&[name.as_bytes(), &[0], actor.as_bytes()].concat());
            (hash >> 11) as f64 / ((1_u64 << 53) as f64) < share
        })
    }
}

/// The intake once the storage is open.
pub(crate) struct Open {
    project: String,
    producer: Producer,
    /// Bytes of the ring that only critical events and the client's own records may use.
    spare: u64,
    shared: Shared,
    /// `None`: a backend, where every event names its person.
    profile: Option<Profile>,
    /// The profile's lane.
    lane: u8,
    era: Era,
    boot: Option<String>,
    /// What the ring does not have yet.
    unsaved: bool,
    era_unsaved: bool,
    saved_at: Duration,
    /// Events put into this ring.
    pushed: u64,
    /// Ids, session and shared properties of an event, put together here.
    tail: Vec<u8>,
}

impl Open {
    pub(crate) fn new(
        project: &str,
        producer: Producer,
        shared: Shared,
        profile: Option<Profile>,
        era: Option<Era>,
        clock: &dyn Clock,
        random: &dyn Randomness,
    ) -> Self {
        let goes_on = era.filter(|era| era.goes_on(clock));
        let era_unsaved = goes_on.is_none();
        let mut open = Self {
            project: project.to_owned(),
            spare: producer.largest() / 4,
            producer,
            shared,
            lane: 0,
            era: goes_on.unwrap_or_else(|| Era::begin(Reading::now(clock), clock.boot_id(), random)),
            boot: clock.boot_id(),
            unsaved: profile.is_some(),
            era_unsaved,
            saved_at: clock.continuous(),
            profile,
            pushed: 0,
            tail: Vec::new(),
        };
        open.choose_lane();
        open
    }

    fn choose_lane(&mut self) {
        self.lane = self.profile.as_ref().map_or(0, |profile| lane(&self.project, profile.actor()));
    }

    /// The same, with another ring.
    pub(crate) fn with(mut self, producer: Producer) -> Self {
        self.producer = producer;
        self.pushed = 0;
        (self.unsaved, self.era_unsaved) = (self.profile.is_some(), true);
        self
    }

    /// Takes an event.
    fn event(
        &mut self,
        class: Class,
        bytes: &[u8],
        frame: &Frame<'_>,
        id: EventId,
        at: Reading,
        random: &dyn Randomness,
    ) -> Result<Taken, TrackError> {
        if self.profile.as_ref().is_some_and(|profile| profile.consent == Consent::Denied) {
            return Err(TrackError::NotWanted("consent is denied"));
        }
        if !self.era.holds(at) {
            self.era = Era::begin(at, self.boot.clone(), random);
            self.era_unsaved = true;
        }
        let lane = self.write_tail(class, frame, at, random)?;
        let total = bytes.len() + self.tail.len() + 18 + ADDED_BYTES;
        if total > MAX_EVENT_BYTES {
            return Err(TrackError::TooLarge { bytes: total, limit: MAX_EVENT_BYTES });
        }
        if at.continuous.saturating_sub(self.saved_at) > SAVE_EVERY {
            self.unsaved |= self.profile.is_some();
        }
        let mut wake = self.save(at.continuous);
        if self.unsaved || self.era_unsaved {
            return Err(TrackError::QueueFull);
        }
        let prefix = event_prefix(class.code(), lane, self.era.id);
        let spare = if class == Class::Critical { 0 } else { self.spare };
        let parts = [&prefix[..], &[0x12, 16], id.as_bytes(), bytes, &self.tail];
        match self.producer.push(&parts, spare) {
            Pushed::Full => return Err(TrackError::QueueFull),
            pushed => wake |= pushed == Pushed::Wake,
        }
        self.pushed += 1;
        Ok(Taken { id: Some(id), wake, consent: None })
    }

    /// Puts together what the client itself says of an event: whose it is, its session and time, and what every event
    /// carries. Answers its lane.
    fn write_tail(
        &mut self,
        class: Class,
        frame: &Frame<'_>,
        at: Reading,
        random: &dyn Randomness,
    ) -> Result<u8, TrackError> {
        let named = frame.actor();
        let actor = if named.is_empty() { self.profile.as_ref().map_or("", Profile::actor) } else { named };
        if class != Class::Critical && !self.shared.takes(frame.name, actor) {
            return Err(TrackError::NotWanted("not in the sample"));
        }
        self.tail.clear();
        let is_own = |key: &str| frame.keys.contains(key.as_bytes());
        let mut keys = frame.keys.len();
        let mut lane = self.lane;
        match &mut self.profile {
            Some(profile) if named.is_empty() => {
                put_bytes(&mut self.tail, 5, profile.anonymous.as_bytes());
                if !profile.user.is_empty() {
                    put_bytes(&mut self.tail, 6, profile.user.as_bytes());
                }
                if !frame.has_session {
                    let (session, is_new) = profile.session(at, self.boot.as_deref(), random);
                    put_bytes(&mut self.tail, 7, session.as_bytes());
                    self.unsaved |= is_new;
                }
                let shared = &self.shared.properties;
                for (key, entry) in profile.supers().filter(|(key, _)| !is_own(key)) {
                    if !shared.iter().any(|(known, _)| known == key) {
                        self.tail.extend_from_slice(entry);
                        keys += 1;
                    }
                }
            }
            _ => lane = crate::lane::lane(&self.project, named),
        }
        for (_, entry) in self.shared.properties.iter().filter(|(key, _)| !is_own(key)) {
            self.tail.extend_from_slice(entry);
            keys += 1;
        }
        if keys > frame::PROPERTIES {
            let why = format!("with those of all events it has {keys} properties, 256 are allowed");
            return Err(TrackError::Invalid(why));
        }
        if !frame.has_time {
            put_time(&mut self.tail, 4, at.wall_us);
        }
        Ok(lane)
    }

    /// Does what a call asks for.
    fn apply(
        &mut self,
        call: Call<'_>,
        id: EventId,
        at: Reading,
        random: &dyn Randomness,
    ) -> Result<Taken, TrackError> {
        match call {
            Call::Event { class, frame: bytes } => {
                let frame = frame::check(&bytes)?;
                self.event(class, &bytes, &frame, id, at, random)
            }
            Call::Identify { user, person } => {
                let before = self.own()?;
                let mut profile = before.clone();
                if profile.user == user && person.is_empty() {
                    return Ok(Taken::default());
                }
                // Two known users are never one person: whoever was here before keeps what is theirs.
                if !profile.user.is_empty() && profile.user != user {
                    profile.reset(random);
                }
                profile.user = user;
                let track = Track::new("$identify").person(person);
                // Both or neither: who is said to be somebody else in the ring is somebody else after a kill.
                let shared: usize = self.shared.properties.iter().map(|(_, entry)| entry.len()).sum();
                let bytes = 2 * profile.encode().len() + track.encode().len() + shared + ABOUT_AN_EVENT;
                if !self.producer.fits(bytes as u64, self.spare) {
                    return Err(TrackError::QueueFull);
                }
                self.belong_to(profile);
                self.system(track, id, at, random).inspect_err(|_| self.belong_to(before))
            }
            Call::Link { anonymous, user, person } => {
                let track = Track::new("$identify").anonymous(anonymous).user(user).person(person);
                self.system(track, id, at, random)
            }
            Call::Alias { name } => {
                self.own()?;
                self.system(Track::new("$alias").property("alias", name), id, at, random)
            }
            Call::Reset => {
                let mut profile = self.own()?;
                profile.reset(random);
                self.belong_to(profile);
                Ok(self.saved(at))
            }
            Call::Register { key, value } => {
                let mut profile = self.own()?;
                profile.register(&key, &value);
                self.check_shared(&profile)?;
                self.belong_to(profile);
                Ok(self.saved(at))
            }
            Call::Unregister { key } => {
                let mut profile = self.own()?;
                profile.unregister(&key);
                self.belong_to(profile);
                Ok(self.saved(at))
            }
            Call::EndSession => {
                let mut profile = self.own()?;
                profile.end_session();
                self.belong_to(profile);
                Ok(self.saved(at))
            }
            Call::Consent(consent) => {
                let mut profile = self.own()?;
                let withdrawn = consent == Consent::Denied && profile.consent != Consent::Denied;
                let key = withdrawn.then(|| profile.withdraw(random));
                profile.consent = consent;
                self.belong_to(profile);
                let saved = self.saved(at);
                // Where the ring is full, and the disk perhaps too, this much is known after a kill all the same.
                self.producer.note_denied(self.unsaved && consent == Consent::Denied);
                Ok(Taken { consent: Some((consent, key)), ..saved })
            }
            Call::Wish(kind) => {
                let actor = self.own()?.actor().to_owned();
                let wish = Wish { id: random_uuid(random), kind: kind as i32, actor };
                match self.producer.push(&[&wish.put()], 0) {
                    Pushed::Full => Err(TrackError::QueueFull),
                    _ => Ok(Taken { wake: true, ..Taken::default() }),
                }
            }
        }
    }

    /// What every event carries leaves room for the event's own.
    fn check_shared(&self, profile: &Profile) -> Result<(), TrackError> {
        let sizes = profile.supers().map(|(_, entry)| entry.len());
        let (count, bytes) = sizes.fold((0, 0), |(count, sum), bytes| (count + 1, sum + bytes));
        let most = frame::PROPERTIES / 2;
        if count > most {
            return Err(TrackError::Invalid(format!("at most {most} properties are registered at a time")));
        }
        let limit = MAX_EVENT_BYTES / 2;
        if bytes > limit { Err(TrackError::TooLarge { bytes, limit }) } else { Ok(()) }
    }

    pub(crate) fn consent(&self) -> Option<Consent> {
        self.profile.as_ref().map(|profile| profile.consent)
    }

    fn own(&self) -> Result<Profile, TrackError> {
        self.profile.clone().ok_or_else(nobody)
    }

    fn belong_to(&mut self, profile: Profile) {
        self.profile = Some(profile);
        self.unsaved = true;
        self.choose_lane();
    }

    /// One of the client's own events.
    fn system(
        &mut self,
        track: Track,
        id: EventId,
        at: Reading,
        random: &dyn Randomness,
    ) -> Result<Taken, TrackError> {
        let bytes = track.encode();
        let frame = frame::check(&bytes)?;
        self.event(Class::Normal, &bytes, &frame, id, at, random)
    }

    fn saved(&mut self, at: Reading) -> Taken {
        Taken { wake: self.save(at.continuous), ..Taken::default() }
    }

    /// Puts profile and era into the ring where they have changed; says whether to wake the queue's thread. What does not
    /// fit stays unsaved, and nothing that depends on it is taken before.
    fn save(&mut self, now: Duration) -> bool {
        let mut wake = false;
        if self.era_unsaved {
            let pushed = self.producer.push(&[&self.era.put()], 0);
            self.era_unsaved = pushed == Pushed::Full;
            wake |= pushed == Pushed::Wake;
        }
        if let Some(profile) = self.profile.as_ref().filter(|_| self.unsaved) {
            let pushed = self.producer.push(&[&put_profile(&profile.encode())], 0);
            self.unsaved = pushed == Pushed::Full;
            if !self.unsaved {
                self.producer.note_denied(false);
            }
            self.saved_at = now;
            wake |= pushed == Pushed::Wake;
        }
        wake
    }
}
