//! One chunk file: sorted rows as Parquet.

use arrow::datatypes::SchemaRef;
use footpath_engine::IDENTIFY;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::columns::RowColumns;
use crate::error::HistoryError;
use crate::gather::{Closed, DAY_US, Gathered, Key, Part};
use crate::manifest::ChunkFile;
use crate::schema::{self, Kind, Promoted};

/// Rows of a row group: the grain in which a reader of a few actors skips.
const ROW_GROUP_ROWS: usize = 32 * 1024;
/// Rows that are gathered before they are encoded; what is decoded lies in memory for so many only.
pub(crate) const BATCH_ROWS: usize = 8 * 1024;
/// Bytes of a row in a file, on the generous side.
const ROW_BYTES: usize = 160;
/// Events whose bytes are asked for together.
const WARM_ROWS: usize = 16;
/// A dictionary that grows beyond this is given up: its values do not repeat.
const DICTIONARY_BYTES: usize = 256 * 1024;

/// How files are written.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    schema: SchemaRef,
    promoted: Vec<Promoted>,
    properties: WriterProperties,
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
        let schema = schema::schema(promoted);
        let properties = properties(&schema);
        Ok(Self { schema, promoted: promoted.to_vec(), properties })
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
        let options =
            ArrowWriterOptions::new().with_properties(self.properties.clone()).with_skip_arrow_metadata(true);
        // Room for all of it: growing would copy megabytes, into memory that is touched for the first time.
        let out = Vec::with_capacity(keys.len() * ROW_BYTES + 64 * 1024);
        let writer = ArrowWriter::try_new_with_options(out, self.schema.clone(), options);
        let mut writer = writer.map_err(HistoryError::encode)?;
        let mut columns = RowColumns::new(self.schema.clone(), &self.promoted);
        let mut identifies = 0;
        for batch in keys.chunks(BATCH_ROWS) {
            identifies += gather(gathered, batch, &mut columns);
            pause();
            writer.write(&columns.finish()?).map_err(HistoryError::encode)?;
            pause();
        }
        let bytes = writer.into_inner().map_err(HistoryError::encode)?;
        let file = describe(part, keys, range, &bytes, identifies);
        Ok(Encoded { bytes, file })
    }
}

/// Moves rows into the columns; returns how many of them are `$identify` events.
fn gather(gathered: &Gathered, keys: &[Key], columns: &mut RowColumns) -> u64 {
    let mut identifies = 0;
    for few in keys.chunks(WARM_ROWS) {
        gathered.warm(few);
        for (frame, event) in few.iter().filter_map(|key| gathered.event(key)) {
            identifies += u64::from(event.name() == IDENTIFY);
            columns.push(frame, &event);
        }
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
    let column = |name: &str| ColumnPath::from(name);
    let index = |name: &str| schema.index_of(name).unwrap_or_default() as i32; // All before the first nested one.
    let sorted = [schema::ACTOR_HASH, schema::EVENT_TIME, schema::EVENT_ID].map(|name| SortingColumn {
        column_idx: index(name),
        descending: false,
        nulls_first: false,
    });
    let version = KeyValue::new(schema::VERSION_KEY.to_owned(), schema::VERSION.to_string());
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::LZ4_RAW)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_sorting_columns(Some(sorted.to_vec()))
        .set_key_value_metadata(Some(vec![version]));
    for name in [schema::ACTOR_HASH, schema::EVENT_TIME, schema::LOG_OFFSET, schema::NAME] {
        builder = builder.set_column_statistics_enabled(column(name), EnabledStatistics::Chunk);
    }
    // Values that hardly repeat within minutes, or repeat side by side, which compression sees too: looking each up would
    // cost more than the dictionary saves.
    let plain = [
        schema::LOG_OFFSET,
        schema::BATCH_INDEX,
        schema::EVENT_ID,
        schema::EVENT_TIME,
        schema::RAW_TIME,
        schema::RECEIVE_TIME,
        schema::APPEND_TIME,
        schema::LANE,
        schema::ACTOR,
        schema::ACTOR_HASH,
        schema::STREAM_NUMBER,
        schema::ANONYMOUS_ID,
        schema::SESSION_ID,
        schema::CHANGES,
    ];
    for name in plain {
        builder = builder.set_column_dictionary_enabled(column(name), false);
    }
    for kind in [Kind::Double, Kind::Time, Kind::Json] {
        let path = vec![kind.map_column(), "key_value".to_owned(), "value".to_owned()];
        builder = builder.set_column_dictionary_enabled(ColumnPath::new(path), false);
    }
    builder.build()
}
