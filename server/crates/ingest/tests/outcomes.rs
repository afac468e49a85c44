//! Many clients at once through the real sequencer, with a queue that is too small and syncs that fail: every delivery
//! attempt has one outcome in the log, and no event is stored twice.
#![allow(clippy::unwrap_used)] // A test that cannot be set up should stop here.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use footpath_ingest::limits::Limits as BatchLimits;
use footpath_ingest::{
    Accepted, DedupeJudge, Ingest, IngestError, RefusedEvents, RefusedRecord, RefusedSender, Source,
};
use footpath_log::dedupe::{Dedupe, DedupeConfig};
use footpath_log::{EmbeddedLog, EmbeddedOptions, Limits, Log, Sequencer, SimDisk, background_thread, pages};
use footpath_model::clock::{Clock, ManualClock};
use footpath_model::context::Environment;
use footpath_model::id::{EventId, actor_key, lane};
use footpath_model::record::{FrameView, Outcome};
use footpath_proto::v1 as pb;
use proptest::prelude::*;
use prost::Message as _;

const PROJECT: Source<'static> = Source { project: 1, project_id: "shop", environment: Environment::Prod };

/// A microsecond later each time it is asked.
struct Ticks(AtomicI64);

impl Clock for Ticks {
    fn now_us(&self) -> i64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

struct Machine {
    disk: SimDisk,
    ids: SimDisk,
}

impl Machine {
    fn new(seed: u64) -> Self {
        let disk = SimDisk::new(seed);
        Self { ids: disk.new_folder(), disk }
    }

