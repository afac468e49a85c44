//! What alert rules watch is there because of them, and is answered once when somebody asks.

use footpath_engine::metric::{Measured, MetricValue};
use footpath_model::alert::CountedRule;
use footpath_model::calendar::CalendarUnit;
use footpath_model::definition::{AlertCondition, AlertRule};
use footpath_model::range::Range;
use tokio::sync::oneshot::error::TryRecvError;

use super::*;
use crate::shape::Shape;

fn rule(id: &str, metric_kind: u8) -> CountedRule {
    let definition = AlertRule::new(id, "m0", CalendarUnit::Minute, AlertCondition::NoData {});
    CountedRule { definition, metric: metrics::counted(0, metric_kind, 1), zone: "UTC".into() }
}

fn put(bench: &mut Bench, rule: &CountedRule) {
    bench.control(&Control::PutRule(Box::new(rule.clone()))).unwrap();
    bench.settle();
}

fn watched(bench: &Bench) -> Vec<ViewKey> {
    let views = bench.hub.demanded().into_iter();
    views.map(|(_, key, _)| key).filter(ViewKey::is_of_rules).collect()
}

#[test]
fn rules_that_watch_the_same_share_a_view_for_as_long_as_one_of_them_is_there() {
    let mut bench = Bench::new();
    bench.run(&Op::Event { anonymous: 1, user: 0, name: 1, second: 1 });
    put(&mut bench, &rule("a", 0));
    put(&mut bench, &rule("b", 0));
    let views = watched(&bench);
    assert_eq!(views.len(), 1, "{views:?}");
    bench.control(&Control::DeleteRule { id: "a".into() }).unwrap();
    bench.run(&Op::Wait { seconds: 2 });
    bench.settle();
    assert_eq!(watched(&bench), views);
    let disabled = AlertRule { disabled: true, version: 2, ..rule("b", 0).definition };
    put(&mut bench, &CountedRule { definition: disabled, ..rule("b", 0) });
    bench.run(&Op::Wait { seconds: 2 });
    bench.settle();
    assert!(watched(&bench).is_empty());
}

#[test]
fn a_question_is_answered_once_with_all_that_was_read() {
    let mut bench = Bench::new();
    let rule = rule("a", 0);
    bench.run(&Op::Event { anonymous: 1, user: 0, name: 1, second: 1 });
    let key = ViewKey::Metric(crate::demand::watched(&rule).unwrap().definition.id);
    // A full minute: the tests begin 20 s after one began.
    let minute_us = START - START.rem_euclid(60 * SECOND);
    let range = Range::Fixed { from_us: minute_us, to_us: minute_us + 60 * SECOND };
    let shape = Shape { metric: None, range, zone: String::new(), unit: None, top: 10 };
    let mut early = bench.hub.ask(1, key.clone(), shape.clone());
    bench.run(&Op::Step);
    assert_eq!(early.try_recv().unwrap_err(), TryRecvError::Empty, "there is no such view yet");
    put(&mut bench, &rule);
    for name in [1, 2, 3] {
        bench.run(&Op::Event { anonymous: 2, user: 0, name, second: 30 });
    }
    bench.settle();
    let mut late = bench.hub.ask(1, key, shape);
    bench.run(&Op::Step);
    let counts = [early.try_recv().unwrap(), late.try_recv().unwrap()].map(|shown| {
        let Numbers::Metric(numbers) = shown.numbers else { panic!("no numbers") };
        numbers.table.total.total
    });
    // n1 and n2 count; the first answer came when the view did.
    assert_eq!(counts, [1, 3].map(|count| Measured::Value(MetricValue::Count(count))));
}

#[test]
fn what_is_not_followed_event_by_event_has_no_view() {
    let mut bench = Bench::new();
    bench.run(&Op::Event { anonymous: 1, user: 0, name: 1, second: 1 });
    put(&mut bench, &rule("sessions", 4));
    assert!(watched(&bench).is_empty());
}
