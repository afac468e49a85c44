//! A server in memory, for tests of this crate and of applications: it keeps what it is sent, judges duplicates
//! by stream and number as the real one does, and misbehaves on request.

use std::collections::BTreeMap;
use std::fmt;

use footpath_proto::v1::{
    Event, FlowHints, IngestRequest, IngestResponse, LossRange, PrivacyRequest, Refusal,
};
use parking_lot::{Condvar, Mutex};
use prost::Message as _;

use crate::outcome::Outcome;
use crate::transport::{Outgoing, Transport};

/// What the server does with a batch.
#[derive(Debug, Clone)]
pub enum Step {
    /// Stores and answers.
    Answer,
    /// Stores, but the answer gets lost.
    StoreAndDrop,
    /// Stores, and answers without the batch's id, as a proxy would.
    AnswerWithoutId,
    /// Stores nothing and fails.
    Fail(Outcome),
    /// Keeps the batch waiting until [`MemoryServer::release`].
    Hang,
}

/// What makes an event unique: install, epoch, class, lane, number.
pub type StreamKey = (String, u64, i32, u32, u64);

type Script = dyn FnMut(&IngestRequest) -> Step + Send;
type Judge = dyn FnMut(&Event) -> Option<Refusal> + Send;

/// See the module.
pub struct MemoryServer {
    state: Mutex<State>,
    released: Condvar,
}

struct State {
    script: Box<Script>,
    judge: Box<Judge>,
    hints: Option<FlowHints>,
    stored: BTreeMap<StreamKey, Event>,
    order: Vec<Event>,
    losses: Vec<LossRange>,
    wishes: Vec<PrivacyRequest>,
    batches: Vec<IngestRequest>,
    /// How often hanging batches were let go.
    releases: u64,
}

impl Default for MemoryServer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryServer")
            .field("stored", &self.state.lock().stored.len())
            .finish_non_exhaustive()
    }
}

impl MemoryServer {
    /// A server that behaves.
    pub fn new() -> Self {
        let state = State {
            script: Box::new(|_| Step::Answer),
            judge: Box::new(|_| None),
            hints: None,
            stored: BTreeMap::new(),
            order: Vec::new(),
            losses: Vec::new(),
            wishes: Vec::new(),
            batches: Vec::new(),
            releases: 0,
        };
        Self { state: Mutex::new(state), released: Condvar::new() }
    }

    /// Decides for every batch that arrives from now on.
    pub fn on_batch(&self, script: impl FnMut(&IngestRequest) -> Step + Send + 'static) {
        self.state.lock().script = Box::new(script);
    }

    /// Decides for every new event from now on; a refusal's index is filled in.
    pub fn on_event(&self, judge: impl FnMut(&Event) -> Option<Refusal> + Send + 'static) {
        self.state.lock().judge = Box::new(judge);
    }

    /// Sends these hints with every answer from now on.
    pub fn set_hints(&self, hints: Option<FlowHints>) {
        self.state.lock().hints = hints;
    }

    /// Everything stored, by stream and number.
    pub fn stored(&self) -> BTreeMap<StreamKey, Event> {
        self.state.lock().stored.clone()
    }

    /// Everything stored, in the order of arrival.
    pub fn order(&self) -> Vec<Event> {
        self.state.lock().order.clone()
    }

    /// Every loss range of a batch that was stored.
    pub fn losses(&self) -> Vec<LossRange> {
        self.state.lock().losses.clone()
    }

    /// Every batch that arrived, repetitions included.
    pub fn batches(&self) -> Vec<IngestRequest> {
        self.state.lock().batches.clone()
    }

    /// Every privacy request of a batch that was stored.
    pub fn wishes(&self) -> Vec<PrivacyRequest> {
        self.state.lock().wishes.clone()
    }

    /// Stores and answers the batches that hang.
    pub fn release(&self) {
        self.state.lock().releases += 1;
        self.released.notify_all();
    }
}

impl State {
    fn store(&mut self, request: IngestRequest) -> IngestResponse {
        let producer = request.producer.unwrap_or_default();
        let mut answer =
            IngestResponse { batch_id: request.batch_id, hints: self.hints, ..IngestResponse::default() };
        for (index, event) in request.events.into_iter().enumerate() {
            let lane = event.lane.unwrap_or_default();
            let key = (producer.install_id.clone(), producer.epoch, event.delivery_class, lane, event.number);
            if self.stored.contains_key(&key) {
                answer.duplicates += 1;
            } else if let Some(mut refusal) = (self.judge)(&event) {
                refusal.index = u32::try_from(index).unwrap_or(u32::MAX);
                answer.refused.push(refusal);
            } else {
                self.order.push(event.clone());
                self.stored.insert(key, event);
                answer.stored += 1;
            }
        }
        self.losses.extend(request.losses);
        answer.privacy_requests = u32::try_from(request.privacy_requests.len()).unwrap_or(u32::MAX);
        self.wishes.extend(request.privacy_requests);
        answer
    }
}

impl Transport for MemoryServer {
    fn send(&self, batch: &Outgoing) -> Outcome {
        let Ok(request) = IngestRequest::decode(&*batch.body) else {
            return Outcome::Refused("the batch is no IngestRequest".into());
        };
        let mut state = self.state.lock();
        state.batches.push(request.clone());
        match (state.script)(&request) {
            Step::Answer => Outcome::Answered(Box::new(state.store(request))),
            Step::StoreAndDrop => {
                state.store(request);
                Outcome::Broken("the connection broke".into())
            }
            Step::AnswerWithoutId => Outcome::Answered(Box::new(IngestResponse {
                batch_id: String::new(),
                ..state.store(request)
            })),
            Step::Fail(outcome) => outcome,
            Step::Hang => {
                let releases = state.releases;
                self.released.wait_while(&mut state, |state| state.releases == releases);
                Outcome::Answered(Box::new(state.store(request)))
            }
        }
    }
}