    fn start(&self, limits: Limits, refused: RefusedSender) -> (Ingest, Arc<EmbeddedLog>) {
        let options =
            EmbeddedOptions { segment_bytes: 64 * 1024, new_incarnation: 7, recent_bytes: 8 * 1024 };
        let log = Arc::new(EmbeddedLog::open(Arc::new(self.disk.clone()), options).unwrap());
        let background = background_thread("dedupe").unwrap();
        let config = DedupeConfig::new(Arc::new(self.ids.clone()), Arc::clone(&background));
        let dedupe = Dedupe::load(config, log.first()..log.durable_end()).unwrap();
        let judge = DedupeJudge::replayed(dedupe, log.as_ref(), background, refused).unwrap();
        let view = judge.view();
        let clock = Arc::new(Ticks(AtomicI64::new(1_800_000_000_000_000)));
        let sequencer = Sequencer::start(Arc::clone(&log) as Arc<dyn Log>, judge, clock, limits).unwrap();
        let random = AtomicU64::new(1);
        let random = Arc::new(move || {
            let mut ten = [0; 10];
            ten[..8].copy_from_slice(&random.fetch_add(1, Ordering::Relaxed).to_be_bytes());
            ten
        });
        let clock = Arc::new(ManualClock::at(1_800_000_000_000_000));
        (Ingest::new(sequencer, view, clock, BatchLimits::default(), random), log)
    }
}

/// Outcomes in the log, and the keys that are stored; fails if one is stored twice.
fn read(log: &EmbeddedLog) -> (BTreeMap<Outcome, u64>, usize) {
    let (mut outcomes, mut keys) = (BTreeMap::new(), HashSet::new());
    for page in pages(log, log.first()..u64::MAX) {
        for record in page.unwrap().records {
            let frame = FrameView::new(&record.payload).unwrap();
            for one in frame.outcomes() {
                *outcomes.entry(one.outcome).or_default() += u64::from(one.count);
            }
            for event in frame.events().map(|event| event.head()) {
                let numbered = (frame.head.producer.epoch, event.lane, event.number);
                let key = if event.number > 0 { (numbered, None) } else { ((0, 0, 0), Some(event.id)) };
                assert!(keys.insert(key), "{key:?} is stored twice");
            }
        }
    }
    (outcomes, keys.len())
}

/// A batch of phone `epoch` (restored from one backup, all have one install): numbers from `from` on, one bad event, one
/// with an id only.
fn batch(epoch: u64, from: u64, count: u64) -> Bytes {
    let mut events: Vec<pb::Event> = (from..from + count)
        .map(|number| {
            let actor = ["a", "b"][number as usize % 2];
            pb::Event {
                name: "open".into(),
                user_id: actor.into(),
                lane: Some(u32::from(lane(actor_key("shop", actor.as_bytes())))),
                number,
                delivery_class: 2,
                ..Default::default()
            }
        })
        .collect();
    events.push(pb::Event { user_id: "a".into(), ..Default::default() });
    events.push(pb::Event { name: "by id".into(), user_id: "a".into(), ..Default::default() });
    let producer = pb::Producer { install_id: EventId([9; 16]).to_string(), epoch };
    let batch_id = format!("{epoch}-{from}-{count}");
    pb::IngestRequest { batch_id, producer: Some(producer), events, ..Default::default() }
        .encode_to_vec()
        .into()
}

#[derive(Default)]
struct Tally {
    received: AtomicU64,
    stored: AtomicU64,
    duplicate: AtomicU64,
    invalid: AtomicU64,
    throttled: AtomicU64,
    /// Attempts whose sender went away: they have an outcome, but nobody heard it.
    unheard: AtomicU64,
}

impl Tally {
    /// Notes an answer; says whether the batch was taken.
    fn note(&self, answer: Result<Accepted, IngestError>, events: u64) -> bool {
        match answer {
            Ok(accepted) => {
                let refused = accepted.refused.len() as u64;
                assert_eq!(u64::from(accepted.stored + accepted.duplicates) + refused, events);
                self.stored.fetch_add(u64::from(accepted.stored), Ordering::SeqCst);
                self.duplicate.fetch_add(u64::from(accepted.duplicates), Ordering::SeqCst);
                self.invalid.fetch_add(refused, Ordering::SeqCst);
                true
            }
            Err(IngestError::Batch(error)) => panic!("{error}"),
            Err(_) => {
                self.throttled.fetch_add(events, Ordering::SeqCst);
                false
            }
        }
    }
}

/// Sends until the batch is taken, as clients do; some senders hang up instead and send again.
async fn client(ingest: Ingest, tally: Arc<Tally>, batches: Vec<(Bytes, u64, bool)>) {
    for (bytes, events, hangs_up) in batches {
        if hangs_up {
            tally.received.fetch_add(events, Ordering::SeqCst);
            match tokio::time::timeout(Duration::ZERO, ingest.accept(PROJECT, bytes.clone())).await {
                Ok(answer) => {
                    tally.note(answer, events);
                }
                Err(_) => {
                    tally.unheard.fetch_add(events, Ordering::SeqCst);
                }
            }
        }
        loop {
            tally.received.fetch_add(events, Ordering::SeqCst);
            if tally.note(ingest.accept(PROJECT, bytes.clone()).await, events) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

type Plan = Vec<Vec<(u64, u64, u64, bool)>>;

fn plan() -> impl Strategy<Value = Plan> {
    // A small space: the same batches, and overlapping ones, from several clients at once.
    let one = (1..3_u64, 1..30_u64, 1..6_u64, prop::bool::weighted(0.2));
    prop::collection::vec(prop::collection::vec(one, 1..8), 2..6)
}

async fn send_all(ingest: &Ingest, plan: &Plan, tally: &Arc<Tally>) {
    let clients = plan.iter().map(|batches| {
        let batches = batches
            .iter()
            .map(|&(epoch, from, count, hangs_up)| (batch(epoch, from, count), count + 2, hangs_up));
        tokio::spawn(client(ingest.clone(), Arc::clone(tally), batches.collect()))
    });
    let clients: Vec<_> = clients.collect();
    for client in clients {
        client.await.unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn received_is_the_sum_of_outcomes_and_nothing_is_stored_twice(plan in plan(), seed: u64, failing in 0..6_u32) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_time().build().unwrap();
        let machine = Machine::new(seed);
        let tally = Arc::new(Tally::default());
        let tiny = Limits { queue_bytes: 3_000, project_queue_bytes: 3_000, group_bytes: 1_500, ..Limits::default() };
        let mut stored_before = 0;
        for life in 0..2 {
            let (ingest, log) = machine.start(tiny, RefusedSender::nowhere());
            machine.disk.fail_syncs(if life == 0 { failing } else { 0 });
            runtime.block_on(send_all(&ingest, &plan, &tally));
            machine.disk.fail_syncs(0);
            ingest.stop();
            let (outcomes, stored) = read(&log);
            let heard = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
            prop_assert_eq!(outcomes.values().sum::<u64>(), heard(&tally.received));
            prop_assert_eq!(outcomes.get(&Outcome::Stored).copied().unwrap_or(0), stored as u64);
            let at_least = [
                (Outcome::Stored, &tally.stored),
                (Outcome::Duplicate, &tally.duplicate),
                (Outcome::Invalid, &tally.invalid),
                (Outcome::Throttled, &tally.throttled),
            ];
            let mut told = 0;
            for (outcome, counter) in at_least {
                told += heard(counter);
                prop_assert!(outcomes.get(&outcome).copied().unwrap_or(0) >= heard(counter), "{:?}", outcome);
            }
            prop_assert_eq!(told + heard(&tally.unheard), heard(&tally.received));
            if life == 1 {
                prop_assert_eq!(stored, stored_before, "a restart stores nothing again");
            }
            stored_before = stored;
        }
    }
}

#[tokio::test]
async fn a_batch_that_is_no_batch_counts_as_one_and_can_be_read() {
    let machine = Machine::new(1);
    let kept: Arc<parking_lot::Mutex<Vec<RefusedRecord>>> = Arc::default();
    let keep = Arc::clone(&kept);
    let refused = RefusedEvents::start(move |project, records| {
        assert_eq!(project, "shop");
        keep.lock().extend(records.iter().map(|json| serde_json::from_slice::<RefusedRecord>(json).unwrap()));
        true
    })
    .unwrap();
    let (ingest, log) = machine.start(Limits::default(), refused.sender());
    assert!(ingest.accept(PROJECT, Bytes::from_static(b"\xff\xff")).await.is_err());
    let many: Vec<_> =
        (0..1_500).map(|_| pb::Event { user_id: "private".into(), ..Default::default() }).collect();
    let request = pb::IngestRequest { batch_id: "private".into(), events: many, ..Default::default() };
    assert_eq!(ingest.accept(PROJECT, request.encode_to_vec().into()).await.unwrap().refused.len(), 1_500);
    ingest.stop();
    drop(refused);
    let (outcomes, stored) = read(&log);
    assert_eq!((outcomes, stored), (BTreeMap::from([(Outcome::Invalid, 1_501)]), 0));
    let kept = kept.lock();
    assert_eq!(kept.len(), 1_001, "the batch, and as many of its events as are kept of one");
    assert_eq!((kept[0].reason.as_str(), kept[0].payload.len()), ("batch_malformed", 0));
    assert_eq!((kept[1].index, kept[1_000].index), (500, 1_499), "the last ones");
    assert_eq!(kept[1_000].reason, "name_missing");
    assert!(!format!("{kept:?}").contains("private"));
}

#[tokio::test]
async fn losses_and_privacy_requests_are_stored_with_their_batch_and_known_after_a_restart() {
    let machine = Machine::new(1);
    let (ingest, log) = machine.start(Limits::default(), RefusedSender::nowhere());
    ingest.accept(PROJECT, batch(1, 11, 4)).await.unwrap();
    let before = ingest.missing(1);
    assert_eq!(before, 10 + 11 + 1 + 1, "two lanes, each with the numbers of the other");
    let lost = pb::LossRange {
        delivery_class: 2,
        lane: u32::from(lane(actor_key("shop", b"a"))),
        from: 1,
        to: 11,
        reason: "evicted".into(),
    };
    let request = pb::IngestRequest {
        producer: Some(pb::Producer { install_id: EventId([9; 16]).to_string(), epoch: 1 }),
        losses: vec![lost],
        privacy_requests: vec![pb::PrivacyRequest {
            id: EventId([5; 16]).to_string(),
            kind: 1,
            actor: "a".into(),
        }],
        ..Default::default()
    };
    let end = log.durable_end();
    let accepted = ingest.accept(PROJECT, request.encode_to_vec().into()).await.unwrap();
    assert_eq!((accepted.privacy_requests, log.durable_end()), (1, end + 2));
    let explained = before - ingest.missing(1);
    assert_eq!(explained, 11);
    let left = ingest.missing(1);
    // Without a stop: the log is replayed.
    let (again, _) = Machine { disk: machine.disk.clone(), ids: machine.ids.new_folder() }
        .start(Limits::default(), RefusedSender::nowhere());
    assert_eq!(again.missing(1), left);
    assert_eq!(again.missing(2), 0);
}
