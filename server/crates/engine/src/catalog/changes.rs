//! Keys in the changes to persons and groups that an event carries.

use footpath_model::wire::{Field, Fields};

use super::properties::Sent;

/// Whose properties change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder<'a> {
    Person,
    /// A group of this type.
    Group(&'a [u8]),
}

/// Shows every key in the fields `Event.person` and `Event.groups`.
pub(super) fn each_change<'a>(changes: &'a [u8], see: &mut impl FnMut(Holder<'a>, &'a [u8], Sent<'a>)) {
    for field in Fields::new(changes).flatten() {
        let Ok(message) = field.bytes() else { continue };
        match field.number {
            13 => each_key(Holder::Person, message, see),
            14 => {
                let kind = bytes_of(message, 1).unwrap_or_default();
                each_key(Holder::Group(kind), bytes_of(message, 3).unwrap_or_default(), see);
            }
            _ => {}
        }
    }
}

/// Shows every key in a `PropertyChanges`.
fn each_key<'a>(holder: Holder<'a>, changes: &'a [u8], see: &mut impl FnMut(Holder<'a>, &'a [u8], Sent<'a>)) {
    for Field { number, value, span } in Fields::new(changes).flatten() {
        let Ok(bytes) = (Field { number, value, span }).bytes() else { continue };
        let key = bytes_of(bytes, 1);
        match number {
            // An entry without a value is one whose value says nothing.
            1 | 2 => {
                see(holder, key.unwrap_or_default(), Sent::Value(bytes_of(bytes, 2).unwrap_or_default()))
            }
            3 => see(holder, bytes, Sent::Unset),
            4 => see(holder, key.unwrap_or_default(), Sent::Added),
            _ => {}
        }
    }
}

/// The field of that number; the last one counts.
fn bytes_of(message: &[u8], number: u32) -> Option<&[u8]> {
    let fields = Fields::new(message).flatten().filter(|field| field.number == number);
    fields.last().and_then(|field| field.bytes().ok())
}
