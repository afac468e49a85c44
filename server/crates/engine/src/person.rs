//! One person's open funnel while events arrive in any order.
//!
//! The state is a memo of the fold over the person's events in order. An event in its turn advances it. A late
//! one is put among the last events, the *tail*, and those are folded again on top of the *base*, the fold of
//! everything before them. One that is older than the base cannot be placed: the caller reads the person's
//! stored events and rebuilds.
//!
//! **Memory**: 192 bytes with everything inline for up to 4 steps and 6 tail events: nothing else as long as no more than
//! 6 events with equal timestamps are the newest. Beyond: 16 bytes per tail event on the heap, at most max(tail limit, steps)
//! of them (Rust's vectors may reserve up to twice that), and 16 bytes per step.

use crate::funnel::{FunnelState, Levels, MAX_STEPS, NO_ENTRY, Rules, SlimEvent, clamp_time, depth};
use crate::packed::{Packed, tag};
use crate::tail::Tail;
use crate::ties::Masks;

/// What an event did to a person's state. Whether the person's depth changed is a comparison of
/// [`PersonFunnel::depth`] before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The event came in its turn (or at the same time as the newest) and the state advanced.
    InOrder,
    /// The event was older than the newest one; the state is as if it had come in its turn.
    Late,
    /// The event cannot change the state, now or later: it matches no step, or is too old to improve a finished
    /// chain, or equals others of its timestamp. It was not kept.
    Irrelevant,
    /// The event is in the tail already.
    Duplicate,
    /// The event is too old to be placed. The state has not changed and is now wrong: [`PersonFunnel::rebuild`]
    /// it from the person's stored events, this one included.
    NeedsRefold,
}

/// The states of two actors cannot be joined in memory: rebuild from the stored events of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("events of both persons were folded already; rebuild the person from stored events")]
pub struct NeedsRefold;

/// One person's state in one funnel. Every call must pass the [`Rules`] it was made with.
#[derive(Debug, Clone, PartialEq)]
pub struct PersonFunnel {
    pub(crate) entries: Entries,
    pub(crate) tail: Tail,
    /// The time of the newest event in the base; [`NO_ENTRY`] if there is none.
    pub(crate) base_until_us: i64,
    /// How long it took to finish, now and in the base.
    pub(crate) took_us: [f32; 2],
}

const _: () =
    assert!(size_of::<PersonFunnel>() <= 192, "measured with 192 bytes a person; three cache lines");

const INLINE_STEPS: usize = 4;

/// The current entries, then the base's.
#[derive(Debug, Clone)]
pub(crate) enum Entries {
    Inline { steps: u8, levels: [i64; 2 * INLINE_STEPS] },
    Heap(Box<[i64]>),
}

impl Entries {
    fn new(steps: usize) -> Self {
        if steps <= INLINE_STEPS {
            Self::Inline { steps: steps as u8, levels: [NO_ENTRY; 2 * INLINE_STEPS] }
        } else {
            Self::Heap(vec![NO_ENTRY; 2 * steps].into())
        }
    }

    #[inline]
    pub(crate) fn halves(&self) -> (&[i64], &[i64]) {
        match self {
            Self::Inline { steps, levels } => {
                let (current, base) = levels.split_at(INLINE_STEPS);
                (&current[..usize::from(*steps)], &base[..usize::from(*steps)])
            }
            Self::Heap(levels) => levels.split_at(levels.len() / 2),
        }
    }

    #[inline]
    pub(crate) fn halves_mut(&mut self) -> (&mut [i64], &mut [i64]) {
        match self {
            Self::Inline { steps, levels } => {
                let (current, base) = levels.split_at_mut(INLINE_STEPS);
                (&mut current[..usize::from(*steps)], &mut base[..usize::from(*steps)])
            }
            Self::Heap(levels) => levels.split_at_mut(levels.len() / 2),
        }
    }
}

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        self.halves() == other.halves()
    }
}

impl PersonFunnel {
    /// A person without events.
    pub fn new(rules: &Rules) -> Self {
        Self {
            entries: Entries::new(rules.steps()),
            tail: Tail::default(),
            base_until_us: NO_ENTRY,
            took_us: [0.0; 2],
        }
    }

