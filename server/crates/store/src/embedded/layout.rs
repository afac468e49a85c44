//! What lies in the file: its tables and its format.

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::Did;
use crate::{Result, StoreError};

/// The file format this version writes.
pub const FORMAT_VERSION: u64 = 1;

// META's name and types never change: it tells any version whether it may read the rest.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(super) const PROJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("projects");
pub(super) const KEYS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("keys");
pub(super) const KEY_HASHES: TableDefinition<'_, &[u8; 32], &str> = TableDefinition::new("key_hashes");
pub(super) const SECRETS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("secrets");
pub(super) const FUNNELS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("funnels");
pub(super) const LEDGER: TableDefinition<'_, (u32, i64, u8, &str), u64> = TableDefinition::new("ledger");
pub(super) const REFUSED: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("refused");
pub(super) const PRIVACY: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("privacy");

pub(super) const FORMAT: &str = "format";
pub(super) const PROJECT_COUNT: &str = "project_count";
pub(super) const LEDGER_POSITION: &str = "ledger_position";

/// Checks the format before any other table is touched, then makes all tables.
pub(super) fn prepare(txn: &WriteTransaction) -> Result<Did<()>> {
    let mut meta = txn.open_table(META)?;
    let found = meta.get(FORMAT)?.map(|found| found.value());
    match found {
        Some(found) if found > FORMAT_VERSION => {
            return Err(StoreError::NewerFormat { found, supported: FORMAT_VERSION });
        }
        Some(_) => return Ok(Did::Nothing(())),
        None => meta.insert(FORMAT, FORMAT_VERSION)?,
    };
    txn.open_table(PROJECTS)?;
    txn.open_table(KEYS)?;
    txn.open_table(KEY_HASHES)?;
    txn.open_table(SECRETS)?;
    txn.open_table(FUNNELS)?;
    txn.open_table(LEDGER)?;
    txn.open_table(REFUSED)?;
    txn.open_table(PRIVACY)?;
    Ok(Did::Change(()))
}
