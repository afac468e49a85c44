//! The fold of all events of a person, part by part.

use std::collections::BTreeMap;

use super::event::{Attempt, FunnelEvent};
use super::moment::Moment;
use super::part::Part;
use super::rules::{GeneralRules, Parts};
use crate::funnel::{NO_ENTRY, clamp_time};

/// In strict order the moments are the person's: events of other parts, and such that match nothing, stand between.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct PersonMoment {
    number: u64,
    first_us: i64,
    last_us: i64,
    events: u64,
    /// The parts that have events in it.
    parts: Vec<u64>,
}

/// Folds one person's events in their total order. A state of the fold can be cloned and goes on from there.
///
/// Linear in the number of events, times the steps; times the logarithm of the number of parts. Memory grows with the parts and,
/// where conversions are counted, with the attempts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct GeneralFold {
    from_us: i64,
    newest: Option<(i64, u128)>,
    parts: BTreeMap<u64, Part>,
    moment: PersonMoment,
}

impl GeneralFold {
    /// Before the first event, for a range that begins at `from_us`. Where the answer for any beginning can be read off the
    /// state ([`Attempt`]s of persons with the latest entry) and the range moves, it is not looked at.
    pub fn new(rules: &GeneralRules, from_us: i64) -> Self {
        let any_beginning = rules.options.moving && rules.reads_by_entry();
        Self {
            from_us: if any_beginning { i64::MIN } else { from_us.max(rules.options.from_us) },
            newest: None,
            parts: BTreeMap::new(),
            moment: PersonMoment::default(),
        }
    }

    /// Takes the next event. Events come in their total order; a second copy of one changes nothing.
    pub fn push(&mut self, rules: &GeneralRules, event: FunnelEvent) {
        let event = clamped(event);
        if !self.concerns(rules, &event) || self.newest == Some(event.order()) {
            return;
        }
        debug_assert!(self.newest < Some(event.order()), "events of a person are folded in their order");
        self.newest = Some(event.order());
        if rules.is_strict() {
            return self.push_strict(rules, &event);
        }
        if let Some(part) = part_of(rules, &event) {
            let from_us = self.from_us;
            self.parts.entry(part).or_insert_with(|| Part::new(rules)).push(rules, from_us, &event);
        }
    }

    /// Whether the event can change anything: by what it matches, and by when it was.
    pub(super) fn concerns(&self, rules: &GeneralRules, event: &FunnelEvent) -> bool {
        let has_part = rules.is_strict() || part_of(rules, event).is_some();
        // What is too old to be an entry, or of one moment with one, cannot be in a chain that counts.
        let oldest_us = self.from_us.saturating_sub(rules.tolerance_us());
        has_part && event.time_us >= oldest_us && rules.concerns(event.steps, event.exclusions)
    }

    fn push_strict(&mut self, rules: &GeneralRules, event: &FunnelEvent) {
        let gap_us = event.time_us.saturating_sub(self.moment.last_us);
        if self.moment.events == 0 || gap_us > rules.tolerance_us() {
            self.close_strict(rules);
            self.moment.number += 1;
            self.moment.first_us = event.time_us;
        }
        self.moment.events += 1;
        self.moment.last_us = event.time_us;
        let matches = rules.usable_steps(event.steps) != 0 || rules.usable_exclusions(event.exclusions) != 0;
        let Some(key) = part_of(rules, event).filter(|_| matches) else { return };
        let part = self.parts.entry(key).or_insert_with(|| Part::new(rules));
        let moment = part.pending.get_or_insert_with(|| {
            self.moment.parts.push(key);
            Moment::at(self.moment.first_us)
        });
        moment.add(rules, event);
    }

    fn close_strict(&mut self, rules: &GeneralRules) {
        for key in std::mem::take(&mut self.moment.parts) {
            let Some(part) = self.parts.get_mut(&key) else { continue };
            if let Some(moment) = &mut part.pending {
                moment.events = self.moment.events;
                moment.follows = part.closed + 1 == self.moment.number;
            }
            part.closed = self.moment.number;
            part.close(rules, self.from_us);
        }
        self.moment.events = 0;
    }

    /// Ends the open moments. No more events may be pushed.
    fn close(&mut self, rules: &GeneralRules) {
        if rules.is_strict() {
            self.close_strict(rules);
        }
        self.parts.values_mut().for_each(|part| part.close(rules, self.from_us));
    }

    fn closed(&self, rules: &GeneralRules) -> Self {
        let mut closed = self.clone();
        closed.close(rules);
        closed
    }

