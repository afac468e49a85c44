//! The judge in the sequencer: duplicates in log order, outcomes, and the frames that are written.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use footpath_log::dedupe::{Dedupe, DedupeError, EventKey, Verdict};
use footpath_log::streams::ProducerHandle;
use footpath_log::{Background, Judge, Judged, Log, LogError};
use footpath_model::control::LostRange;
use footpath_model::id::EventId;
use footpath_model::record::{FrameHead, FrameKind, Outcome, OutcomeCount, build_frame, frame_prelude};

use crate::commit::{JudgeView, RefusedEvent, Source};
use crate::outcomes::{self, Counts, NOT_DURABLE, PendingOutcomes};
use crate::rebuild;
use crate::refused::{PER_BATCH, RefusedBatch, RefusedSender};
use crate::replay;
use crate::snapshots::Snapshots;
use crate::walk::{EventKeyHint, IdKind, Walked};

/// What enters the sequencer.
#[derive(Debug)]
pub enum Submission {
    /// A walked batch.
    Batch(Box<Batch>),
    /// A control record.
    Control(Bytes),
}

/// A walked batch of a project.
#[derive(Debug)]
pub struct Batch {
    project: u32,
    project_id: Arc<str>,
    received_us: i64,
    walked: Walked,
    /// Control records, stored with the events or not at all.
    controls: Vec<Bytes>,
    /// The bytes as sent, if any event was refused.
    raw: Bytes,
}

impl Batch {
    pub(crate) fn new(
        source: Source<'_>,
        received_us: i64,
        walked: Walked,
        controls: Vec<Bytes>,
        sent: Bytes,
    ) -> Self {
        // Only what was refused is looked at again.
        let raw = if walked.refused.is_empty() { Bytes::new() } else { sent };
        let project_id = source.project_id.into();
        Self { project: source.project, project_id, received_us, walked, controls, raw }
    }

    /// Delivery attempts in it.
    pub(crate) fn events(&self) -> u32 {
        self.walked.events_total
    }

    /// Bytes that it takes while it waits, and roughly those that it writes.
    pub(crate) fn weight(&self) -> usize {
        let controls: usize = self.controls.iter().map(Bytes::len).sum();
        self.walked.records.len() + self.walked.context.len() + self.raw.len() + controls + 256
    }
}

/// What became of a submission.
#[derive(Debug, Default)]
pub struct Judgement {
    pub(crate) stored: u32,
    pub(crate) duplicates: u32,
    pub(crate) assigned: u32,
    pub(crate) refused: Vec<RefusedEvent>,
}

/// What is done about a batch once its group is stored, or is not.
struct Staged {
    project: u32,
    events: u32,
    losses: Option<(ProducerHandle, Vec<LostRange>)>,
    refused: Option<RefusedBatch>,
}

/// Judges duplicates in log order and builds frames from what is fresh.
pub struct DedupeJudge {
    dedupe: Dedupe,
    snapshots: Snapshots,
    pending: Arc<PendingOutcomes>,
    refused: RefusedSender,
    group: Vec<Staged>,
    /// Outcomes from before, in the open group.
    riding: Counts,
    group_bytes: u64,
    now_us: i64,
}

