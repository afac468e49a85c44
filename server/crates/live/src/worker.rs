//! The worker: pulls the log, owns the live state, publishes to the hub. One thread; nothing else writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use footpath_history::Stored;
use footpath_log::{Log, Record};
use footpath_model::clock::Clock;
use footpath_model::control::{Control, CountedFunnel, CountedMetric, ProjectSettings};
use footpath_model::record::{FrameKind, FrameView};
use hashbrown::{HashMap, HashSet};

use crate::LiveError;
use crate::answers::Answers;
use crate::demand::{Demand, Followed, followed};
use crate::hub::{Hub, Progress, Shown, Standing, TailFrame};
use crate::image::load_newest;
use crate::imager::{ImageOptions, Imager};
use crate::project::ProjectLive;
use crate::readers::{Done, Job, Readers};
use crate::reading::{Fill, Filled, Ledger, READ_BYTES, follow};
use crate::view::{Brought, Context, Counted, View, ViewKey};
use reconcile::Checks;

/// How long the worker waits for something new: the resolution of a rolling range's edge.
const IDLE: Duration = Duration::from_millis(5);
/// How long a view that was folded again as a whole rests at most before it is so again. None in tests, whose clock stands still.
const MOST_REST_US: i64 = if cfg!(test) { 0 } else { 600_000_000 };
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
}

