//! Turns plain JSON properties (`google.protobuf.Struct`) into typed ones. A number becomes a double; null is
//! left out.

use footpath_model::wire::{Fields, Raw, put_bytes, put_fixed64, put_uint};

use super::rewrite::{CARD, masked, put_pair};
use super::text::is_utf8;
use super::values::{Checker, check_key, finite, once};
use crate::reason::Reason;

/// Appends the entries of a `google.protobuf.Struct` as field `number`. Their keys stay on the checker's stack;
/// who calls takes them off.
pub(super) fn put_struct<'a>(
    checker: &mut Checker<'a, '_>,
    bytes: &'a [u8],
    number: u32,
    depth: u32,
    out: &mut Vec<u8>,
) -> Result<(), Reason> {
    for field in Fields::new(bytes) {
        let field = field?;
        if field.number == 1 {
            put_entry(checker, field.bytes()?, number, depth, out)?;
        }
    }
    Ok(())
}

fn put_entry<'a>(
    checker: &mut Checker<'a, '_>,
    bytes: &'a [u8],
    number: u32,
    depth: u32,
    out: &mut Vec<u8>,
) -> Result<(), Reason> {
    let (mut key, mut value) = (None, None);
    for field in Fields::new(bytes) {
        let field = field?;
        match field.number {
            1 => once(&mut key, field.bytes()?)?,
            2 => once(&mut value, field.bytes()?)?,
            _ => {}
        }
    }
    let key = key.unwrap_or_default();
    check_key(key)?;
    checker.keys.push(key);
    if let Some(value) = self::value(checker, value.unwrap_or_default(), depth)? {
        put_pair(out, number, key, &value);
    }
    Ok(())
}

/// A `google.protobuf.Value` as an encoded `footpath.v1.Value`; `None` for null.
fn value<'a>(checker: &mut Checker<'a, '_>, bytes: &'a [u8], depth: u32) -> Result<Option<Vec<u8>>, Reason> {
    let mut kind = None;
    for field in Fields::new(bytes) {
        let field = field?;
        if field.number <= 6 {
            once(&mut kind, field)?;
        }
    }
    let Some(field) = kind else { return Ok(None) };
    let mut out = Vec::new();
    match (field.number, field.value) {
        (1, Raw::Varint(_)) => return Ok(None),
        (2, Raw::Fixed64(bits)) => {
            finite(bits)?;
            match checker.mask.masks_double(f64::from_bits(bits)) {
                true => put_bytes(&mut out, 1, CARD),
                false => put_fixed64(&mut out, 3, bits),
            }
        }
        (3, Raw::Bytes(text)) => put_text(checker, text, &mut out)?,
        (4, Raw::Varint(value)) => put_uint(&mut out, 6, u64::from(value != 0)),
        (5, Raw::Bytes(inner)) => put_bytes(&mut out, 9, &map(checker, inner, depth + 1)?),
        (6, Raw::Bytes(inner)) => put_bytes(&mut out, 8, &list(checker, inner, depth + 1)?),
        _ => return Err(Reason::WireTypeWrong),
    }
    Ok(Some(out))
}

fn put_text(checker: &Checker<'_, '_>, text: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
    if !is_utf8(text) {
        return Err(Reason::Utf8Invalid);
    }
    match masked(text, checker.mask) {
        Some(masked) => put_bytes(out, 1, masked.as_bytes()),
        None => put_bytes(out, 1, text),
    }
    Ok(())
}

fn map<'a>(checker: &mut Checker<'a, '_>, bytes: &'a [u8], depth: u32) -> Result<Vec<u8>, Reason> {
    checker.level(depth)?;
    let mark = checker.keys.len();
    let mut out = Vec::new();
    put_struct(checker, bytes, 1, depth, &mut out)?;
    checker.end_map(mark)?;
    Ok(out)
}

fn list<'a>(checker: &mut Checker<'a, '_>, bytes: &'a [u8], depth: u32) -> Result<Vec<u8>, Reason> {
    checker.level(depth)?;
    let mut out = Vec::new();
    for field in Fields::new(bytes) {
        let field = field?;
        if field.number == 1
            && let Some(value) = value(checker, field.bytes()?, depth)?
        {
            put_bytes(&mut out, 1, &value);
        }
    }
    Ok(out)
}
