//! A project whose numbers the test decides: a clock, a log that is nothing but the keeper, a store in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use footpath_alert::{Evaluator, Keeper, Numbers, NumbersError, Outgoing, Pace, Seen, Told};
use footpath_engine::SliceValue;
use footpath_engine::alert::TransitionKind;
use footpath_engine::metric::{Measured, MetricSeries, MetricValue, Table};
use footpath_model::alert::{CountedRule, Driver, DriverKind, Series};
use footpath_model::calendar::{CalendarUnit, buckets};
use footpath_model::control::{Control, CountedMetric};
use footpath_model::definition::{
    Aggregate, AlertCondition, AlertRule, Measure, MetricDefinition, PropertyRef, Severity, Term,
};
use footpath_store::{AlertRecordRow, AlertStore, MemoryStore, NewProject, ProjectRow, ProjectStore as _};
use parking_lot::Mutex;

pub const MINUTE: i64 = 60_000_000;
/// When the tests begin: a Wednesday, 2023-11-15 00:00 UTC.
pub const START: i64 = 1_700_006_400_000_000;

/// Events by minute and value, a clock, and a log that is nothing but the keeper.
pub struct World {
    pub now_us: AtomicI64,
    pub counts: Mutex<BTreeMap<(i64, &'static str), u64>>,
    /// Minutes in which the project had events that no rule watches.
    pub others: Mutex<BTreeSet<i64>>,
    pub store: Arc<MemoryStore>,
    pub keeper: Arc<Keeper>,
    pub position: Mutex<u64>,
    pub records: Mutex<Vec<AlertRecordRow>>,
}

/// One message for each destination.
struct Everybody;

impl Outgoing for Everybody {
    fn messages(&self, project: &str, name: &str, told: &Told) -> Vec<(String, String)> {
        let message = format!("{project} {name} {}", told.transition.kind.name());
        told.incident.destinations.iter().map(|id| (id.clone(), message.clone())).collect()
    }
}

pub fn project() -> ProjectRow {
    ProjectRow { id: "p".into(), number: 1, title: "P".into(), time_zone: "UTC".into(), created_at_us: 0 }
}

pub fn rule(id: &str, when: AlertCondition) -> CountedRule {
    let term = Term { events: vec!["paid".into()], filters: Vec::new(), aggregate: Aggregate::Count };
    let definition = MetricDefinition {
        id: "m".into(),
        name: String::new(),
        version: 1,
        measure: Measure::Events(term),
        breakdown: None,
        include_internal: false,
    };
    let metric = CountedMetric { definition, funnel: None, internal: None };
    let definition = AlertRule {
        name: "Payments".into(),
        severity: Severity::Critical,
        owner: "ann".into(),
        destinations: vec!["ops".into()],
        ..AlertRule::new(id, "m", CalendarUnit::Minute, when)
    };
    CountedRule { definition, metric, zone: "UTC".into() }
}

pub fn below(bound: f64) -> AlertCondition {
    AlertCondition::Threshold { above: None, below: Some(bound) }
}

impl World {
    pub fn new() -> Arc<Self> {
        let store = Arc::new(MemoryStore::new());
        let ProjectRow { id, title, time_zone, created_at_us, .. } = project();
        store.create_project(&NewProject { id, title, time_zone, created_at_us }).unwrap();
        Self::on(store)
    }

    /// As after a restart: nothing but the store is left.
    pub fn on(store: Arc<MemoryStore>) -> Arc<Self> {
        let keeper = Keeper::open(store.clone(), Arc::new(Everybody)).unwrap();
        let position = store.alerts_position().unwrap().map_or(0, |last| last + 1_000);
        Arc::new(Self {
            now_us: AtomicI64::new(START),
            counts: Mutex::default(),
            others: Mutex::default(),
            store,
            keeper: Arc::new(keeper),
            position: Mutex::new(position),
            records: Mutex::default(),
        })
    }

    pub fn count(&self, minute: i64, value: &'static str, count: u64) {
        self.counts.lock().insert((START + minute * MINUTE, value), count);
    }

    pub fn other(&self, minute: i64) {
        self.others.lock().insert(START + minute * MINUTE);
    }

    pub fn write(&self, control: &Control) {
        let mut position = self.position.lock();
        let row = AlertRecordRow {
            project: 1,
            position: *position,
            at_us: self.now_us(),
            json: serde_json::to_vec(control).unwrap(),
        };
        self.keeper.take("p", &row).unwrap();
        self.records.lock().push(row);
        *position += 1;
    }

    fn sum(&self, (from_us, to_us): (i64, i64), value: Option<&str>) -> u64 {
        let counts = self.counts.lock();
        let own = counts.range((from_us, "")..(to_us, ""));
        own.filter(|((_, name), _)| value.is_none_or(|value| *name == value)).map(|(_, count)| count).sum()
    }

