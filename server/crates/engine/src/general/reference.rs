//! What a general funnel means, written down as slowly as possible: a search over all chains, and a literal reading of the
//! rules in the module's documentation.

use std::cmp::Reverse;

use super::event::{FunnelEvent, NO_VALUE};
use super::rules::{Attribution, Counting, Entry, GeneralRules, Options, Order, Parts, Ties, Window};

/// An attempt as the search finds it. `value` is `None` where equal times leave open which event it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) steps: u32,
    pub(super) entry_us: i64,
    pub(super) times: Vec<Option<i64>>,
    pub(super) value: Option<u32>,
}

type Chain = Vec<(usize, usize)>;

/// What one part of a person sees.
struct View<'a> {
    o: &'a Options,
    from_us: i64,
    own: Vec<FunnelEvent>,
    /// The moment of each own event.
    moment: Vec<usize>,
    /// When each moment was, and how many events it has.
    moments: Vec<(i64, usize)>,
}

/// All attempts of a person for a range that begins at `from_us`.
pub(super) fn naive(rules: &GeneralRules, from_us: i64, events: &[FunnelEvent]) -> Vec<Found> {
    let o = rules.options();
    let mut events = events.to_vec();
    events.sort_by_key(FunnelEvent::order);
    events.dedup_by_key(|event| event.order());
    let mut parts: Vec<u64> = match o.parts {
        Parts::Whole => vec![0],
        Parts::BestOf => events.iter().map(|event| event.part).filter(|part| *part != 0).collect(),
    };
    parts.sort_unstable();
    parts.dedup();
    let mut all = Vec::new();
    for part in parts {
        let view = View::new(o, from_us, &events, part);
        let (attempts, hits) = view.attempts();
        if hits.iter().any(|hit| *hit >= from_us) {
            return Vec::new();
        }
        all.extend(attempts.into_iter().map(|found| (part, found)));
    }
    if o.counting == Counting::Persons {
        let best = all.into_iter().max_by_key(|(part, found)| {
            let entry = if o.entry == Entry::Latest { found.entry_us } else { -found.entry_us };
            let required: Vec<_> =
                (0..o.steps).filter(|s| o.optional & (1 << s) == 0).map(|s| found.times[s]).collect();
            let depth = required.iter().flatten().count();
            (
                depth,
                entry,
                Reverse(required),
                found.steps.count_ones(),
                found.steps,
                Reverse(found.times.clone()),
                Reverse(*part),
            )
        });
        return best.into_iter().map(|(_, found)| found).collect();
    }
    let mut all: Vec<Found> = all.into_iter().map(|(_, found)| found).collect();
    all.sort_by_key(|found| (found.entry_us, found.steps, found.value));
    all
}

impl<'a> View<'a> {
    fn new(o: &'a Options, from_us: i64, events: &[FunnelEvent], part: u64) -> Self {
        let all = (1_u32 << o.steps) - 1;
        let all_exclusions = ((1_u32 << o.exclusions.len()) - 1) as u16;
        let matches = |e: &FunnelEvent| e.steps & all != 0 || e.exclusions & all_exclusions != 0;
        let is_own = |e: &FunnelEvent| matches(e) && (o.parts == Parts::Whole || e.part == part);
        let strict = o.order == Order::Strict;
        let tolerance = if let Ties::Tolerance { us } = o.ties { us } else { 0 };
        let mut view = Self { o, from_us, own: Vec::new(), moment: Vec::new(), moments: Vec::new() };
        let mut last = None;
        for event in events.iter().filter(|e| strict || is_own(e)) {
            if last.is_none_or(|last| event.time_us - last > tolerance) {
                view.moments.push((event.time_us, 0));
            }
            last = Some(event.time_us);
            view.moments.last_mut().unwrap().1 += 1;
            if is_own(event) {
                let steps = event.steps & all;
                view.own.push(FunnelEvent { steps, exclusions: event.exclusions & all_exclusions, ..*event });
                view.moment.push(view.moments.len() - 1);
            }
        }
        view
    }

