//! Live equals batch: whatever order events, links, definitions and restarts come in, the live numbers are those of one
//! fold over all stored events.

use std::collections::{BTreeMap, HashMap as StdHashMap};
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use footpath_engine::lens::{FunnelLens, Values};
use footpath_engine::{
    ActorKey, FunnelEvent, FunnelTotals, IdentityGraph, Plan, SessionRules, SliceValue, Tallies,
    fold_general, link_control, link_event,
};
use footpath_history::Chunks;
use footpath_log::{Entry, LogError, MemoryLog, SimDisk, pages};
use footpath_model::clock::ManualClock;
use footpath_model::control::{Control, CountedFunnel, SessionLimits};
use footpath_model::definition::{
    Attribution, Counting, Entry as FunnelEntry, Exclusion, FunnelBreakdown, FunnelDefinition, OnExclusion,
    Order, PropertyRef, Step,
};
use footpath_model::filter::Facts;
use footpath_model::id::{EventId, Producer, actor_key};
use footpath_model::range::{Range, RollingUnit};
use footpath_model::record::{
    EventHead, EventSpans, FrameHead, TimeRule, build_frame, control_frame, put_event,
};
use footpath_model::wire::put_bytes;
use proptest::prelude::*;

use super::*;
use crate::hub::{FunnelNumbers, Next, Numbers};

mod metrics;
mod power_losses;
mod properties;
mod reconcile;
mod rules;
mod subscribers;

const PROJECT: &str = "shop";
const SECOND: i64 = 1_000_000;
/// When the tests begin: far from 1970, where rolling ranges would end.
const START: i64 = 1_700_000_000 * SECOND;

#[derive(Debug, Clone)]
enum Op {
    Event {
        anonymous: u8,
        user: u8,
        name: u8,
        second: i64,
    },
    /// An event that changes a property of its person, company or team.
    Change {
        anonymous: u8,
        user: u8,
        name: u8,
        second: i64,
        change: u8,
    },
    Identify {
        anonymous: u8,
        user: u8,
    },
    Merge {
        from: &'static str,
        into: &'static str,
    },
    Unmerge {
        id: &'static str,
    },
    Put {
        funnel: u8,
        shape: u8,
    },
    PutMetric {
        metric: u8,
        kind: u8,
    },
    DeleteMetric {
        metric: u8,
    },
    Settings {
        gap_minutes: i64,
    },
    Delete {
        funnel: u8,
    },
    Wait {
        seconds: i64,
    },
    /// The clock is ahead for a moment.
    Excursion {
        seconds: i64,
    },
    Step,
    Stop,
    Kill,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        40 => (0_u8..5, 0_u8..4, 0_u8..4, 0_i64..400).prop_map(|(anonymous, user, name, second)| {
            Op::Event { anonymous, user, name, second }
        }),
        4 => (0_u8..5, 0_u8..4).prop_map(|(anonymous, user)| Op::Identify { anonymous, user }),
        2 => (person(), person()).prop_map(|(from, into)| Op::Merge { from, into }),
        2 => person().prop_map(|id| Op::Unmerge { id }),
        3 => (0_u8..3, 0_u8..SHAPES).prop_map(|(funnel, shape)| Op::Put { funnel, shape }),
        1 => (0_u8..3).prop_map(|funnel| Op::Delete { funnel }),
        2 => (0_i64..120).prop_map(|seconds| Op::Wait { seconds }),
        1 => (2_i64..400).prop_map(|seconds| Op::Excursion { seconds }),
        12 => Just(Op::Step),
        1 => Just(Op::Stop),
        1 => Just(Op::Kill),
    ]
}

fn person() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a0", "a1", "a2", "u0", "u1", "u2", "u3"])
}

/// How many shapes of funnels there are.
const SHAPES: u8 = properties::FIRST;

