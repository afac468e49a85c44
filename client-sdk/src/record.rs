//! What goes through the ring.

use crate::clock::Era;
use crate::wire::{Fields, Raw, put_bytes, put_number};

const EVENT: u8 = 1;
const ERA: u8 = 2;
const PROFILE: u8 = 3;
const WISH: u8 = 4;

/// One record of the ring.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Record<'a> {
    /// An event without class, lane and number.
    Event { class: u8, lane: u8, era: u64, event: &'a [u8] },
    /// A clock era that events refer to.
    Era(Era),
    /// Who the events belong to from here on.
    Profile(&'a [u8]),
    /// What the person wants done with what is known of them.
    Wish(Wish),
}

/// A privacy request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) id: String,
    pub(crate) kind: i32,
    pub(crate) actor: String,
}

/// Bytes before an event's own.
pub(crate) fn event_prefix(class: u8, lane: u8, era: u64) -> [u8; 11] {
    let mut prefix = [EVENT, class, lane, 0, 0, 0, 0, 0, 0, 0, 0];
    prefix[3..].copy_from_slice(&era.to_le_bytes());
    prefix
}

impl Era {
    pub(crate) fn put(&self) -> Vec<u8> {
        let mut out = vec![ERA];
        put_number(&mut out, 1, self.id);
        put_number(&mut out, 2, self.base_us.cast_unsigned());
        if let Some(boot) = &self.boot {
            put_bytes(&mut out, 3, boot.as_bytes());
        }
        out
    }
}

/// A profile's record.
pub(crate) fn put_profile(profile: &[u8]) -> Vec<u8> {
    [&[PROFILE], profile].concat()
}

impl Wish {
    pub(crate) fn put(&self) -> Vec<u8> {
        let mut out = vec![WISH];
        put_bytes(&mut out, 1, self.id.as_bytes());
        put_number(&mut out, 2, i64::from(self.kind).cast_unsigned());
        put_bytes(&mut out, 3, self.actor.as_bytes());
        out
    }

    /// Reads a wish without its kind's byte.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut wish = Self { id: String::new(), kind: 0, actor: String::new() };
        for field in Fields::new(bytes) {
            match field.ok()? {
                crate::wire::Field { number: 1, value: Raw::Bytes(text), .. } => wish.id = utf8(text)?,
                crate::wire::Field { number: 2, value: Raw::Varint(kind), .. } => wish.kind = kind as i32,
                crate::wire::Field { number: 3, value: Raw::Bytes(text), .. } => wish.actor = utf8(text)?,
                _ => {}
            }
        }
        Some(wish)
    }
}

fn utf8(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

impl<'a> Record<'a> {
    /// Reads a record; `None` for one of a version that does not exist yet.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        match *kind {
            EVENT => {
                let (&[class, lane], rest) = rest.split_first_chunk::<2>()?;
                let (era, event) = rest.split_first_chunk::<8>()?;
                Some(Self::Event { class, lane, era: u64::from_le_bytes(*era), event })
            }
            ERA => {
                let (mut id, mut base_us, mut boot) = (0, 0, None);
                for field in Fields::new(rest) {
                    match field.ok()? {
                        crate::wire::Field { number: 1, value: Raw::Varint(value), .. } => id = value,
                        crate::wire::Field { number: 2, value: Raw::Varint(value), .. } => {
                            base_us = value.cast_signed()
                        }
                        crate::wire::Field { number: 3, value: Raw::Bytes(text), .. } => boot = utf8(text),
                        _ => {}
                    }
                }
                Some(Self::Era(Era { id, boot, base_us }))
            }
            PROFILE => Some(Self::Profile(rest)),
            WISH => Wish::read(rest).map(Self::Wish),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_read() {
        let era = Era { id: u64::MAX, boot: Some("b".into()), base_us: -5 };
        assert_eq!(Record::read(&era.put()), Some(Record::Era(era.clone())));
        let wish = Wish { id: "w".into(), kind: 1, actor: "a".into() };
        assert_eq!(Record::read(&wish.put()), Some(Record::Wish(wish.clone())));
        let event = [&event_prefix(2, 255, 7)[..], b"event"].concat();
        assert_eq!(
            Record::read(&event),
            Some(Record::Event { class: 2, lane: 255, era: 7, event: b"event" })
        );
        assert_eq!(Record::read(&put_profile(b"p")), Some(Record::Profile(b"p")));
        assert_eq!(
            (Record::read(b""), Record::read(b"\x09x"), Record::read(&event[..10])),
            (None, None, None)
        );
    }
}
