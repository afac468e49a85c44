//! Deliveries as the API shows them.

use footpath_notify::{Attempt, Delivery, DeliveryState, NoticeKind};
use footpath_proto::v1;
use footpath_store::DeliveryRow;
use tonic::Status;

use crate::convert::timestamp;
use crate::status::internal;

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

/// A delivery.
///
/// # Errors
/// INTERNAL if the row was written by something else.
pub fn message(row: &DeliveryRow) -> Result<v1::Delivery, Status> {
    let delivery: Delivery = serde_json::from_str(&row.json)
        .map_err(|error| internal(&format!("a stored delivery cannot be read: {error}")))?;
    let state = match delivery.state {
        DeliveryState::Pending => v1::DeliveryState::Pending,
        DeliveryState::Delivered => v1::DeliveryState::Delivered,
        DeliveryState::Failed => v1::DeliveryState::Failed,
    };
    let pending = delivery.state == DeliveryState::Pending;
    Ok(v1::Delivery {
        id: delivery.notice.id.clone(),
        destination_id: row.destination.clone(),
        incident_id: row.incident.clone(),
        kind: kind(delivery.notice.kind).into(),
        made_at: Some(timestamp(row.made_us)),
        state: state.into(),
        attempts: delivery.attempt_count,
        last_attempts: delivery.attempts.iter().map(attempt).collect(),
        next_attempt: pending.then(|| timestamp(delivery.next_attempt_us)),
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
