//! An answer that nobody waits for any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::HistoryError;

/// Tells a question that nobody waits for its answer. Clones tell and hear the same.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

/// Stops when it is dropped: held by who waits.
#[derive(Debug)]
#[must_use = "what nobody holds stops at once"]
pub struct StopOnDrop(Stop);

impl Stop {
    /// From now on [`Stop::check`] fails.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Stops when the guard is dropped.
    pub fn on_drop(&self) -> StopOnDrop {
        StopOnDrop(self.clone())
    }

    /// Whether somebody still waits.
    ///
    /// # Errors
    /// [`HistoryError::Stopped`] if nobody does.
    pub fn check(&self) -> Result<(), HistoryError> {
        if self.0.load(Ordering::Relaxed) { Err(HistoryError::Stopped) } else { Ok(()) }
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}
