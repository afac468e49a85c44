//! The log record: one frame per batch, a fixed header per event, then spans copied from the wire.
//!
//! ```text
//! frame   0 version u8 | 1 kind u8 | 2 flags u16 | 4 project u32 | 8 received_us i64 | 16 install [16]
//!        32 epoch u64 | 40 events u32 | 44 context bytes u32 | 48 outcomes bytes u32 | 52 reserved u32
//!        56 context, outcomes, events
//! event   0 length u32 | 4 lane u8 | 5 class u8 | 6 time rule u8 | 7 flags u8 | 8 actor key u64
//!        16 id [16] | 32 time_us i64 | 40 raw_time_us i64 | 48 number u64
//!        56 name, anonymous, user, session bytes u16 x 4 | 64 properties u32 | 68 changes u32
//!        72 index u32 | 76 reserved [20] | 96 the spans in that order
//! ```
//! All integers little endian. A reader refuses a newer version.

use crate::id::{EventId, Producer};

/// The format's version.
pub const VERSION: u8 = 1;
/// Bytes of a frame's fixed header.
pub const FRAME_HEADER: usize = 56;
/// Bytes of an event's fixed header.
pub const EVENT_HEADER: usize = 96;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// Events of one batch.
    Events,
    /// A control record: its context span is JSON.
    Control,
}

/// Why a frame could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The frame was written by a newer version.
    #[error("record format {0} is newer than this program; start a newer version on this folder")]
    Newer(u8),
    /// The lengths do not fit the bytes.
    #[error("the record is damaged")]
    Damaged,
}

/// How an event's time came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum TimeRule {
    /// As the client sent it.
    AsSent = 0,
    /// The event had none: time of receipt.
    Received = 1,
    /// Shifted by the install's clock offset.
    Corrected = 2,
    /// More than 24 h ahead: time of receipt.
    Future = 3,
}

impl TimeRule {
    /// From its number in a record.
    pub fn from_u8(value: u8) -> Self {
        match value {
            1 => Self::Received,
            2 => Self::Corrected,
            3 => Self::Future,
            _ => Self::AsSent,
        }
    }
}

/// The parts of a frame's header that its writer decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// What it holds.
    pub kind: FrameKind,
    /// Sent as history: raises no alerts.
    pub historical: bool,
    /// The project's number.
    pub project: u32,
    /// When the batch was received, microseconds since 1970.
    pub received_us: i64,
    /// Who numbered the events.
    pub producer: Producer,
}

/// The fixed part of an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EventHead {
    /// The lane of its actor.
    pub lane: u8,
    /// Delivery class; 0 is not numbered.
    pub class: u8,
    /// How `time_us` came about.
    pub time_rule: TimeRule,
    /// `xxh3_64(project, 0, actor)`.
    pub actor_key: u64,
    /// The event's id.
    pub id: EventId,
    /// When it happened, corrected.
    pub time_us: i64,
    /// When it happened, as sent.
    pub raw_time_us: i64,
    /// Its number in its stream; 0 is not numbered.
    pub number: u64,
    /// Its index in the batch as sent.
    pub index: u32,
}

/// The spans of an event.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct EventSpans<'a> {
    /// The event's name.
    pub name: &'a [u8],
    /// Anonymous id.
    pub anonymous_id: &'a [u8],
    /// User id.
    pub user_id: &'a [u8],
    /// Session id.
    pub session_id: &'a [u8],
    /// Entries of `Event.properties`, tags included.
    pub properties: &'a [u8],
    /// The fields `Event.person` and `Event.groups`, tags included.
    pub changes: &'a [u8],
}