    /// A person from all its stored events, sorted by time.
    pub fn rebuild(rules: &Rules, sorted: impl IntoIterator<Item = SlimEvent>) -> Self {
        let mut person = Self::new(rules);
        for event in sorted {
            let change = person.apply(rules, event);
            debug_assert!(
                !matches!(change, Change::Late | Change::NeedsRefold),
                "a refold reads events in the order of time"
            );
        }
        person
    }

    /// The latest entry that reached each step, microseconds since 1970, or [`NO_ENTRY`].
    pub fn entries(&self) -> &[i64] {
        self.entries.halves().0
    }

    /// How many steps the person reached, counting entries at `from_us` or later.
    #[inline]
    pub fn depth(&self, from_us: i64) -> usize {
        depth(self.entries(), from_us)
    }

    /// The range's beginning behind which the depth counted from `from_us` falls: when the beginning moves past this
    /// moment, the person leaves the deepest step. `None` if no step is reached.
    pub fn falls_after(&self, from_us: i64) -> Option<i64> {
        self.depth(from_us).checked_sub(1).map(|deepest| self.entries()[deepest])
    }

    /// As [`FunnelState::took_us`].
    #[inline]
    pub fn took_us(&self) -> f32 {
        self.took_us[0]
    }

    /// Whether nothing has been kept of any event.
    pub fn is_empty(&self) -> bool {
        !self.has_base() && self.tail.as_slice().is_empty()
    }

    /// The state as [`crate::fold_person`] gives it.
    pub fn state(&self, rules: &Rules) -> FunnelState {
        let mut state = FunnelState::new(rules);
        state.set(self.entries(), self.took_us());
        state
    }

    /// Takes an event, in whatever order it arrives.
    #[inline]
    pub fn apply(&mut self, rules: &Rules, event: SlimEvent) -> Change {
        debug_assert_eq!(rules.steps(), self.entries().len(), "a person's rules never change");
        let time_us = clamp_time(event.time_us);
        let mask = rules.usable_steps(time_us, event.mask);
        if mask == 0 {
            return Change::Irrelevant;
        }
        let packed = Packed::new(time_us, tag(event.id), mask);
        if time_us > self.newest_us() {
            self.take_newest(rules, packed);
            return Change::InOrder;
        }
        self.place(rules, packed)
    }

    /// Joins the states of two actors that are one person.
    ///
    /// # Errors
    /// [`NeedsRefold`] if the events of one were folded into its base and the other has events as old. Neither has
    /// changed.
    pub fn merge(rules: &Rules, a: &Self, b: &Self) -> Result<Self, NeedsRefold> {
        let (elder, younger) = if a.has_base() { (a, b) } else { (b, a) };
        if younger.is_empty() {
            return Ok(elder.clone());
        }
        let oldest_us = younger.tail.as_slice().first().map_or(NO_ENTRY, |event| event.time_us());
        if younger.has_base() || oldest_us <= elder.base_until_us {
            return Err(NeedsRefold);
        }
        let mut events = [elder.tail.as_slice(), younger.tail.as_slice()].concat();
        events.sort_unstable();
        let mut merged = elder.clone();
        merged.tail = Tail::default();
        merged.refold(rules);
        for event in events {
            merged.take_in_order(rules, event);
        }
        Ok(merged)
    }

    pub(crate) fn has_base(&self) -> bool {
        self.base_until_us != NO_ENTRY
    }

    /// Something of each cache line, for a caller who wants the fold in the cache before it is needed.
    #[inline]
    pub fn warm(&self) -> i64 {
        let entry_us = self.entries().first().copied().unwrap_or_default();
        let oldest_us = self.tail.as_slice().first().map_or(0, |event| event.time_us());
        entry_us ^ oldest_us ^ self.newest_us() ^ self.base_until_us
    }

    /// The time of the newest event that is kept.
    #[inline]
    pub fn newest_us(&self) -> i64 {
        self.tail.as_slice().last().map_or(self.base_until_us, |event| event.time_us())
    }

