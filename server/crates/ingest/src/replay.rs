//! What a start learns from the log behind the last snapshot.

use footpath_log::dedupe::Dedupe;
use footpath_log::streams::ProducerHandle;
use footpath_log::{Log, LogError, Record, pages};
use footpath_model::control::{Control, LostRange};
use footpath_model::id::{EventId, Producer};
use footpath_model::record::{FrameKind, FrameView};

use crate::judge::{event_key, report};

/// Replays the log from the dedupe state's position to its end and returns how many bytes that were.
pub(crate) fn replay(dedupe: &mut Dedupe, log: &dyn Log) -> Result<u64, LogError> {
    let mut bytes = 0;
    for page in pages(log, dedupe.position()..u64::MAX) {
        let page = page?;
        for record in &page.records {
            bytes += record.payload.len() as u64;
            replay_record(dedupe, record);
        }
        if let Err(error) = dedupe.commit(page.end) {
            report(&error);
        }
    }
    Ok(bytes)
}

fn replay_record(dedupe: &mut Dedupe, record: &Record) {
    let Ok(frame) = FrameView::new(&record.payload) else { return };
    match frame.head.kind {
        FrameKind::Events => replay_events(dedupe, &frame, record.append_time_us),
        FrameKind::Control => replay_control(dedupe, &frame),
    }
}

fn replay_events(dedupe: &mut Dedupe, frame: &FrameView<'_>, append_time_us: i64) {
    let (project, producer) = (frame.head.project, frame.head.producer);
    let numbered = producer != Producer::default();
    let producer = numbered.then(|| dedupe.producer(project, producer.install, producer.epoch));
    for event in frame.events() {
        let head = event.head();
        let key = event_key(producer, head.id, (head.class, head.lane, head.number));
        dedupe.replay(project, key, append_time_us);
    }
}

fn replay_control(dedupe: &mut Dedupe, frame: &FrameView<'_>) {
    let Ok(Control::Losses { install, epoch, ranges }) = serde_json::from_slice(frame.context) else {
        return;
    };
    let Some(EventId(install)) = EventId::parse(install.as_bytes()) else { return };
    let producer = dedupe.producer(frame.head.project, install, epoch);
    explain(dedupe, producer, &ranges);
}

/// The record of these losses is on disk: they are no holes any more.
pub(crate) fn explain(dedupe: &mut Dedupe, producer: ProducerHandle, losses: &[LostRange]) {
    let explained =
        losses.iter().map(|one| dedupe.explain_loss(producer, one.class, one.lane, (one.from, one.to)));
    let failed: Vec<_> = explained.filter_map(Result::err).collect();
    // Once for all: a client can name thousands that do not fit.
    if let Some(error) = failed.first() {
        tracing::warn!(%error, ranges = failed.len(), "lost numbers stay holes");
    }
}
