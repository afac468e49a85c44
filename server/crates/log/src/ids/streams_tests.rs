//! Streams against a plain set.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// The missing numbers below the highest one known, one by one.
fn missing(delivered: &BTreeSet<u64>, lost: &BTreeSet<u64>, last: u64) -> Vec<u64> {
    let highest = delivered.last().copied().unwrap_or(0).max(last);
    (1..=highest).filter(|n| !delivered.contains(n) && !lost.contains(n)).collect()
}

fn one_by_one(ranges: &[Range]) -> Vec<u64> {
    ranges.iter().flat_map(|&(from, to)| from..=to).collect()
}

/// The stream that inserting all of `set` in ascending order gives.
fn built_from(set: &BTreeSet<u64>) -> Stream {
    let mut stream = Stream::default();
    set.iter().for_each(|&n| assert_eq!(stream.insert(n, usize::MAX), Ok(Delivered::Fresh)));
    stream
}

#[derive(Debug, Clone)]
enum Step {
    Insert(u64),
    Remove(u64),
    Lose(u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1..80_u64).prop_map(Step::Insert),
        3 => (1..80_u64).prop_map(Step::Remove),
        1 => (1..80_u64, 0..10_u64).prop_map(|(from, more)| Step::Lose(from, from + more)),
    ]
}

proptest! {
    #[test]
    fn a_stream_is_a_set(steps in prop::collection::vec(step(), 0..200)) {
        let mut stream = Stream::default();
        let (mut delivered, mut lost, mut last) = (BTreeSet::new(), BTreeSet::new(), 0);
        for step in steps {
            match step {
                Step::Insert(n) => {
                    let expected =
                        if delivered.insert(n) { Delivered::Fresh } else { Delivered::Duplicate };
                    prop_assert_eq!(stream.insert(n, usize::MAX), Ok(expected));
                }
                Step::Remove(n) => {
                    stream.remove(n);
                    delivered.remove(&n);
                    // An undone number may have hidden a hole at the end; the stream forgets that.
                }
                Step::Lose(from, to) => {
                    prop_assert_eq!(stream.explain_loss(from, to, usize::MAX), Ok(()));
                    // What was delivered already is not lost, even if the delivery is undone later.
                    if to > stream.low() {
                        lost.extend(from..=to);
                    }
                    if to > delivered.last().copied().unwrap_or(0) {
                        last = last.max(to);
                    }
                    lost.retain(|&n| n > stream.low() || n >= from);
                }
            }
            for n in 0..90 {
                prop_assert_eq!(stream.contains(n), delivered.contains(&n), "{}", n);
            }
            let expected = built_from(&delivered);
            prop_assert_eq!(
                (stream.low(), stream.top, stream.middle()),
                (expected.low(), expected.top, expected.middle())
            );
        }
        prop_assert!(last == 0 || stream.rest.as_ref().is_some_and(|rest| rest.last == last));
    }

    #[test]
    fn holes_are_what_is_missing_and_not_explained(
        numbers in prop::collection::btree_set(1..200_u64, 0..120),
        losses in prop::collection::vec((1..200_u64, 0..20_u64), 0..10),
    ) {
        let mut stream = built_from(&numbers);
        let mut lost = BTreeSet::new();
        for (from, more) in losses {
            prop_assert_eq!(stream.explain_loss(from, from + more, usize::MAX), Ok(()));
            lost.extend(from..=from + more);
        }
        let last = lost.last().copied().unwrap_or(0);
        prop_assert_eq!(one_by_one(&stream.holes()), missing(&numbers, &lost, last));
        let mut bytes = Vec::new();
        stream.encode(&mut bytes);
        prop_assert_eq!(Stream::decode(&mut Reader(&bytes)), Some(stream));
    }

    #[test]
    fn the_bound_refuses_and_changes_nothing(numbers in prop::collection::vec(1..60_u64, 0..200)) {
        let mut stream = Stream::default();
        for n in numbers {
            let before = stream.clone();
            match stream.insert(n, 4) {
                Ok(found) => prop_assert_eq!(found == Delivered::Duplicate, before.contains(n)),
                Err(error) => {
                    prop_assert_eq!(error, StreamError::TooFragmented);
                    prop_assert_eq!(&stream, &before);
                    prop_assert_eq!(before.intervals(), 4);
                    prop_assert!(![n - 1, n, n + 1].iter().any(|&near| before.contains(near)));
                }
            }
            prop_assert!(stream.intervals() <= 4);
        }
    }
}

#[test]
fn a_lost_number_that_arrives_is_fresh_once() {
    let mut stream = built_from(&[1, 2, 6].into());
    assert_eq!(stream.holes(), [(3, 5)]);
    stream.explain_loss(3, 5, 9).unwrap();
    assert!(stream.holes().is_empty());
    assert_eq!(stream.insert(4, 9), Ok(Delivered::Fresh));
    assert_eq!(stream.insert(4, 9), Ok(Delivered::Duplicate));
    assert!(stream.holes().is_empty());
}

#[test]
fn the_ends_of_the_numbers_are_safe() {
    let mut stream = Stream::default();
    assert_eq!(stream.insert(0, 9), Err(StreamError::BadNumber));
    assert_eq!(stream.explain_loss(0, 3, 9), Err(StreamError::BadNumber));
    assert_eq!(stream.explain_loss(u64::MAX, u64::MAX, 9), Err(StreamError::BadNumber));
    for n in [u64::MAX, u64::MAX - 2, u64::MAX - 1] {
        assert_eq!(stream.insert(n, 9), Ok(Delivered::Fresh));
        assert_eq!(stream.insert(n, 9), Ok(Delivered::Duplicate));
    }
    assert_eq!(stream.intervals(), 1);
    assert_eq!(stream.holes(), [(1, u64::MAX - 3)]);
    stream.explain_loss(1, u64::MAX, 9).unwrap();
    assert!(stream.holes().is_empty());
}

#[test]
fn a_producer_with_all_lanes_keeps_them_apart() {
    let mut table = StreamTable::new(MAX_INTERVALS);
    let backend = table.producer(1, [7; 16], 3);
    let phone = table.producer(1, [7; 16], 4);
    assert_ne!(backend, phone);
    assert_eq!(table.producer(1, [7; 16], 3), backend);
    for (class, lane) in (0..=255).flat_map(|class| (0..=255).map(move |lane| (class, lane))) {
        let number = u64::from(class) * 256 + u64::from(lane) + 1;
        assert_eq!(table.insert(backend, class, lane, number), Ok(Delivered::Fresh));
        assert_eq!(table.insert(backend, class, lane, number), Ok(Delivered::Duplicate));
    }
    assert_eq!(table.insert(phone, 1, 1, 258), Ok(Delivered::Fresh));
    assert_eq!(table.iter().count(), 65_537);
    let mut bytes = Vec::new();
    table.encode(&mut bytes);
    let again = StreamTable::decode(&mut Reader(&bytes), MAX_INTERVALS).unwrap();
    assert!(table.iter().eq(again.iter()));
    assert!(StreamTable::decode(&mut Reader(&bytes[..bytes.len() - 1]), MAX_INTERVALS).is_none());
}