    #[inline]
    fn current(&mut self) -> Levels<'_> {
        Levels { entries: self.entries.halves_mut().0, took_us: &mut self.took_us[0] }
    }

    fn take_in_order(&mut self, rules: &Rules, event: Packed) {
        if event.time_us() > self.newest_us() {
            self.take_newest(rules, event);
        } else {
            self.place(rules, event);
        }
    }

    /// Takes an event that is newer than all others.
    #[inline]
    fn take_newest(&mut self, rules: &Rules, event: Packed) {
        self.current().advance_one(rules, event.time_us(), event.mask());
        self.make_room(rules, event.time_us());
        self.tail.push(event);
    }

    /// Takes an event that is not newer than all others.
    fn place(&mut self, rules: &Rules, event: Packed) -> Change {
        let time_us = event.time_us();
        // A chain with this event entered at its time or earlier. If one that entered later is finished, no step
        // can gain by it, now or later.
        if self.entries().last().is_some_and(|finished| *finished > time_us) {
            return Change::Irrelevant;
        }
        if time_us <= self.base_until_us {
            return Change::NeedsRefold;
        }
        let newest_us = self.newest_us();
        let tail = self.tail.as_slice();
        let at = tail.partition_point(|kept| kept.time_us() < time_us);
        let end = tail.partition_point(|kept| kept.time_us() <= time_us);
        let group = &tail[at..end];
        if group.iter().any(|kept| kept.tag() == event.tag()) {
            return Change::Duplicate;
        }
        if !masks(group).offer(event.mask()) {
            return Change::Irrelevant;
        }
        let tied = group.len();
        self.make_room(rules, time_us);
        self.keep(rules, event, tied);
        self.refold(rules);
        if time_us == newest_us { Change::InOrder } else { Change::Late }
    }

    /// Keeps an event for which room was made, behind the `tied` ones of its timestamp. If there is none, they are the oldest
    /// and go to the base with it; but not if they are the newest, too: another event of their timestamp may come.
    fn keep(&mut self, rules: &Rules, event: Packed, tied: usize) {
        let tail = self.tail.as_slice();
        if tail.len() < rules.tail_limit() || tied == tail.len() {
            let end = tail.partition_point(|kept| kept.time_us() <= event.time_us());
            return self.tail.insert(end, event);
        }
        let mut group = masks(&tail[..tied]);
        group.offer(event.mask());
        self.base(event.time_us()).advance_group(rules, event.time_us(), group.as_slice());
        self.tail.drop_first(tied);
    }

    /// Folds the tail again on top of the base.
    fn refold(&mut self, rules: &Rules) {
        let (entries, base) = self.entries.halves_mut();
        entries.copy_from_slice(base);
        self.took_us[0] = self.took_us[1];
        let mut current = Levels { entries, took_us: &mut self.took_us[0] };
        for group in self.tail.as_slice().chunk_by(|a, b| a.time_us() == b.time_us()) {
            advance(&mut current, rules, group);
        }
    }

    /// Moves the oldest groups of the tail to the base until one more event fits, none as new as `time_us`. Before the event
    /// is put in, so that a tail that is full need not grow for a moment.
    #[inline]
    fn make_room(&mut self, rules: &Rules, time_us: i64) {
        while self.tail.as_slice().len() >= rules.tail_limit() {
            let tail = self.tail.as_slice();
            let Some(oldest_us) = tail.first().map(|event| event.time_us()) else { return };
            if oldest_us >= time_us {
                return;
            }
            let group = tail.partition_point(|event| event.time_us() == oldest_us);
            let (_, entries) = self.entries.halves_mut();
            let mut base = Levels { entries, took_us: &mut self.took_us[1] };
            advance(&mut base, rules, &tail[..group]);
            self.base_until_us = oldest_us;
            self.tail.drop_first(group);
        }
    }

    /// The base, about to take what happened at `time_us`.
    fn base(&mut self, time_us: i64) -> Levels<'_> {
        self.base_until_us = time_us;
        Levels { entries: self.entries.halves_mut().1, took_us: &mut self.took_us[1] }
    }
}

/// Advances by one group of equal timestamps.
#[inline]
fn advance(levels: &mut Levels<'_>, rules: &Rules, group: &[Packed]) {
    match group {
        [only] => levels.advance_one(rules, only.time_us(), only.mask()),
        [first, ..] => levels.advance_group(rules, first.time_us(), masks(group).as_slice()),
        [] => {}
    }
}

fn masks(group: &[Packed]) -> Masks {
    debug_assert!(group.len() <= MAX_STEPS);
    let mut masks = Masks::default();
    for event in group {
        masks.offer(event.mask());
    }
    masks
}

#[cfg(test)]
mod tests;
