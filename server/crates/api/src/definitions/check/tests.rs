use footpath_store::{DefinitionKind, DefinitionStore as _, MemoryStore};

use super::*;
use crate::rows::definition_row;

fn project() -> ProjectRow {
    let (id, title, time_zone) = ("p".to_owned(), String::new(), "UTC".to_owned());
    ProjectRow { id, number: 1, title, time_zone, created_at_us: 0 }
}

fn metric(id: &str) -> v1::Metric {
    let term = v1::MetricTerm { aggregate: v1::MetricAggregate::Count.into(), ..v1::MetricTerm::default() };
    v1::Metric { id: id.into(), measure: Some(v1::metric::Measure::Events(term)), ..v1::Metric::default() }
}

fn put(store: &MemoryStore, message: &v1::Metric) {
    let metric = CountedMetric::read(message, 1, "UTC").unwrap();
    let row = definition_row("p", DefinitionKind::Metric, metric.id(), 1, &metric, 0).unwrap();
    assert!(store.put_definition(&row).unwrap());
}

#[test]
fn what_is_tried_out_is_judged_by_one_state_of_the_store() {
    let store = MemoryStore::default();
    put(&store, &metric("there"));
    let mut known = Known::tried(&store, "p").unwrap();
    put(&store, &metric("later"));
    assert_eq!(known.ids::<CountedMetric>().unwrap(), ["there"]);
    assert!(known.find::<CountedMetric>("later").unwrap().is_none());
    known.refused::<CountedMetric>("there");
    assert!(known.all::<CountedMetric>().unwrap().is_empty());
    assert!(known.missing::<CountedMetric>("", "there", "").message().contains("is refused itself"));
    assert_eq!(Known::stored(&store, "p").ids::<CountedMetric>().unwrap(), ["later", "there"]);
}

#[test]
fn who_is_gone_is_not_worked_for() {
    let (store, stop) = (MemoryStore::default(), Stop::default());
    let metrics = vec![metric("a")];
    let asked = v1::CheckDefinitionsRequest { project: "p".into(), metrics, ..Default::default() };
    assert!(check(&store, &project(), &asked, &stop).unwrap().is_empty());
    stop.stop();
    assert_eq!(check(&store, &project(), &asked, &stop).unwrap_err().code(), tonic::Code::Cancelled);
}
