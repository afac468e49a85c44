//! What goes into a general funnel and what comes out.

use std::cmp::Ordering;

use super::rules::{Entry, GeneralRules};
use crate::funnel::{MAX_STEPS, NO_ENTRY};

/// The breakdown value of a chain that did not reach the step that gives it.
pub const NO_VALUE: u32 = u32::MAX;

/// What a general funnel needs to know of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FunnelEvent {
    /// Event time, microseconds since 1970.
    pub time_us: i64,
    /// The event's id.
    pub id: u128,
    /// Bit `i` is set if the event matches step `i`, counted from 0.
    pub steps: u32,
    /// Bit `i` is set if the event matches exclusion `i`, counted from 0.
    pub exclusions: u16,
    /// The part of the person's events it belongs to, where parts are used; 0 belongs to none.
    pub part: u64,
    /// A number for its breakdown value, never [`NO_VALUE`].
    pub value: u32,
}

impl FunnelEvent {
    /// Where the event stands in the total order of all events.
    pub fn order(&self) -> (i64, u128) {
        (self.time_us, self.id)
    }
}

/// One attempt at a funnel: the chain that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Attempt {
    /// The steps reached, bit `i` for step `i`. In any order: the lowest bits, as many as different steps were done.
    pub steps: u32,
    /// The moment of the chain's first event, microseconds since 1970.
    pub entry_us: i64,
    /// The breakdown value of the attributed event, or [`NO_VALUE`].
    pub value: u32,
    times_us: [i64; MAX_STEPS],
}

impl Attempt {
    pub(super) fn new(steps: u32, entry_us: i64, value: u32, times: &[i64]) -> Self {
        let mut times_us = [NO_ENTRY; MAX_STEPS];
        let reached = |(step, _): &(usize, &i64)| *step < MAX_STEPS && steps & (1 << step) != 0;
        times.iter().enumerate().filter(reached).for_each(|(step, time)| times_us[step] = *time);
        Self { steps, entry_us, value, times_us }
    }

    /// When this step was reached, microseconds since 1970: the earliest moment at which a chain with this entry reached it.
    /// With optional steps, and with `first` entry, the moment of the chain itself.
    pub fn reached_us(&self, step: usize) -> Option<i64> {
        self.times_us.get(step).copied().filter(|time| *time != NO_ENTRY)
    }

    /// How many required steps were reached.
    pub fn depth(&self, rules: &GeneralRules) -> usize {
        (self.steps & !rules.options.optional).count_ones() as usize
    }

    /// The last step reached, counted from 0.
    pub fn last_step(&self) -> Option<usize> {
        self.steps.checked_ilog2().map(|step| step as usize)
    }

    /// Compares two attempts of one person: the greater is the better. Deeper, then the entry the rules prefer, then
    /// earlier, then more optional steps.
    pub(super) fn rank(&self, other: &Self, rules: &GeneralRules) -> Ordering {
        let entries = self.entry_us.cmp(&other.entry_us);
        let entries = if rules.options.entry == Entry::Latest { entries } else { entries.reverse() };
        let depths = self.depth(rules).cmp(&other.depth(rules));
        depths.then(entries).then_with(|| {
            let (a, b) = ((self.steps, &self.times_us[..]), (other.steps, &other.times_us[..]));
            rank_chains(rules.options.optional, a, b)
        })
    }
}

/// Compares two chains of equal depth and entry, given as steps and times: the greater reached its required steps earlier, or
/// else has more optional steps, or else later ones of them, or else
/// reached them earlier.
pub(super) fn rank_chains(optional: u32, a: (u32, &[i64]), b: (u32, &[i64])) -> Ordering {
    let later = required_times(optional, a).cmp(required_times(optional, b));
    let more = a.0.count_ones().cmp(&b.0.count_ones()).then(a.0.cmp(&b.0));
    later.reverse().then(more).then_with(|| b.1.cmp(a.1))
}

fn required_times(optional: u32, (steps, times): (u32, &[i64])) -> impl Iterator<Item = &i64> {
    let is_required = move |step: usize| steps & !optional & (1 << step) != 0;
    times.iter().enumerate().filter(move |(step, _)| is_required(*step)).map(|(_, time)| time)
}
