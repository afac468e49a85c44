//! The sequencer on its own: order, fairness, bounds, failures, stop.

use std::sync::atomic::AtomicI64;

use footpath_model::clock::ManualClock;

use super::*;
use crate::conformance::open;
use crate::{MemoryLog, SimDisk};

/// Stores each number once; remembers in which order it was asked.
#[derive(Default)]
struct Once {
    seen: Vec<u64>,
    pending: Vec<u64>,
    order: Arc<Mutex<Vec<u64>>>,
    turned_away: Arc<Mutex<Vec<u64>>>,
    last_words: Arc<AtomicI64>,
}

impl Judge for Once {
    type Batch = u64;
    type Verdict = bool;

    fn judge(&mut self, batch: u64, _: i64, _: u64) -> Judged<bool> {
        self.order.lock().push(batch);
        let fresh = !self.seen.contains(&batch) && !self.pending.contains(&batch);
        self.pending.extend(fresh.then_some(batch));
        let payload = fresh.then(|| batch.to_le_bytes().to_vec().into());
        Judged { payloads: payload.into_iter().collect(), verdict: fresh }
    }

    fn close_group(&mut self, _: i64) -> Vec<Bytes> {
        let words = self.last_words.swap(0, Ordering::SeqCst);
        (0..words).map(|_| Bytes::from_static(b"last word")).collect()
    }

    fn turned_away(&mut self, batch: u64) {
        self.turned_away.lock().push(batch);
    }

    fn wants_group(&self) -> bool {
        self.last_words.load(Ordering::SeqCst) > 0
    }

    fn committed(&mut self, _: u64) {
        self.seen.append(&mut self.pending);
    }

    fn aborted(&mut self) {
        self.pending.clear();
    }

    fn stopping(&mut self) {
        self.order.lock().push(u64::MAX);
    }
}

fn start(log: &Arc<dyn Log>, judge: Once, limits: Limits) -> SequencerHandle<Once> {
    Sequencer::start(Arc::clone(log), judge, Arc::new(ManualClock::at(5)), limits).unwrap()
}

fn embedded(disk: &SimDisk) -> Arc<dyn Log> {
    Arc::new(open(disk).unwrap())
}

fn send(handle: &SequencerHandle<Once>, number: u64) -> Result<Committed<bool>, CommitError> {
    handle.submit(1, number, 10)?.blocking_recv().unwrap()
}

fn item(number: u64, bytes: usize) -> Item<u64> {
    Item { bytes, content: number }
}

#[test]
fn it_judges_in_order_rolls_back_recovers_and_drains() {
    let disk = SimDisk::new(5);
    let log = embedded(&disk);
    let handle = start(&log, Once::default(), Limits::default());
    disk.fail_syncs(1);
    assert!(send(&handle, 1).is_err());
    let stored = send(&handle, 1).unwrap();
    assert_eq!((stored.offset, stored.verdict), (Some(0), true), "the failed attempt left no trace");
    let waiting: Vec<_> = (0..500).map(|n| handle.submit((n % 3) as u32, n / 2, 10).unwrap()).collect();
    handle.stop();
    let fresh = waiting.into_iter().filter_map(|w| w.blocking_recv().ok()?.ok());
    assert_eq!(fresh.filter(|c| c.verdict).count(), 249);
    assert_eq!(log.durable_end(), 250);
    assert_eq!(handle.submit(1, 1, 1).err(), Some(CommitError::Stopped));
}

#[test]
fn projects_share_a_group_by_bytes_not_by_how_much_waits() {
    let limits = Limits { quantum_bytes: 1000, group_bytes: 6000, ..Limits::default() };
    let mut queue = Queue::default();
    for n in 0..100 {
        assert!(queue.push(1, item(1000 + n, 500), &limits).is_ok());
    }
    for n in 0..4 {
        assert!(queue.push(2, item(2000 + n, 1000), &limits).is_ok());
    }
    assert!(queue.push(3, item(3000, 100), &limits).is_ok());
    let group = queue.take_group(&limits);
    let count = |project: u64| group.iter().filter(|&&n| n / 1000 == project).count();
    assert_eq!((count(3), group[2]), (1, 2000), "nobody waits behind a hundred");
    assert_eq!(
        (count(1), count(2)),
        (6, 2),
        "two thousand nine hundred bytes each, in whole batches: {group:?}"
    );
    let own = group.iter().filter(|&&n| n < 2000);
    assert!(own.copied().eq(1000..1006), "in order within a project");
}

#[test]
fn where_a_group_ends_decides_nothing() {
    let limits = Limits { quantum_bytes: 1000, group_bytes: 1500, ..Limits::default() };
    let mut queue = Queue::default();
    (0..40).for_each(|n| assert!(queue.push((n % 2) as u32, item(n % 2, 500), &limits).is_ok()));
    let groups: Vec<u64> = (0..3).flat_map(|_| queue.take_group(&limits)).collect();
    assert_eq!(groups, [0, 0, 1, 1, 0, 0, 1, 1, 0], "two each, by turns");
}

#[test]
fn a_batch_larger_than_the_quantum_saves_up_for_its_turn() {
    let limits = Limits { quantum_bytes: 100, group_bytes: 10_000, ..Limits::default() };
    let mut queue = Queue::default();
    assert!(queue.push(1, item(1, 250), &limits).is_ok());
    (0..10).for_each(|n| assert!(queue.push(2, item(10 + n, 100), &limits).is_ok()));
    let group = queue.take_group(&limits);
    assert_eq!(group.iter().position(|&n| n == 1), Some(2), "in the third round: {group:?}");
}

