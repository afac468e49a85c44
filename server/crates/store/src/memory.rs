//! The store in memory, for tests: plain maps under one lock, so that it can serve as the model of
//! the durable one.

mod alerts;

use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;

use self::alerts::Alerts;
use crate::store::{add_counts, check_name};
use crate::{
    CatalogRow, CatalogStore, DefinitionKind, DefinitionRow, DefinitionStore, IdentityRow, KeyRow, KeyStore,
    LedgerCell, NewProject, OutcomeStore, PersonStore, PrivacyRow, ProjectRow, ProjectStore, REFUSED_KEPT,
    RefusedRow, Result, SecretRow, SettingsRow, StoreError,
};

#[derive(Default)]
struct State {
    projects: BTreeMap<String, ProjectRow>,
    settings: BTreeMap<String, SettingsRow>,
    keys: BTreeMap<String, KeyRow>,
    secrets: BTreeMap<String, SecretRow>,
    definitions: BTreeMap<(String, DefinitionKind, String), DefinitionRow>,
    ledger: BTreeMap<LedgerCell, u64>,
    ledger_position: Option<u64>,
    refused: BTreeMap<String, VecDeque<RefusedRow>>,
    /// By address: project, kind, owner, key.
    catalog: BTreeMap<(u32, u8, String, String), CatalogRow>,
    catalog_position: Option<u64>,
    identity: BTreeMap<(u32, u64), IdentityRow>,
    privacy: BTreeMap<(String, String), PrivacyRow>,
    alerts: Alerts,
}

/// A [`Store`](crate::Store) that forgets everything when dropped.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn change_key(&self, id: &str, change: impl FnOnce(&mut KeyRow)) -> Result<()> {
        let mut state = self.state.lock();
        change(state.keys.get_mut(id).ok_or_else(|| StoreError::not_found("key", id))?);
        Ok(())
    }
}

fn pair(a: &str, b: &str) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

fn triple(project: &str, kind: DefinitionKind, id: &str) -> (String, DefinitionKind, String) {
    (project.to_owned(), kind, id.to_owned())
}

impl ProjectStore for MemoryStore {
    fn create_project(&self, project: &NewProject) -> Result<ProjectRow> {
        check_name("project id", &project.id)?;
        let mut state = self.state.lock();
        if let Some(old) = state.projects.get(&project.id) {
            let same = old.title == project.title && old.time_zone == project.time_zone;
            return same.then(|| old.clone()).ok_or_else(|| StoreError::conflict("project", &project.id));
        }
        let number = state.projects.values().map(|row| row.number).max().unwrap_or(0) + 1;
        let row = ProjectRow {
            id: project.id.clone(),
            number,
            title: project.title.clone(),
            time_zone: project.time_zone.clone(),
            created_at_us: project.created_at_us,
        };
        state.projects.insert(row.id.clone(), row.clone());
        Ok(row)
    }

    fn project(&self, id: &str) -> Result<Option<ProjectRow>> {
        Ok(self.state.lock().projects.get(id).cloned())
    }

    fn projects(&self) -> Result<Vec<ProjectRow>> {
        Ok(self.state.lock().projects.values().cloned().collect())
    }

    fn update_project(&self, id: &str, title: &str, time_zone: &str) -> Result<ProjectRow> {
        let mut state = self.state.lock();
        let row = state.projects.get_mut(id).ok_or_else(|| StoreError::not_found("project", id))?;
        title.clone_into(&mut row.title);
        time_zone.clone_into(&mut row.time_zone);
        Ok(row.clone())
    }

    fn put_settings(&self, project: &str, json: &str, position: u64) -> Result<bool> {
        check_name("project id", project)?;
        let mut state = self.state.lock();
        if state.settings.get(project).is_some_and(|old| old.position > position) {
            return Ok(false);
        }
        state.settings.insert(project.to_owned(), SettingsRow { json: json.to_owned(), position });
        Ok(true)
    }

