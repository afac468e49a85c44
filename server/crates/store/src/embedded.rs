//! The durable store: one redb file (copy-on-write B-trees, a checksummed commit with each sync).
//!
//! Small rows are one version byte and then JSON, so a person can read a damaged file and a field
//! can be added with a default; counters and addresses are redb's own ordered types.

use std::fs::{File, OpenOptions};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{
    Builder, Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition,
    WriteTransaction,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::store::{add_counts, check_name};
use crate::{
    FunnelRow, KeyRow, LedgerCell, NewProject, PrivacyRow, ProjectRow, REFUSED_KEPT, RefusedRow, Result,
    SecretRow, Store, StoreError,
};

/// The file format this version writes.
pub const FORMAT_VERSION: u64 = 1;

const ROW_VERSION: u8 = 1;
/// The whole state is small; redb's default of 1 GiB is for databases that are not.
const CACHE_BYTES: usize = 16 << 20;
/// A file up to this size is checked in full when it is opened: a fraction of a second.
const CHECKED_BYTES: u64 = 256 << 20;

// META's name and types never change: it tells any version whether it may read the rest.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const PROJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("projects");
const KEYS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("keys");
const KEY_HASHES: TableDefinition<'_, &[u8; 32], &str> = TableDefinition::new("key_hashes");
const SECRETS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("secrets");
const FUNNELS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("funnels");
const LEDGER: TableDefinition<'_, (u32, i64, u8, &str), u64> = TableDefinition::new("ledger");
const REFUSED: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("refused");
const PRIVACY: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("privacy");

const FORMAT: &str = "format";
const PROJECT_COUNT: &str = "project_count";
const LEDGER_POSITION: &str = "ledger_position";

/// A [`Store`] in one file.
pub struct EmbeddedStore {
    db: Database,
}

/// What a write transaction came to; without a change there is nothing to sync.
enum Did<T> {
    Change(T),
    Nothing(T),
}

impl EmbeddedStore {
    /// Opens the file, or creates it readable by its owner only (it holds secrets).
    ///
    /// # Errors
    /// [`StoreError::Locked`] when it is open elsewhere, [`StoreError::NewerFormat`] when a newer
    /// version wrote it (the file is left as it was), [`StoreError::Corrupt`], [`StoreError::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let length = options.open(path)?.metadata()?.len();
        let db = whole(|| open_checked(path, length <= CHECKED_BYTES))?;
        let store = Self { db };
        whole(|| store.write(prepare))?;
        // A new file survives a power cut only when its folder is synced as well.
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(store)
    }

    fn read(&self) -> Result<ReadTransaction> {
        Ok(self.db.begin_read()?)
    }

    fn write<T>(&self, work: impl FnOnce(&WriteTransaction) -> Result<Did<T>>) -> Result<T> {
        finish(self.db.begin_write()?, work)
    }

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

/// Opens the file; `check` compares the checksum of every page.
fn open_checked(path: &Path, check: bool) -> Result<Database> {
    let mut db = Builder::new().set_cache_size(CACHE_BYTES).create(path)?;
    if check && !db.check_integrity()? {
        return Err(StoreError::Corrupt("its pages do not fit their checksums".to_owned()));
    }
    Ok(db)
}

/// redb takes the bytes of a page for what it wrote and may panic over others; to us that is damage.
fn whole<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(StoreError::Corrupt(said.unwrap_or("redb panicked").to_owned()))
    })
}

fn finish<T>(txn: WriteTransaction, work: impl FnOnce(&WriteTransaction) -> Result<Did<T>>) -> Result<T> {
    // An error drops the transaction, which rolls it back.
    match work(&txn)? {
        Did::Change(value) => {
            txn.commit()?;
            Ok(value)
        }
        Did::Nothing(value) => {
            txn.abort()?;
            Ok(value)
        }
    }
}

