//! The worker: pulls the log, owns the live state, publishes to the hub. One thread; nothing else writes.

use std::collections::HashSet as StdHashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use footpath_engine::{ActorKey, SlimEvent};
use footpath_log::{Log, LogError, Record};
use footpath_model::clock::Clock;
use footpath_model::control::{Control, CountedFunnel};
use footpath_model::record::{FrameKind, FrameView};
use hashbrown::HashMap;

use crate::funnel::LiveFunnel;
use crate::hub::{FunnelNumbers, Hub, Progress, TailFrame};
use crate::project::ProjectLive;

/// Bytes read from the log at a time.
const READ_BYTES: usize = 4 << 20;
/// How long the worker sleeps when nothing new is durable: the resolution of a rolling range's edge.
const IDLE: Duration = Duration::from_millis(5);

/// A funnel that is known when the worker starts.
#[derive(Debug, Clone)]
pub struct KnownFunnel {
    /// The project's number.
    pub project: u32,
    /// The project's id.
    pub project_id: String,
    /// The funnel.
    pub counted: CountedFunnel,
}

/// Names projects by number; asked when a frame of an unknown project appears.
pub type ProjectNames = Box<dyn Fn(u32) -> Option<String> + Send>;

/// The running worker; stops when dropped.
#[derive(Debug)]
pub struct Live {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Live {
    /// Starts the worker at the log's first position: the live state is a fold of the log.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(
        log: Arc<dyn Log>,
        hub: Arc<Hub>,
        clock: Arc<dyn Clock>,
        known: Vec<KnownFunnel>,
        names: ProjectNames,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut worker = Worker::new(log, hub, clock, names);
        worker.adopt(known);
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("live".into()).spawn(move || worker.run(&stopped))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // A panic in the worker was reported when it happened.
        }
    }
}

struct Worker {
    log: Arc<dyn Log>,
    hub: Arc<Hub>,
    clock: Arc<dyn Clock>,
    names: ProjectNames,
    projects: HashMap<u32, ProjectLive>,
    progress: Progress,
    /// Numbers are published as live once this position is reached.
    live_from: u64,
    was_live: bool,
}

impl Worker {
    fn new(log: Arc<dyn Log>, hub: Arc<Hub>, clock: Arc<dyn Clock>, names: ProjectNames) -> Self {
        let progress = Progress { position: log.first(), processed_us: 0 };
        let live_from = log.durable_end();
        Self { log, hub, clock, names, projects: HashMap::new(), progress, live_from, was_live: false }
    }

    fn adopt(&mut self, known: Vec<KnownFunnel>) {
        let now_us = self.clock.now_us();
        for funnel in known {
            let id = funnel.counted.definition.id.clone();
            match LiveFunnel::new(funnel.counted, now_us) {
                Ok(live) => {
                    let project = self.projects.entry(funnel.project);
                    let project = project.or_insert_with(|| ProjectLive::new(&funnel.project_id));
                    project.funnels.insert(id, live);
                }
                Err(error) => tracing::error!(%error, funnel = id, "a stored funnel cannot be followed"),
            }
        }
    }

    fn run(&mut self, stop: &AtomicBool) {
        self.publish(true);
        while !stop.load(Ordering::SeqCst) {
            match self.step() {
                Ok(true) => {}
                Ok(false) => std::thread::sleep(IDLE),
                Err(error) => {
                    tracing::error!(%error, "the live worker cannot read the log; trying again in a second");
                    std::thread::sleep(Duration::from_secs(1));
                }
            }
        }
    }

    /// Takes what is new; false if nothing was.
    fn step(&mut self) -> Result<bool, LogError> {
        let records = self.log.read(self.progress.position, READ_BYTES)?;
        for record in &records {
            self.apply(record);
        }
        let now_us = self.clock.now_us();
        for project in self.projects.values_mut() {
            project.advance(now_us);
        }
        self.refold()?;
        self.publish(false);
        Ok(!records.is_empty())
    }

