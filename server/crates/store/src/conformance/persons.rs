use super::*;
use crate::{IdentityRow, PrivacyRow};

#[test]
fn privacy_requests_stay() {
    for mut s in Subject::both() {
        let mut request =
            PrivacyRow { project: "p".into(), id: "r".into(), kind: 1, actor: "a".into(), received_at_us: 7 };
        s.get().put_privacy(&request).unwrap();
        request.received_at_us = 8;
        s.get().put_privacy(&request).unwrap();
        request.kind = 2;
        assert!(is_conflict(s.get().put_privacy(&request)));
        s.reopen();
        let rows = s.get().privacy("p", "", 10).unwrap();
        assert_eq!((rows.len(), rows[0].kind, rows[0].received_at_us), (1, 1, 7));
        s.get().put_privacy(&PrivacyRow { id: "s".into(), ..request.clone() }).unwrap();
        s.get().put_privacy(&PrivacyRow { project: "q".into(), id: "t".into(), ..request.clone() }).unwrap();
        let ids = |after, limit| {
            let rows = s.get().privacy("p", after, limit).unwrap();
            rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
        };
        assert_eq!((ids("", 1), ids("r", 9), ids("s", 9)), (vec!["r".into()], vec!["s".into()], vec![]));
    }
}

#[test]
fn identity_records_stay_once_and_in_the_order_of_the_log() {
    for mut s in Subject::both() {
        let record = |project, position| IdentityRow { project, position, json: format!("[{position}]") };
        for (project, position) in [(1, 300), (1, 2), (2, 5), (1, 0), (1, u64::MAX), (0, 9), (1, 2)] {
            s.get().put_identity(&record(project, position)).unwrap();
        }
        let other = IdentityRow { json: "{}".into(), ..record(1, 2) };
        assert!(is_conflict(s.get().put_identity(&other)));
        s.reopen();
        let all = [0, 2, 300, u64::MAX].map(|position| record(1, position));
        assert_eq!(s.get().identity(1, 0).unwrap(), all);
        assert_eq!(s.get().identity(1, 2).unwrap(), all[1..]);
        assert_eq!(s.get().identity(1, 3).unwrap(), all[2..]);
        assert_eq!(s.get().identity(2, 6).unwrap(), []);
        assert_eq!(s.get().identity(3, 0).unwrap(), []);
    }
}
