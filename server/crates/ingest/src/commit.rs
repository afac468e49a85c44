//! Commit: a walked batch is judged in log order, written with its group, and answered when it is on disk.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use footpath_log::{CommitError, Committed, Gap, Missing, SequencerHandle, StreamKey};
use footpath_model::clock::Clock;
use footpath_model::context::Environment;
use footpath_model::control::Control;
use footpath_model::id::EventId;
use footpath_model::record::{Outcome, control_frame};

use crate::judge::{Batch, DedupeJudge, Judgement, Submission};
use crate::limits::Limits;
use crate::outcomes::{BUSY, DRAINING, PendingOutcomes};
use crate::privacy::MaskPolicy;
use crate::reason::BatchError;
use crate::refused::{RefusedBatch, RefusedSender};
use crate::time_rule::ClockOffsets;
use crate::walk::{WalkContext, Walked, WishKind, walk_batch};
use tracing::Instrument as _;

/// The target of the spans that follow a batch; nothing is recorded unless a subscriber asks for it by name.
pub const TRACE: &str = "footpath::trace";

/// While nobody sends, the sequencer names gaps twice a second.
const GAP_PAUSE: Duration = Duration::from_millis(20);
const GAP_LOOKS: usize = 250;

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

/// Whose batch it is.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The project's number.
    pub project: u32,
    /// The project's id, which actors are hashed with.
    pub project_id: &'a str,
    /// The environment of the key that sent it.
    pub environment: Environment,
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
            CommitError::TooLarge { bytes, limit } => Self::Batch(BatchError::TooLarge { bytes, limit }),
            other => Self::NotDurable(other.to_string()),
        }
    }
}

/// Makes 10 random bytes for an assigned id.
pub type RandomTen = Arc<dyn Fn() -> [u8; 10] + Send + Sync>;

/// What the judge shows of itself while the sequencer owns it.
#[derive(Clone)]
pub struct JudgeView {
    pub(crate) pending: Arc<PendingOutcomes>,
    pub(crate) refused: RefusedSender,
    pub(crate) missing: Missing,
    pub(crate) snapshot_position: Arc<AtomicU64>,
}

/// The way in.
#[derive(Clone)]
pub struct Ingest {
    sequencer: SequencerHandle<DedupeJudge>,
    view: JudgeView,
    clock: Arc<dyn Clock>,
    clocks: Arc<ClockOffsets>,
    limits: Limits,
    mask: MaskPolicy,
    random: RandomTen,
}

impl Ingest {
    /// Takes batches into `sequencer`, whose judge shows `view`.
    pub fn new(
        sequencer: SequencerHandle<DedupeJudge>,
        view: JudgeView,
        clock: Arc<dyn Clock>,
        limits: Limits,
        random: RandomTen,
    ) -> Self {
        let clocks = Arc::new(ClockOffsets::new(100_000));
        Self { sequencer, view, clock, clocks, limits, mask: MaskPolicy::default(), random }
    }

    /// What is too much.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The sequencer's counters.
    pub fn metrics(&self) -> &Arc<footpath_log::Metrics> {
        self.sequencer.metrics()
    }

    /// Numbered events of the project that are known to be missing, as of the last group.
    pub fn missing(&self, project: u32) -> u64 {
        self.view.missing.of(project)
    }

    /// The same over all projects.
    pub fn missing_in_all(&self) -> u64 {
        self.view.missing.total()
    }

    /// Up to `limit` of the project's streams with missing numbers, in order, from behind `after` on. `None` if the
    /// sequencer does not come round to naming them.
    pub async fn gaps(&self, project: u32, after: Option<StreamKey>, limit: usize) -> Option<Vec<Gap>> {
        let missing = &self.view.missing;
        missing.ask();
        for _ in 0..GAP_LOOKS {
            if missing.is_named() {
                return Some(missing.gaps(project, after, limit));
            }
            tokio::time::sleep(GAP_PAUSE).await;
        }
        None
    }

