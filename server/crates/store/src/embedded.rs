//! The durable store: one redb file (copy-on-write B-trees, a checksummed commit with each sync).
//!
//! Small rows are one version byte and then JSON, so a person can read a damaged file and a field
//! can be added with a default; counters and addresses are redb's own ordered types.

mod alerts;
mod catalog;
mod definitions;
mod keys;
mod layout;
#[cfg(test)]
mod migration_tests;
mod outcomes;
mod persons;
mod projects;
mod row;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{Builder, Database, ReadTransaction, ReadableDatabase, WriteTransaction};

pub use self::layout::FORMAT_VERSION;
use self::layout::prepare;
use crate::{Result, StoreError};

/// The whole state is small; redb's default of 1 GiB is for databases that are not.
const CACHE_BYTES: usize = 16 << 20;
/// A file up to this size is checked in full when it is opened: a fraction of a second.
const CHECKED_BYTES: u64 = 256 << 20;

/// A [`Store`](crate::Store) in one file.
pub struct EmbeddedStore {
    db: Database,
}

/// What a write transaction came to; without a change there is nothing to sync.
enum Did<T> {
    Change(T),
    Nothing(T),
}

impl EmbeddedStore {
    /// Opens the file, or creates it readable by its owner only (it holds secrets). An older format
    /// is made into [`FORMAT_VERSION`] in one transaction; older versions refuse the file from then on.
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
