//! The order of a breakdown's rows.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::metric::item::Currency;
use crate::metric::set::SeriesKey;
use crate::metric::value::MetricValue;

/// The series by their totals, largest first, ties by name.
pub(super) fn ranked<N: Ord>(
    totals: Vec<(SeriesKey, MetricValue)>,
    name: impl Fn(u32) -> N,
) -> Vec<SeriesKey> {
    let unit = unit_with_most_numbers(&totals);
    let mut rows: Vec<_> = totals
        .iter()
        .map(|(key, total)| {
            let amount = total.by_unit().into_iter().find(|(own, _)| *own == unit).map(|(_, amount)| amount);
            (*key, amount.map_or(f64::NEG_INFINITY, |amount| amount), name_of(*key, &name))
        })
        .collect();
    rows.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.2.cmp(&b.2)).then_with(|| a.0.cmp(&b.0)));
    rows.into_iter().map(|(key, ..)| key).collect()
}

/// What has no name comes after all names.
fn name_of<N: Ord>(key: SeriesKey, name: impl Fn(u32) -> N) -> (bool, Option<N>) {
    match key {
        SeriesKey::Value(value) => (false, Some(name(value))),
        SeriesKey::NotSet | SeriesKey::Rest => (true, None),
    }
}

fn unit_with_most_numbers(totals: &[(SeriesKey, MetricValue)]) -> Option<Currency> {
    let mut numbers: BTreeMap<Option<Currency>, u64> = BTreeMap::new();
    for (unit, samples) in totals.iter().flat_map(|(_, total)| total.samples_by_unit()) {
        let all = numbers.entry(unit).or_default();
        *all = all.saturating_add(samples);
    }
    let most = numbers.into_iter().max_by_key(|(unit, samples)| (*samples, Reverse(*unit)));
    most.and_then(|(unit, _)| unit)
}
