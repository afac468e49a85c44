//! What is kept about persons beside their events.

use super::layout::{IDENTITY, PRIVACY};
use super::row::{decode, encode, get, list};
use super::{Did, EmbeddedStore};
use crate::store::check_name;
use crate::{IdentityRow, PersonStore, PrivacyRow, Result, StoreError};

impl PersonStore for EmbeddedStore {
    fn put_identity(&self, record: &IdentityRow) -> Result<()> {
        self.write(|txn| {
            let mut table = txn.open_table(IDENTITY)?;
            let key = (record.project, record.position);
            match get::<_, IdentityRow>(&table, key)? {
                Some(old) if old == *record => return Ok(Did::Nothing(())),
                Some(_) => return Err(StoreError::conflict("identity record", &record.name())),
                None => table.insert(key, encode(record)?.as_slice())?,
            };
            Ok(Did::Change(()))
        })
    }

    fn identity(&self, project: u32, from_position: u64) -> Result<Vec<IdentityRow>> {
        let table = self.read()?.open_table(IDENTITY)?;
        let rows = table.range((project, from_position)..=(project, u64::MAX))?;
        rows.map(|entry| decode(entry?.1.value())).collect()
    }

    fn put_privacy(&self, request: &PrivacyRow) -> Result<()> {
        check_name("project id", &request.project)?;
        check_name("privacy request id", &request.id)?;
        self.write(|txn| {
            let mut table = txn.open_table(PRIVACY)?;
            let key = (request.project.as_str(), request.id.as_str());
            match get::<_, PrivacyRow>(&table, key)? {
                Some(old) if old.same_content(request) => return Ok(Did::Nothing(())),
                Some(_) => return Err(StoreError::conflict("privacy request", &request.id)),
                None => table.insert(key, encode(request)?.as_slice())?,
            };
            Ok(Did::Change(()))
        })
    }

    fn privacy(&self, project: &str, after: &str, limit: usize) -> Result<Vec<PrivacyRow>> {
        list(&self.read()?.open_table(PRIVACY)?, project, after, limit)
    }
}
