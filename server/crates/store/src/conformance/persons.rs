use super::*;
use crate::PrivacyRow;

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