fn counted(funnel: u8, shape: u8, version: u64) -> CountedFunnel {
    let step = |names: &[&str]| Step {
        events: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Step::default()
    };
    let minutes = Range::Last { n: 5, unit: RollingUnit::Minutes };
    let (id, steps) = (format!("f{funnel}"), vec![step(&["n0"]), step(&["n1"]), step(&["n2"])]);
    let plain =
        FunnelDefinition { id, version, steps, window_us: 60 * SECOND, ..FunnelDefinition::default() };
    let color = || PropertyRef { property: "color".into(), ..PropertyRef::default() };
    let (definition, range) = match shape {
        0 => (plain, minutes),
        1 => {
            let fixed = Range::Fixed { from_us: START + 50 * SECOND, to_us: START + 300 * SECOND };
            let steps = vec![step(&["n0", "n3"]), step(&["n0", "n1"])];
            (FunnelDefinition { steps, ..plain }, fixed)
        }
        2 => {
            let steps = vec![step(&["n2"]), step(&["n1"])];
            (FunnelDefinition { steps, ..plain }, Range::Last { n: 3650, unit: RollingUnit::Days })
        }
        3 => {
            let breakdown = FunnelBreakdown { by: color(), attribution: Attribution::Step(2) };
            (FunnelDefinition { breakdown: Some(breakdown), ..plain }, minutes)
        }
        4 => (FunnelDefinition { entry: FunnelEntry::First, ..plain }, minutes),
        5 => (FunnelDefinition { counting: Counting::Conversions, ..plain }, Range::Today),
        6 => {
            let exclusions = vec![Exclusion {
                events: vec!["n3".into()],
                after_step: 1,
                before_step: 3,
                ..Exclusion::default()
            }];
            (FunnelDefinition { exclusions, on_exclusion: OnExclusion::DropPerson, ..plain }, minutes)
        }
        7 => (FunnelDefinition { order: Order::Strict, hold: vec![color()], ..plain }, minutes),
        8 => (FunnelDefinition { order: Order::AnyAfterFirst, ..plain }, Range::Today),
        9 => (FunnelDefinition { counting: Counting::Groups("company".into()), ..plain }, minutes),
        10 => (FunnelDefinition { counting: Counting::Sessions, ..plain }, minutes),
        11 => {
            let fixed = Range::Fixed { from_us: START + 50 * SECOND, to_us: START + 300 * SECOND };
            let breakdown = FunnelBreakdown { by: color(), attribution: Attribution::FirstTouch };
            let (counting, breakdown) = (Counting::Sessions, Some(breakdown));
            (FunnelDefinition { counting, breakdown, entry: FunnelEntry::First, ..plain }, fixed)
        }
        12 => {
            let breakdown = FunnelBreakdown { by: color(), attribution: Attribution::AllSteps };
            (FunnelDefinition { breakdown: Some(breakdown), ..plain }, minutes)
        }
        _ => {
            let (definition, range, internal) = properties::shape(plain, shape);
            return CountedFunnel { internal, ..CountedFunnel::new(definition, range, String::new()) };
        }
    };
    let mut counted = CountedFunnel::new(definition, range, String::new());
    counted.set(&ProjectSettings { sessions: LIMITS, internal: None });
    counted
}

/// Where sessions end, for funnels that count them.
const LIMITS: SessionLimits = SessionLimits { gap_us: 60 * SECOND, max_us: 150 * SECOND };

/// One person's sorted events, session by session.
fn in_sessions(own: Vec<FunnelEvent>) -> Vec<Vec<FunnelEvent>> {
    let mut sessions: Vec<Vec<FunnelEvent>> = Vec::new();
    for event in own {
        let goes_on = sessions.last().is_some_and(|session| {
            event.time_us - session[session.len() - 1].time_us <= LIMITS.gap_us
                && event.time_us - session[0].time_us <= LIMITS.max_us
        });
        match sessions.last_mut().filter(|_| goes_on) {
            Some(session) => session.push(event),
            None => sessions.push(vec![event]),
        }
    }
    sessions
}

/// A property, so that funnels can be broken down.
fn details(second: i64) -> Vec<u8> {
    let (mut value, mut entry, mut properties) = (Vec::new(), Vec::new(), Vec::new());
    put_bytes(&mut value, 1, format!("c{}", second % 3).as_bytes());
    put_bytes(&mut entry, 1, b"color");
    put_bytes(&mut entry, 2, &value);
    if second % 4 != 0 {
        put_bytes(&mut properties, 11, &entry);
    }
    properties
}

