//! The live path over real data sets, event by event in the order of the file, gives what queries over stored events and the
//! reference by hand give.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use footpath_engine::metric::{MetricValue, Ratio};
use footpath_history::{Chunks, Stored};
use footpath_live::{
    Followed, Hub, KnownProject, Live, LiveParts, MetricNumbers, Numbers, Shape, Shown, ViewKey, followed,
};
use footpath_log::{Entry as LogEntry, Log, MemoryLog, SimDisk};
use footpath_model::calendar::CalendarUnit;
use footpath_model::clock::ManualClock;
use footpath_model::control::{Control, CountedFunnel, CountedMetric, ProjectSettings};
use footpath_model::definition::{
    Aggregate, Counting, Entry, Measure, MetricDefinition, PropertyRef, SessionAggregate, Term,
};
use footpath_model::range::Range;
use footpath_model::record::control_frame;
use footpath_query::{Measured, MetricQuery, SliceValue, metric};
use tokio::sync::watch::Receiver;

use crate::data::{self, Event};
use crate::naive::{self, HOUR, persons, reached};
use crate::store::{FRAME, PROJECT, Set, append};
use crate::{STEPS, chains, definition};

/// A live worker that followed a data set.
struct LiveSet {
    hub: Arc<Hub>,
    _live: Live,
}

/// Everything a data set is looked at through.
fn metrics() -> Vec<CountedMetric> {
    let term = |aggregate| Measure::Events(Term { events: Vec::new(), filters: Vec::new(), aggregate });
    let by = |property: &str| Some(PropertyRef { property: property.into(), ..PropertyRef::default() });
    let all = [
        ("count", term(Aggregate::Count), by("text")),
        ("uniques", term(Aggregate::Uniques), None),
        ("sum", term(Aggregate::Sum("number".into())), None),
        ("paid", term(Aggregate::Average("decimal".into())), None),
        ("largest", term(Aggregate::Max("number".into())), by("text")),
        ("median", term(Aggregate::Percentiles { property: "number".into(), percentiles: vec![50.0] }), None),
        ("sessions", Measure::Sessions(SessionAggregate::Count), by("entry_event")),
        ("bounces", Measure::Sessions(SessionAggregate::BounceRate), None),
        ("lasting", Measure::Sessions(SessionAggregate::AverageDuration), None),
        ("visitors", Measure::Sessions(SessionAggregate::Uniques), by("exit_event")),
    ];
    let metric = |(id, measure, breakdown): (&str, Measure, Option<PropertyRef>)| CountedMetric {
        definition: MetricDefinition {
            id: id.to_owned(),
            name: String::new(),
            version: 1,
            measure,
            breakdown,
            include_internal: false,
        },
        funnel: None,
        internal: None,
    };
    all.into_iter().map(metric).collect()
}

/// Defines, follows the events as they come, and waits until all are in.
fn follow(
    mut events: Vec<Event>,
    funnels: &[CountedFunnel],
    metrics: &[CountedMetric],
    now_us: i64,
) -> LiveSet {
    let log = Arc::new(MemoryLog::default());
    let chunks = Arc::new(Chunks::open(Arc::new(SimDisk::new(1)), 1).unwrap());
    let shared = || Arc::clone(&log) as Arc<dyn Log>;
    let hub = Arc::new(Hub::new(16));
    let live = Live::start(LiveParts {
        log: shared(),
        stored: Stored::new(shared(), chunks),
        hub: Arc::clone(&hub),
        clock: Arc::new(ManualClock::at(now_us)),
        known: vec![KnownProject {
            number: PROJECT.number,
            id: PROJECT.id.into(),
            settings: ProjectSettings::default(),
            funnels: Vec::new(),
            metrics: Vec::new(),
            rules: Vec::new(),
        }],
        names: Box::new(|_| Ok(Some(PROJECT.id.into()))),
        ledger: Arc::new(|_| Ok(Vec::new())),
        images: None,
        reconcile: None,
        // Fewer than there are persons.
        most_units: 2_000,
    });
    let put = |control: &Control| {
        let payload = control_frame(PROJECT.number, 0, &serde_json::to_vec(control).unwrap());
        log.append_group(&[LogEntry { append_time_us: 0, payload: payload.into() }]).unwrap();
    };
    funnels.iter().for_each(|funnel| put(&Control::PutFunnel(Box::new(funnel.clone()))));
    metrics.iter().for_each(|metric| put(&Control::PutMetric(Box::new(metric.clone()))));
    // Halfway, so that some of it is back-filled while more comes.
    let half = events.len() / 2;
    for frame in events[..half].chunks_mut(FRAME) {
        append(&log, frame);
    }
    wait(&hub, &log);
    for frame in events[half..].chunks_mut(FRAME) {
        append(&log, frame);
    }
    wait(&hub, &log);
    LiveSet { hub, _live: live.unwrap() }
}

