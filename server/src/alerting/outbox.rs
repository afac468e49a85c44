//! The outbox over the store: messages are put into it by the keeper, in the transaction of what they tell.

use std::collections::HashMap;
use std::sync::Arc;

use footpath_notify::{Attempt, Delivery, DeliveryState, Listing, Next, Outbox, OutboxError, PAGE_MOST};
use footpath_store::{DeliveryFilter, DeliveryRow, Store, StoreError};
use parking_lot::Mutex;

/// Deliveries in the store.
pub struct StoreOutbox {
    store: Arc<dyn Store>,
    /// Where the deliveries are that a queue is busy with: project and destination by id.
    taken: Mutex<HashMap<u64, (u32, String)>>,
}

impl StoreOutbox {
    /// Over `store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, taken: Mutex::default() }
    }

    fn number(&self, project: &str) -> Result<Option<u32>, OutboxError> {
        Ok(self.store.project(project).map_err(failed)?.map(|project| project.number))
    }

    /// A delivery by its number: one that a queue is busy with, or whichever it is.
    fn row(&self, id: u64) -> Result<DeliveryRow, OutboxError> {
        if let Some((project, destination)) = self.taken.lock().get(&id).cloned() {
            let first = self.store.pending_deliveries(project, &destination, 1).map_err(failed)?;
            if let Some(row) = first.into_iter().find(|row| row.sequence == id) {
                return Ok(row);
            }
        }
        for project in self.store.projects().map_err(failed)? {
            let all = self.store.deliveries(project.number, DeliveryFilter::default(), None, usize::MAX);
            if let Some(row) = all.map_err(failed)?.into_iter().find(|row| row.sequence == id) {
                return Ok(row);
            }
        }
        Err(OutboxError::Unknown(id))
    }

    fn note(&self, row: &DeliveryRow, attempt: &Attempt, next: Next) -> Result<(), OutboxError> {
        let mut delivery = read(row)?;
        delivery.note(attempt, next);
        let pending = delivery.state == DeliveryState::Pending;
        let row = DeliveryRow { pending, json: written(&delivery)?, ..row.clone() };
        self.store.update_delivery(&row).map_err(failed)
    }
}

fn failed(error: StoreError) -> OutboxError {
    OutboxError::Storage(Box::new(error))
}

fn read(row: &DeliveryRow) -> Result<Delivery, OutboxError> {
    let delivery: Delivery =
        serde_json::from_str(&row.json).map_err(|error| OutboxError::Storage(Box::new(error)))?;
    Ok(Delivery { id: row.sequence, created_us: row.made_us, ..delivery })
}

fn written(delivery: &Delivery) -> Result<String, OutboxError> {
    serde_json::to_string(delivery).map_err(|error| OutboxError::Storage(Box::new(error)))
}

impl Outbox for StoreOutbox {
    fn head(&self, project: &str, destination: &str) -> Result<Option<Delivery>, OutboxError> {
        let Some(number) = self.number(project)? else { return Ok(None) };
        let rows = self.store.pending_deliveries(number, destination, 1).map_err(failed)?;
        let Some(row) = rows.first() else { return Ok(None) };
        self.taken.lock().insert(row.sequence, (number, destination.to_owned()));
        read(row).map(Some)
    }

    fn record(&self, id: u64, attempt: &Attempt, next: Next) -> Result<(), OutboxError> {
        let row = self.row(id)?;
        self.note(&row, attempt, next)?;
        if !matches!(next, Next::Again(_)) {
            self.taken.lock().remove(&id);
        }
        Ok(())
    }

    fn abandon(&self, project: &str, destination: &str, attempt: &Attempt) -> Result<u64, OutboxError> {
        let Some(number) = self.number(project)? else { return Ok(0) };
        let rows = self.store.pending_deliveries(number, destination, usize::MAX).map_err(failed)?;
        for row in &rows {
            self.note(row, attempt, Next::Failed)?;
        }
        Ok(rows.len() as u64)
    }

    fn list(&self, asked: &Listing) -> Result<Vec<Delivery>, OutboxError> {
        let Some(number) = self.number(&asked.project)? else { return Ok(Vec::new()) };
        let filter =
            DeliveryFilter { destination: asked.destination.as_deref(), incident: asked.incident.as_deref() };
        let rows = self.store.deliveries(number, filter, None, usize::MAX).map_err(failed)?;
        let below = rows.iter().filter(|row| asked.before.is_none_or(|before| row.sequence < before));
        below.take(asked.most.min(PAGE_MOST)).map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use footpath_notify::{Enqueue, Notice, conformance};
    use footpath_store::{AlertChanges, MemoryStore, NewProject};

    use super::*;

    impl Enqueue for StoreOutbox {
        /// As the keeper does it, one record for each message.
        fn enqueue(&self, destination: &str, notice: &Notice, now_us: i64) -> Result<u64, OutboxError> {
            let id = notice.project.clone();
            let project = NewProject { id, title: String::new(), time_zone: "UTC".into(), created_at_us: 0 };
            let project = self.store.create_project(&project).map_err(failed)?.number;
            let known = self.store.deliveries(project, DeliveryFilter::default(), None, usize::MAX);
            for row in known.map_err(failed)? {
                if row.destination == destination && read(&row)?.notice.id == notice.id {
                    return Ok(row.sequence);
                }
            }
            let position = self.store.alerts_position().map_err(failed)?.map_or(1, |last| last + 1);
            let row = DeliveryRow {
                project,
                destination: destination.to_owned(),
                sequence: position,
                incident: notice.incident.clone(),
                made_us: now_us,
                pending: true,
                json: written(&Delivery::new(0, destination, notice, now_us))?,
            };
            let changes = AlertChanges { deliveries: vec![row], ..AlertChanges::default() };
            self.store.apply_alerts(&changes, position).map_err(failed)?;
            Ok(position)
        }
    }

    #[test]
    fn it_is_an_outbox_as_the_others() {
        conformance::run(&StoreOutbox::new(Arc::new(MemoryStore::new()))).unwrap();
    }
}
