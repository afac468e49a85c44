//! What a minute of alert rules costs: 100 rules with 100 series each are judged, folded and stored, as the evaluator and the keeper do.
//!
//! `cargo bench -p footpath-alert --bench tick`

use std::sync::Arc;

use footpath_alert::{Keeper, Outgoing, Told};
use footpath_model::alert::{Completeness, CountedRule, Learned, Observed, Reading, Series};
use footpath_model::calendar::CalendarUnit;
use footpath_model::control::{Control, CountedMetric};
use footpath_model::definition::{
    Aggregate, AlertCondition, AlertRule, Measure, MetricDefinition, PropertyRef, Term,
};
use footpath_store::{AlertRecordRow, EmbeddedStore, NewProject, ProjectStore as _};
/// The processor's time that this thread took, so that waiting for the disk does not count; seconds.
fn processor_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns: f64 = stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or_default();
    ns / 1e9
}

const MINUTE: i64 = 60_000_000;
const RULES: usize = 100;
const SERIES: usize = 100;
const MINUTES: i64 = 60;

struct Nobody;

impl Outgoing for Nobody {
    fn messages(&self, _: &str, _: &str, _: &Told) -> Vec<(String, String)> {
        Vec::new()
    }
}

fn rule(id: usize) -> CountedRule {
    let term = Term { events: vec!["paid".into()], filters: Vec::new(), aggregate: Aggregate::Count };
    let definition = MetricDefinition {
        id: "m".into(),
        name: String::new(),
        version: 1,
        measure: Measure::Events(term),
        breakdown: None,
        include_internal: false,
    };
    let when = AlertCondition::Anomaly { direction: Default::default(), false_alerts: 0.01 };
    let definition_of_rule = AlertRule {
        breakdown: Some(PropertyRef { property: "city".into(), ..PropertyRef::default() }),
        top: SERIES as u32,
        for_buckets: 3,
        ..AlertRule::new(&format!("r{id}"), "m", CalendarUnit::Minute, when)
    };
    let metric = CountedMetric { definition, funnel: None, internal: None };
    CountedRule { definition: definition_of_rule, metric, zone: "UTC".into() }
}

/// A number that scatters a little, the same in every run.
fn number(minute: i64, rule: usize, series: usize) -> f64 {
    let mixed = (minute as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ ((rule * SERIES + series) as u64) << 20;
    let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    100.0 + (mixed >> 58) as f64
}

fn observed(minute: i64, rule: usize) -> Observed {
    let reading = |series| Reading {
        value: Some(number(minute, rule, series)),
        volume: number(minute, rule, series),
        ..Reading::of(Series::Value(format!("city-{series}")))
    };
    let from_us = minute * MINUTE;
    Observed {
        rule: format!("r{rule}"),
        version: 1,
        from_us,
        to_us: from_us + MINUTE,
        local_us: from_us,
        complete: Completeness { events: 1_000_000, ..Completeness::default() },
        series: (0..SERIES).map(reading).collect(),
        drivers: Vec::new(),
    }
}

fn main() {
    let folder = std::env::temp_dir().join(format!("footpath-tick-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the store");
    let store = Arc::new(EmbeddedStore::open(&folder.join("state.redb")).expect("a store"));
    let project = NewProject { id: "p".into(), title: "P".into(), time_zone: "UTC".into(), created_at_us: 0 };
    store.create_project(&project).expect("a project");
    let keeper = Keeper::open(store, Arc::new(Nobody)).expect("a keeper");
    let mut position = 0;
    let mut take = |control: &Control| {
        let json = serde_json::to_vec(control).expect("JSON");
        let bytes = json.len();
        keeper.take("p", &AlertRecordRow { project: 1, position, at_us: 0, json }).expect("taken");
        position += 1;
        bytes
    };
    for id in 0..RULES {
        take(&Control::PutRule(Box::new(rule(id))));
        let (buckets, series) = (Vec::new(), Vec::new());
        let learned = Learned { rule: format!("r{id}"), version: 1, buckets, series, upto_us: 0, last: true };
        take(&Control::Learned(Box::new(learned)));
    }
    let (mut times, mut bytes) = (Vec::new(), 0);
    for minute in 0..MINUTES {
        let rules: Vec<_> = (0..RULES).map(|rule| observed(minute, rule)).collect();
        let before = processor_s();
        // The evaluator looks for what would open, then the record is written and folded.
        keeper.look_ahead(1, &rules);
        bytes = take(&Control::Observed { rules });
        times.push(processor_s() - before);
    }
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    println!("{} series, a record of {bytes} bytes", RULES * SERIES);
    println!(
        "median {:.1} ms of the processor a minute, {:.2} us a series, {:.3} % of a core",
        median * 1e3,
        median * 1e6 / (RULES * SERIES) as f64,
        median / 60.0 * 100.0
    );
    let _ = std::fs::remove_dir_all(&folder); // It is in the temporary folder anyway.
}
