//! Metrics, sessions and active persons: whatever order events, links, definitions and restarts come in, the live numbers are
//! those that are reckoned by hand over all stored events.

use std::collections::BTreeSet;

use footpath_engine::metric::{Active, Measured, MetricValue};
use footpath_model::calendar::CalendarUnit;
use footpath_model::definition::{Aggregate, Measure, MetricDefinition, SessionAggregate, Term};
use footpath_model::props::property;

use super::*;
use crate::hub::{MetricNumbers, SessionNumbers};
use crate::shape::Shape;

/// Kinds of [`counted`].
const KINDS: u8 = 8;

/// Gaps in minutes, so that sessions of the tests have ends; three gaps are the limit.
pub fn settings(gap_minutes: i64) -> ProjectSettings {
    let gap_us = gap_minutes * 60 * SECOND;
    ProjectSettings { sessions: SessionLimits { gap_us, max_us: 3 * gap_us }, internal: None }
}

pub fn counted(metric: u8, kind: u8, version: u64) -> CountedMetric {
    let term = |events: &[&str], aggregate| Term {
        events: events.iter().map(|name| (*name).to_owned()).collect(),
        filters: Vec::new(),
        aggregate,
    };
    let by = |property: &str| PropertyRef { property: property.into(), ..PropertyRef::default() };
    let uniques = || term(&[], Aggregate::Uniques);
    let (measure, breakdown) = match kind {
        0 => (Measure::Events(term(&["n1", "n2"], Aggregate::Count)), None),
        1 => (Measure::Events(uniques()), None),
        2 => (Measure::Events(term(&["n0", "n3"], Aggregate::Uniques)), Some(by("color"))),
        3 => (Measure::Ratio { numerator: term(&["n1"], Aggregate::Count), denominator: uniques() }, None),
        4 => (Measure::Sessions(SessionAggregate::Count), Some(by("entry_event"))),
        5 => (Measure::Sessions(SessionAggregate::Uniques), None),
        6 => (Measure::Sessions(SessionAggregate::BounceRate), None),
        _ => (Measure::Sessions(SessionAggregate::Uniques), Some(by("exit_event"))),
    };
    let definition = MetricDefinition {
        id: format!("m{metric}"),
        name: String::new(),
        version,
        measure,
        breakdown,
        include_internal: false,
    };
    CountedMetric { definition, funnel: None, internal: None }
}

/// An event by hand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    time_us: i64,
    id: u128,
    person: u64,
    name: String,
    color: Option<String>,
}

/// A session by hand.
#[derive(Debug, Clone)]
struct Cut {
    person: u64,
    events: Vec<Told>,
}

/// A value of a metric by hand: above the line, and below it.
type Pair = (u64, u64);

/// All that happened, by hand.
struct World {
    told: Vec<Told>,
    sessions: Vec<Cut>,
}

impl World {
    /// What is counted in a span: for each thing its value of the breakdown, its person, and whether it is above the line
    /// and below it.
    fn things(&self, counted: &CountedMetric, span: (i64, i64)) -> Vec<(Option<String>, u64, bool, bool)> {
        let inside = |time_us: i64| (span.0..span.1).contains(&time_us);
        let by = counted.definition.breakdown.as_ref().map(|by| by.property.as_str());
        let named = |term: &Term, name: &String| term.events.is_empty() || term.events.contains(name);
        match &counted.definition.measure {
            Measure::Events(_) | Measure::Ratio { .. } => {
                let (above, below) = match &counted.definition.measure {
                    Measure::Ratio { numerator, denominator } => (numerator, denominator),
                    Measure::Events(term) => (term, term),
                    _ => unreachable!(),
                };
                let events = self.told.iter().filter(|event| inside(event.time_us));
                events
                    .map(|event| {
                        let sides = (named(above, &event.name), named(below, &event.name));
                        (event.color.clone().filter(|_| by.is_some()), event.person, sides.0, sides.1)
                    })
                    .collect()
            }
            Measure::Sessions(_) => {
                let begun = self.sessions.iter().filter(|cut| inside(cut.events[0].time_us));
                begun
                    .map(|cut| {
                        let value = by.map(|by| match by {
                            "entry_event" => cut.events[0].name.clone(),
                            _ => cut.events[cut.events.len() - 1].name.clone(),
                        });
                        (value, cut.person, cut.events.len() == 1, true)
                    })
                    .collect()
            }
            Measure::Conversion { .. } => Vec::new(),
        }
    }

