//! Files that are damaged or deleted.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use footpath_client::{Changes, MemoryServer, Problem, Receipt};

use crate::support::{LONG, assert_no_gaps, builder, copy, event, names};

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
    let database = std::fs::read(folder.path().join("demo/main/queue.sqlite")).unwrap();
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
        std::fs::write(damaged.path().join("demo/main/queue.sqlite"), file).unwrap();
        let client = start(damaged.path());
        client.track(event(0)).unwrap();
        assert!(client.flush(LONG).complete, "page {page}: {:?}", client.stats());
    }
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
    let database = folder.path().join("demo/main/queue.sqlite");
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
    let database = folder.path().join("demo/main/queue.sqlite");
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
    std::fs::remove_file(left.join("demo/main/queue.sqlite-wal")).unwrap();
    let client = builder(&server).queue_dir(&left).build().unwrap();
    client.track(event(500)).unwrap();
    assert!(client.flush(LONG).complete, "{:?}", client.stats());
    assert_eq!(server.order().len(), 501);
    assert_no_gaps(&server);
}

#[test]
fn a_folder_that_is_deleted_in_use_costs_nothing() {
    for whole in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let server = Arc::new(MemoryServer::new());
        let client = builder(&server).queue_dir(folder.path()).build().unwrap();
        client.hold();
        client.identify("ann", Changes::new()).unwrap();
        assert_eq!(client.track_critical(event(0)).unwrap().queued(LONG), Some(Receipt::Queued));
        let who = client.who();
        let queue = folder.path().join("demo/main");
        if whole {
            std::fs::remove_dir_all(&queue).unwrap()
        } else {
            std::fs::remove_file(queue.join("queue.sqlite")).unwrap()
        }
        let second = client.track_critical(event(1)).unwrap();
        assert_eq!(second.queued(LONG), Some(Receipt::Queued));
        assert_eq!(client.who(), who);
        client.shutdown().unwrap();
        drop(client);
        let client = builder(&server).queue_dir(folder.path()).build().unwrap();
        assert_eq!(client.receipt(second.id()).delivered(LONG), Some(Receipt::Acked));
        assert!(client.flush(LONG).complete);
        assert_eq!(names(&server.order()), ["e0", "e1", "$identify"]);
        assert_eq!(client.who(), who);
        assert_no_gaps(&server);
    }
}

#[test]
fn a_database_that_is_gone_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(MemoryServer::new());
    let told = || {
        let (tell, told) = std::sync::mpsc::channel();
        let client = builder(&server)
            .queue_dir(folder.path())
            .on_problem(move |problem| drop(tell.send(problem.clone())));
        let client = client.build().unwrap();
        client.track(event(0)).unwrap();
        assert!(client.flush(LONG).complete);
        client.shutdown().unwrap();
        told.try_iter().collect::<Vec<_>>()
    };
    let database = folder.path().join("demo/main/queue.sqlite");
    assert_eq!(told(), []);
    std::fs::write(&database, b"").unwrap();
    assert!(matches!(&told()[..], [Problem::Lost(_)]));
    assert_eq!(told(), []);
    std::fs::remove_file(&database).unwrap();
    assert!(matches!(&told()[..], [Problem::Lost(_)]));
}
