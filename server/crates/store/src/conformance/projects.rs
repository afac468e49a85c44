use super::*;
use crate::{ProjectRow, SettingsRow};

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

#[test]
fn a_project_gets_another_title_and_zone_and_stays_the_same_project() {
    for mut s in Subject::both() {
        let made = s.get().create_project(&project("p", "P", 5)).unwrap();
        let updated = s.get().update_project("p", "Shop", "Europe/Zurich").unwrap();
        let expected = ProjectRow { title: "Shop".into(), time_zone: "Europe/Zurich".into(), ..made };
        assert_eq!(updated, expected);
        s.reopen();
        assert_eq!(s.get().project("p").unwrap(), Some(expected.clone()));
        assert_eq!(s.get().update_project("p", "Shop", "Europe/Zurich").unwrap(), expected);
        assert!(is_conflict(s.get().create_project(&project("p", "P", 5))), "it is no longer called so");
        assert!(matches!(s.get().update_project("q", "Q", "UTC"), Err(StoreError::NotFound { .. })));
        assert_eq!(s.get().create_project(&project("q", "Q", 6)).unwrap().number, 2);
    }
}

#[test]
fn settings_are_replaced_and_old_positions_lose() {
    for mut s in Subject::both() {
        assert_eq!(s.get().settings("p").unwrap(), None);
        assert!(s.get().put_settings("p", "{}", 5).unwrap());
        assert!(s.get().put_settings("q", "[]", 1).unwrap());
        assert!(s.get().put_settings("p", "[7]", 7).unwrap());
        assert!(!s.get().put_settings("p", "{}", 6).unwrap());
        assert!(s.get().put_settings("p", "[7]", 7).unwrap(), "the same record again");
        s.reopen();
        assert_eq!(s.get().settings("p").unwrap(), Some(SettingsRow { json: "[7]".into(), position: 7 }));
        assert_eq!(s.get().settings("q").unwrap().unwrap().position, 1);
        assert!(matches!(s.get().put_settings("", "{}", 9), Err(StoreError::Invalid(_))));
    }
}
