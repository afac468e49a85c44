use std::collections::HashSet;
use std::sync::Arc;

use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::clock::{ManualClock, SeededRandom};
use crate::intake::Class;
use crate::profile::Consent;
use crate::queue::gather::Most;
use crate::record::{Wish, event_prefix, put_profile};
use crate::ring::{Consumer, Producer, Pushed};
use crate::seal::{KeyProvider, MemoryKeys};

const NORMAL: u8 = 2;

/// A queue with the ring before it.
pub(crate) struct Bench {
    pub(crate) queue: Queue,
    pub(crate) ring: Consumer,
    producer: Producer,
    pub(crate) random: SeededRandom,
    named: u8,
}

impl Bench {
    pub(crate) fn new(keys: Option<Arc<dyn KeyProvider>>) -> Self {
        let random = SeededRandom::new(5);
        let Opened { queue, .. } = Queue::in_memory(Sealer::new(keys), &random).unwrap();
        let ring = crate::ring::Ring::in_memory(1 << 20, &random).unwrap();
        let mut bench = Self { queue, ring: ring.consumer, producer: ring.producer, random, named: 0 };
        bench.push(&Era { id: 1, boot: Some("by hand".into()), base_us: 0 }.put());
        bench
    }

    fn push(&mut self, record: &[u8]) {
        assert_ne!(self.producer.push(&[record], 0), Pushed::Full);
    }

    pub(crate) fn event(&mut self, class: u8, lane: u8, name: &str) -> [u8; 16] {
        self.named = self.named.wrapping_add(1);
        let id = [self.named; 16];
        let event =
            v1::Event { raw_id: id.to_vec(), name: name.into(), user_id: "u".into(), ..v1::Event::default() };
        self.push(&[&event_prefix(class, lane, 1)[..], &event.encode_to_vec()].concat());
        id
    }

    pub(crate) fn absorb(&mut self) -> Result<Absorbed, QueueError> {
        self.queue.absorb(&mut self.ring, 0, &self.random)
    }

    pub(crate) fn put(&mut self, class: u8, lane: u8, names: &[&str]) {
        for name in names {
            self.event(class, lane, name);
        }
        self.absorb().unwrap();
    }

    pub(crate) fn wish(&mut self, id: &str) {
        self.push(&Wish { id: id.into(), kind: 1, actor: "somebody".into() }.put());
        self.absorb().unwrap();
    }

    fn all(&mut self) -> Vec<(String, i32, u32, u64)> {
        let found = self.queue.gather(|_, _, _| false, most(usize::MAX, usize::MAX)).unwrap();
        decoded(&found)
    }
}

fn decoded(found: &Gathered) -> Vec<(String, i32, u32, u64)> {
    let request = v1::IngestRequest::decode(&*found.body).unwrap();
    let read = |event: v1::Event| (event.name, event.delivery_class, event.lane.unwrap(), event.number);
    request.events.into_iter().map(read).collect()
}

fn named(list: &[(&str, i32, u32, u64)]) -> Vec<(String, i32, u32, u64)> {
    list.iter().map(|(name, class, lane, number)| ((*name).to_owned(), *class, *lane, *number)).collect()
}

pub(crate) fn most(events: usize, bytes: usize) -> Most {
    Most { events, bytes, class: Class::Lossy }
}

#[test]
fn numbers_go_by_class_and_lane_and_important_events_come_first() {
    let mut bench = Bench::new(None);
    bench.put(2, 1, &["a", "b"]);
    bench.put(3, 1, &["c"]);
    bench.put(2, 9, &["d"]);
    bench.put(1, 1, &["e"]);
    bench.put(2, 1, &["f"]);
    let expected =
        [("e", 1, 1, 1), ("a", 2, 1, 1), ("b", 2, 1, 2), ("d", 2, 9, 1), ("f", 2, 1, 3), ("c", 3, 1, 1)];
    assert_eq!(bench.all(), named(&expected));
    assert_eq!((bench.queue.pending(), bench.queue.critical().0), (6, 1));
    let found = bench.queue.gather(|_, class, at| class == 2 && at.lane == 1, most(2, usize::MAX)).unwrap();
    assert_eq!(decoded(&found), named(&[("e", 1, 1, 1), ("d", 2, 9, 1)]));
}