/// A log, what is defined in it, and a worker on it.
struct Bench {
    log: Arc<dyn Log>,
    clock: Arc<ManualClock>,
    now_us: i64,
    defined: BTreeMap<String, CountedFunnel>,
    metrics: BTreeMap<String, CountedMetric>,
    settings: ProjectSettings,
    images: Arc<SimDisk>,
    hub: Arc<Hub>,
    worker: Worker,
    events: u128,
    versions: u64,
}

impl Bench {
    fn new() -> Self {
        Self::on(Arc::new(MemoryLog::default()), Arc::new(SimDisk::new(1)), BTreeMap::new())
    }

    fn on(log: Arc<dyn Log>, images: Arc<SimDisk>, defined: BTreeMap<String, CountedFunnel>) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let settings = metrics::settings(1);
        let known = known(&defined, &BTreeMap::new(), &settings);
        let (hub, worker) = worker(&log, &clock, &images, known);
        let metrics = BTreeMap::new();
        let (now_us, events, versions) = (START, 0, 0);
        Self { log, clock, now_us, defined, metrics, settings, images, hub, worker, events, versions }
    }

    fn append(&self, payload: Vec<u8>) -> Result<(), LogError> {
        let entry = Entry { append_time_us: self.now_us, payload: Bytes::from(payload) };
        self.log.append_group(&[entry]).map(|_| ())
    }

    fn event(&mut self, anonymous: &str, user: &str, name: &str, time_us: i64) -> Result<(), LogError> {
        self.change(anonymous, user, name, time_us, None)
    }

    fn change(
        &mut self,
        anonymous: &str,
        user: &str,
        name: &str,
        time_us: i64,
        change: Option<u8>,
    ) -> Result<(), LogError> {
        self.events += 1;
        let actor = if user.is_empty() { anonymous } else { user };
        let head = EventHead {
            lane: 0,
            class: 0,
            time_rule: TimeRule::AsSent,
            actor_key: actor_key(PROJECT, actor.as_bytes()),
            id: EventId(self.events.to_be_bytes()),
            time_us,
            raw_time_us: time_us,
            number: 0,
            index: 0,
        };
        // Events of one moment differ.
        let properties = details(time_us / SECOND + i64::try_from(self.events % 12).unwrap());
        let changes = properties::changes(time_us / SECOND, change);
        let spans = EventSpans {
            name: name.as_bytes(),
            anonymous_id: anonymous.as_bytes(),
            user_id: user.as_bytes(),
            properties: &properties,
            changes: &changes,
            ..EventSpans::default()
        };
        let mut event = Vec::new();
        put_event(&mut event, &head, &spans);
        let head = FrameHead {
            kind: FrameKind::Events,
            historical: false,
            project: 1,
            received_us: self.now_us,
            producer: Producer::default(),
        };
        self.append(build_frame(&head, b"", &[], 1, std::iter::once(&event[..])))
    }

    fn control(&self, control: &Control) -> Result<(), LogError> {
        self.append(control_frame(1, self.now_us, &serde_json::to_vec(control).unwrap()))
    }

    fn run(&mut self, op: &Op) {
        self.try_run(op).unwrap();
    }

    /// Fails when the log does not take a record.
    fn try_run(&mut self, op: &Op) -> Result<(), LogError> {
        match op {
            Op::Event { anonymous, user, name, second } => {
                let user = if *user == 0 { String::new() } else { format!("u{user}") };
                let time_us = START + second * SECOND;
                self.event(&format!("a{anonymous}"), &user, &format!("n{name}"), time_us)?;
            }
            Op::Change { anonymous, user, name, second, change } => {
                let user = if *user == 0 { String::new() } else { format!("u{user}") };
                let (anonymous, name) = (format!("a{anonymous}"), format!("n{name}"));
                self.change(&anonymous, &user, &name, START + second * SECOND, Some(*change))?;
            }
            Op::Identify { anonymous, user } => {
                self.event(&format!("a{anonymous}"), &format!("u{user}"), "$identify", self.now_us)?;
            }
            Op::Merge { from, into } => {
                let (from, into) = ((*from).to_owned(), (*into).to_owned());
                self.control(&Control::MergePersons { from, into, by: String::new() })?;
            }
            Op::Unmerge { id } => {
                self.control(&Control::UnmergePerson { id: (*id).to_owned(), by: String::new() })?;
            }
            Op::Put { funnel, shape } => {
                self.versions += 1;
                let counted = counted(*funnel, *shape, self.versions);
                self.control(&Control::PutFunnel(Box::new(counted.clone())))?;
                self.defined.insert(counted.definition.id.clone(), counted);
            }
            Op::PutMetric { metric, kind } => {
                self.versions += 1;
                let counted = metrics::counted(*metric, *kind, self.versions);
                self.control(&Control::PutMetric(Box::new(counted.clone())))?;
                self.metrics.insert(counted.definition.id.clone(), counted);
            }
            Op::DeleteMetric { metric } => {
                let id = format!("m{metric}");
                self.control(&Control::DeleteMetric { id: id.clone() })?;
                self.metrics.remove(&id);
            }
            Op::Settings { gap_minutes } => {
                let settings = metrics::settings(*gap_minutes);
                self.control(&Control::PutSettings(Box::new(settings.clone())))?;
                self.settings = settings;
            }
            Op::Delete { funnel } => {
                let id = format!("f{funnel}");
                self.control(&Control::DeleteFunnel { id: id.clone() })?;
                self.defined.remove(&id);
            }
            Op::Wait { seconds } => {
                self.now_us += seconds * SECOND;
                self.clock.set(self.now_us);
            }
            Op::Excursion { seconds } => {
                self.clock.set(self.now_us + seconds * SECOND);
                self.worker.step().unwrap();
                self.clock.set(self.now_us);
            }
            Op::Step => drop(self.worker.step().unwrap()),
            Op::Stop => {
                self.worker.step().unwrap();
                self.worker.finish();
                self.restart();
            }
            Op::Kill => {
                self.worker.imager = None;
                self.restart();
            }
        }
        Ok(())
    }

    fn restart(&mut self) {
        let known = known(&self.defined, &self.metrics, &self.settings);
        (self.hub, self.worker) = worker(&self.log, &self.clock, &self.images, known);
    }

    /// Steps until nothing is under way.
    fn settle(&mut self) {
        loop {
            let more = self.worker.step().unwrap();
            let views = self.worker.projects.values_mut().flat_map(ProjectLive::views);
            let stale = views.map(|(_, view)| view.stale().len()).sum::<usize>();
            let books = self.worker.projects.values().flat_map(|project| project.book.all_stale());
            let stale = stale + books.map(|stale| stale.len()).sum::<usize>();
            if !more && stale == 0 && self.worker.filling.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Every stored event with its person, as they stand.
    fn stored_events(
        &self,
        each: &mut dyn FnMut(ActorKey, &footpath_model::record::EventView<'_>, &properties::Naive<'_>),
    ) {
        let records: Vec<_> =
            pages(self.log.as_ref(), 0..u64::MAX).flat_map(|page| page.unwrap().records).collect();
        let mut identity = IdentityGraph::new();
        for record in &records {
            let frame = FrameView::new(&record.payload).unwrap();
            if frame.head.kind == FrameKind::Control {
                link_control(&mut identity, PROJECT, &serde_json::from_slice(frame.context).unwrap());
            }
            frame.events().for_each(|event| _ = link_event(&mut identity, PROJECT, &event));
        }
        let mut done = Vec::new();
        for record in &records {
            for event in FrameView::new(&record.payload).unwrap().events() {
                let head = event.head();
                let person = identity.canonical(ActorKey(head.actor_key));
                let order = (head.time_us, head.id.as_u128());
                done.extend(properties::done(person, order, event.spans().changes));
            }
        }
        for record in &records {
            for event in FrameView::new(&record.payload).unwrap().events() {
                let person = identity.canonical(ActorKey(event.head().actor_key));
                each(person, &event, &properties::Naive { done: &done, person });
            }
        }
    }

    /// The numbers by one fold over all stored events, values by their texts.
    fn expected(&self, counted: &CountedFunnel) -> (FunnelTotals, Values) {
        let (from_us, to_us) = counted.resolve(self.now_us).unwrap();
        let plan = Plan::new(&counted.definition, (from_us, to_us), false, &SessionRules::default()).unwrap();
        let lens = FunnelLens::new(PROJECT, counted, plan.sees_all(), Values::default()).unwrap();
        let mut units: StdHashMap<u64, Vec<FunnelEvent>> = StdHashMap::new();
        self.stored_events(&mut |person, event, known| {
            let (head, spans) = (event.head(), event.spans());
            let facts = Facts {
                order: (head.time_us, head.id.as_u128()),
                properties: spans.properties,
                changes: spans.changes,
                entities: Some(known),
                ..Facts::default()
            };
            let unit = lens.unit(person, &facts);
            let own = unit.zip(lens.event(None, event.name(), &facts));
            own.into_iter().for_each(|(unit, event)| units.entry(unit).or_default().push(event));
        });
        let mut totals = FunnelTotals::new(plan.steps(), counted.definition.breakdown.is_some());
        for mut own in units.into_values() {
            own.sort_by_key(FunnelEvent::order);
            let parts = if counted.sessions.is_some() { in_sessions(own) } else { vec![own] };
            for own in parts {
                let attempts = fold_general(plan.rules(), from_us, own);
                totals.shift(&Tallies::None, &Tallies::of(&attempts, plan.steps()));
            }
        }
        (totals, lens.values().clone())
    }

    fn compare(&self, counted: &CountedFunnel, numbers: &FunnelNumbers) {
        let (totals, values) = self.expected(counted);
        assert_eq!(numbers.reached, totals.all().reached(), "{counted:?}");
        assert_eq!(numbers.took, *totals.all().took(), "{counted:?}");
        let live: BTreeMap<SliceValue, Vec<u64>> =
            numbers.slices.iter().map(|slice| (slice.value.clone(), slice.reached.clone())).collect();
        let batch: BTreeMap<SliceValue, Vec<u64>> =
            totals.by_value().map(|(value, own)| (values.value(value), own.reached().to_vec())).collect();
        assert_eq!(live, batch, "{counted:?}");
    }

    fn check(&mut self) {
        self.settle();
        for (id, counted) in &self.defined {
            let shown = self.hub.view(1, &ViewKey::Funnel(id.clone())).unwrap().borrow().clone();
            assert!(shown.standing.live, "{id}: {shown:?}");
            assert_eq!(shown.standing.version, counted.definition.version);
            let Numbers::Funnel(numbers) = &shown.numbers else { panic!("{shown:?}") };
            self.compare(counted, numbers);
        }
        assert_eq!(self.hub.complete().borrow().position, self.log.durable_end());
    }
}

fn known(
    defined: &BTreeMap<String, CountedFunnel>,
    metrics: &BTreeMap<String, CountedMetric>,
    settings: &ProjectSettings,
) -> KnownProject {
    KnownProject {
        number: 1,
        id: PROJECT.into(),
        settings: settings.clone(),
        funnels: defined.values().cloned().collect(),
        metrics: metrics.values().cloned().collect(),
        rules: Vec::new(),
    }
}

fn worker(
    log: &Arc<dyn Log>,
    clock: &Arc<ManualClock>,
    images: &Arc<SimDisk>,
    known: KnownProject,
) -> (Arc<Hub>, Worker) {
    let log = Arc::clone(log);
    let chunks = Chunks::open(Arc::new(SimDisk::new(2)), 7).unwrap();
    let hub = Arc::new(Hub::new(16));
    let images = ImageOptions {
        disk: Arc::clone(images) as Arc<dyn footpath_log::disk::Disk>,
        incarnation: 7,
        every: Duration::from_secs(30),
        durable: Arc::new(AtomicU64::new(0)),
    };
    let mut worker = Worker::new(LiveParts {
        stored: Stored::new(Arc::clone(&log), Arc::new(chunks)),
        log,
        hub: Arc::clone(&hub),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        known: vec![known],
        names: Box::new(|_| Ok(Some(PROJECT.into()))),
        ledger: Arc::new(|_| Ok(Vec::new())),
        images: Some(images),
        reconcile: None,
        // So few that they come and go.
        most_units: 2,
    })
    .unwrap();
    worker.restore().unwrap();
    worker.publish(true);
    (hub, worker)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn live_equals_batch(ops in prop::collection::vec(op(), 1..250)) {
        let mut bench = Bench::new();
        for op in &ops {
            bench.run(op);
        }
        bench.check();
        // The numbers go on moving without any event.
        bench.run(&Op::Wait { seconds: 240 });
        bench.check();
    }
}

#[test]
fn a_restart_goes_on_from_the_image() {
    let mut bench = Bench::new();
    bench.run(&Op::Put { funnel: 0, shape: 2 });
    for second in 0..100 {
        bench.run(&Op::Event { anonymous: (second % 5) as u8, user: 0, name: (second % 4) as u8, second });
    }
    bench.check();
    let end = bench.log.durable_end();
    bench.run(&Op::Stop);
    assert_eq!(bench.worker.progress.position, end);
    assert!(bench.worker.filling.is_empty(), "nothing has to be folded again");
    bench.check();
}

#[test]
fn a_damaged_image_is_left_aside() {
    let mut bench = Bench::new();
    bench.run(&Op::Put { funnel: 0, shape: 2 });
    bench.run(&Op::Event { anonymous: 1, user: 0, name: 2, second: 1 });
    bench.check();
    bench.run(&Op::Stop);
    for name in footpath_log::disk::Disk::list(bench.images.as_ref()).unwrap() {
        bench.images.flip_bit(&name, 50);
    }
    bench.run(&Op::Kill);
    assert!(!bench.worker.filling.is_empty(), "it is folded from stored events");
    assert_eq!(bench.hub.starting(), 1);
    bench.check();
    assert_eq!(bench.hub.starting(), 0);
}

#[test]
fn answers_say_how_complete_they_are_while_a_person_is_folded_again() {
    let mut bench = Bench::new();
    bench.run(&Op::Put { funnel: 0, shape: 2 });
    for second in 100..200 {
        bench.run(&Op::Event { anonymous: 1, user: 0, name: 1, second });
    }
    bench.check();
    let before = bench.log.durable_end();
    bench.run(&Op::Event { anonymous: 1, user: 0, name: 2, second: 50 });
    bench.run(&Op::Event { anonymous: 2, user: 0, name: 2, second: 50 });
    bench.run(&Op::Step);
    assert_eq!(bench.hub.complete().borrow().position, before);
    let behind = |bench: &Bench| bench.hub.standing(1, &ViewKey::Funnel("f0".into())).unwrap().behind;
    assert!(behind(&bench));
    bench.check();
    assert!(!behind(&bench));
}

#[test]
fn a_newer_version_shows_how_far_it_is_beside_the_older_ones_numbers() {
    let mut bench = Bench::new();
    bench.run(&Op::Put { funnel: 0, shape: 2 });
    bench.run(&Op::Event { anonymous: 1, user: 0, name: 2, second: 1 });
    bench.check();
    let key = ViewKey::Funnel("f0".into());
    let standing = |bench: &Bench| bench.hub.standing(1, &key).unwrap();
    let before = standing(&bench).version;
    let newer = counted(0, 0, before + 1);
    let at = bench.worker.progress.position;
    bench.worker.fill(1, Counted::Funnel(Box::new(newer.clone())), at);
    let job = Arc::clone(&bench.worker.filling[&(1, key.clone())].job);
    bench.worker.publish_percent(&job, 40);
    bench.worker.publish(false);
    let next = Some(Next { version: before + 1, percent: 40 });
    assert_eq!(
        (standing(&bench).version, standing(&bench).live, standing(&bench).next),
        (before, true, next)
    );
    bench.settle();
    assert_eq!((standing(&bench).version, standing(&bench).next), (before + 1, None));
}

#[test]
fn a_funnel_that_was_made_while_the_clock_was_ahead_counts_again_what_lies_before() {
    for shape in 0..SHAPES {
        for seconds in [301, 400] {
            let mut bench = Bench::new();
            bench.run(&Op::Event { anonymous: 0, user: 2, name: 0, second: 0 });
            bench.run(&Op::Put { funnel: 0, shape });
            bench.run(&Op::Event { anonymous: 0, user: 0, name: 0, second: 0 });
            bench.run(&Op::Excursion { seconds });
            bench.check();
        }
    }
}
