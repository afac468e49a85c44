use super::*;

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
        assert!(matches!(error, StoreError::NewerFormat { found: 2, supported: 1 }), "{error}");
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
    assert!(matches!(decode::<FunnelRow>(&[9, b'{']), Err(StoreError::Corrupt(_))));
    assert!(matches!(decode::<FunnelRow>(&[]), Err(StoreError::Corrupt(_))));
}
