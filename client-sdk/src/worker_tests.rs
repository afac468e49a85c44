//! The worker without its thread, step by step.

use footpath_proto::v1::Context;

use super::*;
use crate::answer::Answer;
use crate::backoff::Backoff;
use crate::clock::{ManualClock, SeededRandom};
use crate::delivery::Settings;
use crate::intake::{Call, Class};
use crate::memory::MemoryServer;
use crate::track::Track;
use crate::transport::Transport as _;

const SECOND: Duration = Duration::from_secs(1);

struct Bench {
    worker: Worker,
    intake: Arc<Intake>,
    clock: Arc<ManualClock>,
    server: MemoryServer,
    out: Option<Answer<Option<Outgoing>>>,
}

impl Bench {
    fn new() -> Self {
        Self::of(true, Sealer::new(None))
    }

    fn of(backend: bool, sealer: Sealer) -> Self {
        let clock = Arc::new(ManualClock::at(1_000_000));
        let random = Arc::new(SeededRandom::new(5));
        let settings = Settings {
            project: "demo".into(),
            max_events: 8,
            max_bytes: 1 << 20,
            interval: SECOND * 5,
            historical: false,
            context: Context::default(),
            saving_bytes_per_hour: 1,
        };
        let (_, commands) = std::sync::mpsc::channel();
        let intake = Arc::new(Intake::new(clock.clone(), random.clone(), backend));
        let setup = Setup {
            project: "demo".into(),
            shared: Shared::default(),
            place: Place::Memory,
            ring_bytes: 1 << 20,
            sealer,
            limits: Limits::default(),
            backend,
            first_consent: Consent::Granted,
            clock: clock.clone(),
            random,
            on_problem: None,
        };
        let delivery = Delivery::new(settings, Backoff::new(SECOND, SECOND), clock.continuous());
        let worker = Worker::new(setup, intake.clone(), delivery, commands, Arc::default(), "key");
        Self { worker, intake, clock, server: MemoryServer::new(), out: None }
    }

    /// Tracks `count` events that do not fit into what is left of a full disk's pages.
    fn track(&mut self, count: usize) {
        for _ in 0..count {
            let mut frame = Vec::new();
            Track::new("e").user("u").property("filler", "x".repeat(20_000)).put(&mut frame);
            let taken = self.intake.take(Call::Event { class: Class::Normal, frame: frame.into() }).unwrap();
            if taken.wake {
                self.worker.obey(Command::Wake);
            }
        }
    }

    /// One round of the thread, and the answer to what it sent.
    fn turn(&mut self) {
        if self.worker.taker.is_none() {
            let (giver, answer) = answer::pair();
            self.worker.obey(Command::Take(giver));
            self.out = Some(answer);
        }
        self.worker.work();
        if let Some(batch) = self.taken() {
            let outcome = self.server.send(&batch);
            self.worker.obey(Command::Report(batch.id, Box::new(outcome)));
        }
        self.worker.tell_waiters();
    }

    /// The batch that was handed out.
    fn taken(&self) -> Option<Outgoing> {
        self.out.as_ref().and_then(Answer::there).flatten()
    }

    fn sizes(&self) -> Vec<usize> {
        self.server.batches().iter().map(|batch| batch.events.len()).collect()
    }

    fn set_full(&mut self, full: bool) {
        self.worker.storage.as_ref().unwrap().queue.set_full(full);
    }
}

#[test]
fn a_flush_while_the_disk_is_full_forces_its_events_and_none_after_them() {
    let mut bench = Bench::new();
    bench.turn(); // What an earlier run left is due at once: nothing.
    let (reply, flushed) = answer::pair();
    bench.set_full(true);
    bench.track(2);
    let deadline = bench.clock.continuous() + SECOND * 60;
    bench.worker.obey(Command::Flush { deadline, reply });
    bench.turn();
    assert!(bench.sizes().is_empty() && flushed.there().is_none());
    assert_eq!(bench.worker.pending(), 2);

    bench.set_full(false);
    bench.clock.advance(SECOND * 3);
    bench.turn();
    assert_eq!(bench.sizes(), [2], "forced as soon as it was committed");
    assert!(flushed.there().unwrap().complete);

    for _ in 0..2 {
        bench.track(1);
        bench.clock.advance(GATHER);
        bench.turn();
    }
    assert_eq!(bench.sizes(), [2], "later events gather again");
    bench.clock.advance(SECOND * 6);
    bench.turn();
    assert_eq!(bench.sizes(), [2, 2]);
}

