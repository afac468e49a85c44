//! Keeps a zero-filled segment ready, so that no group waits until 64 MiB are written.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::{EmbeddedLog, join};

/// A spare is wanted at once when the last one was taken; this is only for a disk that was full.
const RETRY: Duration = Duration::from_millis(500);

/// The running keeper; stops when dropped.
pub struct SpareKeeper {
    log: Arc<EmbeddedLog>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl SpareKeeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system could not start a thread.
    pub fn start(log: Arc<EmbeddedLog>) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, kept) = (Arc::clone(&stop), Arc::clone(&log));
        let work = move || {
            let mut failed = false;
            while !stopped.load(Ordering::SeqCst) {
                let prepared = kept.prepare_spare();
                if let Err(error) = &prepared {
                    if !failed {
                        tracing::warn!(%error, "the next segment of the log cannot be prepared; trying again");
                    }
                    std::thread::sleep(RETRY);
                }
                failed = prepared.is_err();
                kept.wait_until_spare_taken(RETRY);
            }
        };
        let thread = std::thread::Builder::new().name("log-spares".into()).spawn(work)?;
        Ok(Self { log, stop, thread: Some(thread) })
    }
}

impl Drop for SpareKeeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.log.wake_keeper();
        join(self.thread.take());
    }
}
