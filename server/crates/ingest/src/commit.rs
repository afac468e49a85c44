//! Commit: a walked batch is judged in log order, written with its group, and answered when it is on disk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use footpath_log::dedupe::{Dedupe, EventKey, Verdict};
use footpath_log::{CommitError, Committed, Judge, Judged, Log, LogError, SequencerHandle};
use footpath_model::clock::Clock;
use footpath_model::control::Control;
use footpath_model::id::EventId;
use footpath_model::record::{
    FrameHead, FrameKind, FrameView, Outcome, OutcomeCount, build_frame, control_frame,
};

use crate::limits::Limits;
use crate::privacy::MaskPolicy;
use crate::reason::BatchError;
use crate::time_rule::ClockOffsets;
use crate::walk::{Entry, IdKind, WalkContext, Walked, walk_batch};
use tracing::Instrument as _;

/// The target of the spans that follow a batch; nothing is recorded unless a subscriber asks for it by name.
pub const TRACE: &str = "footpath::trace";

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
    received_us: i64,
    walked: Walked,
}

/// What became of a submission.
#[derive(Debug, Default)]
pub struct Judgement {
    stored: u32,
    duplicates: u32,
    assigned: u32,
    refused: Vec<RefusedEvent>,
}

/// One event that was not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedEvent {
    /// Its index in the batch as sent.
    pub index: u32,
    /// Its id, where it had a readable one.
    pub event_id: Option<EventId>,
    /// Stable reason.
    pub reason: String,
    /// What to do.
    pub message: String,
    /// Whether sending it again can succeed.
    pub retryable: bool,
}

/// Judges duplicates in log order and builds frames from what is fresh.
pub struct DedupeJudge {
    dedupe: Dedupe,
}

impl DedupeJudge {
    /// A judge that knows everything stored in `log` since the dedupe state's own position.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn replayed(mut dedupe: Dedupe, log: &dyn Log) -> Result<Self, LogError> {
        let mut next = dedupe.position().max(log.first());
        loop {
            let records = log.read(next, 4 << 20)?;
            if records.is_empty() {
                return Ok(Self { dedupe });
            }
            for record in &records {
                next = record.offset + 1;
                if let Ok(frame) = FrameView::new(&record.payload) {
                    replay_frame(&mut dedupe, &frame, record.append_time_us);
                }
            }
            if let Err(error) = dedupe.commit(next) {
                tracing::error!(%error, "the id index could not write a run; free space in the data folder");
            }
        }
    }

    fn judge_batch(&mut self, batch: &Batch, append_time_us: i64) -> Judged<Judgement> {
        let walked = &batch.walked;
        let producer = walked
            .has_producer
            .then(|| self.dedupe.producer(batch.project, walked.producer.install, walked.producer.epoch));
        let mut judgement = Judgement { refused: invalid(walked), ..Judgement::default() };
        let mut fresh: Vec<&Entry> = Vec::with_capacity(walked.entries.len());
        for entry in &walked.entries {
            let key = match producer {
                Some(producer) if entry.key.number > 0 => EventKey::Numbered {
                    producer,
                    class: entry.key.class,
                    lane: entry.key.lane,
                    number: entry.key.number,
                },
                _ => EventKey::Id(entry.key.id),
            };
            match self.dedupe.check_and_stage(batch.project, key, append_time_us) {
                Verdict::Fresh => {
                    judgement.assigned += u32::from(entry.key.id_kind == IdKind::Assigned);
                    fresh.push(entry);
                }
                Verdict::Duplicate => judgement.duplicates += 1,
                Verdict::Refused(refusal) => judgement.refused.push(RefusedEvent {
                    index: entry.index,
                    event_id: Some(entry.key.id),
                    reason: refusal.reason().to_lowercase(),
                    message: refusal.to_string(),
                    retryable: refusal.retryable(),
                }),
            }
        }
        judgement.stored = fresh.len() as u32;
        let head = FrameHead {
            kind: FrameKind::Events,
            historical: walked.historical,
            project: batch.project,
            received_us: batch.received_us,
            producer: walked.producer,
        };
        let outcomes = outcomes(&judgement);
        let records = fresh.into_iter().map(|entry| walked.record(entry));
        let frame = build_frame(&head, &walked.context, &outcomes, judgement.stored, records);
        Judged {
            payloads: if outcomes.is_empty() { Vec::new() } else { vec![frame.into()] },
            verdict: judgement,
        }
    }
}

