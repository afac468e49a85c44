use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use footpath_log::dedupe::DedupeConfig;
use footpath_log::{EmbeddedLog, EmbeddedOptions, Entry as LogEntry, Job, SimDisk, pages};
use footpath_model::context::{Environment, environment};
use footpath_model::id::{EventId, actor_key, lane};
use footpath_model::record::FrameView;
use footpath_proto::v1 as pb;
use parking_lot::Mutex;
use prost::Message as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::super::*;
use crate::limits::Limits;
use crate::outcomes::BUSY;
use crate::privacy::MaskPolicy;
use crate::walk::{WalkContext, walk_batch};

const PROJECT: Source<'static> = Source { project: 1, project_id: "shop", environment: Environment::Staging };
const START: i64 = 1_800_000_000_000_000;
const OPTIONS: EmbeddedOptions =
    EmbeddedOptions { segment_bytes: 64 * 1024, new_incarnation: 7, recent_bytes: 8 * 1024 };

/// What makes an event the same as another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Numbered { epoch: u64, lane: u8, number: u64 },
    Id(EventId),
}

/// What the runs came across; a test that never meets a failure proves nothing.
#[derive(Default)]
pub(super) struct Seen {
    aborted: u64,
    survived_in_flight: u64,
    lost_in_flight: u64,
    started_from_snapshot: u64,
    trimmed: u64,
    runs: u64,
    index_full: u64,
    duplicates: u64,
    failed_starts: u64,
}

impl Seen {
    fn all(&self) -> [u64; 9] {
        let Self { aborted, survived_in_flight, lost_in_flight, started_from_snapshot, trimmed, .. } = self;
        let Self { runs, index_full, duplicates, failed_starts, .. } = self;
        [
            *aborted,
            *survived_in_flight,
            *lost_in_flight,
            *started_from_snapshot,
            *trimmed,
            *runs,
            *index_full,
            *duplicates,
            *failed_starts,
        ]
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.aborted += other.aborted;
        self.survived_in_flight += other.survived_in_flight;
        self.lost_in_flight += other.lost_in_flight;
        self.started_from_snapshot += other.started_from_snapshot;
        self.trimmed += other.trimmed;
        self.runs += other.runs;
        self.index_full += other.index_full;
        self.duplicates += other.duplicates;
        self.failed_starts += other.failed_starts;
    }

    pub(super) fn all_happened(&self) {
        assert!(self.all().iter().all(|&count| count > 0), "something was never met: {:?}", self.all());
    }
}

/// One life of the server.
struct Server {
    log: EmbeddedLog,
    judge: DedupeJudge,
}

/// A group that the log did not confirm.
struct InFlight {
    payloads: Vec<Bytes>,
    attempts: u64,
}

