//! The log's backlog: lets go of what nobody reads any more, and slows the way in when readers fall behind, so that the
//! log never outgrows the disk because it is written faster than it is read.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use footpath_log::sequencer::MOST_PACE_US;
use footpath_log::{EmbeddedLog, Log, Metrics};

/// How often readers are looked at.
const EVERY: Duration = Duration::from_millis(100);
/// A backlog of this size slows nobody. Well below what the log keeps in memory: readers that fall behind that have to
/// read from the disk, which costs more time than they had, so that they would stay behind.
const FREE_BYTES: u64 = 32 << 20;
/// With so much more, groups wait as long as they may.
const FULL_BYTES: u64 = 64 << 20;

/// Positions that the log is judged by.
pub struct Readers {
    /// The lowest position that somebody still needs.
    pub needed: Box<dyn Fn() -> u64 + Send>,
    /// The lowest position that a reader has come to.
    pub read: Box<dyn Fn() -> u64 + Send>,
}

/// The running thread; stops when dropped.
pub struct Backlog {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Backlog {
    /// Watches the readers of `log`, whose sequencer goes by `metrics`.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(log: Arc<EmbeddedLog>, metrics: Arc<Metrics>, readers: Readers) -> io::Result<Self> {
        let (stop, stopped) = channel::<()>();
        let work = move || {
            let mut read_before = 0;
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                let read = (readers.read)();
                let backlog = log.bytes_from(read);
                // A tick later than the slowest: others read less often.
                log.release(std::mem::replace(&mut read_before, read.min(log.durable_end())));
                metrics.pace_us.store(pace_us(backlog), Ordering::Relaxed);
                trim(&log, (readers.needed)());
            }
        };
        let thread = std::thread::Builder::new().name("backlog".into()).spawn(work)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        self.stop = None;
        footpath_log::join(self.thread.take());
    }
}

/// How long a group waits at a backlog: in proportion to what is more than free, so that it settles where both are
/// equally fast.
fn pace_us(backlog: u64) -> u64 {
    let over = backlog.saturating_sub(FREE_BYTES).min(FULL_BYTES);
    over * MOST_PACE_US / FULL_BYTES
}

fn trim(log: &EmbeddedLog, below: u64) {
    if below <= log.first() {
        return;
    }
    if let Err(error) = log.trim(below) {
        tracing::warn!(%error, below, "the log could not be trimmed; trying again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_slows_the_way_in_by_its_size() {
        assert_eq!(pace_us(FREE_BYTES), 0);
        assert_eq!(pace_us(FREE_BYTES + FULL_BYTES / 2), MOST_PACE_US / 2);
        assert_eq!(pace_us(u64::MAX), MOST_PACE_US);
    }
}
