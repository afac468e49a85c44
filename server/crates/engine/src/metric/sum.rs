//! Sums and averages that are exact in any order.

use std::num::NonZeroU64;

use crate::metric::by_unit::ByUnit;
use crate::metric::codec::{BadBytes, put, take};
use crate::metric::digits::Digits;
use crate::metric::item::{Currency, ItemValue, Number, split_decimal};
use crate::metric::limbs::{BINARY, DECIMAL, Limbs};
use crate::metric::partial::Retraction;
use crate::metric::value::{Amount, UnitAmount};

/// The exact sum of the numbers added, one for plain numbers and one for each currency, and how many they are. So it is
/// an average, too.
///
/// Integers, decimals and money are summed digit by digit, doubles as the binary numbers that they are. About 140
/// bytes for usual numbers of one unit; decimals take 8 bytes for every nine digits that the longest one has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExactSum(ByUnit<Term>);

#[derive(Debug, Clone, Default, PartialEq)]
struct Term {
    numbers: u64,
    /// How many of the numbers are doubles.
    doubles: u64,
    decimal: Limbs<DECIMAL>,
    binary: Limbs<BINARY>,
}

impl ExactSum {
    /// The sum of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing was added, or all of it was retracted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a number.
    #[inline]
    pub fn add(&mut self, value: &ItemValue<'_>) {
        self.0.entry(value.unit(), Term::default).add(value.number());
    }

    /// Takes a number away. It is stale if no such number can have been added.
    pub fn retract(&mut self, value: &ItemValue<'_>) -> Retraction {
        let mut one = Self::new();
        one.add(value);
        self.subtract(&one)
    }

    /// Adds all numbers of the other.
    pub fn merge(&mut self, other: &Self) {
        for (unit, term) in other.0.iter() {
            self.0.entry(unit, Term::default).merge(term);
        }
    }

    /// Takes all numbers of the other away. It is stale, and nothing changes, if they cannot have been added.
    pub fn subtract(&mut self, other: &Self) -> Retraction {
        let holds = |(unit, term): (_, &Term)| self.0.get(unit).is_some_and(|own| own.holds(term));
        if !other.0.iter().all(holds) {
            return Retraction::Stale;
        }
        for (unit, term) in other.0.iter() {
            let Some(own) = self.0.get_mut(unit) else { continue };
            own.subtract(term);
            if own.is_empty() {
                self.0.remove(unit);
            }
        }
        Retraction::Done
    }

    /// The sum of each unit: as decimal text, or as the nearest double where doubles are in it.
    pub fn sums(&self) -> Vec<UnitAmount> {
        self.each(|term| Some(term.sum()))
    }

    /// The average of each unit: the double nearest to the exact sum divided by how many numbers there are.
    pub fn averages(&self) -> Vec<UnitAmount> {
        self.each(|term| {
            let numbers = NonZeroU64::new(term.numbers)?;
            Some(Amount::nearest(&term.total().divided_by(numbers)))
        })
    }

    fn each(&self, amount: impl Fn(&Term) -> Option<Amount>) -> Vec<UnitAmount> {
        let one = |(unit, term): (Option<Currency>, &Term)| {
            Some(UnitAmount { unit, amount: amount(term)?, samples: term.numbers })
        };
        self.0.iter().filter_map(one).collect()
    }

    /// Appends the state.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out, |term, out| {
            put(out, term.numbers);
            put(out, term.doubles);
            term.decimal.encode(out);
            term.binary.encode(out);
        });
    }

    /// Reads a state from the front of `bytes` and moves them behind it.
    ///
    /// # Errors
    /// [`BadBytes`] if they are no such state.
    pub fn decode(bytes: &mut &[u8]) -> Result<Self, BadBytes> {
        let term = |bytes: &mut &[u8]| {
            let term = Term {
                numbers: take(bytes)?,
                doubles: take(bytes)?,
                decimal: Limbs::decode(bytes)?,
                binary: Limbs::decode(bytes)?,
            };
            if term.doubles <= term.numbers { Ok(term) } else { Err(BadBytes) }
        };
        ByUnit::decode(bytes, term).map(Self)
    }
}

impl Term {
    #[inline]
    fn add(&mut self, number: Number<'_>) {
        self.numbers = self.numbers.saturating_add(1);
        match number {
            Number::Int(number) => self.decimal.add_int(number, false),
            Number::Money(units, nanos) => {
                self.decimal.add_int(units, false);
                self.decimal.add_nanos(nanos, false);
            }
            Number::Double(number) => {
                self.doubles = self.doubles.saturating_add(1);
                self.binary.add_double(number, false);
            }
            Number::Decimal(text) => {
                if let Some((negative, whole, fraction)) = split_decimal(text) {
                    self.decimal.add_digits(whole, fraction, negative);
                }
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        self.numbers = self.numbers.saturating_add(other.numbers);
        self.doubles = self.doubles.saturating_add(other.doubles);
        self.decimal.merge(&other.decimal, false);
        self.binary.merge(&other.binary, false);
    }

    fn holds(&self, other: &Self) -> bool {
        let whole = |term: &Self| term.numbers - term.doubles;
        self.doubles >= other.doubles && whole(self) >= whole(other)
    }

    fn subtract(&mut self, other: &Self) {
        self.numbers -= other.numbers;
        self.doubles -= other.doubles;
        self.decimal.merge(&other.decimal, true);
        self.binary.merge(&other.binary, true);
    }

    fn is_empty(&self) -> bool {
        self.numbers == 0 && self.decimal.is_zero() && self.binary.is_zero()
    }

    fn total(&self) -> Digits<DECIMAL> {
        if self.doubles == 0 {
            return self.decimal.digits();
        }
        let mut total = self.binary.to_decimal();
        total.merge(&self.decimal, false);
        total.digits()
    }

    fn sum(&self) -> Amount {
        let total = self.total();
        if self.doubles == 0 { Amount::Decimal(total.to_text()) } else { Amount::nearest(&total) }
    }
}

#[cfg(test)]
mod tests;
