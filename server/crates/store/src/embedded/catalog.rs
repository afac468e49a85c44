//! The catalogue.

use redb::ReadableTable;

use super::layout::{CATALOG, CATALOG_POSITION, META};
use super::{Did, EmbeddedStore};
use crate::{CatalogRow, CatalogStore, Result};

impl CatalogStore for EmbeddedStore {
    fn put_catalog(&self, rows: &[CatalogRow], position: u64) -> Result<bool> {
        self.write(|txn| {
            let mut meta = txn.open_table(META)?;
            if meta.get(CATALOG_POSITION)?.is_some_and(|old| old.value() >= position) {
                return Ok(Did::Nothing(false));
            }
            let mut catalog = txn.open_table(CATALOG)?;
            for row in rows {
                let address = (row.project, row.kind, row.owner.as_str(), row.key.as_str());
                catalog.insert(address, row.json.as_str())?;
            }
            meta.insert(CATALOG_POSITION, position)?;
            Ok(Did::Change(true))
        })
    }

    fn catalog_position(&self) -> Result<Option<u64>> {
        Ok(self.read()?.open_table(META)?.get(CATALOG_POSITION)?.map(|position| position.value()))
    }

    fn catalog(&self, project: u32) -> Result<Vec<CatalogRow>> {
        let table = self.read()?.open_table(CATALOG)?;
        let mut rows = Vec::new();
        for entry in table.range((project, 0, "", "")..)? {
            let (address, json) = entry?;
            let (found, kind, owner, key) = address.value();
            if found != project {
                break;
            }
            let (owner, key, json) = (owner.to_owned(), key.to_owned(), json.value().to_owned());
            rows.push(CatalogRow { project, kind, owner, key, json });
        }
        Ok(rows)
    }
}
