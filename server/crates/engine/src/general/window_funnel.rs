//! ClickHouse's `windowFunnel(window, modes)(timestamp, cond1, ...)`, exactly as it counts.
//!
//! It differs from a funnel over chains in more than its modes. Every condition that an event matches makes a pair, and pairs
//! are ordered by (timestamp, number of the condition), so
//! - equal timestamps count as in order, but one event can serve several steps (not with `strict_once`);
//! - a level remembers only the chain that reached it last; with `strict_increase` this loses older ones that would have counted;
//! - the first chain that reaches the last step ends everything, and so do repeated steps (`strict_deduplication`), events that
//!   match nothing and steps that come too early (`strict_order`).
//!
//! The behaviour is that of ClickHouse 26.9; a differential test runs it. Older versions differ: they do not know
//! `allow_reentry`, and their `strict_deduplication` answers with the number of the pair before the repeated one instead of
//! the level reached.
//!
//! `strict_once` follows all paths there. Here it needs no list of them: paths can only meet an event twice within its timestamp, so
//! of those that got to a level before, the one that entered last decides, and within a timestamp it is a matching of steps
//! to events. So every mode is linear in the number of events (times steps).
//!
//! **Range**: events before it are as if not read; nor are matches of the first condition after it. The entry is the first
//! timestamp of the level's chain, the times are those of this chain.

use super::chain::Chain;
use super::event::{Attempt, FunnelEvent, NO_VALUE};
use super::matching::{bits, can_serve, is_independent};
use super::rules::{Attribution, GeneralRules, WindowFunnelModes, low_bits};

/// The events of one timestamp.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Timestamp {
    us: i64,
    /// How many events there were.
    events: u64,
    has_unmatched: bool,
    /// The events that make the largest matching larger, and of the others again those that do: without any one of the first
    /// layer the two still serve what all events could.
    first_layer: Vec<Matched>,
    second_layer: Vec<Matched>,
    /// For each condition how many pairs it has, and its last event: which it is and its value.
    pairs: Vec<(u64, u64, u32)>,
}

/// An event of a timestamp: what it matches, which it is, its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Matched {
    mask: u32,
    number: u64,
    value: u32,
}

/// The level that was reached last for each condition.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct WindowFunnel {
    levels: Vec<Option<Chain>>,
    /// The result, once something has ended everything.
    ended_at: Option<usize>,
    now: Timestamp,
}

impl WindowFunnel {
    pub(super) fn new(rules: &GeneralRules) -> Self {
        Self { levels: vec![None; rules.steps()], ended_at: None, now: Timestamp::default() }
    }

    /// Takes the next event. `mask` is what it matches; without the first condition if it cannot be an entry.
    pub(super) fn add(
        &mut self,
        rules: &GeneralRules,
        modes: WindowFunnelModes,
        event: &FunnelEvent,
        mask: u32,
    ) {
        if self.now.events > 0 && self.now.us != event.time_us {
            self.close(rules, modes);
        }
        self.now.add(rules, event, mask);
    }

    /// Counts the pairs of the timestamp that is over.
    pub(super) fn close(&mut self, rules: &GeneralRules, modes: WindowFunnelModes) {
        let now = std::mem::take(&mut self.now);
        if now.events == 0 || self.ended_at.is_some() {
            return;
        }
        // What matches nothing sorts first.
        if modes.strict_order && now.has_unmatched && self.levels[0].is_some() {
            self.ended_at = Some(self.deepest());
            return;
        }
        let before = modes.strict_once.then(|| self.levels.clone());
        for condition in 0..rules.steps() {
            if now.pairs[condition].0 > 0 && self.ended_at.is_none() {
                self.count(rules, modes, &now, condition, before.as_deref());
            }
        }
    }

    /// Counts the pairs of one condition. `before` is what was reached before this timestamp.
    fn count(
        &mut self,
        rules: &GeneralRules,
        modes: WindowFunnelModes,
        now: &Timestamp,
        condition: usize,
        before: Option<&[Option<Chain>]>,
    ) {
        if condition == 0 {
            self.levels[0] = Some(self.extended(rules, now, None, 0, now.pairs[0].2));
            return;
        }
        if modes.strict_deduplication && self.levels[condition].is_some() {
            self.ended_at = Some(self.deepest());
            return;
        }
        if self.levels[condition - 1].is_none() {
            let too_early = modes.strict_order && self.levels[0].is_some();
            if too_early && !modes.allow_reentry {
                self.ended_at = self.levels.iter().position(Option::is_none);
            }
            return;
        }
        let found = match before {
            Some(before) => self.path(rules, modes, now, condition, before),
            None => self.reached_before(rules, modes, now, condition),
        };
        let Some((chain, number)) = found else { return };
        self.levels[condition] = Some(chain);
        let (_, last, _) = now.pairs[condition];
        if condition == rules.last_step() || (modes.strict_deduplication && number < last) {
            self.ended_at = Some(self.deepest());
        }
    }

    /// The chain of the level before, continued; with the number of the first event that did.
    fn reached_before(
        &self,
        rules: &GeneralRules,
        modes: WindowFunnelModes,
        now: &Timestamp,
        condition: usize,
    ) -> Option<(Chain, u64)> {
        let chain = self.levels[condition - 1].as_ref()?;
        let increases = !modes.strict_increase || chain.last_us < now.us;
        if !increases || !chain.is_open_at(rules, now.us) {
            return None;
        }
        let (count, last, value) = now.pairs[condition];
        // All pairs of the condition continue the same chain, so the first does.
        let first = if count > 1 { last - 1 } else { last };
        Some((self.extended(rules, now, Some(chain), condition, value), first))
    }

