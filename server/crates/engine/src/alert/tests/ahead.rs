//! Looking ahead of a record changes nothing.

use super::*;

fn anomaly() -> CountedRule {
    by_platform("r", AlertCondition::Anomaly { direction: Direction::Both, false_alerts: 1.0 })
}

fn observed(world: &World, shift: f64) -> Observed {
    let number = |i: i64| 100.0 + ((world.minute + i) * 7 % 11) as f64 + shift;
    world.observed("r", vec![reading(value("ios"), number(1)), reading(value("web"), number(2))])
}

fn apply(world: &mut World, observed: Observed) -> (Vec<Transition>, Vec<u8>) {
    let told = world.fold.apply(observed.to_us, &Control::Observed { rules: vec![observed] });
    world.minute += 1;
    (told, world.fold.encode())
}

#[test]
fn whatever_was_looked_at_a_record_comes_to_the_same() {
    let (mut looking, mut plain) = (World::new([anomaly()]), World::new([anomaly()]));
    for i in 0..300_i64 {
        let record = observed(&plain, 0.0);
        let mut seen = record.clone();
        match i % 6 {
            1 => seen.series[1].value = Some(90.0),
            2 => seen.complete.missing = 50,
            3 => seen.series.truncate(1),
            4 => seen.local_us += MINUTE,
            5 => (seen.from_us, seen.to_us) = (seen.from_us + MINUTE, seen.to_us + MINUTE),
            _ => {}
        }
        looking.fold.look_ahead(&[seen]);
        assert_eq!(apply(&mut looking, record.clone()), apply(&mut plain, record), "minute {i}");
    }
}

#[test]
fn a_changed_rule_judges_by_what_it_says_now() {
    let worlds = || World::new([rule("r", above(10.0))]);
    let (mut looking, mut plain) = (worlds(), worlds());
    for world in [&mut looking, &mut plain] {
        let fine = world.observed("r", vec![reading(Series::Whole, 5.0)]);
        apply(world, fine);
    }
    let mut changed = rule("r", above(20.0));
    changed.definition.version = 2;
    let mut record = plain.observed("r", vec![reading(Series::Whole, 15.0)]);
    assert_eq!(looking.fold.look_ahead(std::slice::from_ref(&record)).len(), 1);
    for world in [&mut looking, &mut plain] {
        world.fold.apply(0, &Control::PutRule(Box::new(changed.clone())));
    }
    record.version = 2;
    assert_eq!(apply(&mut looking, record.clone()), apply(&mut plain, record));
    assert!(looking.fold.open().is_empty());
}

fn begin(world: &mut World, records: &[Observed]) -> Vec<Series> {
    world.fold.look_ahead(records).into_iter().map(|one| one.incident.series).collect()
}

#[test]
fn what_begins_is_what_would_be_told() {
    let mut cool = rule("r", above(10.0));
    cool.definition.cooldown_us = 10 * MINUTE;
    let mut world = World::new([cool]);
    let mut looked = 0;
    for minute in 0..200_i64 {
        let value = if minute * 13 % 7 < 4 { 15.0 } else { 5.0 };
        let record = world.observed("r", vec![reading(Series::Whole, value)]);
        let begins = begin(&mut world, std::slice::from_ref(&record));
        let (told, _) = apply(&mut world, record);
        let opened = told.iter().filter(|one| one.kind == Opened).count();
        assert_eq!(begins.len(), opened, "minute {minute}");
        looked += opened;
    }
    assert!((5..=20).contains(&looked), "{looked}");
}

#[test]
fn a_series_that_is_new_is_looked_at_too() {
    let mut world = World::new([by_platform("r", above(10.0))]);
    let record = world.observed("r", vec![reading(value("ios"), 15.0), reading(value("web"), 5.0)]);
    assert_eq!(begin(&mut world, std::slice::from_ref(&record)), [value("ios")]);
    assert!(world.fold.rule("r").unwrap().series.is_empty(), "it is not there before its record is");
}

#[test]
fn of_several_buckets_the_first_counts_and_one_that_was_judged_does_not() {
    let mut world = World::new([rule("r", above(10.0))]);
    let fine = world.observed("r", vec![reading(Series::Whole, 5.0)]);
    let mut bad = world.observed("r", vec![reading(Series::Whole, 15.0)]);
    (bad.from_us, bad.to_us) = (fine.to_us, fine.to_us + MINUTE);
    assert_eq!(begin(&mut world, &[fine.clone(), bad.clone()]), []);
    apply(&mut world, fine.clone());
    let late = Observed { series: bad.series.clone(), ..fine };
    assert_eq!(begin(&mut world, &[late]), []);
    assert_eq!(begin(&mut world, &[bad]), [Series::Whole]);
}

#[test]
fn series_that_stop_at_once_are_the_pipelines_and_need_no_drivers() {
    let platforms = ["ios", "android", "web"].map(value);
    let mut world = World::new([by_platform("r", AlertCondition::NoData {})]);
    world.minute(vec![("r", platforms.clone().map(|os| reading(os, 5.0)).into())]);
    let one = world.observed("r", platforms[1..].iter().cloned().map(|os| reading(os, 5.0)).collect());
    assert_eq!(begin(&mut world, &[one]), [value("ios")]);
    let all = world.observed("r", Vec::new());
    assert_eq!(begin(&mut world, &[all]), []);
}
