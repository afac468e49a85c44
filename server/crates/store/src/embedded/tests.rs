use super::layout::{FORMAT, META};
use super::row::decode;
use super::*;
use crate::{DefinitionRow, KeyStore, SecretRow};

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let store = EmbeddedStore::open(&path).unwrap();
    store
        .write(|txn| {
            txn.open_table(META)?.insert(FORMAT, FORMAT_VERSION + 1)?;
            Ok(Did::Change(()))
        })
        .unwrap();
    drop(store);
    for _ in 0..2 {
        let error = EmbeddedStore::open(&path).err().unwrap();
        assert!(matches!(error, StoreError::NewerFormat { found: 5, supported: 4 }), "{error}");
    }
}

#[test]
fn a_second_handle_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let _open = EmbeddedStore::open(&path).unwrap();
    assert!(matches!(EmbeddedStore::open(&path), Err(StoreError::Locked)));
}

#[cfg(unix)]
#[test]
fn only_the_owner_reads_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let _open = EmbeddedStore::open(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_row_of_an_unknown_version_is_damage() {
    assert!(matches!(decode::<DefinitionRow>(&[9, b'{']), Err(StoreError::Corrupt(_))));
    assert!(matches!(decode::<DefinitionRow>(&[]), Err(StoreError::Corrupt(_))));
}

#[test]
fn damage_anywhere_is_an_error_or_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (path, copy) = (dir.path().join("state"), dir.path().join("copy"));
    let store = EmbeddedStore::open(&path).unwrap();
    let names: Vec<_> = (0..60).map(|i| format!("secret-{i:03}")).collect();
    for name in &names {
        store.put_secret(&SecretRow { name: name.clone(), bytes: vec![7; 200] }).unwrap();
    }
    drop(store);
    let good = std::fs::read(&path).unwrap();
    let mut refused = 0;
    // From behind the header; every used page is met, most of the file is not.
    for page in
        (4096..good.len()).step_by(4096).filter(|at| good[*at..*at + 64].iter().any(|byte| *byte != 0))
    {
        let mut bad = good.clone();
        bad[page..page + 64].fill(0xff);
        std::fs::write(&copy, bad).unwrap();
        match EmbeddedStore::open(&copy) {
            Err(error) => {
                assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
                refused += 1;
            }
            Ok(store) => {
                let found = names.iter().filter(|name| store.secret(name).unwrap().is_some()).count();
                assert_eq!(found, names.len(), "page at {page}");
            }
        }
    }
    assert!(refused > 0);
}
