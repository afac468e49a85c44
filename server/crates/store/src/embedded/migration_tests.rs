//! Files of older formats, written by hand, with the names and bytes of the version that wrote them.

use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition, TableError};

use crate::{
    AlertStore, CatalogStore, DefinitionKind, DefinitionStore, EmbeddedStore, NewProject, OutcomeStore,
    PersonStore, ProjectStore, StoreError,
};

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const PROJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("projects");
const KEYS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("keys");
const KEY_HASHES: TableDefinition<'_, &[u8; 32], &str> = TableDefinition::new("key_hashes");
const SECRETS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("secrets");
const FUNNELS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("funnels");
const LEDGER: TableDefinition<'_, (u32, i64, u8, &str), u64> = TableDefinition::new("ledger");
const REFUSED: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("refused");
const PRIVACY: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("privacy");

const A_OF_P: &str = r#"{"project":"p","id":"a","json":"{\"zone\":\"UTC\"}","version":3,"position":7}"#;
const B_OF_P: &str = r#"{"project":"p","id":"b","json":"{}","version":1,"position":5}"#;
const A_OF_Q: &str = r#"{"project":"q","id":"a","json":"{}","version":1,"position":8}"#;

fn row(json: &str) -> Vec<u8> {
    [&[1], json.as_bytes()].concat()
}

/// A file of format 1 with a project, an outcome, and these funnels.
fn write_format_1(path: &Path, funnels: &[(&str, &str, &str)]) {
    let db = Database::create(path).unwrap();
    let txn = db.begin_write().unwrap();
    {
        let mut meta = txn.open_table(META).unwrap();
        for (name, value) in [("format", 1), ("project_count", 1), ("ledger_position", 8)] {
            meta.insert(name, value).unwrap();
        }
        let project = r#"{"id":"p","number":1,"title":"P","time_zone":"UTC","created_at_us":5}"#;
        txn.open_table(PROJECTS).unwrap().insert("p", row(project).as_slice()).unwrap();
        txn.open_table(LEDGER).unwrap().insert((1, 2, 3, ""), 4).unwrap();
        let mut table = txn.open_table(FUNNELS).unwrap();
        for (project, id, json) in funnels {
            table.insert((*project, *id), row(json).as_slice()).unwrap();
        }
        txn.open_table(KEYS).unwrap();
        txn.open_table(KEY_HASHES).unwrap();
        txn.open_table(SECRETS).unwrap();
        txn.open_table(REFUSED).unwrap();
        txn.open_table(PRIVACY).unwrap();
    }
    txn.commit().unwrap();
}

#[test]
fn funnels_of_format_1_are_definitions_and_the_rest_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    write_format_1(&path, &[("p", "a", A_OF_P), ("p", "b", B_OF_P), ("q", "a", A_OF_Q)]);
    for _ in 0..2 {
        let store = EmbeddedStore::open(&path).unwrap();
        let rows = store.definitions("p", DefinitionKind::Funnel, None, 9).unwrap();
        let seen = |row: &crate::DefinitionRow| (row.id.clone(), row.json.clone(), row.version, row.position);
        let seen: Vec<_> = rows.iter().map(seen).collect();
        assert_eq!(seen, [("a".into(), r#"{"zone":"UTC"}"#.into(), 3, 7), ("b".into(), "{}".into(), 1, 5)]);
        assert_eq!(store.definition("q", DefinitionKind::Funnel, "a").unwrap().unwrap().position, 8);
        assert_eq!(store.definition("p", DefinitionKind::Metric, "a").unwrap(), None);
        assert_eq!((store.settings("p").unwrap(), store.identity(1, 0).unwrap()), (None, Vec::new()));
        assert_eq!(store.project("p").unwrap().unwrap().title, "P");
        assert_eq!(store.ledger_position().unwrap(), Some(8));
        assert_eq!(store.ledger(1, 2, 3).unwrap()[0].1, 4);
    }
    let store = EmbeddedStore::open(&path).unwrap();
    let next = NewProject { id: "n".into(), title: "N".into(), time_zone: "UTC".into(), created_at_us: 6 };
    assert_eq!(store.create_project(&next).unwrap().number, 2);
    drop(store);
    let db = Database::open(&path).unwrap();
    let txn = db.begin_read().unwrap();
    assert!(matches!(txn.open_table(FUNNELS), Err(TableError::TableDoesNotExist(_))));
    assert_eq!(txn.open_table(META).unwrap().get("format").unwrap().unwrap().value(), 4);
}

#[test]
fn a_migration_happens_wholly_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    write_format_1(&path, &[("p", "a", A_OF_P), ("p", "b", "{")]);
    assert!(matches!(EmbeddedStore::open(&path), Err(StoreError::Corrupt(_))));
    let db = Database::open(&path).unwrap();
    let txn = db.begin_read().unwrap();
    assert_eq!(txn.open_table(META).unwrap().get("format").unwrap().unwrap().value(), 1);
    assert_eq!(txn.open_table(FUNNELS).unwrap().len().unwrap(), 2);
    assert_eq!(txn.list_tables().unwrap().count(), 9, "no table is added");
}

#[test]
fn a_file_of_format_2_gets_a_catalogue() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    drop(EmbeddedStore::open(&path).unwrap());
    let db = Database::open(&path).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(META).unwrap().insert("format", 2).unwrap();
    txn.delete_table(TableDefinition::<(u32, u8, &str, &str), &str>::new("catalog")).unwrap();
    txn.commit().unwrap();
    drop(db);
    for _ in 0..2 {
        let store = EmbeddedStore::open(&path).unwrap();
        assert_eq!((store.catalog(1).unwrap(), store.catalog_position().unwrap()), (Vec::new(), None));
    }
}

#[test]
fn a_file_of_format_3_gets_room_for_alerts_and_keeps_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    write_format_3(&path);
    for _ in 0..2 {
        let store = EmbeddedStore::open(&path).unwrap();
        assert_eq!(store.project("p").unwrap().unwrap().title, "P");
        assert_eq!(store.catalog_position().unwrap(), Some(6));
        assert_eq!((store.alerts_position().unwrap(), store.alert_image(1).unwrap()), (None, None));
        assert_eq!(store.incidents(1, true, None, 9).unwrap(), []);
        assert_eq!(store.busy_destinations().unwrap(), []);
        assert!(store.alert_records(1, 0, 9).unwrap().is_empty());
        assert!(store.destinations("p", None, 9).unwrap().is_empty());
    }
}

/// A file of format 3 with a project: that of format 1 without funnels, and the tables that came since.
fn write_format_3(path: &Path) {
    write_format_1(path, &[]);
    let db = Database::open(path).unwrap();
    let txn = db.begin_write().unwrap();
    txn.delete_table(FUNNELS).unwrap();
    txn.open_table(TableDefinition::<&str, &[u8]>::new("settings")).unwrap();
    txn.open_table(TableDefinition::<(&str, &str, &str), &[u8]>::new("definitions")).unwrap();
    txn.open_table(TableDefinition::<(u32, u8, &str, &str), &str>::new("catalog")).unwrap();
    txn.open_table(TableDefinition::<(u32, u64), &[u8]>::new("identity")).unwrap();
    {
        let mut meta = txn.open_table(META).unwrap();
        meta.insert("format", 3).unwrap();
        meta.insert("catalog_position", 6).unwrap();
    }
    txn.commit().unwrap();
}
