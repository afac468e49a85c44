//! What a mute withholds, and what it does not.

use std::sync::Arc;

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
