//! One suite over every implementation. `reopen` drops the store and opens it again; the memory
//! store's does nothing.

mod alerts;
mod catalog;
mod definitions;
mod keys;
mod outcomes;
mod persons;
mod projects;

use crate::{EmbeddedStore, MemoryStore, NewProject, Store, StoreError};

struct Subject {
    store: Option<Box<dyn Store>>,
    dir: Option<tempfile::TempDir>,
}

impl Subject {
    fn both() -> [Self; 2] {
        let memory = Self { store: Some(Box::new(MemoryStore::new())), dir: None };
        let mut embedded = Self { store: None, dir: Some(tempfile::tempdir().unwrap()) };
        embedded.reopen();
        [memory, embedded]
    }

    fn reopen(&mut self) {
        if let Some(dir) = &self.dir {
            self.store = None;
            let store = EmbeddedStore::open(&dir.path().join("state")).unwrap();
            self.store = Some(Box::new(store));
        }
    }

    fn get(&self) -> &dyn Store {
        self.store.as_deref().unwrap()
    }
}

fn project(id: &str, title: &str, at: i64) -> NewProject {
    NewProject { id: id.into(), title: title.into(), time_zone: "UTC".into(), created_at_us: at }
}

fn is_conflict<T>(result: crate::Result<T>) -> bool {
    matches!(result, Err(StoreError::Conflict { .. }))
}