    fn at(&self, moment: usize) -> i64 {
        self.moments[moment].0
    }

    fn any(&self) -> bool {
        matches!(self.o.order, Order::Any { .. })
    }

    fn anchored(&self) -> bool {
        self.o.order != Order::Any { anchored: false }
    }

    /// Whether a chain may begin in this moment, by its time; if the beginning of the range is applied to it.
    fn admits(&self, moment: usize, from_us: i64) -> bool {
        (from_us..self.o.to_us).contains(&self.at(moment))
    }

    fn has_entry(&self, moment: usize) -> bool {
        let can = if self.anchored() { 1 } else { u32::MAX };
        self.events_of(moment).any(|event| self.own[event].steps & can != 0)
    }

    fn events_of(&self, moment: usize) -> impl Iterator<Item = usize> {
        (0..self.own.len()).filter(move |event| self.moment[*event] == moment)
    }

    fn first(&self, chain: &Chain) -> usize {
        self.moment[chain[0].1]
    }

    fn last(&self, chain: &Chain) -> usize {
        self.moment[chain[chain.len() - 1].1]
    }

    /// Every valid chain that begins as `begins` says.
    fn chains(&self, begins: &dyn Fn(usize) -> bool) -> Vec<Chain> {
        let mut found = Vec::new();
        self.extend(&mut Vec::new(), begins, &|_| true, &mut found);
        found
    }

    fn extend(
        &self,
        chain: &mut Chain,
        begins: &dyn Fn(usize) -> bool,
        takes: &dyn Fn(usize) -> bool,
        found: &mut Vec<Chain>,
    ) {
        for event in 0..self.own.len() {
            let moment = self.moment[event];
            if !takes(moment) || (chain.is_empty() && !begins(moment)) {
                continue;
            }
            for step in (0..self.o.steps).filter(|step| self.own[event].steps & (1 << step) != 0) {
                chain.push((step, event));
                if self.fits(chain) {
                    // What an excluded event would end may still get past it in the same moment.
                    found.extend(self.survives(chain, usize::MAX).then(|| chain.clone()));
                    self.extend(chain, begins, takes, found);
                }
                chain.pop();
            }
        }
    }

    /// Whether the last event of the chain may follow the others, exclusions aside.
    fn fits(&self, chain: &Chain) -> bool {
        let (&(step, event), before) = chain.split_last().unwrap();
        let moment = self.moment[event];
        let Some(&(step_before, event_before)) = before.last() else {
            return step == 0 || !self.anchored();
        };
        let moment_before = self.moment[event_before];
        let in_time = match self.o.ties {
            Ties::Increasing => moment > moment_before,
            Ties::InOrder | Ties::Tolerance { .. } => moment >= moment_before,
        };
        let from = match self.o.window {
            Window::FromFirst => self.at(self.first(chain)),
            Window::BetweenSteps => self.at(moment_before),
        };
        let in_order = if self.any() {
            before.iter().all(|(other, _)| *other != step)
        } else {
            step > step_before && (step_before + 1..step).all(|skipped| self.o.optional & (1 << skipped) != 0)
        };
        in_time
            && in_order
            && before.iter().all(|(_, other)| *other != event)
            && self.at(moment) - from <= self.o.window_us
            && (self.o.order != Order::Strict || self.is_uninterrupted(chain, moment))
    }

    /// Whether all events behind the first moment and before `until` are in the chain.
    fn is_uninterrupted(&self, chain: &Chain, until: usize) -> bool {
        let used = |moment: usize| chain.iter().filter(|(_, event)| self.moment[*event] == moment).count();
        (self.first(chain) + 1..until).all(|moment| used(moment) == self.moments[moment].1)
    }

    /// Whether no excluded event up to the moment `until` has ended the chain. With `usize::MAX`: none that it went past.
    fn survives(&self, chain: &Chain, until: usize) -> bool {
        let went_on = until == usize::MAX;
        let until = if went_on { self.last(chain) } else { until };
        (0..self.own.len()).filter(|x| self.moment[*x] <= until).all(|x| {
            (0..self.o.exclusions.len()).filter(|i| self.own[x].exclusions & (1 << i) != 0).all(|i| {
                let at = self.moment[x];
                !self.stands_between(chain, i, at) || self.reached_by(chain, i, at)
            })
        })
    }

