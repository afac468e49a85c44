//! Checks an event where it is made: what the server would refuse is known to the caller at once.
//!
//! A frame is the part of an encoded `footpath.v1.Event` that is the application's: name, time, ids, session,
//! properties and changes. Id, class, lane and number are the client's own and may not stand in it.

use crate::error::TrackError;
use crate::profile::names_somebody;
use crate::wire::{Fields, Malformed, Raw};

/// The server's default limits.
const NAME_BYTES: usize = 255;
const ID_BYTES: usize = 512;
const KEY_BYTES: usize = 255;
pub(crate) const PROPERTIES: usize = 256;
const GROUPS: usize = 5;
const TOO_LONG: &str = "an id has at most 512 bytes";
pub(crate) const DEPTH: u32 = 5;
/// 1970 to 2100, in seconds.
const EVENT_SECONDS: std::ops::RangeInclusive<i64> = 0..=4_102_444_799;
/// The years 1 to 9999, in seconds.
const VALUE_SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// What the client needs to know of a frame.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Frame<'a> {
    pub(crate) name: &'a str,
    pub(crate) user: &'a str,
    pub(crate) anonymous: &'a str,
    pub(crate) has_session: bool,
    pub(crate) has_time: bool,
    /// The keys of its properties, in order.
    pub(crate) keys: Keys<'a>,
}

impl<'a> Frame<'a> {
    /// Whom the event names; empty: nobody.
    pub(crate) fn actor(&self) -> &'a str {
        if self.user.is_empty() { self.anonymous } else { self.user }
    }
}

/// Keys of one map. Most events have few: those need no heap.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Keys<'a> {
    first: [&'a [u8]; 16],
    rest: Vec<&'a [u8]>,
    len: usize,
}

impl<'a> Keys<'a> {
    fn push(&mut self, key: &'a [u8]) {
        match self.first.get_mut(self.len) {
            Some(place) => *place = key,
            None => self.rest.push(key),
        }
        self.len += 1;
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        self.first.iter().take(self.len).chain(&self.rest).copied()
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.iter().any(|known| known == key)
    }

    /// A key that stands twice.
    fn twice(&self) -> Option<&'a [u8]> {
        let mut keys = Vec::new();
        if self.rest.is_empty() {
            let first = &self.first[..self.len];
            return first
                .iter()
                .enumerate()
                .find(|(at, key)| first[..*at].contains(key))
                .map(|(_, key)| *key);
        }
        keys.extend(self.iter());
        keys.sort_unstable();
        keys.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    }
}

/// Reads and checks a frame.
///
/// # Errors
/// What the server would refuse, in words for the developer.
pub(crate) fn check(frame: &[u8]) -> Result<Frame<'_>, TrackError> {
    read(frame).map_err(|Wrong(what)| TrackError::Invalid(what))
}

struct Wrong(String);

impl Wrong {
    /// Says of which property it is true.
    fn of(self, key: &[u8]) -> Self {
        Self(format!("property \"{}\": {}", String::from_utf8_lossy(key), self.0))
    }
}

impl From<Malformed> for Wrong {
    fn from(Malformed: Malformed) -> Self {
        Self("the bytes are not a protobuf message".into())
    }
}

fn wrong<T>(what: &str) -> Result<T, Wrong> {
    Err(Wrong(what.to_owned()))
}

fn read(frame: &[u8]) -> Result<Frame<'_>, Wrong> {
    let mut found = Frame::default();
    let mut seen = 0_u32;
    let mut groups = 0;
    for field in Fields::new(frame) {
        let field = field?;
        if field.number != 11 && field.number != 14 {
            let bit = 1_u32.checked_shl(field.number as u32).unwrap_or(0);
            if bit == 0 || seen & bit != 0 {
                return wrong("a field is not known or stands twice");
            }
            seen |= bit;
        }
        let Raw::Bytes(bytes) = field.value else { return wrong("a field has the wrong type") };
        match field.number {
            3 => found.name = text(bytes)?,
            4 => {
                check_time(bytes, EVENT_SECONDS, "an event's time lies in 1970 to 2100")?;
                found.has_time = true;
            }
            5..=7 if bytes.is_empty() => return wrong("an id is empty: leave it out where nobody is meant"),
            5 => found.anonymous = id(bytes)?,
            6 => found.user = id(bytes)?,
            7 => found.has_session = !id(bytes)?.is_empty(),
            11 => check_entry(bytes, &mut found.keys, 0)?,
            13 => check_changes(bytes)?,
            14 => {
                groups += 1;
                check_group(bytes)?;
            }
            _ => return wrong("id, class, lane and number are the client's own"),
        }
    }
    if found.name.is_empty() || found.name.len() > NAME_BYTES {
        return wrong("a name has 1 to 255 bytes");
    }
    if groups > GROUPS {
        return wrong("an event changes at most 5 groups");
    }
    check_keys(&found.keys)?;
    Ok(found)
}

