//! Definitions.

use super::layout::FUNNELS;
use super::row::{encode, get, list};
use super::{Did, EmbeddedStore};
use crate::store::check_name;
use crate::{DefinitionStore, FunnelRow, Result};

impl DefinitionStore for EmbeddedStore {
    fn put_funnel(&self, funnel: &FunnelRow) -> Result<bool> {
        check_name("project id", &funnel.project)?;
        check_name("funnel id", &funnel.id)?;
        self.write(|txn| {
            let mut table = txn.open_table(FUNNELS)?;
            let key = (funnel.project.as_str(), funnel.id.as_str());
            let old: Option<FunnelRow> = get(&table, key)?;
            if old.is_some_and(|old| old.position > funnel.position) {
                return Ok(Did::Nothing(false));
            }
            table.insert(key, encode(funnel)?.as_slice())?;
            Ok(Did::Change(true))
        })
    }

    fn funnel(&self, project: &str, id: &str) -> Result<Option<FunnelRow>> {
        get(&self.read()?.open_table(FUNNELS)?, (project, id))
    }

    fn funnels(&self, project: &str, after: Option<&str>, limit: usize) -> Result<Vec<FunnelRow>> {
        list(&self.read()?.open_table(FUNNELS)?, project, after.unwrap_or(""), limit)
    }

    fn delete_funnel(&self, project: &str, id: &str, position: u64) -> Result<bool> {
        self.write(|txn| {
            let mut table = txn.open_table(FUNNELS)?;
            let key = (project, id);
            let old: Option<FunnelRow> = get(&table, key)?;
            if old.is_none_or(|old| old.position > position) {
                return Ok(Did::Nothing(false));
            }
            table.remove(key)?;
            Ok(Did::Change(true))
        })
    }
}
