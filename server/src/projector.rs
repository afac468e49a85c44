//! The projector: the one consumer that carries the log's outcomes, definitions, settings and privacy
//! requests into the store, and shows stored events to the catalogues.
//!
//! It goes on from the position that the store holds, so that a crash between a control record and its row is
//! repaired at the next start; every row it writes may be written again.

mod catalog;
mod control;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use footpath_alert::Keeper;
use footpath_api::catalog::Catalogs;
use footpath_api::projection::Projection;
use footpath_live::Progress;
use footpath_log::{Log, Record, pages};
use footpath_model::control::Control;
use footpath_model::record::{FrameKind, FrameView};
use footpath_store::{AlertRecordRow, LedgerCell, Store, StoreError};

use self::catalog::Cataloguer;
use self::control::Carrier;

/// How often the log is read: before its newest records leave memory.
const PAUSE: Duration = Duration::from_millis(50);
/// How many pauses it takes until outcomes become visible to queries; one store transaction each. A definition does not
/// wait for it.
const PAUSES: u32 = 10;
/// How many pauses it takes until the catalogues are stored: after a crash at most this much of the log is read again.
const CATALOG_PAUSES: u32 = 100;
const MINUTE_US: i64 = 60_000_000;

/// The running consumer; stops when dropped.
pub struct Projector {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Projector {
    /// Brings the store up to the log's end, then follows it in a thread of its own.
    ///
    /// # Errors
    /// If the log or the store fails, or the thread cannot be started.
    pub fn start(
        log: Arc<dyn Log>,
        store: Arc<dyn Store>,
        projection: Arc<Projection>,
        catalogs: Arc<Catalogs>,
        alerts: Arc<Keeper>,
    ) -> anyhow::Result<Self> {
        let next = store.ledger_position()?.map_or_else(|| log.first(), |last| last + 1);
        let cataloguer = Cataloguer::load(Arc::clone(&store), catalogs, log.first())?;
        let known = log.first()..=log.durable_end();
        anyhow::ensure!(
            known.contains(&next) && known.contains(&cataloguer.next()),
            "state.redb and the log are of different times: state.redb knows the log up to {next}, which holds {} to \
             {}; restore the whole data folder from one backup",
            log.first(),
            log.durable_end()
        );
        let mut work = Work::new(log, store, projection, next, cataloguer, alerts);
        work.catch_up()?;
        work.apply()?;
        work.store_catalogs()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let run = move || work.run(&stopped);
        let thread = std::thread::Builder::new().name("projector".into()).spawn(run)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Projector {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        footpath_log::join(self.thread.take());
    }
}

struct Work {
    log: Arc<dyn Log>,
    store: Arc<dyn Store>,
    projection: Arc<Projection>,
    /// Ids of projects by number.
    projects: HashMap<u32, String>,
    cataloguer: Cataloguer,
    alerts: Arc<Keeper>,
    /// Outcomes of what was read and is not in the store yet.
    cells: HashMap<LedgerCell, u64>,
    /// Outcomes and control records below this position were in the store at the start.
    applied: u64,
    /// The position and time after what was read.
    read: Progress,
}

impl Work {
    fn new(
        log: Arc<dyn Log>,
        store: Arc<dyn Store>,
        projection: Arc<Projection>,
        applied: u64,
        cataloguer: Cataloguer,
        alerts: Arc<Keeper>,
    ) -> Self {
        let read = Progress { position: applied.min(cataloguer.next()), processed_us: 0 };
        let (projects, cells) = (HashMap::new(), HashMap::new());
        Self { log, store, projection, projects, cataloguer, alerts, cells, applied, read }
    }

    fn run(&mut self, stopped: &AtomicBool) {
        let (mut pauses, mut catalog_pauses) = (0, 0);
        while !stopped.load(Ordering::SeqCst) {
            pauses += 1;
            catalog_pauses += 1;
            let somebody_waits = self.projection.rest(PAUSE);
            let due = somebody_waits || pauses >= PAUSES;
            if due {
                pauses = 0;
            }
            if let Err(error) = self.catch_up().and_then(|()| if due { self.apply() } else { Ok(()) }) {
                tracing::error!(%error, "the log cannot be carried into the store; trying again");
            }
            if catalog_pauses >= CATALOG_PAUSES {
                catalog_pauses = 0;
                self.store_catalogs().unwrap_or_else(|error| {
                    tracing::error!(%error, "the catalogue cannot be stored; trying again");
                });
            }
        }
        // Spares the next start reading; without it nothing is lost.
        self.store_catalogs().unwrap_or_else(|error| tracing::warn!(%error, "the catalogue was not stored"));
    }