/// An id of a person.
///
/// # Errors
/// One that stands for nobody in particular, or is too long.
pub(crate) fn check_id(id: &str) -> Result<(), TrackError> {
    if id.len() > ID_BYTES {
        return Err(TrackError::Invalid(TOO_LONG.into()));
    }
    if names_somebody(id) {
        return Ok(());
    }
    Err(TrackError::Invalid(format!("\"{id}\" stands for nobody in particular")))
}

/// Encoded properties that are put behind an event's own.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_properties(entries: &[u8]) -> Result<(), TrackError> {
    let mut frame = vec![0x1a, 1, b'x'];
    frame.extend_from_slice(entries);
    check(&frame).map(drop)
}

fn check_keys(keys: &Keys<'_>) -> Result<(), Wrong> {
    if keys.len > PROPERTIES {
        return wrong("an event has at most 256 properties, and as many changes to a person or a group");
    }
    match keys.twice() {
        Some(key) => Err(Wrong(format!("the property \"{}\" stands twice", String::from_utf8_lossy(key)))),
        None => Ok(()),
    }
}

fn text(bytes: &[u8]) -> Result<&str, Wrong> {
    std::str::from_utf8(bytes).map_err(|_| Wrong("text is not UTF-8".into()))
}

fn id(bytes: &[u8]) -> Result<&str, Wrong> {
    if bytes.len() > ID_BYTES {
        return wrong(TOO_LONG);
    }
    text(bytes)
}

fn check_key(bytes: &[u8]) -> Result<(), Wrong> {
    if bytes.is_empty() || bytes.len() > KEY_BYTES {
        return wrong("a property's key has 1 to 255 bytes");
    }
    text(bytes).map(drop)
}

/// An entry of a map: its key and its value, each once.
fn entry(bytes: &[u8]) -> Result<(&[u8], Option<Raw<'_>>), Wrong> {
    let (mut key, mut value) = (None, None);
    for field in Fields::new(bytes) {
        let field = field?;
        match (field.number, field.value) {
            (1, Raw::Bytes(bytes)) if key.is_none() => key = Some(bytes),
            (2, found) if value.is_none() => value = Some(found),
            _ => return wrong("an entry has a key and a value"),
        }
    }
    let key = key.unwrap_or_default();
    check_key(key)?;
    Ok((key, value))
}

fn check_entry<'a>(bytes: &'a [u8], keys: &mut Keys<'a>, depth: u32) -> Result<(), Wrong> {
    let (key, value) = entry(bytes)?;
    keys.push(key);
    match value {
        Some(Raw::Bytes(value)) => check_value(value, depth),
        _ => wrong("a property has no value"),
    }
    .map_err(|what| if depth == 0 { what.of(key) } else { what })
}

fn check_value(bytes: &[u8], depth: u32) -> Result<(), Wrong> {
    let mut fields = Fields::new(bytes);
    let Some(field) = fields.next() else { return wrong("a property has no value") };
    let field = field?;
    if fields.next().is_some() {
        return wrong("a value has exactly one kind");
    }
    match (field.number, field.value) {
        (1, Raw::Bytes(bytes)) => text(bytes).map(drop),
        (2 | 6, Raw::Varint(_)) => Ok(()),
        (3, Raw::Fixed64(bits)) => check_finite(bits),
        (4, Raw::Bytes(bytes)) => check_decimal(bytes),
        (5, Raw::Bytes(bytes)) => check_money(bytes),
        (7, Raw::Bytes(bytes)) => check_time(bytes, VALUE_SECONDS, "a time lies in the years 1 to 9999"),
        (8 | 9, Raw::Bytes(_)) if depth >= DEPTH => wrong("lists and maps are nested at most 5 deep"),
        (8, Raw::Bytes(bytes)) => Fields::new(bytes).try_for_each(|field| match field? {
            crate::wire::Field { number: 1, value: Raw::Bytes(bytes), .. } => check_value(bytes, depth + 1),
            _ => wrong("a list holds values"),
        }),
        (9, Raw::Bytes(bytes)) => check_map(bytes, depth + 1),
        _ => wrong("a value has a kind that is not known"),
    }
}