#[test]
fn idle_means_no_timers() {
    let mut bench = Bench::new();
    bench.turn();
    assert_eq!(bench.worker.sleep(), MAX_SLEEP);
    bench.track(1);
    assert_eq!(bench.worker.sleep(), GATHER);
    bench.clock.advance(GATHER);
    bench.turn();
    assert_eq!(bench.worker.sleep(), SECOND * 5, "the batch is due");
    bench.clock.advance(SECOND * 5);
    bench.turn();
    bench.turn();
    assert_eq!(bench.sizes(), [1]);
    assert_eq!(bench.worker.sleep(), MAX_SLEEP);
}

#[test]
fn what_is_not_sent_is_synced_after_a_while() {
    let mut bench = Bench::new();
    bench.turn();
    bench.worker.delivery.hold();
    bench.track(1);
    bench.clock.advance(GATHER);
    bench.turn();
    let at_risk = |bench: &Bench| bench.worker.storage.as_ref().unwrap().queue.is_at_risk();
    assert!(at_risk(&bench));
    assert_eq!(bench.worker.sleep(), SYNC);
    bench.clock.advance(SYNC);
    bench.turn();
    assert!(!at_risk(&bench));
    assert_eq!(bench.worker.sleep(), MAX_SLEEP);
}

#[test]
fn a_batch_that_nobody_reports_goes_out_again() {
    let mut bench = Bench::new();
    bench.turn();
    bench.track(1);
    bench.clock.advance(SECOND * 6);
    bench.worker.work();
    bench.clock.advance(SECOND * 6);
    bench.worker.work();
    let first = bench.taken().unwrap();
    bench.clock.advance(LOST_REPORT + SECOND);
    bench.turn();
    let batches = bench.server.batches();
    assert_eq!((batches.len(), &batches[0].batch_id), (1, &first.id));
    assert_eq!(bench.worker.pending(), 0);
}

#[test]
fn who_does_not_wait_any_more_is_forgotten() {
    let mut bench = Bench::new();
    bench.turn();
    bench.out = None; // The batch that was asked for will have nobody.
    let deadline = bench.clock.continuous() + SECOND * 60;
    let ((flush, flushed), (receipt, received)) = (answer::pair(), answer::pair());
    bench.worker.obey(Command::Flush { deadline, reply: flush });
    bench.worker.obey(Command::Receipt { id: [1; 16], final_only: true, deadline, reply: receipt });
    drop((flushed, received));
    bench.track(1);
    bench.clock.advance(SECOND * 6);
    bench.worker.work();
    assert!(bench.worker.waiters.deadline().is_none());
    assert!(bench.worker.taker.is_none() && bench.worker.delivery.out_since().is_none());
    bench.turn();
    assert_eq!(bench.sizes(), [1]);
}

#[test]
fn an_opening_that_fails_half_way_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new();
    bench.worker.setup.place = Place::Folder(folder.path().to_owned());
    bench.track(3);
    // A folder where a file has to be: the database opens, the rest does not.
    let life = folder.path().join("demo/main/life");
    std::fs::create_dir_all(&life).unwrap();
    bench.worker.work();
    assert_eq!((bench.worker.stats.lock().commit_failures, bench.intake.counts().early), (1, 3));
    std::fs::remove_dir(&life).unwrap();
    bench.clock.advance(SECOND * 2);
    bench.worker.work();
    assert_eq!((bench.intake.counts().early, bench.worker.stats.lock().committed), (0, 3));
}

