use super::*;

#[test]
fn projects_are_numbered_densely_and_created_once() {
    for mut s in Subject::both() {
        assert_eq!(s.get().create_project(&project("z", "Z", 5)).unwrap().number, 1);
        assert!(is_conflict(s.get().create_project(&project("z", "other", 5))));
        assert_eq!(s.get().create_project(&project("z", "Z", 9)).unwrap().created_at_us, 5);
        s.reopen();
        assert_eq!(s.get().create_project(&project("a", "A", 6)).unwrap().number, 2);
        let ids: Vec<_> = s.get().projects().unwrap().into_iter().map(|row| row.id).collect();
        assert_eq!(ids, ["a", "z"]);
        assert_eq!(s.get().project("none").unwrap(), None);
        let long = "x".repeat(256);
        for bad in ["", long.as_str()] {
            let result = s.get().create_project(&project(bad, "", 0));
            assert!(matches!(result, Err(StoreError::Invalid(_))));
        }
    }
}