    /// Whether the chain stood between the steps of exclusion `i` before moment `at`.
    fn stands_between(&self, chain: &Chain, i: usize, at: usize) -> bool {
        let e = self.o.exclusions[i];
        let before: Vec<_> = chain.iter().filter(|(_, event)| self.moment[*event] < at).collect();
        let Some((step, _)) = before.last() else { return false };
        if self.any() { before.len() < self.o.steps } else { (e.after_step..e.before_step).contains(step) }
    }

    /// Whether the chain reached the second step of exclusion `i` in moment `at` at the latest.
    fn reached_by(&self, chain: &Chain, i: usize, at: usize) -> bool {
        let by: Vec<_> = chain.iter().filter(|(_, event)| self.moment[*event] <= at).collect();
        if self.any() {
            return by.len() == self.o.steps;
        }
        by.last().is_some_and(|(step, _)| *step >= self.o.exclusions[i].before_step)
    }

    /// Whether the chain can go on in a moment at `time_us`, after moment `until`.
    fn is_open(&self, chain: &Chain, until: usize, time_us: i64) -> bool {
        let from = match self.o.window {
            Window::FromFirst => self.at(self.first(chain)),
            Window::BetweenSteps => self.at(self.last(chain)),
        };
        time_us - from <= self.o.window_us
            && self.survives(chain, until)
            && (self.o.order != Order::Strict || self.is_uninterrupted(chain, until + 1))
    }

    fn is_complete(&self, chain: &Chain) -> bool {
        if self.any() { chain.len() == self.o.steps } else { chain[chain.len() - 1].0 + 1 == self.o.steps }
    }

    fn steps(&self, chain: &Chain) -> u32 {
        if self.any() {
            return (1 << chain.len()) - 1;
        }
        chain.iter().fold(0, |steps, (step, _)| steps | 1 << step)
    }

    fn times(&self, chain: &Chain) -> Vec<Option<i64>> {
        let mut times = vec![None; self.o.steps];
        for (place, (step, event)) in chain.iter().enumerate() {
            times[if self.any() { place } else { *step }] = Some(self.at(self.moment[*event]));
        }
        times
    }

    fn required(&self, chain: &Chain) -> Vec<i64> {
        let times = self.times(chain);
        let required = (0..self.o.steps).filter(|step| self.any() || self.o.optional & (1 << step) == 0);
        required.filter_map(|step| times[step]).collect()
    }

    /// The attempts of this part, and the entries that were hit.
    fn attempts(&self) -> (Vec<Found>, Vec<i64>) {
        match (self.o.entry, self.o.counting) {
            (Entry::Latest, Counting::Persons) => {
                let chains = self.chains(&|moment| self.admits(moment, i64::MIN));
                let hits = self.hits(&chains, self.moments.len());
                (self.best(&chains, self.from_us).into_iter().collect(), hits)
            }
            (Entry::Latest, Counting::Conversions) => self.latest_conversions(),
            (Entry::First, counting) => self.first_attempts(counting == Counting::Conversions),
        }
    }

    /// The best of these chains, as far as they entered at `from_us` or later.
    fn best(&self, chains: &[Chain], from_us: i64) -> Option<Found> {
        let entered = chains.iter().filter(|chain| self.at(self.first(chain)) >= from_us);
        let best = entered.max_by_key(|chain| {
            let required = self.required(chain);
            let entry = self.at(self.first(chain));
            let steps = self.steps(chain);
            (required.len(), entry, Reverse(required), steps.count_ones(), steps, Reverse(self.times(chain)))
        })?;
        let entry_us = self.at(self.first(best));
        let steps = self.steps(best);
        let same_entry = || chains.iter().filter(|chain| self.at(self.first(chain)) == entry_us);
        let times = if self.o.optional != 0 {
            self.times(best)
        } else {
            let reached = |depth: usize| {
                let at = |chain: &Chain| chain.get(depth - 1).map(|(_, event)| self.at(self.moment[*event]));
                same_entry().filter_map(at).min()
            };
            (1..=self.o.steps).map(|depth| reached(depth).filter(|_| depth <= best.len())).collect()
        };
        let value = self.value(steps, &times);
        Some(Found { steps, entry_us, times, value })
    }

