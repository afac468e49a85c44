//! Looking ahead of a record changes nothing but who judges.

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
fn what_was_judged_ahead_is_not_judged_again() {
    let (mut looking, mut plain) = (World::new([anomaly()]), World::new([anomaly()]));
    for shift in [0.0, 1.0, 2.0] {
        let record = observed(&plain, shift);
        // A later bucket of the same rule is judged after the first.
        let mut later = record.clone();
        (later.from_us, later.to_us) = (record.to_us, record.to_us + MINUTE);
        looking.fold.look_ahead(&[record.clone(), later]);
        for series in looking.fold.rules.get_mut("r").unwrap().series.values_mut() {
            series.detector = None; // Whoever judged with it now would not know anything.
        }
        assert_eq!(apply(&mut looking, record.clone()), apply(&mut plain, record));
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
