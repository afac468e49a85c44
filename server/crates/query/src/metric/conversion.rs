//! A funnel's conversion by the time of entry: every column is a range of its own.

use std::collections::{BTreeMap, BTreeSet};

use footpath_engine::general::Ties;
use footpath_engine::lens::Values;
use footpath_engine::metric::Ratio;
use footpath_engine::metric::set::SeriesKey;
use footpath_engine::{FunnelEvent, FunnelTotals, Totals};
use footpath_model::control::CountedFunnel;
use footpath_model::definition::Counting;

use super::{Cut, Measured, Measuring, MetricSeries, Rows, Table};
use crate::funnel::{Folds, Prepared, Sums, any_order, times};
use crate::{QueryError, SliceValue, Source};

/// The share of those who entered that reached a step.
pub(super) struct Conversion<'a> {
    prepared: Prepared<'a>,
    /// Counted from 0.
    step: usize,
}

impl<'a> Conversion<'a> {
    pub(super) fn new(
        source: &'a Source<'a>,
        funnel: &'a CountedFunnel,
        step: u32,
    ) -> Result<Self, QueryError> {
        let steps = funnel.definition.steps.len();
        let asked = if step == 0 { steps } else { step as usize };
        let at = asked.checked_sub(1).filter(|at| *at < steps).ok_or(QueryError::Step { step, steps })?;
        Ok(Self { prepared: Prepared::new(source, funnel, None)?, step: at })
    }

    fn ranges(&self, cut: &Cut) -> Result<Ranges, QueryError> {
        let prepared = &self.prepared;
        let range = |span| -> Result<_, QueryError> {
            let folds = Folds::new(prepared, span)?;
            let sums = Sums::new(folds.plan.steps(), prepared.is_broken_down(), false);
            Ok((folds, sums))
        };
        let columns = cut.columns.iter().filter(|_| cut.is_cut);
        Ok(Ranges {
            whole: range(cut.span)?,
            columns: columns.map(|column| range(*column)).collect::<Result<_, _>>()?,
            in_sessions: prepared.definition().counting == Counting::Sessions,
        })
    }

    fn measured(&self, reached: &[u64]) -> Measured {
        let (entered, got_there) = (reached.first().copied(), reached.get(self.step).copied());
        let (denominator, numerator) = (entered.unwrap_or_default(), got_there.unwrap_or_default());
        let value = (denominator > 0).then(|| numerator as f64 / denominator as f64);
        Measured::Ratio(Ratio { value, numerator_samples: numerator, denominator_samples: denominator })
    }

    /// The series of what `pick` takes of a column's numbers.
    fn series(
        &self,
        ranges: &Ranges,
        value: Option<SliceValue>,
        pick: &dyn Fn(&FunnelTotals) -> Vec<u64>,
    ) -> MetricSeries {
        let of = |(_, sums): &(Folds, Sums)| self.measured(&pick(&sums.totals));
        let buckets = ranges.columns.iter().map(|column| (column.0.span.from_us, of(column)));
        let buckets = buckets.filter(|(_, measured)| measured.samples() > 0).collect();
        MetricSeries { value, total: of(&ranges.whole), buckets }
    }

    fn rows(&self, ranges: &Ranges, keys: &[SeriesKey]) -> Vec<MetricSeries> {
        let named = keys.iter().map(|key| {
            self.series(ranges, Some(self.prepared.values().of_series(*key)), &|totals| {
                sum(totals, |value| key_of(value) == *key)
            })
        });
        let rest = self.series(ranges, Some(SliceValue::Other), &|totals| {
            sum(totals, |value| !keys.contains(&key_of(value)))
        });
        named.chain(Some(rest).filter(|rest| rest.total.samples() > 0)).collect()
    }
}

impl Measuring for Conversion<'_> {
    fn table(&self, cut: &Cut, rows: Rows<'_>) -> Result<Table, QueryError> {
        let mut ranges = self.ranges(cut)?;
        let whole_us = times(&ranges.whole.0.plan, cut.span);
        let events = self.prepared.each_units_events(whole_us, &mut |_, events| ranges.add(cut, events))?;
        let keys = match rows {
            Rows::These(keys) => keys.to_vec(),
            Rows::Largest(top) => largest(&ranges.whole.1.totals, self.prepared.values(), top),
        };
        Ok(Table {
            rows: self.prepared.is_broken_down().then(|| self.rows(&ranges, &keys)),
            total: self.series(&ranges, None, &|totals| totals.all().reached().to_vec()),
            overflow: self.prepared.values().overflow(),
            keys,
            events,
        })
    }
}

/// The whole span and its columns, each with its numbers.
struct Ranges {
    whole: (Folds, Sums),
    columns: Vec<(Folds, Sums)>,
    in_sessions: bool,
}

impl Ranges {
    /// Counts a unit's sorted events in the whole span, and in every column that it can have entered in.
    fn add(&mut self, cut: &Cut, events: Vec<FunnelEvent>) {
        if !self.columns.is_empty() {
            for column in self.entered(cut, &events) {
                let (folds, sums) = &mut self.columns[column];
                let own = if self.in_sessions { &events[..] } else { within(folds, &events) };
                count(folds, sums, own);
            }
        }
        count(&self.whole.0, &mut self.whole.1, &events);
    }

    /// The columns in which a chain can begin.
    fn entered(&self, cut: &Cut, events: &[FunnelEvent]) -> BTreeSet<usize> {
        let plan = &self.whole.0.plan;
        let options = plan.rules().options();
        // With a tolerance an entry may be dated by another event of its moment.
        let any = any_order(plan) || matches!(options.ties, Ties::Tolerance { .. });
        let enters = |event: &&FunnelEvent| any || event.steps & 1 != 0;
        events.iter().filter(enters).filter_map(|event| cut.column(event.time_us)).collect()
    }
}

/// Of a unit's sorted events those that can matter to a column.
fn within<'e>(folds: &Folds, events: &'e [FunnelEvent]) -> &'e [FunnelEvent] {
    let (from_us, to_us) = times(&folds.plan, folds.span);
    let first = events.partition_point(|event| event.time_us < from_us);
    let end = events.partition_point(|event| event.time_us < to_us);
    &events[first..end.max(first)]
}

fn count(folds: &Folds, sums: &mut Sums, events: &[FunnelEvent]) {
    let steps = folds.plan.steps();
    folds.attempts(events).iter().for_each(|attempt| sums.add(attempt, steps));
}

fn key_of(value: u32) -> SeriesKey {
    SeriesKey::Value(value)
}

/// Who reached each step, over the values that are wanted.
fn sum(totals: &FunnelTotals, wanted: impl Fn(u32) -> bool) -> Vec<u64> {
    let mut reached = vec![0; totals.all().reached().len()];
    for (_, totals) in totals.by_value().filter(|(value, _)| wanted(*value)) {
        reached.iter_mut().zip(totals.reached()).for_each(|(sum, more)| *sum += more);
    }
    reached
}

/// The values with the most entries, ties by value.
fn largest(totals: &FunnelTotals, values: &Values, top: usize) -> Vec<SeriesKey> {
    let entered = |totals: &Totals| totals.reached().first().copied().unwrap_or_default();
    let mut ranked: BTreeMap<_, SeriesKey> = BTreeMap::new();
    for (value, totals) in totals.by_value() {
        let named = values.value(value);
        if named != SliceValue::Other {
            ranked.insert((std::cmp::Reverse(entered(totals)), named), key_of(value));
        }
    }
    ranked.into_values().take(top).collect()
}
