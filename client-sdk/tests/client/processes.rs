//! Processes that are killed, that share a folder, that find a backup.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use footpath_client::{Consent, ManualClock, MemoryServer, Outcome, Problem, Step};

use crate::support::{LONG, assert_no_gaps, builder, copy, event, names};

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
    let tracked = if count == usize::MAX {
        let large = |n| event(n).property("filler", "x".repeat(500));
        // A full ring: nothing more finds room, not after a while either.
        let tries = |n: &usize| {
            (0..500).any(|_| {
                client.track(large(*n)).is_ok() || {
                    std::thread::sleep(Duration::from_millis(1));
                    false
                }
            })
        };
        (0..).take_while(tries).count()
    } else {
        (0..count).for_each(|n| {
            client.track(event(n)).unwrap();
        });
        count
    };
    if std::env::var_os("FOOTPATH_TEST_SUICIDE").is_some() {
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::KILL).unwrap();
    }
    use std::io::Write as _;
    println!("tracked {tracked}.");
    std::io::stdout().flush().unwrap();
    std::thread::sleep(LONG);
}

fn child(folder: &std::path::Path, count: usize) -> std::process::Command {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "processes::child_that_is_killed", "--nocapture"]);
    child.env("FOOTPATH_TEST_QUEUE", folder).env("FOOTPATH_TEST_COUNT", count.to_string());
    child.stdout(std::process::Stdio::piped());
    child
}

/// Kills a process that has tracked until neither disk nor ring took more; how many events it had tracked.
pub fn kill_when_full(folder: &std::path::Path) -> usize {
    use std::io::{BufRead as _, BufReader};
    let mut child = child(folder, usize::MAX).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("tracked")).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    line.split("tracked ").nth(1).unwrap().trim_end_matches('.').parse().unwrap()
}

pub fn kill_after(folder: &std::path::Path, count: usize) {
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
    let left: Vec<_> = std::fs::read_dir(folder.path().join("demo"))
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
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
fn a_broken_database_that_another_process_left_is_set_aside_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(MemoryServer::new());
    let main = builder(&server).queue_dir(folder.path()).build().unwrap();
    main.track(event(50)).unwrap();
    assert!(main.flush(LONG).complete);
    kill_after(folder.path(), 10);
    main.shutdown().unwrap();
    drop(main);
    let folders =
        || std::fs::read_dir(folder.path().join("demo")).unwrap().flatten().map(|entry| entry.path());
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
fn what_others_leave_is_adopted_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(MemoryServer::new());
    let clock = Arc::new(ManualClock::at(1_000_000_000));
    let main = builder(&server).queue_dir(folder.path()).clock(clock.clone()).build().unwrap();
    while !main.is_open() {
        std::thread::sleep(Duration::from_millis(1));
    }
    kill_after(folder.path(), 10);
    let other = builder(&server).queue_dir(folder.path()).build().unwrap();
    other.hold();
    other.track(event(10)).unwrap();
    other.shutdown().unwrap();
    let rings = || folders(folder.path()).iter().filter(|path| path.join("ring").exists()).count();
    assert_eq!(rings(), 2, "who has ended in order leaves no ring behind");
    clock.advance(Duration::from_secs(61));
    main.track(event(11)).unwrap();
    while server.order().len() < 12 {
        clock.advance(Duration::from_millis(10));
        let _ = main.flush(Duration::from_millis(50));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(folders(folder.path()).len(), 1);
    assert_no_gaps(&server);
}

fn folders(base: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(base.join("demo")).unwrap().flatten().map(|entry| entry.path()).collect()
}

#[test]
fn projects_that_share_a_folder_keep_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (Arc::new(MemoryServer::new()), Arc::new(MemoryServer::new()));
    let first = builder(&one).queue_dir(folder.path()).build().unwrap();
    let second = builder(&two).project("two").queue_dir(folder.path()).build().unwrap();
    first.track(event(1)).unwrap();
    second.hold();
    second.track(event(2)).unwrap();
    assert!(first.flush(LONG).complete);
    first.shutdown().and(second.shutdown()).unwrap();
    drop((first, second));
    let first = builder(&one).queue_dir(folder.path()).build().unwrap();
    let second = builder(&two).project("two").queue_dir(folder.path()).build().unwrap();
    assert!(first.flush(LONG).complete && second.flush(LONG).complete);
    assert_eq!((names(&one.order()), names(&two.order())), (vec!["e1".to_owned()], vec!["e2".to_owned()]));
    assert!(two.batches().iter().all(|batch| batch.project == "two"), "a key of another project is noticed");
}

#[test]
fn behind_a_damaged_record_of_another_process_the_rest_is_adopted() {
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(MemoryServer::new());
    let main = builder(&server).queue_dir(folder.path()).build().unwrap();
    while !main.is_open() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let ended = child(folder.path(), 10).env("FOOTPATH_TEST_SUICIDE", "1").output().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended.status), Some(9));
    let left = folders(folder.path()).into_iter().find(|path| !path.ends_with("main")).unwrap().join("ring");
    let mut ring = std::fs::read(&left).unwrap();
    let at = ring.windows(4).position(|bytes| bytes == b"\x1a\x02e4").unwrap();
    ring[at] ^= 1;
    std::fs::write(&left, ring).unwrap();
    main.shutdown().unwrap();
    drop(main);
    let main = builder(&server).queue_dir(folder.path()).build().unwrap();
    assert!(main.flush(LONG).complete);
    let expected: Vec<_> = (0..10).filter(|n| *n != 4).map(|n| format!("e{n}")).collect();
    assert_eq!(names(&server.order()), expected);
    assert_eq!(main.stats().torn, 1);
}

#[test]
fn what_is_adopted_where_consent_is_denied_is_never_sent() {
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(MemoryServer::new());
    let clock = Arc::new(ManualClock::at(1_000_000_000));
    let main = builder(&server).queue_dir(folder.path()).clock(clock.clone()).build().unwrap();
    main.set_consent(Consent::Denied).unwrap();
    while !main.is_open() {
        std::thread::sleep(Duration::from_millis(1));
    }
    kill_after(folder.path(), 10);
    clock.advance(Duration::from_secs(61));
    while server.losses().is_empty() {
        clock.advance(Duration::from_millis(10));
        let _ = main.flush(Duration::from_millis(50));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(folders(folder.path()).len(), 1);
    assert_eq!(names(&server.order()), Vec::<String>::new());
    assert_eq!(server.losses().iter().map(|loss| loss.to - loss.from + 1).sum::<u64>(), 10);
}

#[test]
fn a_folder_that_was_another_projects_is_not_taken_for_this_ones() {
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(MemoryServer::new());
    let first = builder(&server).queue_dir(folder.path()).build().unwrap();
    first.hold();
    first.track(event(0)).unwrap();
    first.shutdown().unwrap();
    std::fs::rename(folder.path().join("demo"), folder.path().join("two")).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let second = builder(&server).project("two").queue_dir(folder.path());
    let second = second.on_problem(move |problem| drop(tell.send(problem.clone()))).build().unwrap();
    let problem = told.recv_timeout(LONG).unwrap();
    assert!(matches!(&problem, Problem::Storage(why) if why.contains("demo")), "{problem:?}");
    assert!(!second.flush(Duration::from_millis(50)).complete);
    assert_eq!(server.order(), []);
}
