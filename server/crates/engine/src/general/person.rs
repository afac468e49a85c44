//! One person's open funnel, in any mode, while events arrive in any order.
//!
//! As in [`crate::person`]: a *base*, the fold of everything up to some event, and a sorted *tail* of the events after it. An event in its
//! turn goes on from the current state; a late one is put into the tail, which is folded again on the base; one older than the
//! base makes the person be rebuilt from stored events.
//!
//! Some answers cannot be read off a state when the range's beginning moves: where the first entry counts, conversions, and in
//! the ClickHouse preset. There the tail holds all events of the range ([`GeneralRules::DEFAULT_KEPT`] of them) and the base is empty.
//! A person with more gets a base, too; it goes on in order, and asks to be rebuilt once the range passes one of its entries.

use std::collections::{BTreeSet, VecDeque};

use super::event::{Attempt, FunnelEvent};
use super::fold::{GeneralFold, clamped, part_of};
use super::rules::GeneralRules;
use super::standing::Standings;
use crate::person::{Change, NeedsRefold};

/// One person's state. Every call must pass the [`GeneralRules`] it was made with.
#[derive(Debug, Clone)]
pub struct GeneralPerson {
    pub(super) base: GeneralFold,
    pub(super) tail: VecDeque<FunnelEvent>,
    /// The base with the tail folded on top.
    current: GeneralFold,
    /// What the parts of `current` are worth.
    standings: Standings,
}

impl PartialEq for GeneralPerson {
    /// The rest follows from base and tail.
    fn eq(&self, other: &Self) -> bool {
        (&self.base, &self.tail) == (&other.base, &other.tail)
    }
}

impl GeneralPerson {
    /// A person without events, for a range that begins at `from_us` now.
    pub fn new(rules: &GeneralRules, from_us: i64) -> Self {
        Self::from_parts(rules, GeneralFold::new(rules, from_us), VecDeque::new())
    }

    /// A person from all its stored events, sorted by (time, id).
    pub fn rebuild(
        rules: &GeneralRules,
        from_us: i64,
        sorted: impl IntoIterator<Item = FunnelEvent>,
    ) -> Self {
        let mut person = Self::new(rules, from_us);
        for event in sorted {
            person.apply(rules, event);
        }
        person
    }

    /// Takes an event, in whatever order it arrives. [`Change`] is as in [`crate::PersonFunnel::apply`]; whether the answer
    /// changed is a comparison of [`GeneralPerson::attempts`] before and after.
    pub fn apply(&mut self, rules: &GeneralRules, event: FunnelEvent) -> Change {
        let event = clamped(event);
        if !self.base.concerns(rules, &event) {
            return Change::Irrelevant;
        }
        let order = event.order();
        if Some(order) > self.newest() {
            self.push(rules, event);
            self.tail.push_back(event);
            self.trim(rules);
            return Change::InOrder;
        }
        if self.current.is_settled(rules, &event) {
            return Change::Irrelevant;
        }
        if self.base.newest() == Some(order) {
            return Change::Duplicate;
        }
        if self.base.newest() > Some(order) {
            return Change::NeedsRefold;
        }
        self.place(rules, event)
    }

    fn place(&mut self, rules: &GeneralRules, event: FunnelEvent) -> Change {
        let at = self.tail.partition_point(|kept| kept.order() < event.order());
        if self.tail.get(at).is_some_and(|kept| kept.order() == event.order()) {
            return Change::Duplicate;
        }
        let newest_us = self.newest().map(|(time_us, _)| time_us);
        self.tail.insert(at, event);
        self.refold(rules);
        self.trim(rules);
        if newest_us == Some(event.time_us) { Change::InOrder } else { Change::Late }
    }

    /// Folds an event that is newer than all others.
    fn push(&mut self, rules: &GeneralRules, event: FunnelEvent) {
        self.current.push(rules, event);
        // Other parts are worth what they were, though it may be of their moment: of a chain's last one some may be left over.
        part_of(rules, &event).into_iter().for_each(|part| self.standings.forget(part));
    }

    /// Folds the tail again: on the base as it was, with an event more in the tail.
    fn refold(&mut self, rules: &GeneralRules) {
        let parts = self.tail.iter().filter_map(|event| part_of(rules, event));
        let parts: BTreeSet<u64> = parts.chain(self.base.open_parts().iter().copied()).collect();
        parts.iter().for_each(|part| self.standings.forget(*part));
        self.current.reset(&self.base, parts);
        self.fold_tail(rules);
    }

    /// Folds everything again: the base is another one.
    fn restart(&mut self, rules: &GeneralRules) {
        self.standings.clear();
        self.current.clone_from(&self.base);
        self.fold_tail(rules);
    }

    fn fold_tail(&mut self, rules: &GeneralRules) {
        let tail = std::mem::take(&mut self.tail);
        tail.iter().for_each(|event| self.push(rules, *event));
        self.tail = tail;
    }