    /// What counts now, of chains that entered at `from_us` or later, sorted by entry. Nobody who was dropped is in it.
    pub fn attempts(&self, rules: &GeneralRules, from_us: i64) -> Vec<Attempt> {
        self.closed(rules).count(rules, from_us)
    }

    /// What counts in the end; as [`GeneralFold::attempts`].
    pub fn finish(mut self, rules: &GeneralRules, from_us: i64) -> Vec<Attempt> {
        self.close(rules);
        self.count(rules, from_us)
    }

    fn count(&self, rules: &GeneralRules, from_us: i64) -> Vec<Attempt> {
        let from_us = from_us.max(self.from_us).max(NO_ENTRY + 1);
        if self.parts.values().any(|part| part.hit_us() >= from_us) {
            return Vec::new();
        }
        let of_part = |(key, part): (&u64, &Part)| {
            part.attempts(rules, from_us).map(|attempt| (*key, attempt)).collect::<Vec<_>>()
        };
        let attempts = self.parts.iter().flat_map(of_part);
        if rules.counts_persons() {
            // Of parts that are equally good always the same one, in whatever order they came.
            let best = attempts.max_by(|(a_part, a), (b_part, b)| a.rank(b, rules).then(b_part.cmp(a_part)));
            return best.into_iter().map(|(_, attempt)| attempt).collect();
        }
        let mut attempts: Vec<Attempt> = attempts.map(|(_, attempt)| attempt).collect();
        attempts.sort_by_key(|attempt| (attempt.entry_us, attempt.steps, attempt.value));
        attempts
    }

    /// The beginning of the range behind which the answer changes by itself: when it moves past this moment.
    pub(super) fn falls_after(&self, rules: &GeneralRules, from_us: i64) -> Option<i64> {
        let closed = self.closed(rules);
        if !rules.reads_by_entry() {
            return closed.first_entry_us();
        }
        let from_us = from_us.max(NO_ENTRY + 1);
        let hits = closed.parts.values().map(Part::hit_us).filter(|hit_us| *hit_us >= from_us);
        hits.max().or_else(|| closed.count(rules, from_us).first().map(|attempt| attempt.entry_us))
    }

    /// The first moment in which a chain could begin.
    pub(super) fn first_entry_us(&self) -> Option<i64> {
        self.parts.values().filter_map(Part::first_entry_us).min()
    }

    /// Whether an event at `time_us` comes too late to matter: a chain that entered after it is complete, and nothing can break it.
    pub(super) fn is_settled(&self, rules: &GeneralRules, event: &FunnelEvent) -> bool {
        let is_fixed = rules.reads_by_entry() && rules.options.exclusions.is_empty();
        if !is_fixed || rules.is_strict() || rules.tolerance_us() > 0 {
            return false;
        }
        let part = part_of(rules, event).and_then(|part| self.parts.get(&part));
        part.is_some_and(|part| part.is_complete_since(rules, event.time_us))
    }

    pub(super) fn newest(&self) -> Option<(i64, u128)> {
        self.newest
    }

    pub(super) fn begins_us(&self) -> i64 {
        self.from_us
    }

    /// Moves the beginning over a stretch in which no chain could begin.
    pub(super) fn skip_to(&mut self, from_us: i64) {
        self.from_us = from_us;
    }

    pub(super) fn is_sound(&self, rules: &GeneralRules) -> bool {
        let keys_are_parts = rules.options.parts == Parts::Whole || !self.parts.contains_key(&0);
        keys_are_parts
            && self.moment.number < u64::MAX
            && self.moment.events < u64::MAX
            && self.parts.values().all(|part| part.closed < u64::MAX && part.is_sound(rules))
    }
}

/// Folds one person's events, sorted by (time, id), for a range that begins at `from_us`.
pub fn fold_general(
    rules: &GeneralRules,
    from_us: i64,
    sorted: impl IntoIterator<Item = FunnelEvent>,
) -> Vec<Attempt> {
    let mut fold = GeneralFold::new(rules, from_us);
    sorted.into_iter().for_each(|event| fold.push(rules, event));
    fold.finish(rules, from_us)
}

/// The event with its time moved into the range the kernel tells apart.
pub(super) fn clamped(event: FunnelEvent) -> FunnelEvent {
    FunnelEvent { time_us: clamp_time(event.time_us), ..event }
}

/// The part an event belongs to, if it belongs to one.
fn part_of(rules: &GeneralRules, event: &FunnelEvent) -> Option<u64> {
    match rules.options.parts {
        Parts::Whole => Some(0),
        Parts::BestOf => (event.part != 0).then_some(event.part),
    }
}
