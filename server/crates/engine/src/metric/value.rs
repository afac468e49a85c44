//! What an answer is made of.

use std::fmt;

use crate::metric::item::Currency;
use crate::metric::partial::{MetricKind, Partial};

/// A number as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub enum Amount {
    /// Exact decimal digits, without exponent.
    Decimal(String),
    /// A double; finite.
    Double(f64),
}

impl Amount {
    /// The nearest double; infinite if there is none so large.
    pub fn to_f64(&self) -> f64 {
        match self {
            Self::Decimal(text) => text.parse().unwrap_or(0.0),
            Self::Double(number) => *number,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal(text) => f.write_str(text),
            Self::Double(number) => number.fmt(f),
        }
    }
}

/// A number of one unit.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitAmount {
    /// The currency; `None` for plain numbers.
    pub unit: Option<Currency>,
    /// The number.
    pub amount: Amount,
    /// How many numbers it was made of.
    pub samples: u64,
}

/// Percentiles of one unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Percentiles {
    /// The currency; `None` for plain numbers.
    pub unit: Option<Currency>,
    /// As many as were asked for, in that order; each within [`crate::metric::sketch::RELATIVE_ACCURACY`] of its value.
    pub values: Vec<f64>,
    /// How many numbers they were made of.
    pub samples: u64,
    /// Whether the accuracy does not hold for the numbers nearest to zero: they differ in size by more than 10^17.
    pub collapsed: bool,
}

/// A metric's value over one span of time. Lists are by unit, plain numbers first, and empty without a number.
#[derive(Debug, Clone, PartialEq)]
pub enum MetricValue {
    /// Events.
    Count(u64),
    /// Distinct persons.
    Uniques {
        /// How many.
        persons: u64,
        /// Set if the number is approximate: its relative standard error.
        standard_error: Option<f64>,
    },
    /// Sums.
    Sum(Vec<UnitAmount>),
    /// Averages.
    Average(Vec<UnitAmount>),
    /// Smallest numbers.
    Min(Vec<UnitAmount>),
    /// Largest numbers.
    Max(Vec<UnitAmount>),
    /// Percentiles.
    Percentiles(Vec<Percentiles>),
}

impl MetricValue {
    /// How many events, persons or numbers the value was made of.
    pub fn samples(&self) -> u64 {
        self.samples_by_unit().iter().fold(0, |all, (_, samples)| all.saturating_add(*samples))
    }

    pub(crate) fn samples_by_unit(&self) -> Vec<(Option<Currency>, u64)> {
        match self {
            Self::Count(events) => vec![(None, *events)],
            Self::Uniques { persons, .. } => vec![(None, *persons)],
            Self::Percentiles(all) => all.iter().map(|one| (one.unit, one.samples)).collect(),
            Self::Sum(all) | Self::Average(all) | Self::Min(all) | Self::Max(all) => {
                all.iter().map(|one| (one.unit, one.samples)).collect()
            }
        }
    }

    /// Every unit with its number, as doubles; of percentiles the first. Counts have no unit.
    pub(crate) fn by_unit(&self) -> Vec<(Option<Currency>, f64)> {
        match self {
            Self::Count(events) => vec![(None, *events as f64)],
            Self::Uniques { persons, .. } => vec![(None, *persons as f64)],
            Self::Percentiles(all) => {
                all.iter().filter_map(|one| Some((one.unit, *one.values.first()?))).collect()
            }
            Self::Sum(all) | Self::Average(all) | Self::Min(all) | Self::Max(all) => {
                all.iter().map(|one| (one.unit, one.amount.to_f64())).collect()
            }
        }
    }

    /// The number, if there is exactly one. The sum of nothing is 0.
    pub(crate) fn single(&self) -> Option<(Option<Currency>, f64)> {
        match self.by_unit().as_slice() {
            [only] => Some(*only),
            [] if matches!(self, Self::Sum(_)) => Some((None, 0.0)),
            _ => None,
        }
    }
}

/// One metric divided by another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// `None` if the denominator is 0 or has no value, or the two cannot be compared.
    pub value: Option<f64>,
    /// [`MetricValue::samples`] of the numerator.
    pub numerator_samples: u64,
    /// [`MetricValue::samples`] of the denominator.
    pub denominator_samples: u64,
}

/// Divides one answer by another. An answer with several units has no ratio, nor have two different currencies.
pub fn ratio(numerator: &MetricValue, denominator: &MetricValue) -> Ratio {
    let divided = || {
        let ((over, number), (under, by)) = (numerator.single()?, denominator.single()?);
        let comparable = over.is_none() || under.is_none() || over == under;
        let value = number / by;
        (comparable && by != 0.0 && value.is_finite()).then_some(value)
    };
    Ratio {
        value: divided(),
        numerator_samples: numerator.samples(),
        denominator_samples: denominator.samples(),
    }
}

/// A metric over several spans of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The value of each span.
    pub buckets: Vec<MetricValue>,
    /// The value of all of them together: who is in two spans is one unique person.
    pub total: MetricValue,
    /// Whether the edge of a span lies inside of a bucket that was rolled up (or inside of a minute). Such a bucket counts where
    /// it begins, so nothing is lost or counted twice; an exact answer needs stored events.
    pub cut: bool,
}

impl MetricKind {
    /// The value of an aggregate of this kind.
    pub fn value(&self, partial: &Partial) -> MetricValue {
        match partial {
            Partial::Count(events) => MetricValue::Count(*events),
            Partial::Uniques(persons) => {
                MetricValue::Uniques { persons: persons.count(), standard_error: persons.standard_error() }
            }
            Partial::Sum(sum) if *self == Self::Average => MetricValue::Average(sum.averages()),
            Partial::Sum(sum) => MetricValue::Sum(sum.sums()),
            Partial::Min(min) => MetricValue::Min(min.amounts()),
            Partial::Max(max) => MetricValue::Max(max.amounts()),
            Partial::Sketches(sketches) => MetricValue::Percentiles(sketches.percentiles(self.quantiles())),
        }
    }

    fn quantiles(&self) -> &[f64] {
        if let Self::Percentiles(quantiles) = self { quantiles } else { &[] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(amounts: &[(&str, &str)]) -> MetricValue {
        let one = |(unit, text): &(&str, &str)| UnitAmount {
            unit: Currency::new(unit),
            amount: Amount::Decimal((*text).to_owned()),
            samples: 3,
        };
        MetricValue::Sum(amounts.iter().map(one).collect())
    }

    #[test]
    fn a_ratio_knows_its_units_and_samples() {
        let count = MetricValue::Count;
        let value = |a: &MetricValue, b: &MetricValue| ratio(a, b).value;
        assert_eq!(value(&count(1), &count(4)), Some(0.25));
        assert_eq!(value(&count(1), &count(0)), None);
        assert_eq!(value(&sum(&[("EUR", "12.5")]), &count(5)), Some(2.5));
        assert_eq!(value(&sum(&[("EUR", "1")]), &sum(&[("EUR", "2")])), Some(0.5));
        assert_eq!(value(&sum(&[("EUR", "1")]), &sum(&[("USD", "2")])), None);
        assert_eq!(value(&sum(&[("EUR", "1"), ("USD", "1")]), &count(1)), None);
        assert_eq!(value(&sum(&[]), &count(5)), Some(0.0));
        assert_eq!(value(&MetricValue::Average(vec![]), &count(5)), None);
        let ratio = ratio(&sum(&[("EUR", "1")]), &count(5));
        assert_eq!((ratio.numerator_samples, ratio.denominator_samples), (3, 5));
    }
}
