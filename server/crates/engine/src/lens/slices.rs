//! The numbers of a breakdown's values.

use std::cmp::Reverse;

use super::Values;
use crate::{FunnelTotals, SliceValue, Totals};

/// So many values by name, those that most entered first, ties by name; then all others, not set, not reached, where anybody
/// counts there.
pub fn slices(totals: &FunnelTotals, values: &Values, top: usize) -> Vec<(SliceValue, Totals)> {
    let entered = |totals: &Totals| Reverse(totals.reached().first().copied());
    let mut named: Vec<(SliceValue, &Totals)> = Vec::new();
    let mut rest = [SliceValue::Other, SliceValue::NotSet, SliceValue::NotReached].map(|value| (value, None));
    for (number, own) in totals.by_value() {
        let value = values.value(number);
        match rest.iter_mut().find(|(special, _)| *special == value) {
            Some((_, sum)) => add(sum, own),
            None => named.push((value, own)),
        }
    }
    named.sort_by(|(a, x), (b, y)| entered(x).cmp(&entered(y)).then_with(|| a.cmp(b)));
    named.iter().skip(top).for_each(|(_, own)| add(&mut rest[0].1, own));
    let named = named.into_iter().take(top).map(|(value, own)| (value, own.clone()));
    named.chain(rest.into_iter().filter_map(|(value, sum)| Some((value, sum?)))).collect()
}

fn add(sum: &mut Option<Totals>, own: &Totals) {
    match sum {
        Some(sum) => sum.merge(own),
        None => *sum = Some(own.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tally;
    use crate::general::NO_VALUE;

    #[test]
    fn the_largest_are_named_ties_by_name_and_what_is_no_value_comes_last() {
        let values = Values::default();
        let mut totals = FunnelTotals::new(2, true);
        for (value, entered) in [("c", 1), ("b", 2), ("a", 1), ("d", 1)] {
            let number = values.number(Some(value));
            (0..entered).for_each(|_| totals.add(&Tally::new(1, number, None)));
        }
        (0..9).for_each(|_| totals.add(&Tally::new(1, values.number(None), None)));
        totals.add(&Tally::new(1, NO_VALUE, None));
        let found = slices(&totals, &values, 2).into_iter().map(|(value, own)| (value, own.reached()[0]));
        let is = |text: &str| SliceValue::Is(text.into());
        let wanted = [
            (is("b"), 2),
            (is("a"), 1),
            (SliceValue::Other, 2),
            (SliceValue::NotSet, 9),
            (SliceValue::NotReached, 1),
        ];
        assert_eq!(found.collect::<Vec<_>>(), wanted);
    }
}
