//! The whole client, with its threads and a real clock, against a server in memory.

#![allow(clippy::unwrap_used)] // A test that cannot be set up should stop here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use footpath_client::{
    Builder, Changes, Class, Client, Consent, Limits, MemoryKeys, MemoryServer, Outcome, PauseReason,
    Problem, Randomness as _, Receipt, SeededRandom, Step, Track, TrackError,
};
use footpath_proto::v1::{Event, IngestRequest, PrivacyRequestKind, Refusal};
use proptest::prelude::*;

const LONG: Duration = Duration::from_secs(20);

fn builder(server: &Arc<MemoryServer>) -> Builder {
    Client::builder("", "")
        .project("demo")
        .ring_bytes(1 << 20)
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

/// Not a test of its own: the process that others kill, or that kills itself. It tracks as fast as it can, says how many it
/// has tracked and waits to be killed.
#[test]
fn child_that_is_killed() {
    let Ok(folder) = std::env::var("FOOTPATH_TEST_QUEUE") else { return };
    let count: usize = std::env::var("FOOTPATH_TEST_COUNT").unwrap().parse().unwrap();
    let server = Arc::new(MemoryServer::new());
    server.on_batch(|_| Step::Fail(Outcome::retry("never")));
    let client = builder(&server).queue_dir(folder).build().unwrap();
    // Until the storage is open, what is tracked lies in memory.
    while client.who().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    for n in 0..count {
        client.track(event(n)).unwrap();
    }
    if std::env::var_os("FOOTPATH_TEST_SUICIDE").is_some() {
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::KILL).unwrap();
    }
    use std::io::Write as _;
    println!("tracked {count}.");
    std::io::stdout().flush().unwrap();
    std::thread::sleep(LONG);
}

fn child(folder: &std::path::Path, count: usize) -> std::process::Command {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "child_that_is_killed", "--nocapture"]);
    child.env("FOOTPATH_TEST_QUEUE", folder).env("FOOTPATH_TEST_COUNT", count.to_string());
    child.stdout(std::process::Stdio::piped());
    child
}

fn kill_after(folder: &std::path::Path, count: usize) {
    use std::io::{BufRead as _, BufReader};
    let mut child = child(folder, count).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("tracked")));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_killed_process_loses_nothing_that_was_tracked() {
    for counts in [vec![1], vec![2, 3], vec![777, 5_000, 1]] {
        let folder = tempfile::tempdir().unwrap();
        counts.iter().for_each(|count| kill_after(folder.path(), *count));
        let server = Arc::new(MemoryServer::new());
        let client = builder(&server).queue_dir(folder.path()).build().unwrap();
        assert!(client.flush(LONG).complete);
        let expected: Vec<_> = counts.iter().flat_map(|count| (0..*count).map(|n| format!("e{n}"))).collect();
        assert_eq!(names(&server.order()), expected);
        let epochs: std::collections::BTreeSet<_> = server.stored().into_keys().map(|key| key.1).collect();
        assert_eq!(epochs.len(), 1, "the machine kept what was in memory: the numbers go on");
        assert_no_gaps(&server);
    }
}

/// Each count from 1 to 5,000, or every 101st of them: `FOOTPATH_KILLS=1 cargo test --release -p footpath-client --test client
/// dead_at_once` takes all.
#[test]
fn a_process_that_is_dead_at_once_loses_nothing_that_was_tracked() {
    let step = std::env::var("FOOTPATH_KILLS").map_or(101, |step| step.parse().unwrap());
    for count in (1..=5_000).step_by(step) {
        let folder = tempfile::tempdir().unwrap();
        let ended = child(folder.path(), count).env("FOOTPATH_TEST_SUICIDE", "1").output().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended.status), Some(9));
        let server = Arc::new(MemoryServer::new());
        let client = builder(&server).queue_dir(folder.path()).build().unwrap();
        assert!(client.flush(LONG).complete, "{count}");
        let expected: Vec<_> = (0..count).map(|n| format!("e{n}")).collect();
        assert_eq!(names(&server.order()), expected, "{count}");
        assert_no_gaps(&server);
    }
}

