//! The whole client, with its threads and a real clock, against a server in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use footpath_client::{
    Builder, Client, MemoryServer, PauseReason, Randomness as _, SeededRandom, SendError, Step, Track,
    TrackError,
};
use footpath_proto::v1::{Event, IngestRequest, Refusal};
use proptest::prelude::*;

const LONG: Duration = Duration::from_secs(20);

fn builder(server: &Arc<MemoryServer>) -> Builder {
    Client::builder("", "")
        .project("demo")
        .transport(server.clone())
        .batch_interval(Duration::from_millis(5))
        .backoff(Duration::from_millis(1), Duration::from_millis(4))
}

fn event(n: usize) -> Track {
    Track::new(format!("e{n}")).anonymous(format!("a{}", n % 5)).property("n", n as i64)
}

fn names(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.name.clone()).collect()
}

/// In each stream the numbers that were stored or explained are 1..=n.
fn assert_no_gaps(server: &MemoryServer) {
    let mut streams = std::collections::BTreeMap::<_, Vec<u64>>::new();
    for (install, epoch, class, lane, number) in server.stored().into_keys() {
        streams.entry((install, epoch, class, lane)).or_default().push(number);
    }
    for (stream, numbers) in streams {
        let lost = server
            .losses()
            .into_iter()
            .filter(|loss| (loss.delivery_class, loss.lane) == (stream.2, stream.3));
        let mut all: Vec<u64> = lost.flat_map(|loss| loss.from..=loss.to).chain(numbers).collect();
        all.sort_unstable();
        assert!(all.iter().copied().eq(1..=all.len() as u64), "{stream:?}: {all:?}");
    }
}

#[test]
fn what_is_tracked_arrives_in_order_with_ids_numbers_and_lanes() {
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_in_memory().batch_events(7).build().unwrap();
    let ids: Vec<_> = (0..50).map(|n| client.track(event(n)).unwrap()).collect();
    client.identify("a1", "user-1").unwrap();
    let flushed = client.flush(LONG);
    // Some may have been acknowledged before the flush began.
    assert!(flushed.acked <= 51, "{flushed:?}");
    assert_eq!((flushed.pending, flushed.complete), (0, true));
    let order = server.order();
    assert!(ids.iter().zip(&order).all(|(id, event)| id.as_bytes().as_slice() == event.id_bytes));
    assert!(server.batches().iter().all(|batch| batch.events.len() <= 7));
    assert!(
        order
            .iter()
            .take(50)
            .all(|event| event.lane == Some(footpath_client::lane("demo", &event.anonymous_id).into()))
    );
    let identify = order.last().unwrap();
    assert_eq!(
        (identify.name.as_str(), identify.anonymous_id.as_str(), identify.user_id.as_str(), identify.lane),
        ("$identify", "a1", "user-1", Some(footpath_client::lane("demo", "user-1").into()))
    );
    assert_no_gaps(&server);
    let stats = client.stats();
    assert_eq!(
        (stats.tracked, stats.committed, stats.acked, stats.stored, stats.pending),
        (51, 51, 51, 51, 0)
    );
}

#[test]
fn shutdown_keeps_what_was_not_delivered_and_the_next_start_sends_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_dir(folder.path()).build().unwrap();
    client.hold();
    for n in 0..30 {
        client.track(event(n)).unwrap();
    }
    client.shutdown().unwrap();
    assert!(matches!(client.track(event(99)), Err(TrackError::Closed)));
    assert!(server.batches().is_empty());
    drop(client);

    let client = builder(&server).queue_dir(folder.path()).build().unwrap();
    for n in 30..40 {
        client.track(event(n)).unwrap();
    }
    assert!(client.flush(LONG).complete);
    assert_eq!(names(&server.order()), (0..40).map(|n| format!("e{n}")).collect::<Vec<_>>());
    let streams: std::collections::BTreeSet<_> =
        server.stored().into_keys().map(|(install, epoch, ..)| (install, epoch)).collect();
    assert_eq!(streams.len(), 1, "a clean restart goes on in the same streams");
    assert_no_gaps(&server);
}

