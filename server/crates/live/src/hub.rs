//! What the workers publish. The writer never waits: a state cell holds the newest numbers, and a subscriber
//! that is slow simply sees fewer of them; the tail of events drops and counts for whoever falls behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use footpath_engine::metric::{Active, Sketch, Table};
use footpath_engine::{SliceValue, Tallies};
use footpath_model::definition::{FunnelDefinition, MetricDefinition};
use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{broadcast, oneshot, watch};

use crate::reconciliation::Reconciliations;
use crate::shape::Shape;
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

/// The numbers of a view.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    /// Not counted yet.
    None,
    /// A funnel's.
    Funnel(Box<FunnelNumbers>),
    /// A metric's.
    Metric(Box<MetricNumbers>),
    /// Those of sessions.
    Sessions(Box<SessionNumbers>),
    /// Who is active.
    Active(Active),
}

impl MetricNumbers {
    /// Numbers of a definition.
    pub fn new(definition: &MetricDefinition, table: Table, span: (i64, Option<i64>)) -> Self {
        Self {
            version: definition.version,
            percentiles: definition.percentiles().to_vec(),
            recounted: false,
            table,
            span,
            causes: [0; CAUSES],
        }
    }
}

/// A metric's numbers in a shape.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricNumbers {
    /// The definition's version.
    pub version: u64,
    /// The percentiles that it asks for.
    pub percentiles: Vec<f64>,
    /// Counted again from stored events, not followed event by event.
    pub recounted: bool,
    /// Rows and columns.
    pub table: Table,
    /// Where the range lies: from inclusive, to exclusive if it has an end.
    pub span: (i64, Option<i64>),
    /// How often each cause changed something since the worker started.
    pub causes: [u64; CAUSES],
}

/// What happened to sessions; the index into [`SessionNumbers::changes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum SessionEventKind {
    /// One began.
    Opened = 0,
    /// One got a later end.
    Extended = 1,
    /// One ended: nothing came for as long as the project's gap.
    Closed = 2,
    /// A late event moved a beginning: a correction.
    Widened = 3,
    /// Two became one: a correction.
    Merged = 4,
    /// Some were read again from stored events: a correction.
    Corrected = 5,
}

/// How many kinds there are.
pub const SESSION_CHANGES: usize = 6;

/// Numbers of the sessions that began in a range.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionNumbers {
    /// How many began.
    pub started: u64,
    /// How many are open now, whenever they began.
    pub open: u64,
    /// How many have a single event.
    pub bounces: u64,
    /// Their events.
    pub events: u64,
    /// From first to last event, added up, in seconds.
    pub duration_s: f64,
    /// Half of them were no longer, in seconds.
    pub median_s: Option<f64>,
    /// Where the range lies: from inclusive, to exclusive if it has an end.
    pub span: (i64, Option<i64>),
    /// How often what happened since the worker started.
    pub changes: [u64; SESSION_CHANGES],
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
    /// What is back-filled to take its place.
    pub next: Option<Next>,
    /// Something that the reader had passed is not in the numbers yet: they hold for `at` however far it goes on, until they are
    /// published again.
    pub behind: bool,
}

/// A newer version of a definition, while the older one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    /// Its version.
    pub version: u64,
    /// Progress of its back-fill.
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

/// Most shapes that are looked at in one project at a time.
pub const MAX_SHAPES: usize = 500;
/// Most views of one project that are there on demand: zones of active persons, sessions.
pub const MAX_ON_DEMAND: usize = 8;

/// A view's numbers for whoever watches, and in the shapes that somebody looks at.
#[derive(Debug)]
struct Cell {
    plain: watch::Sender<Arc<Shown>>,
    shapes: HashMap<Shape, Arc<ShapeCell>>,
}

impl Cell {
    fn new(shown: Arc<Shown>) -> Self {
        Self { plain: watch::Sender::new(shown), shapes: HashMap::new() }
    }
}

