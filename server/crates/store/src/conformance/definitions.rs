use super::*;
use crate::FunnelRow;

fn funnel(project: &str, id: &str, position: u64) -> FunnelRow {
    FunnelRow { project: project.into(), id: id.into(), json: "{}".into(), version: 1, position }
}

#[test]
fn funnels_page_in_order_and_old_positions_lose() {
    for mut s in Subject::both() {
        for (p, id) in [("p", "b"), ("p", "a"), ("p", "c"), ("q", "d"), ("o", "e")] {
            assert!(s.get().put_funnel(&funnel(p, id, 10)).unwrap());
        }
        assert!(!s.get().put_funnel(&funnel("p", "a", 9)).unwrap());
        assert!(s.get().put_funnel(&funnel("p", "a", 11)).unwrap());
        s.reopen();
        let ids = |after, limit| {
            let rows = s.get().funnels("p", after, limit).unwrap();
            rows.into_iter().map(|row| row.id).collect::<Vec<_>>().concat()
        };
        assert_eq!(ids(None, 2), "ab");
        assert_eq!(ids(Some("a"), 1), "b");
        assert_eq!(ids(Some("aa"), 9), "bc");
        assert_eq!(ids(None, 0), "");
        assert_eq!(s.get().funnel("p", "a").unwrap().unwrap().position, 11);
        assert!(!s.get().delete_funnel("p", "a", 10).unwrap(), "it was made later");
        assert!(s.get().delete_funnel("p", "a", 12).unwrap());
        assert!(!s.get().delete_funnel("p", "a", 12).unwrap());
        assert_eq!(s.get().funnel("p", "a").unwrap(), None);
    }
}
