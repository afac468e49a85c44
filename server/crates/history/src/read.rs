//! Reading one chunk file: what can be left out is left out by its statistics, then by row, then by column.

use std::collections::HashSet;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, Int64Array, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use footpath_engine::{ALIAS, IDENTIFY};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicate, ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions,
    ParquetRecordBatchReaderBuilder, RowFilter,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use parquet::schema::types::SchemaDescriptor;

use crate::error::HistoryError;
use crate::manifest::ChunkFile;
use crate::schema;
use crate::stop::Stop;
use crate::stored::{Columns, Scan, ScanStats, StoredRow};

mod heads;
mod input;
mod rows;

pub(crate) use heads::{heads, ids};
pub(crate) use input::Input;
use rows::{Names, RowBatch};

/// Rows decoded at a time.
const BATCH_ROWS: usize = 4096;

type Each<'e> = &'e mut dyn FnMut(&StoredRow<'_>) -> ControlFlow<()>;
type Builder = ParquetRecordBatchReaderBuilder<Input>;

/// What a scan asks for, in the form that files are read by.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    project: u32,
    times: Range<i64>,
    positions: Range<u64>,
    /// Actor hashes as stored, sorted.
    actors: Option<Arc<[i64]>>,
    names: Option<Arc<HashSet<String>>>,
    columns: Columns,
    stop: Stop,
}

impl Wanted {
    /// What `scan` asks for below a position, until somebody says stop.
    pub(crate) fn new(scan: &Scan<'_>, end: u64, stop: &Stop) -> Self {
        let sorted = |actors: &HashSet<u64>| {
            let mut actors: Vec<i64> = actors.iter().map(|actor| actor.cast_signed()).collect();
            actors.sort_unstable();
            Arc::from(actors)
        };
        Self {
            project: scan.project,
            times: scan.from_us..scan.to_us,
            positions: scan.from_position..end,
            actors: scan.actors.map(sorted),
            names: scan.names.map(|names| Arc::new(names.clone())),
            columns: scan.columns,
            stop: stop.clone(),
        }
    }

    /// Whether the file can hold a wanted event.
    pub(crate) fn may_hold(&self, file: &ChunkFile) -> bool {
        file.project == self.project
            && file.from < self.positions.end
            && self.positions.start < file.to
            && self.times_may_match(file.min_time_us, file.max_time_us)
            && self.actors_may_match(file.min_actor, file.max_actor)
            && self.links_may_match(file)
    }

    /// Of names that change identity it is known how often they are there.
    fn links_may_match(&self, file: &ChunkFile) -> bool {
        let may_hold = |name: &String| match name.as_str() {
            IDENTIFY => file.identifies > 0,
            ALIAS => file.aliases > 0,
            _ => true,
        };
        self.names.as_ref().is_none_or(|names| names.iter().any(may_hold))
    }

    fn times_may_match(&self, min: i64, max: i64) -> bool {
        min < self.times.end && self.times.start <= max
    }

    fn actors_may_match(&self, min: i64, max: i64) -> bool {
        let Some(actors) = &self.actors else { return true };
        actors.get(actors.partition_point(|actor| *actor < min)).is_some_and(|first| *first <= max)
    }

    fn holds_row_group(&self, columns: &Pruned, group: &RowGroupMetaData) -> bool {
        let time = bounds(group, columns.time).is_none_or(|(min, max)| self.times_may_match(min, max));
        time && bounds(group, columns.actor).is_none_or(|(min, max)| self.actors_may_match(min, max))
    }

    /// Whether some of the file's rows can be unwanted by time, position or actor.
    fn filters_rows(&self, file: &ChunkFile) -> bool {
        let whole = self.times.start <= file.min_time_us
            && file.max_time_us < self.times.end
            && self.positions.start <= file.from
            && file.to <= self.positions.end;
        !whole || self.actors.is_some()
    }

    fn rows(&self, batch: &RecordBatch) -> Result<BooleanArray, ArrowError> {
        let time: &TimestampMicrosecondArray = column(batch, schema::EVENT_TIME)?;
        let offset: &Int64Array = column(batch, schema::LOG_OFFSET)?;
        let actor: &Int64Array = column(batch, schema::ACTOR_HASH)?;
        let wanted = |i: usize| {
            self.times.contains(&time.value(i))
                && self.positions.contains(&offset.value(i).cast_unsigned())
                && self.actors.as_ref().is_none_or(|a| a.binary_search(&actor.value(i)).is_ok())
        };
        Ok((0..batch.num_rows()).map(|i| Some(wanted(i))).collect())
    }
}

/// The leaf columns that row groups are pruned by.
struct Pruned {
    time: Option<usize>,
    actor: Option<usize>,
}

/// The least and greatest value of a column in a row group, where its statistics say.
fn bounds(group: &RowGroupMetaData, column: Option<usize>) -> Option<(i64, i64)> {
    match group.column(column?).statistics()? {
        Statistics::Int64(known) => Some((*known.min_opt()?, *known.max_opt()?)),
        _ => None,
    }
}

