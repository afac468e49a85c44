//! The events of one moment: what counts as having happened at once.

use super::event::{FunnelEvent, NO_VALUE};
use super::matching::{bits, is_independent};
use super::rules::{GeneralRules, Ties};

/// One moment of one part. Of its events only those are kept that make the largest matching of events to steps larger
/// ([`super::matching`]), at most as many as there are steps.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Moment {
    /// The time of its first event; the moment's own.
    pub(super) first_us: i64,
    /// The time of its last event so far.
    pub(super) last_us: i64,
    /// How many events it has; where the order is strict, with those of other parts and those that match nothing.
    pub(super) events: u64,
    /// No event lies between the moment before and this one.
    pub(super) follows: bool,
    pub(super) exclusions: u16,
    /// The steps that any of its events matches.
    pub(super) union: u32,
    pub(super) masks: Vec<u32>,
    pub(super) values: Vec<u32>,
    /// For each step the value of the first event that matches it.
    firsts: Vec<u32>,
}

impl Moment {
    /// A moment that begins at this time.
    pub(super) fn at(time_us: i64) -> Self {
        Self { first_us: time_us, last_us: time_us, follows: true, ..Self::default() }
    }

    /// Adds an event of this part. Events come in their total order.
    pub(super) fn add(&mut self, rules: &GeneralRules, event: &FunnelEvent) {
        self.events += 1;
        self.last_us = event.time_us;
        self.exclusions |= rules.usable_exclusions(event.exclusions);
        let mask = rules.usable_steps(event.steps);
        if mask == 0 {
            return;
        }
        self.firsts.resize(rules.steps(), NO_VALUE);
        bits(mask & !self.union).for_each(|step| self.firsts[step] = event.value);
        self.union |= mask;
        self.masks.push(mask);
        if is_independent(&self.masks) {
            self.values.push(event.value);
        } else {
            self.masks.pop();
        }
    }

    /// The value of the first event that matches the step, by (time, id).
    pub(super) fn value_of(&self, step: usize) -> u32 {
        self.firsts.get(step).copied().unwrap_or(NO_VALUE)
    }

    /// The most events that one chain can use in this moment.
    pub(super) fn capacity(&self, rules: &GeneralRules) -> usize {
        if rules.options.ties == Ties::Increasing { self.masks.len().min(1) } else { self.masks.len() }
    }

    /// Whether an event at `time_us` still belongs to it.
    pub(super) fn reaches(&self, rules: &GeneralRules, time_us: i64) -> bool {
        time_us.saturating_sub(self.last_us) <= rules.tolerance_us()
    }

    pub(super) fn is_sound(&self, rules: &GeneralRules) -> bool {
        let usable = |mask: &u32| *mask != 0 && rules.usable_steps(*mask) == *mask;
        self.masks.len() == self.values.len() && self.masks.iter().all(usable) && is_independent(&self.masks)
    }
}
