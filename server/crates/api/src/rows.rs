//! Between stored rows and the API's messages.

use footpath_ingest::RefusedRecord;
use footpath_model::control::CountedFunnel;
use footpath_proto::v1;
use footpath_store::{FunnelRow, RefusedRow};
use tonic::Status;

use crate::convert::{json_struct, timestamp};

/// A funnel as a row; `position` is its control record's in the log.
pub fn funnel_row(project: &str, funnel: &CountedFunnel, position: u64) -> FunnelRow {
    FunnelRow {
        project: project.to_owned(),
        id: funnel.definition.id.clone(),
        json: serde_json::to_string(funnel).unwrap_or_default(),
        version: funnel.definition.version,
        position,
    }
}

/// A row as a funnel.
///
/// # Errors
/// INTERNAL if the row was written by something else.
pub fn counted_funnel(row: &FunnelRow) -> Result<CountedFunnel, Status> {
    serde_json::from_str(&row.json)
        .map_err(|e| crate::status::internal(&format!("the stored funnel {:?} cannot be read: {e}", row.id)))
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
