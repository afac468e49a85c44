//! From numbers to incidents: an evaluator over numbers that the test decides, and a keeper over a store in memory.

#![allow(clippy::unwrap_used)] // A test that cannot be set up should stop here.

use footpath_alert::{Simulation, simulate};
use footpath_engine::alert::TransitionKind;
use footpath_model::alert::{CountedRule, Series};
use footpath_model::control::Control;
use footpath_model::definition::{AlertCondition, Measure, PropertyRef};
use footpath_store::AlertStore as _;
use parking_lot::Mutex;

mod mutes;
mod restarts;
mod world;

use world::{MINUTE, START, World, below, project, rule};

#[tokio::test(flavor = "multi_thread")]
async fn every_bucket_is_judged_once_and_an_incident_comes_and_goes() {
    let world = World::new();
    for minute in 0..10 {
        world.count(minute, "ios", if (4..6).contains(&minute) { 1 } else { 20 });
    }
    world.write(&Control::PutRule(Box::new(rule("r", below(10.0)))));
    world.until(9).await;
    assert_eq!(world.told(), [(5, TransitionKind::Opened), (7, TransitionKind::Resolved)]);
    let judged = world.keeper.read(1, |fold| fold.rule("r").unwrap().series[&Series::Whole].recent.clone());
    let from: Vec<_> = judged.unwrap().iter().map(|one| (one.from_us - START) / MINUTE).collect();
    assert_eq!(from, (0..9).collect::<Vec<_>>());
    let incident = &world.store.incidents(1, false, None, 9).unwrap()[0];
    let incident = world.keeper.incident(1, &incident.id).unwrap().unwrap();
    assert_eq!(incident.drivers[0].value, Series::Value("ios".into()));
    assert_eq!(incident.summary, "Payments: 1, allowed is at least 10");
    assert_eq!((incident.owner.as_str(), incident.resolved_us), ("ann", Some(START + 7 * MINUTE)));
    assert_eq!(world.sent(), ["opened", "resolved"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_as_long_as_a_page_leaves_room_for_the_number() {
    let world = World::new();
    let value: &str = "\u{e9}\n".repeat(5_000).leak();
    (0..3).for_each(|minute| world.count(minute, value, 1));
    let mut by = rule("r", below(10.0));
    by.definition.breakdown = Some(PropertyRef { property: "os".into(), ..PropertyRef::default() });
    world.write(&Control::PutRule(Box::new(by)));
    world.until(2).await;
    let incident = &world.store.incidents(1, false, None, 9).unwrap()[0];
    let incident = world.keeper.incident(1, &incident.id).unwrap().unwrap();
    let summary = &incident.summary;
    assert!(
        summary.starts_with("Payments (\u{e9} \u{e9} ") && summary.ends_with("…): 1, allowed is at least 10")
    );
    assert!(summary.chars().count() < 130, "{summary}");
    assert_eq!(incident.series, Series::Value(value.into()), "all of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_rule_learns_what_was_before_it() {
    let world = World::new();
    for minute in -100..5 {
        world.count(minute, "ios", 20);
    }
    let anomaly = AlertCondition::Anomaly { direction: Default::default(), false_alerts: 1.0 };
    world.write(&Control::PutRule(Box::new(rule("r", anomaly))));
    world.until(3).await;
    let records = world.records.lock();
    let learned: Vec<_> = records
        .iter()
        .filter_map(|row| match serde_json::from_slice(&row.json).unwrap() {
            Control::Learned(learned) => Some(*learned),
            _ => None,
        })
        .collect();
    assert_eq!(learned.len(), 1);
    assert_eq!(learned[0].series[0].values.len(), 100, "from the first event on");
    assert!(learned[0].last);
}

/// The gap of a rule about no data is judged if it is one: the project was there before, or sends something else.
#[tokio::test(flavor = "multi_thread")]
async fn a_simulation_judges_a_gap_at_the_beginning_of_its_range() {
    let project = project();
    let looked_at = async |world: &World, rule: &CountedRule, from: i64| {
        let (from_us, to_us) = (START + from * MINUTE, START + 20 * MINUTE);
        let asked = Simulation { project: &project, rule, from_us, to_us };
        simulate(world, asked, &|_| {}).await.unwrap()
    };
    let silent = rule("r", AlertCondition::NoData {});
    let world = World::new();
    (10..20).for_each(|minute| world.count(minute, "ios", 20));
    let simulated = looked_at(&world, &silent, 0).await;
    assert_eq!(
        (simulated.buckets, simulated.missing, simulated.span_us),
        (10, 0, 10 * MINUTE),
        "before all events"
    );
    for before in [-5, -100 * 24 * 60] {
        let world = World::new();
        (10..20).chain([before]).for_each(|minute| world.count(minute, "ios", 20));
        let simulated = looked_at(&world, &silent, 0).await;
        assert_eq!(
            (simulated.buckets, simulated.missing, simulated.span_us),
            (20, 10, 20 * MINUTE),
            "{before}"
        );
    }
    let mut share = silent;
    let Measure::Events(paid) = share.metric.definition.measure else { panic!("it counts events") };
    share.metric.definition.measure = Measure::Ratio { numerator: paid.clone(), denominator: paid };
    let world = World::new();
    (0..20).for_each(|minute| world.other(minute));
    (10..20).for_each(|minute| world.count(minute, "ios", 20));
    let simulated = looked_at(&world, &share, 0).await;
    let opened = simulated.transitions.first().map(|one| (one.kind, one.at_us));
    assert_eq!(opened, Some((TransitionKind::Opened, START + MINUTE)));
    assert_eq!((simulated.buckets, simulated.incidents()), (20, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulation_shows_what_would_have_been_sent_and_changes_nothing() {
    let world = World::new();
    for minute in 0..100 {
        world.count(minute, "ios", if (40..45).contains(&minute) { 1 } else { 20 });
        world.count(minute, "web", 30);
    }
    let mut by = rule("r", below(10.0));
    by.definition.breakdown = Some(PropertyRef { property: "os".into(), ..PropertyRef::default() });
    let (project, percents) = (project(), Mutex::new(Vec::new()));
    let asked = Simulation {
        project: &project,
        rule: &by,
        from_us: START + 10 * MINUTE,
        to_us: START + 100 * MINUTE,
    };
    let simulated = simulate(world.as_ref(), asked, &|percent| percents.lock().push(percent)).await.unwrap();
    let told: Vec<_> = simulated.transitions.iter().map(|one| (one.kind, one.at_us)).collect();
    assert_eq!(
        told,
        [(TransitionKind::Opened, START + 41 * MINUTE), (TransitionKind::Resolved, START + 46 * MINUTE)]
    );
    assert_eq!(simulated.transitions[0].incident.series, Series::Value("ios".into()));
    assert_eq!(
        (simulated.series, simulated.buckets, simulated.incidents(), simulated.alerts()),
        (2, 180, 1, 2)
    );
    assert!(percents.lock().is_sorted() && !percents.lock().is_empty());
    assert!(world.records.lock().is_empty());
}
