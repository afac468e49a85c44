//! The columns of a row group as pages, encoded and compressed as they fill up.
//!
//! Arrow's writer would copy each value into an array and from there into a page, and work the levels out of null bits
//! and offsets again. Here a value goes from its event's bytes into the page. Headers, footer and indexes are
//! the parquet crate's.

use std::io::{Chain, Read, Write};

use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder};
use parquet::file::page_index::offset_index::OffsetIndexMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use crate::error::HistoryError;
use crate::hybrid::{put_hybrid, put_run};

/// Where a file goes.
pub(crate) type Out<'w> = &'w mut (dyn Write + Send);

/// A row group of a file.
pub(crate) type RowGroup<'g, 'w> = SerializedRowGroupWriter<'g, Out<'w>>;

/// One or more leaf columns of the row group that is being written.
pub(crate) trait Column {
    /// Ends a page of so many rows: what was pushed since the last one is encoded.
    fn end_page(&mut self, rows: usize, packer: &mut Packer) -> Result<(), HistoryError>;

    /// Moves all pages into the file.
    fn end_group(&mut self, packer: &mut Packer, group: &mut RowGroup<'_, '_>) -> Result<(), HistoryError>;
}

/// The values of a leaf column, as they are encoded.
pub(crate) trait Values {
    /// Whether compressing pages pays.
    const COMPRESSED: bool = true;

    /// Moves the values since the last page behind `page`, and says how they are encoded.
    fn take(&mut self, page: &mut Vec<u8>) -> Result<Encoding, HistoryError>;

    /// Takes the dictionary of the row group: its values, encoded, and how many.
    fn take_dictionary(&mut self) -> Option<(Vec<u8>, u32)> {
        None
    }

    /// Takes what a reader prunes row groups by.
    fn take_statistics(&mut self) -> Option<Statistics> {
        None
    }
}

/// How many values and rows a page holds, and the levels that say which value belongs to which row.
#[derive(Clone, Copy)]
pub(crate) struct Shape<'a> {
    pub(crate) rows: usize,
    /// Nulls and empty maps count as well.
    pub(crate) values: usize,
    /// As they stand in the page; empty where every row has one value.
    pub(crate) levels: &'a [u8],
}

/// Compresses pages. Its buffers are used again and again: memory touched for the first time is dear.
#[derive(Default)]
pub(crate) struct Packer {
    page: Vec<u8>,
    packed: Vec<u8>,
}

impl Packer {
    fn pack(&mut self, compressed: bool) -> Result<Bytes, HistoryError> {
        if !compressed {
            return Ok(Bytes::copy_from_slice(&self.page));
        }
        let most = lz4_flex::block::get_maximum_output_size(self.page.len());
        if self.packed.len() < most {
            self.packed.resize(most, 0);
        }
        let length =
            lz4_flex::block::compress_into(&self.page, &mut self.packed).map_err(HistoryError::encode)?;
        Ok(Bytes::copy_from_slice(&self.packed[..length]))
    }
}

/// A leaf column: values, and the pages that are ready.
pub(crate) struct Leaf<V> {
    pub(crate) values: V,
    pages: Pages,
}

impl<V: Values> Leaf<V> {
    pub(crate) fn new(column: ColumnDescPtr, values: V) -> Self {
        Self { values, pages: Pages::new(column, V::COMPRESSED) }
    }

    pub(crate) fn end_page(&mut self, shape: Shape<'_>, packer: &mut Packer) -> Result<(), HistoryError> {
        packer.page.clear();
        packer.page.extend_from_slice(shape.levels);
        let encoding = self.values.take(&mut packer.page)?;
        self.pages.add(shape, encoding, packer)
    }

    pub(crate) fn end_group(
        &mut self,
        packer: &mut Packer,
        group: &mut RowGroup<'_, '_>,
    ) -> Result<(), HistoryError> {
        let dictionary = self.values.take_dictionary();
        self.pages.close(dictionary, self.values.take_statistics(), packer, group)
    }
}

/// A column with a value in every row.
impl<V: Values> Column for Leaf<V> {
    fn end_page(&mut self, rows: usize, packer: &mut Packer) -> Result<(), HistoryError> {
        self.end_page(Shape { rows, values: rows, levels: &[] }, packer)
    }

    fn end_group(&mut self, packer: &mut Packer, group: &mut RowGroup<'_, '_>) -> Result<(), HistoryError> {
        self.end_group(packer, group)
    }
}

/// Pages one after another, and what the file's footer will say about them.
struct Pages {
    column: ColumnDescPtr,
    compressed: bool,
    bytes: Vec<u8>,
    places: Vec<Place>,
    /// Of their values.
    encodings: Vec<Encoding>,
    values: usize,
    /// Bytes of all pages before they were compressed.
    unpacked: usize,
}

/// Where a page lies.
struct Place {
    offset: usize,
    length: usize,
    rows: usize,
}