    /// A metric's value of one value of its breakdown (`None` for all of them) in a span.
    fn by_hand(&self, counted: &CountedMetric, span: (i64, i64), value: Option<&SliceValue>) -> Pair {
        let is_it = |text: &Option<String>| match value {
            None => true,
            Some(SliceValue::Is(wanted)) => text.as_ref() == Some(wanted),
            Some(_) => text.is_none(),
        };
        let things = self.things(counted, span);
        let things: Vec<_> = things.iter().filter(|(text, ..)| is_it(text)).collect();
        let count = |persons: bool, above: bool| {
            let own = things.iter().filter(|thing| if above { thing.2 } else { thing.3 });
            let own: Vec<u64> = own.map(|thing| thing.1).collect();
            if persons { own.iter().collect::<BTreeSet<_>>().len() as u64 } else { own.len() as u64 }
        };
        match &counted.definition.measure {
            Measure::Events(term) => (count(term.aggregate == Aggregate::Uniques, true), 0),
            Measure::Ratio { .. } => (count(false, true), count(true, false)),
            Measure::Sessions(SessionAggregate::BounceRate) => (count(false, true), count(false, false)),
            Measure::Sessions(aggregate) => (count(*aggregate == SessionAggregate::Uniques, false), 0),
            Measure::Conversion { .. } => (0, 0),
        }
    }
}

impl Bench {
    fn world(&self) -> World {
        World { told: self.told(), sessions: self.sessions() }
    }

    fn told(&self) -> Vec<Told> {
        let mut told = Vec::new();
        self.stored_events(&mut |person, event, _| {
            let (head, spans) = (event.head(), event.spans());
            let color = property(spans.properties, "color");
            let color = color.and_then(|color| Some(footpath_model::filter::as_text(&color)?.into_owned()));
            let (time_us, id) = (head.time_us, head.id.as_u128());
            told.push(Told { time_us, id, person: person.0, name: event.name().to_owned(), color });
        });
        told.sort();
        told
    }

    fn sessions(&self) -> Vec<Cut> {
        let mut open: BTreeMap<u64, Cut> = BTreeMap::new();
        let mut all = Vec::new();
        let SessionLimits { gap_us, max_us } = self.settings.sessions;
        for event in self.told() {
            let own = open.entry(event.person).or_insert(Cut { person: event.person, events: vec![] });
            let ends = own.events.last().is_some_and(|last| event.time_us - last.time_us > gap_us)
                || own.events.first().is_some_and(|first| event.time_us - first.time_us > max_us);
            if ends {
                all.push(std::mem::replace(own, Cut { person: event.person, events: vec![] }));
            }
            own.events.push(event);
        }
        all.extend(open.into_values());
        all
    }

    fn compare_metric(&self, world: &World, counted: &CountedMetric, shape: &Shape, numbers: &MetricNumbers) {
        let laid = shape.lay(self.now_us).unwrap();
        assert_eq!(numbers.span, (laid.from_us, laid.to_us));
        let whole = (laid.from_us, laid.to_us.unwrap_or(i64::MAX));
        let rows = numbers.table.rows.iter().flatten();
        for series in rows.chain([&numbers.table.total]) {
            let expected = world.by_hand(counted, whole, series.value.as_ref());
            assert_eq!(pair(&series.total), expected, "{counted:?} {series:?}");
            let columns = laid.layout.spans.iter().zip(&laid.layout.starts_us);
            for (span, start_us) in columns {
                let shown =
                    series.buckets.iter().find(|(at, _)| at == start_us).map(|(_, value)| pair(value));
                let expected = world.by_hand(counted, *span, series.value.as_ref());
                assert_eq!(shown.unwrap_or_default(), expected, "{counted:?} at {start_us}: {series:?}");
            }
        }
        let named: BTreeSet<_> = numbers.table.rows.iter().flatten().map(|row| row.value.clone()).collect();
        for (text, _, above, below) in world.things(counted, whole) {
            let value = text.map_or(SliceValue::NotSet, SliceValue::Is);
            let missing = numbers.table.rows.is_some() && (above || below) && !named.contains(&Some(value));
            assert!(!missing, "{counted:?} {numbers:?}");
        }
    }

    fn compare_sessions(&self, world: &World, shape: &Shape, numbers: &SessionNumbers) {
        let laid = shape.lay(self.now_us).unwrap();
        let all = &world.sessions;
        let ends = |cut: &Cut| cut.events[cut.events.len() - 1].time_us;
        let closes = |cut: &Cut| {
            let limit_us = cut.events[0].time_us + self.settings.sessions.max_us;
            limit_us.min(ends(cut) + self.settings.sessions.gap_us)
        };
        let last_of_person =
            |cut: &Cut| all.iter().filter(|other| other.person == cut.person).map(ends).max();
        let open =
            all.iter().filter(|cut| Some(ends(cut)) == last_of_person(cut) && self.now_us <= closes(cut));
        assert_eq!(numbers.open, open.count() as u64, "open");
        let to_us = laid.to_us.unwrap_or(i64::MAX);
        let begun = all.iter().filter(|cut| (laid.from_us..to_us).contains(&cut.events[0].time_us));
        let begun: Vec<_> = begun.collect();
        assert_eq!(numbers.started, begun.len() as u64, "started");
        let bounces = begun.iter().filter(|cut| cut.events.len() == 1).count();
        assert_eq!(numbers.bounces, bounces as u64, "bounces");
        let events: usize = begun.iter().map(|cut| cut.events.len()).sum();
        assert_eq!(numbers.events, events as u64, "events");
        let seconds: i64 = begun.iter().map(|cut| (ends(cut) - cut.events[0].time_us) / SECOND).sum();
        assert!(
            (numbers.duration_s - seconds as f64).abs() < 1e-6,
            "duration {} {seconds}",
            numbers.duration_s
        );
    }

