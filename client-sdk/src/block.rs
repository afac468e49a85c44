//! Blocks: what the queue stores. Events of one class, epoch and clock era, sealed together.
//!
//! The body is a run of `events` fields of a `footpath.v1.IngestRequest`, so a batch is put together by copying. Beside it
//! lie the numbers of its events in plain, with a checksum of their own, so that a block that cannot be read any more
//! still says what was lost; they are authenticated together with whom and when the block belongs to.

use std::ops::Range;

use crate::seal::{Sealed, Sealer};
use crate::wire::{Fields, Raw, put_bytes, put_number, put_varint};

/// `IngestRequest.events`.
const EVENTS: u32 = 7;
/// A block is closed at this size: small enough to be written again when a part of it has to wait.
const MAX_BYTES: usize = 64 * 1024;
const MAX_EVENTS: usize = 500;

/// Where an event stands in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Number {
    pub(crate) lane: u8,
    pub(crate) number: u64,
}

/// Whose events a block holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) install: String,
    pub(crate) epoch: u64,
    pub(crate) era: u64,
    pub(crate) class: i32,
    /// The key's name; empty: not encrypted.
    pub(crate) key: String,
}

impl Owner {
    /// What a sealed block is bound to.
    fn about(&self, numbers: &[u8]) -> Vec<u8> {
        let mut about = Vec::with_capacity(96 + numbers.len());
        put_bytes(&mut about, 1, self.install.as_bytes());
        put_number(&mut about, 2, self.epoch);
        put_number(&mut about, 3, self.era);
        put_number(&mut about, 4, i64::from(self.class).cast_unsigned());
        put_bytes(&mut about, 5, self.key.as_bytes());
        put_bytes(&mut about, 6, numbers);
        about
    }
}

/// A block under construction.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    body: Vec<u8>,
    numbers: Vec<Number>,
}

impl Builder {
    /// Adds an event: its bytes, and what the queue adds to them.
    pub(crate) fn push(&mut self, event: &[u8], class: i32, at: Number) {
        let mut tail = Vec::with_capacity(24);
        put_number(&mut tail, 8, i64::from(class).cast_unsigned());
        put_number(&mut tail, 9, at.lane.into());
        put_number(&mut tail, 10, at.number);
        put_varint(&mut self.body, u64::from(EVENTS) << 3 | 2);
        put_varint(&mut self.body, (event.len() + tail.len()) as u64);
        self.body.extend_from_slice(event);
        self.body.extend_from_slice(&tail);
        self.numbers.push(at);
    }

    /// Adds an event as it stands in another block.
    pub(crate) fn copy(&mut self, field: &[u8], at: Number) {
        self.body.extend_from_slice(field);
        self.numbers.push(at);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.body.len() >= MAX_BYTES || self.numbers.len() >= MAX_EVENTS
    }

    pub(crate) fn count(&self) -> usize {
        self.numbers.len()
    }

    /// Size of the events, before sealing.
    pub(crate) fn bytes(&self) -> usize {
        self.body.len()
    }

    /// The numbers and the sealed body.
    pub(crate) fn seal(
        &self,
        owner: &Owner,
        sealer: &Sealer,
        random: &dyn crate::clock::Randomness,
    ) -> Result<(Vec<u8>, Vec<u8>), crate::seal::KeyError> {
        let numbers = put_numbers(&self.numbers);
        let body = sealer.seal(&owner.key, &self.body, &owner.about(&numbers), random)?;
        Ok((numbers, body))
    }
}

/// An event of an opened block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) at: Number,
    /// Its place in the body, the field's tag included.
    pub(crate) span: Range<usize>,
}

/// Opens a block: its body and its events.
pub(crate) fn open(
    owner: &Owner,
    numbers: &[u8],
    body: &[u8],
    sealer: &Sealer,
) -> Result<(Vec<u8>, Vec<Entry>), Sealed> {
    let body = sealer.open(&owner.key, body, &owner.about(numbers))?;
    let numbers = read_numbers(numbers).ok_or(Sealed::Damaged)?;
    let mut at = 0;
    let mut entries = Vec::with_capacity(numbers.len());
    for field in Fields::new(&body) {
        let field = field.map_err(|_| Sealed::Damaged)?;
        let number = numbers.get(entries.len()).copied().ok_or(Sealed::Damaged)?;
        let end = at + field.span.len();
        entries.push(Entry { at: number, span: at..end });
        at = end;
    }
    if entries.len() == numbers.len() { Ok((body, entries)) } else { Err(Sealed::Damaged) }
}

