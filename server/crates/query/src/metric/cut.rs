//! A span, cut into columns.

use footpath_model::calendar::buckets;

use super::MetricQuery;
use crate::{QueryError, Source, Span};

/// A span and its columns, one behind the other without a gap.
#[derive(Debug, Clone)]
pub(super) struct Cut {
    pub(super) span: Span,
    /// From inclusive, to exclusive; the last one has no end where the span has none.
    pub(super) columns: Vec<Span>,
    /// Whether anybody asked for columns.
    pub(super) is_cut: bool,
}

impl Cut {
    pub(super) fn new(source: &Source<'_>, query: &MetricQuery<'_>, span: Span) -> Result<Self, QueryError> {
        let Some(unit) = query.unit else { return Ok(Self { span, columns: vec![span], is_cut: false }) };
        // A span without an end reaches to now, and what is dated ahead belongs to its last column.
        let to_us = span.to_us.unwrap_or_else(|| source.now_us.max(span.from_us.saturating_add(1)));
        let cut = buckets(span.from_us, to_us, unit, query.zone)?;
        let mut columns: Vec<_> =
            cut.into_iter().map(|(from_us, to_us)| Span { from_us, to_us: Some(to_us) }).collect();
        columns.last_mut().into_iter().for_each(|last| last.to_us = span.to_us);
        Ok(Self { span, columns, is_cut: true })
    }

    /// The column of a moment.
    pub(super) fn column(&self, time_us: i64) -> Option<usize> {
        let behind = self.columns.partition_point(|column| column.from_us <= time_us);
        behind.checked_sub(1).filter(|column| self.columns[*column].holds(time_us))
    }

    /// The end of the span, for a scan.
    pub(super) fn end_us(&self) -> i64 {
        self.span.to_us.unwrap_or(i64::MAX)
    }
}
