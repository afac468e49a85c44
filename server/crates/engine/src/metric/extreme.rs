//! The smallest or the largest number.

use std::cmp::Ordering;

use crate::metric::by_unit::ByUnit;
use crate::metric::codec::{BadBytes, put, take};
use crate::metric::item::{Currency, ItemValue};
use crate::metric::partial::Retraction;
use crate::metric::scalar::Scalar;
use crate::metric::value::UnitAmount;

/// The smallest number added, or the largest, one for each unit. Numbers are compared by value without rounding, whatever
/// form they were sent in.
#[derive(Debug, Clone, PartialEq)]
pub struct Extreme {
    side: Ordering,
    best: ByUnit<Best>,
}

#[derive(Debug, Clone, PartialEq)]
struct Best {
    number: Scalar,
    /// How often it was added: retracting all but one of them needs no recount.
    times: u64,
    /// How many numbers were added.
    numbers: u64,
}

impl Extreme {
    /// The smallest of nothing.
    pub fn min() -> Self {
        Self { side: Ordering::Less, best: ByUnit::default() }
    }

    /// The largest of nothing.
    pub fn max() -> Self {
        Self { side: Ordering::Greater, best: ByUnit::default() }
    }

    /// Whether nothing was added, or all of it was retracted.
    pub fn is_empty(&self) -> bool {
        self.best.is_empty()
    }

    /// Adds a number.
    pub fn add(&mut self, value: &ItemValue<'_>) {
        let number = Scalar::of(value.number());
        self.offer(value.unit(), &Best { number, times: 1, numbers: 1 });
    }

    /// Takes a number away; stale if it was the last one of the extreme, and others are left.
    pub fn retract(&mut self, value: &ItemValue<'_>) -> Retraction {
        let Some(best) = self.best.get_mut(value.unit()) else { return Retraction::Stale };
        if best.numbers == 1 {
            self.best.remove(value.unit());
            return Retraction::Done;
        }
        let order = Scalar::of(value.number()).compare(&best.number);
        if order == self.side || (order.is_eq() && best.times == 1) {
            return Retraction::Stale;
        }
        best.times -= u64::from(order.is_eq());
        best.numbers -= 1;
        Retraction::Done
    }

    /// Adds all numbers of the other.
    pub fn merge(&mut self, other: &Self) {
        for (unit, best) in other.best.iter() {
            self.offer(unit, best);
        }
    }

    fn offer(&mut self, unit: Option<Currency>, other: &Best) {
        let side = self.side;
        let new = || Best { number: other.number.clone(), times: 0, numbers: 0 };
        let best = self.best.entry(unit, new);
        best.numbers = best.numbers.saturating_add(other.numbers);
        let order = other.number.compare(&best.number);
        if order == side {
            best.number = other.number.clone();
            best.times = other.times;
        } else if order.is_eq() {
            best.times = best.times.saturating_add(other.times);
        }
    }

    /// The extreme of each unit.
    pub fn amounts(&self) -> Vec<UnitAmount> {
        let one = |(unit, best): (_, &Best)| UnitAmount {
            unit,
            amount: best.number.amount(),
            samples: best.numbers,
        };
        self.best.iter().map(one).collect()
    }

    /// Appends the state.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.best.encode(out, |best, out| {
            best.number.encode(out);
            put(out, best.times);
            put(out, best.numbers);
        });
    }

    /// Reads a state of this side into an empty one, from the front of `bytes`, and moves them behind it.
    ///
    /// # Errors
    /// [`BadBytes`] if they are no such state.
    pub fn decode(self, bytes: &mut &[u8]) -> Result<Self, BadBytes> {
        let best = ByUnit::decode(bytes, |bytes| {
            let best = Best { number: Scalar::decode(bytes)?, times: take(bytes)?, numbers: take(bytes)? };
            let sound = best.times >= 1 && best.times <= best.numbers;
            if sound { Ok(best) } else { Err(BadBytes) }
        })?;
        Ok(Self { best, ..self })
    }
}

#[cfg(test)]
mod tests {
    use footpath_model::props::Value;
    use proptest::prelude::*;

    use super::*;
    use crate::metric::value::Amount;

    fn value(value: &Value<'static>) -> ItemValue<'static> {
        ItemValue::of(value).unwrap()
    }

    #[test]
    fn the_last_extreme_cannot_be_retracted_and_says_so() {
        let int = |number| value(&Value::Int(number));
        let mut max = Extreme::max();
        for number in [3, 7, 7] {
            max.add(&int(number));
        }
        assert_eq!(max.retract(&int(7)), Retraction::Done);
        assert_eq!(max.retract(&int(7)), Retraction::Stale);
        assert_eq!(max.retract(&int(9)), Retraction::Stale);
        assert_eq!(max.retract(&int(3)), Retraction::Done);
        assert_eq!(max.amounts()[0].amount, Amount::Decimal("7".into()));
        assert_eq!(max.retract(&int(7)), Retraction::Done);
        assert_eq!((max.is_empty(), max.retract(&int(7))), (true, Retraction::Stale));
    }

    #[test]
    fn currencies_are_kept_apart() {
        let money = |currency, units| value(&Value::Money { currency, units, nanos: 0 });
        let mut min = Extreme::min();
        for item in [money("USD", 1), money("EUR", 5), money("EUR", 2), value(&Value::Double(-1.5))] {
            min.add(&item);
        }
        let found: Vec<_> = min.amounts().into_iter().map(|a| (a.unit, a.amount.to_string())).collect();
        let (eur, usd) = (Currency::new("EUR"), Currency::new("USD"));
        assert_eq!(found, [(None, "-1.5".into()), (eur, "2".into()), (usd, "1".into())]);
    }

    proptest! {
        #[test]
        fn any_order_and_split_is_the_naive_extreme(
            numbers in prop::collection::vec(-20_i64..20, 1..40),
            split: u64,
            retracted in prop::collection::vec(any::<bool>(), 40),
        ) {
            let (mut a, mut b) = (Extreme::min(), Extreme::min());
            for (i, number) in numbers.iter().enumerate() {
                let half = if split >> i & 1 == 0 { &mut a } else { &mut b };
                half.add(&value(&Value::Double(*number as f64 / 4.0)));
            }
            a.merge(&b);
            let mut bytes = Vec::new();
            a.encode(&mut bytes);
            let mut a = Extreme::min().decode(&mut bytes.as_slice()).unwrap();
            let mut left = numbers.clone();
            for (number, _) in numbers.iter().zip(retracted).filter(|(_, retracted)| *retracted) {
                let rest: Vec<_> = left.iter().copied().filter(|other| other != number).collect();
                let last_one = left.len() - rest.len() == 1 && !rest.is_empty();
                let stale = last_one && left.iter().min() == Some(number);
                let done = a.retract(&value(&Value::Double(*number as f64 / 4.0)));
                prop_assert_eq!(done == Retraction::Stale, stale);
                if !stale {
                    left.remove(left.iter().position(|other| other == number).unwrap());
                }
            }
            let expected = left.iter().min().map(|number| *number as f64 / 4.0);
            let found = a.amounts();
            prop_assert_eq!(found.first().map(|a| a.amount.to_f64()), expected);
            prop_assert_eq!(found.first().map_or(0, |a| a.samples), left.len() as u64);
        }
    }
}