    fn store_catalogs(&self) -> anyhow::Result<()> {
        self.cataloguer.store(self.read.position)
    }

    /// Reads to the log's end.
    fn catch_up(&mut self) -> anyhow::Result<()> {
        let log = Arc::clone(&self.log);
        for page in pages(log.as_ref(), self.read.position..u64::MAX) {
            for record in &page?.records {
                self.take(record)?;
                self.read = Progress { position: record.offset + 1, processed_us: record.append_time_us };
            }
        }
        Ok(())
    }

    /// Brings the store to where the log was read to. Last of all: what comes before it is repeated after a crash.
    fn apply(&mut self) -> anyhow::Result<()> {
        if self.projection.progress().position != self.read.position {
            let cells: Vec<_> = self.cells.iter().map(|(cell, count)| (cell.clone(), *count)).collect();
            if let Some(last) = self.read.position.checked_sub(1) {
                self.store.apply_ledger(&cells, last)?;
            }
            self.cells.clear();
            self.projection.publish(self.read);
        }
        Ok(())
    }

    fn take(&mut self, record: &Record) -> anyhow::Result<()> {
        let Ok(frame) = FrameView::new(&record.payload) else { return Ok(()) };
        if record.offset >= self.applied {
            self.carry(&frame, record)?;
        }
        // Last: after an error the record is taken again.
        if record.offset >= self.cataloguer.next() {
            self.cataloguer.see(&frame);
        }
        Ok(())
    }

    fn carry(&mut self, frame: &FrameView<'_>, record: &Record) -> anyhow::Result<()> {
        // First: after an error the record is taken again, and its outcomes must not be counted twice.
        if frame.head.kind == FrameKind::Control {
            self.control(frame, record)?;
        }
        for one in frame.outcomes() {
            let cell = LedgerCell {
                project: frame.head.project,
                minute: record.append_time_us.div_euclid(MINUTE_US),
                outcome: one.outcome as u8,
                reason: one.reason,
            };
            *self.cells.entry(cell).or_default() += u64::from(one.count);
        }
        Ok(())
    }

    fn control(&mut self, frame: &FrameView<'_>, record: &Record) -> anyhow::Result<()> {
        let control: Control = match serde_json::from_slice(frame.context) {
            Ok(control) => control,
            Err(error) => {
                tracing::error!(%error, offset = record.offset, "a control record cannot be read and is left out");
                return Ok(());
            }
        };
        let Some(project) = self.project(frame.head.project)? else { return Ok(()) };
        let carrier = Carrier {
            store: self.store.as_ref(),
            project: &project,
            number: frame.head.project,
            position: record.offset,
            received_us: frame.head.received_us,
            json: frame.context,
        };
        let alert = control.concerns_alerts().then(|| AlertRecordRow {
            project: frame.head.project,
            position: record.offset,
            at_us: frame.head.received_us,
            json: frame.context.to_vec(),
        });
        let carried = carrier.carry(control);
        let carried = carried.and_then(|()| alert.map_or(Ok(()), |row| self.alerts.take(&project, &row)));
        match carried {
            // The client's mistake; the first one stands.
            Err(StoreError::Conflict { .. }) => tracing::warn!(
                offset = record.offset,
                "a control record has the id of another one with other content and is left out"
            ),
            // However often it is tried: who comes behind it must not wait for ever.
            Err(StoreError::Invalid(_)) => {
                tracing::error!(offset = record.offset, "a control record cannot be stored and is left out");
            }
            carried => carried?,
        }
        Ok(())
    }