/// Appends an event.
pub fn put_event(out: &mut Vec<u8>, head: &EventHead, spans: &EventSpans<'_>) {
    let start = out.len();
    let mut fixed = [0_u8; EVENT_HEADER];
    fixed[4] = head.lane;
    fixed[5] = head.class;
    fixed[6] = head.time_rule as u8;
    fixed[8..16].copy_from_slice(&head.actor_key.to_le_bytes());
    fixed[16..32].copy_from_slice(&head.id.0);
    fixed[32..40].copy_from_slice(&head.time_us.to_le_bytes());
    fixed[40..48].copy_from_slice(&head.raw_time_us.to_le_bytes());
    fixed[48..56].copy_from_slice(&head.number.to_le_bytes());
    let short = [spans.name, spans.anonymous_id, spans.user_id, spans.session_id];
    for (i, span) in short.iter().enumerate() {
        fixed[56 + 2 * i..58 + 2 * i].copy_from_slice(&(span.len() as u16).to_le_bytes());
    }
    fixed[64..68].copy_from_slice(&(spans.properties.len() as u32).to_le_bytes());
    fixed[68..72].copy_from_slice(&(spans.changes.len() as u32).to_le_bytes());
    fixed[72..76].copy_from_slice(&head.index.to_le_bytes());
    out.extend_from_slice(&fixed);
    for span in short {
        out.extend_from_slice(span);
    }
    out.extend_from_slice(spans.properties);
    out.extend_from_slice(spans.changes);
    let len = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
}

/// How many delivery attempts ended in one way; rides in the frame, under the same sync.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutcomeCount {
    /// The outcome.
    pub outcome: Outcome,
    /// Stable reason; empty for stored and duplicate.
    pub reason: String,
    /// How many.
    pub count: u32,
}

/// What a delivery attempt ended in: exactly one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Outcome {
    /// On disk because of this attempt.
    Stored = 1,
    /// On disk already.
    Duplicate = 2,
    /// Refused for what it is.
    Invalid = 3,
    /// Refused for now.
    Throttled = 4,
    /// Dropped by policy.
    Suppressed = 5,
    /// Set aside after it failed a consumer twice.
    Quarantined = 6,
}

impl Outcome {
    /// Its stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Duplicate => "duplicate",
            Self::Invalid => "invalid",
            Self::Throttled => "throttled",
            Self::Suppressed => "suppressed",
            Self::Quarantined => "quarantined",
        }
    }

    /// From its number in a record.
    pub fn from_u8(value: u8) -> Option<Self> {
        [Self::Stored, Self::Duplicate, Self::Invalid, Self::Throttled, Self::Suppressed, Self::Quarantined]
            .into_iter()
            .find(|outcome| *outcome as u8 == value)
    }
}

/// Builds a frame from its parts. `events` are whole event records, `count` of them.
pub fn build_frame<'a>(
    head: &FrameHead,
    context: &[u8],
    outcomes: &[OutcomeCount],
    count: u32,
    events: impl Iterator<Item = &'a [u8]> + Clone,
) -> Vec<u8> {
    let mut out = frame_prelude(head, context, outcomes, count);
    out.reserve_exact(events.clone().map(<[u8]>::len).sum());
    events.for_each(|event| out.extend_from_slice(event));
    out
}

/// What stands in a frame before its `count` events.
pub fn frame_prelude(head: &FrameHead, context: &[u8], outcomes: &[OutcomeCount], count: u32) -> Vec<u8> {
    let mut ledger = Vec::new();
    for one in outcomes {
        let reason = &one.reason.as_bytes()[..one.reason.len().min(255)];
        ledger.push(one.outcome as u8);
        ledger.push(reason.len() as u8);
        ledger.extend_from_slice(&one.count.to_le_bytes());
        ledger.extend_from_slice(reason);
    }
    let mut out = vec![0_u8; FRAME_HEADER];
    out[0] = VERSION;
    out[1] = u8::from(head.kind == FrameKind::Control);
    out[2] = u8::from(head.historical);
    out[4..8].copy_from_slice(&head.project.to_le_bytes());
    out[8..16].copy_from_slice(&head.received_us.to_le_bytes());
    out[16..32].copy_from_slice(&head.producer.install);
    out[32..40].copy_from_slice(&head.producer.epoch.to_le_bytes());
    out[40..44].copy_from_slice(&count.to_le_bytes());
    out[44..48].copy_from_slice(&(context.len() as u32).to_le_bytes());
    out[48..52].copy_from_slice(&(ledger.len() as u32).to_le_bytes());
    out.extend_from_slice(context);
    out.extend_from_slice(&ledger);
    out
}

