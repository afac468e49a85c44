//! The traits and their laws.

use crate::{
    AlertStore, CatalogRow, DefinitionKind, DefinitionRow, IdentityRow, KeyRow, LedgerCell, NewProject,
    PrivacyRow, ProjectRow, RefusedRow, Result, SecretRow, SettingsRow, StoreError,
};

/// How many refused events are kept for each project.
pub const REFUSED_KEPT: usize = 1_000;

/// The longest id or name, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// The small durable state of one server.
///
/// Laws, checked by the conformance suite:
/// 1. **Atomic**: a call happens wholly or not at all, and calls are as if one after the other.
/// 2. **Durable**: what returned `Ok` is there after a crash; only [`KeyStore::touch_key`] may lose
///    its last updates.
/// 3. **Idempotent creation**: creating a row again with the same content returns `Ok` and changes
///    nothing; times are not content, the first one stays. Other content is a
///    [`StoreError::Conflict`].
/// 4. **Numbers**: project numbers are 1, 2, 3 ... in order of creation; a refused or repeated
///    creation uses none up.
/// 5. **Replays**: reading any part of the log again, in order, up to where it was read before or
///    further, any number of times, leaves what one pass leaves. Counts and position move together,
///    and a position at or below the recorded one adds nothing; rows remember the position they
///    were made at, and a lower one changes nothing.
/// 6. **Order**: lists are ascending by id (bytes), cell or position; refused events newest first;
///    [`AlertStore`] says what differs there.
/// 7. Ids and names are 1 to [`MAX_NAME_BYTES`] bytes, else [`StoreError::Invalid`] on a write; a
///    read simply finds nothing.
///
/// Every method blocks, a write for one disk sync: call from a blocking thread. Every method may
/// return [`StoreError::Io`] or [`StoreError::Corrupt`].
pub trait Store:
    ProjectStore + KeyStore + DefinitionStore + OutcomeStore + CatalogStore + PersonStore + AlertStore
{
}

impl<S> Store for S where
    S: ProjectStore + KeyStore + DefinitionStore + OutcomeStore + CatalogStore + PersonStore + AlertStore
{
}

/// Projects and their settings.
pub trait ProjectStore: Send + Sync {
    /// Creates a project, or returns the stored one when its title and time zone are the same.
    fn create_project(&self, project: &NewProject) -> Result<ProjectRow>;
    /// The project of that id.
    fn project(&self, id: &str) -> Result<Option<ProjectRow>>;
    /// All projects by id.
    fn projects(&self) -> Result<Vec<ProjectRow>>;
    /// Gives a project another title and time zone, which are not in the log, and returns it as it
    /// is then. [`StoreError::NotFound`] when there is no such project.
    fn update_project(&self, id: &str, title: &str, time_zone: &str) -> Result<ProjectRow>;

    /// Stores or replaces a project's settings. `false`, and nothing changed, when the stored ones
    /// were made at a higher position (a replay).
    fn put_settings(&self, project: &str, json: &str, position: u64) -> Result<bool>;
    /// The project's settings; `None` where nobody has decided anything.
    fn settings(&self, project: &str) -> Result<Option<SettingsRow>>;
}

/// Project keys and the server's secrets.
pub trait KeyStore: Send + Sync {
    /// Creates a key. [`StoreError::NotFound`] without its project, [`StoreError::Conflict`] when
    /// the id or the hash belongs to another key.
    fn create_key(&self, key: &KeyRow) -> Result<()>;
    /// The key whose secret has this SHA-256, revoked ones too: ask [`KeyRow::is_revoked_at`].
    fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<KeyRow>>;
    /// The project's keys by id, revoked ones too.
    fn keys(&self, project: &str) -> Result<Vec<KeyRow>>;
    /// Notes a use at `at_us`; an older time changes nothing. Without a disk sync.
    /// [`StoreError::NotFound`] when there is no such key.
    fn touch_key(&self, id: &str, at_us: i64) -> Result<()>;
    /// Refuses the key from `at_us` on. A revocation can be moved earlier, never later or undone.
    /// [`StoreError::NotFound`] when there is no such key.
    fn revoke_key(&self, id: &str, at_us: i64) -> Result<()>;

