//! The last events of a person, oldest first: inline while few, on the heap when more.

use crate::packed::Packed;

/// How many fit inline: what is left of 192 bytes a person.
const INLINE: usize = 6;

#[derive(Debug, Clone)]
pub(crate) enum Tail {
    Inline { len: u8, events: [Packed; INLINE] },
    Heap(Vec<Packed>),
}

impl Default for Tail {
    fn default() -> Self {
        Self::Inline { len: 0, events: [Packed::EMPTY; INLINE] }
    }
}

impl Tail {
    #[inline]
    pub(crate) fn as_slice(&self) -> &[Packed] {
        match self {
            Self::Inline { len, events } => &events[..usize::from(*len)],
            Self::Heap(events) => events,
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, event: Packed) {
        self.insert(self.as_slice().len(), event);
    }

    /// Inserts at `at`, which is at most the length.
    pub(crate) fn insert(&mut self, at: usize, event: Packed) {
        match self {
            Self::Inline { len, events } if usize::from(*len) < INLINE => {
                events.copy_within(at..usize::from(*len), at + 1);
                events[at] = event;
                *len += 1;
            }
            Self::Inline { events, .. } => {
                let mut all = Vec::with_capacity(2 * INLINE);
                all.extend_from_slice(events);
                all.insert(at, event);
                *self = Self::Heap(all);
            }
            Self::Heap(events) => events.insert(at, event),
        }
    }

    /// Removes the first `count`. What is on the heap comes back when half of the room is left: not sooner, or the next event
    /// would move it there again.
    #[inline]
    pub(crate) fn drop_first(&mut self, count: usize) {
        match self {
            Self::Inline { len, events } => {
                events.copy_within(count..usize::from(*len), 0);
                *len -= count as u8;
            }
            Self::Heap(events) => match &events[count..] {
                few if few.len() <= INLINE / 2 => *self = Self::inline(few),
                _ => drop(events.drain(..count)),
            },
        }
    }

    fn inline(few: &[Packed]) -> Self {
        let mut events = [Packed::EMPTY; INLINE];
        events[..few.len()].copy_from_slice(few);
        Self::Inline { len: few.len() as u8, events }
    }
}

impl PartialEq for Tail {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Tail {}
