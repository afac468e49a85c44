use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::clock::SeededRandom;

const SMALL: usize = PAGE;

fn random() -> SeededRandom {
    SeededRandom::new(1)
}

fn all(consumer: &mut Consumer) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while let Some(bytes) = consumer.next().unwrap() {
        found.push(bytes.to_vec());
    }
    found
}

#[derive(Debug, Clone)]
enum Op {
    Push(usize),
    Read,
    Release(bool),
    Rewind,
    Reopen,
}

/// Everything that can be read, and how often there was damage.
fn around_damage(consumer: &mut Consumer) -> (Vec<Vec<u8>>, usize) {
    let (mut found, mut gaps) = (Vec::new(), 0);
    loop {
        match consumer.next() {
            Ok(Some(bytes)) => found.push(bytes.to_vec()),
            Ok(None) => return (found, gaps),
            Err(Damaged) => {
                gaps += 1;
                consumer.skip_damage();
            }
        }
    }
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (0..700_usize).prop_map(Op::Push),
        3 => Just(Op::Read),
        3 => any::<bool>().prop_map(Op::Release),
        1 => Just(Op::Rewind),
        1 => Just(Op::Reopen),
    ];
    prop::collection::vec(op, 1..300)
}

proptest! {
    #[test]
    fn is_a_queue_whatever_happens(ops in ops()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ring");
        let mut ring = Ring::open(&path, SMALL, None, true, &random()).unwrap();
        // What is in it, and how many of these were read.
        let (mut model, mut read, mut next) = (VecDeque::new(), 0, 0_u8);
        for op in ops {
            match op {
                Op::Push(len) => {
                    next = next.wrapping_add(1);
                    let bytes = vec![next; len];
                    let (left, right) = bytes.split_at(len / 3);
                    if ring.producer.push(&[left, right], 0) != Pushed::Full {
                        model.push_back(bytes);
                    } else {
                        prop_assert!(!model.is_empty(), "{len} bytes fit into an empty ring");
                    }
                }
                Op::Read => {
                    prop_assert_eq!(ring.consumer.next().unwrap(), model.get(read).map(Vec::as_slice));
                    read = (read + 1).min(model.len());
                }
                Op::Release(wiped) => {
                    ring.consumer.release(wiped);
                    model.drain(..read);
                    read = 0;
                }
                Op::Rewind => {
                    ring.consumer.rewind();
                    read = 0;
                }
                // Nothing is flushed or closed: the pages alone must tell.
                Op::Reopen => {
                    let absorbed = ring.consumer.position();
                    model.drain(..read);
                    read = 0;
                    ring = Ring::open(&path, SMALL, Some(absorbed), true, &random()).unwrap();
                    prop_assert_eq!(ring.torn, false);
                }
            }
        }
        ring.consumer.rewind();
        prop_assert_eq!(all(&mut ring.consumer), Vec::from(model));
    }

    #[test]
    fn damage_is_noticed_and_takes_one_record(at in 0..3_000_usize, bit in 0..8_u32) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ring");
        let mut ring = Ring::open(&path, SMALL, None, true, &random()).unwrap();
        let pushed: Vec<Vec<u8>> = (0..30_u8).map(|n| vec![n; 90]).collect();
        for bytes in &pushed {
            ring.producer.push(&[bytes], 0);
        }
        drop(ring);
        let mut file = std::fs::read(&path).unwrap();
        file[PAGE + at] ^= 1 << bit;
        std::fs::write(&path, &file).unwrap();
        let mut ring = Ring::open(&path, SMALL, None, true, &random()).unwrap();
        let (found, gaps) = around_damage(&mut ring.consumer);
        // 104 bytes each; the last 6 of them are padding that says nothing.
        let hit = (at % 104 < 98 && at < 30 * 104).then_some(at / 104);
        let kept: Vec<_> = pushed.iter().enumerate().filter(|(n, _)| Some(*n) != hit).map(|(_, bytes)| bytes.clone()).collect();
        prop_assert_eq!((found, gaps), (kept, hit.iter().count()));
        // And it can be used.
        prop_assert!(ring.producer.push(&[b"more"], 0) != Pushed::Full);
        prop_assert_eq!(all(&mut ring.consumer), vec![b"more".to_vec()]);
    }

    #[test]
    fn any_file_opens(bytes in prop::collection::vec(any::<u8>(), 0..200), pages in 0..4_usize) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ring");
        let mut file = vec![0; pages * PAGE];
        let len = bytes.len().min(file.len());
        file[..len].copy_from_slice(&bytes[..len]);
        std::fs::write(&path, &file).unwrap();
        let mut ring = Ring::open(&path, SMALL, None, true, &random()).unwrap();
        prop_assert_eq!(ring.producer.push(&[b"x"], 0) == Pushed::Full, false);
        prop_assert_eq!(all(&mut ring.consumer).pop(), Some(b"x".to_vec()));
    }
}

