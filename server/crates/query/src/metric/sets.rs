//! Aggregates by column and value, and the tables made of them.

use footpath_engine::ActorKey;
use footpath_engine::metric::set::{MAX_VALUES, SeriesKey};
use footpath_engine::metric::{
    Answer, Breakdown, Horizons, Item, ItemValue, MetricKind, MetricValue, Ordinals, Partial, SeriesSet,
    ratio,
};

use super::{Cut, Measured, MetricSeries, Rows, Table};
use crate::SliceValue;
use crate::values::Values;

/// A column is a minute of its own for the series, wherever its edges lie.
const COLUMN_US: i64 = 60_000_000;
/// Aggregates that are held at once: with more columns, fewer values have room.
const MOST_CELLS: usize = 2_000_000;
/// Values that always have room: as many as can be named.
const LEAST_ROOM: usize = 100;

/// One aggregate, or the two of a ratio.
pub(super) struct Sets {
    sets: Vec<SeriesSet>,
    ordinals: Ordinals,
}

impl Sets {
    pub(super) fn new(kinds: Vec<MetricKind>, cut: &Cut) -> Self {
        let room = (MOST_CELLS / cut.columns.len().max(1)).clamp(LEAST_ROOM, MAX_VALUES);
        let set = |kind| SeriesSet::with_room(kind, Horizons::default(), room);
        Self { sets: kinds.into_iter().map(set).collect(), ordinals: Ordinals::default() }
    }

    /// Adds to one of the aggregates, in a column; `value` is that of the breakdown, `None` if it is not set or there is none.
    pub(super) fn add(
        &mut self,
        set: usize,
        column: usize,
        value: Option<u32>,
        person: u64,
        number: Option<ItemValue<'_>>,
    ) {
        let item = Item { time_us: column as i64 * COLUMN_US, person: ActorKey(person), value: number };
        self.sets[set].add(value, &item, &mut self.ordinals);
    }

    /// Aggregates in each column what `found` says, where there is no breakdown.
    pub(super) fn put(&mut self, set: usize, found: Vec<Partial>) {
        for (column, partial) in (0..).zip(found) {
            self.sets[set].put(SeriesKey::NotSet, column * COLUMN_US, partial, &self.ordinals);
        }
    }

    /// What persons are numbered by.
    pub(super) fn ordinals(&mut self) -> &mut Ordinals {
        &mut self.ordinals
    }

    /// The numbers. `values` if there is a breakdown.
    pub(super) fn table(&self, cut: &Cut, rows: Rows<'_>, values: Option<&Values>, events: u64) -> Table {
        let spans: Vec<_> =
            (0..cut.columns.len() as i64).map(|i| (i * COLUMN_US, (i + 1) * COLUMN_US)).collect();
        let keys = match (rows, values) {
            (_, None) => Vec::new(),
            (Rows::These(keys), _) => keys.to_vec(),
            (Rows::Largest(top), Some(values)) => self.largest(&spans, top, values),
        };
        let answers: Vec<Breakdown> =
            self.sets.iter().map(|set| set.answer_for(&keys, &spans, &self.ordinals)).collect();
        let named = |values: &Values| {
            let named = keys.iter().enumerate().map(|(i, key)| {
                let row: Vec<_> = answers.iter().map(|answer| &answer.rows[i].answer).collect();
                series(cut, Some(values.of_series(*key)), &row)
            });
            named.chain(self.others(cut, &spans, &answers)).collect()
        };
        Table {
            rows: values.map(named),
            total: series(cut, None, &answers.iter().map(|answer| &answer.total).collect::<Vec<_>>()),
            overflow: answers.iter().any(|answer| answer.overflow) || values.is_some_and(Values::overflow),
            keys,
            events,
        }
    }

    /// By what is below the line, where there is one: a ratio of little says little.
    fn largest(&self, spans: &[(i64, i64)], top: usize, values: &Values) -> Vec<SeriesKey> {
        let Some(last) = self.sets.last() else { return Vec::new() };
        let answer = last.answer(spans, top, |number| values.value(number), &self.ordinals);
        answer.rows.into_iter().map(|row| row.key).collect()
    }

    /// All values that are not named, if any has numbers.
    fn others(&self, cut: &Cut, spans: &[(i64, i64)], answers: &[Breakdown]) -> Option<MetricSeries> {
        answers.iter().any(|answer| answer.other.is_some()).then_some(())?;
        // Of two sets, one may have nothing there: its value of nothing stands in.
        let nothing: Vec<Answer> = self.sets.iter().map(|set| nothing(set, spans, &self.ordinals)).collect();
        let row: Vec<_> = answers
            .iter()
            .zip(&nothing)
            .map(|(answer, none)| answer.other.as_ref().unwrap_or(none))
            .collect();
        Some(series(cut, Some(SliceValue::Other), &row))
    }
}

/// The numbers of a value that nothing has.
fn nothing(set: &SeriesSet, spans: &[(i64, i64)], ordinals: &Ordinals) -> Answer {
    let absent = SeriesKey::Value(u32::MAX);
    let mut answer = set.answer_for(&[absent], spans, ordinals);
    answer.rows.swap_remove(0).answer
}

fn series(cut: &Cut, value: Option<SliceValue>, answers: &[&Answer]) -> MetricSeries {
    let of = |pick: &dyn Fn(&Answer) -> MetricValue| {
        measured(&answers.iter().map(|answer| pick(answer)).collect::<Vec<_>>())
    };
    let columns = cut.columns.iter().enumerate().filter(|_| cut.is_cut);
    let buckets = columns.map(|(i, column)| (column.from_us, of(&|answer| answer.buckets[i].clone())));
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