/// A shape that somebody looks at.
#[derive(Debug)]
pub struct ShapeCell {
    /// The project's number.
    pub project: u32,
    /// The view.
    pub view: ViewKey,
    /// The shape.
    pub shape: Shape,
    /// Where its numbers are shown.
    pub shown: watch::Sender<Arc<Shown>>,
}

/// Why a shape cannot be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The live path does not know the view.
    Unknown,
    /// The project has as many as it may.
    TooMany,
}

/// A question that is answered once.
#[derive(Debug)]
pub(crate) struct Question {
    /// The project's number.
    pub project: u32,
    /// The view.
    pub view: ViewKey,
    /// The shape.
    pub shape: Shape,
    /// Whoever waits.
    pub reply: oneshot::Sender<Shown>,
}

type Cells = HashMap<(u32, ViewKey), Cell>;

/// Where subscribers find what they watch.
#[derive(Debug)]
pub struct Hub {
    views: RwLock<Cells>,
    /// Counts what is asked for anew: shapes, and views on demand.
    asked: AtomicU64,
    tail: broadcast::Sender<Arc<TailFrame>>,
    read: watch::Sender<Progress>,
    complete: watch::Sender<Progress>,
    starting: AtomicUsize,
    questions: Mutex<Vec<Question>>,
    reconciliations: Reconciliations,
}

impl Hub {
    /// An empty hub whose tail keeps `frames` frames for whoever is slow.
    pub fn new(frames: usize) -> Self {
        Self {
            views: RwLock::default(),
            asked: AtomicU64::new(0),
            tail: broadcast::Sender::new(frames),
            read: watch::Sender::new(Progress::default()),
            complete: watch::Sender::new(Progress::default()),
            starting: AtomicUsize::new(0),
            questions: Mutex::default(),
            reconciliations: Reconciliations::default(),
        }
    }

    /// A view's numbers, now and whenever they change; the sender is gone once the view is. `None` if the live path does not
    /// know it.
    pub fn view(&self, project: u32, key: &ViewKey) -> Option<watch::Receiver<Arc<Shown>>> {
        self.views.read().get(&(project, key.clone())).map(|cell| cell.plain.subscribe())
    }

    /// A view that is there on demand: the worker makes it while somebody watches.
    ///
    /// # Errors
    /// If the project has as many as it may.
    pub fn demand(&self, project: u32, key: ViewKey) -> Result<watch::Receiver<Arc<Shown>>, Refused> {
        let mut views = self.views.write();
        let cell = demanded(&mut views, project, key)?;
        self.asked.fetch_add(1, Ordering::AcqRel);
        Ok(cell.plain.subscribe())
    }

    /// A view's numbers in a shape; of a view on demand, too.
    ///
    /// # Errors
    /// If the view is not known, or the project has as many shapes as it may.
    pub fn shape(
        &self,
        project: u32,
        key: ViewKey,
        shape: Shape,
    ) -> Result<watch::Receiver<Arc<Shown>>, Refused> {
        let mut views = self.views.write();
        let shapes = views.iter().filter(|((own, _), _)| *own == project).map(|(_, cell)| cell.shapes.len());
        let full = shapes.sum::<usize>() >= MAX_SHAPES;
        let cell = match key.on_demand() {
            true => demanded(&mut views, project, key.clone())?,
            false => views.get_mut(&(project, key.clone())).ok_or(Refused::Unknown)?,
        };
        if let Some(known) = cell.shapes.get(&shape) {
            return Ok(known.shown.subscribe());
        }
        if full {
            return Err(Refused::TooMany);
        }
        let standing = cell.plain.borrow().standing;
        let shown = watch::Sender::new(Arc::new(Shown { standing, numbers: Numbers::None }));
        let receiver = shown.subscribe();
        let made = ShapeCell { project, view: key, shape: shape.clone(), shown };
        cell.shapes.insert(shape, Arc::new(made));
        self.asked.fetch_add(1, Ordering::AcqRel);
        Ok(receiver)
    }