/// Bytes of [`frame_prelude`] for a batch that is stored as a whole: its only outcome has no reason. Whoever writes
/// events behind so much room need not copy them again.
pub fn stored_prelude_bytes(context: &[u8]) -> usize {
    FRAME_HEADER + context.len() + 6
}

/// A control frame: `json` says what changes.
pub fn control_frame(project: u32, received_us: i64, json: &[u8]) -> Vec<u8> {
    let head = FrameHead {
        kind: FrameKind::Control,
        historical: false,
        project,
        received_us,
        producer: Producer::default(),
    };
    build_frame(&head, json, &[], 0, std::iter::empty())
}

/// A frame, read lazily.
#[derive(Debug, Clone, Copy)]
pub struct FrameView<'a> {
    /// Its header.
    pub head: FrameHead,
    /// How many events it holds.
    pub count: u32,
    /// The batch's `Context` with what the server adds (`context.rs`), or a control record's JSON.
    pub context: &'a [u8],
    ledger: &'a [u8],
    events: &'a [u8],
}

impl<'a> FrameView<'a> {
    /// Reads a frame's header.
    ///
    /// # Errors
    /// If the frame is of a newer version, or its lengths do not fit.
    pub fn new(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let fixed = bytes.get(..FRAME_HEADER).ok_or(RecordError::Damaged)?;
        if fixed[0] > VERSION {
            return Err(RecordError::Newer(fixed[0]));
        }
        let context_len = u32_at(fixed, 44) as usize;
        let ledger_len = u32_at(fixed, 48) as usize;
        let rest = &bytes[FRAME_HEADER..];
        if context_len + ledger_len > rest.len() {
            return Err(RecordError::Damaged);
        }
        let (context, rest) = rest.split_at(context_len);
        let (ledger, events) = rest.split_at(ledger_len);
        let head = FrameHead {
            kind: if fixed[1] == 1 { FrameKind::Control } else { FrameKind::Events },
            historical: fixed[2] & 1 == 1,
            project: u32_at(fixed, 4),
            received_us: i64_at(fixed, 8),
            producer: Producer { install: array(fixed, 16), epoch: i64_at(fixed, 32) as u64 },
        };
        Ok(Self { head, count: u32_at(fixed, 40), context, ledger, events })
    }

    /// Its events, in the batch's order.
    pub fn events(&self) -> EventViews<'a> {
        EventViews { rest: self.events }
    }

    /// What became of the batch's delivery attempts.
    pub fn outcomes(&self) -> Vec<OutcomeCount> {
        let mut rest = self.ledger;
        let mut found = Vec::new();
        while rest.len() >= 6 {
            let len = rest[1] as usize;
            let Some(reason) = rest.get(6..6 + len) else { break };
            let count = u32_at(rest, 2);
            if let Some(outcome) = Outcome::from_u8(rest[0]) {
                found.push(OutcomeCount {
                    outcome,
                    reason: String::from_utf8_lossy(reason).into_owned(),
                    count,
                });
            }
            rest = &rest[6 + len..];
        }
        found
    }
}

/// The events of a frame; ends at the first one whose length does not fit.
#[derive(Debug, Clone)]
pub struct EventViews<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for EventViews<'a> {
    type Item = EventView<'a>;

    #[inline]
    fn next(&mut self) -> Option<EventView<'a>> {
        if self.rest.len() < EVENT_HEADER {
            return None;
        }
        let len = u32_at(self.rest, 0) as usize;
        if len < EVENT_HEADER || len > self.rest.len() {
            return None;
        }
        let (event, rest) = self.rest.split_at(len);
        self.rest = rest;
        let view = EventView { bytes: event };
        (view.spans_len() + EVENT_HEADER == len).then_some(view)
    }
}

/// One event of a frame, read lazily.
#[derive(Debug, Clone, Copy)]
pub struct EventView<'a> {
    bytes: &'a [u8],
}

impl<'a> EventView<'a> {
    /// The event that `bytes` begin with; `None` if its length does not fit.
    #[inline]
    pub fn first(bytes: &'a [u8]) -> Option<Self> {
        EventViews { rest: bytes }.next()
    }