/// The machine, its clients, and what must be true.
pub(super) struct World {
    seed: u64,
    random: StdRng,
    disk: SimDisk,
    ids: SimDisk,
    jobs: Arc<Mutex<VecDeque<Job>>>,
    now_us: i64,
    /// Batches that clients may send again, acknowledged or not.
    sent: Vec<Vec<u8>>,
    next_number: u64,
    /// Payloads the log must hold, by offset.
    log: Vec<Bytes>,
    stored: HashSet<Key>,
    /// Outcomes in the log.
    outcomes: u64,
    /// Attempts whose outcome waits for the next group.
    waiting: u64,
    pub(super) seen: Seen,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let disk = SimDisk::new(seed);
        let ids = disk.new_folder();
        Self {
            seed,
            random: StdRng::seed_from_u64(seed),
            disk,
            ids,
            jobs: Arc::default(),
            now_us: START,
            sent: Vec::new(),
            next_number: 1,
            log: Vec::new(),
            stored: HashSet::new(),
            outcomes: 0,
            waiting: 0,
            seen: Seen::default(),
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    fn background(&self) -> Background {
        let jobs = Arc::clone(&self.jobs);
        Arc::new(move |job| jobs.lock().push_back(job))
    }

    fn run_jobs(&mut self, most: usize) {
        for _ in 0..most {
            let job = self.jobs.lock().pop_front();
            job.into_iter().for_each(|job| job());
        }
    }

    fn open(&mut self) -> Result<Server, Box<dyn std::error::Error>> {
        let log = EmbeddedLog::open(Arc::new(self.disk.clone()), OPTIONS)?;
        let mut config = DedupeConfig::new(Arc::new(self.ids.clone()), self.background());
        config.flush_at = 7;
        config.flush_cold_at = 5;
        let dedupe = Dedupe::load(config, log.first()..log.durable_end())?;
        self.seen.started_from_snapshot += u64::from(dedupe.position() > 0);
        self.seen.runs += dedupe.ids().runs() as u64;
        let judge = DedupeJudge::replayed(dedupe, &log, self.background(), RefusedSender::nowhere())?;
        Ok(Server { log, judge })
    }

    /// Opens without a power cut and checks what is there.
    fn start(&mut self) -> Server {
        let seed = self.seed;
        let server = self.open().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(server.log.durable_end(), self.log.len() as u64, "seed {seed}");
        for page in pages(&server.log, server.log.first()..u64::MAX) {
            for record in page.unwrap().records {
                assert_eq!(record.payload, self.log[record.offset as usize], "seed {seed}");
            }
        }
        server
    }

    /// Works until the power goes, then starts again.
    pub(super) fn live_and_lose_power(&mut self) {
        let operations = self.random.random_range(0..250);
        self.disk.cut_power_after(operations);
        let mut in_flight = None;
        match self.open() {
            Ok(mut server) => {
                for _ in 0..self.random.random_range(1..60) {
                    in_flight = self.step(&mut server);
                    if in_flight.is_some() && server.log.recover().is_err() {
                        break;
                    }
                    if in_flight.take().is_some() {
                        self.seen.aborted += 1;
                    }
                }
            }
            Err(_) => self.seen.failed_starts += 1,
        }
        self.disk.power_loss();
        self.jobs.lock().clear();
        self.settle(in_flight);
        // Refusals that no group carried are forgotten with the process.
        self.waiting = 0;
    }

    /// Works without a power cut, then stops cleanly; the next start replays nothing.
    pub(super) fn live_and_stop(&mut self) {
        let mut server = self.start();
        for _ in 0..20 {
            if self.step(&mut server).is_some() {
                server.log.recover().unwrap();
            }
        }
        self.disk.fail_syncs(0);
        if server.judge.wants_group() {
            assert!(self.group(&mut server, Vec::new()).is_none());
        }
        assert_eq!(self.waiting, 0, "seed {}: a stop carries every refusal", self.seed);
        let missing = server.judge.view().missing.of(1);
        self.run_jobs(1000);
        server.judge.stopping();
        server.log.seal().unwrap();
        drop(server);
        let again = self.start();
        let position = again.judge.view().snapshot_position.load(Ordering::Acquire);
        assert_eq!(position, self.log.len() as u64, "seed {}", self.seed);
        assert_eq!(again.judge.view().missing.of(1), missing, "seed {}", self.seed);
    }

    /// Of the group in flight all is there or nothing.
    fn settle(&mut self, in_flight: Option<InFlight>) {
        let log = EmbeddedLog::open(Arc::new(self.disk.clone()), OPTIONS);
        let end = log.unwrap_or_else(|error| panic!("seed {}: {error}", self.seed)).durable_end();
        let Some(InFlight { payloads, attempts }) = in_flight else { return };
        if end > self.log.len() as u64 {
            self.seen.survived_in_flight += 1;
            self.store(payloads, attempts);
        } else {
            self.seen.lost_in_flight += 1;
        }
    }

    /// The group is in the log: nothing of it was there before, and its outcomes are those of its attempts.
    fn store(&mut self, payloads: Vec<Bytes>, attempts: u64) {
        let before = self.outcomes;
        for payload in &payloads {
            let frame = FrameView::new(payload).unwrap();
            self.outcomes += frame.outcomes().iter().map(|one| u64::from(one.count)).sum::<u64>();
            if frame.count > 0 {
                assert_eq!(environment(frame.context), PROJECT.environment.name(), "seed {}", self.seed);
            }
            for event in frame.events() {
                let head = event.head();
                let key = match head.number {
                    0 => Key::Id(head.id),
                    number => Key::Numbered { epoch: frame.head.producer.epoch, lane: head.lane, number },
                };
                assert!(self.stored.insert(key), "seed {}: {key:?} is stored twice", self.seed);
            }
        }
        assert_eq!(self.outcomes - before, attempts, "seed {}: received = the sum of outcomes", self.seed);
        self.log.extend(payloads);
    }

    /// One thing that happens. `Some` when the log did not take a group.
    fn step(&mut self, server: &mut Server) -> Option<InFlight> {
        self.now_us += self.random.random_range(0..30_000_000);
        match self.random.random_range(0..20) {
            // Some machines are too slow for their ids.
            0..3 => self.run_jobs(if self.seed.is_multiple_of(5) { 0 } else { 3 }),
            3 => {
                let batch = self.batch();
                self.waiting += u64::from(batch.events());
                server.judge.turned_away(Submission::Batch(Box::new(batch)));
            }
            4 => {
                self.waiting += 5;
                server.judge.view().pending.add(1, Outcome::Throttled, BUSY, 5);
            }
            5 => {
                let below = server.judge.view().snapshot_position.load(Ordering::Acquire);
                server.log.trim(below).ok();
                self.seen.trimmed += server.log.first();
            }
            6 if self.seed.is_multiple_of(7) => {
                self.disk.fail_syncs(1);
                // It hits a run or a snapshot, or else the next group.
                let jobs = self.random.random_range(0..3);
                self.run_jobs(jobs);
            }
            _ => {
                let batches = (0..self.random.random_range(1..4)).map(|_| self.batch()).collect();
                return self.group(server, batches);
            }
        }
        None
    }

    /// What the sequencer does with a group.
    fn group(&mut self, server: &mut Server, batches: Vec<Batch>) -> Option<InFlight> {
        let mut fresh = HashSet::new();
        let (mut payloads, mut attempts) = (Vec::new(), self.waiting);
        for batch in batches {
            attempts += u64::from(batch.events());
            let expected = self.expect(&batch, &mut fresh);
            let offset = server.log.durable_end() + payloads.len() as u64;
            let judged = server.judge.judge(Submission::Batch(Box::new(batch)), self.now_us, offset);
            self.check(&judged.verdict, expected);
            payloads.extend(judged.payloads);
        }
        payloads.extend(server.judge.close_group(self.now_us));
        let entry = |payload: &Bytes| LogEntry { append_time_us: self.now_us, payload: payload.clone() };
        let entries: Vec<_> = payloads.iter().map(entry).collect();
        if server.log.append_group(&entries).is_err() {
            server.judge.aborted();
            self.waiting = attempts;
            return Some(InFlight { payloads, attempts });
        }
        self.store(payloads, attempts);
        self.waiting = 0;
        server.judge.committed(server.log.durable_end());
        None
    }

    /// How many events of a batch are fresh and how many are duplicates, by the model.
    fn expect(&self, batch: &Batch, group: &mut HashSet<Key>) -> (u32, u32) {
        let (mut fresh, mut duplicates) = (0, 0);
        for entry in &batch.walked.entries {
            let key = match entry.key.number {
                0 => Key::Id(entry.key.id),
                number => Key::Numbered { epoch: batch.walked.producer.epoch, lane: entry.key.lane, number },
            };
            if self.stored.contains(&key) || !group.insert(key) {
                duplicates += 1;
            } else {
                fresh += 1;
            }
        }
        (fresh, duplicates)
    }

    fn check(&mut self, verdict: &Judgement, (fresh, duplicates): (u32, u32)) {
        let not_now = verdict.refused.iter().filter(|event| event.retryable).count() as u32;
        if not_now == 0 {
            let found = (verdict.stored, verdict.duplicates);
            assert_eq!(found, (fresh, duplicates), "seed {}", self.seed);
        }
        // A copy of an event that was refused for now is refused as well, so more may be refused than are fresh.
        let judged = verdict.stored + verdict.duplicates + not_now;
        assert_eq!(judged, fresh + duplicates, "seed {}", self.seed);
        assert!(verdict.stored <= fresh, "seed {}", self.seed);
        self.seen.index_full += u64::from(not_now);
        self.seen.duplicates += u64::from(duplicates);
    }

    /// At the end, everything that was ever stored is known.
    pub(super) fn probe(&mut self) {
        let mut server = self.start();
        let all: Vec<Vec<u8>> = std::mem::take(&mut self.sent);
        for bytes in all {
            self.run_jobs(10);
            let batch = self.walked(bytes);
            assert!(self.group(&mut server, vec![batch]).is_none(), "seed {}", self.seed);
        }
    }

    /// A new batch, or one that was sent before.
    fn batch(&mut self) -> Batch {
        if !self.sent.is_empty() && self.chance(30) {
            let again = self.random.random_range(0..self.sent.len());
            let bytes = self.sent[again].clone();
            return self.walked(bytes);
        }
        let bytes = self.new_batch().encode_to_vec();
        self.sent.push(bytes.clone());
        self.walked(bytes)
    }

    fn new_batch(&mut self) -> pb::IngestRequest {
        let events = (0..self.random.random_range(0..6)).map(|_| self.event()).collect();
        // Two phones restored from one backup: the same install, an epoch each, the same numbers.
        let epoch = self.random.random_range(1..3);
        let install_id = EventId([9; 16]).to_string();
        let lost = self.chance(10);
        let losses = lost.then(|| self.loss()).into_iter().collect();
        pb::IngestRequest {
            batch_id: format!("batch-{}", self.random.random_range(0..40)),
            producer: Some(pb::Producer { install_id, epoch }),
            events,
            losses,
            ..Default::default()
        }
    }

    fn loss(&mut self) -> pb::LossRange {
        let from = self.random.random_range(1..self.next_number + 5);
        let lane = u32::from(lane(actor_key(PROJECT.project_id, b"a")));
        pb::LossRange { delivery_class: 2, lane, from, to: from + 2, reason: "full".into() }
    }

    fn event(&mut self) -> pb::Event {
        let actor = ["a", "b", "c"][self.random.random_range(0..3)];
        let mut event = pb::Event { name: "open".into(), anonymous_id: actor.into(), ..pb::Event::default() };
        match self.random.random_range(0..10) {
            0 => event.name.clear(),
            1..5 => {
                // Lanes overtake: mostly the next numbers, some left out, some earlier ones.
                self.next_number += u64::from(self.chance(60));
                let back = self.random.random_range(0..6);
                event.number = self.next_number.saturating_sub(back).max(1);
                event.delivery_class = 2;
                event.lane = Some(u32::from(lane(actor_key(PROJECT.project_id, actor.as_bytes()))));
            }
            5 => {} // Its id is derived from the batch's.
            _ => {
                let mut random = [0; 10];
                random[0] = self.random.random_range(0..200);
                random[9] = 1;
                let hour = self.random.random_range(-3..2) * 3_600_000_000;
                let v4 = self.chance(50);
                let mut id = EventId::v7(START + hour, random);
                if v4 {
                    id.0[6] = 0x40;
                }
                event.raw_id = id.0.to_vec();
            }
        }
        event
    }

    fn walked(&self, bytes: Vec<u8>) -> Batch {
        let limits = Limits::default();
        let context = WalkContext {
            project_id: PROJECT.project_id,
            environment: PROJECT.environment,
            received_us: self.now_us,
            limits: &limits,
            mask: MaskPolicy::default(),
            clocks: None,
        };
        let walked = walk_batch(&bytes, &context, &mut || EventId([1; 16])).unwrap();
        let controls = crate::commit::controls(PROJECT.project, &walked, self.now_us).unwrap();
        Batch::new(PROJECT, self.now_us, walked, controls, bytes.into())
    }
}
