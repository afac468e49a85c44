//! Who carries the batches, and what the server says to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use footpath_client::{
    Client, MemoryKeys, MemoryServer, Outcome, Outgoing, PauseReason, Problem, Step, Transport,
};
use footpath_proto::v1::IngestRequest;

use crate::support::{LONG, builder, event, names};

#[test]
fn a_denied_key_is_reported_once_and_nothing_is_lost() {
    let server = Arc::new(MemoryServer::new());
    server.on_batch(|_| Step::Fail(Outcome::Denied(PauseReason::Unauthenticated("no".into()))));
    let told = Arc::new(AtomicU32::new(0));
    let counter = told.clone();
    let count = move |_: &Problem| {
        counter.fetch_add(1, Ordering::SeqCst);
    };
    let client = builder(&server).queue_in_memory().on_problem(count).build().unwrap();
    client.track(event(0)).unwrap();
    let flushed = client.flush(LONG);
    assert!(!flushed.complete && flushed.paused.is_some());
    client.track(event(1)).unwrap();
    assert_eq!(client.flush(LONG).pending, 2);
    assert_eq!((told.load(Ordering::SeqCst), server.batches().len()), (1, 1));
    server.on_batch(|_| Step::Answer);
    client.set_key("right");
    assert!(client.flush(LONG).complete);
    assert_eq!(names(&server.order()), ["e0", "e1"]);
}

#[test]
fn the_host_may_carry_batches_itself() {
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_in_memory().host_carries().build().unwrap();
    let courier = client.courier();
    let (carrier, to) = (courier.clone(), server.clone());
    let thread = std::thread::spawn(move || {
        let mut carried = 0;
        while let Some(batch) = carrier.take() {
            assert_eq!(batch.authorization, "Bearer key");
            carrier.report("of another time", Outcome::retry("nobody listens"));
            carrier.report(&batch.id, footpath_client::Transport::send(&*to, &batch));
            carrier.report(&batch.id, Outcome::retry("it has ended"));
            carried += batch.events;
        }
        carried
    });
    for n in 0..100 {
        client.track(event(n)).unwrap();
    }
    assert!(client.flush(LONG).complete);
    client.shutdown().unwrap();
    assert_eq!(thread.join().unwrap(), 100);
    assert!(courier.take().is_none(), "the client has ended");
}

#[test]
fn the_system_may_carry_on_when_the_app_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(MemoryServer::new());
    let build = || {
        let client = builder(&server).queue_dir(folder.path()).batch_events(10);
        client.host_carries().build().unwrap()
    };
    let client = build();
    for n in 0..30 {
        client.track(event(n)).unwrap();
    }
    let courier = client.courier();
    let away: Vec<_> =
        (0..3).map(|_| courier.take().unwrap()).inspect(|batch| assert!(courier.detach(&batch.id))).collect();
    assert!(!courier.detach(&away[0].id), "it is away already");
    assert_eq!(away.iter().map(|batch| batch.events).collect::<Vec<_>>(), [10, 10, 10]);
    client.shutdown().unwrap();
    drop(client);

    let client = build();
    let courier = client.courier();
    // Said before the storage is open: one is answered, one is still on its way, and one is lost.
    courier.report(&away[0].id, footpath_client::Transport::send(&*server, &away[0]));
    courier.keep(vec![away[1].id.clone()]);
    let again = courier.take().unwrap();
    assert_eq!(again.events, 10);
    let sent = |batch: &footpath_client::Outgoing| {
        names(&<IngestRequest as prost::Message>::decode(&*batch.body).unwrap().events)
    };
    assert_eq!(sent(&again), sent(&away[2]));
    courier.report(&again.id, footpath_client::Transport::send(&*server, &again));
    courier.report(&away[1].id, footpath_client::Transport::send(&*server, &away[1]));
    assert!(client.flush(LONG).complete, "{:?}", client.stats());
    assert_eq!((server.order().len(), client.stats().acked, client.stats().duplicates), (30, 30, 0));
}

#[test]
fn what_is_left_in_a_file_is_read_by_who_has_the_key() {
    let keys = Arc::new(MemoryKeys::new());
    let server = Arc::new(MemoryServer::new());
    let build = |keys| {
        let client = builder(&server).queue_in_memory();
        let client = if let Some(keys) = keys { client.encrypt(keys) } else { client };
        client.build().unwrap()
    };
    let (extension, app) = (build(Some(keys.clone())), build(Some(keys.clone())));
    let sealed = extension.seal(b"a batch").unwrap();
    assert!(!sealed.windows(7).any(|window| window == b"a batch"));
    assert_eq!(app.unseal(&sealed).unwrap().as_deref(), Some(&b"a batch"[..]));
    assert_eq!(app.unseal(&sealed[1..]).unwrap(), None);
    keys.lock(true);
    assert!(app.unseal(&sealed).is_err() && app.seal(b"").is_err());
    let open = build(None);
    assert_eq!(open.unseal(&open.seal(b"x").unwrap()).unwrap().as_deref(), Some(&b"x"[..]));
}

