//! A disk that is really full: a small file system in memory.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use footpath_client::{MemoryServer, Problem};

use crate::support::{LONG, assert_no_gaps, builder, event};

struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, mib: u32) -> Self {
        let size = format!("size={mib}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).status();
        assert!(mounted.unwrap().success(), "only root may mount");
        Self(at.to_owned())
    }

    /// Takes every byte that is left.
    fn fill(&self) {
        let mut file =
            std::fs::File::options().create(true).append(true).open(self.0.join("filler")).unwrap();
        for size in [1 << 16, 1 << 12] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
#[ignore = "mounts a small file system, as root: ./test.sh runs it"]
fn a_full_disk_keeps_nothing_from_being_sent() {
    let folder = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(folder.path(), 16);

    for killed in [false, true] {
        let queue = folder.path().join(format!("queue-{killed}"));
        let server = Arc::new(MemoryServer::new());
        let start = || builder(&server).queue_dir(&queue).batch_bytes(256 << 10);
        let mut events = 0;
        if killed {
            events = 2_000;
            crate::processes::kill_after(&queue, events);
        } else {
            let client = start().build().unwrap();
            client.hold();
            for n in 0..3_000 {
                let track = || event(n).property("filler", "x".repeat(500));
                while client.track(track()).is_err() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                events += 1;
            }
            client.shutdown().unwrap();
        }
        disk.fill();
        let (tell, told) = std::sync::mpsc::channel();
        let client =
            start().on_problem(move |problem: &Problem| drop(tell.send(problem.clone()))).build().unwrap();
        // And goes on tracking: what was sent has left room for it.
        for _ in 0..if killed { 300 } else { 1_500 } {
            client.track(event(events).property("filler", "x".repeat(500))).unwrap();
            events += 1;
        }
        let flushed = client.flush(LONG * 2);
        assert!(flushed.complete, "killed {killed}: {flushed:?}, {:?}", told.try_iter().collect::<Vec<_>>());
        assert_eq!(server.order().len(), events);
        assert_no_gaps(&server);
        client.shutdown().unwrap();
        drop(client);
        std::fs::remove_file(folder.path().join("filler")).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A process fills the disk, and then its ring, and is killed: the next one sends what is in the database, and then has room.
#[test]
#[ignore = "mounts a small file system, as root: ./test.sh runs it"]
fn a_full_ring_on_a_full_disk_keeps_nothing_from_being_sent() {
    let folder = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(folder.path(), 16);
    let queue = folder.path().join("queue");
    let count = crate::processes::kill_when_full(&queue);
    disk.fill();
    let server = Arc::new(MemoryServer::new());
    let client = builder(&server).queue_dir(&queue).build().unwrap();
    for _ in 0..12 {
        if client.flush(LONG / 4).complete {
            break;
        }
    }
    assert_eq!(server.order().len(), count, "{:?}", client.stats());
    assert_no_gaps(&server);
    client.shutdown().unwrap();
}