impl Pages {
    fn new(column: ColumnDescPtr, compressed: bool) -> Self {
        Self {
            column,
            compressed,
            bytes: Vec::new(),
            places: Vec::new(),
            encodings: Vec::new(),
            values: 0,
            unpacked: 0,
        }
    }

    fn add(&mut self, shape: Shape<'_>, encoding: Encoding, packer: &mut Packer) -> Result<(), HistoryError> {
        if !self.encodings.contains(&encoding) {
            self.encodings.push(encoding);
        }
        let page = Page::DataPage {
            buf: packer.pack(self.compressed)?,
            num_values: shape.values as u32,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let offset = self.bytes.len();
        self.unpacked += put_page(&mut self.bytes, page, packer.page.len())?;
        self.places.push(Place { offset, length: self.bytes.len() - offset, rows: shape.rows });
        self.values += shape.values;
        Ok(())
    }

    /// Moves the pages into the file, and begins anew.
    fn close(
        &mut self,
        dictionary: Option<(Vec<u8>, u32)>,
        statistics: Option<Statistics>,
        packer: &mut Packer,
        group: &mut RowGroup<'_, '_>,
    ) -> Result<(), HistoryError> {
        let mut encodings = std::mem::take(&mut self.encodings);
        encodings.push(Encoding::RLE); // Of levels.
        let mut before = Vec::new();
        if let Some((values, num_values)) = dictionary {
            encodings.push(Encoding::PLAIN);
            packer.page = values;
            let (buf, encoding) = (packer.pack(self.compressed)?, Encoding::PLAIN);
            let page = Page::DictionaryPage { buf, num_values, encoding, is_sorted: false };
            self.unpacked += put_page(&mut before, page, packer.page.len())?;
        }
        let mut metadata = ColumnChunkMetaData::builder(self.column.clone())
            .set_compression(if self.compressed { Compression::LZ4_RAW } else { Compression::UNCOMPRESSED })
            .set_encodings(encodings)
            .set_num_values(self.values as i64)
            .set_total_compressed_size((before.len() + self.bytes.len()) as i64)
            .set_total_uncompressed_size(self.unpacked as i64)
            .set_data_page_offset(before.len() as i64)
            .set_dictionary_page_offset((!before.is_empty()).then_some(0));
        if let Some(statistics) = statistics {
            metadata = metadata.set_statistics(statistics);
        }
        let closed = ColumnCloseResult {
            bytes_written: (before.len() + self.bytes.len()) as u64,
            rows_written: self.places.iter().map(|place| place.rows as u64).sum(),
            metadata: metadata.build().map_err(HistoryError::encode)?,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(self.index(before.len())),
        };
        group.append_column(&Parts(&before, &self.bytes), closed).map_err(HistoryError::encode)?;
        self.bytes.clear();
        self.places.clear();
        (self.values, self.unpacked) = (0, 0);
        Ok(())
    }

    /// Where the pages lie behind `before` bytes.
    fn index(&self, before: usize) -> OffsetIndexMetaData {
        let mut index = OffsetIndexBuilder::new();
        for place in &self.places {
            index.append_row_count(place.rows as i64);
            index.append_offset_and_size((before + place.offset) as i64, place.length as i32);
        }
        index.build()
    }
}

/// Appends a page and its header; returns how many bytes it was before it was compressed.
fn put_page(out: &mut Vec<u8>, page: Page, unpacked: usize) -> Result<usize, HistoryError> {
    let mut sink = TrackedWrite::new(out);
    let page = CompressedPage::new(page, unpacked);
    let written = SerializedPageWriter::new(&mut sink).write_page(page);
    sink.flush()?;
    Ok(written.map_err(HistoryError::encode)?.uncompressed_size)
}

/// A column chunk in two parts, as the crate reads it.
struct Parts<'a>(&'a [u8], &'a [u8]);

impl Length for Parts<'_> {
    fn len(&self) -> u64 {
        (self.0.len() + self.1.len()) as u64
    }
}

impl<'a> ChunkReader for Parts<'a> {
    type T = Chain<&'a [u8], &'a [u8]>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let start = start as usize;
        let first = self.0.get(start..).unwrap_or_default();
        let second = self.1.get(start.saturating_sub(self.0.len())..).unwrap_or_default();
        Ok(first.chain(second))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let mut bytes = Vec::with_capacity(length);
        self.get_read(start)?.take(length as u64).read_to_end(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// Appends levels that are 0 or 1, as a page holds them.
pub(crate) fn put_levels(out: &mut Vec<u8>, levels: &[u8]) {
    with_length(out, |out| put_hybrid(out, 1, levels));
}

/// Appends a level that stands `count` times.
pub(crate) fn put_equal_levels(out: &mut Vec<u8>, level: u8, count: usize) {
    with_length(out, |out| put_run(out, 1, level.into(), count));
}

fn with_length(out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    content(out);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}
