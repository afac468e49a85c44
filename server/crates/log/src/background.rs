//! Work that must not hold up the sequencer's thread: sorting, writing, syncing.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// Something to do later, once.
pub type Job = Box<dyn FnOnce() + Send>;

/// Takes jobs and runs them one after the other, in order, somewhere else. A job that is dropped instead is noticed
/// by whoever waits for its result. Tests pass their own and choose when a job runs.
pub type Background = Arc<dyn Fn(Job) + Send + Sync>;

/// A thread for background work. It ends after its last job when the last clone is dropped.
///
/// # Errors
/// The system could not start a thread.
pub fn background_thread(name: &str) -> io::Result<Background> {
    let (sender, jobs) = crossbeam_channel::unbounded::<Job>();
    thread::Builder::new().name(name.to_owned()).spawn(move || jobs.iter().for_each(|job| job()))?;
    Ok(Arc::new(move |job| {
        if sender.send(job).is_err() {
            tracing::error!("the background thread has ended; restart the server");
        }
    }))
}

/// Waits for threads that were told to stop. One that had panicked is named.
pub fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        let name = thread.thread().name().unwrap_or_default().to_owned();
        if thread.join().is_err() {
            tracing::error!(name, "this thread had panicked");
        }
    }
}

/// Makes the calling thread less urgent than the others, by a nice value of 0 to 19: for long work that nobody waits
/// for. On Linux a nice value belongs to the thread; elsewhere it would slow the whole process, so nothing changes there.
pub fn lower_priority(nice: i32) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, nice) {
        tracing::debug!(%error, "a background thread keeps the usual priority");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = nice;
}

/// Runs jobs when a test says so.
#[cfg(test)]
#[derive(Clone, Default)]
pub(crate) struct Manual(Arc<parking_lot::Mutex<std::collections::VecDeque<Job>>>);

#[cfg(test)]
impl Manual {
    pub(crate) fn background(&self) -> Background {
        let jobs = Arc::clone(&self.0);
        Arc::new(move |job| jobs.lock().push_back(job))
    }

    /// Runs the oldest job; `false` if there is none.
    pub(crate) fn run_one(&self) -> bool {
        let job = self.0.lock().pop_front();
        job.map(|job| job()).is_some()
    }

    pub(crate) fn run_all(&self) {
        while self.run_one() {}
    }

    /// The process dies before they are run.
    pub(crate) fn forget(&self) {
        self.0.lock().clear();
    }
}
