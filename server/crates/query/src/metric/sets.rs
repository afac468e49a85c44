//! Aggregates by column and value, and the tables made of them.

use footpath_engine::ActorKey;
use footpath_engine::lens::Values;
use footpath_engine::metric::set::{MAX_VALUES, SeriesKey};
use footpath_engine::metric::{
    Horizons, Item, ItemValue, Layout, MetricKind, Ordinals, Partial, SeriesSet, table,
};

use super::{Cut, Rows, Table};
use crate::SliceValue;

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
        let spans = (0..cut.columns.len() as i64).map(|i| (i * COLUMN_US, (i + 1) * COLUMN_US)).collect();
        let shown = cut.columns.iter().filter(|_| cut.is_cut);
        let layout = Layout { spans, starts_us: shown.map(|column| column.from_us).collect() };
        let name = |number| values.map_or(SliceValue::Other, |values| values.value(number));
        let names = values.is_some().then_some(&name as &dyn Fn(u32) -> SliceValue);
        let laid = table::Source { sets: &self.sets, ordinals: &self.ordinals, names }.table(&layout, rows);
        Table {
            rows: laid.rows,
            total: laid.total,
            overflow: laid.overflow || values.is_some_and(Values::overflow),
            keys: laid.keys,
            events,
        }
    }
}
