//! A metric's series laid out as a table: a row for each value of its breakdown, a column for each span of time. The same
//! for live numbers and for those from stored events.

use crate::SliceValue;
use crate::metric::ordinals::Ordinals;
use crate::metric::set::{Breakdown, SeriesKey, SeriesSet};
use crate::metric::value::{Answer, MetricValue, Ratio, ratio};

/// One value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub enum Measured {
    /// An aggregate.
    Value(MetricValue),
    /// One over another: of ratios, bounce rates, conversions.
    Ratio(Ratio),
}

impl Measured {
    /// Events, sessions, persons or numbers that it is made of; of ratios, of both.
    pub fn samples(&self) -> u64 {
        match self {
            Self::Value(value) => value.samples(),
            Self::Ratio(ratio) => ratio.numerator_samples.saturating_add(ratio.denominator_samples),
        }
    }
}

impl Measured {
    /// The number as a double, if there is exactly one: of percentiles the first, of sums of several currencies none. The sum of
    /// nothing is 0.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Value(value) => {
                value.single().map(|(_, number)| number).filter(|number| number.is_finite())
            }
            Self::Ratio(ratio) => ratio.value,
        }
    }

    /// Events, sessions, persons or numbers that the number says something about; of ratios what is below the line.
    pub fn volume(&self) -> u64 {
        match self {
            Self::Value(value) => value.samples(),
            Self::Ratio(ratio) => ratio.denominator_samples,
        }
    }
}

/// A metric of one value of its breakdown, or of all events.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricSeries {
    /// Which value; `None` without a breakdown.
    pub value: Option<SliceValue>,
    /// Over the whole range.
    pub total: Measured,
    /// By the unit asked for: each span's beginning, microseconds since 1970, and its value. Spans without events are left out;
    /// nothing if the range is not cut.
    pub buckets: Vec<(i64, Measured)>,
}

/// Which rows a table has.
#[derive(Debug, Clone, Copy)]
pub enum Rows<'k> {
    /// So many values, the largest first.
    Largest(usize),
    /// These, in this order.
    These(&'k [SeriesKey]),
}

/// The columns of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Where the series have the columns: from inclusive, to exclusive.
    pub spans: Vec<(i64, i64)>,
    /// The moment each column is shown at; none if the range is not cut.
    pub starts_us: Vec<i64>,
}

/// Numbers over one range.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The values that have rows of their own.
    pub keys: Vec<SeriesKey>,
    /// A row for each of them and one for all others, if there are any; `None` without a breakdown.
    pub rows: Option<Vec<MetricSeries>>,
    /// All values together.
    pub total: MetricSeries,
    /// There were more values than are kept apart.
    pub overflow: bool,
    /// The edge of a column lies inside of what was rolled up: see [`Answer::cut`].
    pub cut: bool,
}

/// One aggregate, or the two of a ratio, with what their numbers mean.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// One set, or above and below the line.
    pub sets: &'a [SeriesSet],
    /// Who is who in them.
    pub ordinals: &'a Ordinals,
    /// The values of the breakdown by number, if there is one.
    pub names: Option<&'a dyn Fn(u32) -> SliceValue>,
}

impl Source<'_> {
    /// Lays the numbers out.
    pub fn table(&self, layout: &Layout, rows: Rows<'_>) -> Table {
        let keys = match (rows, self.names) {
            (_, None) => Vec::new(),
            (Rows::These(keys), _) => keys.to_vec(),
            (Rows::Largest(top), Some(names)) => self.largest(layout, top, names),
        };
        let answer = |set: &SeriesSet| set.answer_for(&keys, &layout.spans, self.ordinals);
        let answers: Vec<Breakdown> = self.sets.iter().map(answer).collect();
        let totals: Vec<_> = answers.iter().map(|answer| &answer.total).collect();
        Table {
            rows: self.names.map(|names| self.rows(layout, &keys, &answers, names)),
            total: series(layout, None, &totals),
            overflow: answers.iter().any(|answer| answer.overflow),
            cut: totals.iter().any(|total| total.cut),
            keys,
        }
    }

    /// By what is below the line, where there is one: a ratio of little says little.
    fn largest(&self, layout: &Layout, top: usize, names: &dyn Fn(u32) -> SliceValue) -> Vec<SeriesKey> {
        let Some(last) = self.sets.last() else { return Vec::new() };
        let answer = last.answer(&layout.spans, top, names, self.ordinals);
        answer.rows.into_iter().map(|row| row.key).collect()
    }

    fn rows(
        &self,
        layout: &Layout,
        keys: &[SeriesKey],
        answers: &[Breakdown],
        names: &dyn Fn(u32) -> SliceValue,
    ) -> Vec<MetricSeries> {
        let named = keys.iter().enumerate().map(|(i, key)| {
            let row: Vec<_> = answers.iter().map(|answer| &answer.rows[i].answer).collect();
            series(layout, Some(value_of(*key, names)), &row)
        });
        named.chain(self.others(layout, answers)).collect()
    }

    /// All values that are not named, if any has numbers.
    fn others(&self, layout: &Layout, answers: &[Breakdown]) -> Option<MetricSeries> {
        answers.iter().any(|answer| answer.other.is_some()).then_some(())?;
        // Of two sets, one may have nothing there: its value of nothing stands in.
        let nothing: Vec<Answer> =
            self.sets.iter().map(|set| nothing(set, &layout.spans, self.ordinals)).collect();
        let row: Vec<_> = answers
            .iter()
            .zip(&nothing)
            .map(|(answer, none)| answer.other.as_ref().unwrap_or(none))
            .collect();
        Some(series(layout, Some(SliceValue::Other), &row))
    }
}

fn value_of(key: SeriesKey, names: &dyn Fn(u32) -> SliceValue) -> SliceValue {
    match key {
        SeriesKey::Value(number) => names(number),
        SeriesKey::NotSet => SliceValue::NotSet,
        SeriesKey::Rest => SliceValue::Other,
    }
}

/// The numbers of a value that nothing has.
fn nothing(set: &SeriesSet, spans: &[(i64, i64)], ordinals: &Ordinals) -> Answer {
    let absent = SeriesKey::Value(u32::MAX);
    let mut answer = set.answer_for(&[absent], spans, ordinals);
    answer.rows.swap_remove(0).answer
}

fn series(layout: &Layout, value: Option<SliceValue>, answers: &[&Answer]) -> MetricSeries {
    let of = |pick: &dyn Fn(&Answer) -> MetricValue| {
        measured(&answers.iter().map(|answer| pick(answer)).collect::<Vec<_>>())
    };
    let columns = layout.starts_us.iter().enumerate();
    let buckets = columns.map(|(i, start_us)| (*start_us, of(&|answer| answer.buckets[i].clone())));
    MetricSeries {
        value,
        total: of(&|answer| answer.total.clone()),
        buckets: buckets.filter(|(_, measured)| measured.samples() > 0).collect(),
    }
}

/// One value, or the ratio of two.
fn measured(values: &[MetricValue]) -> Measured {
    match values {
        [numerator, denominator] => Measured::Ratio(ratio(numerator, denominator)),
        [value, ..] => Measured::Value(value.clone()),
        [] => Measured::Value(MetricValue::Count(0)),
    }
}
