//! Definitions.

use super::layout::DEFINITIONS;
use super::row::{decode, encode, get};
use super::{Did, EmbeddedStore};
use crate::store::check_name;
use crate::{DefinitionKind, DefinitionRow, DefinitionStore, Result};

impl DefinitionStore for EmbeddedStore {
    fn put_definition(&self, definition: &DefinitionRow) -> Result<bool> {
        check_name("project id", &definition.project)?;
        check_name("definition id", &definition.id)?;
        self.write(|txn| {
            let mut table = txn.open_table(DEFINITIONS)?;
            let key = key(definition);
            let old: Option<DefinitionRow> = get(&table, key)?;
            if old.is_some_and(|old| old.position > definition.position) {
                return Ok(Did::Nothing(false));
            }
            table.insert(key, encode(definition)?.as_slice())?;
            Ok(Did::Change(true))
        })
    }

    fn definition(&self, project: &str, kind: DefinitionKind, id: &str) -> Result<Option<DefinitionRow>> {
        get(&self.read()?.open_table(DEFINITIONS)?, (project, kind.name(), id))
    }

    fn definitions(
        &self,
        project: &str,
        kind: DefinitionKind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DefinitionRow>> {
        let table = self.read()?.open_table(DEFINITIONS)?;
        let after = after.unwrap_or("");
        let mut rows = Vec::new();
        for entry in table.range((project, kind.name(), after)..)? {
            let (key, value) = entry?;
            let (of, named, id) = key.value();
            if (of, named) != (project, kind.name()) || rows.len() >= limit {
                break;
            }
            // Ids are never empty, so `after` = "" skips nothing.
            if id != after {
                rows.push(decode(value.value())?);
            }
        }
        Ok(rows)
    }

    fn delete_definition(
        &self,
        project: &str,
        kind: DefinitionKind,
        id: &str,
        position: u64,
    ) -> Result<bool> {
        self.write(|txn| {
            let mut table = txn.open_table(DEFINITIONS)?;
            let key = (project, kind.name(), id);
            let old: Option<DefinitionRow> = get(&table, key)?;
            if old.is_none_or(|old| old.position > position) {
                return Ok(Did::Nothing(false));
            }
            table.remove(key)?;
            Ok(Did::Change(true))
        })
    }
}

/// Where a definition lies.
pub(super) fn key(row: &DefinitionRow) -> (&str, &str, &str) {
    (&row.project, row.kind.name(), &row.id)
}
