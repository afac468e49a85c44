//! One unit's events folded.

use footpath_engine::lens::Values;
use footpath_engine::{Attempt, FunnelEvent, Plan};

use super::Prepared;
use crate::{QueryError, Span};

/// How units are folded over one span.
pub(crate) struct Folds<'p> {
    pub(crate) plan: Plan,
    pub(crate) span: Span,
    /// Where parts are compared by their values.
    values: Option<&'p Values>,
}

impl<'p> Folds<'p> {
    pub(crate) fn new(prepared: &'p Prepared<'_>, span: Span) -> Result<Self, QueryError> {
        let compares = prepared.holds() && prepared.is_broken_down();
        Ok(Self { plan: prepared.plan(span)?, span, values: compares.then_some(prepared.values()) })
    }

    /// What a unit's sorted events count for.
    pub(crate) fn attempts(&self, mut events: Vec<FunnelEvent>) -> Vec<Attempt> {
        let Some(values) = self.values else { return self.plan.attempts(self.span.from_us, &events) };
        let numbers = renumber(&mut events, values);
        let mut attempts = self.plan.attempts(self.span.from_us, &events);
        let known = |attempt: &Attempt| numbers.get(attempt.value as usize).copied();
        attempts.iter_mut().for_each(|attempt| attempt.value = known(attempt).unwrap_or(attempt.value));
        attempts
    }
}

/// Numbers the values of a unit's events by their texts, from 0: of parts that are equally good the kernel takes the one with
/// the smallest number, which must not depend on what was read first. Gives the numbers they had.
fn renumber(events: &mut [FunnelEvent], values: &Values) -> Vec<u32> {
    let mut numbers: Vec<u32> = events.iter().map(|event| event.value).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.sort_unstable_by(|a, b| values.compare(*a, *b));
    let rank = |number: u32| {
        let found = numbers.binary_search_by(|known| values.compare(*known, number));
        found.map_or(0, |rank| rank as u32)
    };
    events.iter_mut().for_each(|event| event.value = rank(event.value));
    numbers
}
