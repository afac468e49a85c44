//! The latest entry: for each step the best chain that reached it and the best that can still go on.
//!
//! Two chains that end with the same step differ only in what is behind them. The one that entered later is never worse: its
//! window ends later, it stays longer in a range that moves, and what excludes one excludes both. With a window between
//! steps the chain that entered latest is also the one whose last step is latest: a step is always appended to the
//! latest entry, and what was appended last replaces what was there. So one open chain per step is enough.
//!
//! An open chain and the best one differ once something has ended the open one: an excluded event, or, in strict order, any event.

use super::chain::{Chain, way};
use super::event::Attempt;
use super::matching::bits;
use super::moment::Moment;
use super::rules::{Attribution, GeneralRules, Window, low_bits};
use crate::funnel::NO_ENTRY;

#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Level {
    best: Option<Chain>,
    open: Option<Chain>,
}

/// One level per step.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Latest {
    levels: Vec<Level>,
    /// The latest entry that an excluded event hit.
    pub(super) hit_us: i64,
}

impl Latest {
    pub(super) fn new(rules: &GeneralRules) -> Self {
        Self { levels: vec![Level::default(); rules.steps()], hit_us: NO_ENTRY }
    }

    /// Takes the events of one moment; new chains may begin if `enters`. Says whether a chain that was there got a step.
    pub(super) fn advance(&mut self, rules: &GeneralRules, moment: &Moment, enters: bool) -> bool {
        if rules.is_strict() && !moment.follows {
            self.levels.iter_mut().for_each(|level| level.open = None);
        }
        let waiting = self.waiting_at_exclusions(rules, moment);
        let ended = self.ended_by(rules, moment);
        let (mut formed, mut gained) = (0_u32, false);
        // Deepest first: a chain's beginning is read before it is written.
        for end in (0..rules.steps()).rev() {
            if moment.union & (1 << end) == 0 {
                continue;
            }
            if let Some((chain, stays_open)) = self.best_way(rules, moment, end, enters) {
                gained |= chain.entry_us != moment.first_us;
                self.put(rules, end, chain, stays_open, ended & (1 << end) != 0);
                formed |= 1 << end;
            }
        }
        bits(ended & !formed).for_each(|step| self.levels[step].open = None);
        self.drop_waiting(&waiting);
        gained
    }

    /// The steps behind which no chain from before this moment goes on after it.
    fn ended_by(&self, rules: &GeneralRules, moment: &Moment) -> u32 {
        if rules.is_strict() {
            return low_bits(rules.steps());
        }
        let between =
            |bits: u32, step_range: (usize, usize)| bits | low_bits(step_range.1) & !low_bits(step_range.0);
        rules.hit_by(moment.exclusions).map(|e| (e.after_step, e.before_step)).fold(0, between)
    }

    /// The best chain that reaches `end` in this moment, and whether it can go on after it.
    fn best_way(
        &self,
        rules: &GeneralRules,
        moment: &Moment,
        end: usize,
        enters: bool,
    ) -> Option<(Chain, bool)> {
        let mut best: Option<(Chain, bool)> = None;
        let has_optional = rules.options.optional != 0;
        let furthest = if has_optional { 0 } else { (end + 1).saturating_sub(moment.capacity(rules)) };
        if enters
            && furthest == 0
            && let Some(served) = way(rules, moment, None, end)
        {
            best = Some((Chain::extend(rules, None, moment, served), true));
        }
        for start in furthest.saturating_sub(1)..end {
            let open = self.levels[start].open.as_ref();
            let Some(open) = open.filter(|open| open.is_open_at(rules, moment.first_us)) else { continue };
            // Without optional steps entries only get older with depth.
            if !has_optional && best.as_ref().is_some_and(|(other, _)| open.entry_us < other.entry_us) {
                break;
            }
            if rules.is_blocked(moment.exclusions, start, end) {
                continue;
            }
            let Some(served) = way(rules, moment, Some(start), end) else { continue };
            let chain = Chain::extend(rules, Some(open), moment, served);
            let mut stays_open = !rules.is_strict() || u64::from(served.count_ones()) == moment.events;
            // Of equal entries one may go on and another may not.
            let equal = best.as_ref().filter(|(other, _)| other.entry_us == chain.entry_us);
            stays_open |= equal.is_some_and(|(_, stays_open)| *stays_open);
            if equal.is_some() && !has_optional
                || best.as_ref().is_none_or(|(other, _)| chain.rank(other, rules).is_gt())
            {
                best = Some((chain, stays_open));
            }
        }
        best
    }