#[test]
fn a_failed_commit_uses_up_no_number_and_loses_nothing() {
    let mut bench = Bench::new(None);
    bench.put(NORMAL, 1, &["a"]);
    let long = "x".repeat(20_000);
    bench.queue.set_full(true);
    bench.event(NORMAL, 1, &long);
    bench.event(NORMAL, 1, &long);
    assert!(bench.absorb().is_err());
    assert!(bench.absorb().is_err());
    assert_eq!(bench.queue.pending(), 1);
    bench.queue.set_full(false);
    assert_eq!(bench.absorb().unwrap().events, 2);
    let numbers: Vec<_> = bench.all().into_iter().map(|(.., number)| number).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[test]
fn what_was_settled_is_gone_and_the_rest_of_its_block_stays() {
    for keys in [None, Some(Arc::new(MemoryKeys::new()) as Arc<dyn KeyProvider>)] {
        let mut bench = Bench::new(keys);
        bench.put(NORMAL, 1, &["a", "b", "c", "d"]);
        let sent = bench.queue.gather(|_, _, _| false, most(3, usize::MAX)).unwrap();
        let lost = Fate::Lost { word: "rejected", why: "because".into() };
        bench.queue.settle(&sent, &[(0, Fate::Acked), (1, lost)], &[], &[], &bench.random).unwrap();
        assert_eq!(bench.all(), named(&[("c", 2, 1, 3), ("d", 2, 1, 4)]));
        assert_eq!(bench.queue.pending(), 2);
        let losses = bench.queue.losses(None).unwrap();
        let range = &losses[0].range;
        assert_eq!((losses.len(), range.from, range.to, &*range.reason), (1, 2, 2, "rejected"));
        let receipt = bench.queue.receipt(&[2; 16]).unwrap();
        assert_eq!(
            receipt,
            Some(Receipt::Rejected("because".into())),
            "a refused event has one, whatever its class"
        );
        assert_eq!(bench.queue.receipt(&[1; 16]).unwrap(), None);
    }
}

#[test]
fn each_persons_events_are_sealed_with_their_own_key_and_go_with_it() {
    let keys = Arc::new(MemoryKeys::new());
    let mut bench = Bench::new(Some(keys.clone()));
    let mut profiles = Vec::new();
    for name in ["a", "b"] {
        let profile = Profile::new(Consent::Granted, &bench.random);
        bench.push(&put_profile(&profile.encode()));
        bench.event(NORMAL, 1, name);
        bench.event(NORMAL, 2, name);
        profiles.push(profile);
    }
    bench.absorb().unwrap();
    assert_eq!(bench.queue.destroy(&profiles[0].key).unwrap(), 2);
    assert_eq!(bench.all(), named(&[("b", 2, 1, 2), ("b", 2, 2, 2)]));
    let losses = bench.queue.losses(None).unwrap();
    assert!(losses.iter().all(|loss| loss.range.reason == "consent_withdrawn" && loss.range.from == 1));
    // The database says it with the bytes gone, too; and a device that is locked gives nothing up.
    keys.lock(true);
    assert!(matches!(bench.queue.gather(|_, _, _| false, most(9, 1 << 20)), Err(QueueError::Key(_))));
    keys.lock(false);
    keys.destroy(&profiles[1].key).unwrap();
    assert!(bench.all().is_empty());
    let words: Vec<_> = bench.queue.losses(None).unwrap().into_iter().map(|loss| loss.range.reason).collect();
    assert_eq!(words.iter().filter(|word| *word == "undecryptable").count(), 2);
}

#[test]
fn a_damaged_block_is_a_loss_with_its_numbers() {
    let mut bench = Bench::new(None);
    bench.put(NORMAL, 1, &["a", "b"]);
    bench.put(NORMAL, 1, &["c"]);
    bench.queue.db.execute("UPDATE blocks SET body = zeroblob(length(body)) WHERE id = 1", []).unwrap();
    assert_eq!(bench.all(), named(&[("c", 2, 1, 3)]));
    let losses = bench.queue.losses(None).unwrap();
    assert_eq!((losses[0].range.from, losses[0].range.to, &*losses[0].range.reason), (1, 2, "corrupt"));
    assert_eq!((bench.queue.pending(), bench.queue.unreadable()), (1, 2));
}

#[test]
fn age_and_space_take_the_least_important_first_and_never_critical_ones() {
    let mut bench = Bench::new(None);
    for class in [1, 2, 3] {
        bench.put(class, 1, &["x"]);
        bench.put(class, 1, &["y"]);
    }
    let limits = Limits { events: 4, ..Limits::default() };
    assert_eq!(
        bench.queue.evict(&limits, &ManualClock::at(0), &HashSet::from_iter(1..=6)).unwrap(),
        0,
        "all are out"
    );
    assert_eq!(bench.queue.losses(None).unwrap(), []);
    assert_eq!(bench.queue.evict(&limits, &ManualClock::at(0), &HashSet::new()).unwrap(), 2);
    assert!(bench.queue.losses(None).unwrap().iter().all(|loss| loss.range.delivery_class == 3));
    let clock = ManualClock::at(0);
    clock.jump(100 * crate::clock::micros(limits.age));
    assert_eq!(
        bench.queue.evict(&limits, &clock, &HashSet::new()).unwrap(),
        0,
        "a clock that is set makes nothing old"
    );
    clock.advance(limits.age);
    assert_eq!(bench.queue.evict(&limits, &clock, &HashSet::new()).unwrap(), 2);
    assert_eq!(bench.all(), named(&[("x", 1, 1, 1), ("y", 1, 1, 2)]));
    let nothing = Limits { bytes: 0, events: 0, ..limits };
    assert_eq!(bench.queue.evict(&nothing, &clock, &HashSet::new()).unwrap(), 0);
}

#[test]
fn a_reopened_queue_goes_on_only_where_it_was_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("q");
    let random = SeededRandom::new(1);
    let open = |life: Option<&Life>| Queue::open(&path, Sealer::new(None), life, &[], &random).unwrap();
    let base = crate::folder::Folder::claim(folder.path(), &random).unwrap();
    let clock = crate::clock::ManualClock::at(0);
    let life = Life::begin(&base, &clock, &random).unwrap();
    let mut queue = open(None).queue;
    queue.set_life(life.as_ref()).unwrap();
    let (install, epoch) = (queue.install.clone(), queue.epoch);
    drop(queue); // Killed.
    let Opened { mut queue, intact, .. } = open(Life::found(&base, &clock).as_ref());
    assert_eq!((&queue.install, queue.epoch, intact), (&install, epoch, true));
    queue.set_life(Life::begin(&base, &clock, &random).unwrap().as_ref()).unwrap();
    drop(queue);
    let Opened { mut queue, intact, .. } = open(life.as_ref());
    assert_eq!((&queue.install, queue.epoch), (&install, epoch), "what is left in the ring has its numbers");
    assert!(!intact, "an earlier life is not the last one");
    queue.begin_epoch(&random).unwrap();
    assert_ne!(queue.epoch, epoch);
}