    /// The value of the first event that matches the attributed step in the moment it was reached.
    fn value(&self, steps: u32, times: &[Option<i64>]) -> Option<u32> {
        let Some(step) = self.attributed(steps) else { return Some(NO_VALUE) };
        if self.any() && self.has_ties() {
            return None;
        }
        let matches = |event: &usize| self.any() || self.own[*event].steps & (1 << step) != 0;
        let is_then = |event: &usize| Some(self.at(self.moment[*event])) == times[step];
        (0..self.own.len()).find(|event| is_then(event) && matches(event)).map(|event| self.own[event].value)
    }

    fn attributed(&self, steps: u32) -> Option<usize> {
        let step = match self.o.attribution {
            Attribution::FirstTouch => 0,
            Attribution::LastTouch => steps.ilog2() as usize,
            Attribution::Step(step) => step,
        };
        (steps & (1 << step) != 0).then_some(step)
    }

    fn has_ties(&self) -> bool {
        (0..self.moments.len()).any(|moment| self.events_of(moment).count() > 1)
    }

    /// The entries of these chains that were hit before moment `end`.
    fn hits(&self, chains: &[Chain], end: usize) -> Vec<i64> {
        let mut hits = Vec::new();
        if self.o.on_exclusion == super::rules::OnExclusion::BreakAttempt {
            return hits;
        }
        for x in (0..self.own.len()).filter(|x| self.moment[*x] < end) {
            let at = self.moment[x];
            for i in (0..self.o.exclusions.len()).filter(|i| self.own[x].exclusions & (1 << i) != 0) {
                for entry in 0..at {
                    let of_entry = || chains.iter().filter(|chain| self.first(chain) == entry);
                    let waits = of_entry().filter(|chain| self.last(chain) < at).any(|chain| {
                        self.stands_between(chain, i, at) && self.is_open(chain, at - 1, self.at(at))
                    });
                    let reached =
                        of_entry().any(|chain| self.last(chain) <= at && self.reached_by(chain, i, at));
                    if waits && !reached {
                        hits.push(self.at(entry));
                    }
                }
            }
        }
        hits
    }

    fn latest_conversions(&self) -> (Vec<Found>, Vec<i64>) {
        let (mut attempts, mut hits, mut next) = (Vec::new(), Vec::new(), 0);
        loop {
            let enters = |moment: &usize| self.admits(*moment, self.from_us) && self.has_entry(*moment);
            let Some(start) = (next..self.moments.len()).find(enters) else { return (attempts, hits) };
            let all = self.chains(&|moment| moment >= start && self.admits(moment, self.from_us));
            let (end, next_start, own) = self.end_of_latest(&all, start);
            attempts.extend(self.best(&own, i64::MIN));
            hits.extend(self.hits(&own, end));
            next = next_start;
        }
    }

    /// Behind which moment an attempt ends, where the next may begin, and the chains that belong to it.
    fn end_of_latest(&self, all: &[Chain], start: usize) -> (usize, usize, Vec<Chain>) {
        let up_to = |moment: usize, entered_before: usize| -> Vec<Chain> {
            let belongs = |chain: &&Chain| self.last(chain) <= moment && self.first(chain) < entered_before;
            all.iter().filter(belongs).cloned().collect()
        };
        for m in start..self.moments.len() {
            if m > start {
                let before = up_to(m - 1, m);
                if !before.iter().any(|chain| self.is_open(chain, m - 1, self.at(m))) {
                    return (m, m, before);
                }
                let old = up_to(m, m);
                let goes_on = |chain: &Chain| self.is_complete(chain) || self.is_open(chain, m, self.at(m));
                if !old.iter().any(goes_on) {
                    let gained = old.iter().any(|chain| self.last(chain) == m);
                    return (m + 1, if gained { m + 1 } else { m }, old);
                }
            }
            let now = up_to(m, m + 1);
            if now.iter().any(|chain| self.is_complete(chain)) {
                return (m + 1, m + 1, now);
            }
        }
        (self.moments.len(), self.moments.len(), all.to_vec())
    }

