//! All queues.

use std::collections::HashMap;
use std::sync::Arc;

use footpath_model::clock::Clock;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::queue::{Queue, Shared};
use crate::sender::Sender;
use crate::{
    Attempt, Counters, Destination, Guard, InvalidDestination, Notice, Outbox, OutboxError, Outcome,
    Settings, SettingsError,
};

/// Delivers what the outbox holds, with one queue for each destination.
///
/// Within a destination notices arrive in the order of the outbox: while one is tried again, those behind it wait. Destinations do not wait for each other. A delivery is tried until
/// the receiver takes it, refuses it (4xx other than 408, 425 and 429, an address that is not allowed), or it is 24 hours old; then the next one's turn has come. An
/// acknowledgement or a resolution is not sent when nothing of its incident arrived before, since it would tell of what the receiver does not
/// know. After a crash the attempt whose outcome was not recorded is made again, with the same id.
pub struct Deliverer {
    shared: Arc<Shared>,
    plain: bool,
    guard: Guard,
    runtime: Handle,
    queues: Mutex<HashMap<(String, String), Running>>,
}

struct Running {
    destination: watch::Sender<Destination>,
    woken: Arc<Notify>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Deliverer {
    /// A deliverer without destinations; [`put`](Self::put) adds them. `random` is uniform over all `u64`. Call within a tokio runtime.
    ///
    /// # Errors
    /// Settings that cannot be used.
    pub fn start(
        settings: &Settings,
        outbox: Arc<dyn Outbox>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Fn() -> u64 + Send + Sync>,
    ) -> Result<Self, SettingsError> {
        let sender = Sender::new(settings, Arc::clone(&clock))?;
        let shared = Shared { sender, outbox, clock, random, backoff: settings.backoff };
        let (runtime, guard) = (Handle::current(), Guard::new(settings.allow.clone()));
        Ok(Self { shared: Arc::new(shared), plain: settings.http, guard, runtime, queues: Mutex::default() })
    }

    /// Whether a destination that somebody writes can be used. Asks no name server: what a name resolves to is judged at every attempt.
    ///
    /// # Errors
    /// A field that cannot be used, or that leads where nothing may go.
    pub fn check(&self, destination: &Destination) -> Result<(), InvalidDestination> {
        destination.check_written(self.plain, &self.guard)
    }

    /// Adds a destination of a project, and goes on with what the outbox holds for it; or changes it, and tries at once what waits.
    ///
    /// # Errors
    /// A field that cannot be used.
    pub fn put(&self, project: &str, destination: Destination) -> Result<(), InvalidDestination> {
        destination.check(self.plain)?;
        let key = (project.to_owned(), destination.id.clone());
        let mut queues = self.queues.lock();
        match queues.get(&key) {
            Some(running) => drop(running.destination.send_replace(destination)),
            None => drop(queues.insert(key, self.running(project, destination))),
        }
        Ok(())
    }

    fn running(&self, project: &str, destination: Destination) -> Running {
        let (destination, changes) = watch::channel(destination);
        let (stop, stopped) = watch::channel(false);
        let woken = Arc::new(Notify::new());
        let queue = Queue {
            shared: Arc::clone(&self.shared),
            project: project.to_owned(),
            destination: changes,
            woken: Arc::clone(&woken),
            stop: stopped,
        };
        Running { destination, woken, stop, task: self.runtime.spawn(queue.run()) }
    }

    /// Says that the outbox holds something new for a destination. Never waits.
    pub fn wake(&self, project: &str, destination: &str) {
        let key = (project.to_owned(), destination.to_owned());
        if let Some(running) = self.queues.lock().get(&key) {
            running.woken.notify_one();
        }
    }

    /// Tries at once what waits for a destination, as it is now; for when it was seen to work again. Never waits.
    pub fn retry(&self, project: &str, destination: &str) {
        let key = (project.to_owned(), destination.to_owned());
        if let Some(running) = self.queues.lock().get(&key) {
            running.destination.send_modify(|_| {});
        }
    }

    /// Takes a destination away: its queue ends, and what is pending fails. Returns how many deliveries that were.
    ///
    /// # Errors
    /// The outbox's; the queue has ended all the same.
    pub async fn remove(&self, project: &str, destination: &str) -> Result<u64, OutboxError> {
        let running = self.queues.lock().remove(&(project.to_owned(), destination.to_owned()));
        let kind = running.as_ref().map(|running| running.destination.borrow().kind.clone());
        if let Some(running) = running {
            running.end().await;
        }
        let outcome = "not sent: the destination was deleted".to_owned();
        let attempt = Attempt { at_us: self.shared.clock.now_us(), outcome, status: None, took_us: 0 };
        let (project, destination) = (project.to_owned(), destination.to_owned());
        let failed = self.shared.ask(move |outbox| outbox.abandon(&project, &destination, &attempt)).await?;
        if let Some(kind) = kind {
            self.shared.sender.counters.count_failed(&kind, failed);
        }
        Ok(failed)
    }

    /// One attempt, now, past the queue and without a record: for trying a destination. It need not have been [`put`](Self::put).
    pub async fn send_now(&self, destination: &Destination, notice: &Notice) -> Outcome {
        self.shared.sender.attempt(destination, notice).await
    }

    /// What was done since the start.
    pub fn counters(&self) -> &Counters {
        &self.shared.sender.counters
    }

    /// Ends all queues. Attempts that have begun are ended and recorded first, which takes at most the timeout of the settings.
    pub async fn stop(&self) {
        let queues: Vec<_> = self.queues.lock().drain().map(|(_, running)| running).collect();
        for running in &queues {
            running.stop.send_replace(true);
        }
        for running in queues {
            running.end().await;
        }
    }
}

impl Running {
    async fn end(self) {
        self.stop.send_replace(true);
        if self.task.await.is_err() {
            tracing::warn!("an alert's queue ended with a panic");
        }
    }
}
