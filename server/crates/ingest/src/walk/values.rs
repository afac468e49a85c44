//! Checks properties where they lie and notices which ones cannot be copied as they are.

use footpath_model::wire::{Fields, Raw, only_bytes, short_entry, text_and_two, varint};

use super::text::is_utf8;
use crate::limits::Limits;
use crate::privacy::MaskPolicy;
use crate::reason::Reason;

/// 0001-01-01 and the end of 9999 in seconds: what a `google.protobuf.Timestamp` may hold.
const TIMESTAMP_SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// The longest property key, in bytes.
const KEY_BYTES: usize = 255;

/// Checks values. Keys of the maps being read lie on one stack, so that a key that stands twice is found
/// without a set per map.
#[derive(Debug)]
pub(super) struct Checker<'a, 'c> {
    pub(super) limits: &'c Limits,
    pub(super) mask: MaskPolicy,
    pub(super) keys: Vec<&'a [u8]>,
    /// Set when what was checked has unknown fields or something to mask: write it anew.
    pub(super) dirty: bool,
}

impl<'a> Checker<'a, '_> {
    /// An entry of `map<string, Value>` at a level of nesting (0: a property).
    #[inline]
    pub(super) fn entry(&mut self, bytes: &'a [u8], depth: u32) -> Result<(), Reason> {
        let Some((key, value)) = short_entry(bytes) else { return self.any_entry(bytes, depth) };
        // Lengths and tags of a usual entry are ASCII too, so that one look tells it for key and text together.
        if let Some(text) = only_bytes(value, 1)
            && bytes.is_ascii()
            && !key.is_empty()
        {
            self.keys.push(key);
            self.dirty |= self.mask.suspects(text);
            return Ok(());
        }
        check_key(key)?;
        self.keys.push(key);
        self.value(value, depth)
    }

    #[inline(never)]
    fn any_entry(&mut self, bytes: &'a [u8], depth: u32) -> Result<(), Reason> {
        let (mut key, mut value) = (None, None);
        for field in Fields::new(bytes) {
            let field = field?;
            match field.number {
                1 => once(&mut key, field.bytes()?)?,
                2 => once(&mut value, field.bytes()?)?,
                _ => self.dirty = true,
            }
        }
        let key = key.unwrap_or_default();
        check_key(key)?;
        self.keys.push(key);
        self.value(value.ok_or(Reason::ValueMissing)?, depth)
    }

    /// A `footpath.v1.Value`. The usual forms of the usual kinds are known by their first bytes.
    #[inline]
    pub(super) fn value(&mut self, bytes: &'a [u8], depth: u32) -> Result<(), Reason> {
        if let Some(text) = only_bytes(bytes, 1) {
            return self.string(text);
        }
        if let Some(money) = only_bytes(bytes, 5) {
            return self.money(money);
        }
        match *bytes {
            [0x10 | 0x30, 0..0x80] => Ok(()),
            [0x19, a, b, c, d, e, f, g, h] => self.double(u64::from_le_bytes([a, b, c, d, e, f, g, h])),
            _ => self.any_value(bytes, depth),
        }
    }

    #[inline(never)]
    fn any_value(&mut self, bytes: &'a [u8], depth: u32) -> Result<(), Reason> {
        let mut kinds = 0;
        for field in Fields::new(bytes) {
            let field = field?;
            if field.number > 9 {
                self.dirty = true;
                continue;
            }
            kinds += 1;
            if kinds > 1 {
                return Err(Reason::FieldTwice);
            }
            match (field.number, field.value) {
                (1, Raw::Bytes(text)) => self.string(text)?,
                (2, Raw::Varint(number)) => self.dirty |= self.mask.masks_integer(number as i64),
                (6, Raw::Varint(_)) => {}
                (3, Raw::Fixed64(bits)) => self.double(bits)?,
                (4, Raw::Bytes(text)) => self.decimal(text)?,
                (5, Raw::Bytes(money)) => self.money(money)?,
                (7, Raw::Bytes(time)) => self.time(time)?,
                (8, Raw::Bytes(list)) => self.list(list, depth + 1)?,
                (9, Raw::Bytes(map)) => self.map(map, depth + 1)?,
                _ => return Err(Reason::WireTypeWrong),
            }
        }
        if kinds == 0 { Err(Reason::ValueMissing) } else { Ok(()) }
    }

    #[inline]
    fn string(&mut self, text: &[u8]) -> Result<(), Reason> {
        if !is_utf8(text) {
            return Err(Reason::Utf8Invalid);
        }
        self.dirty |= self.mask.suspects(text);
        Ok(())
    }

    #[inline]
    fn double(&mut self, bits: u64) -> Result<(), Reason> {
        finite(bits)?;
        self.dirty |= self.mask.masks_double(f64::from_bits(bits));
        Ok(())
    }

    fn decimal(&mut self, text: &[u8]) -> Result<(), Reason> {
        if !is_decimal(text) {
            return Err(if is_utf8(text) { Reason::DecimalInvalid } else { Reason::Utf8Invalid });
        }
        self.dirty |= self.mask.suspects(text);
        Ok(())
    }

    fn money(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        let (currency, units, nanos) = match text_and_two(bytes) {
            Some((currency, units, nanos)) => (currency, units as i64, nanos as i32),
            None => self.any_money(bytes)?,
        };
        let code = currency.len() == 3 && currency.iter().all(u8::is_ascii_uppercase);
        let signs = units == 0 || nanos == 0 || (units < 0) == (nanos < 0);
        if code && signs && nanos.unsigned_abs() < 1_000_000_000 { Ok(()) } else { Err(Reason::MoneyInvalid) }
    }

    #[inline(never)]
    fn any_money<'m>(&mut self, bytes: &'m [u8]) -> Result<(&'m [u8], i64, i32), Reason> {
        let (mut currency, mut units, mut nanos) = (None, None, None);
        for field in Fields::new(bytes) {
            let field = field?;
            match field.number {
                1 => once(&mut currency, field.bytes()?)?,
                2 => once(&mut units, field.varint()? as i64)?,
                3 => once(&mut nanos, field.varint()? as i32)?,
                _ => self.dirty = true,
            }
        }
        Ok((currency.unwrap_or_default(), units.unwrap_or(0), nanos.unwrap_or(0)))
    }

    fn time(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        timestamp(bytes).map_err(|reason| match reason {
            Reason::TimeOutOfRange => Reason::TimeValueInvalid,
            other => other,
        })?;
        self.dirty |= Fields::new(bytes).flatten().any(|field| field.number > 2);
        Ok(())
    }

    fn list(&mut self, bytes: &'a [u8], depth: u32) -> Result<(), Reason> {
        self.level(depth)?;
        for field in Fields::new(bytes) {
            let field = field?;
            match field.number {
                1 => self.value(field.bytes()?, depth)?,
                _ => self.dirty = true,
            }
        }
        Ok(())
    }

    fn map(&mut self, bytes: &'a [u8], depth: u32) -> Result<(), Reason> {
        self.level(depth)?;
        let mark = self.keys.len();
        for field in Fields::new(bytes) {
            let field = field?;
            match field.number {
                1 => self.entry(field.bytes()?, depth)?,
                _ => self.dirty = true,
            }
        }
        self.end_map(mark)
    }

    /// Refuses what is nested too deep; before anything recurses.
    pub(super) fn level(&self, depth: u32) -> Result<(), Reason> {
        if depth > self.limits.depth { Err(Reason::NestedTooDeep) } else { Ok(()) }
    }

    /// Takes the keys above `mark` off the stack and fails if one stands twice.
    #[inline]
    pub(super) fn end_map(&mut self, mark: usize) -> Result<(), Reason> {
        let twice = has_twice(&mut self.keys[mark..]);
        self.keys.truncate(mark);
        if twice { Err(Reason::PropertyTwice) } else { Ok(()) }
    }
}

