//! Deliveries as the API shows them.

use std::collections::HashMap;

use footpath_notify::{Attempt, Delivery, DeliveryState, NoticeKind};
use footpath_proto::v1;
use footpath_store::{DeliveryRow, Store};
use tonic::Status;

use crate::convert::timestamp;
use crate::status::{internal, store};

/// Names a row in page tokens.
pub fn name(row: &DeliveryRow) -> String {
    format!("{}.{}.{}", row.made_us, row.sequence, row.destination)
}

/// The place that a name names.
pub fn place(name: &str) -> Option<(i64, String, u64)> {
    let mut parts = name.splitn(3, '.');
    let (made_us, sequence, destination) = (parts.next()?, parts.next()?, parts.next()?);
    Some((made_us.parse().ok()?, destination.to_owned(), sequence.parse().ok()?))
}

/// The messages that are tried first, by destination.
pub struct Heads(HashMap<String, (u64, Delivery)>);

impl Heads {
    /// Those of the destinations for which one of these rows is pending.
    ///
    /// # Errors
    /// If the store fails, or INTERNAL if a row was written by something else.
    pub fn of<'r>(
        alerts: &dyn Store,
        rows: impl IntoIterator<Item = &'r DeliveryRow>,
    ) -> Result<Self, Status> {
        let mut heads = HashMap::new();
        for row in rows.into_iter().filter(|row| row.pending) {
            if heads.contains_key(&row.destination) {
                continue;
            }
            let first = alerts.pending_deliveries(row.project, &row.destination, 1).map_err(store)?;
            if let Some(first) = first.first() {
                heads.insert(row.destination.clone(), (first.sequence, read(first)?));
            }
        }
        Ok(Self(heads))
    }

    /// What a message waits for; nothing if it is the first.
    fn before(&self, row: &DeliveryRow) -> Option<&Delivery> {
        let (sequence, first) = self.0.get(&row.destination)?;
        (row.pending && *sequence < row.sequence).then_some(first)
    }
}

fn read(row: &DeliveryRow) -> Result<Delivery, Status> {
    serde_json::from_str(&row.json)
        .map_err(|error| internal(&format!("a stored delivery cannot be read: {error}")))
}

/// A delivery. One that waits for another is tried no sooner than that one.
///
/// # Errors
/// INTERNAL if the row was written by something else.
pub fn message(row: &DeliveryRow, heads: &Heads) -> Result<v1::Delivery, Status> {
    let delivery = read(row)?;
    let state = match delivery.state {
        DeliveryState::Pending => v1::DeliveryState::Pending,
        DeliveryState::Delivered => v1::DeliveryState::Delivered,
        DeliveryState::Failed => v1::DeliveryState::Failed,
    };
    let pending = delivery.state == DeliveryState::Pending;
    let before = heads.before(row);
    Ok(v1::Delivery {
        id: delivery.notice.id.clone(),
        destination_id: row.destination.clone(),
        incident_id: row.incident.clone(),
        kind: kind(delivery.notice.kind).into(),
        made_at: Some(timestamp(row.made_us)),
        state: state.into(),
        attempts: delivery.attempt_count,
        last_attempts: delivery.attempts.iter().map(attempt).collect(),
        next_attempt: pending.then(|| timestamp(before.unwrap_or(&delivery).next_attempt_us)),
        waits_for: before.map(|first| first.notice.id.clone()).unwrap_or_default(),
    })
}

fn attempt(attempt: &Attempt) -> v1::DeliveryAttempt {
    v1::DeliveryAttempt {
        at: Some(timestamp(attempt.at_us)),
        outcome: attempt.outcome.clone(),
        status: attempt.status.map_or(0, u32::from),
    }
}

fn kind(kind: NoticeKind) -> v1::AlertKind {
    match kind {
        NoticeKind::Opened => v1::AlertKind::Opened,
        NoticeKind::Escalated => v1::AlertKind::Escalated,
        NoticeKind::Acknowledged => v1::AlertKind::Acknowledged,
        NoticeKind::Resolved => v1::AlertKind::Resolved,
        NoticeKind::Reopened => v1::AlertKind::Reopened,
        NoticeKind::Test => v1::AlertKind::Unspecified,
    }
}

#[cfg(test)]
mod tests {
    use footpath_notify::{Next, conformance};
    use footpath_store::{AlertChanges, AlertStore as _, DeliveryFilter, MemoryStore};

    use super::*;

    /// A message that was made at that second, and may have failed and be tried again at another.
    fn row(destination: &str, second: i64, again: Option<i64>) -> DeliveryRow {
        let notice = conformance::notice("shop", &format!("{destination}-{second}"), "i");
        let mut delivery = Delivery::new(0, destination, &notice, second * 1_000_000);
        if let Some(again) = again {
            let attempt = Attempt { at_us: 0, outcome: "answered 503".into(), status: Some(503), took_us: 1 };
            delivery.note(&attempt, Next::Again(again * 1_000_000));
        }
        DeliveryRow {
            project: 1,
            destination: destination.into(),
            sequence: second.unsigned_abs(),
            incident: "i".into(),
            made_us: second * 1_000_000,
            pending: true,
            json: serde_json::to_string(&delivery).unwrap(),
        }
    }

    #[test]
    fn what_waits_for_another_is_tried_when_that_is() {
        let store = MemoryStore::new();
        let deliveries = vec![row("ops", 1, Some(90)), row("ops", 2, None), row("web", 3, None)];
        store.apply_alerts(&AlertChanges { deliveries, ..AlertChanges::default() }, 1).unwrap();
        let rows = store.deliveries(1, DeliveryFilter::default(), None, 9).unwrap();
        let heads = Heads::of(&store, &rows).unwrap();
        let shown = rows.iter().map(|row| message(row, &heads).unwrap());
        let shown: Vec<_> =
            shown.map(|one| (one.id, one.next_attempt.unwrap().seconds, one.waits_for)).collect();
        let of = |id: &str, next, waits_for: &str| (id.to_owned(), next, waits_for.to_owned());
        assert_eq!(shown, [of("web-3", 3, ""), of("ops-2", 90, "ops-1"), of("ops-1", 90, "")]);
    }
}
