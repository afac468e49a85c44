//! One sketch per unit.

use crate::metric::by_unit::ByUnit;
use crate::metric::codec::BadBytes;
use crate::metric::item::{Currency, ItemValue};
use crate::metric::partial::Retraction;
use crate::metric::sketch::Sketch;
use crate::metric::value::Percentiles;

/// A [`Sketch`] of plain numbers, and one of each currency.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UnitSketches(ByUnit<Sketch>);

impl UnitSketches {
    /// Whether nothing was counted, or all of it was retracted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Counts a number.
    #[inline]
    pub fn add(&mut self, value: &ItemValue<'_>) {
        self.0.entry(value.unit(), Sketch::new).add(value.number().to_f64());
    }

    /// Takes a number away; stale as in [`Sketch::retract`].
    pub fn retract(&mut self, value: &ItemValue<'_>) -> Retraction {
        let mut one = Self::default();
        one.add(value);
        self.subtract(&one)
    }

    /// Adds the counts of the other.
    pub fn merge(&mut self, other: &Self) {
        for (unit, sketch) in other.0.iter() {
            self.0.entry(unit, Sketch::new).merge(sketch);
        }
    }

    /// Takes the counts of the other away; stale as in [`Sketch::retract`], then nothing changes.
    pub fn subtract(&mut self, other: &Self) -> Retraction {
        let left: Option<Vec<_>> = other.0.iter().map(|(unit, sketch)| self.left(unit, sketch)).collect();
        let Some(left) = left else { return Retraction::Stale };
        for (unit, sketch) in left {
            match self.0.get_mut(unit) {
                Some(own) if !sketch.is_empty() => *own = sketch,
                _ => self.0.remove(unit),
            }
        }
        Retraction::Done
    }

    fn left(&self, unit: Option<Currency>, other: &Sketch) -> Option<(Option<Currency>, Sketch)> {
        let mut left = self.0.get(unit)?.clone();
        (left.subtract(other) == Retraction::Done).then_some((unit, left))
    }

    /// The quantiles of each unit.
    pub fn percentiles(&self, quantiles: &[f64]) -> Vec<Percentiles> {
        let one = |(unit, sketch): (_, &Sketch)| Percentiles {
            unit,
            values: quantiles.iter().filter_map(|q| sketch.quantile(*q)).collect(),
            samples: sketch.count(),
            collapsed: sketch.is_collapsed(),
        };
        self.0.iter().map(one).collect()
    }

    /// Appends the state.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out, Sketch::encode);
    }

    /// Reads a state from the front of `bytes` and moves them behind it.
    ///
    /// # Errors
    /// [`BadBytes`] if they are no such state.
    pub fn decode(bytes: &mut &[u8]) -> Result<Self, BadBytes> {
        ByUnit::decode(bytes, Sketch::decode).map(Self)
    }
}
