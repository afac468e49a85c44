//! What lies in the file: its tables and its format.

use redb::{ReadableTable, TableDefinition, WriteTransaction};
use serde::Deserialize;

use super::Did;
use super::definitions::key;
use super::row::{decode, encode};
use crate::{DefinitionKind, DefinitionRow, Result, StoreError};

/// The file format this version writes. Format 1 had neither settings nor identity records,
/// and of definitions only funnels, in a table of their own; format 2 had no catalogue, format 3 nothing of alerts.
pub const FORMAT_VERSION: u64 = 4;

// META's name and types never change: it tells any version whether it may read the rest.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(super) const PROJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("projects");
pub(super) const SETTINGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("settings");
pub(super) const KEYS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("keys");
pub(super) const KEY_HASHES: TableDefinition<'_, &[u8; 32], &str> = TableDefinition::new("key_hashes");
pub(super) const SECRETS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("secrets");
/// By project, name of the kind, id.
pub(super) const DEFINITIONS: TableDefinition<'_, (&str, &str, &str), &[u8]> =
    TableDefinition::new("definitions");
pub(super) const LEDGER: TableDefinition<'_, (u32, i64, u8, &str), u64> = TableDefinition::new("ledger");
pub(super) const REFUSED: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("refused");
/// By project number, kind, owner, key; the rest is JSON.
pub(super) const CATALOG: TableDefinition<'_, (u32, u8, &str, &str), &str> = TableDefinition::new("catalog");
/// By project number and log position.
pub(super) const IDENTITY: TableDefinition<'_, (u32, u64), &[u8]> = TableDefinition::new("identity");
pub(super) const PRIVACY: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("privacy");

/// By project number and log position: when it was received, and the record.
pub(super) const ALERT_RECORDS: TableDefinition<'_, (u32, u64), (i64, &[u8])> =
    TableDefinition::new("alert_records");
/// By project number and part.
pub(super) const ALERT_IMAGES: TableDefinition<'_, (u32, u32), &[u8]> = TableDefinition::new("alert_images");
/// By project number: the position its image was made at.
pub(super) const ALERT_IMAGE_POSITIONS: TableDefinition<'_, u32, u64> =
    TableDefinition::new("alert_image_positions");
/// By project number, when it was opened, id.
pub(super) const INCIDENTS: TableDefinition<'_, (u32, i64, &str), &[u8]> = TableDefinition::new("incidents");
/// By project number and id: when it was opened.
pub(super) const INCIDENTS_OPENED: TableDefinition<'_, (u32, &str), i64> =
    TableDefinition::new("incidents_opened");
/// The keys of the incidents that are open.
pub(super) const INCIDENTS_OPEN: TableDefinition<'_, (u32, i64, &str), ()> =
    TableDefinition::new("incidents_open");
/// By project number, log position, index: when, the incident, the rest.
pub(super) const TRANSITIONS: TableDefinition<'_, (u32, u64, u32), (i64, &str, &str)> =
    TableDefinition::new("transitions");
/// By project number, incident, log position, index.
pub(super) const TRANSITIONS_OF: TableDefinition<'_, (u32, &str, u64, u32), ()> =
    TableDefinition::new("transitions_of");
pub(super) const DESTINATIONS: TableDefinition<'_, (&str, &str), &[u8]> =
    TableDefinition::new("destinations");
/// By project number, destination, sequence.
pub(super) const DELIVERIES: TableDefinition<'_, (u32, &str, u64), &[u8]> =
    TableDefinition::new("deliveries");
/// The keys of the deliveries that are pending.
pub(super) const DELIVERIES_PENDING: TableDefinition<'_, (u32, &str, u64), ()> =
    TableDefinition::new("deliveries_pending");
/// By project number, when it was made, destination, sequence: the incident, so that a filter decodes no row.
pub(super) const DELIVERIES_MADE: TableDefinition<'_, (u32, i64, &str, u64), &str> =
    TableDefinition::new("deliveries_made");

/// Of format 1, by project and id.
const FUNNELS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("funnels");

pub(super) const FORMAT: &str = "format";
pub(super) const PROJECT_COUNT: &str = "project_count";
pub(super) const LEDGER_POSITION: &str = "ledger_position";
pub(super) const CATALOG_POSITION: &str = "catalog_position";
pub(super) const ALERTS_POSITION: &str = "alerts_position";

/// Checks the format before any other table is touched, then makes the tables that are missing.
pub(super) fn prepare(txn: &WriteTransaction) -> Result<Did<()>> {
    let mut meta = txn.open_table(META)?;
    let found = meta.get(FORMAT)?.map(|found| found.value());
    match found {
        Some(FORMAT_VERSION) => return Ok(Did::Nothing(())),
        Some(found) if found > FORMAT_VERSION => {
            return Err(StoreError::NewerFormat { found, supported: FORMAT_VERSION });
        }
        Some(1) => from_format_1(txn)?,
        Some(2 | 3) => {} // Only tables are missing.
        Some(other) => return Err(StoreError::Corrupt(format!("it has format {other}"))),
        None => {}
    }
    make_tables(txn)?;
    meta.insert(FORMAT, FORMAT_VERSION)?;
    Ok(Did::Change(()))
}

fn make_tables(txn: &WriteTransaction) -> Result<()> {
    txn.open_table(PROJECTS)?;
    txn.open_table(SETTINGS)?;
    txn.open_table(KEYS)?;
    txn.open_table(KEY_HASHES)?;
    txn.open_table(SECRETS)?;
    txn.open_table(DEFINITIONS)?;
    txn.open_table(LEDGER)?;
    txn.open_table(REFUSED)?;
    txn.open_table(CATALOG)?;
    txn.open_table(IDENTITY)?;
    txn.open_table(PRIVACY)?;
    make_alert_tables(txn)
}

fn make_alert_tables(txn: &WriteTransaction) -> Result<()> {
    txn.open_table(ALERT_RECORDS)?;
    txn.open_table(ALERT_IMAGES)?;
    txn.open_table(ALERT_IMAGE_POSITIONS)?;
    txn.open_table(INCIDENTS)?;
    txn.open_table(INCIDENTS_OPENED)?;
    txn.open_table(INCIDENTS_OPEN)?;
    txn.open_table(TRANSITIONS)?;
    txn.open_table(TRANSITIONS_OF)?;
    txn.open_table(DESTINATIONS)?;
    txn.open_table(DELIVERIES)?;
    txn.open_table(DELIVERIES_PENDING)?;
    txn.open_table(DELIVERIES_MADE)?;
    Ok(())
}

/// A row of [`FUNNELS`].
#[derive(Deserialize)]
struct FunnelRow {
    project: String,
    id: String,
    json: String,
    version: u64,
    position: u64,
}

/// Funnels become definitions.
fn from_format_1(txn: &WriteTransaction) -> Result<()> {
    let funnels = txn.open_table(FUNNELS)?;
    let mut definitions = txn.open_table(DEFINITIONS)?;
    for entry in funnels.iter()? {
        let FunnelRow { project, id, json, version, position } = decode(entry?.1.value())?;
        let kind = DefinitionKind::Funnel;
        let row = DefinitionRow { project, kind, id, json, version, position };
        definitions.insert(key(&row), encode(&row)?.as_slice())?;
    }
    drop(funnels);
    txn.delete_table(FUNNELS)?;
    Ok(())
}
