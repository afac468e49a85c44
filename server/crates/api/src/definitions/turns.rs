//! Work that takes a core for as long as it lasts: so much of it at once, and none that nobody waits for.

use std::sync::Arc;

use footpath_history::Stop;
use tokio::sync::Semaphore;
use tonic::Status;

use crate::query::blocking;
use crate::status::internal;

/// The turns of some work. Clones share them.
#[derive(Debug, Clone)]
pub struct Turns(Arc<Semaphore>);

impl Turns {
    /// So many at once.
    pub fn new(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once)))
    }

    /// Waits for a turn, then works where nobody else waits. Work is to look at the [`Stop`] it is given: the call that waits for it may end
    /// early, and drops this future then.
    ///
    /// # Errors
    /// INTERNAL if the work ends unexpectedly.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Stop) -> T + Send + 'static,
    ) -> Result<T, Status> {
        let stop = Stop::default();
        let _waiting = stop.on_drop();
        let turn = Arc::clone(&self.0).acquire_owned().await;
        let turn = turn.map_err(|error| internal(&error.to_string()))?;
        blocking(move || {
            let _turn = turn; // Until the work has ended, whoever waits for it.
            work(&stop)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc;

    use super::*;

    /// Work that says that it has begun, and goes on until nobody waits; then it says that.
    fn endless(told: mpsc::Sender<&'static str>) -> impl FnOnce(&Stop) {
        move |stop| {
            told.blocking_send("begun").unwrap();
            let patience = std::iter::repeat_n(Duration::from_millis(10), 1_000);
            let is_stopped = patience.map(std::thread::sleep).any(|()| stop.check().is_err());
            told.blocking_send(if is_stopped { "stopped" } else { "not stopped" }).unwrap();
        }
    }

    #[tokio::test]
    async fn who_goes_gives_the_turn_to_the_next() {
        let turns = Turns::new(1);
        let (sender, mut told) = mpsc::channel(2);
        let first = tokio::spawn({
            let (turns, work) = (turns.clone(), endless(sender));
            async move { turns.run(work).await }
        });
        assert_eq!(told.recv().await, Some("begun"));
        let second = tokio::spawn(async move { turns.run(|_| 2).await });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        first.abort();
        assert_eq!(second.await.unwrap().unwrap(), 2);
        assert_eq!(told.try_recv(), Ok("stopped"));
    }
}
