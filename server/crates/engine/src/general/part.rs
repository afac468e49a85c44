//! One part of a person's events: moment after moment, attempt after attempt.

use super::any::AnyLatest;
use super::any_first::AnyFirst;
use super::event::{Attempt, FunnelEvent};
use super::first::First;
use super::latest::Latest;
use super::moment::Moment;
use super::rules::{Entry, GeneralRules, Order};
use super::standing::Standing;
use super::window_funnel::WindowFunnel;
use crate::funnel::NO_ENTRY;

/// The chains of the running attempt, by the rules' mode.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum Chains {
    Latest(Latest),
    First(First),
    AnyLatest(AnyLatest),
    AnyFirst(AnyFirst),
    WindowFunnel(WindowFunnel),
}

impl Chains {
    fn new(rules: &GeneralRules) -> Self {
        let any = matches!(rules.options.order, Order::Any { .. });
        match (rules.options.entry, any) {
            _ if rules.options.window_funnel.is_some() => Self::WindowFunnel(WindowFunnel::new(rules)),
            (Entry::Latest, false) => Self::Latest(Latest::new(rules)),
            (Entry::First, false) => Self::First(First::new()),
            (Entry::Latest, true) => Self::AnyLatest(AnyLatest::new(rules)),
            (Entry::First, true) => Self::AnyFirst(AnyFirst::new()),
        }
    }

    /// Takes one moment. Says whether a chain that was there got a step; in any order that is not asked.
    fn advance(&mut self, rules: &GeneralRules, moment: &Moment, enters: bool) -> bool {
        match self {
            Self::Latest(chains) => return chains.advance(rules, moment, enters),
            Self::First(chains) => return chains.advance(rules, moment, enters),
            Self::AnyLatest(chains) => chains.advance(rules, moment, enters),
            Self::AnyFirst(chains) => chains.advance(rules, moment, enters),
            Self::WindowFunnel(_) => {}
        }
        false
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Latest(chains) => chains.is_empty(),
            Self::First(chains) => chains.is_empty(),
            Self::AnyLatest(chains) => chains.is_empty(),
            Self::AnyFirst(chains) => chains.is_empty(),
            Self::WindowFunnel(chains) => chains.result().is_none(),
        }
    }

    fn is_open_at(&self, rules: &GeneralRules, time_us: i64) -> bool {
        match self {
            Self::Latest(chains) => chains.is_open_at(rules, time_us),
            Self::First(chains) => chains.is_open_at(rules, time_us),
            Self::AnyLatest(chains) => chains.is_open_at(rules, time_us),
            Self::AnyFirst(chains) => chains.is_open_at(rules, time_us),
            Self::WindowFunnel(_) => false,
        }
    }

    fn is_complete(&self, rules: &GeneralRules) -> bool {
        match self {
            Self::Latest(chains) => chains.is_complete(),
            Self::First(chains) => chains.is_complete(rules),
            Self::AnyLatest(chains) => chains.is_complete(),
            Self::AnyFirst(chains) => chains.is_complete(rules),
            Self::WindowFunnel(_) => false,
        }
    }

    fn hit_us(&self) -> i64 {
        match self {
            Self::Latest(chains) => chains.hit_us,
            Self::First(chains) => chains.hit_us,
            Self::AnyLatest(chains) => chains.hit_us,
            Self::AnyFirst(chains) => chains.hit_us,
            Self::WindowFunnel(_) => NO_ENTRY,
        }
    }

    fn result(&self, rules: &GeneralRules, from_us: i64) -> Option<Attempt> {
        match self {
            Self::Latest(chains) => chains.result(rules, from_us),
            Self::First(chains) => chains.result(),
            Self::AnyLatest(chains) => chains.result(from_us),
            Self::AnyFirst(chains) => chains.result(),
            Self::WindowFunnel(chains) => chains.result(),
        }
    }

    fn is_sound(&self, rules: &GeneralRules) -> bool {
        let same_mode = std::mem::discriminant(self) == std::mem::discriminant(&Self::new(rules));
        same_mode
            && match self {
                Self::Latest(chains) => chains.is_sound(rules),
                Self::First(chains) => chains.is_sound(rules),
                Self::AnyLatest(chains) => chains.is_sound(rules),
                Self::AnyFirst(chains) => chains.is_sound(rules),
                Self::WindowFunnel(chains) => chains.is_sound(rules),
            }
    }
}

/// The fold of one part.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Part {
    /// The moment that is not over yet.
    pub(super) pending: Option<Moment>,
    /// In strict order: the number of the moment that was closed last.
    pub(super) closed: u64,
    chains: Chains,
    /// Attempts that ended, where every attempt counts.
    ended: Vec<Attempt>,
    /// The latest entry hit in them.
    ended_hit_us: i64,
    /// The first moment in which a chain could begin.
    first_entry_us: Option<i64>,
}