/// Not a test of its own: the process that `a_killed_process_loses_nothing_that_is_on_disk` kills.
#[test]
fn child_that_is_killed() {
    let Ok(folder) = std::env::var("FOOTPATH_TEST_QUEUE") else { return };
    let server = Arc::new(MemoryServer::new());
    server.on_batch(|_| Step::Fail(SendError::retry("never")));
    let client = builder(&server).queue_dir(folder).build().unwrap();
    for n in 0.. {
        client.track_durable(event(n), LONG).unwrap();
        println!("durable {n}.");
    }
}

#[test]
fn a_killed_process_loses_nothing_that_is_on_disk() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(MemoryServer::new());
    let mut durable = 0;
    for _ in 0..2 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_is_killed", "--nocapture"])
            .env("FOOTPATH_TEST_QUEUE", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        durable += lines.map_while(Result::ok).filter(|line| line.contains("durable")).take(20).count();
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let client = builder(&server).queue_dir(folder.path()).build().unwrap();
    assert!(client.flush(LONG).complete);
    assert!(server.order().len() >= durable, "{} of {durable}", server.order().len());
    let epochs: std::collections::BTreeSet<_> = server.stored().into_keys().map(|key| key.1).collect();
    assert_eq!(epochs.len(), 2, "each unclean start has an epoch of its own");
    assert_no_gaps(&server);
}

#[test]
fn a_full_buffer_is_an_error_and_never_a_wait() {
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_in_memory().max_pending(10).build().unwrap();
    client.hold();
    let refused =
        (0..20_000).filter(|n| matches!(client.track(event(*n)), Err(TrackError::QueueFull))).count();
    assert!(refused > 0);
    assert_eq!(client.stats().refused_full, refused as u64);
    client.resume();
    assert!(client.flush(LONG).complete);
    assert_eq!(server.order().len(), 20_000 - refused);
}

#[test]
fn a_denied_key_is_reported_once_and_nothing_is_lost() {
    let server = Arc::new(MemoryServer::new());
    server.on_batch(|_| Step::Fail(SendError::Denied(PauseReason::Unauthenticated("no".into()))));
    let told = Arc::new(AtomicU32::new(0));
    let counter = told.clone();
    let count = move |_: &PauseReason| {
        counter.fetch_add(1, Ordering::SeqCst);
    };
    let client = builder(&server).queue_in_memory().on_pause(count).build().unwrap();
    client.track(event(0)).unwrap();
    let flushed = client.flush(LONG);
    assert!(!flushed.complete && flushed.paused.is_some());
    client.track(event(1)).unwrap();
    assert_eq!(client.flush(LONG).pending, 2);
    assert_eq!((told.load(Ordering::SeqCst), server.batches().len()), (1, 1));
    server.on_batch(|_| Step::Answer);
    client.resume();
    assert!(client.flush(LONG).complete);
    assert_eq!(names(&server.order()), ["e0", "e1"]);
}

#[test]
fn a_transport_that_drops_the_reply_is_asked_again() {
    struct Forgetful(Arc<MemoryServer>, AtomicU32);
    impl footpath_client::Transport for Forgetful {
        fn send(&self, request: IngestRequest, reply: footpath_client::Reply) {
            if self.1.fetch_add(1, Ordering::SeqCst) > 2 {
                self.0.send(request, reply);
            }
        }
    }
    let server = Arc::new(MemoryServer::new());
    let transport = Arc::new(Forgetful(server.clone(), AtomicU32::new(0)));
    let client = builder(&server).transport(transport).queue_in_memory().build().unwrap();
    client.track(event(0)).unwrap();
    assert!(client.flush(LONG).complete);
    assert_eq!(client.stats().resends, 3);
}

#[test]
fn flush_ends_when_its_time_is_up() {
    let server = Arc::new(MemoryServer::new());
    server.on_batch(|_| Step::Hang);
    let client = builder(&server).queue_in_memory().build().unwrap();
    client.track(event(0)).unwrap();
    let flushed = client.flush(Duration::from_millis(50));
    assert_eq!((flushed.acked, flushed.pending, flushed.complete), (0, 1, false));
    server.on_batch(|_| Step::Answer);
    server.release();
    assert!(client.flush(LONG).complete);
}

