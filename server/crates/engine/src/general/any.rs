//! Any order, the latest entry: how many different steps were done within the window of a chain's first event.
//!
//! Which sets of events can serve distinct steps is a transversal matroid. Of all such sets that cannot grow, the one with the newest
//! events (its greatest basis) answers every question: among the events since any moment, as many can serve distinct steps
//! as members of the basis are that new. So a chain of depth `k` may begin with the `k`-th newest member. An event enters the
//! basis; if it makes it dependent, the oldest member of its circuit leaves. At most one member per step stays.
//!
//! *Anchored*, the first event serves step 1 and the basis is one of the other steps. A chain of depth `k` begins with the latest
//! step-1 event since which `k - 1` of the others were done by other events. If such an event is itself a
//! member, another event of its moment may serve as the anchor in its place.

use super::chain::Chain;
use super::event::{Attempt, NO_VALUE};
use super::matching::{circuit, is_independent};
use super::moment::Moment;
use super::rules::{Attribution, GeneralRules, low_bits};
use crate::funnel::NO_ENTRY;

/// A member of the basis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Member {
    us: i64,
    /// The steps it can serve; not as an anchor.
    mask: u32,
    is_anchor: bool,
    /// A chain may begin with it.
    enters: bool,
}

/// A moment in which a chain may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Beginning {
    us: i64,
    /// How many events of this moment can be the first.
    events: u32,
    /// The breakdown value of the first of them.
    value: u32,
}

/// The basis, where chains may begin, and the best chain of each depth.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct AnyLatest {
    /// Oldest first.
    basis: Vec<Member>,
    /// Oldest first; not anchored, the newest only.
    beginnings: Vec<Beginning>,
    best: Vec<Option<Chain>>,
    /// The latest entry that an excluded event hit.
    pub(super) hit_us: i64,
}

impl AnyLatest {
    pub(super) fn new(rules: &GeneralRules) -> Self {
        Self { basis: Vec::new(), beginnings: Vec::new(), best: vec![None; rules.steps()], hit_us: NO_ENTRY }
    }

    /// Takes the events of one moment; chains may begin with them if `enters`.
    pub(super) fn advance(&mut self, rules: &GeneralRules, moment: &Moment, enters: bool) {
        let waiting = self.beginnings.last().map(|beginning| beginning.us);
        if moment.exclusions != 0 && waiting.is_some() {
            self.complete_or_end(rules, moment);
        }
        self.take(rules, moment, enters);
        let is_hit = moment.exclusions != 0 && rules.drops_persons();
        if let Some(entry_us) = waiting.filter(|us| is_hit && is_within(rules, *us, moment.first_us))
            && self.best.last().and_then(Option::as_ref).is_none_or(|best| best.entry_us < entry_us)
        {
            self.hit_us = self.hit_us.max(entry_us);
        }
    }

    /// An excluded event happens: a chain is completed in its very moment or ends.
    fn complete_or_end(&mut self, rules: &GeneralRules, moment: &Moment) {
        let mut completed = self.clone();
        completed.take(rules, moment, false);
        let last = rules.last_step();
        self.best[last] = completed.best.swap_remove(last);
        self.basis.clear();
        self.beginnings.clear();
    }

    fn take(&mut self, rules: &GeneralRules, moment: &Moment, enters: bool) {
        let anchored = rules.is_anchored();
        let is_anchor = |mask: u32| anchored && mask & 1 != 0;
        let events = || moment.masks.iter().copied().zip(moment.values.iter().copied());
        // Anchors first, so that what follows them has something to follow.
        let anchors = events().filter(|(mask, _)| is_anchor(*mask));
        let others = events().filter(|(mask, _)| !is_anchor(*mask));
        if moment.capacity(rules) == 1 {
            // One event of the moment at most: any of its masks.
            let Some(value) = anchors.chain(others).map(|(_, value)| value).next() else { return };
            return self.take_one(rules, moment.first_us, moment.union, value, enters);
        }
        for (mask, value) in anchors.chain(others) {
            self.take_one(rules, moment.first_us, mask, value, enters);
        }
    }

    fn take_one(&mut self, rules: &GeneralRules, us: i64, mask: u32, value: u32, enters: bool) {
        let anchored = rules.is_anchored();
        let is_anchor = anchored && enters && mask & 1 != 0;
        if enters && (is_anchor || !anchored) {
            self.begin(us, value, anchored);
        }
        if self.beginnings.is_empty() {
            // Nothing to follow.
            return;
        }
        let mask = if anchored { mask & !1 } else { mask };
        if mask != 0 {
            self.insert(Member { us, mask, is_anchor, enters });
        }
        if anchored {
            self.forget_beginnings();
        }
        self.record(rules, us, value);
    }

    fn begin(&mut self, us: i64, value: u32, anchored: bool) {
        if let Some(last) = self.beginnings.last_mut().filter(|last| last.us == us) {
            last.events += 1;
            return;
        }
        if !anchored {
            self.beginnings.clear();
        }
        self.beginnings.push(Beginning { us, events: 1, value });
    }

    fn insert(&mut self, newcomer: Member) {
        self.basis.push(newcomer);
        let masks: Vec<u32> = self.basis.iter().map(|member| member.mask).collect();
        let circuit = circuit(&masks, masks.len() - 1);
        if circuit == 0 {
            return;
        }
        // Of one moment an anchor leaves first: it can still begin a chain.
        let in_circuit = (0..masks.len()).filter(|member| circuit & (1 << member) != 0);
        let leaves = in_circuit.min_by_key(|member| {
            let member = &self.basis[*member];
            (member.us, !member.is_anchor)
        });
        if let Some(leaves) = leaves {
            self.basis.remove(leaves);
        }
    }