    /// A view's numbers in a shape, once: as soon as the view is live and everything that was read is in it. Nobody computes them
    /// before or after. Whoever does not want to wait any longer drops the receiver.
    pub fn ask(&self, project: u32, view: ViewKey, shape: Shape) -> oneshot::Receiver<Shown> {
        let (reply, receiver) = oneshot::channel();
        self.questions.lock().push(Question { project, view, shape, reply });
        receiver
    }

    /// Takes the questions that `answer` does not give back; those whose askers are gone are forgotten.
    pub(crate) fn answer(&self, answer: &mut dyn FnMut(Question) -> Option<Question>) {
        let asked = std::mem::take(&mut *self.questions.lock());
        if asked.is_empty() {
            return;
        }
        let left: Vec<_> =
            asked.into_iter().filter(|one| !one.reply.is_closed()).filter_map(answer).collect();
        self.questions.lock().extend(left);
    }

    /// Grows whenever something is asked for that was not before, or is gone.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Acquire)
    }

    /// All shapes that somebody looks at; others are forgotten.
    pub(crate) fn shapes(&self) -> Vec<Arc<ShapeCell>> {
        let mut views = self.views.write();
        for cell in views.values_mut() {
            cell.shapes.retain(|_, shape| shape.shown.receiver_count() > 0);
        }
        views.values().flat_map(|cell| cell.shapes.values().cloned()).collect()
    }

    /// All views on demand, and whether somebody watches.
    pub(crate) fn demanded(&self) -> Vec<(u32, ViewKey, bool)> {
        let watched = |cell: &Cell| {
            let of_shapes = cell.shapes.values().any(|shape| shape.shown.receiver_count() > 0);
            cell.plain.receiver_count() > 0 || of_shapes
        };
        let views = self.views.read();
        let on_demand = views.iter().filter(|((_, key), _)| key.on_demand());
        on_demand.map(|((project, key), cell)| (*project, key.clone(), watched(cell))).collect()
    }

    /// Where a view stands.
    pub fn standing(&self, project: u32, key: &ViewKey) -> Option<Standing> {
        self.views.read().get(&(project, key.clone())).map(|cell| cell.plain.borrow().standing)
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

    /// What was compared with stored events.
    pub fn reconciliations(&self) -> &Reconciliations {
        &self.reconciliations
    }

    pub(crate) fn publish_starting(&self, views: usize) {
        self.starting.store(views, Ordering::Release);
    }

    pub(crate) fn publish(&self, project: u32, key: &ViewKey, shown: Shown) {
        let (shown, cell) = (Arc::new(shown), (project, key.clone()));
        if let Some(cell) = self.views.read().get(&cell) {
            cell.plain.send_replace(shown);
            return;
        }
        self.views.write().insert(cell, Cell::new(shown));
    }

    pub(crate) fn end(&self, project: u32, key: &ViewKey) {
        self.views.write().remove(&(project, key.clone()));
        self.asked.fetch_add(1, Ordering::AcqRel);
    }

    /// Ends the shapes of a metric that is made of sessions, because it is another one now or gone.
    pub(crate) fn end_metric(&self, project: u32, id: &str) {
        let mut views = self.views.write();
        for (_, cell) in views.iter_mut().filter(|((own, _), _)| *own == project) {
            cell.shapes.retain(|shape, _| shape.metric.as_deref() != Some(id));
        }
        self.asked.fetch_add(1, Ordering::AcqRel);
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

fn demanded(views: &mut Cells, project: u32, key: ViewKey) -> Result<&mut Cell, Refused> {
    // What rules watch is there because of them, and there is a bound on rules.
    let counts = |key: &ViewKey| key.on_demand() && !key.is_of_rules();
    let on_demand = views.keys().filter(|(own, key)| *own == project && counts(key)).count();
    let key = (project, key);
    if on_demand >= MAX_ON_DEMAND && !views.contains_key(&key) {
        return Err(Refused::TooMany);
    }
    let nothing = || Cell::new(Arc::new(Shown { standing: Standing::default(), numbers: Numbers::None }));
    Ok(views.entry(key).or_insert_with(nothing))
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