    fn put(&mut self, rules: &GeneralRules, end: usize, mut chain: Chain, stays_open: bool, ended: bool) {
        if rules.options.optional == 0 {
            self.keep_first_times(rules, end, &mut chain);
        }
        let level = &mut self.levels[end];
        if ended {
            level.open = None;
        }
        let renews =
            |open: &Chain| rules.options.window == Window::BetweenSteps || chain.rank(open, rules).is_gt();
        let replaces_open = stays_open && level.open.as_ref().is_none_or(renews);
        let is_best = level.best.as_ref().is_none_or(|best| chain.rank(best, rules).is_gt());
        if is_best && replaces_open {
            level.best = Some(chain.clone());
            level.open = Some(chain);
        } else if is_best {
            level.best = Some(chain);
        } else if replaces_open {
            level.open = Some(chain);
        }
    }

    /// Without optional steps a step counts from when a chain with this entry first reached it.
    fn keep_first_times(&self, rules: &GeneralRules, end: usize, chain: &mut Chain) {
        let same_entry = |best: &&Chain| best.entry_us == chain.entry_us;
        let known = self.levels[..=end].iter().rev().filter_map(|level| level.best.as_ref()).find(same_entry);
        let Some(known) = known else { return };
        let depth = known.times.len();
        chain.times[..depth].copy_from_slice(&known.times);
        let value_is_known = match rules.options.attribution {
            Attribution::FirstTouch => true,
            Attribution::LastTouch => depth == end + 1,
            Attribution::Step(step) => step < depth,
        };
        if value_is_known {
            chain.value = known.value;
        }
    }

    /// For each exclusion that happens now: before which step, and the latest entry that waits for it.
    fn waiting_at_exclusions(&self, rules: &GeneralRules, moment: &Moment) -> Vec<(usize, i64)> {
        if !rules.drops_persons() {
            return Vec::new();
        }
        let latest = |after: usize, before: usize| {
            let open = self.levels[after..before].iter().filter_map(|level| level.open.as_ref());
            open.filter(|open| open.is_open_at(rules, moment.first_us)).map(|open| open.entry_us).max()
        };
        let waiting = rules.hit_by(moment.exclusions);
        waiting.filter_map(|e| latest(e.after_step, e.before_step).map(|us| (e.before_step, us))).collect()
    }

    /// An entry is hit unless it reached the step in time. If a later one did, so did this one, or it was hit before.
    fn drop_waiting(&mut self, waiting: &[(usize, i64)]) {
        for &(before, entry_us) in waiting {
            let reached = self.levels[before..].iter().filter_map(|level| level.best.as_ref());
            if reached.map(|best| best.entry_us).max().unwrap_or(NO_ENTRY) < entry_us {
                self.hit_us = self.hit_us.max(entry_us);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.levels.iter().all(|level| level.best.is_none())
    }

    /// Whether a chain can go on at `time_us`.
    pub(super) fn is_open_at(&self, rules: &GeneralRules, time_us: i64) -> bool {
        let is_open = |open: &Chain| open.is_open_at(rules, time_us);
        self.levels.iter().filter_map(|level| level.open.as_ref()).any(is_open)
    }

    /// Whether a chain reached the last step.
    pub(super) fn is_complete(&self) -> bool {
        self.levels.last().is_some_and(|level| level.best.is_some())
    }

    /// The best chain that entered at `from_us` or later.
    pub(super) fn result(&self, rules: &GeneralRules, from_us: i64) -> Option<Attempt> {
        let entered = self.levels.iter().filter_map(|level| level.best.as_ref());
        let entered = entered.filter(|best| best.entry_us >= from_us).map(Chain::attempt);
        entered.max_by(|a, b| a.rank(b, rules))
    }

    pub(super) fn is_sound(&self, rules: &GeneralRules) -> bool {
        let ends_there = |step: usize, chain: &Chain| chain.is_sound(rules) && chain.times.len() == step + 1;
        let level_is_sound = |(step, level): (usize, &Level)| {
            [&level.best, &level.open].into_iter().flatten().all(|chain| ends_there(step, chain))
        };
        self.levels.len() == rules.steps() && self.levels.iter().enumerate().all(level_is_sound)
    }
}
