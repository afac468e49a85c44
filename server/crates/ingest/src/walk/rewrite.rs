//! Writes checked properties anew: known fields only, strings masked. The slow path, for few events.
//!
//! Everything here was checked before; a field that does not decode is left out rather than reported twice.

use footpath_model::wire::{Field, Fields, Raw, put_bytes};

use crate::privacy::MaskPolicy;

/// What becomes of a number that is a card number.
pub(super) const CARD: &[u8] = b"[card]";

/// Appends an entry of `map<string, Value>` as field `number`; an entry without a value is left out.
pub(super) fn put_entry(out: &mut Vec<u8>, number: u32, bytes: &[u8], mask: MaskPolicy) {
    let (mut key, mut value) = (&b""[..], None);
    for field in Fields::new(bytes).flatten() {
        match (field.number, field.value) {
            (1, Raw::Bytes(bytes)) => key = bytes,
            (2, Raw::Bytes(bytes)) => value = self::value(bytes, mask),
            _ => {}
        }
    }
    if let Some(value) = value {
        put_pair(out, number, key, &value);
    }
}

/// Appends a map entry of a key and an encoded value as field `number`.
pub(super) fn put_pair(out: &mut Vec<u8>, number: u32, key: &[u8], value: &[u8]) {
    let mut entry = Vec::with_capacity(key.len() + value.len() + 8);
    put_bytes(&mut entry, 1, key);
    put_bytes(&mut entry, 2, value);
    put_bytes(out, number, &entry);
}

/// A `footpath.v1.Value` anew; `None` if it has no kind.
fn value(bytes: &[u8], mask: MaskPolicy) -> Option<Vec<u8>> {
    let field = Fields::new(bytes).flatten().find(|field| field.number <= 9)?;
    let mut out = Vec::with_capacity(bytes.len());
    match (field.number, field.value) {
        // A card number sent as a decimal has to become text to be masked.
        (1 | 4, Raw::Bytes(text)) => match masked(text, mask) {
            Some(masked) => put_bytes(&mut out, 1, masked.as_bytes()),
            None => out.extend_from_slice(field.span),
        },
        (2, Raw::Varint(number)) if mask.masks_integer(number as i64) => put_bytes(&mut out, 1, CARD),
        (3, Raw::Fixed64(bits)) if mask.masks_double(f64::from_bits(bits)) => put_bytes(&mut out, 1, CARD),
        (5, Raw::Bytes(money)) => put_bytes(&mut out, 5, &known(money, 3)),
        (7, Raw::Bytes(time)) => put_bytes(&mut out, 7, &known(time, 2)),
        (8, Raw::Bytes(list)) => {
            let mut inner = Vec::with_capacity(list.len());
            for item in repeated(list) {
                if let Some(item) = value(item, mask) {
                    put_bytes(&mut inner, 1, &item);
                }
            }
            put_bytes(&mut out, 8, &inner);
        }
        (9, Raw::Bytes(map)) => {
            let mut inner = Vec::with_capacity(map.len());
            for entry in repeated(map) {
                put_entry(&mut inner, 1, entry, mask);
            }
            put_bytes(&mut out, 9, &inner);
        }
        _ => out.extend_from_slice(field.span),
    }
    Some(out)
}

/// The text masked, if there is something to mask.
pub(super) fn masked(text: &[u8], mask: MaskPolicy) -> Option<String> {
    mask.mask(simdutf8::basic::from_utf8(text).ok()?)
}

/// The fields up to a number, as they are.
pub(super) fn known(bytes: &[u8], last: u32) -> Vec<u8> {
    let fields = Fields::new(bytes).flatten().filter(|field| field.number <= last);
    fields.flat_map(|field: Field<'_>| field.span).copied().collect()
}

/// The values of field 1.
fn repeated(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    Fields::new(bytes).flatten().filter(|field| field.number == 1).filter_map(|field| field.bytes().ok())
}
