//! How far the store follows the log. The log is the truth: a definition's handler writes a control record and
//! waits here until the one consumer that writes definitions into the store has read it.

use std::time::Duration;

use footpath_live::Progress;
use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;
use tonic::Status;

use crate::status::unavailable;

/// The consumer works through far more than one record in this time, unless its disk is in trouble.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the consumer and those who wait for it meet.
#[derive(Debug, Default)]
pub struct Projection {
    awaited: Mutex<bool>,
    wake: Condvar,
    progress: watch::Sender<Progress>,
}

impl Projection {
    /// Returns when the record at `position` is in the store.
    ///
    /// # Errors
    /// UNAVAILABLE if that takes too long; the record is in the log and will be in the store.
    pub async fn reached(&self, position: u64) -> Result<(), Status> {
        *self.awaited.lock() = true;
        self.wake.notify_one();
        let mut progress = self.progress.subscribe();
        let waiting = progress.wait_for(|progress| progress.position > position);
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(unavailable(
                "store_behind",
                "the change is on record but the store is behind; read it again in a moment",
            )),
        }
    }

    /// How far the store is.
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// For the consumer: the store holds everything below `progress.position`.
    pub fn publish(&self, progress: Progress) {
        self.progress.send_replace(progress);
    }

    /// For the consumer: blocks until somebody waits, at most for `pause`; whether somebody does.
    pub fn rest(&self, pause: Duration) -> bool {
        let mut awaited = self.awaited.lock();
        if !*awaited {
            self.wake.wait_for(&mut awaited, pause);
        }
        std::mem::take(&mut awaited)
    }
}