    fn apply(&mut self, record: &Record) {
        self.progress = Progress { position: record.offset + 1, processed_us: record.append_time_us };
        let frame = match FrameView::new(&record.payload) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::error!(%error, offset = record.offset, "a frame cannot be read and is left out");
                return;
            }
        };
        let number = frame.head.project;
        if frame.head.kind == FrameKind::Control {
            self.control(number, record.offset, frame.context);
            return;
        }
        self.project(number).apply(&frame);
        self.hub.publish_frame(|| TailFrame {
            offset: record.offset,
            append_us: record.append_time_us,
            project: number,
            frame: record.payload.clone(),
        });
    }

    fn project(&mut self, number: u32) -> &mut ProjectLive {
        let names = &self.names;
        self.projects
            .entry(number)
            .or_insert_with(|| ProjectLive::new(&names(number).unwrap_or_else(|| number.to_string())))
    }

    fn control(&mut self, number: u32, offset: u64, json: &[u8]) {
        match serde_json::from_slice(json) {
            Ok(Control::PutFunnel(counted)) => self.put_funnel(number, offset, *counted),
            Ok(Control::DeleteFunnel { id }) => {
                // A replayed deletion must not take a funnel that was made again later.
                if offset >= self.live_from {
                    self.project(number).funnels.remove(&id);
                    self.hub.end_funnel(number, &id);
                }
            }
            Ok(Control::Privacy { .. } | Control::Losses { .. }) => {}
            Err(error) => tracing::error!(%error, offset, "a control record cannot be read and is left out"),
        }
    }

    /// A new definition: stored events up to here are folded into it, then it joins.
    fn put_funnel(&mut self, number: u32, offset: u64, counted: CountedFunnel) {
        let id = counted.definition.id.clone();
        let known = self.projects.get(&number).and_then(|project| project.funnels.get(&id));
        if known.is_some_and(|funnel| funnel.version() >= counted.definition.version)
            || offset < self.live_from
        {
            return;
        }
        match self.backfill(number, offset, counted) {
            Ok(funnel) => {
                self.project(number).funnels.insert(id, funnel);
            }
            Err(error) => tracing::error!(%error, funnel = id, "a funnel cannot be back-filled"),
        }
    }

    fn backfill(
        &self,
        number: u32,
        upto: u64,
        counted: CountedFunnel,
    ) -> Result<LiveFunnel, crate::LiveError> {
        let name = (self.names)(number).unwrap_or_else(|| number.to_string());
        let (id, version) = (counted.definition.id.clone(), counted.definition.version);
        let mut scratch = ProjectLive::new(&name);
        let funnel = LiveFunnel::new(counted, self.clock.now_us())?;
        let mut progress = FunnelNumbers { version, ..FunnelNumbers::default() };
        progress.reached.resize(funnel.numbers().reached.len(), 0);
        scratch.funnels.insert(id.clone(), funnel);
        let first = self.log.first();
        let mut next = first;
        while next < upto {
            for record in self.log.read(next, READ_BYTES)?.iter().take_while(|r| r.offset < upto) {
                next = record.offset + 1;
                if let Ok(frame) = FrameView::new(&record.payload)
                    && frame.head.project == number
                    && frame.head.kind == FrameKind::Events
                {
                    scratch.apply(&frame);
                }
            }
            progress.percent = ((next - first) * 100 / (upto - first).max(1)) as u32;
            self.hub.publish_funnel(number, &id, progress.clone());
        }
        let mut funnel = scratch.funnels.remove(&id).ok_or(crate::LiveError::Lost)?;
        rebuild(self.log.as_ref(), number, &scratch, &mut funnel, next)?;
        Ok(funnel)
    }

    /// Rebuilds the persons whose events came later than what is kept of them.
    fn refold(&mut self) -> Result<(), LogError> {
        let upto = self.progress.position;
        for (number, project) in &mut self.projects {
            let mut funnels = std::mem::take(&mut project.funnels);
            let mut done = Ok(());
            for funnel in funnels.values_mut() {
                done = done.and(rebuild(self.log.as_ref(), *number, project, funnel, upto));
            }
            project.funnels = funnels;
            done?;
        }
        Ok(())
    }

    fn publish(&mut self, all: bool) {
        let live = self.progress.position >= self.live_from;
        let all = all || live != self.was_live;
        self.was_live = live;
        for (number, project) in &mut self.projects {
            for (id, funnel) in &mut project.funnels {
                if funnel.take_changed() || all {
                    let numbers = FunnelNumbers {
                        position: self.progress.position,
                        processed_us: self.progress.processed_us,
                        live,
                        percent: if live { 100 } else { 0 },
                        ..funnel.numbers()
                    };
                    self.hub.publish_funnel(*number, id, numbers);
                }
            }
        }
        self.hub.publish_progress(self.progress);
    }
}

/// Folds the waiting persons of `funnel` again from stored events below `upto`.
fn rebuild(
    log: &dyn Log,
    number: u32,
    project: &ProjectLive,
    funnel: &mut LiveFunnel,
    upto: u64,
) -> Result<(), LogError> {
    let waiting = funnel.take_refolds();
    if waiting.is_empty() {
        return Ok(());
    }
    let mut events: HashMap<u64, Vec<SlimEvent>> = HashMap::new();
    let mut seen: StdHashSet<u128> = StdHashSet::new();
    let mut next = log.first();
    while next < upto {
        for record in log.read(next, READ_BYTES)?.iter().take_while(|r| r.offset < upto) {
            next = record.offset + 1;
            let Ok(frame) = FrameView::new(&record.payload) else { continue };
            if frame.head.project != number {
                continue;
            }
            for event in frame.events() {
                let head = event.head();
                let person = project.identity.canonical(ActorKey(head.actor_key)).0;
                let mask = funnel.mask(event.name(), event.spans().properties);
                if mask != 0 && waiting.contains(&person) && seen.insert(head.id.as_u128()) {
                    let slim = SlimEvent { time_us: head.time_us, id: head.id.as_u128(), mask };
                    events.entry(person).or_default().push(slim);
                }
            }
        }
    }
    for (person, mut own) in events {
        own.sort_unstable_by_key(SlimEvent::order);
        funnel.rebuild(person, own);
    }
    Ok(())
}
