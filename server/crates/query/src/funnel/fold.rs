//! One unit's events folded: by sessions where these are counted, by held values, by neither.

use footpath_engine::general::{Options, Parts};
use footpath_engine::{Attempt, FunnelEvent, GeneralRules, Plan, SessionRules, fold_general, fold_sessions};
use footpath_model::definition::Counting;

use super::Prepared;
use crate::values::Values;
use crate::{QueryError, Span};

/// How units are folded over one span.
pub(crate) struct Folds<'p> {
    pub(crate) plan: Plan,
    pub(crate) span: Span,
    sessions: Option<SessionRules>,
    /// Where sessions are counted and values held: the rules of one session, which is the best of its parts.
    one_session: Option<GeneralRules>,
    /// Where parts are compared by their values.
    values: Option<&'p Values>,
}

impl<'p> Folds<'p> {
    pub(crate) fn new(prepared: &'p Prepared<'_>, span: Span) -> Result<Self, QueryError> {
        let plan = prepared.plan(span)?;
        let by_session = prepared.definition().counting == Counting::Sessions;
        let one_session = if by_session && prepared.holds() {
            let options = Options { parts: Parts::BestOf, ..plan.rules().options().clone() };
            Some(GeneralRules::new(options)?)
        } else {
            None
        };
        Ok(Self {
            plan,
            span,
            sessions: by_session.then_some(prepared.source.sessions),
            one_session,
            values: (prepared.holds() && prepared.is_broken_down()).then_some(&prepared.values),
        })
    }

    /// What a unit's sorted events count for.
    pub(crate) fn attempts(&self, mut events: Vec<FunnelEvent>) -> Vec<Attempt> {
        let Some(values) = self.values else { return self.of_unit(&mut events) };
        let numbers = renumber(&mut events, values);
        let mut attempts = self.of_unit(&mut events);
        let known = |attempt: &Attempt| numbers.get(attempt.value as usize).copied();
        attempts.iter_mut().for_each(|attempt| attempt.value = known(attempt).unwrap_or(attempt.value));
        attempts
    }

    fn of_unit(&self, events: &mut [FunnelEvent]) -> Vec<Attempt> {
        let Some(sessions) = &self.sessions else { return self.fold(self.plan.rules(), events) };
        let starts = session_starts(sessions, events);
        if let Some(rules) = &self.one_session {
            let mut of_sessions = Vec::new();
            let mut rest = &*events;
            for same in starts.chunk_by(|a, b| a == b) {
                let (own, later) = rest.split_at(same.len());
                rest = later;
                of_sessions.extend(self.fold(rules, own));
            }
            return of_sessions;
        }
        events.iter_mut().zip(starts).for_each(|(event, start_us)| event.part = session_part(start_us));
        self.fold(self.plan.rules(), events)
    }

    fn fold(&self, rules: &GeneralRules, events: &[FunnelEvent]) -> Vec<Attempt> {
        fold_general(rules, self.span.from_us, events.iter().copied())
    }
}

/// When the session of each of a person's sorted events began.
pub(crate) fn session_starts(rules: &SessionRules, events: &[FunnelEvent]) -> Vec<i64> {
    let slots = fold_sessions(rules, events.iter().map(|event| event.time_us));
    slots.map(|slot| slot.start_us).collect()
}

/// The part that a session is; never 0, which is none.
pub(crate) fn session_part(start_us: i64) -> u64 {
    start_us.unsigned_abs().wrapping_add(1)
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