    fn first_attempts(&self, all: bool) -> (Vec<Found>, Vec<i64>) {
        let (mut attempts, mut hits, mut next) = (Vec::new(), Vec::new(), 0);
        loop {
            let enters = |moment: &usize| self.admits(*moment, self.from_us) && self.has_entry(*moment);
            let Some(start) = (next..self.moments.len()).find(enters) else { return (attempts, hits) };
            let (chain, is_hit, next_start) =
                if self.any() { self.any_from(start) } else { self.greedy_from(start) };
            let (entry_us, steps) = (self.at(start), self.steps(&chain));
            let times = self.times(&chain);
            let value = self.value(steps, &times);
            attempts.push(Found { steps, entry_us, times, value });
            hits.extend(is_hit.then_some(entry_us));
            if !all {
                return (attempts, hits);
            }
            next = next_start;
        }
    }

    /// The chain that takes what fits as soon as it fits; whether an excluded event hit it; where the next may begin.
    fn greedy_from(&self, start: usize) -> (Chain, bool, usize) {
        let mut chain = Chain::new();
        for m in start..self.moments.len() {
            if m > start && !self.is_open(&chain, m - 1, self.at(m)) {
                return (chain, false, m);
            }
            let mut ways = Vec::new();
            self.extend(&mut chain.clone(), &|moment| moment == m, &|moment| moment == m, &mut ways);
            let best = ways.into_iter().max_by_key(|way| {
                let (steps, last) = (self.steps(way), way[way.len() - 1].0);
                (self.required(way).len(), steps.count_ones(), Reverse(last), steps)
            });
            let gained = best.is_some();
            let is_hit =
                m > start && self.hits(&[chain.clone()], m + 1).len() > self.hits(&[chain.clone()], m).len();
            chain = best.unwrap_or(chain);
            if self.is_complete(&chain) || (gained && !self.is_open(&chain, m, self.at(m))) {
                return (chain, false, m + 1);
            }
            if !self.is_open(&chain, m, self.at(m)) {
                return (chain, is_hit, m);
            }
        }
        (chain, false, self.moments.len())
    }

    /// The most steps done in any order since `start`.
    fn any_from(&self, start: usize) -> (Chain, bool, usize) {
        let all = self.chains(&|moment| moment == start);
        let longest = |until: usize| {
            let by_then = all.iter().filter(|chain| self.last(chain) <= until);
            by_then.max_by_key(|chain| (chain.len(), Reverse(self.times(chain)))).cloned().unwrap_or_default()
        };
        let with_first_times = |chain: Chain| {
            // Of each depth when a chain reached it first.
            let mut chain = chain;
            for (place, taken) in chain.iter_mut().enumerate() {
                let events = all.iter().filter_map(|other| other.get(place)).map(|(_, event)| *event);
                taken.1 = events.min_by_key(|event| self.moment[*event]).unwrap();
            }
            chain
        };
        for m in start..self.moments.len() {
            if m > start && self.at(m) - self.at(start) > self.o.window_us {
                return (with_first_times(longest(m - 1)), false, m);
            }
            let now = longest(m);
            if self.is_complete(&now) {
                return (with_first_times(now), false, m + 1);
            }
            let excluded = m > start && self.events_of(m).any(|event| self.own[event].exclusions != 0);
            if excluded {
                let drops = self.o.on_exclusion == super::rules::OnExclusion::DropPerson;
                return (with_first_times(longest(m - 1)), drops, m);
            }
        }
        (with_first_times(longest(self.moments.len())), false, self.moments.len())
    }
}