    /// Stores or replaces a secret.
    fn put_secret(&self, secret: &SecretRow) -> Result<()>;
    /// The secret of that name.
    fn secret(&self, name: &str) -> Result<Option<SecretRow>>;
}

/// What is defined to be counted.
pub trait DefinitionStore: Send + Sync {
    /// Stores or replaces a definition. `false`, and nothing changed, when the stored one was made
    /// at a higher position (a replay).
    fn put_definition(&self, definition: &DefinitionRow) -> Result<bool>;
    /// One definition.
    fn definition(&self, project: &str, kind: DefinitionKind, id: &str) -> Result<Option<DefinitionRow>>;
    /// Up to `limit` definitions of a kind with an id above `after`.
    fn definitions(
        &self,
        project: &str,
        kind: DefinitionKind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DefinitionRow>>;
    /// Removes a definition. `false`, and nothing changed, when there is none or it was made at a position above
    /// `position` (a replay).
    fn delete_definition(&self, project: &str, kind: DefinitionKind, id: &str, position: u64)
    -> Result<bool>;
}

/// How delivery attempts ended.
pub trait OutcomeStore: Send + Sync {
    /// Adds counts and records `position`, in one transaction. `false`, and nothing changed, when
    /// `position` is at or below the recorded one. A cell may occur twice; zero counts leave no
    /// row. [`StoreError::Invalid`] when a count would exceed 64 bits.
    fn apply_ledger(&self, cells: &[(LedgerCell, u64)], position: u64) -> Result<bool>;
    /// The last applied position; `None` before the first.
    fn ledger_position(&self) -> Result<Option<u64>>;
    /// The project's counts with `from_minute <= minute < to_minute`.
    fn ledger(&self, project: u32, from_minute: i64, to_minute: i64) -> Result<Vec<(LedgerCell, u64)>>;

    /// Appends refused events, oldest first, and keeps the project's last [`REFUSED_KEPT`].
    fn push_refused(&self, project: &str, json: &[Vec<u8>]) -> Result<()>;
    /// Up to `limit` refused events, newest first.
    fn refused(&self, project: &str, limit: usize) -> Result<Vec<RefusedRow>>;
}

/// Names and properties of events as they were seen.
pub trait CatalogStore: Send + Sync {
    /// Stores or replaces rows of any projects and records `position`, in one transaction. `false`,
    /// and nothing changed, when `position` is at or below the recorded one: rows hold counts, which
    /// must say what the log says up to one position. Of rows with one address the last one stays.
    fn put_catalog(&self, rows: &[CatalogRow], position: u64) -> Result<bool>;
    /// The last recorded position; `None` before the first.
    fn catalog_position(&self) -> Result<Option<u64>>;
    /// All rows of a project, ascending by address.
    fn catalog(&self, project: u32) -> Result<Vec<CatalogRow>>;
}

/// What is kept about persons beside their events.
pub trait PersonStore: Send + Sync {
    /// Stores a record of who is who, once; a project has at most one at a position.
    fn put_identity(&self, record: &IdentityRow) -> Result<()>;
    /// The project's records from `from_position` on, in the order of the log.
    fn identity(&self, project: u32, from_position: u64) -> Result<Vec<IdentityRow>>;

    /// Stores a privacy request, once.
    fn put_privacy(&self, request: &PrivacyRow) -> Result<()>;
    /// Up to `limit` privacy requests with an id above `after`.
    fn privacy(&self, project: &str, after: &str, limit: usize) -> Result<Vec<PrivacyRow>>;
}

/// Law 7.
pub(crate) fn check_name(what: &str, name: &str) -> Result<()> {
    if (1..=MAX_NAME_BYTES).contains(&name.len()) {
        return Ok(());
    }
    Err(StoreError::Invalid(format!("{what} has {} bytes, allowed are 1 to {MAX_NAME_BYTES}", name.len())))
}

/// Adds ledger counts; overflow is an error, since a wrong sum would be silent.
pub(crate) fn add_counts(old: u64, more: u64) -> Result<u64> {
    old.checked_add(more).ok_or_else(|| StoreError::Invalid("a ledger count would exceed 64 bits".to_owned()))
}
