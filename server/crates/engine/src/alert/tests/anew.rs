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
    world.fold.agree(vec![Known { open: open.clone(), stopped }], |_| None);
    world.fold.apply(0, &learned(&rules()[0]));
    let told = world.minute(vec![("r", platforms.map(|os| reading(os, 5.0)).into())]);
    assert_eq!(
        told.iter().map(|one| (one.kind, &one.incident)).collect::<Vec<_>>(),
        [(Resolved, &open.name)]
    );
}

fn known(open: &Open) -> Vec<Known> {
    vec![Known { open: open.clone(), stopped: Vec::new() }]
}

#[test]
fn an_incident_whose_rule_is_not_there_can_be_closed_or_goes_on_with_the_rule() {
    let mut world = World::new([rule("r", above(10.0))]);
    world.value("r", 11.0);
    let open = world.fold.open()[0].clone();
    let mut fold = AlertFold::anew(7, b"", []);
    fold.agree(known(&open), |_| None);
    assert_eq!(fold.open(), [&open]);
    let mut closed = fold.clone();
    let told = closed.apply(0, &act(&open, IncidentAct::Resolve {}));
    assert_eq!((told[0].kind, told[0].incident.clone()), (Resolved, open.name.clone()));
    assert!(closed.open().is_empty());

    world.fold = fold;
    let rule = rule("r", above(10.0));
    world.fold.apply(0, &Control::PutRule(Box::new(rule.clone())));
    world.fold.apply(0, &learned(&rule));
    assert_eq!(world.fold.open(), [&open]);
    assert_eq!(world.value("r", 5.0), [Resolved]);
    assert!(world.fold.open().is_empty());
}

#[test]
fn what_is_open_is_what_was_told() {
    let rules = || [rule("r", above(10.0))];
    let mut world = World::new(rules());
    world.value("r", 11.0);
    let told = world.fold.open()[0].clone();
    // Another bucket began it, by another law.
    let mut other = told.clone();
    other.name.id = "another".into();
    world.fold.agree(known(&other), |_| None);
    assert_eq!(world.fold.open(), [&other]);
    // What people did to it holds.
    let acknowledged = Open { acknowledged: true, muted_until_us: 5, ..other.clone() };
    world.fold.agree(known(&acknowledged), |_| None);
    assert_eq!(world.fold.open(), [&acknowledged]);
    // Nobody was told of it: a problem is news.
    world.fold.agree(Vec::new(), |_| None);
    assert!(world.fold.open().is_empty());
    assert_eq!(world.value("r", 11.0), [Opened]);
}

#[test]
fn after_one_that_is_over_the_cooldown_holds() {
    let mut cool = rule("r", above(10.0));
    cool.definition.cooldown_us = 3 * MINUTE;
    let mut world = World::new([cool]);
    assert_eq!(world.value("r", 11.0), [Opened]);
    let open = world.fold.open()[0].clone();
    world.fold.agree(Vec::new(), |id| (id == open.name.id).then_some(open.told.to_us));
    assert_eq!(world.value("r", 11.0), []);
    assert_eq!(world.value("r", 11.0), []);
    assert_eq!(world.value("r", 11.0), [Opened]);
}

#[test]
fn a_pipelines_incident_that_nobody_was_told_of_is_dropped_with_what_it_holds() {
    let rules = || [by_platform("r", AlertCondition::NoData {})];
    let platforms = ["ios", "android", "web"].map(value);
    let mut world = World::new(rules());
    world.minute(vec![("r", platforms.map(|os| reading(os, 5.0)).into())]);
    assert_eq!(world.minute(vec![("r", Vec::new())])[0].incident.rule, PIPELINE);
    world.fold.agree(Vec::new(), |_| None);
    assert!(world.fold.open().is_empty() && world.fold.stopped().next().is_none());
    assert_eq!(world.minute(vec![("r", Vec::new())])[0].incident.rule, PIPELINE);
}
