//! Why an attempt went no further.

use footpath_engine::Attempt;
use footpath_engine::general::{Order, Ties};

use super::seen::{One, Seen};
use super::serving::Serving;
use crate::funnel::{any_order, deadline};

/// Why a step was not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Nothing that matches it came later.
    NoEvent,
    /// It came, after the window.
    TooLate,
    /// An excluded event came first.
    Excluded,
    /// Another event came in between.
    Interrupted,
    /// It came with another value of a property that is held constant, or without it.
    OtherValue,
    /// It came in another session.
    OtherSession,
}

impl Reason {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoEvent => "no_event",
            Self::TooLate => "too_late",
            Self::Excluded => "excluded",
            Self::Interrupted => "interrupted",
            Self::OtherValue => "other_value",
            Self::OtherSession => "other_session",
        }
    }
}

/// Where and why an attempt stopped.
pub(super) struct Stopped {
    /// The step it did not reach, counted from 0.
    pub(super) before: usize,
    pub(super) reason: Reason,
    /// The event that is the reason.
    pub(super) event: Option<usize>,
    /// The moment of the last step it reached.
    pub(super) last_us: i64,
}

/// Where an attempt stopped; `None` if it converted.
pub(super) fn stopped(seen: &Seen<'_>, attempt: &Attempt, serving: &Serving) -> Option<Stopped> {
    let last = attempt.last_step()?;
    if last + 1 == seen.plan().steps() {
        return None;
    }
    let before = next_step(seen, serving, last);
    let last_us = attempt.reached_us(last).unwrap_or(attempt.entry_us);
    let looked = Looked { seen, serving, before, last, last_us };
    let (reason, event) = looked.reason(deadline(seen.plan(), attempt.entry_us, last_us));
    Some(Stopped { before, reason, event, last_us })
}

/// The next step that cannot be skipped; in any order the first that is missing.
fn next_step(seen: &Seen<'_>, serving: &Serving, last: usize) -> usize {
    let options = seen.plan().rules().options();
    let behind = last + 1..options.steps;
    if any_order(seen.plan()) {
        return (0..options.steps).find(|step| !serving.has_step(*step)).unwrap_or(last + 1);
    }
    behind.into_iter().find(|step| options.optional & (1 << step) == 0).unwrap_or(last + 1)
}

/// What is looked at: the events behind an attempt.
struct Looked<'s> {
    seen: &'s Seen<'s>,
    serving: &'s Serving,
    before: usize,
    last: usize,
    last_us: i64,
}

impl Looked<'_> {
    fn reason(&self, deadline_us: i64) -> (Reason, Option<usize>) {
        let later: Vec<usize> = self.events().filter(|i| self.one(*i).is(self.before)).collect();
        let Some(first) = later.first().copied() else { return (Reason::NoEvent, None) };
        let in_time = |i: &usize| self.one(*i).moment_us <= deadline_us;
        let own = later.iter().copied().filter(in_time).find(|i| self.is_own(*i));
        let Some(came) = own.or_else(|| later.iter().copied().find(in_time)) else {
            return (Reason::TooLate, Some(first));
        };
        if let Some(excluded) = self.excluded(self.one(came).moment_us) {
            return (Reason::Excluded, Some(excluded));
        }
        if own.is_some() {
            return (Reason::Interrupted, self.between(came));
        }
        let session = self.serving.part.map(|(start_us, _)| start_us);
        let same_session = session.is_none_or(|start_us| self.one(came).part.0 == start_us);
        (if same_session { Reason::OtherValue } else { Reason::OtherSession }, Some(came))
    }

    fn one(&self, i: usize) -> &One {
        &self.seen.all[i]
    }

    /// Events that could follow the last step.
    fn events(&self) -> impl Iterator<Item = usize> + '_ {
        let increasing = self.seen.plan().rules().options().ties == Ties::Increasing;
        let follows = move |one: &One| {
            if increasing { one.moment_us > self.last_us } else { one.moment_us >= self.last_us }
        };
        let first = self.seen.all.partition_point(|one| one.moment_us < self.last_us);
        (first..self.seen.all.len())
            .filter(move |i| follows(self.one(*i)) && self.serving.step_of(*i).is_none())
    }

    fn is_own(&self, i: usize) -> bool {
        self.serving.part.is_none_or(|part| self.one(i).part == part)
    }

    /// The first excluded event that ends the attempt, up to this moment.
    fn excluded(&self, until_us: i64) -> Option<usize> {
        let exclusions = self.seen.plan().rules().options().exclusions.iter().enumerate();
        let any = any_order(self.seen.plan());
        let waits = |(_, e): &(usize, &footpath_engine::general::Exclusion)| {
            any || (e.after_step..e.before_step).contains(&self.last)
        };
        let bits = exclusions.filter(waits).fold(0_u16, |bits, (i, _)| bits | 1 << i);
        let ends = |i: &usize| {
            let one = self.one(*i);
            one.event.exclusions & bits != 0
                && self.is_own(*i)
                && (self.last_us + 1..=until_us).contains(&one.moment_us)
        };
        self.events().find(ends)
    }

    /// The event that came in between.
    fn between(&self, came: usize) -> Option<usize> {
        let strict = self.seen.plan().rules().options().order == Order::Strict;
        let last = self.serving.last_event()?;
        (last + 1..came).find(|i| strict || self.one(*i).matches())
    }
}