/// The id of the event in a field of a block's body.
pub(crate) fn event_id(field: &[u8]) -> Option<[u8; 16]> {
    let Raw::Bytes(event) = Fields::new(field).next()?.ok()?.value else { return None };
    crate::wire::first_bytes(event, 2)
}

/// A checksum, and the numbers as runs of one lane: lane, first, count.
fn put_numbers(numbers: &[Number]) -> Vec<u8> {
    let mut out = vec![0; 4];
    let mut rest = numbers;
    while let Some(first) = rest.first() {
        let run =
            rest.iter().zip(first.number..).take_while(|(at, n)| at.lane == first.lane && at.number == *n);
        let count = run.count();
        put_varint(&mut out, first.lane.into());
        put_varint(&mut out, first.number);
        put_varint(&mut out, count as u64);
        rest = &rest[count..];
    }
    let sum = crc32c::crc32c(&out[4..]);
    out[..4].copy_from_slice(&sum.to_le_bytes());
    out
}

/// The numbers of a block; `None` if they are damaged.
pub(crate) fn read_numbers(bytes: &[u8]) -> Option<Vec<Number>> {
    let (sum, mut rest) = bytes.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*sum) != crc32c::crc32c(rest) {
        return None;
    }
    let mut found = Vec::new();
    while let (Some(lane), Some(first), Some(count)) = (
        crate::wire::take_varint(&mut rest),
        crate::wire::take_varint(&mut rest),
        crate::wire::take_varint(&mut rest),
    ) {
        let Ok(lane) = u8::try_from(lane) else { break };
        let count = count.min(MAX_EVENTS as u64 * 2);
        found.extend((first..first.saturating_add(count)).map(|number| Number { lane, number }));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SeededRandom;
    use crate::seal::MemoryKeys;
    use footpath_proto::v1;
    use proptest::prelude::*;
    use prost::Message as _;
    use std::sync::Arc;

    fn owner(key: &str) -> Owner {
        Owner { install: "i".into(), epoch: 7, era: 9, class: 2, key: key.into() }
    }

    proptest! {
        #[test]
        fn a_block_is_what_was_put_in(numbers in prop::collection::vec((any::<u8>(), 1..5_u64), 1..60), sealed: bool) {
            let keys = Arc::new(MemoryKeys::new());
            let sealer = Sealer::new(sealed.then_some(keys));
            let owner = owner(if sealed { "k" } else { "" });
            let mut builder = Builder::default();
            let numbers: Vec<_> = numbers.iter().map(|(lane, number)| Number { lane: lane % 3, number: *number }).collect();
            for at in &numbers {
                let event = v1::Event { raw_id: vec![at.lane; 16], name: format!("n{}", at.number), ..v1::Event::default() };
                builder.push(&event.encode_to_vec(), 2, *at);
            }
            let (about, body) = builder.seal(&owner, &sealer, &SeededRandom::new(1)).unwrap();
            let (body, entries) = open(&owner, &about, &body, &sealer).unwrap();
            prop_assert_eq!(entries.iter().map(|entry| entry.at).collect::<Vec<_>>(), numbers.clone());
            let request = v1::IngestRequest::decode(&*body).unwrap();
            for ((event, at), entry) in request.events.iter().zip(&numbers).zip(&entries) {
                prop_assert_eq!((event.lane, event.number, event.delivery_class), (Some(at.lane.into()), at.number, 2));
                prop_assert_eq!(&event.name, &format!("n{}", at.number));
                prop_assert_eq!(event_id(&body[entry.span.clone()]), Some([at.lane; 16]));
            }
        }
    }

    #[test]
    fn a_block_belongs_to_one_owner() {
        let sealer = Sealer::new(None);
        let mut builder = Builder::default();
        builder.push(b"", 2, Number { lane: 1, number: 1 });
        let (numbers, body) = builder.seal(&owner(""), &sealer, &SeededRandom::new(1)).unwrap();
        assert!(open(&owner(""), &numbers, &body, &sealer).is_ok());
        let other = Owner { epoch: 8, ..owner("") };
        assert_eq!(open(&other, &numbers, &body, &sealer), Err(Sealed::Damaged));
        let forged = put_numbers(&[Number { lane: 1, number: 2 }]);
        assert_eq!(open(&owner(""), &forged, &body, &sealer), Err(Sealed::Damaged));
    }
}