/// Refuses a property key that is empty, too long or not UTF-8.
#[inline]
pub(super) fn check_key(key: &[u8]) -> Result<(), Reason> {
    if !(1..=KEY_BYTES).contains(&key.len()) {
        return Err(Reason::PropertyKeyInvalid);
    }
    if is_utf8(key) { Ok(()) } else { Err(Reason::Utf8Invalid) }
}

/// Whether a key stands twice. Keys whose sketches differ are not compared; many keys are sorted, as the sketches of some of
/// them will be the same.
#[inline]
pub(super) fn has_twice(keys: &mut [&[u8]]) -> bool {
    if keys.len() > FEW_KEYS {
        return many_have_twice(keys);
    }
    let mut seen = 0_u128;
    for (i, key) in keys.iter().enumerate() {
        let bit = 1 << sketch(key);
        if seen & bit != 0 && keys[..i].iter().any(|other| same(other, key)) {
            return true;
        }
        seen |= bit;
    }
    false
}

/// More keys are sorted.
const FEW_KEYS: usize = 24;

#[inline(never)]
fn many_have_twice(keys: &mut [&[u8]]) -> bool {
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
}

/// Most keys differ in length or in their last letter, which is known without a call.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.last() == b.last() && a == b
}

/// Seven bits of a key: from its length, its first and its last byte.
#[inline]
fn sketch(key: &[u8]) -> u32 {
    let ends = key.first().zip(key.last()).map_or(0, |(a, b)| u32::from(*a) << 16 | u32::from(*b) << 8);
    (ends | key.len() as u32 & 0xff).wrapping_mul(0x9e37_79b1) >> 25
}