    fn compare_active(&self, world: &World, active: Active) {
        let mut last: BTreeMap<u64, i64> = BTreeMap::new();
        for event in &world.told {
            last.insert(event.person, event.time_us / SECOND);
        }
        let since = |second: i64| last.values().filter(|last| **last >= second).count() as u64;
        let now_s = self.now_us / SECOND;
        let day_s = Range::Today.resolve(self.now_us, "").unwrap().0 / SECOND;
        let expected =
            Active { five_minutes: since(now_s - 300), half_hour: since(now_s - 1800), today: since(day_s) };
        assert_eq!(active, expected);
    }

    fn check_metrics(&mut self, range: &Range, unit: Option<CalendarUnit>) {
        let shape = |metric: Option<&String>| Shape {
            metric: metric.cloned(),
            range: range.clone(),
            zone: String::new(),
            unit,
            top: 10,
        };
        let sessions = self.hub.shape(1, ViewKey::Sessions { internal: false }, shape(None)).unwrap();
        let active = self.hub.demand(1, ViewKey::Active(String::new())).unwrap();
        self.settle();
        let mut watches = Vec::new();
        for (id, counted) in &self.metrics {
            let followed = followed(counted);
            let own = matches!(followed, Followed::Sessions(_)).then_some(id);
            let watch = self.hub.shape(1, followed.view().unwrap(), shape(own)).unwrap();
            watches.push((counted.clone(), shape(own), watch));
        }
        self.settle();
        let world = self.world();
        for (counted, shape, watch) in watches {
            let shown = watch.borrow().clone();
            assert!(shown.standing.live, "{counted:?} {shown:?}");
            let Numbers::Metric(numbers) = &shown.numbers else { panic!("{counted:?} {shown:?}") };
            self.compare_metric(&world, &counted, &shape, numbers);
        }
        let shown = sessions.borrow().clone();
        let Numbers::Sessions(numbers) = &shown.numbers else { panic!("{shown:?}") };
        self.compare_sessions(&world, &shape(None), numbers);
        let shown = active.borrow().clone();
        let Numbers::Active(active) = shown.numbers else { panic!("{shown:?}") };
        self.compare_active(&world, active);
    }
}

fn pair(measured: &Measured) -> Pair {
    match measured {
        Measured::Value(MetricValue::Count(count)) => (*count, 0),
        Measured::Value(MetricValue::Uniques { persons, .. }) => (*persons, 0),
        Measured::Ratio(ratio) => (ratio.numerator_samples, ratio.denominator_samples),
        other => panic!("{other:?}"),
    }
}

pub fn with_metrics() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => op(),
        2 => (0_u8..3, 0_u8..KINDS).prop_map(|(metric, kind)| Op::PutMetric { metric, kind }),
        1 => (0_u8..3).prop_map(|metric| Op::DeleteMetric { metric }),
        1 => (1_i64..3).prop_map(|gap_minutes| Op::Settings { gap_minutes }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
    #[test]
    fn live_metrics_equal_those_by_hand(ops in prop::collection::vec(with_metrics(), 1..200), early in 0_usize..200) {
        let mut bench = Bench::new();
        bench.run(&Op::Settings { gap_minutes: 1 });
        let minutes = Range::Last { n: 4, unit: RollingUnit::Minutes };
        for (i, op) in ops.iter().enumerate() {
            if i == early {
                // Somebody watches from here on, so that the views follow what comes.
                bench.check_metrics(&minutes, None);
            }
            bench.run(op);
        }
        bench.check_metrics(&Range::Last { n: 3, unit: RollingUnit::Days }, None);
        bench.check_metrics(&minutes, Some(CalendarUnit::Minute));
        bench.run(&Op::Wait { seconds: 100 });
        bench.check_metrics(&Range::Today, Some(CalendarUnit::Hour));
        bench.reconcile_all();
    }
}

#[test]
fn persons_with_more_sessions_than_are_kept_become_one() {
    let mut bench = Bench::new();
    bench.run(&Op::Settings { gap_minutes: 1 });
    bench.run(&Op::PutMetric { metric: 0, kind: 5 });
    bench.run(&Op::PutMetric { metric: 1, kind: 6 });
    let days = Range::Last { n: 3, unit: RollingUnit::Days };
    bench.check_metrics(&days, None);
    // Each has four sessions; together they have four of two events.
    for second in [0, 100, 200, 300] {
        bench.run(&Op::Event { anonymous: 0, user: 0, name: 0, second });
        bench.run(&Op::Event { anonymous: 1, user: 2, name: 1, second: second + 30 });
        bench.run(&Op::Step);
    }
    bench.run(&Op::Merge { from: "a0", into: "u2" });
    bench.run(&Op::Event { anonymous: 1, user: 2, name: 1, second: 15 });
    bench.check_metrics(&days, None);
    assert!(bench.worker.refills.is_empty(), "the two are read again, not everybody");
    bench.run(&Op::Stop);
    bench.check_metrics(&days, None);
}