    fn values(&self) -> Vec<&'static str> {
        let mut values: Vec<_> = self.counts.lock().keys().map(|(_, value)| *value).collect();
        values.sort_unstable();
        values.dedup();
        values
    }

    fn series(
        &self,
        span: (i64, i64),
        value: Option<&'static str>,
        unit: Option<CalendarUnit>,
    ) -> MetricSeries {
        let measured = |span| Measured::Value(MetricValue::Count(self.sum(span, value)));
        let cut = unit.map(|unit| buckets(span.0, span.1, unit, "UTC").unwrap()).unwrap_or_default();
        let filled = cut.into_iter().filter(|span| self.sum(*span, value) > 0);
        MetricSeries {
            value: value.map(|value| SliceValue::Is(value.into())),
            total: measured(span),
            buckets: filled.map(|span| (span.0, measured(span))).collect(),
        }
    }

    fn all(&self, rule: &CountedRule, span: (i64, i64), unit: Option<CalendarUnit>) -> Vec<MetricSeries> {
        match rule.watched().definition.breakdown {
            Some(_) => self.values().into_iter().map(|value| self.series(span, Some(value), unit)).collect(),
            None => vec![self.series(span, None, unit)],
        }
    }

    /// Lets time go on to a minute, and whatever is due happen.
    pub async fn until(self: &Arc<Self>, minute: i64) {
        let pace = Pace { every: Duration::from_millis(10), ..Pace::default() };
        let evaluator = Evaluator::start(Arc::clone(self), Arc::clone(&self.keeper), pace, (0, 0));
        while self.now_us() < START + minute * MINUTE {
            self.now_us.fetch_add(MINUTE / 2, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        drop(evaluator);
    }

    /// What the destination is sent.
    pub fn sent(&self) -> Vec<String> {
        let rows = self.store.pending_deliveries(1, "ops", 1_000).unwrap();
        rows.iter().map(|row| row.json.rsplit(' ').next().unwrap().to_owned()).collect()
    }

    pub fn told(&self) -> Vec<(i64, TransitionKind)> {
        let rows = self.store.transitions(1, (0, 0), 1_000).unwrap();
        let told = rows.iter().map(|row| serde_json::from_str::<Told>(&row.json).unwrap());
        told.map(|told| ((told.transition.at_us - START) / MINUTE, told.transition.kind)).collect()
    }
}

impl Numbers for World {
    fn now_us(&self) -> i64 {
        self.now_us.load(Ordering::SeqCst)
    }

    fn projects(&self) -> Result<Vec<ProjectRow>, NumbersError> {
        Ok(vec![project()])
    }

    fn seen(&self, _project: u32) -> Option<Seen> {
        Some(Seen { position: 0, processed_us: self.now_us(), missing: 0 })
    }

    fn events(&self, _project: u32, from_us: i64, to_us: i64) -> Result<u64, NumbersError> {
        Ok(self.sum((from_us, to_us), None))
    }

    async fn table(
        &self,
        _project: &ProjectRow,
        rule: &CountedRule,
        span: (i64, i64),
    ) -> Result<Table, NumbersError> {
        let rows = rule.watched().definition.breakdown.is_some().then(|| self.all(rule, span, None));
        let total = self.series(span, None, None);
        Ok(Table { keys: Vec::new(), rows, total, overflow: false, cut: false })
    }

    async fn past(
        &self,
        _project: &ProjectRow,
        rule: &CountedRule,
        span: (i64, i64),
        unit: CalendarUnit,
    ) -> Result<Vec<MetricSeries>, NumbersError> {
        Ok(self.all(rule, span, Some(unit)))
    }

    async fn alive(
        &self,
        _project: &ProjectRow,
        rule: &CountedRule,
        (from_us, to_us): (i64, i64),
        unit: CalendarUnit,
    ) -> Result<Vec<i64>, NumbersError> {
        let cut = buckets(from_us, to_us, unit, &rule.zone).unwrap();
        let has_other = |span: &(i64, i64)| self.others.lock().range(span.0..span.1).next().is_some();
        let alive = cut.into_iter().filter(|span| self.sum(*span, None) > 0 || has_other(span));
        Ok(alive.map(|span| span.0).collect())
    }

    async fn drivers(
        &self,
        _project: &ProjectRow,
        _rule: &CountedRule,
        _series: &Series,
        _span: (i64, i64),
    ) -> Vec<Driver> {
        let property = PropertyRef { property: "os".into(), ..PropertyRef::default() };
        let (value, kind) = (Series::Value("ios".into()), DriverKind::Volume);
        vec![Driver { property, value, kind, contribution: 1.0, before: Some(9.0), after: Some(0.0) }]
    }

    async fn record(&self, _project: &ProjectRow, control: Control) -> Result<(), NumbersError> {
        self.write(&control);
        Ok(())
    }
}