    fn project(&mut self, number: u32) -> anyhow::Result<Option<String>> {
        if !self.projects.contains_key(&number) {
            let rows = self.store.projects()?;
            self.projects = rows.into_iter().map(|row| (row.number, row.id)).collect();
        }
        Ok(self.projects.get(&number).cloned())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use footpath_api::rows::{definition, definition_row};
    use footpath_log::{Entry, MemoryLog};
    use footpath_model::control::{CountedFunnel, CountedMetric, ProjectSettings, SessionLimits};
    use footpath_model::definition::{
        AllOf, Filter, FunnelDefinition, Measure, MetricDefinition, SegmentDefinition, SessionAggregate, Step,
    };
    use footpath_model::id::{EventId, Producer};
    use footpath_model::range::Range;
    use footpath_model::record::{
        EventHead, EventSpans, FrameHead, Outcome, OutcomeCount, TimeRule, build_frame, control_frame,
        put_event,
    };
    use footpath_store::DefinitionKind::{self, Funnel, Metric, Segment};
    use footpath_store::{
        CatalogRow, CatalogStore as _, DefinitionRow, DefinitionStore as _, MemoryStore, NewProject,
        OutcomeStore as _,
    };
    use footpath_store::{PersonStore as _, ProjectStore as _};

    use super::*;

    /// Tells nobody.
    struct Nobody;

    impl footpath_alert::Outgoing for Nobody {
        fn messages(&self, _: &str, _: &str, _: &footpath_alert::Told) -> Vec<(String, String)> {
            Vec::new()
        }
    }

    fn start(
        log: Arc<MemoryLog>,
        store: Arc<MemoryStore>,
        projection: Arc<Projection>,
        catalogs: Arc<Catalogs>,
    ) -> anyhow::Result<Projector> {
        let alerts = Keeper::open(store.clone(), Arc::new(Nobody))?;
        Projector::start(log, store, projection, catalogs, Arc::new(alerts))
    }

    fn funnel(id: &str, version: u64) -> CountedFunnel {
        let step = |name: &str| Step { events: vec![name.into()], ..Step::default() };
        let steps = vec![step("a"), step("b")];
        let definition =
            FunnelDefinition { id: id.into(), version, steps, window_us: 1, ..Default::default() };
        CountedFunnel::new(definition, Range::Today, "UTC".into())
    }

    fn put(version: u64) -> Control {
        Control::PutFunnel(Box::new(funnel("f", version)))
    }

    fn metric() -> CountedMetric {
        let measure = Measure::Sessions(SessionAggregate::Count);
        let (id, name) = ("f".into(), String::new());
        let definition =
            MetricDefinition { id, name, version: 4, measure, breakdown: None, include_internal: false };
        CountedMetric { definition, funnel: None, internal: None }
    }

    fn segment() -> SegmentDefinition {
        let filter = Filter::All(AllOf { all: Vec::new() });
        SegmentDefinition { id: "f".into(), name: "all".into(), version: 5, filter }
    }

    fn row(store: &MemoryStore, kind: DefinitionKind) -> Option<DefinitionRow> {
        store.definition("p", kind, "f").unwrap()
    }

    fn append(log: &MemoryLog, control: &Control) -> u64 {
        let payload = control_frame(1, 7, &serde_json::to_vec(control).unwrap()).into();
        log.append_group(&[Entry { append_time_us: 7, payload }]).unwrap()
    }

    fn fresh() -> (Arc<MemoryLog>, Arc<MemoryStore>, Arc<Projection>) {
        let store = MemoryStore::new();
        let project =
            NewProject { id: "p".into(), title: "p".into(), time_zone: "UTC".into(), created_at_us: 0 };
        store.create_project(&project).unwrap();
        (Arc::new(MemoryLog::default()), Arc::new(store), Arc::default())
    }

    #[test]
    fn a_control_record_whose_row_a_crash_lost_is_in_the_store_after_the_start() {
        let (log, store, projection) = fresh();
        append(&log, &put(1));
        let last = append(&log, &put(2));
        let _running = start(log, store.clone(), projection.clone(), Arc::default()).unwrap();
        let row = row(&store, Funnel).unwrap();
        assert_eq!((row.version, row.position), (2, last));
        assert_eq!(projection.progress().position, last + 1);
    }

    #[test]
    fn a_replayed_deletion_does_not_take_what_was_made_later() {
        let (log, store, projection) = fresh();
        append(&log, &put(1));
        append(&log, &Control::DeleteFunnel { id: "f".into() });
        let made_again = append(&log, &put(1));
        let row_again = definition_row("p", Funnel, "f", 1, &funnel("f", 1), made_again).unwrap();
        store.put_definition(&row_again).unwrap();
        let _running = start(log, store.clone(), projection, Arc::default()).unwrap();
        assert_eq!(row(&store, Funnel).unwrap().position, made_again);
    }

    #[test]
    fn a_store_of_another_time_than_the_log_stops_the_start() {
        for known in [0, 9] {
            let (log, store, projection) = fresh();
            append(&log, &put(1));
            append(&log, &put(2));
            append(&log, &put(3));
            log.trim(2).unwrap();
            store.apply_ledger(&[], known).unwrap();
            let error = start(log, store, projection, Arc::default()).err().unwrap().to_string();
            assert!(error.contains("state.redb") && error.contains("backup"), "{error}");
        }
    }

    #[test]
    fn every_kind_of_definition_comes_and_goes() {
        let (log, store, projection) = fresh();
        append(&log, &put(3));
        append(&log, &Control::PutMetric(Box::new(metric())));
        append(&log, &Control::PutSegment(Box::new(segment())));
        drop(start(log.clone(), store.clone(), projection.clone(), Arc::default()).unwrap());
        let rows = [Funnel, Metric, Segment].map(|kind| row(&store, kind).unwrap());
        let made = rows.clone().map(|row| (row.version, row.position));
        assert_eq!(made, [(3, 0), (4, 1), (5, 2)]);
        assert_eq!(definition::<CountedFunnel>(&rows[0]).unwrap(), funnel("f", 3));
        assert_eq!(definition::<CountedMetric>(&rows[1]).unwrap(), metric());
        assert_eq!(definition::<SegmentDefinition>(&rows[2]).unwrap(), segment());
        assert!(definition::<SegmentDefinition>(&rows[0]).is_err());

        append(&log, &Control::DeleteMetric { id: "f".into() });
        drop(start(log.clone(), store.clone(), projection.clone(), Arc::default()).unwrap());
        assert_eq!([Funnel, Metric, Segment].map(|kind| row(&store, kind).is_some()), [true, false, true]);
        append(&log, &Control::DeleteSegment { id: "f".into() });
        append(&log, &Control::DeleteFunnel { id: "f".into() });
        let _running = start(log, store.clone(), projection, Arc::default()).unwrap();
        assert_eq!([Funnel, Metric, Segment].map(|kind| row(&store, kind)), [None, None, None]);
    }

    #[test]
    fn settings_are_as_the_last_record_says() {
        let (log, store, projection) = fresh();
        let limits = |gap_us| SessionLimits { gap_us, ..SessionLimits::default() };
        let settings = |gap_us| ProjectSettings { sessions: limits(gap_us), ..ProjectSettings::default() };
        append(&log, &Control::PutSettings(Box::new(settings(1))));
        let last = append(&log, &Control::PutSettings(Box::new(settings(2))));
        let _running = start(log, store.clone(), projection, Arc::default()).unwrap();
        let row = store.settings("p").unwrap().unwrap();
        assert_eq!(row.position, last);
        assert_eq!(serde_json::from_str::<ProjectSettings>(&row.json).unwrap(), settings(2));
    }

    #[test]
    fn what_can_never_be_stored_is_left_out_and_holds_up_nothing() {
        let (log, store, projection) = fresh();
        let asked = |kind| Control::Privacy { id: "r".into(), kind, actor: "a".into() };
        append(&log, &Control::PutFunnel(Box::new(funnel(&"x".repeat(300), 1))));
        append(&log, &asked(1));
        append(&log, &asked(2));
        let last = append(&log, &put(1));
        let _running = start(log, store.clone(), projection, Arc::default()).unwrap();
        let requests = store.privacy("p", "", 9).unwrap();
        assert_eq!((requests.len(), requests[0].kind, requests[0].received_at_us), (1, 1, 7));
        let funnels = store.definitions("p", Funnel, None, 9).unwrap();
        assert_eq!(funnels.iter().map(|row| row.position).collect::<Vec<_>>(), [last]);
    }

    /// A frame with `count` events of this name.
    fn events(name: &str, count: u32) -> Bytes {
        let head = EventHead {
            lane: 0,
            class: 0,
            time_rule: TimeRule::AsSent,
            actor_key: 1,
            id: EventId([0; 16]),
            time_us: 0,
            raw_time_us: 0,
            number: 0,
            index: 0,
        };
        let mut event = Vec::new();
        put_event(&mut event, &head, &EventSpans { name: name.as_bytes(), ..EventSpans::default() });
        let (kind, historical, project) = (FrameKind::Events, false, 1);
        let head = FrameHead { kind, historical, project, received_us: 9, producer: Producer::default() };
        let stored = OutcomeCount { outcome: Outcome::Stored, reason: String::new(), count };
        let events = std::iter::repeat_n(event.as_slice(), count as usize);
        build_frame(&head, b"", &[stored], count, events).into()
    }

    fn append_events(log: &MemoryLog, name: &str, count: u32) {
        let payload = events(name, count);
        log.append_group(&[Entry { append_time_us: 7, payload }]).unwrap();
    }

    fn counts(catalogs: &Catalogs) -> Vec<(String, u64)> {
        let catalog = catalogs.of(1);
        let catalog = catalog.read();
        let mut counts: Vec<_> = catalog.names().map(|(name, seen)| (name.to_owned(), seen.count)).collect();
        counts.sort();
        counts
    }

    /// The catalogue is stored less often than outcomes: a crash leaves its position behind theirs, or before them.
    #[test]
    fn every_event_is_counted_once_wherever_a_crash_left_the_two_positions() {
        for catalog_first in [true, false] {
            let (log, store, projection) = fresh();
            append_events(&log, "a", 2);
            append_events(&log, "b", 3);
            let half = |position| {
                let half = Arc::new(MemoryLog::default());
                append_events(&half, "a", 2);
                let (projection, catalogs) = Default::default();
                drop(start(half, store.clone(), projection, catalogs).unwrap());
                assert_eq!(store.catalog_position().unwrap(), Some(position));
            };
            half(0);
            let stored = LedgerCell { project: 1, minute: 0, outcome: 1, reason: String::new() };
            if catalog_first {
                let row = |name: &str, count| CatalogRow {
                    project: 1,
                    kind: 1,
                    owner: name.into(),
                    key: String::new(),
                    json: format!(r#"{{"count":{count},"first_us":9,"last_us":9}}"#),
                };
                store.put_catalog(&[row("a", 2), row("b", 3)], 1).unwrap();
            } else {
                store.apply_ledger(&[(stored.clone(), 3)], 1).unwrap();
            }
            append_events(&log, "a", 1);
            for _ in 0..2 {
                let catalogs = Arc::new(Catalogs::default());
                let running = start(log.clone(), store.clone(), projection.clone(), catalogs.clone());
                drop(running.unwrap());
                assert_eq!(counts(&catalogs), [("a".to_owned(), 3), ("b".to_owned(), 3)]);
                assert_eq!(store.ledger(1, 0, 1).unwrap(), [(stored.clone(), 6)]);
                assert_eq!(catalogs.stored_position(), 3);
            }
        }
    }

    #[test]
    fn a_catalogue_of_another_time_than_the_log_stops_the_start() {
        let (log, store, projection) = fresh();
        append(&log, &put(1));
        store.put_catalog(&[], 9).unwrap();
        let error = start(log, store, projection, Arc::default()).err().unwrap().to_string();
        assert!(error.contains("state.redb") && error.contains("backup"), "{error}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_waits_for_a_record_is_told_when_it_is_in_the_store() {
        let (log, store, projection) = fresh();
        let _running = start(log.clone(), store.clone(), projection.clone(), Arc::default()).unwrap();
        let position = append(&log, &put(1));
        projection.reached(position).await.unwrap();
        assert!(row(&store, Funnel).is_some());
    }
}