fn check_map(bytes: &[u8], depth: u32) -> Result<(), Wrong> {
    let mut keys = Keys::default();
    for field in Fields::new(bytes) {
        match field? {
            crate::wire::Field { number: 1, value: Raw::Bytes(bytes), .. } => {
                check_entry(bytes, &mut keys, depth)?
            }
            _ => return wrong("a map holds entries"),
        }
    }
    check_keys(&keys)
}

fn check_finite(bits: u64) -> Result<(), Wrong> {
    if f64::from_bits(bits).is_finite() { Ok(()) } else { wrong("numbers must be finite") }
}

/// Digits with an optional sign and point.
fn check_decimal(bytes: &[u8]) -> Result<(), Wrong> {
    let digits = bytes.strip_prefix(b"-").or(bytes.strip_prefix(b"+")).unwrap_or(bytes);
    let points = digits.iter().filter(|byte| **byte == b'.').count();
    let plain = digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    let framed =
        digits.first().is_some_and(u8::is_ascii_digit) && digits.last().is_some_and(u8::is_ascii_digit);
    if plain && framed && points <= 1 { Ok(()) } else { wrong("a decimal is written as in \"12.340\"") }
}

fn check_money(bytes: &[u8]) -> Result<(), Wrong> {
    let (mut currency, mut units, mut nanos) = (&b""[..], 0, 0);
    for field in Fields::new(bytes) {
        match field? {
            crate::wire::Field { number: 1, value: Raw::Bytes(bytes), .. } => currency = bytes,
            crate::wire::Field { number: 2, value: Raw::Varint(value), .. } => units = value.cast_signed(),
            crate::wire::Field { number: 3, value: Raw::Varint(value), .. } => nanos = value.cast_signed(),
            _ => return wrong("money has a currency, units and nanos"),
        }
    }
    let code = currency.len() == 3 && currency.iter().all(u8::is_ascii_uppercase);
    let signs = units.signum() * nanos.signum() >= 0;
    if code && signs && nanos.abs() < 1_000_000_000 {
        return Ok(());
    }
    wrong("money has an ISO 4217 currency such as \"EUR\", units, and nanos of the same sign below one unit")
}

fn check_time(bytes: &[u8], seconds: std::ops::RangeInclusive<i64>, what: &str) -> Result<(), Wrong> {
    let (mut at, mut nanos) = (0, 0);
    for field in Fields::new(bytes) {
        match field? {
            crate::wire::Field { number: 1, value: Raw::Varint(value), .. } => at = value.cast_signed(),
            crate::wire::Field { number: 2, value: Raw::Varint(value), .. } => nanos = value,
            _ => return wrong("a time has seconds and nanos"),
        }
    }
    if seconds.contains(&at) && nanos < 1_000_000_000 { Ok(()) } else { wrong(what) }
}

fn check_changes(bytes: &[u8]) -> Result<(), Wrong> {
    let mut maps = [Keys::default(), Keys::default(), Keys::default(), Keys::default()];
    for field in Fields::new(bytes) {
        let field = field?;
        let Raw::Bytes(bytes) = field.value else { return wrong("a field has the wrong type") };
        match field.number {
            1 | 2 => check_entry(bytes, &mut maps[field.number as usize - 1], 0)?,
            3 => {
                check_key(bytes)?;
                maps[2].push(bytes);
            }
            4 => {
                let (key, value) = entry(bytes)?;
                maps[3].push(key);
                match value {
                    Some(Raw::Fixed64(bits)) => check_finite(bits).map_err(|what| what.of(key))?,
                    _ => return wrong("`add` takes a number"),
                }
            }
            _ => return wrong("changes set, set once, unset and add"),
        }
    }
    let total: usize = maps.iter().map(|keys| keys.len).sum();
    if total > PROPERTIES {
        return wrong("an event has at most 256 properties, and as many changes to a person or a group");
    }
    maps.iter().try_for_each(check_keys)
}

fn check_group(bytes: &[u8]) -> Result<(), Wrong> {
    let (mut kind, mut group) = ("", "");
    for field in Fields::new(bytes) {
        let field = field?;
        let Raw::Bytes(bytes) = field.value else { return wrong("a field has the wrong type") };
        match field.number {
            1 => kind = id(bytes)?,
            2 => group = id(bytes)?,
            3 => check_changes(bytes)?,
            _ => return wrong("a group has a type, an id and changes"),
        }
    }
    if kind.is_empty() || group.is_empty() { wrong("a group has a type and an id") } else { Ok(()) }
}
