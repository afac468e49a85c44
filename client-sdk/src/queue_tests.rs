use super::*;
use crate::clock::SeededRandom;
use proptest::prelude::*;

fn new_event(lane: u8, name: &str) -> NewEvent {
    let event = v1::Event { name: name.into(), user_id: "u".into(), ..Default::default() };
    NewEvent { class: v1::DeliveryClass::Normal, lane, event }
}

fn all(queue: &Queue) -> Vec<Row> {
    queue.oldest(|_| false, usize::MAX, usize::MAX).unwrap()
}

#[test]
fn a_reopened_queue_keeps_order_and_goes_on_counting() {
    let folder = tempfile::tempdir().unwrap();
    let random = SeededRandom::new(1);
    let mut queue = Queue::open(folder.path(), &random).unwrap();
    queue.commit(&[new_event(1, "a"), new_event(2, "b"), new_event(1, "c")], 9).unwrap();
    let (install, epoch) = (queue.install.clone(), queue.epoch);
    queue.close().unwrap();

    let mut queue = Queue::open(folder.path(), &random).unwrap();
    assert_eq!((&queue.install, queue.epoch), (&install, epoch));
    assert_eq!(queue.pending(), 3);
    queue.commit(&[new_event(1, "d")], 9).unwrap();
    let rows: Vec<_> = all(&queue).into_iter().map(|r| (r.event.unwrap().name, r.lane, r.number)).collect();
    let expected = [("a", 1, 1), ("b", 2, 1), ("c", 1, 2), ("d", 1, 3)];
    assert_eq!(rows, expected.map(|(name, lane, number)| (name.to_owned(), lane, number)));
}

#[test]
fn an_unclean_start_rotates_the_epoch_and_keeps_the_events_under_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let random = SeededRandom::new(1);
    let mut queue = Queue::open(folder.path(), &random).unwrap();
    queue.commit(&[new_event(1, "a")], 9).unwrap();
    let (install, old) = (queue.install.clone(), queue.epoch);
    drop(queue); // No `close`: a crash.

    let mut queue = Queue::open(folder.path(), &random).unwrap();
    assert_eq!(queue.install, install);
    assert_ne!(queue.epoch, old);
    queue.commit(&[new_event(1, "b")], 9).unwrap();
    let first = all(&queue);
    assert_eq!(first.len(), 1, "a batch is of one epoch");
    assert_eq!((first[0].epoch, first[0].number), (old, 1));
    queue.settle(&[&first[0]], &[], &[]).unwrap();
    let second = all(&queue);
    assert_eq!((second[0].epoch, second[0].number), (queue.epoch, 1));
}

#[test]
fn a_second_owner_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let random = SeededRandom::new(1);
    let _queue = Queue::open(folder.path(), &random).unwrap();
    assert!(matches!(Queue::open(folder.path(), &random), Err(QueueError::InUse)));
}

#[test]
fn a_newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let random = SeededRandom::new(1);
    let queue = Queue::open(folder.path(), &random).unwrap();
    set_meta(&queue.db, "format", FORMAT + 1).unwrap();
    queue.close().unwrap();
    assert!(matches!(Queue::open(folder.path(), &random), Err(QueueError::Newer { .. })));
}

#[test]
fn neighbouring_losses_become_one_range() {
    let random = SeededRandom::new(1);
    let mut queue = Queue::in_memory(&random).unwrap();
    queue.commit(&["a", "b", "c", "d"].map(|name| new_event(7, name)), 9).unwrap();
    let rows = all(&queue);
    queue.settle(&[&rows[2]], &[(&rows[0], "rejected"), (&rows[1], "rejected")], &[]).unwrap();
    queue.settle(&[], &[(&rows[3], "rejected")], &[]).unwrap();
    let losses = queue.losses(None).unwrap();
    let ranges: Vec<_> = losses.iter().map(|loss| (loss.range.from, loss.range.to)).collect();
    assert_eq!(ranges, [(1, 2), (4, 4)]);
    assert_eq!((queue.pending(), queue.pending_bytes()), (0, 0));
}

#[test]
fn a_batch_respects_count_bytes_and_skips() {
    let random = SeededRandom::new(1);
    let mut queue = Queue::in_memory(&random).unwrap();
    queue.commit(&["a", "b", "c", "d"].map(|name| new_event(7, name)), 9).unwrap();
    let size = all(&queue)[0].bytes;
    let names = |rows: Vec<Row>| rows.into_iter().map(|r| r.event.unwrap().name).collect::<String>();
    assert_eq!(names(queue.oldest(|_| false, 3, usize::MAX).unwrap()), "abc");
    assert_eq!(names(queue.oldest(|_| false, 9, size * 2).unwrap()), "ab");
    assert_eq!(names(queue.oldest(|_| false, 9, 1).unwrap()), "a", "one event always goes");
    assert_eq!(names(queue.oldest(|seq| seq == 1, 2, usize::MAX).unwrap()), "bc");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever mix of commits, settlements, clean closes and crashes: in every epoch and lane the numbers
    /// that were ever given are 1..=n, each once.
    #[test]
    fn numbers_have_no_gaps(steps in prop::collection::vec((0u8..5, 0u8..3, 1usize..6), 1..30)) {
        let folder = tempfile::tempdir().unwrap();
        let random = SeededRandom::new(1);
        let mut queue = Queue::open(folder.path(), &random).unwrap();
        let mut seen = std::collections::BTreeMap::<(u64, u8), Vec<u64>>::new();
        for (step, lane, count) in steps {
            match step {
                0 => { queue.close().unwrap(); queue = Queue::open(folder.path(), &random).unwrap(); }
                1 => { drop(queue); queue = Queue::open(folder.path(), &random).unwrap(); }
                2 => {
                    let rows = queue.oldest(|_| false, count, usize::MAX).unwrap();
                    for row in &rows { seen.entry((row.epoch, row.lane)).or_default().push(row.number); }
                    queue.settle(&rows.iter().collect::<Vec<_>>(), &[], &[]).unwrap();
                }
                _ => queue.commit(&vec![new_event(lane, "x"); count], 1).unwrap(),
            }
        }
        while queue.pending() > 0 {
            let rows = queue.oldest(|_| false, 100, usize::MAX).unwrap();
            for row in &rows { seen.entry((row.epoch, row.lane)).or_default().push(row.number); }
            queue.settle(&rows.iter().collect::<Vec<_>>(), &[], &[]).unwrap();
        }
        for numbers in seen.values() {
            prop_assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{numbers:?}");
        }
    }
}
