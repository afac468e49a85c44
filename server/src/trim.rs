//! Lets go of the log behind its slowest reader.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use footpath_log::Log;

/// Images and snapshots come once a minute, and whole segments are let go: there is no hurry.
const EVERY: Duration = Duration::from_secs(5);
const LEAST: Duration = Duration::from_millis(10);

/// The running trimmer; stops when dropped.
pub struct Trimmer {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Trimmer {
    /// Trims `log` to what `needed` says: the lowest position that somebody still reads. No need to look more often than
    /// images come.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(
        log: Arc<dyn Log>,
        images_every: Duration,
        needed: impl Fn() -> u64 + Send + 'static,
    ) -> io::Result<Self> {
        let every = images_every.clamp(LEAST, EVERY);
        let (stop, stopped) = channel::<()>();
        let work = move || {
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                let below = needed();
                if below <= log.first() {
                    continue;
                }
                if let Err(error) = log.trim(below) {
                    tracing::warn!(%error, below, "the log could not be trimmed; trying again");
                }
            }
        };
        let thread = std::thread::Builder::new().name("trim".into()).spawn(work)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Trimmer {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // A panic was reported when it happened.
        }
    }
}
