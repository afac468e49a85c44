//! A person's state as bytes, for images of live state.
//!
//! Little endian: steps (1 byte), events in the tail (2), the time of the base's newest event (8), how long it took to finish, now
//! and in the base (4 each), current and base entries (8 each), tail events (16 each). The format's version is [`FORMAT`]; it stands in the header of the
//! image, not here. An image is a cache: what cannot be read is folded again.

use crate::funnel::{NO_ENTRY, Rules};
use crate::packed::Packed;
use crate::person::PersonFunnel;

/// The version of the bytes below. Changes with the layout and with the meaning of a tail event.
pub const FORMAT: u16 = 2;

/// The bytes are not a state of these rules: fold the person again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a state of these rules; fold the person again")]
pub struct BadImage;

impl PersonFunnel {
    /// Appends the state.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let tail = self.tail.as_slice();
        let steps = self.entries().len();
        out.push(steps as u8);
        out.extend_from_slice(&(tail.len() as u16).to_le_bytes());
        out.extend_from_slice(&self.base_until_us.to_le_bytes());
        self.took_us.iter().for_each(|took| out.extend_from_slice(&took.to_le_bytes()));
        let (current, base) = self.entries.halves();
        for entry in current.iter().chain(base) {
            out.extend_from_slice(&entry.to_le_bytes());
        }
        for word in tail.iter().flat_map(|event| event.words()) {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }

    /// Reads a state from the front of `bytes` and moves them behind it. The rules must be those it was made with.
    ///
    /// # Errors
    /// [`BadImage`] if the bytes are cut, belong to another number of steps, or break an invariant of the state.
    pub fn decode(rules: &Rules, bytes: &mut &[u8]) -> Result<Self, BadImage> {
        let [steps] = take(bytes)?;
        let tail_len = u16::from_le_bytes(take(bytes)?);
        if usize::from(steps) != rules.steps() {
            return Err(BadImage);
        }
        let mut person = Self::new(rules);
        person.base_until_us = i64::from_le_bytes(take(bytes)?);
        for took_us in &mut person.took_us {
            *took_us = f32::from_le_bytes(take(bytes)?);
        }
        let (current, base) = person.entries.halves_mut();
        for entries in [current, base] {
            for entry in entries {
                *entry = i64::from_le_bytes(take(bytes)?);
            }
        }
        for _ in 0..tail_len {
            let words = [u64::from_le_bytes(take(bytes)?), u64::from_le_bytes(take(bytes)?)];
            person.tail.push(Packed::from_words(words));
        }
        if person.is_sound(rules) { Ok(person) } else { Err(BadImage) }
    }

    fn is_sound(&self, rules: &Rules) -> bool {
        let (current, base) = self.entries.halves();
        let falling = |levels: &[i64]| levels.is_sorted_by(|a, b| a >= b);
        let tail = self.tail.as_slice();
        let groups = || tail.chunk_by(|a, b| a.time_us() == b.time_us());
        falling(current)
            && falling(base)
            && self.took_us.iter().all(|took| *took >= 0.0)
            && (self.has_base() || base.iter().all(|entry| *entry == NO_ENTRY))
            && tail.is_sorted_by_key(|event| event.time_us())
            && tail.first().is_none_or(|event| event.time_us() > self.base_until_us)
            && tail.iter().all(|event| event.mask() != 0 && event.mask() >> rules.steps() == 0)
            && groups().all(|group| group.len() <= rules.steps())
    }
}

pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], BadImage> {
    let (taken, rest) = bytes.split_first_chunk().ok_or(BadImage)?;
    *bytes = rest;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::funnel::SlimEvent;

    proptest! {
        #[test]
        fn a_state_comes_back_and_goes_on(
            steps in 1_usize..=20,
            tail in 0_u8..20,
            times in prop::collection::vec((0_i64..50, 1_u32..8), 0..40),
        ) {
            let rules = Rules::new(steps, 20).unwrap().with_tail_limit(tail);
            let mut person = PersonFunnel::new(&rules);
            for (id, (time_us, mask)) in times.into_iter().enumerate() {
                person.apply(&rules, SlimEvent { time_us, id: id as u128, mask });
            }
            let mut bytes = Vec::new();
            person.encode(&mut bytes);
            let whole = bytes.clone();
            bytes.push(7);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(PersonFunnel::decode(&rules, &mut rest), Ok(person));
            prop_assert_eq!(rest, [7]);
            prop_assert_eq!(PersonFunnel::decode(&rules, &mut &whole[..whole.len() - 1]), Err(BadImage));
        }

        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>, event: (i64, u128, u32)) {
            let rules = Rules::new(3, 20).unwrap();
            if let Ok(mut person) = PersonFunnel::decode(&rules, &mut bytes.as_slice()) {
                person.apply(&rules, SlimEvent { time_us: event.0, id: event.1, mask: event.2 });
            }
        }
    }
}