#[test]
fn profile_era_wishes_and_receipts_survive() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("q");
    let keys = Arc::new(MemoryKeys::new());
    let mut bench = Bench::new(None);
    let open = |random: &SeededRandom| Queue::open(&path, Sealer::new(Some(keys.clone())), None, &[], random);
    bench.queue = open(&bench.random).unwrap().queue;
    let profile = Profile::new(Consent::Pending, &bench.random);
    bench.push(&put_profile(&profile.encode()));
    let wish = Wish { id: "w".into(), kind: 1, actor: "somebody".into() };
    bench.push(&wish.put());
    let id = bench.event(1, 1, "paid");
    assert_eq!(bench.absorb().unwrap().critical, 2, "an event and a wish");
    bench.queue = Bench::new(None).queue;
    let bytes = std::fs::read(&path).unwrap();
    assert!(!bytes.windows(8).any(|window| window == b"somebody"), "what is personal is sealed");
    keys.lock(true);
    assert!(matches!(open(&bench.random), Err(QueueError::Key(_))), "a locked device is no new install");
    keys.lock(false);
    let Opened { queue, era, .. } = open(&bench.random).unwrap();
    assert_eq!((queue.profile().unwrap(), era.map(|era| era.id)), (Some(profile), Some(1)));
    assert_eq!(queue.wishes().unwrap(), [wish]);
    assert_eq!(queue.receipt(&id).unwrap(), Some(Receipt::Queued));
}