#[test]
fn a_person_who_withdraws_on_a_locked_device_is_forgotten_once_it_is_unlocked() {
    let keys = Arc::new(crate::seal::MemoryKeys::new());
    let mut bench = Bench::of(false, Sealer::new(Some(keys.clone())));
    bench.worker.work();
    bench.track(1);
    bench.worker.obey(Command::Absorb);
    bench.worker.work();
    assert_eq!(bench.worker.pending(), 1);
    let told = bench.intake.take(Call::Consent(Consent::Denied)).unwrap().consent.unwrap();
    keys.lock(true);
    bench.worker.obey(Command::Consent(told.0, told.1.clone()));
    keys.lock(false);
    bench.clock.advance(SECOND * 60);
    bench.worker.work();
    assert_eq!(bench.worker.pending(), 0);
    assert_eq!(crate::seal::KeyProvider::find(&*keys, &told.1.unwrap()), Ok(None));
}

#[test]
fn a_withdrawal_that_nobody_was_told_of_counts() {
    let mut bench = Bench::of(false, Sealer::new(None));
    bench.worker.work();
    bench.track(1);
    // The ring outlives the process; what the thread is told does not.
    bench.intake.take(Call::Consent(Consent::Denied)).unwrap();
    bench.worker.obey(Command::Absorb);
    bench.worker.work();
    assert_eq!(bench.worker.pending(), 0);
}

#[test]
fn a_withdrawal_outlives_a_kill_before_the_thread_has_seen_it() {
    let folder = tempfile::tempdir().unwrap();
    let begin = || {
        let mut bench = Bench::of(false, Sealer::new(None));
        bench.worker.setup.place = Place::Folder(folder.path().to_owned());
        bench.worker.work();
        bench
    };
    let mut bench = begin();
    bench.track(1);
    bench.worker.obey(Command::Absorb);
    bench.worker.work();
    let denied = bench.intake.take(Call::Consent(Consent::Denied)).unwrap();
    assert!(denied.consent.is_some());
    drop(bench); // Killed.
    let bench = begin();
    assert_eq!(bench.worker.pending(), 0, "what was tracked is destroyed");
    let mut frame = Vec::new();
    Track::new("e").user("u").put(&mut frame);
    let taken = bench.intake.take(Call::Event { class: Class::Normal, frame: frame.into() });
    assert!(taken.is_err(), "nothing more is taken");
}

#[test]
fn a_withdrawal_on_a_full_disk_with_a_full_ring_outlives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let begin = || {
        let mut bench = Bench::of(false, Sealer::new(None));
        bench.worker.setup.place = Place::Folder(folder.path().to_owned());
        bench.worker.setup.ring_bytes = 128 << 10;
        bench.worker.work();
        bench
    };
    let mut bench = begin();
    bench.set_full(true);
    let filler = Track::new("e").property("filler", "x".repeat(9_000)).encode();
    let call = || Call::Event { class: Class::Critical, frame: filler.clone().into() };
    while bench.intake.take(call()).is_ok() {}
    // A profile needs some hundred bytes.
    let small = || Call::Event { class: Class::Critical, frame: Track::new("e").encode().into() };
    while bench.intake.take(small()).is_ok() {}
    let denied = bench.intake.take(Call::Consent(Consent::Denied)).unwrap().consent.unwrap();
    bench.worker.obey(Command::Consent(denied.0, denied.1));
    drop(bench); // Killed.
    let mut bench = begin();
    assert_eq!(bench.intake.who().map(|who| who.consent), Some(Consent::Denied));
    bench.clock.advance(SECOND * 60);
    bench.worker.work();
    assert_eq!(bench.worker.pending(), 0, "what was tracked is destroyed");
}

#[test]
fn a_full_disk_is_told_each_time_it_comes() {
    let mut bench = Bench::new();
    let (tell, told) = std::sync::mpsc::channel();
    bench.worker.setup.on_problem = Some(Box::new(move |problem| tell.send(problem.clone()).unwrap()));
    bench.worker.work();
    for _ in 0..2 {
        bench.set_full(true);
        bench.track(2);
        bench.worker.obey(Command::Absorb);
        for _ in 0..3 {
            bench.clock.advance(SECOND * 60);
            bench.worker.work();
        }
        assert!(matches!(told.try_iter().collect::<Vec<_>>()[..], [Problem::Storage(_)]));
        bench.set_full(false);
        bench.clock.advance(SECOND * 60);
        bench.worker.work();
    }
}

