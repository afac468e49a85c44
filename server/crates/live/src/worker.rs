//! The worker: pulls the log, owns the live state, publishes to the hub. One thread; nothing else writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use footpath_history::Stored;
use footpath_log::{Log, Record};
use footpath_model::alert::CountedRule;
use footpath_model::clock::Clock;
use footpath_model::control::{CountedFunnel, CountedMetric, ProjectSettings};
use footpath_model::record::{FrameKind, FrameView};
use hashbrown::{HashMap, HashSet};

use crate::LiveError;
use crate::answers::{Answers, NextOf};
use crate::demand::{Demand, Followed, followed};
use crate::hub::{Hub, Numbers, Progress, Shown, Standing, TailFrame};
use crate::image::load_newest;
use crate::imager::{ImageOptions, Imager};
use crate::project::ProjectLive;
use crate::readers::Readers;
use crate::reading::{Ledger, READ_BYTES};
use crate::view::{Counted, View, ViewKey};
use fills::{Filling, Refill};
use on_demand::Demanded;
use reconcile::Checks;

/// How long the worker waits for something new: the resolution of a rolling range's edge, and of questions. Every view is looked at each time,
/// which every 5 ms was half of what a server with 100 metrics and little to do spent (ADR 0015).
const IDLE: Duration = Duration::from_millis(50);
/// The same while stored events are read for it.
const AWAITED: Duration = Duration::from_millis(5);
/// How long to wait before something that failed is tried again.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);

/// A project that is known when the worker starts.
#[derive(Debug, Clone)]
pub struct KnownProject {
    /// Its number.
    pub number: u32,
    /// Its id.
    pub id: String,
    /// What was decided for all of its numbers.
    pub settings: ProjectSettings,
    /// Its funnels.
    pub funnels: Vec<CountedFunnel>,
    /// Its metrics.
    pub metrics: Vec<CountedMetric>,
    /// Its alert rules.
    pub rules: Vec<CountedRule>,
}

impl KnownProject {
    fn demand(&self) -> Demand {
        let mut demand = Demand::new(self.settings.clone(), &self.metrics);
        self.rules.iter().for_each(|rule| demand.put_rule(rule));
        demand
    }

    /// What has a view of its own.
    fn counted(&self) -> impl Iterator<Item = Counted> + '_ {
        let funnels = self.funnels.iter().map(|funnel| Counted::Funnel(Box::new(funnel.clone())));
        let alone = |metric: &&CountedMetric| matches!(followed(metric), Followed::Alone(_));
        let metrics = self.metrics.iter().filter(alone);
        funnels.chain(metrics.map(|metric| Counted::Metric(Box::new(metric.clone()))))
    }
}

/// Names projects by number; asked when a frame of an unknown project appears. An error is tried again.
pub type ProjectNames = Box<dyn Fn(u32) -> Result<Option<String>, LiveError> + Send>;

/// What the worker is made of.
pub struct LiveParts {
    /// What it follows.
    pub log: Arc<dyn Log>,
    /// Where it reads what it no longer remembers.
    pub stored: Stored,
    /// Where it publishes.
    pub hub: Arc<Hub>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Projects and definitions as they stand.
    pub known: Vec<KnownProject>,
    /// Names of later projects.
    pub names: ProjectNames,
    /// Decisions about who is who that the log may have let go of.
    pub ledger: Ledger,
    /// Where images lie; without, every start folds everything.
    pub images: Option<ImageOptions>,
    /// In which time every view is compared once with stored events; `None` is never.
    pub reconcile: Option<Duration>,
    /// Units (persons, groups) of a funnel that are kept with their folds; the quietest of more are read again when they come back.
    pub most_units: usize,
}

/// The running worker; stops when dropped.
#[derive(Debug)]
pub struct Live {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Live {
    /// Starts the worker: it goes on from the newest image, or folds the stored events.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn start(parts: LiveParts) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let mut worker = Worker::new(parts)?;
        let thread = std::thread::Builder::new().name("live".into()).spawn(move || {
            worker.run(&stopped);
            worker.finish();
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        footpath_log::join(self.thread.take());
    }
}

struct Worker {
    log: Arc<dyn Log>,
    stored: Stored,
    hub: Arc<Hub>,
    clock: Arc<dyn Clock>,
    known: Vec<KnownProject>,
    names: ProjectNames,
    ledger: Ledger,
    images: Option<ImageOptions>,
    most_units: usize,
    imager: Option<Imager>,
    readers: Readers,
    projects: HashMap<u32, ProjectLive>,
    filling: HashMap<(u32, ViewKey), Filling>,
    /// Which views are there because somebody watches.
    demands: HashMap<u32, Demand>,
    demanded: Demanded,
    /// When views that are wrong as a whole may be folded again.
    refills: HashMap<(u32, ViewKey), Refill>,
    answers: Answers,
    checks: Checks,
    /// Views whose numbers were published as being behind.
    behind: HashSet<(u32, ViewKey)>,
    /// Views that the start found without numbers, until they have them.
    starting: HashSet<(u32, ViewKey)>,
    readings: u64,
    progress: Progress,
    /// Numbers are published as live once this position is reached.
    live_from: u64,
    was_live: bool,
}

impl Worker {
    fn new(parts: LiveParts) -> std::io::Result<Self> {
        let LiveParts { log, stored, hub, clock, known, names, ledger, images, reconcile, most_units } =
            parts;
        let readers = Readers::start(&stored, &log, &hub, &ledger)?;
        let live_from = log.durable_end();
        let checks = Checks::new(reconcile, clock.now_us());
        Ok(Self {
            log,
            stored,
            hub,
            clock,
            known,
            names,
            ledger,
            images,
            most_units,
            imager: None,
            readers,
            projects: HashMap::new(),
            filling: HashMap::new(),
            demands: HashMap::new(),
            demanded: Demanded { changed: true, ..Demanded::default() },
            refills: HashMap::new(),
            answers: Answers::default(),
            checks,
            behind: HashSet::new(),
            starting: HashSet::new(),
            readings: 0,
            progress: Progress { position: live_from, processed_us: 0 },
            live_from,
            was_live: false,
        })
    }