    fn settings(&self, project: &str) -> Result<Option<SettingsRow>> {
        Ok(self.state.lock().settings.get(project).cloned())
    }
}

impl KeyStore for MemoryStore {
    fn create_key(&self, key: &KeyRow) -> Result<()> {
        check_name("key id", &key.id)?;
        let mut state = self.state.lock();
        if !state.projects.contains_key(&key.project) {
            return Err(StoreError::not_found("project", &key.project));
        }
        let taken = |row: &&KeyRow| row.id == key.id || row.hash == key.hash;
        match state.keys.values().find(taken) {
            Some(old) if old.same_content(key) => Ok(()),
            Some(_) => Err(StoreError::conflict("key", &key.id)),
            None => {
                state.keys.insert(key.id.clone(), key.clone());
                Ok(())
            }
        }
    }

    fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<KeyRow>> {
        Ok(self.state.lock().keys.values().find(|row| row.hash == *hash).cloned())
    }

    fn keys(&self, project: &str) -> Result<Vec<KeyRow>> {
        let state = self.state.lock();
        Ok(state.keys.values().filter(|row| row.project == project).cloned().collect())
    }

    fn touch_key(&self, id: &str, at_us: i64) -> Result<()> {
        self.change_key(id, |row| row.last_used_at_us = row.last_used_at_us.max(Some(at_us)))
    }

    fn revoke_key(&self, id: &str, at_us: i64) -> Result<()> {
        self.change_key(id, |row| {
            row.revoked_at_us = Some(row.revoked_at_us.map_or(at_us, |old| old.min(at_us)));
        })
    }

    fn put_secret(&self, secret: &SecretRow) -> Result<()> {
        check_name("secret name", &secret.name)?;
        self.state.lock().secrets.insert(secret.name.clone(), secret.clone());
        Ok(())
    }

    fn secret(&self, name: &str) -> Result<Option<SecretRow>> {
        Ok(self.state.lock().secrets.get(name).cloned())
    }
}

impl DefinitionStore for MemoryStore {
    fn put_definition(&self, definition: &DefinitionRow) -> Result<bool> {
        check_name("project id", &definition.project)?;
        check_name("definition id", &definition.id)?;
        let mut state = self.state.lock();
        let key = triple(&definition.project, definition.kind, &definition.id);
        if state.definitions.get(&key).is_some_and(|old| old.position > definition.position) {
            return Ok(false);
        }
        state.definitions.insert(key, definition.clone());
        Ok(true)
    }

    fn definition(&self, project: &str, kind: DefinitionKind, id: &str) -> Result<Option<DefinitionRow>> {
        Ok(self.state.lock().definitions.get(&triple(project, kind, id)).cloned())
    }

    fn definitions(
        &self,
        project: &str,
        kind: DefinitionKind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DefinitionRow>> {
        let state = self.state.lock();
        let rows = state.definitions.values().filter(|row| row.project == project && row.kind == kind);
        let rows = rows.filter(|row| after.is_none_or(|after| row.id.as_str() > after));
        Ok(rows.take(limit).cloned().collect())
    }

    fn delete_definition(
        &self,
        project: &str,
        kind: DefinitionKind,
        id: &str,
        position: u64,
    ) -> Result<bool> {
        let mut state = self.state.lock();
        let key = triple(project, kind, id);
        if state.definitions.get(&key).is_none_or(|row| row.position > position) {
            return Ok(false);
        }
        Ok(state.definitions.remove(&key).is_some())
    }
}

impl OutcomeStore for MemoryStore {
    fn apply_ledger(&self, cells: &[(LedgerCell, u64)], position: u64) -> Result<bool> {
        let mut state = self.state.lock();
        if state.ledger_position >= Some(position) {
            return Ok(false);
        }
        let mut fresh: BTreeMap<&LedgerCell, u64> = BTreeMap::new();
        for (cell, count) in cells.iter().filter(|(_, count)| *count > 0) {
            let stored = state.ledger.get(cell).copied().unwrap_or(0);
            let sum = fresh.entry(cell).or_insert(stored);
            *sum = add_counts(*sum, *count)?;
        }
        for (cell, sum) in fresh {
            state.ledger.insert(cell.clone(), sum);
        }
        state.ledger_position = Some(position);
        Ok(true)
    }

