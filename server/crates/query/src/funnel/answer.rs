//! The numbers of a breakdown's values.

use footpath_engine::lens::Values;
use footpath_engine::metric::Sketch;
use footpath_engine::{FunnelTotals, Totals};

use super::FunnelSlice;
use crate::{ConversionTime, SliceValue};

/// The named values, the largest first, ties by value; then all others, not set, not reached, where anybody counts there.
pub(super) fn slices(totals: &FunnelTotals, values: &Values, top: usize) -> Vec<FunnelSlice> {
    let mut named = Vec::new();
    let mut rest = [(SliceValue::Other, None), (SliceValue::NotSet, None), (SliceValue::NotReached, None)];
    for (number, totals) in totals.by_value() {
        match values.value(number) {
            SliceValue::Is(text) => named.push((text, totals)),
            other => {
                let own = rest.iter_mut().find(|(value, _)| *value == other);
                own.into_iter().for_each(|(_, sum)| add(sum, totals));
            }
        }
    }
    let entered = |totals: &Totals| totals.reached().first().copied();
    named.sort_by(|(a, x), (b, y)| entered(y).cmp(&entered(x)).then_with(|| a.cmp(b)));
    for (_, totals) in named.iter().skip(top) {
        add(&mut rest[0].1, totals);
    }
    let of = |(text, totals): (String, &Totals)| {
        slice(SliceValue::Is(text), &Sum { reached: totals.reached().to_vec(), took: totals.took().clone() })
    };
    let named = named.into_iter().take(top).map(of);
    named.chain(rest.into_iter().filter_map(|(value, sum)| Some(slice(value, &sum?)))).collect()
}

/// What several values add up to.
struct Sum {
    reached: Vec<u64>,
    took: Sketch,
}

fn add(sum: &mut Option<Sum>, totals: &Totals) {
    let empty = || Sum { reached: vec![0; totals.reached().len()], took: Sketch::new() };
    let sum = sum.get_or_insert_with(empty);
    sum.reached.iter_mut().zip(totals.reached()).for_each(|(own, more)| *own += more);
    sum.took.merge(totals.took());
}

fn slice(value: SliceValue, sum: &Sum) -> FunnelSlice {
    FunnelSlice { value, reached: sum.reached.clone(), conversion_time: ConversionTime::of(&sum.took) }
}
