//! A metric's numbers from stored events.

mod conversion;
mod cut;
mod heads;
mod of_sessions;
mod ruler;
mod sets;
mod terms;

#[cfg(test)]
mod tests;

use footpath_engine::metric::set::SeriesKey;
use footpath_engine::metric::table::Rows;
pub use footpath_engine::metric::{Measured, MetricSeries};
use footpath_model::calendar::CalendarUnit;
use footpath_model::control::CountedMetric;
use footpath_model::definition::Measure;
use footpath_model::range::Range;

use crate::{QueryError, Read, Source, Span};

use conversion::Conversion;
use cut::Cut;
use of_sessions::OfSessions;
use terms::Terms;

/// Asks for a metric's numbers.
#[derive(Debug, Clone, Copy)]
pub struct MetricQuery<'a> {
    /// What is measured.
    pub counted: &'a CountedMetric,
    /// Over which range.
    pub range: &'a Range,
    /// IANA name of the zone that days are cut in.
    pub zone: &'a str,
    /// What the range is cut into; `None` means that it is not cut.
    pub unit: Option<CalendarUnit>,
    /// Also computes the span before, up to the same elapsed time.
    pub compare_previous: bool,
    /// How many values of a breakdown are named.
    pub top: usize,
}

/// A metric's numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricAnswer {
    /// One series without a breakdown; else one for each named value, the largest first (of ratios: those with the most below the
    /// line), and one for all others if there are any.
    pub series: Vec<MetricSeries>,
    /// With a breakdown: all values together, computed from what was counted. `None` without.
    pub total: Option<MetricSeries>,
    /// The same series of the span before, if asked for.
    pub previous: Vec<MetricSeries>,
    /// The span.
    pub span: Span,
    /// There were more values than are kept apart.
    pub overflow: bool,
    /// What it was read from.
    pub read: Read,
}

/// Computes a metric.
///
/// # Errors
/// If the events cannot be read, the range does not resolve or has too many buckets, or the definition cannot be followed.
pub fn metric(source: &Source<'_>, query: &MetricQuery<'_>) -> Result<MetricAnswer, QueryError> {
    let span = Span::of(query.range.resolve(source.now_us, query.zone)?);
    let measuring = measuring(source, query.counted)?;
    let table = measuring.table(&Cut::new(source, query, span)?, Rows::Largest(query.top))?;
    let previous =
        if query.compare_previous { previous(source, query, &*measuring, &table)? } else { Vec::new() };
    let broken_down = table.rows.is_some();
    let whole = || vec![table.total.clone()];
    Ok(MetricAnswer {
        series: table.rows.clone().unwrap_or_else(whole),
        total: broken_down.then_some(table.total),
        previous,
        span,
        overflow: table.overflow,
        read: source.read(table.events),
    })
}

fn previous(
    source: &Source<'_>,
    query: &MetricQuery<'_>,
    measuring: &dyn Measuring,
    now: &Table,
) -> Result<Vec<MetricSeries>, QueryError> {
    let (from_us, to_us) = query.range.previous(source.now_us, query.zone)?;
    if from_us >= to_us {
        return Ok(Vec::new());
    }
    let cut = Cut::new(source, query, Span { from_us, to_us: Some(to_us) })?;
    let table = measuring.table(&cut, Rows::These(&now.keys))?;
    Ok(table.rows.unwrap_or_else(|| vec![table.total]))
}

/// Numbers over one span.
struct Table {
    keys: Vec<SeriesKey>,
    /// `None` without a breakdown.
    rows: Option<Vec<MetricSeries>>,
    total: MetricSeries,
    overflow: bool,
    events: u64,
}

/// Something that can be measured over spans.
trait Measuring {
    fn table(&self, cut: &Cut, rows: Rows<'_>) -> Result<Table, QueryError>;
}

fn measuring<'a>(
    source: &'a Source<'a>,
    counted: &'a CountedMetric,
) -> Result<Box<dyn Measuring + 'a>, QueryError> {
    Ok(match &counted.definition.measure {
        Measure::Events(_) | Measure::Ratio { .. } => Box::new(Terms::new(source, counted)?),
        Measure::Sessions(aggregate) => Box::new(OfSessions::new(source, counted, aggregate)?),
        Measure::Conversion { funnel, step } => {
            let missing = || QueryError::Funnel(funnel.clone());
            let funnel = counted.funnel.as_deref().ok_or_else(missing)?;
            Box::new(Conversion::new(source, funnel, *step)?)
        }
    })
}