#[test]
fn a_header_of_lies_is_a_new_ring() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    let lies = [(TAIL_AT, u64::MAX), (HEAD_AT, 8), (TAIL_AT, 12), (CAPACITY_AT, 1 << 40), (0, 0)];
    for (place, value) in lies {
        drop(Ring::open(&path, SMALL, None, true, &random()).unwrap());
        let mut file = std::fs::read(&path).unwrap();
        file[place..place + 8].copy_from_slice(&value.to_le_bytes());
        std::fs::write(&path, &file).unwrap();
        let mut ring = Ring::open(&path, SMALL, None, true, &random()).unwrap();
        // Without its magic, one that was never used was not finished.
        assert_eq!((ring.consumer.next(), ring.torn), (Ok(None), place != 0));
    }
}

#[test]
fn no_position_is_too_far() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    for far in [u64::MAX - 7, 1 << 63, (1 << 62) - 8] {
        std::fs::remove_file(&path).ok();
        let mut ring = Ring::open(&path, SMALL, None, true, &random()).unwrap();
        let generation = ring.consumer.position().generation;
        ring.producer.push(&[b"x"], 0);
        drop(ring);
        drop(Ring::open(&path, SMALL, Some(Position { generation, at: far }), true, &random()).unwrap());
        let mut file = std::fs::read(&path).unwrap();
        for place in [HEAD_AT, TAIL_AT] {
            file[place..place + 8].copy_from_slice(&far.to_le_bytes());
        }
        std::fs::write(&path, file).unwrap();
        let mut ring = Ring::open(&path, SMALL, None, true, &random()).unwrap();
        assert_eq!(around_damage(&mut ring.consumer).0, Vec::<Vec<u8>>::new());
    }
}

#[test]
fn what_a_queue_has_lost_is_read_again_while_it_is_there() {
    for wiped in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ring");
        let mut ring = Ring::open(&path, SMALL, None, true, &random()).unwrap();
        let before = ring.consumer.position();
        ring.producer.push(&[b"absorbed"], 0);
        all(&mut ring.consumer);
        ring.consumer.release(wiped);
        let after = ring.consumer.position();
        ring.producer.push(&[b"not yet"], 0);
        drop(ring);
        let file = std::fs::read(&path).unwrap();
        for (absorbed, ahead) in [(Some(after), false), (Some(before), wiped), (None, true)] {
            std::fs::write(&path, &file).unwrap();
            let mut ring = Ring::open(&path, SMALL, absorbed, true, &random()).unwrap();
            assert_eq!((ring.ahead, ring.torn), (ahead, false));
            let again = absorbed == Some(before) && !wiped;
            let expected: &[&[u8]] = if again { &[b"absorbed", b"not yet"] } else { &[b"not yet"] };
            assert_eq!(all(&mut ring.consumer), expected);
        }
    }
}

