//! The projector: the one consumer that carries the log's outcomes, definitions and privacy requests into the store.
//!
//! It goes on from the position that the store holds, so that a crash between a control record and its row is
//! repaired at the next start; every row it writes may be written again.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use footpath_api::projection::Projection;
use footpath_api::rows::funnel_row;
use footpath_live::Progress;
use footpath_log::{Log, Record, pages};
use footpath_model::control::Control;
use footpath_model::record::{FrameKind, FrameView};
use footpath_store::{LedgerCell, PrivacyRow, Store, StoreError};

/// How often the log is read: before its newest records leave memory.
const PAUSE: Duration = Duration::from_millis(50);
/// How many pauses it takes until outcomes become visible to queries; one store transaction each. A definition does not
/// wait for it.
const PAUSES: u32 = 10;
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
    ) -> anyhow::Result<Self> {
        let next = store.ledger_position()?.map_or_else(|| log.first(), |last| last + 1);
        anyhow::ensure!(
            (log.first()..=log.durable_end()).contains(&next),
            "state.redb and the log are of different times: state.redb knows the log up to {next}, which holds {} to \
             {}; restore the whole data folder from one backup",
            log.first(),
            log.durable_end()
        );
        let mut work = Work::new(log, store, projection, next);
        work.catch_up()?;
        work.apply()?;
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
    /// Outcomes of what was read and is not in the store yet.
    cells: HashMap<LedgerCell, u64>,
    /// The position and time after what was read.
    read: Progress,
}

impl Work {
    fn new(log: Arc<dyn Log>, store: Arc<dyn Store>, projection: Arc<Projection>, next: u64) -> Self {
        let read = Progress { position: next, processed_us: 0 };
        Self { log, store, projection, projects: HashMap::new(), cells: HashMap::new(), read }
    }

    fn run(&mut self, stopped: &AtomicBool) {
        let mut pauses = 0;
        while !stopped.load(Ordering::SeqCst) {
            pauses += 1;
            let somebody_waits = self.projection.rest(PAUSE);
            let due = somebody_waits || pauses >= PAUSES;
            if due {
                pauses = 0;
            }
            if let Err(error) = self.catch_up().and_then(|()| if due { self.apply() } else { Ok(()) }) {
                tracing::error!(%error, "the log cannot be carried into the store; trying again");
            }
        }
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
        // First: after an error the record is taken again, and its outcomes must not be counted twice.
        if frame.head.kind == FrameKind::Control {
            self.control(&frame, record)?;
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
        let control = match serde_json::from_slice(frame.context) {
            Ok(control) => control,
            Err(error) => {
                tracing::error!(%error, offset = record.offset, "a control record cannot be read and is left out");
                return Ok(());
            }
        };
        let Some(project) = self.project(frame.head.project)? else { return Ok(()) };
        match control {
            Control::PutFunnel(funnel) => {
                self.store.put_funnel(&funnel_row(&project, &funnel, record.offset))?;
            }
            Control::DeleteFunnel { id } => {
                self.store.delete_funnel(&project, &id, record.offset)?;
            }
            Control::Losses { .. } => {} // Who judges duplicates keeps them.
            Control::MergePersons { .. } | Control::UnmergePerson { .. } => {} // No ledger keeps them yet.
            Control::Privacy { id, kind, actor } => {
                let received_at_us = frame.head.received_us;
                let row = PrivacyRow { project, id, kind, actor, received_at_us };
                match self.store.put_privacy(&row) {
                    // The client's mistake; the first one stands.
                    Err(StoreError::Conflict { .. }) => tracing::warn!(
                        offset = record.offset,
                        "a privacy request has the id of another one and is left out"
                    ),
                    put => put?,
                }
            }
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
    use footpath_log::{Entry, MemoryLog};
    use footpath_model::control::CountedFunnel;
    use footpath_model::definition::{Counting, Entry as EntryRule, FunnelDefinition, Order, Step};
    use footpath_model::range::Range;
    use footpath_model::record::control_frame;
    use footpath_store::{MemoryStore, NewProject};

    use super::*;

    fn put(version: u64) -> Control {
        let step = |name: &str| Step { name: name.into(), events: vec![name.into()], filters: Vec::new() };
        let definition = FunnelDefinition {
            id: "f".into(),
            name: "f".into(),
            version,
            steps: vec![step("a"), step("b")],
            window_us: 1,
            entry: EntryRule::default(),
            order: Order::default(),
            counting: Counting::default(),
        };
        Control::PutFunnel(Box::new(CountedFunnel { definition, range: Range::Today, zone: "UTC".into() }))
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
        let _running = Projector::start(log, store.clone(), projection.clone()).unwrap();
        let row = store.funnel("p", "f").unwrap().unwrap();
        assert_eq!((row.version, row.position), (2, last));
        assert_eq!(projection.progress().position, last + 1);
    }

    #[test]
    fn a_replayed_deletion_does_not_take_what_was_made_later() {
        let (log, store, projection) = fresh();
        append(&log, &put(1));
        append(&log, &Control::DeleteFunnel { id: "f".into() });
        let made_again = append(&log, &put(1));
        store.put_funnel(&funnel_row("p", &counted(&put(1)), made_again)).unwrap();
        let _running = Projector::start(log, store.clone(), projection).unwrap();
        assert_eq!(store.funnel("p", "f").unwrap().unwrap().position, made_again);
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
            let error = Projector::start(log, store, projection).err().unwrap().to_string();
            assert!(error.contains("state.redb") && error.contains("backup"), "{error}");
        }
    }

    fn counted(control: &Control) -> CountedFunnel {
        match control {
            Control::PutFunnel(funnel) => (**funnel).clone(),
            _ => unreachable!("a funnel"),
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_waits_for_a_record_is_told_when_it_is_in_the_store() {
        let (log, store, projection) = fresh();
        let _running = Projector::start(log.clone(), store.clone(), projection.clone()).unwrap();
        let position = append(&log, &put(1));
        projection.reached(position).await.unwrap();
        assert!(store.funnel("p", "f").unwrap().is_some());
    }
}
