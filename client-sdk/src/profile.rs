//! Who the device's events belong to, and what all of them carry: a pure state machine, time comes in as an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::{Randomness, Reading, micros, random_uuid};
use crate::value::{PropertyValue, put_entry};
use crate::wire::{Fields, Raw, put_bytes, put_message, put_number};

/// A gap of more than this ends a session, as the server's default does.
const SESSION_GAP: Duration = Duration::from_secs(30 * 60);
/// No session is longer.
const SESSION_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What the person allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consent {
    /// Events are taken and sent.
    #[default]
    Granted,
    /// Nobody has answered yet: events are taken and kept, and sent once consent is granted.
    Pending,
    /// Nothing is taken. What waited is destroyed, and its numbers are reported as lost.
    Denied,
}

/// Whom a device's events belong to now, and what that person allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The device's own id for its user.
    pub anonymous_id: String,
    /// The known user; empty before somebody is known.
    pub user_id: String,
    /// What the person allows.
    pub consent: Consent,
}

/// A visit.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Session {
    id: String,
    started: Reading,
    last: Reading,
    /// The start of the machine that the continuous clock counts from.
    boot: Option<String>,
}

impl Session {
    /// Time from one of its moments until `now`. A wall clock that was set does not end a visit; after a restart of the
    /// machine there is no other clock.
    fn since(&self, moment: Reading, now: Reading, boot: Option<&str>) -> Duration {
        if boot.is_some() && boot == self.boot.as_deref() {
            return now.continuous.saturating_sub(moment.continuous);
        }
        Duration::from_micros(u64::try_from(now.wall_us - moment.wall_us).unwrap_or(u64::MAX))
    }
}

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Profile {
    pub(crate) anonymous: String,
    /// Empty until somebody is known.
    pub(crate) user: String,
    /// Properties of every event, each as an entry of the map, by key.
    supers: BTreeMap<String, Vec<u8>>,
    session: Option<Session>,
    pub(crate) consent: Consent,
    /// Names the key that seals this person's events.
    pub(crate) key: String,
}

impl Profile {
    /// Somebody new.
    pub(crate) fn new(consent: Consent, random: &dyn Randomness) -> Self {
        Self {
            anonymous: random_uuid(random),
            user: String::new(),
            supers: BTreeMap::new(),
            session: None,
            consent,
            key: random_uuid(random),
        }
    }

    pub(crate) fn who(&self) -> Who {
        Who { anonymous_id: self.anonymous.clone(), user_id: self.user.clone(), consent: self.consent }
    }

    /// The id that decides the lane.
    pub(crate) fn actor(&self) -> &str {
        if self.user.is_empty() { &self.anonymous } else { &self.user }
    }

    /// Forgets the person; what comes next is somebody else's. Consent stays: it is the device's.
    pub(crate) fn reset(&mut self, random: &dyn Randomness) {
        *self = Self::new(self.consent, random);
    }

    /// Consent is withdrawn: what comes later, if anything, has another key. Answers the one to destroy. The ids stay, so
    /// that the person can still ask for deletion.
    pub(crate) fn withdraw(&mut self, random: &dyn Randomness) -> String {
        self.supers.clear();
        self.session = None;
        std::mem::replace(&mut self.key, random_uuid(random))
    }

    /// Sets a property of every later event.
    pub(crate) fn register(&mut self, key: &str, value: &PropertyValue) {
        let mut entry = Vec::new();
        put_entry(&mut entry, 11, key, value);
        self.supers.insert(key.to_owned(), entry);
    }

    pub(crate) fn unregister(&mut self, key: &str) -> bool {
        self.supers.remove(key).is_some()
    }

    /// The properties of every event, by key, as encoded entries.
    pub(crate) fn supers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.supers.iter().map(|(key, entry)| (&**key, &**entry))
    }

    /// The session of something that happens now; says whether it is a new one.
    pub(crate) fn session(
        &mut self,
        now: Reading,
        boot: Option<&str>,
        random: &dyn Randomness,
    ) -> (&str, bool) {
        let goes_on = self.session.as_ref().is_some_and(|session| {
            session.since(session.last, now, boot) <= SESSION_GAP
                && session.since(session.started, now, boot) <= SESSION_MAX
        });
        if !goes_on {
            self.session = None;
        }
        let boot = || boot.map(str::to_owned);
        let begins = || Session { id: random_uuid(random), started: now, last: now, boot: boot() };
        let session = self.session.get_or_insert_with(begins);
        session.last = now;
        (&session.id, !goes_on)
    }

    /// The next event begins a new session.
    pub(crate) fn end_session(&mut self) {
        self.session = None;
    }

    /// For the disk.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, 1, self.anonymous.as_bytes());
        put_bytes(&mut out, 2, self.user.as_bytes());
        for (key, entry) in &self.supers {
            put_message(&mut out, 3, |out| {
                put_bytes(out, 1, key.as_bytes());
                put_bytes(out, 2, entry);
            });
        }
        if let Some(session) = &self.session {
            put_message(&mut out, 4, |out| {
                put_bytes(out, 1, session.id.as_bytes());
                for (field, moment) in [(2, session.started), (4, session.last)] {
                    put_number(out, field, moment.wall_us.cast_unsigned());
                    put_number(out, field + 1, micros(moment.continuous).cast_unsigned());
                }
                if let Some(boot) = &session.boot {
                    put_bytes(out, 6, boot.as_bytes());
                }
            });
        }
        put_number(&mut out, 5, self.consent as u64);
        put_bytes(&mut out, 6, self.key.as_bytes());
        out
    }

    /// Reads what [`Profile::encode`] wrote; `None` for anything else.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut profile = Self {
            anonymous: String::new(),
            user: String::new(),
            supers: BTreeMap::new(),
            session: None,
            consent: Consent::Granted,
            key: String::new(),
        };
        for field in Fields::new(bytes) {
            let field = field.ok()?;
            match (field.number, field.value) {
                (1, Raw::Bytes(text)) => profile.anonymous = utf8(text)?,
                (2, Raw::Bytes(text)) => profile.user = utf8(text)?,
                (3, Raw::Bytes(pair)) => {
                    profile.supers.insert(utf8(bytes_of(pair, 1)?)?, bytes_of(pair, 2)?.to_vec());
                }
                (4, Raw::Bytes(session)) => profile.session = Some(read_session(session)?),
                (5, Raw::Varint(1)) => profile.consent = Consent::Pending,
                (5, Raw::Varint(2)) => profile.consent = Consent::Denied,
                (6, Raw::Bytes(text)) => profile.key = utf8(text)?,
                _ => {}
            }
        }
        (!profile.anonymous.is_empty() && !profile.key.is_empty()).then_some(profile)
    }
}

