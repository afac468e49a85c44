//! Project keys and the server's secrets.

use redb::{Durability, ReadableTable};

use super::layout::{KEY_HASHES, KEYS, PROJECTS, SECRETS};
use super::row::{decode, encode, get};
use super::{Did, EmbeddedStore, finish};
use crate::store::check_name;
use crate::{KeyRow, KeyStore, Result, SecretRow, StoreError};

impl EmbeddedStore {
    fn change_key(&self, id: &str, durability: Durability, change: impl FnOnce(&mut KeyRow)) -> Result<()> {
        let mut txn = self.db.begin_write()?;
        txn.set_durability(durability)?;
        finish(txn, |txn| {
            let mut keys = txn.open_table(KEYS)?;
            let old: KeyRow = get(&keys, id)?.ok_or_else(|| StoreError::not_found("key", id))?;
            let mut new = old.clone();
            change(&mut new);
            if new == old {
                return Ok(Did::Nothing(()));
            }
            keys.insert(id, encode(&new)?.as_slice())?;
            Ok(Did::Change(()))
        })
    }
}

impl KeyStore for EmbeddedStore {
    fn create_key(&self, key: &KeyRow) -> Result<()> {
        check_name("key id", &key.id)?;
        self.write(|txn| {
            if txn.open_table(PROJECTS)?.get(key.project.as_str())?.is_none() {
                return Err(StoreError::not_found("project", &key.project));
            }
            let mut keys = txn.open_table(KEYS)?;
            let mut hashes = txn.open_table(KEY_HASHES)?;
            match get::<_, KeyRow>(&keys, key.id.as_str())? {
                Some(old) if old.same_content(key) => return Ok(Did::Nothing(())),
                Some(_) => return Err(StoreError::conflict("key", &key.id)),
                None if hashes.get(&key.hash)?.is_some() => {
                    return Err(StoreError::conflict("key", &key.id));
                }
                None => {}
            }
            keys.insert(key.id.as_str(), encode(key)?.as_slice())?;
            hashes.insert(&key.hash, key.id.as_str())?;
            Ok(Did::Change(()))
        })
    }

    fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<KeyRow>> {
        let txn = self.read()?;
        match txn.open_table(KEY_HASHES)?.get(hash)? {
            Some(id) => get(&txn.open_table(KEYS)?, id.value()),
            None => Ok(None),
        }
    }

    fn keys(&self, project: &str) -> Result<Vec<KeyRow>> {
        let table = self.read()?.open_table(KEYS)?;
        let mut rows = Vec::new();
        for entry in table.iter()? {
            let row: KeyRow = decode(entry?.1.value())?;
            if row.project == project {
                rows.push(row);
            }
        }
        Ok(rows)
    }

    fn touch_key(&self, id: &str, at_us: i64) -> Result<()> {
        // Without a sync: this runs with traffic, and the next synced commit carries it along.
        self.change_key(id, Durability::None, |row| {
            row.last_used_at_us = row.last_used_at_us.max(Some(at_us));
        })
    }

    fn revoke_key(&self, id: &str, at_us: i64) -> Result<()> {
        self.change_key(id, Durability::Immediate, |row| {
            row.revoked_at_us = Some(row.revoked_at_us.map_or(at_us, |old| old.min(at_us)));
        })
    }

    fn put_secret(&self, secret: &SecretRow) -> Result<()> {
        check_name("secret name", &secret.name)?;
        self.write(|txn| {
            txn.open_table(SECRETS)?.insert(secret.name.as_str(), secret.bytes.as_slice())?;
            Ok(Did::Change(()))
        })
    }

    fn secret(&self, name: &str) -> Result<Option<SecretRow>> {
        let bytes = self.read()?.open_table(SECRETS)?.get(name)?;
        Ok(bytes.map(|bytes| SecretRow { name: name.to_owned(), bytes: bytes.value().to_vec() }))
    }
}