    /// The latest path to this level through distinct events, with the number of the event at its end. Where a second event that
    /// matches ends everything, of the paths that end with the first that can be the end.
    fn path(
        &self,
        rules: &GeneralRules,
        modes: WindowFunnelModes,
        now: &Timestamp,
        condition: usize,
        before: &[Option<Chain>],
    ) -> Option<(Chain, u64)> {
        let kept: Vec<Matched> = now.first_layer.iter().chain(&now.second_layer).copied().collect();
        let masks = masks(&kept);
        let is_open =
            |chain: &Option<Chain>| chain.as_ref().is_some_and(|chain| chain.is_open_at(rules, now.us));
        // By how late they entered: within this timestamp, then the shallowest.
        let shallowest = if modes.strict_increase { condition } else { 0 };
        let starts = (shallowest..=condition).filter(|start| *start == 0 || is_open(&before[start - 1]));
        let serves = |start: usize, event: usize| {
            can_serve(&masks, event, condition, low_bits(condition) & !low_bits(start))
        };
        let ways = starts.flat_map(|start| (0..kept.len()).map(move |event| (start, event)));
        let ways = ways.filter(|(start, event)| serves(*start, *event));
        let (start, event) = ways.min_by_key(|(start, event)| {
            let number = kept[*event].number;
            if modes.strict_deduplication { (number, *start as u64) } else { (*start as u64, number) }
        })?;
        let mut chain = start.checked_sub(1).and_then(|level| before[level].clone());
        for step in start..condition {
            let value =
                kept.iter().find(|event| event.mask & (1 << step) != 0).map_or(NO_VALUE, |event| event.value);
            chain = Some(self.extended(rules, now, chain.as_ref(), step, value));
        }
        let chain = self.extended(rules, now, chain.as_ref(), condition, kept[event].value);
        Some((chain, kept[event].number))
    }

    fn extended(
        &self,
        rules: &GeneralRules,
        now: &Timestamp,
        chain: Option<&Chain>,
        step: usize,
        value: u32,
    ) -> Chain {
        let begun = Chain { entry_us: now.us, last_us: now.us, steps: 0, value: NO_VALUE, times: Vec::new() };
        let mut chain = chain.cloned().unwrap_or(begun);
        chain.last_us = now.us;
        chain.steps |= 1 << step;
        chain.times.push(now.us);
        let gives_value = match rules.options.attribution {
            Attribution::FirstTouch => step == 0,
            Attribution::LastTouch => true,
            Attribution::Step(wanted) => step == wanted,
        };
        if gives_value {
            chain.value = value;
        }
        chain
    }

    fn deepest(&self) -> usize {
        self.levels.iter().rposition(Option::is_some).map_or(0, |level| level + 1)
    }

    pub(super) fn result(&self) -> Option<Attempt> {
        let level = self.ended_at.unwrap_or_else(|| self.deepest());
        self.levels[..level].last()?.as_ref().map(Chain::attempt)
    }

    pub(super) fn is_sound(&self, rules: &GeneralRules) -> bool {
        let is_level = |(level, chain): (usize, &Option<Chain>)| {
            chain.as_ref().is_none_or(|chain| chain.is_sound(rules) && chain.steps == low_bits(level + 1))
        };
        self.levels.len() == rules.steps()
            && self.levels.iter().enumerate().all(is_level)
            && self.ended_at.is_none_or(|level| level <= rules.steps())
            && self.now.is_sound(rules)
    }
}

impl Timestamp {
    fn add(&mut self, rules: &GeneralRules, event: &FunnelEvent, mask: u32) {
        let number = self.events;
        self.us = event.time_us;
        self.events += 1;
        self.has_unmatched |= event.steps & low_bits(rules.steps()) == 0;
        self.pairs.resize(rules.steps(), (0, 0, NO_VALUE));
        for condition in bits(mask) {
            let (count, ..) = self.pairs[condition];
            self.pairs[condition] = (count + 1, number, event.value);
        }
        let event = Matched { mask, number, value: event.value };
        if mask != 0 && !keep(&mut self.first_layer, event) {
            keep(&mut self.second_layer, event);
        }
    }

    fn is_sound(&self, rules: &GeneralRules) -> bool {
        let is_layer = |layer: &[Matched]| {
            let usable = |event: &Matched| event.mask != 0 && rules.usable_steps(event.mask) == event.mask;
            layer.iter().all(usable) && is_independent(&masks(layer))
        };
        self.events < u64::MAX
            && is_layer(&self.first_layer)
            && is_layer(&self.second_layer)
            && (self.pairs.is_empty() && self.events == 0 || self.pairs.len() == rules.steps())
            && self.pairs.iter().all(|(count, last, _)| *count <= 1 || *last > 0)
    }
}

/// Adds the event if all of the layer then find steps of their own.
fn keep(layer: &mut Vec<Matched>, event: Matched) -> bool {
    layer.push(event);
    let keeps = is_independent(&masks(layer));
    if !keeps {
        layer.pop();
    }
    keeps
}

fn masks(layer: &[Matched]) -> Vec<u32> {
    layer.iter().map(|event| event.mask).collect()
}