#[test]
fn what_is_too_much_is_refused_at_once_and_room_comes_back() {
    let limits = Limits { queue_bytes: 1000, project_queue_bytes: 600, ..Limits::default() };
    let mut queue = Queue::default();
    assert!(queue.push(1, item(1, 600), &limits).is_ok());
    let busy = CommitError::Busy { retry_after: limits.retry_after };
    assert_eq!(queue.push(1, item(2, 1), &limits), Err(busy.clone()), "the project's share");
    assert!(queue.push(2, item(3, 400), &limits).is_ok());
    assert_eq!(queue.push(3, item(4, 1), &limits), Err(busy), "the whole queue");
    assert_eq!(queue.take_group(&limits), [1, 3]);
    assert!(queue.push(1, item(5, 600), &limits).is_ok());
    let empty = Queue::<u64>::default().take_group(&limits);
    assert!(empty.is_empty());
}

#[test]
fn a_batch_that_is_too_large_is_refused_without_queueing_and_one_larger_than_a_group_goes_alone() {
    let log: Arc<dyn Log> = Arc::new(MemoryLog::default());
    let limits = Limits { group_bytes: 50, submission_bytes: 100, ..Limits::default() };
    let mut queue = Queue::default();
    (1..4).for_each(|n| assert!(queue.push(1, item(n, if n == 2 { 100 } else { 10 }), &limits).is_ok()));
    assert_eq!([(); 3].map(|()| queue.take_group(&limits)), [[1], [2], [3]]);
    let handle = start(&log, Once::default(), limits);
    assert_eq!(handle.submit(1, 1, 101).err(), Some(CommitError::TooLarge { bytes: 101, limit: 100 }));
    assert!(handle.submit(1, 1, 100).unwrap().blocking_recv().unwrap().is_ok());
    handle.stop();
}

fn until(condition: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("it never came");
}

#[test]
fn on_a_full_disk_nothing_is_acknowledged_and_it_heals_without_traffic() {
    let disk = SimDisk::new(4);
    let log = embedded(&disk);
    let judge = Once::default();
    let turned_away = Arc::clone(&judge.turned_away);
    let handle = start(&log, judge, Limits::default());
    disk.set_capacity(40 * 1024);
    let mut acked = 0;
    let error = loop {
        match send(&handle, acked) {
            Ok(_) => acked += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, CommitError::Full);
    let metrics = handle.metrics();
    until(|| !metrics.healthy.load(Ordering::Relaxed));
    assert!(matches!(send(&handle, acked), Err(CommitError::Failed(_))), "it is asked no further");
    assert_eq!(*turned_away.lock(), [acked]);
    assert_eq!(log.durable_end(), acked);
    disk.set_capacity(u64::MAX);
    until(|| metrics.healthy.load(Ordering::Relaxed));
    assert!(send(&handle, acked).unwrap().verdict, "it was never stored");
    handle.stop();
    disk.power_loss();
    assert_eq!(open(&disk).unwrap().durable_end(), acked + 1);
}

#[test]
fn after_a_failed_sync_it_goes_on_in_a_fresh_segment() {
    let disk = SimDisk::new(4);
    let log = embedded(&disk);
    let handle = start(&log, Once::default(), Limits::default());
    disk.fail_syncs(2);
    assert!(matches!(send(&handle, 1), Err(CommitError::Failed(_))));
    until(|| handle.metrics().healthy.load(Ordering::Relaxed));
    assert!(send(&handle, 1).unwrap().verdict);
    handle.stop();
    disk.power_loss();
    assert_eq!(open(&disk).unwrap().durable_end(), 1);
}

#[test]
fn a_last_word_is_written_without_traffic_and_at_a_stop() {
    let log: Arc<dyn Log> = Arc::new(MemoryLog::default());
    let judge = Once::default();
    let (words, order) = (Arc::clone(&judge.last_words), Arc::clone(&judge.order));
    let handle = start(&log, judge, Limits::default());
    words.store(2, Ordering::SeqCst);
    until(|| log.durable_end() == 2);
    words.store(1, Ordering::SeqCst);
    handle.stop();
    assert_eq!(log.durable_end(), 3);
    assert_eq!(*order.lock(), [u64::MAX], "the judge is told the end");
}

#[test]
fn append_time_never_falls() {
    let log: Arc<dyn Log> = Arc::new(MemoryLog::default());
    let now = Arc::new(ManualClock::at(10));
    let clock = Arc::clone(&now) as Arc<dyn Clock>;
    let handle = Sequencer::start(log, Once::default(), clock, Limits::default()).unwrap();
    assert_eq!(send(&handle, 1).unwrap().append_time_us, 10);
    now.set(3);
    assert_eq!(send(&handle, 2).unwrap().append_time_us, 10);
    now.set(11);
    assert_eq!(send(&handle, 3).unwrap().append_time_us, 11);
    handle.stop();
}

#[test]
fn a_judge_that_panics_leaves_nobody_waiting() {
    struct Broken;
    impl Judge for Broken {
        type Batch = ();
        type Verdict = ();
        fn judge(&mut self, (): (), _: i64, _: u64) -> Judged<()> {
            panic!("a broken judge, as this test wants it")
        }
        fn committed(&mut self, _: u64) {}
        fn aborted(&mut self) {}
    }
    let log: Arc<dyn Log> = Arc::new(MemoryLog::default());
    let handle = Sequencer::start(log, Broken, Arc::new(ManualClock::at(1)), Limits::default()).unwrap();
    assert!(handle.submit(1, (), 1).unwrap().blocking_recv().is_err());
    until(|| !handle.metrics().healthy.load(Ordering::Relaxed));
    assert_eq!(handle.submit(1, (), 1).err(), Some(CommitError::Stopped));
}