    fn ledger_position(&self) -> Result<Option<u64>> {
        Ok(self.state.lock().ledger_position)
    }

    fn ledger(&self, project: u32, from: i64, to: i64) -> Result<Vec<(LedgerCell, u64)>> {
        let state = self.state.lock();
        let wanted = |cell: &LedgerCell| cell.project == project && (from..to).contains(&cell.minute);
        let rows = state.ledger.iter().filter(|(cell, _)| wanted(cell));
        Ok(rows.map(|(cell, count)| (cell.clone(), *count)).collect())
    }

    fn push_refused(&self, project: &str, json: &[Vec<u8>]) -> Result<()> {
        check_name("project id", project)?;
        let mut state = self.state.lock();
        let ring = state.refused.entry(project.to_owned()).or_default();
        for json in json {
            let sequence = ring.back().map_or(0, |row| row.sequence + 1);
            ring.push_back(RefusedRow { sequence, json: json.clone() });
            if ring.len() > REFUSED_KEPT {
                ring.pop_front();
            }
        }
        Ok(())
    }

    fn refused(&self, project: &str, limit: usize) -> Result<Vec<RefusedRow>> {
        let state = self.state.lock();
        let ring = state.refused.get(project).into_iter().flatten();
        Ok(ring.rev().take(limit).cloned().collect())
    }
}

impl CatalogStore for MemoryStore {
    fn put_catalog(&self, rows: &[CatalogRow], position: u64) -> Result<bool> {
        let mut state = self.state.lock();
        if state.catalog_position >= Some(position) {
            return Ok(false);
        }
        for row in rows {
            let address = (row.project, row.kind, row.owner.clone(), row.key.clone());
            state.catalog.insert(address, row.clone());
        }
        state.catalog_position = Some(position);
        Ok(true)
    }

    fn catalog_position(&self) -> Result<Option<u64>> {
        Ok(self.state.lock().catalog_position)
    }

    fn catalog(&self, project: u32) -> Result<Vec<CatalogRow>> {
        let state = self.state.lock();
        Ok(state.catalog.values().filter(|row| row.project == project).cloned().collect())
    }
}

impl PersonStore for MemoryStore {
    fn put_identity(&self, record: &IdentityRow) -> Result<()> {
        let mut state = self.state.lock();
        let key = (record.project, record.position);
        let old = state.identity.entry(key).or_insert_with(|| record.clone());
        if old == record {
            return Ok(());
        }
        Err(StoreError::conflict("identity record", &record.name()))
    }

    fn identity(&self, project: u32, from_position: u64) -> Result<Vec<IdentityRow>> {
        let state = self.state.lock();
        let rows = state.identity.range((project, from_position)..=(project, u64::MAX));
        Ok(rows.map(|(_, row)| row.clone()).collect())
    }

    fn put_privacy(&self, request: &PrivacyRow) -> Result<()> {
        check_name("project id", &request.project)?;
        check_name("privacy request id", &request.id)?;
        let mut state = self.state.lock();
        let key = pair(&request.project, &request.id);
        let old = state.privacy.entry(key).or_insert_with(|| request.clone());
        if old.same_content(request) {
            return Ok(());
        }
        Err(StoreError::conflict("privacy request", &request.id))
    }

    fn privacy(&self, project: &str, after: &str, limit: usize) -> Result<Vec<PrivacyRow>> {
        let state = self.state.lock();
        let rows = state.privacy.values().filter(|row| row.project == project && row.id.as_str() > after);
        Ok(rows.take(limit).cloned().collect())
    }
}