#[test]
fn a_restored_backup_begins_a_new_stream() {
    let folder = tempfile::tempdir().unwrap();
    let (live, backup) = (folder.path().join("live"), folder.path().join("backup"));
    let server = Arc::new(MemoryServer::new());
    let track = |n| {
        let client = builder(&server).queue_dir(&live).build().unwrap();
        client.track(event(n)).unwrap();
        assert!(client.flush(LONG).complete);
        client.shutdown().unwrap();
    };
    track(0);
    copy(&live, &backup);
    track(1);
    std::fs::remove_dir_all(&live).unwrap();
    copy(&backup, &live);
    track(2);
    assert_eq!(names(&server.order()), ["e0", "e1", "e2"], "the number of e1 was not given to e2");
    let epochs: std::collections::BTreeSet<_> = server.stored().into_keys().map(|key| key.1).collect();
    assert_eq!(epochs.len(), 2);
}

#[test]
fn what_a_restored_ring_holds_is_counted_once() {
    let folder = tempfile::tempdir().unwrap();
    let (live, backup) = (folder.path().join("live"), folder.path().join("backup"));
    let server = Arc::new(MemoryServer::new());
    let deliver = |more| {
        let client = builder(&server).queue_dir(&live).build().unwrap();
        client.track(event(more)).unwrap();
        assert!(client.flush(LONG).complete);
        client.shutdown().unwrap();
    };
    deliver(100);
    // Killed before the queue had them: they are in the ring only.
    kill_after(&live, 3);
    copy(&live, &backup);
    deliver(101);
    std::fs::remove_dir_all(&live).unwrap();
    copy(&backup, &live);
    deliver(102);
    assert_eq!(names(&server.order()), ["e100", "e0", "e1", "e2", "e101", "e102"]);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() { copy(&path, &target) } else { std::fs::copy(path, target).map(drop).unwrap() }
    }
}

#[test]
fn what_another_process_left_is_adopted() {
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(MemoryServer::new());
    let main = builder(&server).queue_dir(folder.path()).build().unwrap();
    main.track(event(0)).unwrap();
    assert!(main.flush(LONG).complete);
    // The main folder is taken: the child gets one of its own.
    kill_after(folder.path(), 10);
    main.shutdown().unwrap();
    drop(main);
    let main = builder(&server).queue_dir(folder.path()).build().unwrap();
    main.track(event(1)).unwrap();
    assert!(main.flush(LONG).complete);
    let mut found = names(&server.order());
    found.sort();
    let mut expected: Vec<_> = (0..10).chain([0, 1]).map(|n| format!("e{n}")).collect();
    expected.sort();
    assert_eq!(found, expected);
    assert_no_gaps(&server);
    main.shutdown().unwrap();
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["main"]);
}

