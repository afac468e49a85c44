//! The journey of an event from `track` to its receipt.

use std::sync::Arc;
use std::time::Duration;

use footpath_client::{
    Changes, Class, Consent, Limits, MemoryServer, Problem, Receipt, Step, Track, TrackError,
};
use footpath_proto::v1::Refusal;

use crate::support::{LONG, assert_no_gaps, builder, event, names};

#[test]
fn what_is_tracked_arrives_in_order_with_ids_numbers_and_lanes() {
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_in_memory().batch_events(7).build().unwrap();
    let ids: Vec<_> = (0..50).map(|n| client.track(event(n)).unwrap()).collect();
    client.identify("user-1", Changes::new().set("plan", "pro")).unwrap();
    let flushed = client.flush(LONG);
    // Some may have been acknowledged before the flush began.
    assert!(flushed.acked <= 51, "{flushed:?}");
    assert_eq!((flushed.pending, flushed.complete), (0, true));
    let order = server.order();
    assert!(ids.iter().zip(&order).all(|(id, event)| id.as_bytes().as_slice() == event.raw_id));
    assert!(server.batches().iter().all(|batch| batch.events.len() <= 7));
    assert!(
        order
            .iter()
            .take(50)
            .all(|event| event.lane == Some(footpath_client::lane("demo", &event.anonymous_id).into()))
    );
    let identify = order.last().unwrap();
    let anonymous = client.who().unwrap().anonymous_id;
    assert_eq!(
        (identify.name.as_str(), identify.anonymous_id.as_str(), identify.user_id.as_str(), identify.lane),
        ("$identify", &*anonymous, "user-1", Some(footpath_client::lane("demo", "user-1").into()))
    );
    assert!(identify.person.as_ref().is_some_and(|person| person.set.contains_key("plan")));
    assert_no_gaps(&server);
    let stats = client.stats();
    assert_eq!(
        (stats.tracked, stats.committed, stats.acked, stats.stored, stats.pending),
        (50, 51, 51, 51, 0)
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

#[test]
fn a_critical_event_has_a_receipt_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_dir(folder.path()).build().unwrap();
    client.hold();
    let paid = client.track_critical(event(1)).unwrap();
    assert_eq!(paid.queued(LONG), Some(Receipt::Queued));
    assert_eq!(paid.delivered(Duration::from_millis(20)), Some(Receipt::Queued), "the time is up");
    client.shutdown().unwrap();
    drop(client);

    server.on_event(|event| {
        (event.name == "e3").then(|| Refusal {
            reason: "bad".into(),
            message: "why".into(),
            ..Refusal::default()
        })
    });
    let client = builder(&server).queue_dir(folder.path()).build().unwrap();
    assert_eq!(client.receipt(paid.id()).delivered(LONG), Some(Receipt::Acked));
    let refused = client.track_critical(event(3)).unwrap();
    assert_eq!(refused.delivered(LONG), Some(Receipt::Rejected("bad: why".into())));
    let normal = client.track(event(4)).unwrap();
    assert_eq!(client.receipt(normal).delivered(Duration::from_millis(50)), None, "no receipt was asked for");
}

#[test]
fn what_turns_out_not_to_be_wanted_is_counted_so() {
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_in_memory().first_consent(Consent::Denied).build().unwrap();
    for n in 0..3 {
        let _ = client.track(event(n)); // Most likely before it is known.
    }
    while !client.is_open() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let stats = client.stats();
    assert_eq!((stats.tracked, stats.not_wanted, stats.pending), (0, 3, 0));
}

#[test]
fn a_backend_hears_at_once_that_it_names_nobody() {
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_in_memory().backend().build().unwrap();
    assert!(matches!(client.track(Track::new("e")), Err(TrackError::Invalid(_))));
    assert!(matches!(client.identify("u", Changes::new()), Err(TrackError::Invalid(_))));
    client.link("a", "u", Changes::new()).unwrap();
    let large = Track::new("e").user("u").property("x", "x".repeat(40_000));
    assert!(matches!(client.track(large), Err(TrackError::TooLarge { .. })));
    client.shutdown().unwrap();
    assert!(matches!(client.track(Track::new("e").user("u")), Err(TrackError::Closed)));
    let stats = client.stats();
    assert_eq!((stats.tracked, stats.invalid, stats.too_large, stats.after_close), (0, 2, 1, 1));
}

#[test]
fn what_waited_for_the_storage_keeps_its_order() {
    let folder = tempfile::tempdir().unwrap();
    // A file where the folder should be: the storage cannot be opened.
    let place = folder.path().join("queue");
    std::fs::write(&place, "in the way").unwrap();
    let server = Arc::new(MemoryServer::new());
    let (tell, told) = std::sync::mpsc::channel();
    let client =
        builder(&server).queue_dir(&place).on_problem(move |problem| drop(tell.send(problem.clone())));
    let client = client.build().unwrap();
    client.track(Track::new("early")).unwrap();
    client.identify("u", Changes::new()).unwrap();
    client.track(Track::new("later")).unwrap();
    assert!(matches!(told.recv_timeout(LONG), Ok(Problem::Storage(_))));
    assert!(client.who().is_none(), "no install is made up while the storage cannot be read");
    for _ in 0..400 {
        if client.stats().pending == 2 {
            break; // It is told at the worker's next look.
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(client.stats().pending, 2);
    while client.track(Track::new("more").property("filler", "x".repeat(20_000))).is_ok() {}
    std::fs::remove_file(&place).unwrap();
    assert!(client.flush(LONG).complete, "{:?}", client.stats());
    let order = server.order();
    assert_eq!(names(&order)[..4], ["early", "$identify", "later", "more"]);
    assert_eq!((&*order[0].user_id, &*order[2].user_id), ("", "u"));
    assert_no_gaps(&server);
}

#[test]
fn what_is_tracked_at_once_is_stored_without_anybody_asking() {
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_in_memory().build().unwrap();
    client.hold();
    client.track(event(0)).unwrap(); // Most likely before the storage is open.
    for _ in 0..400 {
        if client.stats().committed == 1 {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{:?}", client.stats());
}

#[test]
fn eviction_begins_with_what_matters_least_and_says_so() {
    let server = Arc::new(MemoryServer::new());
    let limits = Limits { bytes: 120_000, critical_bytes: 40_000, ..Limits::default() };
    let client = builder(&server).queue_in_memory().limits(limits).build().unwrap();
    client.hold();
    while client.stats().paused.is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let large = |name: String| Track::new(name).property("filler", "x".repeat(1_000));
    for n in 0..60 {
        client.track_as(large(format!("lossy{n}")), Class::Lossy).unwrap();
        client.track(large(format!("normal{n}"))).unwrap();
        if n % 10 == 0 {
            client.track_critical(large(format!("critical{n}"))).unwrap().queued(LONG).unwrap();
        }
    }
    client.resume();
    assert!(client.flush(LONG).complete);
    let stored = names(&server.order());
    let count = |kind: &str| stored.iter().filter(|name| name.starts_with(kind)).count() as u64;
    assert_eq!(count("critical"), 6);
    assert_eq!(count("normal"), 60, "{stored:?} {:?} {:?}", server.losses(), client.stats());
    assert!(count("lossy") < 60);
    for _ in 0..400 {
        let lost: u64 = server.losses().iter().map(|loss| loss.to - loss.from + 1).sum();
        if lost + count("lossy") == 60 {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(server.losses().iter().all(|loss| loss.reason == "evicted" && loss.delivery_class == 3));
    assert_no_gaps(&server);
    assert_eq!(client.stats().evicted + count("lossy"), 60);
}

#[test]
fn a_full_ring_is_an_error_and_never_a_wait() {
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_in_memory().ring_bytes(128 << 10).build().unwrap();
    while !client.is_open() {
        std::thread::sleep(Duration::from_millis(1));
    }
    // Seven of them fill the ring; a commit takes longer than tracking these.
    let large = |n| event(n).property("filler", "x".repeat(16_000));
    let refused =
        (0..5_000).filter(|n| matches!(client.track(large(*n)), Err(TrackError::QueueFull))).count();
    assert!(refused > 0);
    assert_eq!(client.stats().refused_full, refused as u64);
    assert!(client.flush(LONG).complete);
    assert_eq!(server.order().len(), 5_000 - refused);
    assert_no_gaps(&server);
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
