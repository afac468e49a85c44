//! A funnel's numbers from stored events.

mod count;
mod fold;
mod heads;
mod names;
mod persons;
mod prepared;
mod reach;

#[cfg(test)]
pub(crate) mod tests;

use footpath_engine::Totals;
use footpath_engine::lens::slices;
use footpath_model::control::CountedFunnel;

use crate::{ConversionTime, QueryError, Read, SliceValue, Source, Span};

pub use persons::{FunnelPerson, FunnelPersons, FunnelPersonsQuery, funnel_persons};

pub(crate) use count::Sums;
pub(crate) use fold::Folds;
pub(crate) use names::group_names;
pub(crate) use persons::step_times;
pub(crate) use prepared::{Prepared, facts};
pub(crate) use reach::{any_order, deadline, times};

/// Asks for a funnel's numbers.
#[derive(Debug, Clone)]
pub struct FunnelQuery<'a> {
    /// What is counted, with its range.
    pub counted: &'a CountedFunnel,
    /// Who is who as of this epoch; `None` is now.
    pub identity_epoch: Option<u64>,
    /// Also counts the span before, up to the same elapsed time.
    pub compare_previous: bool,
    /// Also says how long each step took.
    pub step_times: bool,
    /// How many values of a breakdown are named.
    pub top: usize,
}

impl<'a> FunnelQuery<'a> {
    /// Everybody as they are now, ten values, nothing more.
    pub fn new(counted: &'a CountedFunnel) -> Self {
        Self { counted, identity_epoch: None, compare_previous: false, step_times: false, top: 10 }
    }
}

/// A funnel's numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct FunnelAnswer {
    /// Persons (conversions, sessions, groups) who reached each step.
    pub reached: Vec<u64>,
    /// What to call the steps.
    pub labels: Vec<String>,
    /// How long those took who reached the last step.
    pub conversion_time: ConversionTime,
    /// How long it took from each step to the next, for those who reached both: one less than there are steps. Empty if not
    /// asked for.
    pub step_times: Vec<ConversionTime>,
    /// With a breakdown: the named values, the largest first; then, where anybody counts there, all others, not set, not
    /// reached.
    pub slices: Vec<FunnelSlice>,
    /// The span that entries lie in.
    pub span: Span,
    /// The span before, if asked for.
    pub previous: Option<FunnelPeriod>,
    /// The identity graph's epoch.
    pub identity_epoch: u64,
    /// What it was read from.
    pub read: Read,
}

/// The numbers of one value of a breakdown.
#[derive(Debug, Clone, PartialEq)]
pub struct FunnelSlice {
    /// Which value.
    pub value: SliceValue,
    /// Who reached each step.
    pub reached: Vec<u64>,
    /// How long those took who reached the last step.
    pub conversion_time: ConversionTime,
}

impl From<(SliceValue, Totals)> for FunnelSlice {
    fn from((value, totals): (SliceValue, Totals)) -> Self {
        let conversion_time = ConversionTime::of(totals.took());
        Self { value, reached: totals.reached().to_vec(), conversion_time }
    }
}

/// The numbers of another span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunnelPeriod {
    /// The span.
    pub span: Span,
    /// Who reached each step.
    pub reached: Vec<u64>,
}

/// Computes a funnel.
///
/// Holds a few million events: with more, the units are counted in parts, one after the other.
///
/// # Errors
/// If the events cannot be read, the range does not resolve, or the definition cannot be followed.
pub fn funnel(source: &Source<'_>, query: &FunnelQuery<'_>) -> Result<FunnelAnswer, QueryError> {
    let FunnelQuery { counted, identity_epoch, .. } = *query;
    let prepared = Prepared::new(source, counted, identity_epoch)?;
    let span = Span::of(counted.resolve(source.now_us)?);
    let (sums, events) = prepared.count(span, query.step_times)?;
    let previous = if query.compare_previous { Some(previous(&prepared)?) } else { None };
    Ok(FunnelAnswer {
        reached: sums.totals.all().reached().to_vec(),
        labels: counted.definition.steps.iter().map(|step| step.label().to_owned()).collect(),
        conversion_time: ConversionTime::of(sums.totals.all().took()),
        step_times: sums.steps.iter().map(ConversionTime::of).collect(),
        slices: slices(&sums.totals, prepared.values(), query.top)
            .into_iter()
            .map(FunnelSlice::from)
            .collect(),
        span,
        previous,
        identity_epoch: prepared.graph.epoch(),
        read: source.read(events),
    })
}

fn previous(prepared: &Prepared<'_>) -> Result<FunnelPeriod, QueryError> {
    let CountedFunnel { range, zone, .. } = prepared.counted;
    let (from_us, to_us) = range.previous(prepared.source.now_us, zone)?;
    let span = Span { from_us, to_us: Some(to_us) };
    let (sums, _) = prepared.count(span, false)?;
    Ok(FunnelPeriod { span, reached: sums.totals.all().reached().to_vec() })
}
