//! What the parts of a person are worth, and what the person counts for.

use std::collections::BTreeMap;

use super::event::Attempt;
use super::rules::GeneralRules;
use crate::funnel::NO_ENTRY;

/// What one part is worth to a range that begins at some moment.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    /// The latest entry that an excluded event hit, or [`NO_ENTRY`].
    pub(super) hit_us: i64,
    /// What counts of chains that entered in the range.
    pub(super) attempts: Vec<Attempt>,
    /// The first moment in which a chain could begin.
    pub(super) first_entry_us: Option<i64>,
}

/// What all parts are worth to a range that begins at `from_us`. A part's standing is worked out when somebody asks, and kept until
/// the part changes: a person of thousands of parts changes in one of them at a time.
#[derive(Debug, Clone, Default)]
pub(super) struct Standings {
    from_us: i64,
    by_part: BTreeMap<u64, Standing>,
}

impl Standings {
    pub(super) fn new(from_us: i64, by_part: impl IntoIterator<Item = (u64, Standing)>) -> Self {
        Self { from_us, by_part: by_part.into_iter().collect() }
    }

    /// A part changed.
    pub(super) fn forget(&mut self, part: u64) {
        self.by_part.remove(&part);
    }

    /// All parts changed.
    pub(super) fn clear(&mut self) {
        self.by_part.clear();
    }

    /// Forgets what does not hold for a range that begins at `from_us`: of parts with an attempt that leaves it, and of all if it
    /// begins earlier than it did.
    pub(super) fn advance(&mut self, from_us: i64) {
        if from_us < self.from_us {
            self.clear();
        }
        if from_us > self.from_us {
            let stays = |attempt: &Attempt| attempt.entry_us >= from_us;
            self.by_part.retain(|_, standing| standing.attempts.iter().all(stays));
        }
        self.from_us = from_us;
    }

    /// Adds what parts are worth that are not there.
    pub(super) fn fill<P>(&mut self, parts: &BTreeMap<u64, P>, standing: impl Fn(u64, &P) -> Standing) {
        if self.by_part.len() < parts.len() {
            for (key, part) in parts {
                self.by_part.entry(*key).or_insert_with(|| standing(*key, part));
            }
        }
    }

    /// What counts, sorted by entry; nothing of a person who was dropped.
    pub(super) fn attempts(&self, rules: &GeneralRules) -> Vec<Attempt> {
        if self.hit_us().is_some() {
            return Vec::new();
        }
        let attempts = self
            .by_part
            .iter()
            .flat_map(|(key, part)| part.attempts.iter().map(move |attempt| (*key, *attempt)));
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
    pub(super) fn falls_after(&self, rules: &GeneralRules) -> Option<i64> {
        if !rules.reads_by_entry() {
            return self.by_part.values().filter_map(|part| part.first_entry_us).min();
        }
        self.hit_us().or_else(|| self.attempts(rules).first().map(|attempt| attempt.entry_us))
    }

    /// The latest entry of the range that an excluded event hit, which drops the person.
    fn hit_us(&self) -> Option<i64> {
        let from_us = self.from_us.max(NO_ENTRY + 1);
        self.by_part.values().map(|part| part.hit_us).max().filter(|hit_us| *hit_us >= from_us)
    }
}
