//! Ids: events, actors, lanes.

use std::fmt;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// An event's id: a UUID, big endian, so that UUIDv7 ids order by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub [u8; 16]);

impl EventId {
    /// Reads a UUID as text, with hyphens (36 characters) or without (32). `None` if it is neither.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let hyphenated = match text.len() {
            36 => true,
            32 => false,
            _ => return None,
        };
        let mut bytes = [0_u8; 16];
        let mut at = 0;
        for (i, byte) in bytes.iter_mut().enumerate() {
            if hyphenated && matches!(i, 4 | 6 | 8 | 10) {
                if text[at] != b'-' {
                    return None;
                }
                at += 1;
            }
            *byte = (hex(text[at])? << 4) | hex(text[at + 1])?;
            at += 2;
        }
        Some(Self(bytes))
    }

    /// The id of the event at `index` of a batch whose events have none: the same for every retry of the
    /// batch, and in the batch's order (UUIDv8).
    pub fn derived(batch_id: &[u8], index: u32) -> Self {
        let mut bytes = xxh3_128(batch_id).to_be_bytes();
        bytes[12..].copy_from_slice(&index.to_be_bytes());
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }

    /// A UUIDv7 from a time in microseconds and 10 random bytes.
    pub fn v7(time_us: i64, random: [u8; 10]) -> Self {
        let ms = u64::try_from(time_us / 1000).unwrap_or(0);
        let mut bytes = [0_u8; 16];
        bytes[..6].copy_from_slice(&ms.to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&random);
        bytes[6] = (bytes[6] & 0x0f) | 0x70;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }

    /// As a number, in the same order.
    pub fn as_u128(self) -> u128 {
        u128::from_be_bytes(self.0)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|d| d as u8)
}

/// The actor's hash in its project: `xxh3_64(project id, 0x00, actor)`. The same in every deployment.
pub fn actor_key(project: &str, actor: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(project.as_bytes());
    hash.update(&[0]);
    hash.update(actor);
    hash.digest()
}

/// A group's hash in its project: `xxh3_64(project id, 0x01, kind, 0x00, id)`. The second byte keeps it apart from actors.
pub fn group_key(project: &str, kind: &str, id: &str) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(project.as_bytes());
    hash.update(&[1]);
    hash.update(kind.as_bytes());
    hash.update(&[0]);
    hash.update(id.as_bytes());
    hash.digest()
}

/// The lane of an actor: its key mod 256, fixed for ever.
pub fn lane(actor_key: u64) -> u8 {
    (actor_key % 256) as u8
}

/// Numbers a delivery stream's owner: one queue folder of one install.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Producer {
    /// The install's UUID.
    pub install: [u8; 16],
    /// Random per queue folder.
    pub epoch: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_agree() {
        let id = EventId::parse(b"0190163d-8694-739b-aea5-966c26f8ad91").unwrap();
        assert_eq!(id.to_string(), "0190163d-8694-739b-aea5-966c26f8ad91");
        assert_eq!(EventId::parse(b"0190163d8694739baea5966c26f8ad91"), Some(id));
        assert_eq!(EventId::parse(b"0190163d-8694-739b-aea5-966c26f8ad9"), None);
        assert_eq!(EventId::parse(b"0190163d+8694-739b-aea5-966c26f8ad91"), None);
    }

    #[test]
    fn derived_ids_keep_the_batch_order_and_repeat() {
        let ids: Vec<_> = (0..300).map(|i| EventId::derived(b"batch", i)).collect();
        assert!(ids.is_sorted());
        assert_eq!(ids[7], EventId::derived(b"batch", 7));
        assert_ne!(ids[7], EventId::derived(b"other", 7));
    }
}