/// A database on the disk with events in many blocks, of which some are acknowledged: what waits, by class and number.
fn filled(path: &Path, bench: &mut Bench) -> Vec<(i32, Number)> {
    bench.queue = Queue::open(path, Sealer::new(None), None, &[], &bench.random).unwrap().queue;
    for n in 0..150_u8 {
        let names = vec!["a long name, so that pages fill"; usize::from(n % 7)];
        bench.put(1 + n % 3, n % 2, &names);
    }
    let sent = bench.queue.gather(|_, _, _| false, most(50, usize::MAX)).unwrap();
    let fates: Vec<_> = (0..sent.events.len()).map(|at| (at, Fate::Acked)).collect();
    bench.queue.settle(&sent, &fates, &[], &[], &bench.random).unwrap();
    let left = bench.queue.gather(|_, _, _| false, most(usize::MAX, usize::MAX)).unwrap();
    // Into the file itself.
    bench.queue.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    bench.queue = Bench::new(None).queue;
    left.events.iter().map(|event| (event.class, event.at)).collect()
}

/// Those of `waited` that are neither in the queue nor named as lost.
fn unaccounted(queue: &mut Queue, waited: &[(i32, Number)]) -> Result<Vec<(i32, Number)>, QueueError> {
    let kept = queue.gather(|_, _, _| false, most(usize::MAX, usize::MAX))?;
    let kept: HashSet<_> = kept.events.iter().map(|event| (event.class, event.at)).collect();
    let losses = queue.losses(None)?;
    let named = |class: i32, at: Number| {
        losses.iter().map(|loss| &loss.range).any(|range| {
            (range.delivery_class, range.lane) == (class, at.lane.into())
                && (range.from..=range.to).contains(&at.number)
        })
    };
    let gone = |event: &(i32, Number)| !kept.contains(event) && !named(event.0, event.1);
    Ok(waited.iter().copied().filter(gone).collect())
}

#[test]
fn a_broken_page_costs_what_was_on_it_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (path, new) = (folder.path().join("q"), folder.path().join("new"));
    let mut bench = Bench::new(None);
    let waited = filled(&path, &mut bench);
    let whole = std::fs::read(&path).unwrap();
    let pages = whole.len() / 4096;
    assert!(pages > 20, "{pages} pages");
    let (mut named, mut silent) = (0, 0);
    for page in 0..pages {
        let mut file = whole.clone();
        file[page * 4096..(page + 1) * 4096].fill(0xa5);
        std::fs::write(&path, &file).unwrap();
        for file in [&new, &folder.path().join("new-wal")] {
            std::fs::remove_file(file).ok();
        }
        let opened = Queue::open(&new, Sealer::new(None), None, std::slice::from_ref(&path), &bench.random);
        let Opened { mut queue, salvaged, .. } = opened.unwrap();
        assert!(salvaged);
        let lost = unaccounted(&mut queue, &waited).unwrap().len();
        assert!(lost == 0 || queue.pending() > 0, "page {page}: {lost}");
        silent += usize::from(lost > 0);
        named += usize::from(queue.has_losses().unwrap());
        drop(queue);
        let again =
            Queue::open(&new, Sealer::new(None), None, std::slice::from_ref(&path), &bench.random).unwrap();
        assert!(!again.salvaged, "once");
    }
    assert_eq!((silent, named > pages / 2), (0, true), "{pages} pages, {named} with losses");
}