#[test]
fn a_server_that_nothing_reaches_for_a_minute_is_told_of() {
    let mut bench = Bench::new();
    let (tell, told) = std::sync::mpsc::channel();
    bench.worker.setup.on_problem = Some(Box::new(move |problem| tell.send(problem.clone()).unwrap()));
    bench.server.on_batch(|_| crate::memory::Step::Fail(Outcome::retry("no route")));
    bench.turn();
    bench.track(1);
    let mut seen = Vec::new();
    for second in 0..130 {
        bench.worker.obey(Command::Absorb);
        bench.turn();
        bench.clock.advance(SECOND);
        seen.extend(told.try_iter().map(|problem| (second, problem)));
    }
    assert!(matches!(&seen[..], [(60..70, Problem::Unreachable(why))] if why == "no route"), "{seen:?}");
    assert_eq!(bench.worker.stats.lock().last_error.as_deref(), Some("no route"));
    bench.server.on_batch(|_| crate::memory::Step::Answer);
    for _ in 0..10 {
        bench.turn();
        bench.clock.advance(SECOND);
    }
    assert_eq!(bench.worker.stats.lock().last_error, None, "it is over");
}

impl Bench {
    fn in_folder(folder: &std::path::Path, backend: bool) -> Self {
        let mut bench = Self::of(backend, Sealer::new(None));
        bench.worker.setup.place = Place::Folder(folder.to_owned());
        bench.worker.setup.ring_bytes = 128 << 10;
        bench
    }

    fn consent(&mut self, consent: Consent) {
        let taken = self.intake.take(Call::Consent(consent)).unwrap();
        let (consent, key) = taken.consent.unwrap();
        self.worker.obey(Command::Consent(consent, key));
        if taken.wake {
            self.worker.obey(Command::Wake);
        }
    }

    /// Tracks a critical event, which the thread is not told of.
    fn pay(&self) -> bool {
        let frame = Track::new("paid").user("u").property("filler", "x".repeat(900)).encode();
        self.intake.take(Call::Event { class: Class::Critical, frame: frame.into() }).is_ok()
    }
}

#[test]
fn what_comes_after_a_withdrawal_and_a_new_consent_is_moved_by_itself() {
    let mut bench = Bench::of(false, Sealer::new(None));
    bench.worker.work();
    bench.worker.work();
    bench.track(1);
    bench.consent(Consent::Denied);
    bench.consent(Consent::Granted);
    bench.worker.work();
    let before = bench.worker.stats.lock().committed;
    bench.track(1);
    bench.clock.advance(GATHER);
    bench.worker.work();
    assert_eq!(bench.worker.stats.lock().committed, before + 1);
}

#[test]
fn a_ring_that_could_not_be_emptied_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut main = Bench::in_folder(folder.path(), true);
    main.worker.work();
    let keys = Arc::new(crate::seal::MemoryKeys::new());
    let mut other = Bench::of(true, Sealer::new(Some(keys.clone())));
    other.worker.setup.place = Place::Folder(folder.path().to_owned());
    other.worker.work();
    assert!(other.pay());
    keys.lock(true);
    let ring = other.worker.storage.as_ref().unwrap().folder.as_ref().unwrap().ring();
    let (reply, ended) = answer::pair();
    other.worker.shutdown(reply);
    assert!(ended.wait().unwrap().is_err() && ring.exists());
}