    /// The log is needed from this offset on to know its duplicates after a restart: do not trim beyond it. Moves
    /// with every durable snapshot.
    pub fn snapshot_position(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.view.snapshot_position)
    }

    /// Refused events that were let go before they could be kept for reading.
    pub fn refused_dropped(&self) -> u64 {
        self.view.refused.dropped()
    }

    /// Stops taking batches, commits what waits and writes the duplicate index. Blocks.
    pub fn stop(&self) {
        self.sequencer.stop();
    }

    /// Takes one encoded batch and returns when what it stored is on disk.
    ///
    /// # Errors
    /// If the whole batch was refused; nothing of it is stored.
    pub async fn accept(&self, source: Source<'_>, bytes: Bytes) -> Result<Accepted, IngestError> {
        let received_us = self.clock.now_us();
        let walked = match self.walk(source, &bytes, received_us) {
            Ok(walked) => walked,
            Err(error) => return Err(self.refuse(source, error)),
        };
        let (batch_id, wishes) = (walked.batch_id.clone(), walked.privacy_requests.len() as u32);
        let controls = controls(source.project, &walked, received_us)?;
        let batch = Batch::new(source, received_us, walked, controls, bytes);
        let (events, weight) = (u64::from(batch.events()), batch.weight());
        let submission = Submission::Batch(Box::new(batch));
        let judgement = self.commit(source.project, submission, weight, events).await?.verdict;
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

    /// Counts and keeps a batch that cannot be taken for what it is, and hands the error back. Its events may not even
    /// be told apart, so it counts as one delivery attempt. For batches that fail before [`Self::accept`].
    pub fn refuse(&self, source: Source<'_>, error: BatchError) -> IngestError {
        self.view.pending.add(source.project, Outcome::Invalid, error.name(), 1);
        let event = RefusedEvent {
            index: 0,
            event_id: None,
            reason: error.name().to_owned(),
            message: error.to_string(),
            retryable: error.retryable(),
        };
        self.view.refused.send(RefusedBatch {
            project_id: source.project_id.into(),
            received_us: self.clock.now_us(),
            batch_id: String::new(),
            raw: Bytes::new(),
            events: vec![(event, None)],
        });
        error.into()
    }

    fn walk(&self, source: Source<'_>, bytes: &[u8], received_us: i64) -> Result<Walked, BatchError> {
        let _span = tracing::debug_span!(target: TRACE, "walk", bytes = bytes.len()).entered();
        let context = WalkContext {
            project_id: source.project_id,
            environment: source.environment,
            received_us,
            limits: &self.limits,
            mask: self.mask,
            clocks: Some(&self.clocks),
        };
        walk_batch(bytes, &context, &mut || EventId::v7(received_us, (self.random)()))
    }

    /// Writes a control record and returns its log position once it is on disk.
    ///
    /// # Errors
    /// If it could not be written.
    pub async fn control(&self, project: u32, control: &Control) -> Result<u64, IngestError> {
        let frame = encode(project, control, self.clock.now_us())?;
        let weight = frame.len();
        let committed = self.commit(project, Submission::Control(frame), weight, 0).await?;
        committed.offset.ok_or_else(|| IngestError::NotDurable("the control record was not written".into()))
    }

    /// Queues a submission and waits until its group is on disk.
    async fn commit(
        &self,
        project: u32,
        submission: Submission,
        weight: usize,
        events: u64,
    ) -> Result<Committed<Judgement>, IngestError> {
        let empty = tracing::field::Empty;
        let span = tracing::debug_span!(target: TRACE, "commit", bytes = weight, queue_us = empty);
        let submitted_us = if span.is_disabled() { 0 } else { self.clock.now_us() };
        let answer = self.submit(project, submission, weight, events)?.instrument(span.clone()).await;
        let ended = |_| IngestError::NotDurable("the sequencer ended; restart the server".into());
        let committed = answer.map_err(ended)??;
        span.record("queue_us", (committed.append_time_us - submitted_us).max(0));
        Ok(committed)
    }

    /// Queues a submission of `events` delivery attempts; they have their outcome here if it is not taken.
    fn submit(
        &self,
        project: u32,
        submission: Submission,
        weight: usize,
        events: u64,
    ) -> Result<Answer, IngestError> {
        let refused = match self.sequencer.submit(project, submission, weight) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let (outcome, reason, attempts) = match &refused {
            CommitError::Stopped => (Outcome::Throttled, DRAINING, events),
            CommitError::TooLarge { .. } => (Outcome::Invalid, "batch_too_large", events.min(1)),
            _ => (Outcome::Throttled, BUSY, events),
        };
        self.view.pending.add(project, outcome, reason, attempts);
        Err(refused.into())
    }
}

type Answer = tokio::sync::oneshot::Receiver<Result<footpath_log::Committed<Judgement>, CommitError>>;

fn encode(project: u32, control: &Control, now_us: i64) -> Result<Bytes, IngestError> {
    let json = serde_json::to_vec(control).map_err(|e| IngestError::NotDurable(e.to_string()))?;
    Ok(control_frame(project, now_us, &json).into())
}

/// The control records that a batch carries, under the same ack as its events.
pub(crate) fn controls(project: u32, walked: &Walked, now_us: i64) -> Result<Vec<Bytes>, IngestError> {
    let wishes = walked.privacy_requests.iter().map(|wish| Control::Privacy {
        id: wish.id.to_string(),
        kind: match wish.kind {
            WishKind::Delete => 1,
            WishKind::Access => 2,
        },
        actor: wish.actor.clone(),
    });
    let losses = (!walked.losses.is_empty()).then(|| Control::Losses {
        install: EventId(walked.producer.install).to_string(),
        epoch: walked.producer.epoch,
        ranges: walked.losses.clone(),
    });
    wishes.chain(losses).map(|control| encode(project, &control, now_us)).collect()
}
