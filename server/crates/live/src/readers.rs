//! The threads that read stored events for the worker.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TryIter, unbounded};
use footpath_engine::PersonFunnel;
use footpath_history::Stored;
use footpath_log::{Log, lower_priority};

use crate::LiveError;
use crate::hub::Hub;
use crate::reading::{Fill, Filled, Refold};
use crate::worker::PAUSE;

/// What a reading brings.
pub enum Done {
    /// Persons were folded again.
    Refolded {
        /// What was asked for.
        job: Box<Refold>,
        /// Every person's fold.
        folds: Result<Vec<(u64, PersonFunnel)>, LiveError>,
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

/// Two threads, so that a long back-fill never holds up the repair of a person.
pub struct Readers {
    refolds: Option<Sender<Refold>>,
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
    pub fn start(stored: &Stored, log: &Arc<dyn Log>, hub: &Arc<Hub>) -> io::Result<Self> {
        let (refolds, refold_jobs) = unbounded::<Refold>();
        let (fills, fill_jobs) = unbounded::<Arc<Fill>>();
        let (sender, done) = unbounded();
        let stopping = Arc::new(AtomicBool::new(false));
        let (own, told, stop) = (stored.clone(), sender.clone(), Arc::clone(&stopping));
        let refold = move || {
            for job in refold_jobs {
                let folds = guarded(&stop, || Ok(job.run(&own, &stop)?));
                let _ = told.send(Done::Refolded { job: Box::new(job), folds }); // The worker may be gone.
            }
        };
        let (stored, log, hub, stop) =
            (stored.clone(), Arc::clone(log), Arc::clone(hub), Arc::clone(&stopping));
        let fill = move || {
            lower_priority(FILL_NICE);
            for job in fill_jobs {
                fill_one(&job, &stored, log.as_ref(), &hub, &stop, &sender);
            }
        };
        let threads = vec![spawn("refold", refold)?, spawn("back-fill", fill)?];
        Ok(Self { refolds: Some(refolds), fills: Some(fills), done, stopping, threads })
    }

    /// Asks for persons to be folded again.
    pub fn refold(&self, job: Refold) {
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

fn fill_one(
    job: &Arc<Fill>,
    stored: &Stored,
    log: &dyn Log,
    hub: &Hub,
    stop: &AtomicBool,
    sender: &Sender<Done>,
) {
    let live = || hub.read().borrow().position;
    let mut percent = |percent| {
        let _ = sender.send(Done::Percent { job: Arc::clone(job), percent }); // The worker may be gone.
    };
    let filled = guarded(stop, || job.run(stored, log, &live, stop, &mut percent));
    let _ = sender.send(Done::Filled { job: Arc::clone(job), filled: Box::new(filled) });
}
