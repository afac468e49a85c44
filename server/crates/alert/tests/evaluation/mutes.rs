//! What a mute withholds, and what it does not.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use footpath_engine::alert::TransitionKind::{Acknowledged, Opened, Resolved};
use footpath_model::alert::{IncidentAct, IncidentChange};
use footpath_model::control::Control;

use crate::world::{MINUTE, START, World, below, rule};

/// A rule whose number is a problem in minutes 4 to 11.
fn problem() -> Arc<World> {
    let world = World::new();
    for minute in 0..20 {
        world.count(minute, "ios", if (4..12).contains(&minute) { 1 } else { 20 });
    }
    world.write(&Control::PutRule(Box::new(rule("r", below(10.0)))));
    world
}

fn mute_rule(world: &World, until_us: i64) {
    world.write(&Control::MuteRule { id: "r".into(), until_us, by: "ann".into() });
}

/// Somebody does something about the incident that is open.
fn act(world: &World, act: IncidentAct) {
    let name = world.keeper.read(1, |fold| fold.open()[0].name.clone()).unwrap();
    world.write(&Control::Incident(Box::new(IncidentChange {
        incident: name.id,
        rule: name.rule,
        series: name.series,
        from_us: name.from_us,
        severity: name.severity,
        by: "ann".into(),
        act,
    })));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_told_of_an_incident_is_told_of_its_end_though_its_rule_is_muted() {
    let world = problem();
    world.until(8).await;
    mute_rule(&world, i64::MAX);
    act(&world, IncidentAct::Acknowledge {});
    world.until(15).await;
    assert_eq!(world.told(), [(5, Opened), (8, Acknowledged), (13, Resolved)]);
    assert_eq!(world.sent(), ["opened", "acknowledged", "resolved"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_told_of_an_incident_is_told_of_its_end_though_it_is_muted() {
    let world = problem();
    world.until(8).await;
    act(&world, IncidentAct::Mute { until_us: i64::MAX });
    act(&world, IncidentAct::Resolve {});
    assert_eq!(world.sent(), ["opened", "resolved"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_of_an_incident_that_comes_and_goes_while_its_rule_is_muted() {
    let world = problem();
    mute_rule(&world, START + 13 * MINUTE);
    world.until(8).await;
    act(&world, IncidentAct::Acknowledge {});
    world.until(15).await;
    assert_eq!(world.told(), [(5, Opened), (8, Acknowledged), (13, Resolved)]);
    assert_eq!(world.sent(), Vec::<String>::new(), "the mute is over when the incident is");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_that_outlasts_a_mute_is_told_after_it_and_once() {
    let world = problem();
    mute_rule(&world, START + 8 * MINUTE);
    world.until(7).await;
    assert_eq!(world.sent(), Vec::<String>::new());
    let again = World::on(Arc::clone(&world.store)); // A restart forgets nothing of it.
    *again.counts.lock() = world.counts.lock().clone();
    again.now_us.store(world.now_us.load(SeqCst), SeqCst);
    again.until(9).await;
    assert_eq!(again.sent(), ["opened"]);
    again.until(15).await;
    assert_eq!(again.sent(), ["opened", "resolved"]);
    assert_eq!(again.told(), [(5, Opened), (13, Resolved)], "nothing happened to it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_mute_by_hand_counts_as_well_and_acknowledged_incidents_are_left_alone() {
    for (acts, sent) in [(vec![], vec!["opened"]), (vec![IncidentAct::Acknowledge {}], vec![])] {
        let world = problem();
        mute_rule(&world, i64::MAX);
        world.until(7).await;
        acts.into_iter().for_each(|one| act(&world, one));
        mute_rule(&world, 0);
        assert_eq!(world.sent(), Vec::<String>::new(), "with the next bucket, if it is still a problem");
        world.until(10).await;
        assert_eq!(world.sent(), sent);
    }
}
