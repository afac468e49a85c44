//! What the workers publish. The writer never waits: a state cell holds the newest numbers, and a subscriber
//! that is slow simply sees fewer of them; the tail of events drops and counts for whoever falls behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use hashbrown::HashMap;
use parking_lot::RwLock;
use tokio::sync::{broadcast, watch};

/// Why numbers changed; the index into [`FunnelNumbers::causes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Cause {
    /// An event in its turn.
    Event = 0,
    /// An event older than one already counted of its person.
    LateEvent = 1,
    /// Two actors became one person.
    Merge = 2,
    /// The range moved on.
    WindowMoved = 3,
    /// The definition was made or changed.
    Definition = 4,
}

/// How many causes there are.
pub const CAUSES: usize = 5;

/// What one cause has changed since the worker started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CauseTotal {
    /// Changes of a person's result.
    pub persons: u64,
    /// The sum of its changes at each step; steps it never touched may be left out at the end.
    pub steps: Vec<i64>,
}

impl CauseTotal {
    /// Counts one person who went from depth `before` to depth `after`.
    pub fn count(&mut self, before: usize, after: usize) {
        self.persons += 1;
        let deepest = before.max(after);
        if self.steps.len() < deepest {
            self.steps.resize(deepest, 0);
        }
        let sign = if after > before { 1 } else { -1 };
        self.steps[before.min(after)..deepest].iter_mut().for_each(|step| *step += sign);
    }
}

/// A funnel's numbers at a position.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FunnelNumbers {
    /// The definition's version.
    pub version: u64,
    /// The steps' labels.
    pub labels: Vec<String>,
    /// Persons who reached each step.
    pub reached: Vec<u64>,
    /// What each cause changed since the worker started: differences name a delta's causes.
    pub causes: [CauseTotal; CAUSES],
    /// The log position (exclusive) they hold for.
    pub position: u64,
    /// Every event acknowledged before this append time is in.
    pub processed_us: i64,
    /// Whether stored events are in.
    pub live: bool,
    /// Progress of the back-fill.
    pub percent: u32,
}

/// A frame of the log, handed to the tails.
#[derive(Debug, Clone)]
pub struct TailFrame {
    /// The frame's position.
    pub offset: u64,
    /// When it was put on disk.
    pub append_us: i64,
    /// The project's number.
    pub project: u32,
    /// The frame.
    pub frame: Bytes,
}

/// A place in the log: up to where something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Progress {
    /// The next log position.
    pub position: u64,
    /// Append time before which everything is in.
    pub processed_us: i64,
}

type Cells = HashMap<(u32, String), watch::Sender<Arc<FunnelNumbers>>>;

/// Where subscribers find what they watch.
#[derive(Debug)]
pub struct Hub {
    funnels: RwLock<Cells>,
    tail: broadcast::Sender<Arc<TailFrame>>,
    read: watch::Sender<Progress>,
    complete: watch::Sender<Progress>,
    starting: AtomicUsize,
}

impl Hub {
    /// An empty hub whose tail keeps `frames` frames for whoever is slow.
    pub fn new(frames: usize) -> Self {
        Self {
            funnels: RwLock::default(),
            tail: broadcast::Sender::new(frames),
            read: watch::Sender::new(Progress::default()),
            complete: watch::Sender::new(Progress::default()),
            starting: AtomicUsize::new(0),
        }
    }

    /// A funnel's numbers, now and whenever they change; the sender is gone once the funnel is. `None` if the live path does not know the funnel.
    pub fn funnel(&self, project: u32, id: &str) -> Option<watch::Receiver<Arc<FunnelNumbers>>> {
        self.funnels.read().get(&(project, id.to_owned())).map(watch::Sender::subscribe)
    }

    /// All frames from now on.
    pub fn tail(&self) -> broadcast::Receiver<Arc<TailFrame>> {
        self.tail.subscribe()
    }

    /// How far the worker has read; 0 until it has its state.
    pub fn read(&self) -> watch::Receiver<Progress> {
        self.read.subscribe()
    }

    /// How complete all numbers are: as far as the worker has read, or up to the oldest event that could not be placed
    /// yet.
    pub fn complete(&self) -> watch::Receiver<Progress> {
        self.complete.subscribe()
    }

    /// How many funnels that were defined before the start are still back-filled; means something once
    /// [`Hub::read`] is above 0.
    pub fn starting(&self) -> usize {
        self.starting.load(Ordering::Acquire)
    }

    pub(crate) fn publish_starting(&self, funnels: usize) {
        self.starting.store(funnels, Ordering::Release);
    }

    pub(crate) fn publish_funnel(&self, project: u32, id: &str, numbers: FunnelNumbers) {
        let numbers = Arc::new(numbers);
        if let Some(cell) = self.funnels.read().get(&(project, id.to_owned())) {
            cell.send_replace(numbers);
            return;
        }
        self.funnels.write().insert((project, id.to_owned()), watch::Sender::new(numbers));
    }

    pub(crate) fn end_funnel(&self, project: u32, id: &str) {
        self.funnels.write().remove(&(project, id.to_owned()));
    }

    pub(crate) fn publish_frame(&self, frame: impl FnOnce() -> TailFrame) {
        if self.tail.receiver_count() > 0 {
            let _ = self.tail.send(Arc::new(frame())); // Fails only when the last receiver just left.
        }
    }

    pub(crate) fn publish_progress(&self, read: Progress, complete: Progress) {
        self.complete.send_replace(complete);
        self.read.send_replace(read);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_watches_a_funnel_is_told_that_it_is_gone() {
        let hub = Hub::new(1);
        hub.publish_funnel(1, "f", FunnelNumbers::default());
        let watch = hub.funnel(1, "f").unwrap();
        assert!(!watch.has_changed().unwrap());
        hub.end_funnel(1, "f");
        assert!(watch.has_changed().is_err(), "the sender is gone");
        assert!(hub.funnel(1, "f").is_none());
    }

    #[test]
    fn a_cause_knows_what_it_changed_at_each_step() {
        let mut total = CauseTotal::default();
        total.count(0, 3);
        total.count(1, 2);
        total.count(2, 0);
        assert_eq!(total, CauseTotal { persons: 3, steps: vec![0, 1, 1] });
    }
}
