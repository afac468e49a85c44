//! Milliseconds to open a log of many gigabytes: `cargo run --release -p footpath-log --example open_ms -- FOLDER GIB`.
//! Writes the log into FOLDER, which must be empty and is left for you to remove.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // A measurement asks the machine's clock.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use footpath_log::{EmbeddedLog, EmbeddedOptions, Entry, Log, RealDisk, WriteMode};

fn open(folder: &Path) -> EmbeddedLog {
    let disk = Arc::new(RealDisk::open(folder, WriteMode::Direct).unwrap());
    EmbeddedLog::open(disk, EmbeddedOptions::new(1)).unwrap()
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    println!("{what}: {} ms", start.elapsed().as_millis());
    result
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("give a folder");
    let folder = Path::new(&folder);
    let groups = arguments.next().map_or(4, |gib| gib.parse::<u64>().unwrap()) * 1024;
    let log = timed("open an empty folder", || open(folder));
    let payload = bytes::Bytes::from(vec![7; 1 << 20]);
    timed("write", || {
        for number in 0..groups {
            let entry = Entry { append_time_us: number as i64, payload: payload.clone() };
            log.append_group(&[entry]).unwrap();
        }
    });
    drop(log);
    let log = timed("open", || open(folder));
    timed("read the oldest record", || log.read(0, 1).unwrap());
    assert_eq!(log.durable_end(), groups);
}
