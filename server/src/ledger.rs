//! The ledger's consumer: carries the outcomes that ride in every frame into the store.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use footpath_log::{Log, Record};
use footpath_model::record::FrameView;
use footpath_store::{LedgerCell, Store};

/// How often outcomes become visible to queries; one store transaction each.
const PAUSE: Duration = Duration::from_millis(500);
/// Bytes read from the log at a time.
const READ_BYTES: usize = 4 << 20;
const MINUTE_US: i64 = 60_000_000;

/// The running consumer; stops when dropped.
pub struct Ledger {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ledger {
    /// Starts after the last position that the store holds.
    pub fn start(log: Arc<dyn Log>, store: Arc<dyn Store>) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let work = move || {
            while !stopped.load(Ordering::SeqCst) {
                if let Err(error) = catch_up(log.as_ref(), store.as_ref()) {
                    tracing::error!(%error, "outcomes cannot be carried into the store; trying again");
                }
                std::thread::sleep(PAUSE);
            }
        };
        let thread = std::thread::Builder::new().name("ledger".into()).spawn(work)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // A panic was reported when it happened.
        }
    }
}

fn catch_up(log: &dyn Log, store: &dyn Store) -> anyhow::Result<()> {
    loop {
        let next = store.ledger_position()?.map_or_else(|| log.first(), |last| last + 1);
        let records = log.read(next, READ_BYTES)?;
        let Some(last) = records.last() else { return Ok(()) };
        let mut cells = HashMap::new();
        for record in &records {
            count(record, &mut cells);
        }
        let cells: Vec<_> = cells.into_iter().collect();
        store.apply_ledger(&cells, last.offset)?;
    }
}

fn count(record: &Record, cells: &mut HashMap<LedgerCell, u64>) {
    let Ok(frame) = FrameView::new(&record.payload) else { return };
    for one in frame.outcomes() {
        let cell = LedgerCell {
            project: frame.head.project,
            minute: record.append_time_us.div_euclid(MINUTE_US),
            outcome: one.outcome as u8,
            reason: one.reason,
        };
        *cells.entry(cell).or_default() += u64::from(one.count);
    }
}
