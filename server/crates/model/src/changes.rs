//! Changes to the properties of persons and groups, read lazily from the bytes they were sent in.

use crate::record::text;
use crate::wire::{Field, Fields, Raw, WireError};

/// The field number of `Event.person`, and of `Event.groups`.
const PERSON_FIELD: u32 = 13;
const GROUP_FIELD: u32 = 14;

/// What an event does to one property. Several of one event on one key are done in this order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Operation<'a> {
    /// Sets it where there is no value: an encoded `footpath.v1.Value`.
    SetOnce(&'a [u8]),
    /// Sets it: an encoded `footpath.v1.Value`.
    Set(&'a [u8]),
    /// Adds to a number.
    Add(f64),
    /// Removes it.
    Unset,
}

/// A group that an event belongs to, and what the event does to its properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group<'a> {
    /// The kind of group.
    pub kind: &'a str,
    /// The group's id.
    pub id: &'a str,
    changes: &'a [u8],
}

impl<'a> Group<'a> {
    /// What happens to its properties, each with its key.
    pub fn operations(&self) -> impl Iterator<Item = (&'a str, Operation<'a>)> + use<'a> {
        operations(self.changes)
    }
}

/// What a record's changes do to the person, each with its key, in the order of the bytes. They were validated at
/// ingest; what does not decode is left out.
pub fn person_operations(changes: &[u8]) -> impl Iterator<Item = (&str, Operation<'_>)> {
    fields(changes, PERSON_FIELD).flat_map(operations)
}

/// The groups of a record's changes, in the order of the bytes.
pub fn groups(changes: &[u8]) -> impl Iterator<Item = Group<'_>> {
    fields(changes, GROUP_FIELD).filter_map(|bytes| group(bytes).ok())
}

/// What a record's changes do to one group.
pub fn group_operations<'a>(
    changes: &'a [u8],
    kind: &str,
    id: &str,
) -> impl Iterator<Item = (&'a str, Operation<'a>)> {
    let own = groups(changes).filter(move |group| group.kind == kind && group.id == id);
    own.flat_map(|group| group.operations())
}

/// The id of the group of this kind that an event belongs to; the first one if there are several.
pub fn group_of<'a>(changes: &'a [u8], kind: &str) -> Option<&'a str> {
    groups(changes).find(|group| group.kind == kind).map(|group| group.id)
}

/// The contents of all fields of a number that hold bytes.
fn fields(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    let own = Fields::new(message).flatten().filter(move |field| field.number == number);
    own.filter_map(|field| field.bytes().ok())
}

fn group(bytes: &[u8]) -> Result<Group<'_>, WireError> {
    let mut group = Group { kind: "", id: "", changes: &[] };
    for field in Fields::new(bytes) {
        let field = field?;
        match field.number {
            1 => group.kind = text(field.bytes()?),
            2 => group.id = text(field.bytes()?),
            3 => group.changes = field.bytes()?,
            _ => {}
        }
    }
    Ok(group)
}

/// The operations of a `PropertyChanges`.
fn operations(bytes: &[u8]) -> impl Iterator<Item = (&str, Operation<'_>)> {
    Fields::new(bytes).flatten().filter_map(|field| operation(&field).ok()?)
}

fn operation<'a>(field: &Field<'a>) -> Result<Option<(&'a str, Operation<'a>)>, WireError> {
    let operation: fn(Raw<'a>) -> Option<Operation<'a>> = match field.number {
        1 => |value| bytes(value).map(Operation::Set),
        2 => |value| bytes(value).map(Operation::SetOnce),
        3 => return Ok(Some((text(field.bytes()?), Operation::Unset))),
        4 => |value| double(value).map(Operation::Add),
        _ => return Ok(None),
    };
    let (mut key, mut value) = (&[][..], None);
    for field in Fields::new(field.bytes()?) {
        let field = field?;
        match field.number {
            1 => key = field.bytes()?,
            2 => value = Some(field.value),
            _ => {}
        }
    }
    // A zero is left out on the wire.
    let value = value.or((field.number == 4).then_some(Raw::Fixed64(0)));
    Ok(value.and_then(operation).map(|operation| (text(key), operation)))
}

fn bytes(value: Raw<'_>) -> Option<&[u8]> {
    if let Raw::Bytes(bytes) = value { Some(bytes) } else { None }
}

fn double(value: Raw<'_>) -> Option<f64> {
    if let Raw::Fixed64(bits) = value { Some(f64::from_bits(bits)) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{put_bytes, put_fixed64};

    fn entry(number: u32, key: &str, value: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
        let (mut entry, mut out) = (Vec::new(), Vec::new());
        put_bytes(&mut entry, 1, key.as_bytes());
        value(&mut entry);
        put_bytes(&mut out, number, &entry);
        out
    }

    const FIVE: [u8; 2] = [0x10, 5];

    fn changes() -> Vec<u8> {
        let mut unset = Vec::new();
        put_bytes(&mut unset, 3, b"trial");
        let parts = [
            entry(1, "plan", |out| put_bytes(out, 2, &FIVE)),
            entry(2, "first", |out| put_bytes(out, 2, &FIVE)),
            unset,
            entry(4, "visits", |out| put_fixed64(out, 2, 1.5_f64.to_bits())),
            entry(4, "zero", |_| {}),
            entry(1, "no value", |_| {}),
            entry(9, "unknown", |_| {}),
        ];
        parts.concat()
    }

    fn wanted() -> Vec<(&'static str, Operation<'static>)> {
        vec![
            ("plan", Operation::Set(&FIVE)),
            ("first", Operation::SetOnce(&FIVE)),
            ("trial", Operation::Unset),
            ("visits", Operation::Add(1.5)),
            ("zero", Operation::Add(0.0)),
        ]
    }

    fn with_group(kind: &str, id: &str, changes: &[u8]) -> Vec<u8> {
        let (mut group, mut out) = (Vec::new(), Vec::new());
        put_bytes(&mut group, 1, kind.as_bytes());
        put_bytes(&mut group, 2, id.as_bytes());
        put_bytes(&mut group, 3, changes);
        put_bytes(&mut out, GROUP_FIELD, &group);
        out
    }

    #[test]
    fn operations_of_persons_and_groups_are_told_apart() {
        let mut record = Vec::new();
        put_bytes(&mut record, PERSON_FIELD, &changes());
        record.extend(with_group("company", "acme", &changes()));
        record.extend(with_group("household", "7", b""));
        assert_eq!(person_operations(&record).collect::<Vec<_>>(), wanted());
        assert_eq!(group_operations(&record, "company", "acme").collect::<Vec<_>>(), wanted());
        assert_eq!(group_operations(&record, "company", "7").count(), 0);
        assert_eq!(group_operations(&record, "household", "7").count(), 0);
        let named: Vec<_> = groups(&record).map(|group| (group.kind, group.id)).collect();
        assert_eq!(named, [("company", "acme"), ("household", "7")]);
        assert_eq!((group_of(&record, "household"), group_of(&record, "team")), (Some("7"), None));
    }

    proptest::proptest! {
        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let mut record = Vec::new();
            put_bytes(&mut record, PERSON_FIELD, &bytes);
            put_bytes(&mut record, GROUP_FIELD, &bytes);
            for record in [&record, &bytes] {
                person_operations(record).for_each(drop);
                groups(record).for_each(|group| group.operations().for_each(drop));
            }
        }
    }
}