impl KnownProject {
    fn demand(&self) -> Demand {
        Demand::new(self.settings.clone(), &self.metrics)
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

/// A definition that is being folded, or waits for the worker to come to its position.
struct Filling {
    job: Arc<Fill>,
    filled: Option<Filled>,
}

/// When the demand was looked at last.
#[derive(Default)]
struct Demanded {
    asked: u64,
    second: i64,
    changed: bool,
}

/// A view that is folded again as a whole: a tenth of the time at most, so that it costs the others little.
struct Refill {
    begun_us: i64,
    ended_us: i64,
    rest_us: i64,
}

impl Refill {
    fn end(&mut self, now_us: i64) {
        self.ended_us = now_us;
        self.rest_us = (9 * (now_us - self.begun_us)).clamp(0, MOST_REST_US);
    }

    /// Not longer than that, should the clock have been ahead when it ended.
    fn rests(&self, now_us: i64) -> bool {
        (0..self.rest_us).contains(&(now_us - self.ended_us))
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
        let LiveParts { log, stored, hub, clock, known, names, ledger, images, reconcile } = parts;
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
            imager: None,
            readers,
            projects: HashMap::new(),
            filling: HashMap::new(),
            demands: HashMap::new(),
            demanded: Demanded { changed: true, ..Demanded::default() },
            refills: HashMap::new(),
            answers: Answers::default(),
            checks,
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
                Ok(false) => self.log.wait(self.progress.position, IDLE),
                Err(error) => {
                    tracing::error!(%error, "the live worker cannot read the log; trying again in a second");
                    pause(stop);
                }
            }
        }
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
        // Whoever watched before the restart comes again soon.
        for (number, project) in &mut self.projects {
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

    fn control(&mut self, number: u32, at: Progress, json: &[u8]) {
        match serde_json::from_slice::<Control>(json) {
            Ok(control) => control.each().for_each(|change| self.change(number, at, change)),
            Err(error) => {
                tracing::error!(%error, offset = at.position, "a control record cannot be read and is left out");
            }
        }
    }

    fn change(&mut self, number: u32, at: Progress, change: Control) {
        match change {
            Control::PutFunnel(funnel) => self.put(number, at.position, Counted::Funnel(funnel)),
            Control::DeleteFunnel { id } => self.delete(number, at.position, &ViewKey::Funnel(id)),
            Control::MergePersons { .. } | Control::UnmergePerson { .. } => {
                self.projects.get_mut(&number).into_iter().for_each(|project| project.control(&change, at));
            }
            Control::PutMetric(metric) => self.put_metric(number, at.position, metric),
            Control::DeleteMetric { id } => {
                if self.is_new(at.position) {
                    self.demand(number).delete(&id);
                    self.hub.end_metric(number, &id);
                }
                self.delete(number, at.position, &ViewKey::Metric(id));
            }
            Control::PutSettings(settings) if self.is_new(at.position) => self.demand(number).set(*settings),
            Control::PutSegment(_)
            | Control::DeleteSegment { .. }
            | Control::PutSettings(_)
            | Control::Several { .. }
            | Control::Privacy { .. }
            | Control::Losses { .. } => {}
        }
    }

    /// Whether a change at `offset` was not known at the start. A replay brings what was changed again long ago, and deletions
    /// of what was made again later.
    fn is_new(&self, offset: u64) -> bool {
        offset >= self.live_from
    }

    fn put_metric(&mut self, number: u32, offset: u64, metric: Box<CountedMetric>) {
        if !self.is_new(offset) {
            return;
        }
        self.demand(number).put((*metric).clone());
        self.hub.end_metric(number, &metric.definition.id);
        let key = ViewKey::Metric(metric.definition.id.clone());
        match followed(&metric) {
            Followed::Alone(_) => self.put(number, offset, Counted::Metric(metric)),
            Followed::Sessions(_) | Followed::No => self.delete(number, offset, &key),
        }
    }

    /// What decides which views a project has on demand; it is about to change.
    fn demand(&mut self, number: u32) -> &mut Demand {
        self.demanded.changed = true;
        self.demands.entry(number).or_default()
    }

    /// Makes the views that somebody watches, and drops those that nobody does.
    fn follow_demand(&mut self, now_us: i64) {
        let (asked, second) = (self.hub.asked(), now_us.div_euclid(1_000_000));
        let Demanded { asked: known, second: last, changed } = self.demanded;
        if asked == known && second == last && !changed {
            return;
        }
        self.demanded = Demanded { asked, second, changed: false };
        for (number, key, watched) in self.hub.demanded() {
            // A project is known with its first record; who watches may be earlier.
            if watched && self.know(number).is_ok() {
                self.demands.entry(number).or_default().watch(&key, now_us);
            } else if !watched {
                self.drop_unwanted(number, &key, now_us);
            }
        }
        let numbers: Vec<u32> = self.demands.keys().copied().collect();
        for number in numbers {
            let wanted = self.demands.entry(number).or_default().wanted(now_us);
            wanted.iter().for_each(|key| self.have(number, key));
        }
    }

    /// Makes a view on demand, or makes it anew if it counts what nobody wants any more.
    fn have(&mut self, number: u32, key: &ViewKey) {
        let Some(counted) = self.demands.get(&number).and_then(|demand| demand.counted(key)) else { return };
        let filling = self.filling.get(&(number, key.clone())).map(|filling| filling.job.counted.clone());
        let there = filling.or_else(|| self.view(number, key).map(|view| view.counted()));
        if there.as_ref() != Some(&counted) && self.projects.contains_key(&number) {
            self.fill(number, counted, self.progress.position);
        }
    }

    fn drop_unwanted(&mut self, number: u32, key: &ViewKey, now_us: i64) {
        let wanted = self.demands.entry(number).or_default().wanted(now_us);
        if !wanted.contains(key) {
            self.remove(number, key);
        }
    }

    /// Folds views again that no reading of some units mends.
    fn fold_again(&mut self, now_us: i64) {
        let mut broken: Vec<(u32, Counted)> = Vec::new();
        for (number, project) in &mut self.projects {
            let views = project.views().filter(|(_, view)| view.broken().is_some());
            broken.extend(views.map(|(_, view)| (*number, view.counted())));
        }
        for (number, counted) in broken {
            let key = (number, counted.key());
            let rests = self.refills.get(&key).is_some_and(|refill| refill.rests(now_us));
            if !rests && !self.filling.contains_key(&key) {
                self.refills.insert(key, Refill { begun_us: now_us, ended_us: now_us, rest_us: 0 });
                self.fill(number, counted, self.progress.position);
            }
        }
    }

    /// A new definition: stored events up to its record are folded into it, then it joins.
    fn put(&mut self, number: u32, offset: u64, counted: Counted) {
        let (key, version) = (counted.key(), counted.version());
        let live = self.view(number, &key).map(|view| view.counted().version());
        let filling = self.filling.get(&(number, key)).map(|filling| filling.job.counted.version());
        if !self.is_new(offset) || live.max(filling) >= Some(version) {
            return;
        }
        self.fill(number, counted, offset);
    }

    fn delete(&mut self, number: u32, offset: u64, key: &ViewKey) {
        if self.is_new(offset) {
            self.remove(number, key);
        }
    }

    fn remove(&mut self, number: u32, key: &ViewKey) {
        if let Some(filling) = self.filling.remove(&(number, key.clone())) {
            filling.job.cancelled.store(true, Ordering::Relaxed);
        }
        if self.projects.get_mut(&number).and_then(|project| project.remove(key)).is_some() {
            self.abort_image();
        }
        self.hub.reconciliations().forget(number, key);
        self.hub.end(number, key);
    }

    fn abort_image(&mut self) {
        if let Some(imager) = &mut self.imager {
            imager.abort(&mut self.projects);
        }
    }

    fn fill(&mut self, number: u32, counted: Counted, upto: u64) {
        let Some(project) = self.projects.get(&number) else { return };
        let job = Arc::new(Fill {
            project: number,
            project_id: project.id.clone(),
            counted,
            upto,
            now_us: self.clock.now_us(),
            cancelled: Arc::new(AtomicBool::new(false)),
        });
        // Whoever waits for numbers comes first.
        self.checks.put_off(job.now_us);
        self.publish_percent(&job, 0);
        let key = (number, job.key());
        let before = self.filling.insert(key, Filling { job: Arc::clone(&job), filled: None });
        before.iter().for_each(|before| before.job.cancelled.store(true, Ordering::Relaxed));
        self.readers.fill(job);
    }

    /// A definition that nobody saw before shows how far it is; one that changed goes on with its old numbers.
    fn publish_percent(&mut self, job: &Fill, percent: u32) {
        let key = job.key();
        if self.view(job.project, &key).is_some() {
            return;
        }
        let standing = Standing { version: job.counted.version(), percent, ..Standing::default() };
        self.hub.publish(job.project, &key, Shown { standing, numbers: job.counted.nothing() });
    }

    fn take_readings(&mut self) {
        let done: Vec<_> = self.readers.done().collect();
        for done in done {
            match done {
                Done::Read { project, view: Some(view), number, brought } => {
                    self.read(project, &view, number, brought);
                }
                Done::Read { project, view: None, number, brought } => {
                    self.read_book(project, number, brought);
                }
                Done::Percent { job, percent } if self.is_wanted(&job) => self.publish_percent(&job, percent),
                Done::Filled { job, filled } if self.is_wanted(&job) => self.filled(&job, *filled),
                Done::Filled { job, filled } if self.checks.is_own(&job) => {
                    self.checks.filled(*filled, self.clock.now_us());
                }
                Done::Percent { .. } | Done::Filled { .. } => {}
            }
        }
    }

    fn is_wanted(&self, job: &Arc<Fill>) -> bool {
        let filling = self.filling.get(&(job.project, job.key()));
        filling.is_some_and(|filling| Arc::ptr_eq(&filling.job, job))
    }

    fn read(&mut self, project: u32, key: &ViewKey, number: u64, brought: Result<Brought, LiveError>) {
        let Some(view) = self.view(project, key) else { return };
        match brought {
            Ok(brought) => view.read(number, brought),
            Err(error) => {
                tracing::error!(%error, view = %key, "stored events cannot be read again; trying again");
                view.reading_failed(number);
            }
        }
    }

    fn read_book(&mut self, project: u32, number: u64, brought: Result<Brought, LiveError>) {
        let Some(project) = self.projects.get_mut(&project) else { return };
        match brought {
            Ok(brought) => project.read(number, brought),
            Err(error) => {
                tracing::error!(%error, "properties cannot be read again; trying again");
                project.book.reading_failed(number);
            }
        }
    }

    fn filled(&mut self, job: &Arc<Fill>, filled: Result<Option<Filled>, LiveError>) {
        let key = (job.project, job.key());
        match filled {
            Ok(Some(filled)) => {
                if let Some(filling) = self.filling.get_mut(&key) {
                    filling.filled = Some(filled);
                }
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%error, view = %key.1, "a definition cannot be back-filled; trying again");
                self.readers.fill(Arc::clone(job));
            }
        }
    }

    /// What was folded up to a position that the worker has reached joins the others.
    fn join_filled(&mut self) {
        let ready = |filling: &Filling| {
            filling.filled.as_ref().is_some_and(|filled| filled.position <= self.progress.position)
        };
        let ready: Vec<_> =
            self.filling.iter().filter(|(_, filling)| ready(filling)).map(|(key, _)| key.clone()).collect();
        for (number, key) in ready {
            let Some(filling) = self.filling.remove(&(number, key.clone())) else { continue };
            let Some(filled) = filling.filled else { continue };
            if let Err(error) = self.join(number, &key, filled) {
                tracing::error!(%error, view = %key, "a definition cannot join; folding it again");
                let again = Filling { job: Arc::clone(&filling.job), filled: None };
                self.filling.insert((number, key), again);
                self.readers.fill(filling.job);
            }
        }
    }

    fn join(&mut self, number: u32, key: &ViewKey, mut filled: Filled) -> Result<(), LiveError> {
        while filled.position < self.progress.position {
            let (log, upto) = (self.log.as_ref(), self.progress.position);
            filled.position = follow(log, number, &mut filled.scratch, filled.position, upto)?;
        }
        if let Some((mut view, book)) = filled.scratch.into_view(key) {
            self.abort_image();
            view.advance(self.clock.now_us(), self.progress);
            view.touch();
            if let Some(project) = self.projects.get_mut(&number) {
                project.book.adopt(book);
                project.put(view);
                project.tidy();
            }
            let now_us = self.clock.now_us();
            if let Some(refill) = self.refills.get_mut(&(number, key.clone())) {
                refill.end(now_us);
            }
        }
        Ok(())
    }

    /// Asks for the units whose events came later than what is kept of them.
    fn ask_for_readings(&mut self) {
        for (number, project) in &mut self.projects {
            let identity = std::mem::take(&mut project.identity);
            let known = Arc::clone(project.book.known());
            let context = Context { project: *number, identity: &identity, known: &known };
            if let Some(reading) = project.book.begin_reading(self.readings + 1, self.progress, &context) {
                self.readings += 1;
                self.readers.read(Job { project: *number, view: None, number: self.readings, reading });
            }
            for (key, view) in project.views() {
                let reading = view.begin_reading(self.readings + 1, self.progress, &context);
                if let Some(reading) = reading {
                    self.readings += 1;
                    let (project, view) = (*number, Some(key.clone()));
                    self.readers.read(Job { project, view, number: self.readings, reading });
                }
            }
            project.identity = identity;
        }
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
                if view.take_changed() || all {
                    let version = view.counted().version();
                    let standing = Standing { version, at, live, percent: if live { 100 } else { 0 } };
                    self.hub.publish(*number, key, Shown { standing, numbers: view.numbers() });
                }
            }
        }
        self.answers.step(&self.hub, &mut self.projects, (self.progress, live), self.clock.as_ref());
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

mod reconcile;

#[cfg(test)]
mod tests;
