//! The first entry: one chain, which takes for each step the earliest event that fits.

use super::chain::{Chain, way};
use super::event::Attempt;
use super::moment::Moment;
use super::rules::GeneralRules;
use crate::funnel::NO_ENTRY;

/// The one chain.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct First {
    chain: Option<Chain>,
    is_open: bool,
    /// The entry that an excluded event hit.
    pub(super) hit_us: i64,
}

impl First {
    pub(super) fn new() -> Self {
        Self { chain: None, is_open: false, hit_us: NO_ENTRY }
    }

    /// Takes the events of one moment; the chain may begin if `enters`. Says whether a chain that was there got a step.
    pub(super) fn advance(&mut self, rules: &GeneralRules, moment: &Moment, enters: bool) -> bool {
        let Some(chain) = &self.chain else {
            if enters {
                self.chain = self.longest(rules, moment);
                self.is_open = self.chain.is_some();
            }
            return false;
        };
        let interrupted = rules.is_strict() && !moment.follows;
        self.is_open &= !interrupted && chain.is_open_at(rules, moment.first_us);
        if !self.is_open {
            return false;
        }
        let (at, entry_us, had) = (chain.times.len() - 1, chain.entry_us, chain.steps.count_ones());
        let longer = self.longest(rules, moment);
        let gained = longer.is_some();
        if let Some(longer) = longer {
            let used = longer.steps.count_ones() - had;
            self.is_open = !rules.is_strict() || u64::from(used) == moment.events;
            self.chain = Some(longer);
        } else if rules.is_strict() || rules.is_blocked(moment.exclusions, at, at) {
            self.is_open = false;
        }
        // What is blocked got no step, or one behind all that blocks it.
        if !gained && rules.is_blocked(moment.exclusions, at, at) && rules.drops_persons() {
            self.hit_us = self.hit_us.max(entry_us);
        }
        gained
    }

    /// The longest continuation in this moment: most required steps, then most steps, then the one that leaves most steps to come.
    fn longest(&self, rules: &GeneralRules, moment: &Moment) -> Option<Chain> {
        let start = self.chain.as_ref().map(|chain| chain.times.len() - 1);
        let ends = start.map_or(0, |step| step + 1)..rules.steps();
        let is_free = |end: &usize| start.is_none_or(|step| !rules.is_blocked(moment.exclusions, step, *end));
        let ways = ends.filter(is_free).filter_map(|end| Some((end, way(rules, moment, start, end)?)));
        let best = ways.max_by_key(|(end, served)| {
            (rules.required_up_to(*end), served.count_ones(), std::cmp::Reverse(*end))
        });
        best.map(|(_, served)| Chain::extend(rules, self.chain.as_ref(), moment, served))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chain.is_none()
    }

    /// Whether the chain can go on at `time_us`.
    pub(super) fn is_open_at(&self, rules: &GeneralRules, time_us: i64) -> bool {
        self.is_open && self.chain.as_ref().is_some_and(|chain| chain.is_open_at(rules, time_us))
    }

    /// Whether it reached the last step.
    pub(super) fn is_complete(&self, rules: &GeneralRules) -> bool {
        self.chain.as_ref().is_some_and(|chain| chain.times.len() == rules.steps())
    }

    pub(super) fn result(&self) -> Option<Attempt> {
        self.chain.as_ref().map(Chain::attempt)
    }

    pub(super) fn is_sound(&self, rules: &GeneralRules) -> bool {
        self.chain.as_ref().is_none_or(|chain| chain.is_sound(rules))
    }
}
