use super::*;
use crate::{Environment, KeyRow, SecretRow};

fn key(id: &str, hash: u8) -> KeyRow {
    KeyRow {
        id: id.into(),
        project: "p".into(),
        label: "web".into(),
        environment: Environment::Prod,
        hash: [hash; 32],
        created_at_us: 1,
        last_used_at_us: None,
        revoked_at_us: None,
    }
}

#[test]
fn keys_are_found_by_hash_touched_and_revoked() {
    for mut s in Subject::both() {
        assert!(matches!(s.get().create_key(&key("k", 1)), Err(StoreError::NotFound { .. })));
        s.get().create_project(&project("p", "P", 0)).unwrap();
        s.get().create_key(&key("k", 1)).unwrap();
        assert!(is_conflict(s.get().create_key(&key("k", 2))));
        assert!(is_conflict(s.get().create_key(&key("other", 1))));
        s.get().touch_key("k", 20).unwrap();
        s.get().touch_key("k", 10).unwrap();
        s.get().revoke_key("k", 50).unwrap();
        s.get().revoke_key("k", 60).unwrap();
        s.get().create_key(&key("k", 1)).unwrap();
        s.reopen();
        let row = s.get().key_by_hash(&[1; 32]).unwrap().unwrap();
        assert_eq!((row.last_used_at_us, row.revoked_at_us), (Some(20), Some(50)));
        assert!(row.is_revoked_at(50) && !row.is_revoked_at(49));
        assert_eq!(s.get().keys("p").unwrap(), [row]);
        assert!(s.get().keys("q").unwrap().is_empty());
        assert_eq!(s.get().key_by_hash(&[2; 32]).unwrap(), None);
        assert!(matches!(s.get().touch_key("x", 1), Err(StoreError::NotFound { .. })));
        assert!(matches!(s.get().revoke_key("x", 1), Err(StoreError::NotFound { .. })));
    }
}

#[test]
fn secrets_stay_and_are_not_shown() {
    for mut s in Subject::both() {
        let secret = SecretRow { name: "jwt".into(), bytes: vec![0, 255] };
        s.get().put_secret(&secret).unwrap();
        s.reopen();
        assert_eq!(s.get().secret("jwt").unwrap(), Some(secret.clone()));
        assert!(!format!("{secret:?}").contains("255"));
    }
}