impl DedupeJudge {
    /// A judge that knows everything stored in `log`: replays what lies behind the dedupe state's own position.
    /// Snapshots are written on `background`; refused events go to `refused` once they are judged.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn replayed(
        mut dedupe: Dedupe,
        log: &dyn Log,
        background: Background,
        refused: RefusedSender,
    ) -> Result<Self, LogError> {
        let log_bytes = replay::replay(&mut dedupe, log)?;
        Ok(Self {
            dedupe,
            snapshots: Snapshots::new(background, log_bytes),
            pending: Arc::default(),
            refused,
            group: Vec::new(),
            riding: Counts::new(),
            group_bytes: 0,
            now_us: 0,
        })
    }

    /// Writes a snapshot of the duplicate index at least this often while there is traffic; by default every minute.
    #[must_use]
    pub fn snapshots_every(mut self, period: Duration) -> Self {
        self.snapshots.set_period(i64::try_from(period.as_micros()).unwrap_or(i64::MAX));
        self
    }

    /// What [`crate::Ingest`] needs of it; take it before the sequencer takes the judge.
    pub fn view(&self) -> JudgeView {
        JudgeView {
            pending: Arc::clone(&self.pending),
            refused: self.refused.clone(),
            missing: self.dedupe.missing(),
            snapshot_position: self.dedupe.snapshot_position(),
        }
    }

    fn judge_batch(&mut self, mut batch: Batch, append_time_us: i64) -> Judged<Judgement> {
        let walked = &batch.walked;
        let producer = walked
            .has_producer
            .then(|| self.dedupe.producer(batch.project, walked.producer.install, walked.producer.epoch));
        let mut judgement = Judgement { refused: invalid(walked), ..Judgement::default() };
        let invalid = &judgement.refused;
        let first_kept = invalid.len().saturating_sub(PER_BATCH);
        let mut kept: Vec<_> = invalid[first_kept..].iter().map(|event| (event.clone(), None)).collect();
        let mut fresh = Vec::with_capacity(walked.entries.len());
        for entry in &walked.entries {
            let EventKeyHint { id, class, lane, number, .. } = entry.key;
            let key = event_key(producer, id, (class, lane, number));
            match self.dedupe.check_and_stage(batch.project, key, append_time_us) {
                Verdict::Fresh => {
                    judgement.assigned += u32::from(entry.key.id_kind == IdKind::Assigned);
                    fresh.push(entry.range());
                }
                Verdict::Duplicate => judgement.duplicates += 1,
                Verdict::Refused(refusal) => {
                    let event = RefusedEvent {
                        index: entry.index,
                        event_id: Some(entry.key.id),
                        reason: refusal.reason().to_owned(),
                        message: refusal.to_string(),
                        retryable: refusal.retryable(),
                    };
                    if kept.len() < PER_BATCH {
                        kept.push((event.clone(), Some(rebuild::event(walked.record(entry)))));
                    }
                    judgement.refused.push(event);
                }
            }
        }
        judgement.stored = fresh.len() as u32;
        let outcomes = outcomes(&judgement);
        let frame = (!outcomes.is_empty()).then(|| frame(&mut batch, &outcomes, &fresh));
        self.stage(batch, producer, kept, frame, judgement)
    }

    fn stage(
        &mut self,
        batch: Batch,
        producer: Option<ProducerHandle>,
        kept: Vec<(RefusedEvent, Option<Bytes>)>,
        frame: Option<Bytes>,
        judgement: Judgement,
    ) -> Judged<Judgement> {
        let Batch { project, project_id, received_us, walked, controls, raw } = batch;
        let Walked { batch_id, losses, events_total, .. } = walked;
        self.group.push(Staged {
            project,
            events: events_total,
            losses: producer.filter(|_| !losses.is_empty()).map(|producer| (producer, losses)),
            refused: (!kept.is_empty()).then_some(RefusedBatch {
                project_id,
                received_us,
                batch_id,
                raw,
                events: kept,
            }),
        });
        let payloads: Vec<Bytes> = controls.into_iter().chain(frame).collect();
        self.group_bytes += payloads.iter().map(|payload| payload.len() as u64).sum::<u64>();
        Judged { payloads, verdict: judgement }
    }
}

impl Judge for DedupeJudge {
    type Batch = Submission;
    type Verdict = Judgement;

    fn judge(&mut self, batch: Submission, append_time_us: i64, _offset: u64) -> Judged<Judgement> {
        match batch {
            Submission::Batch(batch) => self.judge_batch(*batch, append_time_us),
            Submission::Control(payload) => Judged { payloads: vec![payload], verdict: Judgement::default() },
        }
    }

    fn close_group(&mut self, append_time_us: i64) -> Vec<Bytes> {
        self.now_us = append_time_us;
        self.riding = self.pending.take();
        outcomes::frames(&self.riding, append_time_us)
    }

    fn turned_away(&mut self, batch: Submission) {
        if let Submission::Batch(batch) = batch {
            self.pending.add(batch.project, Outcome::Throttled, NOT_DURABLE, u64::from(batch.events()));
        }
    }

