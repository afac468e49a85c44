//! After a restart.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use footpath_alert::IncidentState;
use footpath_engine::alert::{AlertFold, TransitionKind};
use footpath_model::alert::{Annotation, Series};
use footpath_model::control::Control;
use footpath_store::{
    AlertChanges, AlertStore as _, DefinitionKind, DefinitionRow, DefinitionStore as _, IncidentRow,
    StoreError,
};

use crate::world::{MINUTE, START, World, below, rule};

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_and_a_replay_tell_nobody_twice_and_come_to_the_same() {
    let world = World::new();
    for minute in 0..20 {
        world.count(minute, "ios", if minute >= 4 { 1 } else { 20 });
    }
    world.write(&Control::PutRule(Box::new(rule("r", below(10.0)))));
    world.until(8).await;
    let (told, sent) = (world.told(), world.store.pending_deliveries(1, "ops", 9).unwrap());
    assert_eq!(told, [(5, TransitionKind::Opened)]);
    let again = World::on(Arc::clone(&world.store));
    assert!(
        *again.keeper.news().borrow() >= *world.keeper.news().borrow(),
        "who watches now is not told of the past"
    );
    // The projector shows the newest records again after a crash.
    for row in world.records.lock().iter() {
        again.keeper.take("p", row).unwrap();
    }
    assert_eq!((again.told(), again.store.pending_deliveries(1, "ops", 9).unwrap()), (told, sent));
    let state = |world: &World| {
        world.keeper.read(1, |fold| {
            let rule = fold.rule("r").unwrap();
            (rule.last_us, rule.series[&Series::Whole].recent.clone(), fold.open()[0].clone())
        })
    };
    assert_eq!(state(&again), state(&world));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_image_a_project_judges_again_by_what_is_defined() {
    let world = World::new();
    let counts = |world: &World| {
        (0..30).for_each(|minute| world.count(minute, "ios", if (4..12).contains(&minute) { 1 } else { 20 }));
    };
    counts(&world);
    let (rule, position) = (rule("r", below(10.0)), 0);
    let json = serde_json::to_string(&rule).unwrap();
    let (project, kind, id) = ("p".into(), DefinitionKind::Rule, "r".into());
    let row = DefinitionRow { project, kind, id, json, version: 1, position };
    world.store.put_definition(&row).unwrap();
    world.write(&Control::PutRule(Box::new(rule)));
    let (id, text, kind, by) = ("a".into(), "release".into(), String::new(), String::new());
    let release = Annotation { id, text, kind, from_us: START, to_us: START, by, special: false };
    world.write(&Control::Annotate(Box::new(release.clone())));
    world.until(8).await;
    assert_eq!(world.told(), [(5, TransitionKind::Opened)]);
    let image = world.keeper.read(1, AlertFold::encode).unwrap();
    let next = *world.position.lock();
    world.store.put_alert_image(1, next, &image[..image.len() / 2]).unwrap();

    let again = World::on(Arc::clone(&world.store));
    counts(&again);
    again.now_us.store(START + 8 * MINUTE, Ordering::SeqCst);
    let noted = again.keeper.read(1, |fold| fold.annotation("a").cloned()).unwrap();
    assert_eq!(noted, Some(release));
    again.until(20).await;
    assert_eq!(again.told(), [(5, TransitionKind::Opened), (13, TransitionKind::Resolved)]);
    let incidents = again.store.incidents(1, false, None, 9).unwrap();
    let incident = again.keeper.incident(1, &incidents[0].id).unwrap().unwrap();
    assert_eq!((incidents.len(), incident.state), (1, IncidentState::Resolved));
}

/// A project whose incident began at minute 5 and goes on, started again with an image of minute 0: the records behind it are judged
/// anew.
async fn again_from(image: &[u8]) -> Arc<World> {
    let world = World::new();
    let counts = |world: &World| {
        (0..30).for_each(|minute| world.count(minute, "ios", if (4..12).contains(&minute) { 1 } else { 20 }));
    };
    counts(&world);
    let rule = rule("r", below(10.0));
    let json = serde_json::to_string(&rule).unwrap();
    let (project, kind, id) = ("p".into(), DefinitionKind::Rule, "r".into());
    world.store.put_definition(&DefinitionRow { project, kind, id, json, version: 1, position: 0 }).unwrap();
    world.write(&Control::PutRule(Box::new(rule)));
    world.store.put_alert_image(1, 1, image).unwrap();
    world.until(8).await;
    assert_eq!(world.told(), [(5, TransitionKind::Opened)]);
    let again = World::on(Arc::clone(&world.store));
    counts(&again);
    again.now_us.store(START + 8 * MINUTE, Ordering::SeqCst);
    again
}

fn image(bound: f64) -> Vec<u8> {
    let mut fold = AlertFold::new(1);
    fold.apply(0, &Control::PutRule(Box::new(rule("r", below(bound)))));
    fold.encode()
}

/// The ids of the open incidents: in the store, and as the rules know them.
fn open(world: &World) -> (Vec<String>, Vec<String>) {
    let stored = world.store.incidents(1, true, None, 9).unwrap().into_iter().map(|row| row.id).collect();
    let known = world.keeper.read(1, |fold| fold.open().iter().map(|open| open.name.id.clone()).collect());
    (stored, known.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_records_come_to_now_what_was_told_goes_on_and_ends_once() {
    // A law by which nothing was wrong, one by which something was before, and an image that cannot be read.
    for (image, over) in [(image(0.5), 9), (image(21.0), 13), (vec![255], 13)] {
        let world = again_from(&image).await;
        let (stored, known) = open(&world);
        assert_eq!((stored.len(), &stored), (1, &known));
        if over == 13 {
            world.write(&Control::PutRule(Box::new(rule("r", below(10.0)))));
        }
        world.until(16).await;
        assert_eq!(world.told(), [(5, TransitionKind::Opened), (over, TransitionKind::Resolved)]);
        assert_eq!(open(&world), (Vec::new(), Vec::new()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_whose_row_cannot_be_read_is_what_was_told_of_it_last() {
    let world = World::new();
    (0..9).for_each(|minute| world.count(minute, "ios", if minute == 4 { 1 } else { 20 }));
    world.write(&Control::PutRule(Box::new(rule("r", below(10.0)))));
    world.until(5).await;
    let row = world.store.incidents(1, true, None, 9).unwrap().remove(0);
    let before = world.keeper.read_row(&row).unwrap();
    let broken = IncidentRow { json: "{}".into(), ..row };
    let changes = AlertChanges { incidents: vec![broken.clone()], ..AlertChanges::default() };
    let position = std::mem::replace(&mut *world.position.lock(), 1_000);
    assert!(world.store.apply_alerts(&changes, position).unwrap());
    assert_eq!(world.keeper.incident(1, &broken.id).unwrap(), Some(before.clone()));
    assert_eq!(world.keeper.unreadable(), 1);
    world.until(8).await;
    assert_eq!(world.told(), [(5, TransitionKind::Opened), (6, TransitionKind::Resolved)]);
    let after = world.keeper.incident(1, &broken.id).unwrap().unwrap();
    let (opened_us, drivers) = (before.opened_us, before.drivers);
    assert_eq!((after.state, after.opened_us, after.drivers), (IncidentState::Resolved, opened_us, drivers));

    let gone = IncidentRow { id: "gone".into(), ..broken };
    assert!(matches!(world.keeper.read_row(&gone), Err(StoreError::Corrupt(_))));
}
