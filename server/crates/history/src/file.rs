//! One chunk file: sorted rows as Parquet.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use footpath_engine::{ALIAS, IDENTIFY};
use parquet::arrow::ArrowSchemaConverter;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;

use crate::columns::{Extent, RowColumns};
use crate::error::HistoryError;
use crate::gather::{DAY_US, Gathered, Key, Part};
use crate::pages::Out;
use crate::schema::{self, Promoted};

/// The largest row group: the grain in which a reader of a few actors skips.
const ROW_GROUP: Extent = Extent { rows: 32 * 1024, bytes: 4 * PAGE.bytes };
/// The largest page: what is not compressed yet lies in memory for so much only. Nested values of an event can become six
/// times as long as JSON, so that rows alone are no bound. Tests meet both.
const PAGE: Extent = Extent { rows: 8 * 1024, bytes: if cfg!(test) { 4 << 10 } else { 8 << 20 } };
/// Events whose bytes are asked for together.
const WARM_ROWS: usize = 16;

/// How many events of a file change identity.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LinkCounts {
    pub(crate) identifies: u64,
    pub(crate) aliases: u64,
}

impl LinkCounts {
    fn count(&mut self, name: &[u8]) {
        self.identifies += u64::from(name == IDENTIFY.as_bytes());
        self.aliases += u64::from(name == ALIAS.as_bytes());
    }
}

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

    /// Writes rows as a file; sorts `keys`. Returns how many of them change identity. `pause` is called between pieces
    /// of work.
    pub(crate) fn encode(
        &self,
        gathered: &Gathered,
        keys: &mut [Key],
        out: Out<'_>,
        pause: &dyn Fn(),
    ) -> Result<LinkCounts, HistoryError> {
        keys.sort_unstable();
        pause();
        let root = self.schema.root_schema_ptr();
        let file = SerializedFileWriter::new(out, root, Arc::clone(&self.properties));
        let mut file = file.map_err(HistoryError::encode)?;
        let mut columns = RowColumns::new(&self.schema, &self.promoted)?;
        let mut links = LinkCounts::default();
        let mut rows = Vec::with_capacity(WARM_ROWS);
        for few in keys.chunks(WARM_ROWS) {
            gathered.warm(few);
            rows.clear();
            rows.extend(few.iter().filter_map(|key| gathered.row(key)));
            columns.push(&rows);
            rows.iter().for_each(|row| links.count(row.spans.name));
            if columns.page().is_full(PAGE) {
                pause();
                columns.end_page()?;
                pause();
            }
            if columns.group().is_full(ROW_GROUP) {
                end_group(&mut file, &mut columns)?;
            }
        }
        if columns.group().rows > 0 {
            end_group(&mut file, &mut columns)?;
        }
        file.close().map_err(HistoryError::encode)?;
        Ok(links)
    }
}

fn end_group(file: &mut SerializedFileWriter<Out<'_>>, columns: &mut RowColumns) -> Result<(), HistoryError> {
    if columns.page().rows > 0 {
        columns.end_page()?;
    }
    let mut group = file.next_row_group().map_err(HistoryError::encode)?;
    columns.end_group(&mut group)?;
    group.close().map_err(HistoryError::encode)?;
    Ok(())
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