fn wait(hub: &Hub, log: &MemoryLog) {
    while hub.complete().borrow().position < log.durable_end() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// What is shown once there are numbers that are live.
fn shown(watch: &Receiver<Arc<Shown>>) -> Arc<Shown> {
    loop {
        let shown = Arc::clone(&watch.borrow());
        if shown.standing.live && shown.numbers != Numbers::None {
            return shown;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

impl LiveSet {
    fn funnel(&self, id: &str) -> Vec<u64> {
        let key = ViewKey::Funnel(id.to_owned());
        let watch = self.hub.view(PROJECT.number, &key).unwrap();
        let shown = shown(&watch);
        let Numbers::Funnel(numbers) = &shown.numbers else { panic!("{shown:?}") };
        numbers.reached.clone()
    }

    fn metric(&self, counted: &CountedMetric, shape: &Shape) -> MetricNumbers {
        let (key, metric) = match followed(counted) {
            Followed::Alone(key) => (key, None),
            Followed::Sessions(key) => (key, Some(counted.definition.id.clone())),
            Followed::No => panic!("all of them are followed"),
        };
        let watch = self.hub.shape(PROJECT.number, key, Shape { metric, ..shape.clone() }).unwrap();
        let shown = shown(&watch);
        let Numbers::Metric(numbers) = &shown.numbers else { panic!("{shown:?}") };
        (**numbers).clone()
    }
}

/// Live, stored, and by hand.
fn compare(events: Vec<Event>) {
    let set = Set::new(events);
    let times = set.events.iter().map(|event| event.time_us);
    let (first, last) = (times.clone().min().unwrap(), times.max().unwrap());
    let now_us = set.source().now_us;
    let day = 24 * HOUR;
    let whole = Range::Fixed { from_us: first - first % day, to_us: last - last % day + day };
    let funnels: Vec<CountedFunnel> = [Entry::Latest, Entry::First]
        .into_iter()
        .enumerate()
        .map(|(i, entry)| {
            let mut definition = definition(HOUR, entry, Counting::Persons);
            (definition.id, definition.version) = (format!("f{i}"), 1);
            CountedFunnel::new(definition, whole.clone(), "UTC".into())
        })
        .collect();
    let metrics = metrics();
    let live = follow(set.events.clone(), &funnels, &metrics, now_us);
    let range = (first - first % day, last - last % day + day);
    for (i, entry) in [Entry::Latest, Entry::First].into_iter().enumerate() {
        let by_hand = chains(&set.events, &Counting::Persons, entry, HOUR, range);
        assert_eq!(live.funnel(&format!("f{i}")), reached(STEPS.len(), by_hand.iter()));
    }
    let shape =
        Shape { metric: None, range: whole, zone: "UTC".into(), unit: Some(CalendarUnit::Month), top: 100 };
    for counted in &metrics {
        let numbers = live.metric(counted, &shape);
        let Shape { range, zone, unit, top, .. } = &shape;
        let query = MetricQuery { counted, range, zone, unit: *unit, compare_previous: false, top: *top };
        let stored = metric(&set.source(), &query).unwrap();
        let rows = numbers.table.rows.clone().unwrap_or_else(|| vec![numbers.table.total.clone()]);
        assert_eq!(rows, stored.series, "{counted:?}");
        assert!(!numbers.table.cut, "the range begins and ends at midnight");
    }
    by_hand(&set.events, |id| {
        let counted = metrics.iter().find(|metric| metric.definition.id == id).unwrap();
        live.metric(counted, &shape)
    });
}

/// What shares no code with either.
fn by_hand(events: &[Event], numbers: impl Fn(&str) -> MetricNumbers) {
    let total = |id: &str| numbers(id).table.total.total;
    let users: BTreeSet<&String> = events.iter().map(|event| &event.user).collect();
    let uniques = MetricValue::Uniques { persons: users.len() as u64, standard_error: None };
    assert_eq!(total("uniques"), Measured::Value(uniques));
    let mut by_text: BTreeMap<&str, u64> = BTreeMap::new();
    events.iter().for_each(|event| *by_text.entry(&event.text).or_default() += 1);
    for row in numbers("count").table.rows.unwrap() {
        let text = match &row.value {
            Some(SliceValue::Is(text)) => text.clone(),
            Some(SliceValue::NotSet) => String::new(),
            other => panic!("{other:?} although there are few values"),
        };
        assert_eq!(row.total, Measured::Value(MetricValue::Count(by_text[text.as_str()])), "{text:?}");
    }
    let sessions: Vec<_> = persons(events).values().flat_map(|own| naive::sessions(own)).collect();
    let bounced = sessions.iter().filter(|session| session.len() == 1).count() as u64;
    let Measured::Ratio(Ratio { numerator_samples, denominator_samples, .. }) = total("bounces") else {
        panic!("a rate is a ratio")
    };
    assert_eq!((numerator_samples, denominator_samples), (bounced, sessions.len() as u64));
}

#[test]
fn a_shop_is_followed() {
    let Some(events) = data::shop() else { return };
    compare(events);
}

#[test]
fn a_web_server_whose_lines_are_out_of_order_is_followed() {
    let Some(events) = data::web_log() else { return };
    compare(events);
}

#[test]
fn purchases_over_a_year_are_followed() {
    let Some(events) = data::cdnow() else { return };
    compare(events);
}
