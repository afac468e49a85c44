//! Any aggregate, chosen by the kind of the metric.

use crate::metric::codec::{BadBytes, put, take};
use crate::metric::extreme::Extreme;
use crate::metric::item::Item;
use crate::metric::ordinals::Ordinals;
use crate::metric::sketch::UnitSketches;
use crate::metric::sum::ExactSum;
use crate::metric::uniques::Uniques;

/// What a metric says about its events.
#[derive(Debug, Clone, PartialEq)]
pub enum MetricKind {
    /// How many events.
    Count,
    /// How many distinct persons.
    Uniques,
    /// The sum of a property.
    Sum,
    /// The average of a property.
    Average,
    /// The smallest value of a property.
    Min,
    /// The largest value of a property.
    Max,
    /// Percentiles of a property, each from 0 to 1: 0.5 is the median.
    Percentiles(Vec<f64>),
}

/// Whether something could be taken out of an aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "what is stale has to be computed again from stored events"]
pub enum Retraction {
    /// It is as if it had never been added.
    Done,
    /// It cannot be told from what is remembered; nothing changed. Compute the aggregate again from stored events.
    Stale,
}

/// An aggregate. Order and grouping of what is added never matter.
#[derive(Debug, Clone, PartialEq)]
pub enum Partial {
    /// Events.
    Count(u64),
    /// Distinct persons.
    Uniques(Uniques),
    /// A sum; also an average.
    Sum(ExactSum),
    /// The smallest number.
    Min(Extreme),
    /// The largest number.
    Max(Extreme),
    /// Counts by size.
    Sketches(UnitSketches),
}

impl Partial {
    /// The aggregate of nothing.
    pub fn new(kind: &MetricKind) -> Self {
        match kind {
            MetricKind::Count => Self::Count(0),
            MetricKind::Uniques => Self::Uniques(Uniques::new()),
            MetricKind::Sum | MetricKind::Average => Self::Sum(ExactSum::new()),
            MetricKind::Min => Self::Min(Extreme::min()),
            MetricKind::Max => Self::Max(Extreme::max()),
            MetricKind::Percentiles(_) => Self::Sketches(UnitSketches::default()),
        }
    }

    /// Whether it is as if nothing had been added.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Count(events) => *events == 0,
            Self::Uniques(persons) => persons.is_empty(),
            Self::Sum(sum) => sum.is_empty(),
            Self::Min(extreme) | Self::Max(extreme) => extreme.is_empty(),
            Self::Sketches(sketches) => sketches.is_empty(),
        }
    }

    /// Adds an event.
    #[inline]
    pub fn add(&mut self, item: &Item<'_>, ordinals: &mut Ordinals) {
        match self {
            Self::Count(events) => *events = events.saturating_add(1),
            Self::Uniques(persons) => {
                let ordinal = ordinals.ordinal(item.person);
                persons.add(ordinal, ordinals);
            }
            Self::Sum(sum) => item.value.iter().for_each(|value| sum.add(value)),
            Self::Min(extreme) | Self::Max(extreme) => item.value.iter().for_each(|value| extreme.add(value)),
            Self::Sketches(sketches) => item.value.iter().for_each(|value| sketches.add(value)),
        }
    }

    /// Takes an event out. Distinct persons are always stale: whether the person has other events here is known to who reads
    /// them. If there are none, [`Uniques::remove`] takes the person out.
    pub fn retract(&mut self, item: &Item<'_>) -> Retraction {
        if let Self::Count(events) = self {
            let Some(left) = events.checked_sub(1) else { return Retraction::Stale };
            *events = left;
            return Retraction::Done;
        }
        let Some(value) = &item.value else {
            let counts_persons = matches!(self, Self::Uniques(_));
            return if counts_persons { Retraction::Stale } else { Retraction::Done };
        };
        match self {
            Self::Count(_) | Self::Uniques(_) => Retraction::Stale,
            Self::Sum(sum) => sum.retract(value),
            Self::Min(extreme) | Self::Max(extreme) => extreme.retract(value),
            Self::Sketches(sketches) => sketches.retract(value),
        }
    }

    /// Adds all that was added to the other, of the same kind.
    pub fn merge(&mut self, other: &Self, ordinals: &Ordinals) {
        match (self, other) {
            (Self::Count(own), Self::Count(other)) => *own = own.saturating_add(*other),
            (Self::Uniques(own), Self::Uniques(other)) => own.merge(other, ordinals),
            (Self::Sum(own), Self::Sum(other)) => own.merge(other),
            (Self::Min(own), Self::Min(other)) | (Self::Max(own), Self::Max(other)) => own.merge(other),
            (Self::Sketches(own), Self::Sketches(other)) => own.merge(other),
            _ => debug_assert!(false, "partials of one series are of one kind"),
        }
    }

    /// Takes all out that was added to the other. Extremes and distinct persons do not remember enough and are stale.
    pub fn subtract(&mut self, other: &Self) -> Retraction {
        match (self, other) {
            (Self::Count(own), Self::Count(other)) => {
                let Some(left) = own.checked_sub(*other) else { return Retraction::Stale };
                *own = left;
                Retraction::Done
            }
            (Self::Sum(own), Self::Sum(other)) => own.subtract(other),
            (Self::Sketches(own), Self::Sketches(other)) => own.subtract(other),
            _ => Retraction::Stale,
        }
    }

    /// Bounds what is kept: see [`Uniques::limit`].
    pub fn limit(&mut self, ordinals: &Ordinals) {
        if let Self::Uniques(persons) = self {
            persons.limit(ordinals);
        }
    }

    /// Appends the state; the kind is not in it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Count(events) => put(out, *events),
            Self::Uniques(persons) => persons.encode(out),
            Self::Sum(sum) => sum.encode(out),
            Self::Min(extreme) | Self::Max(extreme) => extreme.encode(out),
            Self::Sketches(sketches) => sketches.encode(out),
        }
    }

    /// Reads a state of this kind from the front of `bytes` and moves them behind it.
    ///
    /// # Errors
    /// [`BadBytes`] if they are no such state.
    pub fn decode(kind: &MetricKind, bytes: &mut &[u8]) -> Result<Self, BadBytes> {
        Ok(match kind {
            MetricKind::Count => Self::Count(take(bytes)?),
            MetricKind::Uniques => Self::Uniques(Uniques::decode(bytes)?),
            MetricKind::Sum | MetricKind::Average => Self::Sum(ExactSum::decode(bytes)?),
            MetricKind::Min => Self::Min(Extreme::min().decode(bytes)?),
            MetricKind::Max => Self::Max(Extreme::max().decode(bytes)?),
            MetricKind::Percentiles(_) => Self::Sketches(UnitSketches::decode(bytes)?),
        })
    }
}

#[cfg(test)]
mod tests;
