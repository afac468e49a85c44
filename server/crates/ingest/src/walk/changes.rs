//! `Event.person` and `Event.groups`: changes to the properties of persons and groups.

use footpath_model::wire::{Fields, Raw, put_bytes, put_fixed64};

use super::rewrite;
use super::text::is_utf8;
use super::values::{Checker, check_key, finite, once};
use crate::privacy::MaskPolicy;
use crate::reason::Reason;

/// Checks a `PropertyChanges`.
pub(super) fn check<'a>(checker: &mut Checker<'a, '_>, bytes: &'a [u8]) -> Result<(), Reason> {
    let mut count = 0;
    for number in 1..=4 {
        let mark = checker.keys.len();
        for field in Fields::new(bytes) {
            let field = field?;
            if field.number == number {
                one(checker, number, field.bytes()?)?;
                count += 1;
            }
            checker.dirty |= field.number > 4;
        }
        checker.end_map(mark)?;
    }
    if count > checker.limits.properties { Err(Reason::TooManyProperties) } else { Ok(()) }
}

fn one<'a>(checker: &mut Checker<'a, '_>, number: u32, bytes: &'a [u8]) -> Result<(), Reason> {
    match number {
        1 | 2 => checker.entry(bytes, 0),
        3 => {
            checker.keys.push(bytes);
            if is_utf8(bytes) { Ok(()) } else { Err(Reason::Utf8Invalid) }
        }
        _ => added(checker, bytes),
    }
}

/// An entry of `map<string, double>`.
fn added<'a>(checker: &mut Checker<'a, '_>, bytes: &'a [u8]) -> Result<(), Reason> {
    let (mut key, mut number) = (None, None);
    for field in Fields::new(bytes) {
        let field = field?;
        match field.number {
            1 => once(&mut key, field.bytes()?)?,
            2 => once(&mut number, field.fixed64()?)?,
            _ => checker.dirty = true,
        }
    }
    let key = key.unwrap_or_default();
    check_key(key)?;
    checker.keys.push(key);
    finite(number.unwrap_or(0))
}

/// Checks a `GroupChange`.
pub(super) fn check_group<'a>(checker: &mut Checker<'a, '_>, bytes: &'a [u8]) -> Result<(), Reason> {
    let (mut kind, mut id, mut changes) = (None, None, None);
    for field in Fields::new(bytes) {
        let field = field?;
        match field.number {
            1 => once(&mut kind, field.bytes()?)?,
            2 => once(&mut id, field.bytes()?)?,
            3 => once(&mut changes, field.bytes()?)?,
            _ => checker.dirty = true,
        }
    }
    for name in [kind, id] {
        let name = name.unwrap_or_default();
        if name.is_empty() || name.len() > usize::from(checker.limits.id_bytes) {
            return Err(Reason::GroupInvalid);
        }
        if !is_utf8(name) {
            return Err(Reason::Utf8Invalid);
        }
    }
    changes.map_or(Ok(()), |changes| check(checker, changes))
}

/// A checked `PropertyChanges` anew.
pub(super) fn rewrite(bytes: &[u8], mask: MaskPolicy) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for field in Fields::new(bytes).flatten() {
        match (field.number, field.value) {
            (1 | 2, Raw::Bytes(entry)) => rewrite::put_entry(&mut out, field.number, entry, mask),
            (3, _) => out.extend_from_slice(field.span),
            (4, Raw::Bytes(entry)) => put_added(&mut out, entry),
            _ => {}
        }
    }
    out
}

fn put_added(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut entry = Vec::with_capacity(bytes.len());
    for field in Fields::new(bytes).flatten() {
        match (field.number, field.value) {
            (1, Raw::Bytes(key)) => put_bytes(&mut entry, 1, key),
            (2, Raw::Fixed64(bits)) => put_fixed64(&mut entry, 2, bits),
            _ => {}
        }
    }
    put_bytes(out, 4, &entry);
}

/// A checked `GroupChange` anew.
pub(super) fn rewrite_group(bytes: &[u8], mask: MaskPolicy) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for field in Fields::new(bytes).flatten() {
        match (field.number, field.value) {
            (1 | 2, _) => out.extend_from_slice(field.span),
            (3, Raw::Bytes(changes)) => put_bytes(&mut out, 3, &rewrite(changes, mask)),
            _ => {}
        }
    }
    out
}
