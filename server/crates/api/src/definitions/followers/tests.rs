use footpath_store::MemoryStore;
use v1::filter::Kind as Which;
use v1::metric::Measure;

use super::*;
use crate::definitions::changes::{create, update};
use footpath_proto::v1;

fn in_segment() -> v1::Filter {
    v1::Filter { kind: Some(Which::SegmentId("s".into())) }
}

fn segment(plan: &str) -> v1::Segment {
    let condition = v1::PropertyCondition {
        property: "plan".into(),
        operator: v1::ConditionOperator::Equals.into(),
        values: vec![plan.into()],
        ..Default::default()
    };
    let filter = Some(v1::Filter { kind: Some(Which::Condition(condition)) });
    v1::Segment { id: "s".into(), filter, ..Default::default() }
}

fn funnel(events: &[&str]) -> v1::Funnel {
    let step = |event: &&str| v1::FunnelStep {
        events: vec![(*event).into()],
        filter: Some(in_segment()),
        ..Default::default()
    };
    let window = Some(prost_types::Duration { seconds: 60, nanos: 0 });
    v1::Funnel { id: "f".into(), steps: events.iter().map(step).collect(), window, ..Default::default() }
}

fn metric(id: &str, measure: Measure) -> v1::Metric {
    v1::Metric { id: id.into(), measure: Some(measure), ..Default::default() }
}

fn rate() -> v1::Metric {
    metric("rate", Measure::Conversion(v1::FunnelConversion { funnel_id: "f".into(), step: 3 }))
}

fn count(events: &[&str]) -> v1::Metric {
    let events = events.iter().map(|event| (*event).to_owned()).collect();
    let aggregate = v1::MetricAggregate::Count.into();
    metric(
        "count",
        Measure::Events(v1::MetricTerm {
            events,
            aggregate,
            filter: Some(in_segment()),
            ..Default::default()
        }),
    )
}

fn rule(id: &str, metric: &str, filter: Option<v1::Filter>) -> v1::AlertRule {
    let condition = Some(v1::alert_rule::Condition::NoData(v1::AlertNoData {}));
    v1::AlertRule { id: id.into(), metric_id: metric.into(), filter, condition, ..Default::default() }
}

fn put<K: Kind>(known: &mut Known<'_>, message: &K::Message) {
    let decided = create::<K>(known, message, "UTC").unwrap();
    decided.record.into_iter().for_each(|record| known.try_out(record));
}

/// A segment that everything is made of, in the end: a funnel and a metric of events, a conversion of the funnel, and a rule for each metric.
fn known(store: &MemoryStore) -> Known<'_> {
    let mut known = Known::tried(store, "p").unwrap();
    put::<SegmentDefinition>(&mut known, &segment("pro"));
    put::<CountedFunnel>(&mut known, &funnel(&["a", "b", "c"]));
    put::<CountedMetric>(&mut known, &rate());
    put::<CountedMetric>(&mut known, &count(&["a"]));
    put::<CountedRule>(&mut known, &rule("of-count", "count", Some(in_segment())));
    put::<CountedRule>(&mut known, &rule("of-rate", "rate", None));
    known
}

/// What is written for a change, by name and version.
fn written<K: Kind>(known: &Known<'_>, message: &K::Message) -> Result<Vec<(String, u64)>, Status> {
    fn names(control: Control) -> Vec<(String, u64)> {
        match control {
            Control::PutSegment(one) => vec![(one.id().to_owned(), one.version())],
            Control::PutFunnel(one) => vec![(one.id().to_owned(), one.version())],
            Control::PutMetric(one) => vec![(one.id().to_owned(), one.version())],
            Control::PutRule(one) => vec![(one.id().to_owned(), one.version())],
            Control::Several { changes } => changes.into_iter().flat_map(names).collect(),
            other => panic!("{other:?}"),
        }
    }
    let decided = update::<K>(known, message.clone(), None, "UTC")?;
    Ok(decided.record.map(names).unwrap_or_default())
}

fn second(ids: &[&str]) -> Vec<(String, u64)> {
    ids.iter().map(|id| ((*id).to_owned(), 2)).collect()
}

#[test]
fn what_uses_a_definition_is_written_again_once_and_after_it() {
    let store = MemoryStore::default();
    let known = known(&store);
    let all = written::<SegmentDefinition>(&known, &segment("team")).unwrap();
    assert_eq!(all, second(&["s", "f", "count", "rate", "of-count", "of-rate"]));
    let of_funnel = written::<CountedFunnel>(&known, &funnel(&["a", "b", "c", "d"])).unwrap();
    assert_eq!(of_funnel, second(&["f", "rate", "of-rate"]));
    let of_metric = written::<CountedMetric>(&known, &count(&["b"])).unwrap();
    assert_eq!(of_metric, second(&["count", "of-count"]));
    assert!(written::<CountedMetric>(&known, &count(&["a"])).unwrap().is_empty(), "nothing changes");
}

#[test]
fn what_is_written_again_has_the_newest_of_all_that_it_uses() {
    let store = MemoryStore::default();
    let mut known = known(&store);
    let decided = update::<SegmentDefinition>(&known, segment("team"), None, "UTC").unwrap();
    known.try_out(decided.record.unwrap());
    let json = serde_json::to_string(&known.required::<CountedRule>("of-rate").unwrap()).unwrap();
    assert!(json.contains("team") && !json.contains("pro\""), "{json}");
    let rule = known.required::<CountedRule>("of-count").unwrap();
    assert_eq!((rule.version(), rule.metric.version()), (2, 2));
}

#[test]
fn nothing_is_taken_away_that_is_used() {
    let store = MemoryStore::default();
    let known = known(&store);
    let shorter = written::<CountedFunnel>(&known, &funnel(&["a", "b"])).unwrap_err();
    assert!(shorter.message().starts_with("f would lose a step that metric/rate is made of"), "{shorter:?}");
    let sessions = v1::SessionMeasure { aggregate: v1::SessionAggregate::Count.into(), ..Default::default() };
    let other = metric("count", Measure::Sessions(sessions));
    let unfit = written::<CountedMetric>(&known, &other).unwrap_err();
    assert!(unfit.message().starts_with("alert_rule/of-count watches it: filter: "), "{unfit:?}");
}
