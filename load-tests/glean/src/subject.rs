//! What is measured, seen alike.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::event::Event;

/// Long enough for whatever is waited for here; a run that takes longer is broken.
const PATIENCE: Duration = Duration::from_secs(120);

/// A client that records events.
pub trait Subject {
    /// The public call. `false`: refused, because the queue is full.
    fn record(&self, event: Event) -> bool;

    /// Waits until every recorded event is where it stays.
    fn settle(&self) -> Result<()>;

    /// Ends it in order.
    fn end(self) -> Result<()>;
}

/// Records as many events, as fast as they are taken, and says how often one was refused first.
pub fn record_all(subject: &impl Subject, events: u64, pause: Duration) -> u64 {
    let mut refused = 0;
    for n in 0..events {
        while !subject.record(Event::nth(n)) {
            refused += 1;
            std::thread::sleep(Duration::from_millis(1));
        }
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
    }
    refused
}

/// Waits until it is so.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !is_so()? {
        ensure!(start.elapsed() < PATIENCE, "gave up waiting: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Sizes of all files under a folder.
pub fn bytes_under(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // Files come and go while a client works; one that is gone has no size.
        let Ok(meta) = entry.metadata() else { continue };
        bytes += if meta.is_dir() { bytes_under(&entry.path())? } else { meta.len() };
    }
    Ok(bytes)
}