#[test]
fn a_damaged_header_takes_nothing_that_the_queue_can_find() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    let mut ring = Ring::open(&path, SMALL, None, true, &random()).unwrap();
    let mut records = Vec::new();
    // Into the second lap.
    for n in 0..60_u8 {
        ring.producer.push(&[&[n; 100]], 0);
        if n < 30 {
            all(&mut ring.consumer);
            ring.consumer.release(false);
        } else {
            records.push(vec![n; 100]);
        }
    }
    let absorbed = Some(ring.consumer.position());
    drop(ring);
    let file = std::fs::read(&path).unwrap();
    for place in [0, GENERATION_AT, CAPACITY_AT, HEAD_AT, TAIL_AT, TAIL_AT + 1] {
        for bits in [1, 0x18, 0xff] {
            let mut bad = file.clone();
            bad[place] ^= bits;
            std::fs::write(&path, &bad).unwrap();
            let mut ring = Ring::open(&path, SMALL, absorbed, true, &random()).unwrap();
            assert_eq!(around_damage(&mut ring.consumer).0, records, "byte {place}, bits {bits}");
            assert_ne!(ring.producer.push(&[b"more"], 0), Pushed::Full);
            assert_eq!(around_damage(&mut ring.consumer).0, [b"more"]);
        }
    }
}

#[test]
fn a_ring_behind_the_queue_or_of_another_generation_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    let mut ring = Ring::open(&path, SMALL, None, true, &random()).unwrap();
    ring.producer.push(&[b"first"], 0);
    let here = ring.consumer.position();
    for absorbed in [Position { at: 1 << 20, ..here }, Position { generation: here.generation ^ 1, at: 0 }] {
        drop(ring);
        ring = Ring::open(&path, SMALL, Some(absorbed), true, &SeededRandom::new(absorbed.at)).unwrap();
        assert_eq!(ring.consumer.next(), Ok(None));
        ring.producer.push(&[b"again"], 0);
    }
}

#[test]
fn another_size_waits_until_the_ring_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    let mut ring = Ring::open(&path, SMALL, None, true, &random()).unwrap();
    ring.producer.push(&[b"kept"], 0);
    drop(ring);
    let mut ring = Ring::open(&path, 8 * SMALL, None, true, &random()).unwrap();
    assert_eq!(
        (all(&mut ring.consumer), ring.consumer.shared.capacity),
        (vec![b"kept".to_vec()], SMALL as u64)
    );
    ring.consumer.release(false);
    drop(ring);
    let ring = Ring::open(&path, 8 * SMALL, None, true, &random()).unwrap();
    assert_eq!(ring.consumer.shared.capacity, 8 * SMALL as u64);
}

#[test]
fn a_ring_whose_making_the_queue_did_not_note_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    let mut ring = Ring::open(&path, SMALL, None, true, &random()).unwrap();
    ring.producer.push(&[b"absorbed"], 0);
    all(&mut ring.consumer);
    ring.consumer.release(false);
    let absorbed = Some(ring.consumer.position());
    drop(ring);
    for seed in 1..3 {
        // Another size: the ring is made anew. Then the process is killed.
        let ring = Ring::open(&path, 2 * SMALL, absorbed, true, &SeededRandom::new(seed)).unwrap();
        assert_eq!((ring.torn, ring.ahead), (false, false));
    }
    let mut file = std::fs::read(&path).unwrap();
    file[..8].fill(0); // And once it was killed a moment earlier.
    std::fs::write(&path, file).unwrap();
    let ring = Ring::open(&path, 2 * SMALL, absorbed, true, &random()).unwrap();
    assert_eq!((ring.torn, ring.ahead), (false, false));
}

#[test]
fn wiped_bytes_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    let mut ring = Ring::open(&path, SMALL, None, true, &random()).unwrap();
    // Over the end, so that both parts must be wiped.
    for _ in 0..8 {
        ring.producer.push(&[b"a secret of many words, so that the ring is soon full", &[7; 700]], 0);
        all(&mut ring.consumer);
        ring.consumer.release(true);
    }
    let file = std::fs::read(&path).unwrap();
    assert!(!file.windows(8).any(|window| window == b"a secret"));
}

