//! Between stored rows and the API's messages.

use footpath_engine::LedgerEntry;
use footpath_ingest::RefusedRecord;
use footpath_proto::v1;
use footpath_store::{DefinitionKind, DefinitionRow, IdentityRow, RefusedRow};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::Status;

use crate::convert::{json_struct, timestamp};
use crate::status::internal;

/// A definition as a row; `position` is its control record's in the log.
///
/// # Errors
/// If it cannot be written as JSON.
pub fn definition_row(
    project: &str,
    kind: DefinitionKind,
    id: &str,
    version: u64,
    definition: &impl Serialize,
    position: u64,
) -> serde_json::Result<DefinitionRow> {
    let (project, id) = (project.to_owned(), id.to_owned());
    let json = serde_json::to_string(definition)?;
    Ok(DefinitionRow { project, kind, id, json, version, position })
}

/// A row as a definition: `CountedFunnel`, `CountedMetric` or `SegmentDefinition`, as its kind says.
///
/// # Errors
/// INTERNAL if the row was written by something else.
pub fn definition<T: DeserializeOwned>(row: &DefinitionRow) -> Result<T, Status> {
    serde_json::from_str(&row.json)
        .map_err(|e| internal(&format!("the stored {} {:?} cannot be read: {e}", row.kind.name(), row.id)))
}

/// A refused event as the API shows it; `None` if the row cannot be read.
pub fn refused_message(row: &RefusedRow) -> Option<v1::RefusedEvent> {
    let record: RefusedRecord = serde_json::from_slice(&row.json).ok()?;
    Some(v1::RefusedEvent {
        received_at: Some(timestamp(record.received_us)),
        batch_id: record.batch_id,
        index: record.index,
        event_id: record.event_id,
        reason: record.reason,
        message: record.message,
        payload: Some(json_struct(record.payload)),
    })
}

/// A decision about who is who; `None` if the row cannot be read.
pub fn ledger_entry(row: &IdentityRow) -> Option<LedgerEntry> {
    let control = serde_json::from_str(&row.json).ok()?;
    Some(LedgerEntry { position: row.position, control })
}