impl Judge for DedupeJudge {
    type Batch = Submission;
    type Verdict = Judgement;

    fn judge(&mut self, batch: Submission, append_time_us: i64, _offset: u64) -> Judged<Judgement> {
        match batch {
            Submission::Batch(batch) => self.judge_batch(&batch, append_time_us),
            Submission::Control(payload) => Judged { payloads: vec![payload], verdict: Judgement::default() },
        }
    }

    fn committed(&mut self, durable_end: u64) {
        if let Err(error) = self.dedupe.commit(durable_end) {
            // Ids stay in memory and stay exact; only the flush to a run file is put off.
            tracing::error!(%error, "the id index could not write a run; free space in the data folder");
        }
    }

    fn aborted(&mut self) {
        self.dedupe.rollback();
    }
}

fn replay_frame(dedupe: &mut Dedupe, frame: &FrameView<'_>, append_time_us: i64) {
    let project = frame.head.project;
    let numbered = frame.head.producer != footpath_model::id::Producer::default();
    let producer =
        numbered.then(|| dedupe.producer(project, frame.head.producer.install, frame.head.producer.epoch));
    for event in frame.events() {
        let head = event.head();
        let key = match producer {
            Some(producer) if head.number > 0 => {
                EventKey::Numbered { producer, class: head.class, lane: head.lane, number: head.number }
            }
            _ => EventKey::Id(head.id),
        };
        dedupe.replay(project, key, append_time_us);
    }
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

/// Whose batch it is.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The project's number.
    pub project: u32,
    /// The project's id, which actors are hashed with.
    pub project_id: &'a str,
}

/// What became of a batch whose stored events are on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The batch's id as sent.
    pub batch_id: String,
    /// Events on disk because of this batch.
    pub stored: u32,
    /// Events that were on disk already.
    pub duplicates: u32,
    /// Events that were not stored.
    pub refused: Vec<RefusedEvent>,
    /// Stored events whose id was assigned.
    pub assigned_ids: u32,
    /// When the batch was received.
    pub received_us: i64,
    /// Privacy requests on record.
    pub privacy_requests: u32,
}

/// Why a batch was refused as a whole; nothing of it is stored.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// Its bytes are broken or too many.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Too much is waiting.
    #[error("the server has as much as it can take; send again in {} ms", retry_after.as_millis())]
    Busy {
        /// How long to wait.
        retry_after: Duration,
    },
    /// The server is stopping.
    #[error("the server is stopping; send again")]
    Stopping,
    /// The disk did not take it.
    #[error("{0}")]
    NotDurable(String),
}

impl From<CommitError> for IngestError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Busy { retry_after } => Self::Busy { retry_after },
            CommitError::Stopped => Self::Stopping,
            other => Self::NotDurable(other.to_string()),
        }
    }
}

/// Makes 10 random bytes for an assigned id.
pub type RandomTen = Arc<dyn Fn() -> [u8; 10] + Send + Sync>;

/// The way in.
#[derive(Clone)]
pub struct Ingest {
    sequencer: SequencerHandle<DedupeJudge>,
    clock: Arc<dyn Clock>,
    clocks: Arc<ClockOffsets>,
    limits: Limits,
    mask: MaskPolicy,
    random: RandomTen,
}

impl Ingest {
    /// Takes batches into `sequencer`.
    pub fn new(
        sequencer: SequencerHandle<DedupeJudge>,
        clock: Arc<dyn Clock>,
        limits: Limits,
        random: RandomTen,
    ) -> Self {
        let clocks = Arc::new(ClockOffsets::new(100_000));
        Self { sequencer, clock, clocks, limits, mask: MaskPolicy::default(), random }
    }

