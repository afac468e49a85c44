//! The outbox in memory, for tests and as the model of the durable one.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::{
    Attempt, Delivery, DeliveryState, Enqueue, Listing, Next, Notice, Outbox, OutboxError, PAGE_MOST,
};

/// An [`Outbox`] that forgets everything when dropped.
#[derive(Debug, Default)]
pub struct MemoryOutbox {
    rows: Mutex<BTreeMap<u64, Delivery>>,
}

impl MemoryOutbox {
    /// An empty outbox.
    pub fn new() -> Self {
        Self::default()
    }
}

fn waits(row: &Delivery, project: &str, destination: &str) -> bool {
    row.state == DeliveryState::Pending && row.project == project && row.destination == destination
}

impl Enqueue for MemoryOutbox {
    fn enqueue(&self, destination: &str, notice: &Notice, now_us: i64) -> Result<u64, OutboxError> {
        let mut rows = self.rows.lock();
        let same = |row: &&Delivery| {
            row.notice.id == notice.id && row.project == notice.project && row.destination == destination
        };
        if let Some(old) = rows.values().find(same) {
            return Ok(old.id);
        }
        let id = rows.last_key_value().map_or(1, |(id, _)| id + 1);
        rows.insert(id, Delivery::new(id, destination, notice, now_us));
        Ok(id)
    }
}

impl Outbox for MemoryOutbox {
    fn head(&self, project: &str, destination: &str) -> Result<Option<Delivery>, OutboxError> {
        Ok(self.rows.lock().values().find(|row| waits(row, project, destination)).cloned())
    }

    fn record(&self, id: u64, attempt: &Attempt, next: Next) -> Result<(), OutboxError> {
        let mut rows = self.rows.lock();
        rows.get_mut(&id).ok_or(OutboxError::Unknown(id))?.note(attempt, next);
        Ok(())
    }

    fn abandon(&self, project: &str, destination: &str, attempt: &Attempt) -> Result<u64, OutboxError> {
        let mut rows = self.rows.lock();
        let mut count = 0;
        for row in rows.values_mut().filter(|row| waits(row, project, destination)) {
            row.note(attempt, Next::Failed);
            count += 1;
        }
        Ok(count)
    }

    fn list(&self, asked: &Listing) -> Result<Vec<Delivery>, OutboxError> {
        let rows = self.rows.lock();
        let wanted = rows.values().rev().filter(|row| asked.matches(row));
        Ok(wanted.take(asked.most.min(PAGE_MOST)).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_laws() {
        crate::conformance::run(&MemoryOutbox::new()).unwrap();
    }
}