#[test]
fn who_is_told_of_a_problem_does_not_wait_for_itself() {
    let server = Arc::new(MemoryServer::new());
    server.on_batch(|_| Step::Fail(Outcome::Denied(PauseReason::Unauthenticated("no".into()))));
    let (done, seen) = std::sync::mpsc::channel();
    let client = Arc::new(std::sync::OnceLock::<Client>::new());
    let own = Arc::clone(&client);
    let built = builder(&server).queue_in_memory().on_problem(move |_| {
        let Some(client) = own.get() else { return };
        let flushed = client.flush(LONG);
        let receipt = client.track_critical(event(1)).unwrap().queued(LONG);
        client.shutdown().unwrap();
        done.send((flushed.complete, receipt)).unwrap();
    });
    let client = client.get_or_init(|| built.build().unwrap());
    client.track(event(0)).unwrap();
    assert_eq!(seen.recv_timeout(LONG).unwrap(), (false, None));
}

#[test]
fn a_hold_outlives_another_key() {
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_in_memory().build().unwrap();
    client.hold();
    client.track(event(0)).unwrap();
    client.set_key("another");
    assert_eq!(client.flush(LONG).paused, Some(PauseReason::Held));
    client.set_key("a\nbreak");
    assert!(matches!(client.flush(LONG).paused, Some(PauseReason::Unauthenticated(_))));
    client.set_key("another");
    client.resume();
    assert!(client.flush(LONG).complete);
}

#[test]
fn a_callback_that_panics_ends_nothing() {
    let server = Arc::new(MemoryServer::new());
    server.on_batch(|_| Step::Fail(Outcome::Denied(PauseReason::Unauthenticated("no".into()))));
    let client =
        builder(&server).queue_in_memory().on_problem(|_| panic!("a bug of the application")).build();
    let client = client.unwrap();
    client.track(event(0)).unwrap();
    assert!(client.flush(LONG).paused.is_some());
    server.on_batch(|_| Step::Answer);
    client.set_key("another");
    assert!(client.flush(LONG).complete);
}

struct Breaks(Arc<MemoryServer>, AtomicU32);

impl Transport for Breaks {
    fn send(&self, batch: &Outgoing) -> Outcome {
        assert!(self.1.fetch_add(1, Ordering::SeqCst) > 0, "a bug of the transport");
        self.0.send(batch)
    }
}

#[test]
fn a_transport_that_panics_has_failed_once() {
    let server = Arc::new(MemoryServer::new());
    let breaks = Arc::new(Breaks(server.clone(), AtomicU32::new(0)));
    let client = builder(&server).queue_in_memory().transport(breaks).build().unwrap();
    client.track(event(0)).unwrap();
    assert!(client.flush(LONG).complete);
    assert_eq!(server.order().len(), 1);
}

#[test]
fn a_key_that_is_refused_again_and_again_does_not_storm() {
    let server = Arc::new(MemoryServer::new());
    server.on_batch(|_| Step::Fail(Outcome::Denied(PauseReason::Unauthenticated("no".into()))));
    let client = builder(&server).queue_in_memory().backoff(LONG / 200, LONG / 200).build().unwrap();
    client.track(event(0)).unwrap();
    for _ in 0..1_000 {
        client.set_key("another");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(client.stats().sends < 400, "{}", client.stats().sends);
}

#[test]
fn a_flush_does_not_wait_for_a_slow_callback() {
    let server = Arc::new(MemoryServer::new());
    server.on_batch(|_| Step::Fail(Outcome::Denied(PauseReason::Unauthenticated("no".into()))));
    let slow = |_: &Problem| std::thread::sleep(LONG);
    let client = builder(&server).queue_in_memory().on_problem(slow).build().unwrap();
    client.track(event(0)).unwrap();
    while client.stats().sends == 0 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let (done, ended) = std::sync::mpsc::channel();
    let flushes = client.clone();
    std::thread::spawn(move || done.send(flushes.flush(std::time::Duration::from_millis(10))));
    assert!(ended.recv_timeout(LONG / 2).is_ok());
    std::mem::forget(client); // Its end would wait for the callback.
}