#[test]
fn where_the_notes_are_damaged_the_blocks_say_whose_numbers_were_given_out() {
    let folder = tempfile::tempdir().unwrap();
    let (path, new) = (folder.path().join("q"), folder.path().join("new"));
    let mut bench = Bench::new(None);
    let waited = filled(&path, &mut bench);
    let notes_and_last = "DELETE FROM meta; DELETE FROM blocks WHERE id > (SELECT max(id) / 2 FROM blocks)";
    Connection::open(&path).unwrap().execute_batch(notes_and_last).unwrap();
    let opened = Queue::open(&new, Sealer::new(None), None, std::slice::from_ref(&path), &bench.random);
    assert_eq!(unaccounted(&mut opened.unwrap().queue, &waited).unwrap(), []);
}

#[test]
fn a_machine_that_does_not_tell_its_start_has_a_sound_queue() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("q");
    for _ in 0..2 {
        let opened = Queue::open(&path, Sealer::new(None), None, &[], &SeededRandom::new(2));
        opened.unwrap().queue.set_life(None).unwrap();
    }
}

#[test]
fn rows_that_are_gone_without_a_trace_are_missed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, new) = (folder.path().join("q"), folder.path().join("new"));
    for what in ["DELETE FROM blocks WHERE id = 7", "DELETE FROM streams WHERE class = 1 AND lane = 0"] {
        for file in [&path, &new] {
            std::fs::remove_file(file).ok();
        }
        let mut bench = Bench::new(None);
        let waited = filled(&path, &mut bench);
        let open = || Queue::open(&path, Sealer::new(None), None, &[], &SeededRandom::new(2));
        assert!(open().is_ok());
        Connection::open(&path).unwrap().execute(what, []).unwrap();
        assert!(open().is_err_and(|error| error.is_corrupt()), "{what}");
        let opened = Queue::open(&new, Sealer::new(None), None, std::slice::from_ref(&path), &bench.random);
        assert_eq!(unaccounted(&mut opened.unwrap().queue, &waited).unwrap(), []);
    }
}

#[test]
fn an_adopted_block_whose_numbers_are_damaged_is_named_too() {
    let (mut main, mut orphan) = (Bench::new(None), Bench::new(None));
    orphan.queue = Queue::in_memory(Sealer::new(None), &SeededRandom::new(6)).unwrap().queue;
    orphan.put(NORMAL, 1, &["a", "b"]);
    orphan.queue.db.execute("UPDATE blocks SET numbers = zeroblob(9)", []).unwrap();
    orphan.queue.give_up_unreadable().unwrap();
    main.queue.take_over(&orphan.queue).unwrap();
    assert_eq!((main.all(), main.queue.unreadable()), (vec![], 2));
    let loss = main.queue.losses(None).unwrap().remove(0);
    assert_eq!((loss.install, loss.range.from, loss.range.to), (orphan.queue.install.clone(), 1, 2));
}

#[test]
fn a_damaged_schema_is_missed_or_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("q");
    let mut bench = Bench::new(None);
    let waited = filled(&path, &mut bench);
    let whole = std::fs::read(&path).unwrap();
    let mut opened = 0;
    for at in (100..4096).step_by(3) {
        for bit in [0, 5] {
            let mut file = whole.clone();
            file[at] ^= 1 << bit;
            std::fs::write(&path, &file).unwrap();
            std::fs::remove_file(folder.path().join("q-wal")).ok();
            let Ok(found) = Queue::open(&path, Sealer::new(None), None, &[], &bench.random) else { continue };
            opened += 1;
            match unaccounted(&mut { found.queue }, &waited) {
                Err(error) => assert!(error.is_corrupt(), "byte {at}, bit {bit}: {error}"),
                Ok(lost) => assert_eq!(lost, [], "byte {at}, bit {bit}"),
            }
        }
    }
    assert!(opened > 0);
}

#[test]
fn a_block_whose_numbers_are_damaged_is_named_by_what_is_left() {
    let mut bench = Bench::new(None);
    for names in [&["a", "b"][..], &["c"], &["d", "e"]] {
        bench.put(NORMAL, 1, names);
    }
    bench.queue.db.execute("UPDATE blocks SET numbers = zeroblob(9) WHERE id = 2", []).unwrap();
    assert_eq!(bench.all().len(), 4);
    let losses = bench.queue.losses(None).unwrap();
    let ranges: Vec<_> = losses.iter().map(|loss| (loss.range.from, loss.range.to)).collect();
    assert_eq!((ranges, &*losses[0].range.reason), (vec![(3, 3)], "corrupt"));
}