fn read_session(bytes: &[u8]) -> Option<Session> {
    let mut numbers = [0; 4];
    for field in Fields::new(bytes) {
        let field = field.ok()?;
        if let (2..=5, Raw::Varint(value)) = (field.number, field.value) {
            numbers[field.number as usize - 2] = value;
        }
    }
    let moment = |at: usize| Reading {
        wall_us: numbers[at].cast_signed(),
        continuous: Duration::from_micros(numbers[at + 1]),
    };
    Some(Session {
        id: utf8(bytes_of(bytes, 1)?)?,
        started: moment(0),
        last: moment(2),
        boot: bytes_of(bytes, 6).and_then(utf8),
    })
}

fn utf8(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

fn bytes_of(message: &[u8], number: u64) -> Option<&[u8]> {
    Fields::new(message).flatten().find_map(|field| match field.value {
        Raw::Bytes(bytes) if field.number == number => Some(bytes),
        _ => None,
    })
}

/// Whether an id stands for somebody in particular. The server refuses the others too: they would make one person of
/// everybody.
pub(crate) fn names_somebody(id: &str) -> bool {
    const NOBODY: [&str; 8] =
        ["null", "undefined", "none", "nan", "[object object]", "anonymous", "guest", "unknown"];
    let id = id.trim();
    let zeros = id.contains('0') && id.bytes().all(|c| matches!(c, b'0' | b'-' | b'{' | b'}'));
    !id.is_empty() && !zeros && !NOBODY.iter().any(|word| id.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, ManualClock, SeededRandom};

    #[test]
    fn a_profile_survives_the_disk() {
        let (clock, random) = (ManualClock::at(1_000), SeededRandom::new(1));
        let mut profile = Profile::new(Consent::Pending, &random);
        assert_eq!(Profile::decode(&profile.encode()), Some(profile.clone()));
        profile.user = "u".into();
        profile.register("plan", &"pro".into());
        profile.register("n", &1.into());
        assert!(profile.unregister("n") && !profile.unregister("n"));
        profile.session(Reading::now(&clock), clock.boot_id().as_deref(), &random);
        assert_eq!(Profile::decode(&profile.encode()), Some(profile.clone()));
        for cut in 0..profile.encode().len() {
            Profile::decode(&profile.encode()[..cut]);
        }
    }

    #[test]
    fn thirty_minutes_end_a_session_and_a_set_clock_does_not() {
        let (clock, random) = (ManualClock::at(1_000_000_000), SeededRandom::new(1));
        let mut profile = Profile::new(Consent::Granted, &random);
        let mut session = |clock: &ManualClock| {
            profile.session(Reading::now(clock), clock.boot_id().as_deref(), &random).0.to_owned()
        };
        let first = session(&clock);
        clock.advance(Duration::from_secs(1_800));
        assert_eq!(session(&clock), first, "exactly 30 minutes do not");
        clock.jump(-86_400_000_000);
        assert_eq!(session(&clock), first);
        clock.advance(Duration::from_micros(1_800_000_001));
        let second = session(&clock);
        assert_ne!(second, first);
        for _ in 0..48 {
            clock.advance(Duration::from_secs(1_800));
            assert_eq!(session(&clock), second);
        }
        clock.advance(Duration::from_secs(1));
        assert_ne!(session(&clock), second, "24 hours are the longest");
    }

    #[test]
    fn nobody_in_particular_is_no_id() {
        for id in ["", " ", "NULL", "undefined", "0", "{00000000-0000-0000-0000-000000000000}", "guest"] {
            assert!(!names_somebody(id), "{id:?}");
        }
        assert!(["a0", "-", "nullable", "10"].iter().all(|id| names_somebody(id)));
    }
}
