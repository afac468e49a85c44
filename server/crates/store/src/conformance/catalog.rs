use super::*;
use crate::CatalogRow;

fn row(project: u32, kind: u8, owner: &str, key: &str, json: &str) -> CatalogRow {
    CatalogRow { project, kind, owner: owner.into(), key: key.into(), json: json.into() }
}

#[test]
fn the_catalogue_is_that_of_its_position() {
    for mut s in Subject::both() {
        assert_eq!(s.get().catalog_position().unwrap(), None);
        assert_eq!(s.get().catalog(1).unwrap(), []);
        let first = [row(1, 2, "pay", "b", "1"), row(1, 1, "pay", "", "2"), row(2, 1, "pay", "", "3")];
        assert!(s.get().put_catalog(&first, 7).unwrap());
        // A replay: older counts must not take the place of newer ones.
        assert!(!s.get().put_catalog(&[row(1, 1, "pay", "", "0")], 7).unwrap());
        assert!(!s.get().put_catalog(&[row(1, 1, "pay", "", "0")], 6).unwrap());
        s.reopen();
        assert_eq!(s.get().catalog_position().unwrap(), Some(7));
        assert_eq!(s.get().catalog(1).unwrap(), [first[1].clone(), first[0].clone()]);
        let changed = [row(1, 1, "pay", "", "4"), row(1, 1, "pay", "", "5"), row(1, 2, "pay", "a", "6")];
        assert!(s.get().put_catalog(&changed, 8).unwrap());
        assert!(s.get().put_catalog(&[], u64::MAX).unwrap());
        s.reopen();
        let all = [changed[1].clone(), changed[2].clone(), first[0].clone()];
        assert_eq!(s.get().catalog(1).unwrap(), all);
        assert_eq!(s.get().catalog(2).unwrap(), first[2..]);
        assert_eq!(s.get().catalog(3).unwrap(), []);
        assert_eq!(s.get().catalog(0).unwrap(), []);
        assert_eq!(s.get().catalog_position().unwrap(), Some(u64::MAX));
        assert_eq!(s.get().ledger_position().unwrap(), None, "the ledger has a position of its own");
    }
}

#[test]
fn rows_of_the_catalogue_are_ascending_by_address_whatever_their_bytes() {
    for mut s in Subject::both() {
        let long = "\u{1f600}".repeat(300);
        let mut rows = Vec::new();
        for kind in [0, 1, 255] {
            for owner in ["", "a", "a\0", "ab", long.as_str()] {
                rows.extend(["", "\0", "k", long.as_str()].map(|key| row(4, kind, owner, key, "{}")));
            }
        }
        let reversed: Vec<_> = rows.iter().rev().cloned().collect();
        s.get().put_catalog(&reversed, 0).unwrap();
        s.reopen();
        rows.sort();
        assert_eq!(s.get().catalog(4).unwrap(), rows);
    }
}
