//! Event ids: UUIDv7 that only ever grow within one client.

use std::fmt;

use crate::clock::Randomness;

/// An event's id: a UUIDv7. Ids of one client sort in the order of its `track` calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId([u8; 16]);

impl EventId {
    /// The id as it travels: 16 bytes, big endian.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).fmt(f)
    }
}

impl std::str::FromStr for EventId {
    type Err = ();

    /// Reads what `to_string` wrote.
    fn from_str(text: &str) -> Result<Self, ()> {
        uuid::Uuid::try_parse(text).map(|id| Self(id.into_bytes())).map_err(|_| ())
    }
}

/// Bits below the timestamp that are ours: 12 of `rand_a` and 62 of `rand_b` (RFC 9562, section 5.7).
const TAIL_BITS: u32 = 74;
const TAIL_MASK: u128 = (1 << TAIL_BITS) - 1;

/// Makes ids. A clock that stands still or goes back cannot make an id smaller than the last one.
#[derive(Debug, Default)]
pub(crate) struct IdGenerator {
    millis: u64,
    tail: u128,
}

impl IdGenerator {
    /// The next id at `wall_us` microseconds since 1970.
    pub(crate) fn next(&mut self, wall_us: i64, random: &dyn Randomness) -> EventId {
        let millis = u64::try_from(wall_us / 1_000).unwrap_or(0) & 0xFFFF_FFFF_FFFF;
        if millis > self.millis {
            self.restart(millis, random);
        } else {
            // A random step keeps ids hard to guess and still in order.
            self.tail += 1 + u128::from(random.next_u64() >> 32);
            if self.tail > TAIL_MASK {
                self.restart(self.millis + 1, random);
            }
        }
        self.compose()
    }

    fn restart(&mut self, millis: u64, random: &dyn Randomness) {
        let bits = (u128::from(random.next_u64()) << 64) | u128::from(random.next_u64());
        self.millis = millis;
        self.tail = bits & (TAIL_MASK >> 1); // The top bit stays free: room to count within a millisecond.
    }

    fn compose(&self) -> EventId {
        let rand_a = self.tail >> 62;
        let rand_b = self.tail & ((1 << 62) - 1);
        let id = (u128::from(self.millis) << 80) | (0x7 << 76) | (rand_a << 64) | (0b10 << 62) | rand_b;
        EventId(id.to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SeededRandom;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_grow_whatever_the_clock_does(times in prop::collection::vec(0i64..10_000_000, 2..200), seed: u64) {
            let random = SeededRandom::new(seed);
            let mut generator = IdGenerator::default();
            let ids: Vec<_> = times.iter().map(|t| generator.next(*t, &random)).collect();
            prop_assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
            for id in ids {
                let uuid = uuid::Uuid::from_bytes(id.0);
                prop_assert_eq!(uuid.get_version_num(), 7);
                prop_assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
            }
        }
    }
}
