//! Decodes heads: only the columns they are made of, once for all names that are wanted.

use arrow::array::{BinaryArray, Int64Array, TimestampMicrosecondArray};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use parquet::file::metadata::PageIndexPolicy;

use super::rows::{Names, sixteen};
use super::{BATCH_ROWS, Builder, Input, check_version, column, metadata, projection};
use crate::error::HistoryError;
use crate::heads::{Heads, Name, Place, check_rows};
use crate::manifest::ChunkFile;
use crate::schema;
use crate::stop::Stop;

/// The heads of each of these selections of a file's events, in the same order.
pub(crate) fn heads(
    input: Input,
    file: &ChunkFile,
    names: &[Name],
    stop: &Stop,
) -> Result<Vec<Heads>, HistoryError> {
    check_rows(file)?;
    let mut found: Vec<Heads> = names.iter().map(|_| Heads::default()).collect();
    let columns = [schema::ACTOR_HASH, schema::EVENT_TIME];
    each_batch(input, file, names, &columns, stop, &mut |batch, slots| {
        let actors: &Int64Array = column(batch, schema::ACTOR_HASH)?;
        let times: &TimestampMicrosecondArray = column(batch, schema::EVENT_TIME)?;
        let (actors, times) = (actors.values(), times.values());
        slots.each(&mut |slot, row| {
            found[slot].push(Place::of(actors[row].cast_unsigned()), times[row]);
        });
        Ok(())
    })?;
    found.iter_mut().for_each(Heads::finish);
    Ok(found)
}

/// The ids of a selection of a file's events, in the order of their heads.
pub(crate) fn ids(
    input: Input,
    file: &ChunkFile,
    name: &Name,
    stop: &Stop,
) -> Result<Vec<u128>, HistoryError> {
    let mut found = Vec::new();
    let names = std::slice::from_ref(name);
    each_batch(input, file, names, &[schema::EVENT_ID], stop, &mut |batch, slots| {
        let ids: &BinaryArray = column(batch, schema::EVENT_ID)?;
        slots.each(&mut |_, row| found.push(u128::from_be_bytes(sixteen(ids.value(row)))));
        Ok(())
    })?;
    found.shrink_to_fit();
    Ok(found)
}

/// Which selection each row of a batch belongs to; all rows to each selection that wants all.
struct Slots<'b> {
    rows: usize,
    /// The selections that want all events.
    all: Vec<usize>,
    /// By the key of a name, its selection.
    named: Option<(Names<'b>, Vec<Option<usize>>)>,
}

impl<'b> Slots<'b> {
    fn new(batch: &'b RecordBatch, wanted: &[Name]) -> Result<Self, ArrowError> {
        let all = (0..wanted.len()).filter(|slot| wanted[*slot].is_none()).collect();
        let slot =
            |name: Option<&str>| wanted.iter().position(|own| name.is_some() && own.as_deref() == name);
        let named = |names: Names<'b>| {
            let slots = names.values.iter().map(slot).collect();
            (names, slots)
        };
        let any = wanted.iter().any(Option::is_some);
        let names = any.then(|| Names::new(batch)).transpose()?;
        Ok(Self { rows: batch.num_rows(), all, named: names.map(named) })
    }

    fn each(&self, each: &mut impl FnMut(usize, usize)) {
        for slot in &self.all {
            (0..self.rows).for_each(|row| each(*slot, row));
        }
        let Some((names, slots)) = &self.named else { return };
        for (row, key) in names.keys.values().iter().enumerate() {
            if let Some(slot) = slots.get(*key as usize).copied().flatten() {
                each(slot, row);
            }
        }
    }
}

type EachBatch<'e> = &'e mut dyn FnMut(&RecordBatch, &Slots<'_>) -> Result<(), ArrowError>;

/// Decodes these columns, and names where they are asked for.
fn each_batch(
    input: Input,
    file: &ChunkFile,
    names: &[Name],
    columns: &[&str],
    stop: &Stop,
    each: EachBatch<'_>,
) -> Result<(), HistoryError> {
    let damaged = |error: &dyn ToString| HistoryError::damaged(&file.path, error.to_string());
    let metadata = metadata(&input, PageIndexPolicy::Skip).map_err(|e| damaged(&e))?;
    let builder = Builder::new_with_metadata(input, metadata);
    check_version(&file.path, builder.metadata())?;
    let any_name = names.iter().any(Option::is_some);
    let wanted = |column: &str| columns.contains(&column) || any_name && column == schema::NAME;
    let projection = projection(builder.parquet_schema(), wanted);
    let builder = builder.with_projection(projection).with_batch_size(BATCH_ROWS);
    for batch in builder.build().map_err(|e| damaged(&e))? {
        stop.check()?;
        let batch = batch.map_err(|e| damaged(&e))?;
        let slots = Slots::new(&batch, names).map_err(|e| damaged(&e))?;
        each(&batch, &slots).map_err(|e| damaged(&e))?;
    }
    Ok(())
}