/// Keeps a singular field's value; fails on its second one.
#[inline]
pub(super) fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Reason> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Reason::FieldTwice),
    }
}

/// Refuses the bits of NaN and of infinity.
#[inline]
pub(super) fn finite(bits: u64) -> Result<(), Reason> {
    if f64::from_bits(bits).is_finite() { Ok(()) } else { Err(Reason::NumberNotFinite) }
}

/// An optional sign, digits, optionally a point and digits.
fn is_decimal(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    let mut parts = text.splitn(2, |b| *b == b'.');
    parts.all(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
}

/// Microseconds since 1970 of a `google.protobuf.Timestamp`; nanoseconds are cut.
///
/// # Errors
/// `TimeOutOfRange` outside the years 1 to 9999, or if the nanoseconds are no fraction of a second.
#[inline]
pub(super) fn timestamp(bytes: &[u8]) -> Result<i64, Reason> {
    let (seconds, nanos) = match usual_timestamp(bytes) {
        Some(usual) => usual,
        None => any_timestamp(bytes)?,
    };
    if !TIMESTAMP_SECONDS.contains(&seconds) || !(0..1_000_000_000).contains(&nanos) {
        return Err(Reason::TimeOutOfRange);
    }
    Ok(seconds * 1_000_000 + i64::from(nanos / 1000))
}

/// Seconds, then nanoseconds, as every library writes them.
#[inline]
fn usual_timestamp(bytes: &[u8]) -> Option<(i64, i32)> {
    let mut at = 1;
    let seconds = (bytes.first() == Some(&0x08)).then(|| varint(bytes, &mut at).ok())??;
    if at == bytes.len() {
        return Some((seconds as i64, 0));
    }
    let nanos = (bytes.get(at) == Some(&0x10)).then(|| {
        at += 1;
        varint(bytes, &mut at).ok()
    })??;
    (at == bytes.len()).then_some((seconds as i64, nanos as i32))
}

#[inline(never)]
fn any_timestamp(bytes: &[u8]) -> Result<(i64, i32), Reason> {
    let (mut seconds, mut nanos) = (None, None);
    for field in Fields::new(bytes) {
        let field = field?;
        match field.number {
            1 => once(&mut seconds, field.varint()? as i64)?,
            2 => once(&mut nanos, field.varint()? as i32)?,
            _ => {}
        }
    }
    Ok((seconds.unwrap_or(0), nanos.unwrap_or(0)))
}
