//! Where the evaluator gets numbers from, and where it writes what it saw.

use std::future::Future;

use footpath_engine::SliceValue;
use footpath_engine::metric::{Measured, MetricSeries, Table};
use footpath_model::alert::{CountedRule, Driver, Reading, Series};
use footpath_model::calendar::CalendarUnit;
use footpath_model::control::Control;
use footpath_store::ProjectRow;

/// Why there are no numbers for now; the evaluator tries again.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct NumbersError(pub String);

/// How complete a project's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// The log position up to which events are counted.
    pub position: u64,
    /// Append time before which every acknowledged event is counted, microseconds since 1970.
    pub processed_us: i64,
    /// Numbered events of the project that are known to be missing.
    pub missing: u64,
}

/// A project's numbers, and the log.
pub trait Numbers: Send + Sync + 'static {
    /// The present, microseconds since 1970.
    fn now_us(&self) -> i64;
    /// All projects.
    ///
    /// # Errors
    /// If the store fails.
    fn projects(&self) -> Result<Vec<ProjectRow>, NumbersError>;
    /// How complete a project's numbers are; `None` while stored events are still being read.
    fn seen(&self, project: u32) -> Option<Seen>;
    /// How many events of a project were stored between two moments of append time.
    ///
    /// # Errors
    /// If the store fails.
    fn events(&self, project: u32, from_us: i64, to_us: i64) -> Result<u64, NumbersError>;
    /// What a rule watches, over a span.
    fn table(
        &self,
        project: &ProjectRow,
        rule: &CountedRule,
        span: (i64, i64),
    ) -> impl Future<Output = Result<Table, NumbersError>> + Send;
    /// The same from stored events, cut into buckets.
    fn past(
        &self,
        project: &ProjectRow,
        rule: &CountedRule,
        span: (i64, i64),
        unit: CalendarUnit,
    ) -> impl Future<Output = Result<Vec<MetricSeries>, NumbersError>> + Send;
    /// The beginnings of the buckets in which a rule's environments had an event, whatever it was, in order.
    fn alive(
        &self,
        project: &ProjectRow,
        rule: &CountedRule,
        span: (i64, i64),
        unit: CalendarUnit,
    ) -> impl Future<Output = Result<Vec<i64>, NumbersError>> + Send;
    /// What probably moved a series in a span; nothing where that cannot be told in time.
    fn drivers(
        &self,
        project: &ProjectRow,
        rule: &CountedRule,
        series: &Series,
        span: (i64, i64),
    ) -> impl Future<Output = Vec<Driver>> + Send;
    /// Writes a record; returns when the keeper has taken it.
    fn record(
        &self,
        project: &ProjectRow,
        control: Control,
    ) -> impl Future<Output = Result<(), NumbersError>> + Send;
}

/// A value of a breakdown as rules name series; `None` for what is no series of its own.
pub(crate) fn series_of(value: Option<&SliceValue>) -> Option<Series> {
    match value {
        None => Some(Series::Whole),
        Some(SliceValue::Is(text)) => Some(Series::Value(text.clone())),
        Some(SliceValue::NotSet) => Some(Series::NotSet),
        Some(_) => None,
    }
}

/// What was measured as a rule reads it.
pub(crate) fn reading(series: Series, measured: Option<&Measured>) -> Reading {
    let value = measured.and_then(Measured::number);
    let volume = measured.map_or(0, Measured::volume) as f64;
    Reading { value, volume, ..Reading::of(series) }
}

/// The series of a table and what was measured of each.
pub(crate) fn readings(table: &Table) -> Vec<Reading> {
    let whole = std::slice::from_ref(&table.total);
    let rows = table.rows.as_deref().unwrap_or(whole).iter();
    let named = rows.filter_map(|row| Some((series_of(row.value.as_ref())?, row)));
    named.map(|(series, row)| reading(series, Some(&row.total))).collect()
}