/// A column of the type it must have.
fn column<'b, A: Array + 'static>(batch: &'b RecordBatch, name: &str) -> Result<&'b A, ArrowError> {
    let found = batch.column_by_name(name).and_then(|column| column.as_any().downcast_ref());
    found.ok_or_else(|| ArrowError::SchemaError(format!("the column {name} is missing or of another type")))
}

/// Gives the file's wanted events, sorted as they lie.
pub(crate) fn scan(
    input: Input,
    file: &ChunkFile,
    wanted: &Wanted,
    stats: &mut ScanStats,
    each: Each<'_>,
) -> Result<ControlFlow<()>, HistoryError> {
    let damaged = |error: &dyn ToString| HistoryError::damaged(&file.path, error.to_string());
    // Skipping rows inside a row group needs the index of its pages; few scans do.
    let pages = if wanted.actors.is_some() { PageIndexPolicy::Optional } else { PageIndexPolicy::Skip };
    let metadata = metadata(&input, pages).map_err(|e| damaged(&e))?;
    let builder = Builder::new_with_metadata(input, metadata);
    check_version(&file.path, builder.metadata())?;
    let groups = row_groups(&builder, wanted, stats);
    let builder = with_filter(builder, file, wanted).with_row_groups(groups).with_batch_size(BATCH_ROWS);
    let projection = projection(builder.parquet_schema(), |name| is_wanted(name, wanted.columns));
    let reader = builder.with_projection(projection).build().map_err(|e| damaged(&e))?;
    for batch in reader {
        wanted.stop.check()?;
        let batch = batch.map_err(|e| damaged(&e))?;
        let rows = RowBatch::new(&batch, wanted.columns).map_err(|e| damaged(&e))?;
        if give(&rows, stats, each).map_err(|e| damaged(&e))?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The file's metadata, set to decode names as a dictionary: most rows are judged by their name alone, and there are
/// few of them.
fn metadata(input: &Input, pages: PageIndexPolicy) -> Result<ArrowReaderMetadata, ParquetError> {
    let options = ArrowReaderOptions::new().with_offset_index_policy(pages);
    let found = ArrowReaderMetadata::load(input, options.clone())?;
    let fields = found.schema().fields().iter().map(|field| match field.name().as_str() {
        schema::NAME => Arc::new(field.as_ref().clone().with_data_type(names_type())),
        _ => Arc::clone(field),
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    ArrowReaderMetadata::try_new(Arc::clone(found.metadata()), options.with_schema(schema))
}

fn names_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

fn give(
    rows: &RowBatch<'_>,
    stats: &mut ScanStats,
    each: Each<'_>,
) -> Result<ControlFlow<()>, serde_json::Error> {
    let (mut properties, mut context) = (Vec::new(), Vec::new());
    for i in 0..rows.len() {
        stats.rows += 1;
        if each(&rows.row(i, &mut properties, &mut context)?).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn check_version(path: &str, metadata: &ParquetMetaData) -> Result<(), HistoryError> {
    let entries = metadata.file_metadata().key_value_metadata();
    let entry = entries.and_then(|all| all.iter().find(|entry| entry.key == schema::VERSION_KEY));
    let version = entry.and_then(|entry| entry.value.as_ref()?.parse().ok());
    match version {
        None => Err(HistoryError::damaged(path, "it does not say its format version")),
        Some(version) if version > schema::VERSION => {
            Err(HistoryError::Newer { file: path.to_owned(), version, supported: schema::VERSION })
        }
        Some(_) => Ok(()),
    }
}

fn row_groups(builder: &Builder, wanted: &Wanted, stats: &mut ScanStats) -> Vec<usize> {
    let leaf = |name: &str| builder.parquet_schema().columns().iter().position(|c| c.path().string() == name);
    let pruned = Pruned { time: leaf(schema::EVENT_TIME), actor: leaf(schema::ACTOR_HASH) };
    let groups = builder.metadata().row_groups();
    let kept: Vec<_> = (0..groups.len()).filter(|i| wanted.holds_row_group(&pruned, &groups[*i])).collect();
    stats.row_groups_skipped += (groups.len() - kept.len()) as u64;
    kept
}

/// Numbers first, they are cheap; names of what is left; everything else of what is left then.
fn with_filter(builder: Builder, file: &ChunkFile, wanted: &Wanted) -> Builder {
    let mut filters: Vec<Box<dyn ArrowPredicate>> = Vec::new();
    if wanted.filters_rows(file) {
        let numbers = [schema::EVENT_TIME, schema::LOG_OFFSET, schema::ACTOR_HASH];
        let mask = projection(builder.parquet_schema(), |name| numbers.contains(&name));
        let wanted = wanted.clone();
        filters.push(Box::new(ArrowPredicateFn::new(mask, move |batch| wanted.rows(&batch))));
    }
    if let Some(names) = wanted.names.clone() {
        let mask = projection(builder.parquet_schema(), |name| name == schema::NAME);
        let holds = move |batch: RecordBatch| {
            let found = Names::new(&batch)?;
            let known: Vec<_> =
                found.values.iter().map(|name| name.is_some_and(|n| names.contains(n))).collect();
            Ok(found.keys.iter().map(|key| Some(known[key? as usize])).collect())
        };
        filters.push(Box::new(ArrowPredicateFn::new(mask, holds)));
    }
    if filters.is_empty() { builder } else { builder.with_row_filter(RowFilter::new(filters)) }
}

fn projection(schema: &SchemaDescriptor, wanted: impl Fn(&str) -> bool) -> ProjectionMask {
    let fields = schema.root_schema().get_fields().iter().enumerate();
    ProjectionMask::roots(schema, fields.filter(|(_, field)| wanted(field.name())).map(|(i, _)| i))
}

fn is_wanted(name: &str, columns: Columns) -> bool {
    if rows::HEAD.contains(&name) {
        return true;
    }
    if rows::IDS.contains(&name) {
        return columns.ids;
    }
    if rows::REST.contains(&name) {
        return columns.rest;
    }
    columns.properties && rows::is_property(name)
}
