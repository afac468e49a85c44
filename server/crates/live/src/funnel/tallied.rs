//! What a funnel's units add up to, and who changes it next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use footpath_engine::lens::{Values, slices};
use footpath_engine::{FunnelTotals, Plan, SliceValue, Tallies, Totals, UnitFunnel};
use footpath_model::definition::FunnelDefinition;

use crate::hub::{CAUSES, Cause, CauseTotal, FunnelNumbers, Slice};
use crate::reconciliation::Figures;
use crate::table::{State, Unit};

/// Values of a breakdown that are named; the others are added up.
const NAMED: usize = 10;

/// It is not queued.
pub(super) const NEVER: i64 = i64::MAX;

/// One person (or group) in one funnel.
#[derive(Debug)]
pub(super) struct FunnelUnit {
    /// The fold over its events.
    pub(super) fold: UnitFunnel,
    /// What it counts for.
    pub(super) counts: Tallies,
    /// The earliest moment that it is queued under, to leave a range that moves. Then it is judged, and queued again under the
    /// moment that holds by then: so it is queued about once, however often the moment moves on.
    pub(super) leaves_after: i64,
}

impl FunnelUnit {
    pub(super) fn new(plan: &Plan, from_us: i64) -> Self {
        Self { fold: UnitFunnel::new(plan, from_us), counts: Tallies::None, leaves_after: NEVER }
    }
}

impl State for FunnelUnit {
    fn encode(&self, out: &mut Vec<u8>) {
        self.fold.encode(out);
    }

    #[inline]
    fn warm(&self) -> i64 {
        self.fold.warm() ^ self.leaves_after
    }
}

/// The numbers, and who changes them next.
#[derive(Debug)]
pub(super) struct Tallied {
    pub(super) totals: FunnelTotals,
    causes: [CauseTotal; CAUSES],
    /// The range's beginning, and whether it moves.
    pub(super) from_us: i64,
    pub(super) moves: bool,
    /// (moment, unit): when the range's beginning passes the moment, the unit is judged again.
    pub(super) leaving: BinaryHeap<Reverse<(i64, u64)>>,
    pub(super) changed: bool,
}

impl Tallied {
    /// Nobody yet, of a funnel of so many steps; `range` is its beginning, and whether it moves.
    pub(super) fn new(steps: usize, by_value: bool, (from_us, moves): (i64, bool)) -> Self {
        Self {
            totals: FunnelTotals::new(steps, by_value),
            causes: Default::default(),
            from_us,
            moves,
            leaving: BinaryHeap::new(),
            changed: true,
        }
    }

    /// Counts a unit for what it is worth now.
    #[inline]
    pub(super) fn judge(&mut self, plan: &Plan, unit: &mut Unit<FunnelUnit>, cause: Cause) {
        let now = unit.state.fold.tallies(plan, self.from_us);
        if self.moves
            && let Some(moment) = unit.state.fold.falls_after(plan, self.from_us)
            && moment < unit.state.leaves_after
        {
            unit.state.leaves_after = moment;
            self.queue(unit.key, moment);
        }
        if unit.state.counts != now {
            let before = std::mem::replace(&mut unit.state.counts, now);
            self.count(cause, &before, &unit.state.counts);
        }
    }

    /// Has a unit judged when the range's beginning passes the moment.
    pub(super) fn queue(&mut self, unit: u64, moment: i64) {
        if self.moves && moment != NEVER {
            self.leaving.push(Reverse((moment, unit)));
        }
    }

    /// One unit counts for something else.
    pub(super) fn count(&mut self, cause: Cause, before: &Tallies, now: &Tallies) {
        self.totals.shift(before, now);
        self.causes[cause as usize].count(before, now);
        self.changed = true;
    }

    /// As they are shown; `values` names those of the breakdown.
    pub(super) fn numbers(&self, definition: &FunnelDefinition, values: &Values) -> FunnelNumbers {
        let all = self.totals.all();
        FunnelNumbers {
            reached: all.reached().to_vec(),
            took: all.took().clone(),
            causes: self.causes.clone(),
            slices: if definition.breakdown.is_some() { self.slices(values) } else { Vec::new() },
            ..FunnelNumbers::nothing(definition)
        }
    }

    fn slices(&self, values: &Values) -> Vec<Slice> {
        let slice = |(value, totals): (SliceValue, Totals)| Slice {
            value,
            reached: totals.reached().to_vec(),
            took: totals.took().clone(),
        };
        slices(&self.totals, values, NAMED).into_iter().map(slice).collect()
    }

    /// As they are compared.
    pub(super) fn figures(&self, values: &Values) -> Figures {
        let all = (String::new(), self.totals.all());
        // Which values are kept apart depends on the order of arrival once there are too many.
        let apart = self.totals.by_value().filter(|_| !values.overflow());
        let by_value = apart.map(|(value, totals)| (format!("{:?} ", values.value(value)), totals));
        let mut figures = Figures::new();
        for (value, totals) in std::iter::once(all).chain(by_value) {
            for (step, reached) in totals.reached().iter().enumerate().filter(|(_, reached)| **reached > 0) {
                figures.insert(format!("{value}step {}", step + 1), reached.to_string());
            }
            let took: Vec<_> = totals.took().counts().collect();
            if !took.is_empty() {
                figures.insert(format!("{value}conversion time"), format!("{took:?}"));
            }
        }
        figures
    }
}
