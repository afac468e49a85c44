//! Counting: every unit is folded and added up.

use footpath_engine::metric::Sketch;
use footpath_engine::{Attempt, FunnelTotals, Rules, SlimEvent, Tally, fold_person};
use footpath_history::{Scan, StoredRow};
use footpath_model::definition::Counting;

use super::reach::times;
use super::{Folds, Prepared};
use crate::sessions::InSessions;
use crate::units::Units;
use crate::{QueryError, Span};

/// What units add up to.
#[derive(Debug, Clone)]
pub(crate) struct Sums {
    pub(crate) totals: FunnelTotals,
    /// From each step to the next, in microseconds; empty if nobody asked.
    pub(crate) steps: Vec<Sketch>,
}

impl Sums {
    pub(crate) fn new(steps: usize, by_value: bool, step_times: bool) -> Self {
        let sketches = if step_times { steps.saturating_sub(1) } else { 0 };
        Self { totals: FunnelTotals::new(steps, by_value), steps: vec![Sketch::new(); sketches] }
    }

    /// Counts all that the other has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.totals.merge(&other.totals);
        self.steps.iter_mut().zip(&other.steps).for_each(|(own, more)| own.merge(more));
    }

    /// Counts an attempt at a funnel of so many steps.
    pub(crate) fn add(&mut self, attempt: &Attempt, steps: usize) {
        self.totals.add(&Tally::of(attempt, steps));
        for (step, sketch) in self.steps.iter_mut().enumerate() {
            if let (Some(from_us), Some(to_us)) = (attempt.reached_us(step), attempt.reached_us(step + 1)) {
                sketch.add((to_us - from_us) as f64);
            }
        }
    }
}

impl Prepared<'_> {
    /// Counts all units over a span of entries, and the events looked at.
    pub(crate) fn count(&self, span: Span, step_times: bool) -> Result<(Sums, u64), QueryError> {
        let folds = Folds::new(self, span)?;
        let steps = folds.plan.steps();
        let mut sums = Sums::new(steps, self.is_broken_down(), step_times);
        if let Some(rules) = folds.plan.fast()
            && let Some(events) = self.count_heads(&folds, rules, &mut sums)?
        {
            return Ok((sums, events));
        }
        if let Some(rules) = folds.plan.fast().filter(|_| !step_times && self.names.is_some()) {
            let events = self.count_fast(&folds, rules, &mut sums.totals)?;
            return Ok((sums, events));
        }
        let events = self.each_unit(&folds, &mut |_, attempts| {
            attempts.iter().for_each(|attempt| sums.add(attempt, steps));
        })?;
        Ok((sums, events))
    }

    /// Calls `each` once for every unit that has events, with its attempts.
    pub(crate) fn each_unit(
        &self,
        folds: &Folds,
        each: &mut dyn FnMut(u64, Vec<Attempt>),
    ) -> Result<u64, QueryError> {
        self.each_units_events(times(&folds.plan, folds.span), &mut |unit, events| {
            each(unit, folds.attempts(&events));
        })
    }

    /// Calls `each` once for every unit, with its events of these times. Where sessions are counted there are enough from before
    /// to know which session each is in.
    pub(crate) fn each_units_events(
        &self,
        times_us: (i64, i64),
        each: &mut dyn FnMut(u64, Vec<footpath_engine::FunnelEvent>),
    ) -> Result<u64, QueryError> {
        if let Some(events) = self.each_of_heads(times_us, each)? {
            return Ok(events);
        }
        let units =
            Units { pinned: self.source.pinned, scan: self.scan(times_us), unit: &|row| self.unit(row) };
        if self.definition().counting == Counting::Sessions {
            let in_sessions = InSessions { units, rules: self.source.sessions, graph: &self.graph };
            return Ok(in_sessions.each(&mut |row| self.event(row), each)?);
        }
        Ok(units.each(&mut |row| self.event(row), each)?)
    }

    fn count_fast(&self, folds: &Folds, rules: &Rules, totals: &mut FunnelTotals) -> Result<u64, QueryError> {
        let scan = self.scan(times(&folds.plan, folds.span));
        let units = Units { pinned: self.source.pinned, scan, unit: &|row| self.unit(row) };
        let from_us = folds.span.from_us;
        let read = units.each(&mut |row| self.slim(row), &mut |_, events| {
            let state = fold_person(rules, &events);
            let depth = state.depth(from_us);
            if depth > 0 {
                let took_us = (depth == rules.steps()).then(|| state.took_us());
                totals.add(&Tally::new((1 << depth) - 1, 0, took_us));
            }
        })?;
        Ok(read)
    }

    fn slim(&self, row: &StoredRow<'_>) -> Option<SlimEvent> {
        let mask = self.mask(row);
        (mask != 0).then(|| SlimEvent { time_us: row.head.time_us, id: row.head.id.as_u128(), mask })
    }

    /// What is read of these times.
    pub(crate) fn scan(&self, (from_us, to_us): (i64, i64)) -> Scan<'_> {
        let names = self.names.as_ref();
        Scan { from_us, to_us, names, columns: self.columns, ..self.source.all() }
    }
}