    fn run(&mut self, stop: &AtomicBool) {
        while let Err(error) = self.restore() {
            tracing::error!(%error, "the live state cannot be built; trying again in a second");
            if pause(stop) {
                return;
            }
        }
        self.publish(true);
        while !stop.load(Ordering::SeqCst) {
            match self.step() {
                Ok(true) => {}
                // At once when there is more: what was just written is still in the processor's cache.
                Ok(false) => self.log.wait(self.progress.position, self.patience()),
                Err(error) => {
                    tracing::error!(%error, "the live worker cannot read the log; trying again in a second");
                    pause(stop);
                }
            }
        }
    }

    fn patience(&self) -> Duration {
        let is_awaited = !(self.behind.is_empty() && self.filling.is_empty());
        if is_awaited { AWAITED } else { IDLE }
    }

    /// Takes the last image, so that the next start has nothing to replay.
    fn finish(&mut self) {
        self.filling.values().for_each(|filling| filling.job.cancelled.store(true, Ordering::Relaxed));
        if let Some(imager) = self.imager.take() {
            imager.finish(&mut self.projects, self.progress, self.clock.now_us());
        }
    }

    /// State and position: from the newest image, else from stored events. What no image has is back-filled.
    fn restore(&mut self) -> Result<(), LiveError> {
        let now_us = self.clock.now_us();
        self.demands = self.known.iter().map(|known| (known.number, known.demand())).collect();
        if !self.restore_image(now_us) {
            let pinned = self.stored.pin().upto(self.live_from);
            for project in &self.known {
                let mut live = ProjectLive::new(&project.id);
                let ledger = (self.ledger)(project.number)?;
                live.identity = pinned.identity(project.number, &project.id, &ledger)?;
                self.projects.insert(project.number, live);
            }
            self.progress = Progress { position: pinned.position(), processed_us: pinned.processed_us() };
        }
        if let Some(options) = &self.images {
            self.imager = Some(Imager::start(options, now_us)?);
        }
        for project in std::mem::take(&mut self.known) {
            self.projects.entry(project.number).or_insert_with(|| ProjectLive::new(&project.id));
            for counted in project.counted() {
                let key = counted.key();
                if self.view(project.number, &key).is_none() {
                    self.starting.insert((project.number, key));
                    self.fill(project.number, counted, self.progress.position);
                }
            }
        }
        Ok(())
    }

    fn restore_image(&mut self, now_us: i64) -> bool {
        let Some(options) = &self.images else { return false };
        let wanted = |number: u32, counted: &Counted| {
            let demanded = self.demands.get(&number).and_then(|demand| demand.counted(&counted.key()));
            let mut known = self.known.iter().filter(|project| project.number == number);
            demanded.as_ref() == Some(counted)
                || known.any(|project| project.counted().any(|own| own == *counted))
        };
        let bounds = (self.log.first(), self.live_from);
        let image = load_newest(options.disk.as_ref(), options.incarnation, bounds, now_us, &wanted);
        let Some(image) = image else { return false };
        options.durable.store(image.at.position, Ordering::Release);
        self.progress = image.at;
        self.projects = image.projects.into_iter().collect();
        for (number, project) in &mut self.projects {
            project.views().for_each(|(_, view)| view.bound(self.most_units));
            // Whoever watched before the restart comes again soon.
            let on_demand = project.views().map(|(key, _)| key).filter(|key| key.on_demand());
            let demand = self.demands.entry(*number).or_default();
            on_demand.for_each(|key| demand.watch(key, now_us));
        }
        true
    }