/// Checks the format before any other table is touched, then makes all tables.
fn prepare(txn: &WriteTransaction) -> Result<Did<()>> {
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

fn encode<T: Serialize>(row: &T) -> Result<Vec<u8>> {
    let mut bytes = vec![ROW_VERSION];
    serde_json::to_writer(&mut bytes, row)
        .map_err(|error| StoreError::Invalid(format!("the row cannot be encoded: {error}")))?;
    Ok(bytes)
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    match bytes.split_first() {
        Some((&ROW_VERSION, json)) => serde_json::from_slice(json)
            .map_err(|error| StoreError::Corrupt(format!("a row does not decode: {error}"))),
        other => Err(StoreError::Corrupt(format!("a row has version {:?}", other.map(|(v, _)| v)))),
    }
}

fn get<T: DeserializeOwned>(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    id: &str,
) -> Result<Option<T>> {
    table.get(id)?.map(|bytes| decode(bytes.value())).transpose()
}

type PairTable = redb::ReadOnlyTable<(&'static str, &'static str), &'static [u8]>;

/// The rows of one project with an id above `after`.
fn list<T: DeserializeOwned>(table: &PairTable, project: &str, after: &str, limit: usize) -> Result<Vec<T>> {
    let mut rows = Vec::new();
    for entry in table.range((project, after)..)? {
        let (key, value) = entry?;
        if key.value().0 != project || rows.len() >= limit {
            break;
        }
        // Ids are never empty, so `after` = "" skips nothing.
        if key.value().1 != after {
            rows.push(decode(value.value())?);
        }
    }
    Ok(rows)
}

impl Store for EmbeddedStore {
    fn create_project(&self, project: &NewProject) -> Result<ProjectRow> {
        check_name("project id", &project.id)?;
        self.write(|txn| {
            let mut projects = txn.open_table(PROJECTS)?;
            if let Some(old) = get::<ProjectRow>(&projects, &project.id)? {
                if old.title == project.title && old.time_zone == project.time_zone {
                    return Ok(Did::Nothing(old));
                }
                return Err(StoreError::conflict("project", &project.id));
            }
            let mut meta = txn.open_table(META)?;
            let count = meta.get(PROJECT_COUNT)?.map_or(0, |count| count.value()) + 1;
            let number = u32::try_from(count)
                .map_err(|_| StoreError::Invalid("all project numbers are used".to_owned()))?;
            let row = ProjectRow {
                id: project.id.clone(),
                number,
                title: project.title.clone(),
                time_zone: project.time_zone.clone(),
                created_at_us: project.created_at_us,
            };
            meta.insert(PROJECT_COUNT, count)?;
            projects.insert(row.id.as_str(), encode(&row)?.as_slice())?;
            Ok(Did::Change(row))
        })
    }

    fn project(&self, id: &str) -> Result<Option<ProjectRow>> {
        get(&self.read()?.open_table(PROJECTS)?, id)
    }

    fn projects(&self) -> Result<Vec<ProjectRow>> {
        let table = self.read()?.open_table(PROJECTS)?;
        table.iter()?.map(|entry| decode(entry?.1.value())).collect()
    }

    fn create_key(&self, key: &KeyRow) -> Result<()> {
        check_name("key id", &key.id)?;
        self.write(|txn| {
            if txn.open_table(PROJECTS)?.get(key.project.as_str())?.is_none() {
                return Err(StoreError::not_found("project", &key.project));
            }
            let mut keys = txn.open_table(KEYS)?;
            let mut hashes = txn.open_table(KEY_HASHES)?;
            match get::<KeyRow>(&keys, &key.id)? {
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

    fn put_funnel(&self, funnel: &FunnelRow) -> Result<bool> {
        check_name("project id", &funnel.project)?;
        check_name("funnel id", &funnel.id)?;
        self.write(|txn| {
            let mut table = txn.open_table(FUNNELS)?;
            let key = (funnel.project.as_str(), funnel.id.as_str());
            let old = table.get(key)?.map(|bytes| decode::<FunnelRow>(bytes.value())).transpose()?;
            if old.is_some_and(|old| old.position > funnel.position) {
                return Ok(Did::Nothing(false));
            }
            table.insert(key, encode(funnel)?.as_slice())?;
            Ok(Did::Change(true))
        })
    }

    fn funnel(&self, project: &str, id: &str) -> Result<Option<FunnelRow>> {
        let bytes = self.read()?.open_table(FUNNELS)?.get((project, id))?;
        bytes.map(|bytes| decode(bytes.value())).transpose()
    }

    fn funnels(&self, project: &str, after: Option<&str>, limit: usize) -> Result<Vec<FunnelRow>> {
        list(&self.read()?.open_table(FUNNELS)?, project, after.unwrap_or(""), limit)
    }

    fn delete_funnel(&self, project: &str, id: &str, position: u64) -> Result<bool> {
        self.write(|txn| {
            let mut table = txn.open_table(FUNNELS)?;
            let key = (project, id);
            let old = table.get(key)?.map(|bytes| decode::<FunnelRow>(bytes.value())).transpose()?;
            if old.is_none_or(|old| old.position > position) {
                return Ok(Did::Nothing(false));
            }
            table.remove(key)?;
            Ok(Did::Change(true))
        })
    }

    fn apply_ledger(&self, cells: &[(LedgerCell, u64)], position: u64) -> Result<bool> {
        self.write(|txn| {
            let mut meta = txn.open_table(META)?;
            if meta.get(LEDGER_POSITION)?.is_some_and(|old| old.value() >= position) {
                return Ok(Did::Nothing(false));
            }
            let mut ledger = txn.open_table(LEDGER)?;
            for (cell, count) in cells.iter().filter(|(_, count)| *count > 0) {
                let key = (cell.project, cell.minute, cell.outcome, cell.reason.as_str());
                let old = ledger.get(key)?.map_or(0, |old| old.value());
                ledger.insert(key, add_counts(old, *count)?)?;
            }
            meta.insert(LEDGER_POSITION, position)?;
            Ok(Did::Change(true))
        })
    }

    fn ledger_position(&self) -> Result<Option<u64>> {
        Ok(self.read()?.open_table(META)?.get(LEDGER_POSITION)?.map(|position| position.value()))
    }

    fn ledger(&self, project: u32, from: i64, to: i64) -> Result<Vec<(LedgerCell, u64)>> {
        if from >= to {
            return Ok(Vec::new());
        }
        let table = self.read()?.open_table(LEDGER)?;
        let mut rows = Vec::new();
        for entry in table.range((project, from, 0, "")..(project, to, 0, ""))? {
            let (key, count) = entry?;
            let (project, minute, outcome, reason) = key.value();
            let reason = reason.to_owned();
            rows.push((LedgerCell { project, minute, outcome, reason }, count.value()));
        }
        Ok(rows)
    }

    fn push_refused(&self, project: &str, json: &[Vec<u8>]) -> Result<()> {
        check_name("project id", project)?;
        if json.is_empty() {
            return Ok(());
        }
        self.write(|txn| {
            let mut table = txn.open_table(REFUSED)?;
            let newest = table.range((project, 0)..=(project, u64::MAX))?.next_back().transpose()?;
            let next = newest.map_or(0, |(key, _)| key.value().1 + 1);
            let end = next + json.len() as u64;
            let first_kept = end.saturating_sub(REFUSED_KEPT as u64);
            for (sequence, json) in (next..).zip(json).filter(|(n, _)| *n >= first_kept) {
                table.insert((project, sequence), json.as_slice())?;
            }
            table.retain_in((project, 0)..(project, first_kept), |_, _| false)?;
            Ok(Did::Change(()))
        })
    }

    fn refused(&self, project: &str, limit: usize) -> Result<Vec<RefusedRow>> {
        let table = self.read()?.open_table(REFUSED)?;
        let rows = table.range((project, 0)..=(project, u64::MAX))?.rev().take(limit);
        rows.map(|entry| {
            let (key, json) = entry?;
            Ok(RefusedRow { sequence: key.value().1, json: json.value().to_vec() })
        })
        .collect()
    }

    fn put_privacy(&self, request: &PrivacyRow) -> Result<()> {
        check_name("project id", &request.project)?;
        check_name("privacy request id", &request.id)?;
        self.write(|txn| {
            let mut table = txn.open_table(PRIVACY)?;
            let key = (request.project.as_str(), request.id.as_str());
            let old = table.get(key)?.map(|bytes| decode::<PrivacyRow>(bytes.value())).transpose()?;
            match old {
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

#[cfg(test)]
#[path = "embedded_tests.rs"]
mod tests;
