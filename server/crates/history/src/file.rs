//! One chunk file: sorted rows as Parquet.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use footpath_engine::IDENTIFY;
use parquet::arrow::ArrowSchemaConverter;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;

use crate::columns::RowColumns;
use crate::error::HistoryError;
use crate::gather::{Closed, DAY_US, Gathered, Key, Part};
use crate::manifest::ChunkFile;
use crate::schema::{self, Promoted};

/// Rows of a row group: the grain in which a reader of a few actors skips.
const ROW_GROUP_ROWS: usize = 32 * 1024;
/// Rows of a page: what is not compressed yet lies in memory for so many only.
pub(crate) const PAGE_ROWS: usize = 8 * 1024;
/// Bytes of a row in a file, on the generous side.
const ROW_BYTES: usize = 160;
/// Events whose bytes are asked for together.
const WARM_ROWS: usize = 16;

/// How files are written.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    schema: SchemaDescriptor,
    promoted: Vec<Promoted>,
    properties: WriterPropertiesPtr,
}

/// An encoded file and what the manifest says about it.
pub(crate) struct Encoded {
    pub(crate) bytes: Vec<u8>,
    pub(crate) file: ChunkFile,
}

impl Layout {
    /// The layout with these promoted properties.
    pub(crate) fn new(promoted: &[Promoted]) -> Result<Self, HistoryError> {
        schema::check_promoted(promoted)?;
        let arrow = schema::schema(promoted);
        let schema = ArrowSchemaConverter::new().convert(&arrow).map_err(HistoryError::encode)?;
        Ok(Self { schema, promoted: promoted.to_vec(), properties: Arc::new(properties(&arrow)) })
    }

    /// Encodes the rows of one part; sorts `keys`. `pause` is called between pieces of work.
    pub(crate) fn encode(
        &self,
        gathered: &Gathered,
        part: Part,
        keys: &mut [Key],
        range: &Closed,
        pause: &dyn Fn(),
    ) -> Result<Encoded, HistoryError> {
        keys.sort_unstable();
        pause();
        // Room for all of it: growing would copy megabytes, into memory that is touched for the first time.
        let out = Vec::with_capacity(keys.len() * ROW_BYTES + 64 * 1024);
        let root = self.schema.root_schema_ptr();
        let file = SerializedFileWriter::new(out, root, Arc::clone(&self.properties));
        let mut file = file.map_err(HistoryError::encode)?;
        let mut columns = RowColumns::new(&self.schema, &self.promoted)?;
        let mut identifies = 0;
        for rows in keys.chunks(ROW_GROUP_ROWS) {
            for rows in rows.chunks(PAGE_ROWS) {
                identifies += gather(gathered, rows, &mut columns);
                pause();
                columns.end_page()?;
                pause();
            }
            let mut group = file.next_row_group().map_err(HistoryError::encode)?;
            columns.end_group(&mut group)?;
            group.close().map_err(HistoryError::encode)?;
        }
        let bytes = file.into_inner().map_err(HistoryError::encode)?;
        let file = describe(part, keys, range, &bytes, identifies);
        Ok(Encoded { bytes, file })
    }
}

/// Moves rows into the columns; returns how many of them are `$identify` events.
fn gather(gathered: &Gathered, keys: &[Key], columns: &mut RowColumns) -> u64 {
    let mut identifies = 0;
    let mut rows = Vec::with_capacity(WARM_ROWS);
    for few in keys.chunks(WARM_ROWS) {
        gathered.warm(few);
        rows.clear();
        rows.extend(few.iter().filter_map(|key| gathered.row(key)));
        columns.push(&rows);
        identifies += rows.iter().filter(|row| row.spans.name == IDENTIFY.as_bytes()).count() as u64;
    }
    identifies
}

fn describe(part: Part, keys: &[Key], range: &Closed, bytes: &[u8], identifies: u64) -> ChunkFile {
    let times = || keys.iter().map(|key| key.time_us);
    ChunkFile {
        path: path(part, &range.positions),
        project: part.project,
        day: part.day,
        from: range.positions.start,
        to: range.positions.end,
        append_us: range.append_us,
        rows: keys.len() as u64,
        min_time_us: times().min().unwrap_or_default(),
        max_time_us: times().max().unwrap_or_default(),
        min_actor: keys.first().map_or(0, |key| key.actor),
        max_actor: keys.last().map_or(0, |key| key.actor),
        identifies,
        bytes: bytes.len() as u64,
        crc32c: crc32c::crc32c(bytes),
    }
}

/// `<project>/day=<UTC day>/<from>-<to>.parquet`: a folder per Delta table, a partition per day.
fn path(part: Part, range: &std::ops::Range<u64>) -> String {
    let day = jiff::Timestamp::from_microsecond(i64::from(part.day) * DAY_US)
        .map_or_else(|_| part.day.to_string(), |day| day.strftime("%Y-%m-%d").to_string());
    format!("{}/day={day}/{:016}-{:016}.parquet", part.project, range.start, range.end)
}

fn properties(schema: &SchemaRef) -> WriterProperties {
    let index = |name: &str| schema.index_of(name).unwrap_or_default() as i32; // All before the first nested one.
    let sorted = [schema::ACTOR_HASH, schema::EVENT_TIME, schema::EVENT_ID].map(|name| SortingColumn {
        column_idx: index(name),
        descending: false,
        nulls_first: false,
    });
    let version = KeyValue::new(schema::VERSION_KEY.to_owned(), schema::VERSION.to_string());
    WriterProperties::builder()
        .set_sorting_columns(Some(sorted.to_vec()))
        .set_key_value_metadata(Some(vec![version]))
        .build()
}
