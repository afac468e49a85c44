use super::*;
use crate::AlertRecordRow;

fn record(project: u32, position: u64) -> AlertRecordRow {
    // Bytes that are no text: the store does not look at them.
    AlertRecordRow { project, position, at_us: -3, json: vec![0xff, position as u8, b'"'] }
}

#[test]
fn records_stay_once_and_in_the_order_of_the_log() {
    for mut s in Subject::both() {
        for (project, position) in [(1, 300), (1, 2), (2, 5), (1, 0), (1, u64::MAX), (0, 9), (1, 2)] {
            s.get().put_alert_record(&record(project, position)).unwrap();
        }
        let other = AlertRecordRow { json: Vec::new(), ..record(1, 2) };
        assert!(is_conflict(s.get().put_alert_record(&other)));
        assert!(is_conflict(s.get().put_alert_record(&AlertRecordRow { at_us: 0, ..record(1, 2) })));
        s.reopen();
        let all = [0, 2, 300, u64::MAX].map(|position| record(1, position));
        assert_eq!(s.get().alert_records(1, 0, 9).unwrap(), all);
        assert_eq!(s.get().alert_records(1, 2, 2).unwrap(), all[1..3]);
        assert_eq!(s.get().alert_records(1, 3, 9).unwrap(), all[2..]);
        assert_eq!(s.get().alert_records(1, 0, 0).unwrap(), []);
        assert_eq!(s.get().alert_records(3, 0, 9).unwrap(), []);
    }
}

#[test]
fn an_image_takes_the_place_of_the_records_below_it() {
    for mut s in Subject::both() {
        assert_eq!(s.get().alert_image(1).unwrap(), None);
        for (project, position) in [(1, 2), (1, 5), (1, 6), (2, 2)] {
            s.get().put_alert_record(&record(project, position)).unwrap();
        }
        s.get().put_alert_image(1, 5, &[1, 0, 255]).unwrap();
        s.reopen();
        assert_eq!(s.get().alert_image(1).unwrap(), Some((5, vec![1, 0, 255])));
        assert_eq!(s.get().alert_image(2).unwrap(), None);
        assert_eq!(s.get().alert_records(1, 0, 9).unwrap(), [record(1, 5), record(1, 6)]);
        assert_eq!(s.get().alert_records(2, 0, 9).unwrap(), [record(2, 2)]);
        // A replay of what the image holds.
        s.get().put_alert_record(&record(1, 2)).unwrap();
        s.get().put_alert_record(&record(1, 5)).unwrap();
        s.get().put_alert_image(1, 4, &[9]).unwrap();
        s.reopen();
        assert_eq!(s.get().alert_image(1).unwrap(), Some((5, vec![1, 0, 255])));
        assert_eq!(s.get().alert_records(1, 0, 9).unwrap(), [record(1, 5), record(1, 6)]);
        s.get().put_alert_image(1, u64::MAX, &[]).unwrap();
        s.reopen();
        assert_eq!(s.get().alert_image(1).unwrap(), Some((u64::MAX, Vec::new())));
        assert_eq!(s.get().alert_records(1, 0, 9).unwrap(), []);
    }
}

#[test]
fn large_records_and_images_come_back_as_they_were() {
    for mut s in Subject::both() {
        let image: Vec<u8> = (0..8 << 20).map(|n: u32| (n >> 3) as u8).collect();
        let large = AlertRecordRow { json: image[..600_000].to_vec(), ..record(1, 9) };
        s.get().put_alert_record(&large).unwrap();
        s.get().put_alert_image(1, 9, &image[1..]).unwrap();
        s.get().put_alert_image(1, 9, &image).unwrap();
        s.reopen();
        assert_eq!(s.get().alert_records(1, 9, 1).unwrap(), [large]);
        assert!(s.get().alert_image(1).unwrap() == Some((9, image)));
    }
}
