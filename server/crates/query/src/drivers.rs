//! Which values of which properties explain that a metric's number changed: from stored events, for all properties at once.
//!
//! The metric is counted by value in the window, and in earlier spans that together are the baseline ([`attribute`] then says
//! what explains the change). What it costs: the window and each span of the baseline are read once, whatever the number of
//! properties.
//!
//! | measure | is explained as | |
//! |---|---|---|
//! | count, sum | a volume | |
//! | unique persons | a volume | who has several values of a property counts under each, once in each span |
//! | average | a rate, by sample | |
//! | ratio | a rate | unique persons above and below: as they are counted by value |
//! | percentile | the share of numbers beyond the baseline's percentile: above it from the median on, else below | the baseline is read once more |
//! | largest, smallest | the same, beyond the baseline's largest or smallest | the baseline is read once more |
//! | sessions, and what is averaged over them | a volume, or a rate by session | by `entry_event` and `exit_event` only |
//! | conversion | a rate, by the entry event's values | who entered close to now may still convert: as in the metric itself |
//!
//! Of a sum of several currencies the one with the most events is explained. A ratio of averages, extremes or percentiles is
//! not: then nothing is considered.
//!
//! Persons do things several times, so their events are less evidence than as many persons: how much less is told from the persons
//! themselves, of all or of a sample.
//!
//! **Memory**: 1,000 values of each property are kept apart, in the order in which they are read; all others are one. Distinct
//! persons cost a bit or two for each value they have, and the sets of one span are held at a time.

mod board;
mod clusters;
mod conversion;
mod dimensions;
mod events;
mod measured;
mod of_sessions;

#[cfg(test)]
mod tests;

use footpath_engine::attribution::{self, Dispersion, Question, Slice, attribute};
use footpath_model::control::CountedMetric;
use footpath_model::definition::{Measure, PropertyRef};

use crate::{QueryError, Read, SliceValue, Source, Span};
use dimensions::considered;

pub use footpath_engine::attribution::Kind;

/// Asks what explains that a metric changed.
#[derive(Debug, Clone, Copy)]
pub struct DriversQuery<'a> {
    /// What is measured. Its own breakdown is not looked at.
    pub counted: &'a CountedMetric,
    /// Where it is not as it was.
    pub window: Span,
    /// What is usual: earlier spans, for example the same hours of the last seven days. Volumes are averaged over them by their length.
    pub baseline: &'a [Span],
    /// Which properties are looked at.
    pub dimensions: Dimensions<'a>,
    /// How many drivers are named.
    pub top: usize,
}

/// Which properties are looked at.
#[derive(Debug, Clone, Copy)]
pub enum Dimensions<'a> {
    /// These.
    These(&'a [PropertyRef]),
    /// All of the context (system, version, device, campaign, ...), and these: for example those of events that have few values.
    Auto(&'a [PropertyRef]),
}

/// What explains a change.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DriversAnswer {
    /// The metric in the baseline, as it is explained (see above), volumes averaged; `None` if there is nothing of it.
    pub before: Option<f64>,
    /// The metric in the window.
    pub after: Option<f64>,
    /// The likely drivers, best explanation first. Empty if everything moved alike.
    pub drivers: Vec<Driver>,
    /// The properties that were looked at. Empty for a metric that cannot be explained by values.
    pub considered: Vec<PropertyRef>,
    /// What it was read from.
    pub read: Read,
}

/// A value that explains a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Driver {
    /// Of which property.
    pub property: PropertyRef,
    /// Which value.
    pub value: SliceValue,
    /// In which way.
    pub kind: Kind,
    /// Its number before: see [`attribution::Driver::before`].
    pub before: f64,
    /// Its number in the window.
    pub after: f64,
    /// Its part of the change: see [`attribution::Driver::contribution`].
    pub contribution: f64,
    /// The part of the change that there would not have been, had it moved as the rest did.
    pub explained: f64,
    /// Standard errors between what it did and what the rest did; with a sign.
    pub evidence: f64,
}

/// Finds out what explains that a metric changed.
///
/// # Errors
/// If the events cannot be read, or the definition cannot be followed.
pub fn drivers(source: &Source<'_>, query: &DriversQuery<'_>) -> Result<DriversAnswer, QueryError> {
    let dimensions = considered(query);
    let counted = match &query.counted.definition.measure {
        Measure::Events(_) | Measure::Ratio { .. } => events::count(source, query, &dimensions)?,
        Measure::Sessions(aggregate) => of_sessions::count(source, query, aggregate, &dimensions)?,
        Measure::Conversion { funnel, step } => {
            let missing = || QueryError::Funnel(funnel.clone());
            let funnel = query.counted.funnel.as_deref().ok_or_else(missing)?;
            Some(conversion::count(source, query, (funnel, *step), &dimensions)?)
        }
    };
    let Some(Counted { shape, slices, dispersion, events }) = counted else {
        return Ok(DriversAnswer { read: source.read(0), ..DriversAnswer::default() });
    };
    let scale = scale(query, source.now_us);
    let found = attribute(&Question { shape, scale, dispersion, dimensions: &slices });
    let (before, after) = measured::whole(shape, scale, &slices);
    let name = |driver| named(driver, &dimensions);
    Ok(DriversAnswer {
        before,
        after,
        drivers: found.into_iter().filter_map(name).take(query.top).collect(),
        considered: dimensions,
        read: source.read(events),
    })
}

/// A metric, counted by value on both sides.
struct Counted {
    shape: attribution::Shape,
    slices: Vec<Vec<Slice>>,
    dispersion: Dispersion,
    events: u64,
}

/// Before, or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

impl DriversQuery<'_> {
    /// All spans that are counted.
    fn spans(&self) -> impl Iterator<Item = (Side, Span)> + '_ {
        self.baseline.iter().map(|span| (Side::Before, *span)).chain(Some((Side::After, self.window)))
    }
}

/// How long the window is, divided by how long the baseline is.
fn scale(query: &DriversQuery<'_>, now_us: i64) -> f64 {
    let length = |span: &Span| {
        let to_us = span.to_us.unwrap_or(now_us);
        to_us.saturating_sub(span.from_us).max(0) as f64
    };
    let baseline: f64 = query.baseline.iter().map(length).sum();
    if baseline > 0.0 { length(&query.window) / baseline } else { 1.0 }
}

fn named(driver: attribution::Driver, dimensions: &[PropertyRef]) -> Option<Driver> {
    Some(Driver {
        property: dimensions.get(driver.dimension)?.clone(),
        value: driver.value,
        kind: driver.kind,
        before: driver.before,
        after: driver.after,
        contribution: driver.contribution,
        explained: driver.explained,
        evidence: driver.evidence,
    })
}