    /// The whole record.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    fn spans_len(&self) -> usize {
        self.short(0)
            + self.short(1)
            + self.short(2)
            + self.short(3)
            + u32_at(self.bytes, 64) as usize
            + u32_at(self.bytes, 68) as usize
    }

    #[inline]
    fn short(&self, i: usize) -> usize {
        usize::from(u16::from_le_bytes([self.bytes[56 + 2 * i], self.bytes[57 + 2 * i]]))
    }

    /// The fixed part.
    #[inline]
    pub fn head(&self) -> EventHead {
        let b = self.bytes;
        EventHead {
            lane: b[4],
            class: b[5],
            time_rule: TimeRule::from_u8(b[6]),
            actor_key: i64_at(b, 8) as u64,
            id: EventId(array(b, 16)),
            time_us: i64_at(b, 32),
            raw_time_us: i64_at(b, 40),
            number: i64_at(b, 48) as u64,
            index: u32_at(b, 72),
        }
    }

    /// The spans.
    pub fn spans(&self) -> EventSpans<'a> {
        let mut at = EVENT_HEADER;
        let mut next = |len: usize| {
            let span = &self.bytes[at..at + len];
            at += len;
            span
        };
        EventSpans {
            name: next(self.short(0)),
            anonymous_id: next(self.short(1)),
            user_id: next(self.short(2)),
            session_id: next(self.short(3)),
            properties: next(u32_at(self.bytes, 64) as usize),
            changes: next(u32_at(self.bytes, 68) as usize),
        }
    }

    /// The event's name.
    #[inline]
    pub fn name(&self) -> &'a str {
        text(self.name_bytes())
    }

    /// The event's name as it stands in the record.
    #[inline]
    pub fn name_bytes(&self) -> &'a [u8] {
        &self.bytes[EVENT_HEADER..EVENT_HEADER + self.short(0)]
    }
}

/// A span as text; spans were validated as UTF-8 at ingest.
pub fn text(bytes: &[u8]) -> &str {
    simdutf8::basic::from_utf8(bytes).unwrap_or_default()
}

#[inline]
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0_u8; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

#[inline]
fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(array(bytes, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> FrameHead {
        FrameHead {
            kind: FrameKind::Events,
            historical: true,
            project: 7,
            received_us: 99,
            producer: Producer { install: [3; 16], epoch: 5 },
        }
    }

    #[test]
    fn a_frame_comes_back_as_written() {
        let event = EventHead {
            lane: 9,
            class: 2,
            time_rule: TimeRule::Corrected,
            actor_key: 42,
            id: EventId([1; 16]),
            time_us: -5,
            raw_time_us: 6,
            number: 11,
            index: 3,
        };
        let spans = EventSpans { name: b"open", user_id: b"u", properties: b"xyz", ..EventSpans::default() };
        let mut bytes = Vec::new();
        put_event(&mut bytes, &event, &spans);
        let outcomes = [OutcomeCount { outcome: Outcome::Invalid, reason: "name_missing".into(), count: 4 }];
        let frame = build_frame(&head(), b"ctx", &outcomes, 1, std::iter::once(&bytes[..]));
        let view = FrameView::new(&frame).unwrap();
        assert_eq!(view.head, head());
        assert_eq!(view.context, b"ctx");
        assert_eq!(view.outcomes(), outcomes);
        let found: Vec<_> = view.events().collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].head(), event);
        assert_eq!(found[0].spans(), spans);
        assert_eq!(found[0].name(), "open");
    }

    proptest::proptest! {
        #[test]
        fn damaged_bytes_never_panic(mut bytes: Vec<u8>) {
            if let Some(first) = bytes.first_mut() { *first = VERSION; }
            if let Ok(view) = FrameView::new(&bytes) {
                view.outcomes();
                for event in view.events() { event.spans(); }
            }
        }
    }

    #[test]
    fn a_newer_version_is_refused() {
        let mut frame = build_frame(&head(), b"", &[], 0, std::iter::empty());
        frame[0] = VERSION + 1;
        assert_eq!(FrameView::new(&frame).unwrap_err(), RecordError::Newer(VERSION + 1));
    }
}
