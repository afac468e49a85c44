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
use crate::gather::{DAY_US, Gathered, Key, Part};
use crate::pages::Out;
use crate::schema::{self, Promoted};

/// Rows of a row group: the grain in which a reader of a few actors skips.
const ROW_GROUP_ROWS: usize = 32 * 1024;
/// Rows of a page: what is not compressed yet lies in memory for so many only.
pub(crate) const PAGE_ROWS: usize = 8 * 1024;
/// Events whose bytes are asked for together.
const WARM_ROWS: usize = 16;

/// How files are written.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    schema: SchemaDescriptor,
    promoted: Vec<Promoted>,
    properties: WriterPropertiesPtr,
}

impl Layout {
    /// The layout with these promoted properties.
    pub(crate) fn new(promoted: &[Promoted]) -> Result<Self, HistoryError> {
        schema::check_promoted(promoted)?;
        let arrow = schema::schema(promoted);
        let schema = ArrowSchemaConverter::new().convert(&arrow).map_err(HistoryError::encode)?;
        Ok(Self { schema, promoted: promoted.to_vec(), properties: Arc::new(properties(&arrow)) })
    }

    /// Writes rows as a file; sorts `keys`. Returns how many of them are `$identify` events. `pause` is called between
    /// pieces of work.
    pub(crate) fn encode(
        &self,
        gathered: &Gathered,
        keys: &mut [Key],
        out: Out<'_>,
        pause: &dyn Fn(),
    ) -> Result<u64, HistoryError> {
        keys.sort_unstable();
        pause();
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
        file.close().map_err(HistoryError::encode)?;
        Ok(identifies)
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

/// `<project>/day=<UTC day>/<from>-<to>.parquet`: a folder per Delta table, a partition per day.
pub(crate) fn path(part: Part, range: &std::ops::Range<u64>) -> String {
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