impl Part {
    pub(super) fn new(rules: &GeneralRules) -> Self {
        Self {
            pending: None,
            closed: 0,
            chains: Chains::new(rules),
            ended: Vec::new(),
            ended_hit_us: NO_ENTRY,
            first_entry_us: None,
        }
    }

    /// Takes the next event of this part, where the part has moments of its own.
    pub(super) fn push(&mut self, rules: &GeneralRules, from_us: i64, event: &FunnelEvent) {
        if rules.options.window_funnel.is_some() {
            return self.push_pairs(rules, from_us, event);
        }
        if self.pending.as_ref().is_some_and(|moment| !moment.reaches(rules, event.time_us)) {
            self.close(rules, from_us);
        }
        self.pending.get_or_insert_with(|| Moment::at(event.time_us)).add(rules, event);
    }

    fn push_pairs(&mut self, rules: &GeneralRules, from_us: i64, event: &FunnelEvent) {
        let Some(modes) = rules.options.window_funnel else { return };
        let enters = admits(rules, from_us, event.time_us);
        let mask = rules.usable_steps(event.steps) & if enters { u32::MAX } else { !1 };
        if mask & 1 != 0 {
            self.first_entry_us.get_or_insert(event.time_us);
        }
        if let Chains::WindowFunnel(chains) = &mut self.chains {
            chains.add(rules, modes, event, mask);
        }
    }

    /// Ends the moment that is open.
    pub(super) fn close(&mut self, rules: &GeneralRules, from_us: i64) {
        if let (Chains::WindowFunnel(chains), Some(modes)) = (&mut self.chains, rules.options.window_funnel) {
            return chains.close(rules, modes);
        }
        let Some(moment) = self.pending.take() else { return };
        let entry_steps = if rules.is_anchored() { 1 } else { u32::MAX };
        let enters = admits(rules, from_us, moment.first_us);
        if enters && moment.union & entry_steps != 0 {
            self.first_entry_us.get_or_insert(moment.first_us);
        }
        if rules.counts_persons() {
            self.chains.advance(rules, &moment, enters);
        } else {
            self.attempt(rules, &moment, enters);
        }
    }

    /// One moment where every attempt counts.
    ///
    /// The moment in which an attempt gets its last step belongs to it: the next one begins later. One that an attempt only
    /// ends in, by an excluded event or an interruption, is offered to the next.
    fn attempt(&mut self, rules: &GeneralRules, moment: &Moment, enters: bool) {
        if !self.chains.is_empty() && !self.chains.is_open_at(rules, moment.first_us) {
            self.end_attempt(rules);
        }
        let may_end = rules.is_strict() || moment.exclusions != 0;
        if may_end && !self.chains.is_empty() {
            let mut without_entry = self.chains.clone();
            let gained = without_entry.advance(rules, moment, false);
            let goes_on =
                without_entry.is_open_at(rules, moment.first_us) || without_entry.is_complete(rules);
            if !goes_on {
                self.chains = without_entry;
                self.end_attempt(rules);
                if gained {
                    return;
                }
            }
        }
        self.chains.advance(rules, moment, enters);
        if self.chains.is_complete(rules) {
            self.end_attempt(rules);
        }
    }

    fn end_attempt(&mut self, rules: &GeneralRules) {
        self.ended_hit_us = self.ended_hit_us.max(self.chains.hit_us());
        self.ended.extend(self.chains.result(rules, i64::MIN));
        self.chains = Chains::new(rules);
    }

    /// How many attempts have ended.
    pub(super) fn ended(&self) -> usize {
        self.ended.len()
    }

    /// What it is worth to a range that begins at `from_us`. It must not have an open moment.
    pub(super) fn standing(&self, rules: &GeneralRules, from_us: i64) -> Standing {
        let running = self.chains.result(rules, from_us.max(NO_ENTRY + 1));
        Standing {
            hit_us: self.ended_hit_us.max(self.chains.hit_us()),
            attempts: self.ended.iter().copied().chain(running).collect(),
            first_entry_us: self.first_entry_us,
        }
    }

    /// Whether a chain that entered after `time_us` is complete.
    pub(super) fn is_complete_since(&self, rules: &GeneralRules, time_us: i64) -> bool {
        self.chains.is_complete(rules) && {
            let complete = self.chains.result(rules, i64::MIN);
            complete.is_some_and(|attempt| attempt.entry_us > time_us)
        }
    }

    pub(super) fn is_sound(&self, rules: &GeneralRules) -> bool {
        let ended_is_sound =
            |attempt: &Attempt| attempt.steps != 0 && rules.usable_steps(attempt.steps) == attempt.steps;
        self.chains.is_sound(rules)
            && self.pending.as_ref().is_none_or(|moment| moment.is_sound(rules))
            && self.ended.iter().all(ended_is_sound)
    }
}

/// Whether a chain may begin at `time_us`. Where the range's beginning is applied when the state is read, all before count as well.
fn admits(rules: &GeneralRules, from_us: i64, time_us: i64) -> bool {
    time_us < rules.options.to_us && (rules.reads_by_entry() || time_us >= from_us)
}