    /// What is too much.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The sequencer's counters.
    pub fn metrics(&self) -> &Arc<footpath_log::Metrics> {
        self.sequencer.metrics()
    }

    /// Stops taking batches and commits what waits. Blocks.
    pub fn stop(&self) {
        self.sequencer.stop();
    }

    /// Takes one encoded batch and returns when what it stored is on disk.
    ///
    /// # Errors
    /// If the whole batch was refused; nothing of it is stored.
    pub async fn accept(&self, source: Source<'_>, bytes: Bytes) -> Result<Accepted, IngestError> {
        let received_us = self.clock.now_us();
        let walked = self.walk(source, &bytes, received_us)?;
        let batch_id = walked.batch_id.clone();
        let wishes = self.record_wishes(source.project, &walked, received_us).await?;
        let weight = walked.records.len() + walked.context.len() + 256;
        let batch = Batch { project: source.project, received_us, walked };
        let submission = Submission::Batch(Box::new(batch));
        let judgement = self.commit(source.project, submission, weight).await?.verdict;
        Ok(Accepted {
            batch_id,
            stored: judgement.stored,
            duplicates: judgement.duplicates,
            refused: judgement.refused,
            assigned_ids: judgement.assigned,
            received_us,
            privacy_requests: wishes,
        })
    }

    fn walk(&self, source: Source<'_>, bytes: &[u8], received_us: i64) -> Result<Walked, BatchError> {
        let _span = tracing::debug_span!(target: TRACE, "walk", bytes = bytes.len()).entered();
        let context = WalkContext {
            project_id: source.project_id,
            received_us,
            limits: &self.limits,
            mask: self.mask,
            clocks: Some(&self.clocks),
        };
        walk_batch(bytes, &context, &mut || EventId::v7(received_us, (self.random)()))
    }

    async fn record_wishes(
        &self,
        project: u32,
        walked: &Walked,
        received_us: i64,
    ) -> Result<u32, IngestError> {
        for wish in &walked.privacy_requests {
            let control = Control::Privacy {
                id: wish.id.to_string(),
                kind: wish.kind as u8 + 1,
                actor: wish.actor.clone(),
            };
            self.control_at(project, &control, received_us).await?;
        }
        Ok(walked.privacy_requests.len() as u32)
    }

    /// Writes a control record and returns its log position once it is on disk.
    ///
    /// # Errors
    /// If it could not be written.
    pub async fn control(&self, project: u32, control: &Control) -> Result<u64, IngestError> {
        self.control_at(project, control, self.clock.now_us()).await
    }

    async fn control_at(&self, project: u32, control: &Control, now_us: i64) -> Result<u64, IngestError> {
        let json = serde_json::to_vec(control).map_err(|e| IngestError::NotDurable(e.to_string()))?;
        let frame = control_frame(project, now_us, &json);
        let weight = frame.len();
        let committed = self.commit(project, Submission::Control(frame.into()), weight).await?;
        committed.offset.ok_or_else(|| IngestError::NotDurable("the control record was not written".into()))
    }

    async fn commit(
        &self,
        project: u32,
        submission: Submission,
        weight: usize,
    ) -> Result<Committed<Judgement>, IngestError> {
        let empty = tracing::field::Empty;
        let span = tracing::debug_span!(target: TRACE, "commit", bytes = weight, queue_us = empty);
        let submitted_us = if span.is_disabled() { 0 } else { self.clock.now_us() };
        let waiting = self.sequencer.submit(project, submission, weight)?.instrument(span.clone());
        let answer = waiting.await;
        let answer =
            answer.map_err(|_| IngestError::NotDurable("the sequencer ended; restart the server".into()))?;
        let committed = answer?;
        span.record("queue_us", (committed.append_time_us - submitted_us).max(0));
        Ok(committed)
    }
}