    fn wants_group(&self) -> bool {
        self.dedupe.name_gaps(); // Nobody may send for a while.
        self.pending.any()
    }

    fn committed(&mut self, durable_end: u64) {
        self.riding.clear();
        for Staged { losses, refused, .. } in self.group.drain(..) {
            if let Some((producer, losses)) = losses {
                replay::explain(&mut self.dedupe, producer, &losses);
            }
            if let Some(refused) = refused {
                self.refused.send(refused);
            }
        }
        if let Err(error) = self.dedupe.commit(durable_end) {
            report(&error);
        }
        self.snapshots.grown(std::mem::take(&mut self.group_bytes));
        self.snapshots.proceed(&self.dedupe, self.now_us);
    }

    fn aborted(&mut self) {
        self.dedupe.rollback();
        self.group_bytes = 0;
        self.pending.add_all(std::mem::take(&mut self.riding));
        for Staged { project, events, .. } in self.group.drain(..) {
            self.pending.add(project, Outcome::Throttled, NOT_DURABLE, u64::from(events));
        }
    }

    fn stopping(&mut self) {
        self.snapshots.finish(&self.dedupe);
    }
}

/// Ids stay in memory and stay exact; only the move to a run is put off.
pub(crate) fn report(error: &DedupeError) {
    tracing::error!(%error, "the id index could not write a run; free space in the data folder");
}

/// What tells an event from others: its class, lane and number in its producer's streams, or its id. A replay asks the
/// same, or a restart would store twice.
pub(crate) fn event_key(
    producer: Option<ProducerHandle>,
    id: EventId,
    (class, lane, number): (u8, u8, u64),
) -> EventKey {
    match producer {
        Some(producer) if number > 0 => EventKey::Numbered { producer, class, lane, number },
        _ => EventKey::Id(id),
    }
}

/// The batch's frame of the events in `fresh`. Where that is all of them, the walk's records become the frame.
fn frame(batch: &mut Batch, outcomes: &[OutcomeCount], fresh: &[Range<usize>]) -> Bytes {
    let walked = &mut batch.walked;
    let head = FrameHead {
        kind: FrameKind::Events,
        historical: walked.historical,
        project: batch.project,
        received_us: batch.received_us,
        producer: walked.producer,
    };
    let count = fresh.len() as u32;
    let prelude = frame_prelude(&head, &walked.context, outcomes, count);
    if fresh.len() == walked.entries.len() && prelude.len() == walked.room {
        let mut frame = std::mem::take(&mut walked.records);
        frame[..prelude.len()].copy_from_slice(&prelude);
        return frame.into();
    }
    let records = fresh.iter().map(|range| &walked.records[range.clone()]);
    build_frame(&head, &walked.context, outcomes, count, records).into()
}

fn invalid(walked: &Walked) -> Vec<RefusedEvent> {
    let refused = walked.refused.iter().map(|refusal| RefusedEvent {
        index: refusal.index,
        event_id: refusal.event_id,
        reason: refusal.reason.name().to_owned(),
        message: match refusal.detail.as_str() {
            "" => refusal.reason.message().to_owned(),
            detail => format!("{detail}: {}", refusal.reason.message()),
        },
        retryable: refusal.reason.retryable(),
    });
    refused.collect()
}

fn outcomes(judgement: &Judgement) -> Vec<OutcomeCount> {
    let mut counts: BTreeMap<(Outcome, &str), u32> = BTreeMap::new();
    counts.insert((Outcome::Stored, ""), judgement.stored);
    counts.insert((Outcome::Duplicate, ""), judgement.duplicates);
    for refused in &judgement.refused {
        let outcome = if refused.retryable { Outcome::Throttled } else { Outcome::Invalid };
        *counts.entry((outcome, &refused.reason)).or_default() += 1;
    }
    counts.retain(|_, count| *count > 0);
    let one = |((outcome, reason), count): ((Outcome, &str), u32)| OutcomeCount {
        outcome,
        reason: reason.to_owned(),
        count,
    };
    counts.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests;