#[test]
fn a_database_that_breaks_while_it_is_opened_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::in_folder(folder.path(), true);
    bench.worker.work();
    assert!(bench.pay());
    bench.worker.obey(Command::Absorb);
    bench.worker.work();
    assert!(bench.pay());
    drop(bench); // Killed, with one in the ring.
    let path = folder.path().join("demo/main/queue.sqlite");
    let db = rusqlite::Connection::open(&path).unwrap();
    let root = "SELECT rootpage FROM sqlite_master WHERE name = 'receipts'";
    let page: usize = db.query_row(root, [], |row| row.get::<_, i64>(0)).unwrap() as usize;
    db.close().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[(page - 1) * 4096..page * 4096].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let mut bench = Bench::in_folder(folder.path(), true);
    for _ in 0..3 {
        bench.worker.work();
        bench.clock.advance(SECOND * 2);
    }
    assert!(bench.worker.storage.is_some(), "{:?}", bench.worker.stats.lock());
    assert_eq!(bench.worker.pending(), 2);
}

#[test]
fn what_a_deleted_folder_held_waits_for_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::in_folder(folder.path(), false);
    bench.worker.work();
    bench.track(1);
    bench.worker.obey(Command::Absorb);
    bench.worker.work();
    bench.track(1);
    let install = bench.worker.storage.as_ref().unwrap().queue.install().to_owned();
    let who = bench.intake.who();
    // In its place there is something that is no folder.
    let base = folder.path().join("demo");
    std::fs::remove_dir_all(&base).unwrap();
    std::fs::write(&base, "").unwrap();
    bench.worker.obey(Command::Absorb);
    for _ in 0..5 {
        bench.worker.work();
        bench.clock.advance(SECOND * 60);
    }
    assert!(bench.worker.storage.is_none());
    std::fs::remove_file(&base).unwrap();
    bench.worker.work();
    assert_eq!((bench.worker.pending(), bench.intake.who()), (2, who.clone()));
    assert_eq!(bench.worker.storage.as_ref().unwrap().queue.install(), install);
    drop(bench); // Killed.
    let mut bench = Bench::in_folder(folder.path(), false);
    bench.worker.work();
    assert_eq!((bench.worker.pending(), bench.intake.who()), (2, who));
}

#[test]
fn a_deletion_that_only_the_end_notices_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::in_folder(folder.path(), true);
    bench.worker.work();
    assert!(bench.pay());
    std::fs::remove_dir_all(folder.path().join("demo")).unwrap();
    let (reply, ended) = answer::pair();
    bench.worker.shutdown(reply);
    ended.wait().unwrap().unwrap();
    let mut bench = Bench::in_folder(folder.path(), true);
    bench.worker.work();
    assert_eq!(bench.worker.pending(), 1);
}

#[test]
fn who_could_not_be_identified_is_not_after_a_kill_either() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::in_folder(folder.path(), false);
    bench.worker.work();
    while bench.pay() {}
    let identify =
        || Call::Identify { user: "bob".into(), person: crate::track::Changes::new().set("a", "b") };
    assert_eq!(bench.intake.take(identify()), Err(crate::error::TrackError::QueueFull));
    drop(bench); // Killed.
    let mut bench = Bench::in_folder(folder.path(), false);
    bench.worker.work();
    assert_eq!(bench.intake.who().unwrap().user_id, "");
}

#[test]
fn a_flush_right_before_a_withdrawal_ends() {
    let mut bench = Bench::of(false, Sealer::new(None));
    bench.worker.work();
    bench.track(1);
    let (reply, flushed) = answer::pair();
    bench.worker.obey(Command::Flush { deadline: bench.clock.continuous() + SECOND * 600, reply });
    bench.consent(Consent::Denied);
    bench.turn();
    assert!(flushed.there().unwrap().complete);
}

#[test]
fn a_pause_for_an_answer_that_proves_nothing_is_told_of_as_well() {
    let mut bench = Bench::new();
    let (tell, told) = std::sync::mpsc::channel();
    bench.worker.setup.on_problem = Some(Box::new(move |problem| tell.send(problem.clone()).unwrap()));
    bench.server.on_batch(|_| crate::memory::Step::AnswerWithoutId);
    bench.turn();
    bench.track(1);
    for _ in 0..130 {
        bench.worker.obey(Command::Absorb);
        bench.turn();
        bench.clock.advance(SECOND);
    }
    assert!(matches!(told.try_iter().collect::<Vec<_>>()[..], [Problem::Unreachable(_)]));
}
