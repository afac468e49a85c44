//! A chain as far as it has got.

use std::cmp::Ordering;

use super::event::{Attempt, NO_VALUE, rank_chains};
use super::matching::{bits, serve};
use super::moment::Moment;
use super::rules::{Attribution, GeneralRules, Window, low_bits};
use crate::funnel::NO_ENTRY;

/// A chain's beginning: its entry, where it stands, and when it reached its steps.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Chain {
    pub(super) entry_us: i64,
    /// The moment of its last step.
    pub(super) last_us: i64,
    /// The steps it contains.
    pub(super) steps: u32,
    pub(super) value: u32,
    /// One per step up to the last; [`NO_ENTRY`] for one that was skipped.
    pub(super) times: Vec<i64>,
}

impl Chain {
    /// Continues `before`, or begins, with events of this moment that serve `served`.
    pub(super) fn extend(rules: &GeneralRules, before: Option<&Self>, moment: &Moment, served: u32) -> Self {
        let time_us = moment.first_us;
        let mut chain = before.cloned().unwrap_or(Self {
            entry_us: time_us,
            last_us: time_us,
            steps: 0,
            value: NO_VALUE,
            times: Vec::new(),
        });
        chain.last_us = time_us;
        chain.steps |= served;
        chain.times.resize(chain.steps.ilog2() as usize + 1, NO_ENTRY);
        bits(served).for_each(|step| chain.times[step] = time_us);
        if let Some(value) = attributed(rules, moment, served) {
            chain.value = value;
        }
        chain
    }

    /// Whether the window is still open at `time_us`.
    pub(super) fn is_open_at(&self, rules: &GeneralRules, time_us: i64) -> bool {
        let from_us = match rules.options.window {
            Window::FromFirst => self.entry_us,
            Window::BetweenSteps => self.last_us,
        };
        time_us.saturating_sub(from_us) <= rules.options.window_us
    }

    /// Compares two chains that end with the same step: the greater is the better to have.
    pub(super) fn rank(&self, other: &Self, rules: &GeneralRules) -> Ordering {
        let (a, b) = ((self.steps, &self.times[..]), (other.steps, &other.times[..]));
        self.entry_us.cmp(&other.entry_us).then_with(|| rank_chains(rules.options.optional, a, b))
    }

    pub(super) fn attempt(&self) -> Attempt {
        Attempt::new(self.steps, self.entry_us, self.value, &self.times)
    }

    pub(super) fn is_sound(&self, rules: &GeneralRules) -> bool {
        self.steps != 0
            && rules.usable_steps(self.steps) == self.steps
            && self.times.len() == self.steps.ilog2() as usize + 1
    }
}

/// The steps with which this moment takes a chain from behind `start` (before the first step if `None`) to `end`: all required
/// ones between them, and as many optional ones as can be.
pub(super) fn way(rules: &GeneralRules, moment: &Moment, start: Option<usize>, end: usize) -> Option<u32> {
    let between = low_bits(end) & !start.map_or(0, |step| low_bits(step + 1));
    let needed = between & !rules.options.optional | 1 << end;
    let extra = between & rules.options.optional;
    if moment.union & needed != needed {
        return None;
    }
    if moment.capacity(rules) == 1 {
        return needed.is_power_of_two().then_some(needed);
    }
    serve(&moment.masks, needed, extra)
}

/// The breakdown value, if one of the steps served in this moment gives it.
fn attributed(rules: &GeneralRules, moment: &Moment, served: u32) -> Option<u32> {
    let step = match rules.options.attribution {
        Attribution::FirstTouch => 0,
        Attribution::LastTouch => served.ilog2() as usize,
        Attribution::Step(step) => step,
    };
    (served & (1 << step) != 0).then(|| moment.value_of(step))
}