#[test]
fn what_another_process_left_goes_where_consent_is_denied() {
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(MemoryServer::new());
    let main = builder(&server).queue_dir(folder.path()).build().unwrap();
    while !main.is_open() {
        std::thread::sleep(Duration::from_millis(1));
    }
    kill_after(folder.path(), 10);
    main.set_consent(Consent::Denied).unwrap();
    main.shutdown().unwrap();
    drop(main);
    let main = builder(&server).queue_dir(folder.path()).build().unwrap();
    assert!(main.flush(LONG).complete);
    for _ in 0..400 {
        if !server.losses().is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(names(&server.order()), Vec::<String>::new());
    let lost: u64 = server.losses().iter().map(|loss| loss.to - loss.from + 1).sum();
    assert_eq!(lost, 10);
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
fn a_damaged_size_is_no_lack_of_memory() {
    const PAGE: usize = 4096;
    let server = Arc::new(MemoryServer::new());
    let folder = tempfile::tempdir().unwrap();
    let start = |folder: &Path| builder(&server).queue_dir(folder).build().unwrap();
    let client = start(folder.path());
    client.hold();
    for n in 0..200 {
        client.track_critical(event(n)).unwrap();
    }
    client.shutdown().unwrap();
    drop(client);
    let database = std::fs::read(folder.path().join("main/queue.sqlite")).unwrap();
    // The first page begins with the database's header and is another test's. Of a leaf with rows, the first row gets a size
    // of two gigabytes.
    let is_leaf = |page: &usize| {
        let bytes = &database[page * PAGE..];
        matches!(bytes[0], 0x0a | 0x0d) && bytes[3..5] != [0, 0]
    };
    let leaves: Vec<usize> = (1..database.len() / PAGE).filter(is_leaf).collect();
    assert!(leaves.len() > 3, "{leaves:?}");
    for page in leaves {
        let bytes = &database[page * PAGE..];
        let cell = usize::from(u16::from_be_bytes([bytes[8], bytes[9]]));
        let damaged = tempfile::tempdir().unwrap();
        copy(folder.path(), damaged.path());
        let mut file = database.clone();
        file[page * PAGE + cell..][..5].copy_from_slice(&[0x87, 0xff, 0xff, 0xff, 0x7f]);
        std::fs::write(damaged.path().join("main/queue.sqlite"), file).unwrap();
        let client = start(damaged.path());
        client.track(event(0)).unwrap();
        assert!(client.flush(LONG).complete, "page {page}: {:?}", client.stats());
    }
}

#[test]
fn two_users_are_never_made_one() {
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_in_memory().build().unwrap();
    client.track(Track::new("opened")).unwrap();
    client.identify("first", Changes::new()).unwrap();
    client.identify("first", Changes::new()).unwrap();
    client.register("tariff", "night").unwrap();
    client.track(Track::new("bought").property("price", 3)).unwrap();
    client.identify("second", Changes::new()).unwrap();
    client.track(Track::new("bought")).unwrap();
    assert!(matches!(client.identify("undefined", Changes::new()), Err(TrackError::Invalid(_))));
    client.reset().unwrap();
    client.track(Track::new("opened")).unwrap();
    assert!(client.flush(LONG).complete);
    let order = server.order();
    assert_eq!(names(&order), ["opened", "$identify", "bought", "$identify", "bought", "opened"]);
    let users: Vec<_> = order.iter().map(|event| &*event.user_id).collect();
    assert_eq!(users, ["", "first", "first", "second", "second", ""]);
    let (first, second, third) = (&order[0].anonymous_id, &order[3].anonymous_id, &order[5].anonymous_id);
    assert!(
        first == &order[2].anonymous_id
            && first != second
            && second == &order[4].anonymous_id
            && second != third
    );
    let shared: Vec<_> = order.iter().map(|event| event.properties.contains_key("tariff")).collect();
    assert_eq!(shared, [false, false, true, false, false, false], "what was registered was the first one's");
    assert!(order.iter().all(|event| !event.session_id.is_empty()));
    assert_no_gaps(&server);
}

#[test]
fn consent_decides_what_is_taken_kept_and_destroyed() {
    let server = Arc::new(MemoryServer::new());
    let keys = Arc::new(MemoryKeys::new());
    let client =
        builder(&server).queue_in_memory().encrypt(keys).first_consent(Consent::Pending).build().unwrap();
    client.track(event(0)).unwrap();
    let flushed = client.flush(LONG);
    assert_eq!((flushed.pending, flushed.paused), (1, Some(PauseReason::ConsentPending)));
    client.resume();
    assert_eq!(client.flush(LONG).paused, Some(PauseReason::ConsentPending), "nobody else may agree");
    client.set_consent(Consent::Granted).unwrap();
    assert!(client.flush(LONG).complete);
    assert_eq!(names(&server.order()), ["e0"]);

    client.hold();
    for n in 1..4 {
        client.track(Track::new(format!("e{n}"))).unwrap();
    }
    let before = client.who().unwrap().anonymous_id;
    client.set_consent(Consent::Denied).unwrap();
    client.delete_my_data().unwrap();
    assert!(matches!(client.track(event(4)), Err(TrackError::NotWanted(_))));
    client.resume();
    for _ in 0..400 {
        if !server.wishes().is_empty() && !server.losses().is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(names(&server.order()), ["e0"]);
    let lost: u64 = server.losses().iter().map(|loss| loss.to - loss.from + 1).sum();
    assert!(server.losses().iter().all(|loss| loss.reason == "consent_withdrawn") && lost == 3);
    let wishes = server.wishes();
    assert_eq!((wishes.len(), wishes[0].kind()), (1, PrivacyRequestKind::Delete));
    assert_eq!(wishes[0].actor, before);
    assert_eq!(client.stats().pending, 0);
}

#[test]
fn a_wish_alone_is_sent_at_once() {
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_in_memory().first_consent(Consent::Denied).build().unwrap();
    while !client.is_open() {
        std::thread::sleep(Duration::from_millis(1));
    }
    client.delete_my_data().unwrap();
    for _ in 0..400 {
        if !server.wishes().is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(server.wishes().len(), 1);
}

#[test]
fn what_was_withdrawn_is_nowhere_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_dir(folder.path()).build().unwrap();
    client.hold();
    for _ in 0..2_000 {
        client.track(Track::new("a_secret_of_theirs")).unwrap();
    }
    while client.stats().committed < 2_000 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let files = || std::fs::read_dir(folder.path().join("main")).unwrap().map(|file| file.unwrap().path());
    let is_secret = |path: &PathBuf| {
        std::fs::read(path).unwrap().windows(18).any(|window| window == b"a_secret_of_theirs")
    };
    assert!(files().any(|path| is_secret(&path)), "nothing encrypts here");
    client.set_consent(Consent::Denied).unwrap();
    assert_eq!(client.who().unwrap().consent, Consent::Denied);
    while client.stats().pending > 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(files().filter(is_secret).collect::<Vec<_>>(), Vec::<PathBuf>::new());
}

#[test]
fn who_agrees_again_loses_nothing_of_what_comes_then() {
    for keys in [None, Some(Arc::new(MemoryKeys::new()))] {
        let server = Arc::new(MemoryServer::new());
        let builder = builder(&server).queue_in_memory();
        let builder = match keys {
            Some(keys) => builder.encrypt(keys),
            None => builder,
        };
        let client = builder.build().unwrap();
        client.hold();
        client.track(Track::new("before")).unwrap();
        client.set_consent(Consent::Denied).unwrap();
        client.set_consent(Consent::Granted).unwrap();
        client.track(Track::new("after")).unwrap();
        assert_eq!(client.flush(LONG).paused, Some(PauseReason::Held), "only who holds lets go");
        client.resume();
        assert!(client.flush(LONG).complete);
        assert_eq!(names(&server.order()), ["after"]);
    }
}

#[test]
fn what_a_backend_queues_is_sealed_too() {
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(MemoryServer::new());
    let keys = Arc::new(MemoryKeys::new());
    let start = || builder(&server).queue_dir(folder.path()).backend().encrypt(keys.clone()).build().unwrap();
    let client = start();
    client.hold();
    client.track(Track::new("a secret name").user("u")).unwrap();
    client.shutdown().unwrap();
    drop(client);
    for file in ["queue.sqlite", "ring"] {
        let bytes = std::fs::read(folder.path().join("main").join(file)).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"a secret"), "{file}");
    }
    assert!(start().flush(LONG).complete);
    assert_eq!(names(&server.order()), ["a secret name"]);
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
fn a_broken_database_is_set_aside_and_only_then() {
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_dir(folder.path()).build().unwrap();
    client.track(event(0)).unwrap();
    assert!(client.flush(LONG).complete);
    client.shutdown().unwrap();
    drop(client);
    let database = folder.path().join("main/queue.sqlite");
    std::fs::write(&database, vec![7; 64 * 1024]).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let client =
        builder(&server).queue_dir(folder.path()).on_problem(move |problem| drop(tell.send(problem.clone())));
    let client = client.build().unwrap();
    client.track(event(1)).unwrap();
    assert!(client.flush(LONG).complete, "{:?}", client.stats());
    let Ok(Problem::Quarantined(aside)) = told.recv_timeout(LONG) else { panic!("nobody was told") };
    assert_eq!(std::fs::read(aside).unwrap(), vec![7; 64 * 1024]);
    assert_eq!(names(&server.order()), ["e0", "e1"]);
    assert_no_gaps(&server);
}

#[test]
fn a_damaged_database_gives_what_is_whole_and_who_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(MemoryServer::new());
    let build = || builder(&server).queue_dir(folder.path()).batch_events(20).build().unwrap();
    let client = build();
    client.hold();
    for n in 0..2_000 {
        client.track(event(n).property("filler", "x".repeat(200))).unwrap();
    }
    while client.stats().committed < 2_000 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let who = client.who();
    client.shutdown().unwrap();
    drop(client);
    let database = folder.path().join("main/queue.sqlite");
    let mut bytes = std::fs::read(&database).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 3 * 4096].fill(0xa5);
    std::fs::write(&database, bytes).unwrap();
    let client = build();
    client.track(event(2_000)).unwrap();
    assert!(client.flush(LONG).complete, "{:?}", client.stats());
    assert_eq!(client.who(), who, "it is the same install and person");
    let lost = || server.losses().iter().map(|loss| loss.to - loss.from + 1).sum::<u64>();
    for _ in 0..400 {
        if lost() > 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let order = names(&server.order());
    assert_eq!(lost() + order.len() as u64, 2_001, "{:?}", server.losses());
}

#[test]
fn what_the_database_has_lost_is_still_in_the_ring() {
    let folder = tempfile::tempdir().unwrap();
    let (live, left) = (folder.path().join("live"), folder.path().join("left"));
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_dir(&live).build().unwrap();
    client.hold();
    for n in 0..500 {
        client.track(event(n)).unwrap();
    }
    while client.stats().committed < 500 {
        std::thread::sleep(Duration::from_millis(1));
    }
    copy(&live, &left);
    drop(client);
    // All of its commits.
    std::fs::remove_file(left.join("main/queue.sqlite-wal")).unwrap();
    let client = builder(&server).queue_dir(&left).build().unwrap();
    client.track(event(500)).unwrap();
    assert!(client.flush(LONG).complete, "{:?}", client.stats());
    assert_eq!(server.order().len(), 501);
    assert_no_gaps(&server);
}

#[test]
fn a_broken_database_that_another_process_left_is_set_aside_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(MemoryServer::new());
    let main = builder(&server).queue_dir(folder.path()).build().unwrap();
    main.track(event(50)).unwrap();
    assert!(main.flush(LONG).complete);
    kill_after(folder.path(), 10);
    main.shutdown().unwrap();
    drop(main);
    let folders = || std::fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.path());
    let left = folders().find(|path| !path.ends_with("main")).unwrap();
    std::fs::write(left.join("queue.sqlite"), vec![7; 64 * 1024]).unwrap();
    let _ = std::fs::remove_file(left.join("queue.sqlite-wal"));
    let (tell, told) = std::sync::mpsc::channel();
    let client =
        builder(&server).queue_dir(folder.path()).on_problem(move |problem| drop(tell.send(problem.clone())));
    let client = client.build().unwrap();
    client.track(event(51)).unwrap();
    assert!(client.flush(LONG).complete, "{:?}", client.stats());
    let Ok(Problem::Quarantined(aside)) = told.recv_timeout(LONG) else { panic!("nobody was told") };
    assert_eq!(std::fs::read(aside).unwrap(), vec![7; 64 * 1024]);
    client.shutdown().unwrap();
    assert_eq!(folders().count(), 1);
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
fn hooks_samples_and_shared_properties() {
    let server = Arc::new(MemoryServer::new());
    let hook = |track: Track| match track.name() {
        "secret" => None,
        _ => Some(track.without("card")),
    };
    let client = builder(&server).queue_in_memory().before_send(hook).sample("noise", 0.0).debug_view("mine");
    let client = client.property("build", 7).build().unwrap();
    assert!(matches!(client.track(Track::new("secret")), Err(TrackError::NotWanted(_))));
    assert!(client.track(Track::new("noise")).is_ok_and(|_| false) || client.stats().not_wanted >= 1);
    client.track(Track::new("paid").property("card", "4111").property("build", 8)).unwrap();
    assert!(client.flush(LONG).complete);
    let order = server.order();
    assert_eq!(names(&order), ["paid"]);
    let mut keys: Vec<_> = order[0].properties.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["build", "debug_view"]);
}

#[test]
fn a_full_ring_is_an_error_and_never_a_wait() {
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_in_memory().ring_bytes(4 << 10).build().unwrap();
    while !client.is_open() {
        std::thread::sleep(Duration::from_millis(1));
    }
    // Seven of them fill the ring; a commit takes longer than tracking these.
    let large = |n| event(n).property("filler", "x".repeat(500));
    let refused =
        (0..5_000).filter(|n| matches!(client.track(large(*n)), Err(TrackError::QueueFull))).count();
    assert!(refused > 0);
    assert_eq!(client.stats().refused_full, refused as u64);
    assert!(client.flush(LONG).complete);
    assert_eq!(server.order().len(), 5_000 - refused);
    assert_no_gaps(&server);
}

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
            assert_eq!(batch.authorization, "Bearer ");
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
            3 if calm < 200 => Step::Fail(Outcome::retry("unavailable")),
            _ if poisoned => Step::Fail(Outcome::Refused("a bad event".into())),
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
        prop_assert_eq!((stats.pending, stats.torn), (0, 0));

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
