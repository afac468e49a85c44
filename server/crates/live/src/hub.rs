//! What the workers publish. The writer never waits: a state cell holds the newest numbers, and a subscriber
//! that is slow simply sees fewer of them; the tail of events drops and counts for whoever falls behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use footpath_engine::metric::Sketch;
use footpath_engine::{SliceValue, Tallies};
use footpath_model::definition::FunnelDefinition;
use hashbrown::HashMap;
use parking_lot::RwLock;
use tokio::sync::{broadcast, watch};

use crate::view::ViewKey;

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
    /// Changes of a unit's result.
    pub persons: u64,
    /// The sum of its changes at each step; steps it never touched may be left out at the end.
    pub steps: Vec<i64>,
}

impl CauseTotal {
    /// Counts one unit that counts for something else.
    pub fn count(&mut self, before: &Tallies, now: &Tallies) {
        self.persons += 1;
        before.as_slice().iter().for_each(|tally| self.add(tally.steps, -1));
        now.as_slice().iter().for_each(|tally| self.add(tally.steps, 1));
    }

    fn add(&mut self, steps: u32, sign: i64) {
        let deepest = (u32::BITS - steps.leading_zeros()) as usize;
        if self.steps.len() < deepest {
            self.steps.resize(deepest, 0);
        }
        let reached = self.steps.iter_mut().enumerate().filter(|(step, _)| steps & (1 << step) != 0);
        reached.for_each(|(_, count)| *count += sign);
    }
}

/// A funnel's numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct FunnelNumbers {
    /// The steps' labels.
    pub labels: Vec<String>,
    /// How many reached each step.
    pub reached: Vec<u64>,
    /// How long those took who reached the last one, in microseconds.
    pub took: Sketch,
    /// What each cause changed since the worker started: differences name a delta's causes.
    pub causes: [CauseTotal; CAUSES],
    /// With a breakdown: the largest values, and the rest added up.
    pub slices: Vec<Slice>,
}

impl FunnelNumbers {
    /// Before any event.
    pub fn nothing(definition: &FunnelDefinition) -> Self {
        Self {
            labels: definition.steps.iter().map(|step| step.label().to_owned()).collect(),
            reached: vec![0; definition.steps.len()],
            took: Sketch::new(),
            causes: Default::default(),
            slices: Vec::new(),
        }
    }
}

/// A funnel's numbers of one value of its breakdown.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// Which value.
    pub value: SliceValue,
    /// How many reached each step.
    pub reached: Vec<u64>,
    /// How long those took who reached the last one, in microseconds.
    pub took: Sketch,
}

impl Slice {
    /// Adds another value's numbers.
    pub fn add(&mut self, other: &Self) {
        self.reached.iter_mut().zip(&other.reached).for_each(|(own, other)| *own += other);
        self.took.merge(&other.took);
    }
}

/// The numbers of a view.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    /// Not counted yet.
    None,
    /// A funnel's.
    Funnel(FunnelNumbers),
}

/// Where a view stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// The definition's version.
    pub version: u64,
    /// What the numbers hold for.
    pub at: Progress,
    /// Whether stored events are in.
    pub live: bool,
    /// Progress of the back-fill.
    pub percent: u32,
}

/// A view's numbers and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Where it stands.
    pub standing: Standing,
    /// The numbers.
    pub numbers: Numbers,
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

type Cells = HashMap<(u32, ViewKey), watch::Sender<Arc<Shown>>>;

/// Where subscribers find what they watch.
#[derive(Debug)]
pub struct Hub {
    views: RwLock<Cells>,
    tail: broadcast::Sender<Arc<TailFrame>>,
    read: watch::Sender<Progress>,
    complete: watch::Sender<Progress>,
    starting: AtomicUsize,
}

impl Hub {
    /// An empty hub whose tail keeps `frames` frames for whoever is slow.
    pub fn new(frames: usize) -> Self {
        Self {
            views: RwLock::default(),
            tail: broadcast::Sender::new(frames),
            read: watch::Sender::new(Progress::default()),
            complete: watch::Sender::new(Progress::default()),
            starting: AtomicUsize::new(0),
        }
    }

    /// A view's numbers, now and whenever they change; the sender is gone once the view is. `None` if the live path does not
    /// know it.
    pub fn view(&self, project: u32, key: &ViewKey) -> Option<watch::Receiver<Arc<Shown>>> {
        self.views.read().get(&(project, key.clone())).map(watch::Sender::subscribe)
    }

    /// Where a view stands.
    pub fn standing(&self, project: u32, key: &ViewKey) -> Option<Standing> {
        self.views.read().get(&(project, key.clone())).map(|cell| cell.borrow().standing)
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

    /// How many views that were defined before the start are still back-filled; means something once
    /// [`Hub::read`] is above 0.
    pub fn starting(&self) -> usize {
        self.starting.load(Ordering::Acquire)
    }

    pub(crate) fn publish_starting(&self, views: usize) {
        self.starting.store(views, Ordering::Release);
    }

    pub(crate) fn publish(&self, project: u32, key: &ViewKey, shown: Shown) {
        let (shown, cell) = (Arc::new(shown), (project, key.clone()));
        if let Some(cell) = self.views.read().get(&cell) {
            cell.send_replace(shown);
            return;
        }
        self.views.write().insert(cell, watch::Sender::new(shown));
    }

    pub(crate) fn end(&self, project: u32, key: &ViewKey) {
        self.views.write().remove(&(project, key.clone()));
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
    use footpath_engine::Tally;

    use super::*;

    #[test]
    fn whoever_watches_a_view_is_told_that_it_is_gone() {
        let hub = Hub::new(1);
        let key = ViewKey::Funnel("f".into());
        hub.publish(1, &key, Shown { standing: Standing::default(), numbers: Numbers::None });
        let watch = hub.view(1, &key).unwrap();
        assert!(!watch.has_changed().unwrap());
        hub.end(1, &key);
        assert!(watch.has_changed().is_err(), "the sender is gone");
        assert!(hub.view(1, &key).is_none());
    }

    #[test]
    fn a_cause_knows_what_it_changed_at_each_step() {
        let one = |steps| Tallies::One(Tally::new(steps, 0, None));
        let mut total = CauseTotal::default();
        total.count(&Tallies::None, &one(0b111));
        total.count(&one(0b1), &one(0b11));
        total.count(&one(0b11), &Tallies::None);
        assert_eq!(total, CauseTotal { persons: 3, steps: vec![0, 1, 1] });
    }
}