#[test]
fn what_was_released_can_be_wiped_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    let mut ring = Ring::open(&path, 40 * PAGE, None, true, &random()).unwrap();
    let secret = [b"a secret of many words".as_slice(), &[7; 700]].concat();
    let push = |ring: &mut Ring, record: &[u8]| ring.producer.push(&[record], 0);
    while push(&mut ring, &secret) != Pushed::Full {}
    all(&mut ring.consumer);
    ring.consumer.release(false);
    push(&mut ring, b"kept");
    let mut piece = Some(0);
    while let Some(from) = piece {
        // SAFETY: there is no other thread.
        piece = unsafe { ring.consumer.wipe_piece(from) };
    }
    push(&mut ring, b"kept, too");
    assert_eq!(all(&mut ring.consumer), [b"kept".to_vec(), b"kept, too".to_vec()]);
    let file = std::fs::read(&path).unwrap();
    assert!(!file.windows(8).any(|window| window == b"a secret"));
}

#[test]
fn some_room_can_be_kept_for_others() {
    let mut ring = Ring::in_memory(SMALL, &random()).unwrap();
    while ring.producer.push(&[&[1; 100]], 1024) != Pushed::Full {}
    assert_ne!(ring.producer.push(&[&[2; 900]], 0), Pushed::Full);
}

#[test]
fn the_consumer_is_woken_once_and_only_when_it_rests() {
    let mut ring = Ring::in_memory(SMALL, &random()).unwrap();
    assert_eq!(ring.producer.push(&[b"x"], 0), Pushed::Quiet);
    assert!(!ring.consumer.rests(false), "there is something to read");
    all(&mut ring.consumer);
    ring.consumer.release(false);
    assert!(ring.consumer.rests(false));
    assert_eq!(ring.producer.push(&[b"x"], 0), Pushed::Wake);
    assert_eq!(ring.producer.push(&[b"x"], 0), Pushed::Quiet);
    assert!(ring.consumer.rests(true), "it lets them gather");
    assert_eq!(ring.producer.push(&[&[0; 500]], 0), Pushed::Quiet);
    assert_eq!(ring.producer.push(&[&[0; 600]], 0), Pushed::Wake);
    assert_eq!(ring.producer.push(&[&[0; 600]], 0), Pushed::Quiet);
}

#[test]
fn two_threads_lose_and_mix_nothing() {
    let Ring { mut producer, mut consumer, .. } = Ring::in_memory(SMALL, &random()).unwrap();
    const N: u64 = 200_000;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for n in 0..N {
                while producer.push(&[&n.to_le_bytes(), &[n as u8; 50][..(n % 50) as usize]], 0)
                    == Pushed::Full
                {
                    std::thread::yield_now();
                }
            }
        });
        let mut expected = 0;
        while expected < N {
            match consumer.next().unwrap() {
                Some(bytes) => {
                    assert_eq!(bytes[..8], expected.to_le_bytes());
                    assert!(
                        bytes.len() as u64 == 8 + expected % 50
                            && bytes[8..].iter().all(|b| *b == expected as u8)
                    );
                    expected += 1;
                    if expected % 7 == 0 {
                        consumer.release(expected % 2 == 0);
                    }
                }
                None => consumer.release(false),
            }
        }
    });
}

#[test]
fn a_position_between_two_places_is_no_position() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    // The last one reads beyond the mapping's end.
    for at in [3, SMALL as u64 - 5] {
        std::fs::remove_file(&path).ok();
        let mut ring = Ring::open(&path, SMALL, None, true, &random()).unwrap();
        let generation = ring.consumer.position().generation;
        for n in 0..63 {
            ring.producer.push(&[&[n; 50]], 0);
        }
        drop(ring);
        let known = Some(Position { generation, at });
        let mut ring = Ring::open(&path, SMALL, known, true, &random()).unwrap();
        assert_eq!(around_damage(&mut ring.consumer).0.len(), 63, "{at}");
    }
}
