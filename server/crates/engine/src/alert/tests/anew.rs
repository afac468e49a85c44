//! A project whose image cannot be read.

use super::*;

#[test]
fn the_pipelines_incident_goes_on_and_ends_when_half_is_back() {
    let rules = || [by_platform("r", AlertCondition::NoData {})];
    let platforms = ["ios", "android", "web"].map(value);
    let mut world = World::new(rules());
    world.minute(vec![("r", platforms.clone().map(|os| reading(os, 5.0)).into())]);
    assert_eq!(world.minute(vec![("r", Vec::new())])[0].incident.rule, PIPELINE);
    let open = world.fold.open()[0].clone();
    let stopped: Vec<_> = world.fold.stopped().cloned().collect();
    world.fold = AlertFold::anew(7, b"\x09", rules());
    assert_eq!(world.fold.rule("r").unwrap().state(), RuleState::BackFilling);
    world.fold.go_on(open.clone(), stopped);
    world.fold.apply(0, &learned(&rules()[0]));
    let told = world.minute(vec![("r", platforms.map(|os| reading(os, 5.0)).into())]);
    assert_eq!(
        told.iter().map(|one| (one.kind, &one.incident)).collect::<Vec<_>>(),
        [(Resolved, &open.name)]
    );
}

#[test]
fn an_incident_of_a_rule_that_is_gone_does_not_go_on() {
    let mut world = World::new([rule("r", above(10.0))]);
    world.value("r", 11.0);
    let open = world.fold.open()[0].clone();
    let mut fold = AlertFold::anew(7, b"", []);
    fold.go_on(open, []);
    assert!(fold.open().is_empty());
}
