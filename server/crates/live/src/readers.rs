//! The threads that read stored events for the worker.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TryIter, unbounded};
use footpath_history::Stored;
use footpath_log::{Log, lower_priority};

use crate::LiveError;
use crate::hub::Hub;
use crate::reading::{Fill, Filled, Ledger, Sources};
use crate::view::{Brought, Reading, ViewKey};
use crate::worker::PAUSE;

/// A reading that a view asked for.
pub struct Job {
    /// The project's number.
    pub project: u32,
    /// The view; `None` for what is known of persons and groups.
    pub view: Option<ViewKey>,
    /// The reading's number.
    pub number: u64,
    /// What is done.
    pub reading: Reading,
}

/// What a reading brings.
pub enum Done {
    /// Units were read.
    Read {
        /// The project's number.
        project: u32,
        /// The view; `None` as above.
        view: Option<ViewKey>,
        /// The reading's number.
        number: u64,
        /// What it brought.
        brought: Result<Brought, LiveError>,
    },
    /// A back-fill goes on.
    Percent {
        /// What was asked for.
        job: Arc<Fill>,
        /// How much of the stored events was read.
        percent: u32,
    },
    /// A back-fill ended; `None` if it was cancelled.
    Filled {
        /// What was asked for.
        job: Arc<Fill>,
        /// The folded definition.
        filled: Box<Result<Option<Filled>, LiveError>>,
    },
}

/// Two threads, so that a long back-fill never holds up the repair of a unit.
pub struct Readers {
    refolds: Option<Sender<Job>>,
    fills: Option<Sender<Arc<Fill>>>,
    done: Receiver<Done>,
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Starts the threads.
    ///
    /// # Errors
    /// If one cannot be started.
    pub fn start(stored: &Stored, log: &Arc<dyn Log>, hub: &Arc<Hub>, ledger: &Ledger) -> io::Result<Self> {
        let (refolds, refold_jobs) = unbounded::<Job>();
        let (fills, fill_jobs) = unbounded::<Arc<Fill>>();
        let (sender, done) = unbounded();
        let stopping = Arc::new(AtomicBool::new(false));
        let (own, told, stop) = (stored.clone(), sender.clone(), Arc::clone(&stopping));
        let refold = move || {
            for Job { project, view, number, mut reading } in refold_jobs {
                let brought = guarded(&stop, || Ok(reading(&own, &stop)?));
                let _ = told.send(Done::Read { project, view, number, brought }); // The worker may be gone.
            }
        };
        let (stored, log, hub, stop) =
            (stored.clone(), Arc::clone(log), Arc::clone(hub), Arc::clone(&stopping));
        let ledger = Arc::clone(ledger);
        let fill = move || {
            lower_priority(FILL_NICE);
            let live = || hub.read().borrow().position;
            let sources =
                Sources { stored: &stored, log: log.as_ref(), ledger: &ledger, live: &live, stop: &stop };
            for job in fill_jobs {
                fill_one(&job, &sources, &sender);
            }
        };
        let threads = vec![spawn("refold", refold)?, spawn("back-fill", fill)?];
        Ok(Self { refolds: Some(refolds), fills: Some(fills), done, stopping, threads })
    }

    /// Asks for units to be read.
    pub fn read(&self, job: Job) {
        if let Some(refolds) = &self.refolds {
            let _ = refolds.send(job); // The thread ends only with this value.
        }
    }

    /// Asks for a definition to be folded.
    pub fn fill(&self, job: Arc<Fill>) {
        if let Some(fills) = &self.fills {
            let _ = fills.send(job); // As above.
        }
    }

    /// What has come.
    pub fn done(&self) -> TryIter<'_, Done> {
        self.done.try_iter()
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        (self.refolds, self.fills) = (None, None);
        footpath_log::join(self.threads.drain(..));
    }
}

/// How much less urgent a back-fill is than what is live already: as much as the chunk writer. Above it, it would hold that
/// up, and with it senders; below it, it would not join while the machine is busy.
const FILL_NICE: i32 = 10;

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.into()).spawn(work)
}

/// Runs a reading. One that fails, in whatever way, is answered after a pause: it will be asked for again.
fn guarded<T>(stop: &AtomicBool, reading: impl FnOnce() -> Result<T, LiveError>) -> Result<T, LiveError> {
    let result = catch_unwind(AssertUnwindSafe(reading)).unwrap_or(Err(LiveError::Panicked));
    if result.is_err() && !stop.load(Ordering::Relaxed) {
        std::thread::sleep(PAUSE);
    }
    result
}

fn fill_one(job: &Arc<Fill>, sources: &Sources<'_>, sender: &Sender<Done>) {
    let mut percent = |percent| {
        let _ = sender.send(Done::Percent { job: Arc::clone(job), percent }); // The worker may be gone.
    };
    let filled = guarded(sources.stop, || job.run(sources, &mut percent));
    let _ = sender.send(Done::Filled { job: Arc::clone(job), filled: Box::new(filled) });
}