#[test]
fn what_is_on_its_way_does_not_push_out_what_matters_more() {
    let mut bench = Bench::new(None);
    bench.put(3, 1, &["lossy 1"]);
    bench.put(3, 1, &["lossy 2"]);
    let bytes = bench.queue.pending_bytes();
    let limits = Limits { bytes, critical_bytes: 0, ..Limits::default() };
    bench.put(NORMAL, 1, &["normal"]);
    let out = HashSet::from_iter([1, 2]);
    assert_eq!(
        bench.queue.evict(&limits, &ManualClock::at(0), &out).unwrap(),
        0,
        "both lossy ones are on their way"
    );
    let out = HashSet::from_iter([1]);
    bench.put(NORMAL, 1, &["normal"]);
    assert_eq!(bench.queue.evict(&limits, &ManualClock::at(0), &out).unwrap(), 1, "the other lossy one goes");
    let names: Vec<_> = bench.all().into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["normal", "normal", "lossy 1"]);
}

#[test]
fn a_loss_that_grows_while_it_is_told_is_told_again() {
    let mut bench = Bench::new(None);
    for name in ["a", "b", "c"] {
        bench.put(3, 1, &[name]);
    }
    let nothing = Limits { bytes: 0, critical_bytes: 0, ..Limits::default() };
    assert_eq!(bench.queue.evict(&nothing, &ManualClock::at(0), &HashSet::from_iter([3])).unwrap(), 2);
    let told = bench.queue.losses(None).unwrap();
    assert_eq!(bench.queue.evict(&nothing, &ManualClock::at(0), &HashSet::new()).unwrap(), 1);
    bench.queue.settle(&Gathered::default(), &[], &told, &[], &bench.random).unwrap();
    let left = bench.queue.losses(None).unwrap();
    assert_eq!(left.iter().map(|loss| (loss.range.from, loss.range.to)).collect::<Vec<_>>(), [(3, 3)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is settled in whatever order: every number is acknowledged or lost, once.
    #[test]
    fn every_number_ends_once(
        events in prop::collection::vec((1..4_u8, 0..3_u8), 1..80),
        takes in prop::collection::vec((1..9_usize, any::<u64>()), 1..80),
    ) {
        let mut bench = Bench::new(None);
        for (class, lane) in &events {
            bench.event(*class, *lane, "e");
            if class == &1 {
                bench.absorb().unwrap();
            }
        }
        bench.absorb().unwrap();
        let mut ended = Vec::new();
        for (many, dice) in takes.iter().cycle() {
            let sent = bench.queue.gather(|_, _, _| false, most(*many, usize::MAX)).unwrap();
            if sent.events.is_empty() {
                break;
            }
            let mut fates = Vec::new();
            for (index, event) in sent.events.iter().enumerate() {
                match (dice >> (2 * index)) & 3 {
                    0 if index > 0 => {}
                    1 => fates.push((index, Fate::Lost { word: "rejected", why: String::new() })),
                    _ => {
                        fates.push((index, Fate::Acked));
                        ended.push((event.class, event.at));
                    }
                }
            }
            bench.queue.settle(&sent, &fates, &[], &[], &bench.random).unwrap();
        }
        for loss in bench.queue.losses(None).unwrap() {
            let lane = loss.range.lane as u8;
            ended.extend((loss.range.from..=loss.range.to).map(|number| (loss.range.delivery_class, Number { lane, number })));
        }
        ended.sort_unstable();
        let mut expected = Vec::new();
        for (class, lane) in &events {
            let before = expected.iter().filter(|(c, at): &&(i32, Number)| (*c, at.lane) == (i32::from(*class), *lane)).count();
            expected.push((i32::from(*class), Number { lane: *lane, number: before as u64 + 1 }));
        }
        expected.sort_unstable();
        prop_assert_eq!(ended, expected);
        prop_assert_eq!((bench.queue.pending(), bench.queue.pending_bytes()), (0, 0));
    }
}

#[test]
fn a_row_that_makes_no_sense_costs_itself_and_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let (path, new) = (folder.path().join("q"), folder.path().join("new"));
    let loss = "INSERT INTO losses (install, epoch, class, lane, first, last, reason) VALUES";
    for what in [
        "UPDATE streams SET lane = 300 WHERE class = 1 AND lane = 0".to_owned(),
        "UPDATE streams SET last = x'00' WHERE class = 1 AND lane = 0".to_owned(),
        "UPDATE meta SET value = x'00' WHERE key = 'install'".to_owned(),
        "UPDATE meta SET value = x'00' WHERE key = 'ring_at'".to_owned(),
        format!("{loss} (x'00', 1, 1, 1, 1, 1, 'evicted')"),
        format!("{loss} ('i', 1, 1, -1, 1, 1, 'evicted')"),
        "INSERT INTO wishes VALUES ('w', 7, x'00')".to_owned(),
        "INSERT INTO eras VALUES (1, x'00', x'00')".replace("INSERT", "REPLACE"),
        "UPDATE blocks SET at_us = x'00', person = x'00' WHERE id = 9".to_owned(),
        "UPDATE blocks SET count = 9223372036854775807, bytes = -1".to_owned(),
    ] {
        for file in [&path, &new, &folder.path().join("q-wal"), &folder.path().join("new-wal")] {
            std::fs::remove_file(file).ok();
        }
        let mut bench = Bench::new(None);
        let waited = filled(&path, &mut bench);
        Connection::open(&path).unwrap().execute(&what, []).unwrap();
        let opened = Queue::open(&new, Sealer::new(None), None, std::slice::from_ref(&path), &bench.random);
        let mut queue = opened.unwrap_or_else(|error| panic!("{what}: {error}")).queue;
        let lost = unaccounted(&mut queue, &waited).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((lost, queue.pending()), (vec![], waited.len() as u64), "{what}");
        assert!(queue.wishes().is_ok() && queue.era(1).is_ok(), "{what}");
    }
}

#[test]
fn a_value_of_another_kind_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("q");
    for what in [
        "UPDATE meta SET value = x'00' WHERE key = 'install'",
        "UPDATE streams SET lane = 300 WHERE class = 1 AND lane = 0",
    ] {
        for file in [&path, &folder.path().join("q-wal")] {
            std::fs::remove_file(file).ok();
        }
        let mut bench = Bench::new(None);
        filled(&path, &mut bench);
        Connection::open(&path).unwrap().execute(what, []).unwrap();
        let opened = Queue::open(&path, Sealer::new(None), None, &[], &bench.random);
        assert!(opened.is_err_and(|error| error.is_corrupt()), "{what}");
    }
}

#[test]
fn a_wrong_count_takes_no_event_along() {
    let mut bench = Bench::new(None);
    bench.put(NORMAL, 1, &["a", "b", "c"]);
    bench.queue.db.execute("UPDATE blocks SET count = 1", []).unwrap();
    let sent = bench.queue.gather(|_, _, _| false, most(1, usize::MAX)).unwrap();
    bench.queue.settle(&sent, &[(0, Fate::Acked)], &[], &[], &bench.random).unwrap();
    assert_eq!(bench.all(), named(&[("b", 2, 1, 2), ("c", 2, 1, 3)]));
}

#[test]
fn a_wish_that_can_never_be_read_waits_for_nobody() {
    let keys = Arc::new(MemoryKeys::new());
    let mut bench = Bench::new(Some(keys.clone()));
    bench.wish("w");
    keys.lock(true);
    assert!(bench.queue.wishes().unwrap().is_empty() && bench.queue.has_wishes().unwrap());
    keys.lock(false);
    assert_eq!(bench.queue.wishes().unwrap().len(), 1);
    keys.destroy(bench.queue.sealer.install_key()).unwrap();
    assert!(bench.queue.wishes().unwrap().is_empty() && !bench.queue.has_wishes().unwrap());
}
