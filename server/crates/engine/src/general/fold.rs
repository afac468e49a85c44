//! The fold of all events of a person, part by part.

use std::collections::BTreeMap;

use super::event::{Attempt, FunnelEvent};
use super::moment::Moment;
use super::part::Part;
use super::rules::{GeneralRules, Parts};
use super::standing::Standings;
use crate::funnel::clamp_time;

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

impl PersonMoment {
    /// Tells a part that has events in it what else is in it.
    fn end(&self, part: &mut Part) {
        if let Some(moment) = &mut part.pending {
            moment.events = self.events;
            moment.follows = part.closed + 1 == self.number;
        }
        part.closed = self.number;
    }
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
            self.moment.end(part);
            part.close(rules, self.from_us);
        }
        self.moment.events = 0;
    }

    /// What counts now, of chains that entered at `from_us` or later, sorted by entry. Nobody who was dropped is in it.
    pub fn attempts(&self, rules: &GeneralRules, from_us: i64) -> Vec<Attempt> {
        self.clone().finish(rules, from_us)
    }

    /// What counts in the end; as [`GeneralFold::attempts`].
    pub fn finish(mut self, rules: &GeneralRules, from_us: i64) -> Vec<Attempt> {
        let from_us = from_us.max(self.from_us);
        let parts = std::mem::take(&mut self.parts).into_iter();
        let standings = parts.map(|(key, part)| (key, self.end(rules, key, part).standing(rules, from_us)));
        Standings::new(from_us, standings).attempts(rules)
    }

    /// Brings what the parts are worth up to date, for a range that begins at `from_us`.
    pub(super) fn settle(&self, rules: &GeneralRules, from_us: i64, standings: &mut Standings) {
        let from_us = from_us.max(self.from_us);
        standings.advance(from_us);
        let standing = |key, part: &Part| self.end(rules, key, part.clone()).standing(rules, from_us);
        standings.fill(&self.parts, standing);
    }

    /// A part without an open moment.
    fn end(&self, rules: &GeneralRules, key: u64, mut part: Part) -> Part {
        if self.moment.parts.contains(&key) {
            self.moment.end(&mut part);
        }
        part.close(rules, self.from_us);
        part
    }

    /// Makes it what another fold is, from which it differs in no parts but these.
    pub(super) fn reset(&mut self, to: &Self, parts: impl IntoIterator<Item = u64>) {
        (self.from_us, self.newest) = (to.from_us, to.newest);
        self.moment.clone_from(&to.moment);
        for key in parts {
            match to.parts.get(&key) {
                Some(part) => _ = self.parts.insert(key, part.clone()),
                None => _ = self.parts.remove(&key),
            }
        }
    }

    /// Where the order is strict: the parts that have events in the moment that is not over.
    pub(super) fn open_parts(&self) -> &[u64] {
        &self.moment.parts
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

    /// Whether an answer looks at more than so many parts or attempts.
    pub(super) fn is_heavy(&self, many: usize) -> bool {
        self.parts.len() > many || self.parts.values().map(Part::ended).sum::<usize>() > many
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
pub(super) fn part_of(rules: &GeneralRules, event: &FunnelEvent) -> Option<u64> {
    match rules.options.parts {
        Parts::Whole => Some(0),
        Parts::BestOf => (event.part != 0).then_some(event.part),
    }
}