#[test]
fn two_hundred_installs_fit_into_one_process() {
    let server = Arc::new(MemoryServer::new());
    let clients: Vec<_> = (0..200).map(|_| builder(&server).queue_in_memory().build().unwrap()).collect();
    for (n, client) in clients.iter().enumerate() {
        client.track(event(n)).unwrap();
    }
    assert!(clients.iter().all(|client| client.flush(LONG).complete));
    let installs: std::collections::BTreeSet<_> = server.stored().into_keys().map(|key| key.0).collect();
    assert_eq!(installs.len(), 200);
}

fn misbehave(seed: u64) -> impl FnMut(&IngestRequest) -> Step + Send {
    let random = SeededRandom::new(seed);
    let mut calm = 0;
    move |request| {
        let poisoned = request.events.iter().any(|event| event.name.ends_with('7'));
        calm += 1;
        match random.next_u64() % 8 {
            0 | 1 if calm < 200 => Step::StoreAndDrop,
            2 if calm < 200 => Step::AnswerWithoutId,
            3 if calm < 200 => Step::Fail(SendError::retry("unavailable")),
            _ if poisoned => Step::Fail(SendError::Refused("a bad event".into())),
            _ => Step::Answer,
        }
    }
}

fn moody(seed: u64) -> impl FnMut(&Event) -> Option<Refusal> + Send {
    let random = SeededRandom::new(seed);
    move |event| match (event.name.ends_with('3'), random.next_u64() % 10) {
        (true, _) => Some(Refusal { reason: "bad".into(), ..Refusal::default() }),
        (_, 0) => Some(Refusal { reason: "busy".into(), retryable: true, ..Refusal::default() }),
        _ => None,
    }
}

/// The numbers that were stored or explained: class, lane, number.
fn settled(server: &MemoryServer) -> std::collections::BTreeSet<(i32, u32, u64)> {
    let stored = server.stored().into_keys().map(|(_, _, class, lane, number)| (class, lane, number));
    let explain = |loss: footpath_proto::v1::LossRange| {
        (loss.from..=loss.to).map(move |number| (loss.delivery_class, loss.lane, number))
    };
    stored.chain(server.losses().into_iter().flat_map(explain)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// A server that drops answers after the commit, answers nonsense, refuses batches and events; a client
    /// that restarts, cleanly. Every good event is stored once, every bad number is explained.
    #[test]
    fn nothing_is_lost_and_nothing_counted_twice(seed: u64, events in 1usize..200, restarts in 0usize..3) {
        let folder = tempfile::tempdir().unwrap();
        let server = Arc::new(MemoryServer::new());
        server.on_batch(misbehave(seed));
        server.on_event(moody(!seed));
        let mut client = builder(&server).queue_dir(folder.path()).batch_events(16).build().unwrap();
        for n in 0..events {
            client.track(event(n)).unwrap();
            if restarts > 0 && n % (events / restarts + 1) == events / (restarts + 1) {
                client.shutdown().unwrap();
                client = builder(&server).queue_dir(folder.path()).batch_events(16).build().unwrap();
            }
        }
        prop_assert!(client.flush(LONG).complete, "{:?}", client.stats());
        let mut stored: Vec<_> = names(&server.order());
        stored.sort();
        // A poisoned event may have been stored by an attempt whose answer was lost, before it was refused.
        let mut good: Vec<_> =
            (0..events).map(|n| format!("e{n}")).filter(|name| !name.ends_with(['3', '7'])).collect();
        good.sort();
        stored.retain(|name| !name.ends_with('7'));
        prop_assert_eq!(stored, good);
        let stats = client.stats();
        prop_assert_eq!(stats.acked, stats.stored + stats.duplicates);
        prop_assert_eq!((stats.pending, stats.corrupt), (0, 0));

        // The last losses travel on their own.
        server.on_batch(|_| Step::Answer);
        let mut numbers = settled(&server);
        for _ in 0..500 {
            if numbers.len() >= events {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
            numbers = settled(&server);
        }
        prop_assert_eq!(numbers.len(), events, "every number is stored or explained");
    }
}
