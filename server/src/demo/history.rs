//! The shop's past: the whole data set as historical batches, shifted to end at the first start of the demo.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use footpath_proto::v1;
use tonic::Code;
use v1::ingest_service_client::IngestServiceClient;
use xxhash_rust::xxh3::xxh3_128;

use super::data::Visit;
use crate::tools::remote::{SignedChannel, explain};

/// Events of a batch.
const BATCH: usize = 1_000;
/// The wait before a batch is sent again, for example while the server restarts.
const AGAIN: Duration = Duration::from_millis(500);

/// What is in the past, and how much of it is stored.
#[derive(Debug, Default)]
pub struct History {
    /// All events.
    pub total: AtomicU64,
    /// Those that are acknowledged.
    pub done: AtomicU64,
    /// Those that this start stored.
    pub stored: AtomicU64,
}

/// Sends what happened in `visits`, moved so that the last event is at `ends_us`. The same arguments send the same
/// events under the same ids: a second time they are duplicates.
///
/// # Errors
/// If the server refuses it.
pub async fn backfill(
    visits: &[Arc<Visit>],
    ends_us: i64,
    channel: SignedChannel,
    history: &History,
) -> anyhow::Result<()> {
    let events = events(visits, ends_us);
    let mut ingest = IngestServiceClient::new(channel);
    for (index, part) in events.chunks(BATCH).enumerate() {
        let batch = v1::IngestRequest {
            batch_id: batch_id(ends_us, index),
            historical: true,
            events: part.to_vec(),
            ..v1::IngestRequest::default()
        };
        let answer = send(&mut ingest, batch).await?;
        if let Some(refused) = answer.refused.first() {
            anyhow::bail!("the server refused an event of the history: {}", refused.message);
        }
        history.stored.fetch_add(u64::from(answer.stored), Ordering::Relaxed);
        history.done.fetch_add(part.len() as u64, Ordering::Relaxed);
    }
    Ok(())
}

async fn send(
    ingest: &mut IngestServiceClient<SignedChannel>,
    batch: v1::IngestRequest,
) -> anyhow::Result<v1::IngestResponse> {
    loop {
        match ingest.ingest(batch.clone()).await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) if is_final(&status) => return Err(explain(&status)),
            Err(_) => tokio::time::sleep(AGAIN).await, // The server may be down: it is killed on request.
        }
    }
}

fn is_final(status: &tonic::Status) -> bool {
    matches!(status.code(), Code::InvalidArgument | Code::Unauthenticated | Code::PermissionDenied)
}

/// UUIDv8 from what decides the batch's content.
fn batch_id(ends_us: i64, index: usize) -> String {
    let bits = xxh3_128(format!("footpath demo history {ends_us} {index}").as_bytes());
    let hex = format!("{bits:032x}");
    format!("{}-{}-8{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

fn events(visits: &[Arc<Visit>], ends_us: i64) -> Vec<v1::Event> {
    let newest = visits.iter().flat_map(|visit| &visit.steps).map(|step| step.at_us).max();
    let shift_us = ends_us - newest.unwrap_or_default();
    let mut rows: Vec<_> =
        visits.iter().flat_map(|visit| visit.steps.iter().map(move |step| (visit, step))).collect();
    rows.sort_by_key(|(_, step)| step.at_us);
    rows.into_iter().map(|(visit, step)| event(visit, &step.name, step.at_us + shift_us)).collect()
}

fn event(visit: &Visit, name: &str, at_us: i64) -> v1::Event {
    let text = |text: &str| v1::Value { kind: Some(v1::value::Kind::StringValue(text.to_owned())) };
    let of_event = [("platform", &visit.platform), ("channel", &visit.channel)];
    let of_person = [("lifecycle", &visit.lifecycle), ("cohort", &visit.cohort)];
    let set = of_person.map(|(key, value)| (key.to_owned(), text(value)));
    v1::Event {
        name: name.to_owned(),
        time: Some(footpath_api::convert::timestamp(at_us)),
        user_id: visit.user.clone(),
        session_id: visit.session.clone(),
        properties: of_event.map(|(key, value)| (key.to_owned(), text(value))).into(),
        person: Some(v1::PropertyChanges { set: set.into(), ..v1::PropertyChanges::default() }),
        ..v1::Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_at_the_given_moment_and_repeats_itself() {
        let visits: Vec<_> = super::super::data::visits().unwrap().into_iter().map(Arc::new).collect();
        let ends_us = 1_764_000_000_000_000;
        let first = events(&visits, ends_us);
        assert_eq!(first.len(), 31_106);
        assert_eq!(first.last().and_then(|e| e.time), Some(footpath_api::convert::timestamp(ends_us)));
        assert_eq!(first, events(&visits, ends_us));
        assert_eq!(batch_id(ends_us, 3), batch_id(ends_us, 3));
        assert_ne!(batch_id(ends_us, 3), batch_id(ends_us, 4));
    }
}