    /// Forgets anchors that are no better than a later one: no member of the basis lies between them.
    fn forget_beginnings(&mut self) {
        let newer = |us: i64| self.basis.iter().filter(|member| member.us > us).count();
        let is_member = |us: i64| self.basis.iter().any(|member| member.us == us);
        let all = std::mem::take(&mut self.beginnings);
        let next = all.iter().skip(1).map(|next| Some(newer(next.us))).chain([None]);
        let keeps =
            |(this, next): &(&Beginning, Option<usize>)| is_member(this.us) || Some(newer(this.us)) != *next;
        let kept: Vec<Beginning> = all.iter().zip(next).filter(keeps).map(|(this, _)| *this).collect();
        self.beginnings = kept;
    }

    /// The latest beginning of a chain of this depth, if one may begin.
    fn beginning(&self, rules: &GeneralRules, depth: usize) -> Option<Beginning> {
        if rules.is_anchored() {
            let reaches = |beginning: &&Beginning| self.others_since(beginning) + 1 >= depth;
            return self.beginnings.iter().rev().find(reaches).copied();
        }
        let newest = self.beginnings.last().copied()?;
        // Members that come too late to be an entry can be its followers.
        let followers = self.basis.iter().filter(|member| !member.enters).count();
        if depth <= followers {
            return Some(newest);
        }
        let member = self.basis.iter().rev().nth(depth - 1)?;
        Some(Beginning { us: member.us, ..newest })
    }

    /// How many other steps were done since this anchor, by other events than itself.
    fn others_since(&self, anchor: &Beginning) -> usize {
        let since = self.basis.iter().filter(|member| member.us >= anchor.us).count();
        let of_moment = self.basis.iter().filter(|member| member.us == anchor.us && member.is_anchor).count();
        // If all anchors of its moment serve other steps, one of them has to stop.
        since - usize::from(of_moment >= anchor.events as usize)
    }

    /// Notes what became possible with this event.
    fn record(&mut self, rules: &GeneralRules, now_us: i64, value: u32) {
        for depth in (1..=rules.steps()).rev() {
            let Some(from) = self.beginning(rules, depth).filter(|from| is_within(rules, from.us, now_us))
            else {
                continue;
            };
            if self.best[depth - 1].as_ref().is_some_and(|best| best.entry_us >= from.us) {
                continue;
            }
            // The deepest chain with this entry says when the steps up to it were reached.
            let known = self.best[..depth - 1].iter().rev().flatten().find(|chain| chain.entry_us == from.us);
            let known = known.cloned().unwrap_or_else(|| begun(rules, from.us, from.value));
            self.best[depth - 1] = Some(deepened(rules, known, depth, now_us, value));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.best.iter().all(Option::is_none)
    }

    /// Whether a chain can go on at `time_us`.
    pub(super) fn is_open_at(&self, rules: &GeneralRules, time_us: i64) -> bool {
        self.beginnings.last().is_some_and(|newest| is_within(rules, newest.us, time_us))
    }

    /// Whether a chain did all steps.
    pub(super) fn is_complete(&self) -> bool {
        self.best.last().is_some_and(Option::is_some)
    }

    /// The best chain that entered at `from_us` or later.
    pub(super) fn result(&self, from_us: i64) -> Option<Attempt> {
        self.best.iter().rev().flatten().find(|best| best.entry_us >= from_us).map(Chain::attempt)
    }

    pub(super) fn is_sound(&self, rules: &GeneralRules) -> bool {
        let masks: Vec<u32> = self.basis.iter().map(|member| member.mask).collect();
        let usable = |mask: &u32| *mask != 0 && rules.usable_steps(*mask) == *mask;
        let has_depth = |(level, chain): (usize, &Option<Chain>)| {
            chain.as_ref().is_none_or(|chain| chain.is_sound(rules) && chain.steps == low_bits(level + 1))
        };
        self.best.len() == rules.steps()
            && masks.iter().all(usable)
            && is_independent(&masks)
            && self.basis.is_sorted_by_key(|member| member.us)
            && self.beginnings.is_sorted_by(|a, b| a.us < b.us)
            && self.beginnings.iter().all(|beginning| beginning.events > 0)
            && self.beginnings.len() <= 2 * rules.steps() + 1
            && self.best.iter().enumerate().all(has_depth)
    }
}

fn is_within(rules: &GeneralRules, from_us: i64, time_us: i64) -> bool {
    time_us.saturating_sub(from_us) <= rules.options.window_us
}

/// A chain of one event.
pub(super) fn begun(rules: &GeneralRules, entry_us: i64, value: u32) -> Chain {
    let counts = !matches!(rules.options.attribution, Attribution::Step(step) if step > 0);
    let value = if counts { value } else { NO_VALUE };
    Chain { entry_us, last_us: entry_us, steps: 1, value, times: vec![entry_us] }
}

/// A chain continued to `depth` by what happened at `now_us`.
pub(super) fn deepened(
    rules: &GeneralRules,
    mut chain: Chain,
    depth: usize,
    now_us: i64,
    value: u32,
) -> Chain {
    let had = chain.times.len();
    chain.times.resize(depth, now_us);
    chain.steps = low_bits(depth);
    chain.last_us = if had < depth { now_us } else { chain.last_us };
    let gives_value = match rules.options.attribution {
        Attribution::FirstTouch => false,
        Attribution::LastTouch => had < depth,
        Attribution::Step(step) => (had..depth).contains(&step),
    };
    if gives_value {
        chain.value = value;
    }
    chain
}
