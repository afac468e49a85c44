//! The ledger's consumer: carries the outcomes that ride in every frame, and privacy requests, into the store.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use footpath_log::{Log, Record};
use footpath_model::control::Control;
use footpath_model::record::{FrameKind, FrameView};
use footpath_store::{LedgerCell, PrivacyRow, Store, StoreError};

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
            keep_privacy_request(record, store)?;
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

/// Before the position moves on, so that none is lost; a replay finds it stored already.
fn keep_privacy_request(record: &Record, store: &dyn Store) -> anyhow::Result<()> {
    let Ok(frame) = FrameView::new(&record.payload) else { return Ok(()) };
    if frame.head.kind != FrameKind::Control {
        return Ok(());
    }
    let Ok(Control::Privacy { id, kind, actor }) = serde_json::from_slice(frame.context) else {
        return Ok(());
    };
    let Some(project) = store.projects()?.into_iter().find(|row| row.number == frame.head.project) else {
        return Ok(());
    };
    let request = PrivacyRow { project: project.id, id, kind, actor, received_at_us: frame.head.received_us };
    match store.put_privacy(&request) {
        Err(StoreError::Conflict { .. }) => {
            tracing::warn!(
                offset = record.offset,
                "a privacy request has the id of another one and is left out"
            );
            Ok(())
        }
        put => Ok(put?),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use footpath_log::{Entry, MemoryLog};
    use footpath_model::id::Producer;
    use footpath_model::record::{FrameHead, Outcome, OutcomeCount, build_frame, control_frame};
    use footpath_store::{MemoryStore, NewProject};

    use super::*;

    fn append(log: &MemoryLog, at_us: i64, payload: Vec<u8>) {
        log.append_group(&[Entry { append_time_us: at_us, payload: Bytes::from(payload) }]).unwrap();
    }

    fn outcomes(count: u32) -> Vec<u8> {
        let head = FrameHead {
            kind: FrameKind::Events,
            historical: false,
            project: 1,
            received_us: 5,
            producer: Producer::default(),
        };
        let stored = OutcomeCount { outcome: Outcome::Stored, reason: String::new(), count };
        build_frame(&head, &[], &[stored], 0, std::iter::empty())
    }

    fn wish(id: &str, kind: u8) -> Vec<u8> {
        let control = Control::Privacy { id: id.into(), kind, actor: "a".into() };
        control_frame(1, 7, &serde_json::to_vec(&control).unwrap())
    }

    #[test]
    fn outcomes_are_counted_once_and_privacy_requests_kept_once() {
        let (log, store) = (MemoryLog::default(), MemoryStore::new());
        let project =
            NewProject { id: "p".into(), title: "p".into(), time_zone: "UTC".into(), created_at_us: 0 };
        store.create_project(&project).unwrap();
        append(&log, 59_999_999, outcomes(3));
        append(&log, 60_000_000, outcomes(4));
        for payload in [wish("r", 1), wish("r", 1), wish("r", 2), wish("s", 2), b"not a frame".to_vec()] {
            append(&log, 60_000_000, payload);
        }
        (0..2).for_each(|_| catch_up(&log, &store).unwrap());
        append(&log, 60_000_001, outcomes(1));
        catch_up(&log, &store).unwrap();
        let counts: Vec<_> =
            store.ledger(1, 0, 9).unwrap().into_iter().map(|(cell, n)| (cell.minute, n)).collect();
        assert_eq!(counts, [(0, 3), (1, 5)]);
        let kept: Vec<_> = store.privacy("p").unwrap().into_iter().map(|row| (row.id, row.kind)).collect();
        assert_eq!(kept, [("r".to_owned(), 1), ("s".to_owned(), 2)], "the first one with an id stands");
    }
}