    fn trim(&mut self, rules: &GeneralRules) {
        while self.tail.len() > rules.tail_limit() {
            if let Some(oldest) = self.tail.pop_front() {
                self.base.push(rules, oldest);
            }
        }
    }

    fn newest(&self) -> Option<(i64, u128)> {
        self.current.newest()
    }

    /// The beginning of a moving range is now at `from_us`. To be called before the answer is read, and before later events are
    /// applied; it costs nothing where the answer for any beginning can be read off the state.
    ///
    /// # Errors
    /// [`NeedsRefold`] if the events that would be needed are not kept: rebuild the person from stored events.
    pub fn advance(&mut self, rules: &GeneralRules, from_us: i64) -> Result<(), NeedsRefold> {
        let from_us = from_us.max(rules.options.from_us);
        if !rules.keeps_events() || from_us == self.base.begins_us() {
            return Ok(());
        }
        if from_us < self.base.begins_us() {
            return Err(NeedsRefold);
        }
        if self.base.newest().is_some() {
            return self.skip_to(rules, from_us);
        }
        self.base = GeneralFold::new(rules, from_us);
        let base = &self.base;
        self.tail.retain(|event| base.concerns(rules, event));
        self.restart(rules);
        Ok(())
    }

    /// Moves the beginning of a person with a base: only over a stretch in which no chain began.
    fn skip_to(&mut self, rules: &GeneralRules, from_us: i64) -> Result<(), NeedsRefold> {
        if self.settle(rules, from_us).falls_after(rules).is_some_and(|entry_us| entry_us < from_us) {
            return Err(NeedsRefold);
        }
        self.base.skip_to(from_us);
        self.current.skip_to(from_us);
        Ok(())
    }

    /// What counts of chains that entered at `from_us` or later, sorted by entry; empty for a person who was dropped. Where events
    /// are kept, `from_us` must be where [`GeneralPerson::advance`] left it.
    pub fn attempts(&mut self, rules: &GeneralRules, from_us: i64) -> Vec<Attempt> {
        self.settle(rules, from_us).attempts(rules)
    }

    /// The range's beginning behind which the answer may change by itself: when the beginning moves past this moment. `None` if it
    /// does not. Where events are kept this is the first moment in which a chain could begin.
    pub fn falls_after(&mut self, rules: &GeneralRules, from_us: i64) -> Option<i64> {
        if rules.options.moving { self.settle(rules, from_us).falls_after(rules) } else { None }
    }

    fn settle(&mut self, rules: &GeneralRules, from_us: i64) -> &Standings {
        self.current.settle(rules, from_us, &mut self.standings);
        &self.standings
    }

    /// Whether no event so far can matter any more to a range that begins at `from_us` or later.
    pub fn is_over(&self, rules: &GeneralRules, from_us: i64) -> bool {
        self.newest().is_none_or(|(time_us, _)| time_us.saturating_add(rules.tolerance_us()) < from_us)
    }

    /// Whether [`GeneralPerson::attempts`] looks at more than so many parts or attempts. Their answer is better not asked for after every
    /// event.
    pub fn is_heavy(&self, many: usize) -> bool {
        self.current.is_heavy(many)
    }

    /// Whether nothing has been kept of any event.
    pub fn is_empty(&self) -> bool {
        self.newest().is_none()
    }

    /// Joins the states of two actors that are one person. Their ranges begin at the same time.
    ///
    /// # Errors
    /// [`NeedsRefold`] if the events of one were folded into its base and the other has events as old. Neither has
    /// changed.
    pub fn merge(rules: &GeneralRules, a: &Self, b: &Self) -> Result<Self, NeedsRefold> {
        let (elder, younger) = if a.base.newest().is_some() { (a, b) } else { (b, a) };
        if younger.is_empty() {
            return Ok(elder.clone());
        }
        let oldest = younger.tail.front().map(FunnelEvent::order);
        let overlaps = oldest <= elder.base.newest() || a.base.begins_us() != b.base.begins_us();
        if younger.base.newest().is_some() || overlaps {
            return Err(NeedsRefold);
        }
        let mut merged = elder.clone();
        merged.tail.extend(&younger.tail);
        merged.tail.make_contiguous().sort_unstable_by_key(FunnelEvent::order);
        let mut last = None;
        merged.tail.retain(|event| last.replace(event.order()) != Some(event.order()));
        merged.restart(rules);
        merged.trim(rules);
        Ok(merged)
    }

    /// A person from its parts.
    pub(super) fn from_parts(rules: &GeneralRules, base: GeneralFold, tail: VecDeque<FunnelEvent>) -> Self {
        let standings = Standings::default();
        let mut person = Self { current: base.clone(), base, tail, standings };
        person.fold_tail(rules);
        person
    }
}