    /// Takes what is new; false if nothing was.
    fn step(&mut self) -> Result<bool, LiveError> {
        let records = self.log.read(self.progress.position, READ_BYTES)?;
        let bytes = records.iter().map(|record| record.payload.len() as u64).sum();
        for record in &records {
            self.apply(record)?;
        }
        let now_us = self.clock.now_us();
        let at = self.progress;
        self.projects.values_mut().for_each(|project| project.advance(now_us, at));
        self.take_readings();
        self.join_filled();
        self.follow_demand(now_us);
        self.fold_again(now_us);
        self.reconcile(now_us);
        self.ask_for_readings();
        self.publish(false);
        if let Some(imager) = &mut self.imager {
            imager.step(&mut self.projects, self.progress, now_us, bytes);
        }
        Ok(!records.is_empty())
    }

    /// Takes a record; an error leaves it for the next try.
    fn apply(&mut self, record: &Record) -> Result<(), LiveError> {
        let at = Progress { position: record.offset, processed_us: record.append_time_us };
        let next = Progress { position: record.offset + 1, ..at };
        let frame = match FrameView::new(&record.payload) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::error!(%error, offset = record.offset, "a frame cannot be read and is left out");
                self.progress = next;
                return Ok(());
            }
        };
        let number = frame.head.project;
        self.know(number)?;
        self.progress = next;
        if frame.head.kind == FrameKind::Control {
            self.control(number, at, frame.context);
            return Ok(());
        }
        if let Some(project) = self.projects.get_mut(&number) {
            project.apply(&frame, at);
        }
        self.hub.publish_frame(|| TailFrame {
            offset: record.offset,
            append_us: record.append_time_us,
            project: number,
            frame: record.payload.clone(),
        });
        Ok(())
    }

    /// Makes room for a project that appears for the first time.
    fn know(&mut self, number: u32) -> Result<(), LiveError> {
        if !self.projects.contains_key(&number) {
            let id = (self.names)(number)?;
            let id = id.ok_or_else(|| LiveError::Project(format!("there is no project {number}")))?;
            self.projects.insert(number, ProjectLive::new(&id));
        }
        Ok(())
    }

    fn view(&mut self, number: u32, key: &ViewKey) -> Option<&mut (dyn View + 'static)> {
        self.projects.get_mut(&number)?.view(key)
    }

    /// Answers what was asked once, of views that everything read is in.
    fn answer_questions(&mut self) {
        let (now_us, progress) = (self.clock.now_us(), self.progress);
        let hub = Arc::clone(&self.hub);
        hub.answer(&mut |question| {
            let Some(view) = self.view(question.project, &question.view) else { return Some(question) };
            let at = view.complete(progress);
            if at.position < progress.position {
                return Some(question);
            }
            let numbers = view.answer(&question.shape, now_us).unwrap_or(Numbers::None);
            let version = view.counted().version();
            let standing = Standing { version, at, live: true, percent: 100, next: None, behind: false };
            let _ = question.reply.send(Shown { standing, numbers }); // Whoever asked may be gone.
            None
        });
    }

    fn publish(&mut self, all: bool) {
        let live = self.progress.position >= self.live_from;
        let all = all || live != self.was_live;
        self.was_live = live;
        let mut complete = self.progress;
        for (number, project) in &mut self.projects {
            let known = project.book.complete(self.progress);
            for (key, view) in project.views() {
                let at = view.complete(self.progress);
                let at = if view.reads().is_empty() { at } else { at.min(known) };
                complete = complete.min(at);
                let behind = at.position < self.progress.position;
                let turned = match behind {
                    true => self.behind.insert((*number, key.clone())),
                    false => !self.behind.is_empty() && self.behind.remove(&(*number, key.clone())),
                };
                let filling = match self.filling.is_empty() {
                    true => None,
                    false => self.filling.get_mut(&(*number, key.clone())),
                };
                let is_news = filling.as_ref().is_some_and(|filling| !filling.told);
                if view.take_changed() || all || is_news || turned {
                    let version = view.counted().version();
                    let next = filling.and_then(|filling| {
                        filling.told = true;
                        filling.next(version)
                    });
                    let percent = if live { 100 } else { 0 };
                    let standing = Standing { version, at, live, percent, next, behind };
                    self.hub.publish(*number, key, Shown { standing, numbers: view.numbers() });
                }
            }
        }
        let next = |number, key: &ViewKey, version| {
            let filling = self.filling.get(&(number, key.clone()));
            filling.and_then(|filling| filling.next(version))
        };
        let next: &NextOf<'_> = if self.filling.is_empty() { &|_, _, _| None } else { &next };
        self.answers.step(&self.hub, &mut self.projects, (self.progress, live), next, self.clock.as_ref());
        if live {
            self.answer_questions();
        }
        // Before the position, which readers look at first.
        self.starting.retain(|key| self.filling.contains_key(key));
        self.hub.publish_starting(self.starting.len());
        self.hub.publish_progress(self.progress, complete);
    }
}

/// Waits before something is tried again; true if the worker is to stop.
fn pause(stop: &AtomicBool) -> bool {
    std::thread::sleep(PAUSE);
    stop.load(Ordering::SeqCst)
}

mod definitions;
mod fills;
mod on_demand;
mod readings;
mod reconcile;

#[cfg(test)]
mod tests;
