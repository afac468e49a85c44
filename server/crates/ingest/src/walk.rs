//! The wire walk: one pass over a batch's encoded bytes, without building messages.
//!
//! The batch's own fields are read first, for they decide about every event (who numbers, which clock). Then each
//! event is judged alone: it becomes a record in [`Walked::records`], or a [`Refusal`]. Strings, keys and numbers
//! are checked where they lie; an event that needs no masking is copied in two or three ranges. Unknown fields
//! are skipped and reach no record.

mod batch;
mod changes;
mod event;
mod plain;
mod rewrite;
mod splice;
mod text;
mod values;

use footpath_model::context::Environment;
use footpath_model::control::LostRange;
use footpath_model::id::{EventId, Producer};
use footpath_model::record::{EVENT_HEADER, stored_prelude_bytes};

use crate::limits::Limits;
use crate::privacy::MaskPolicy;
pub use crate::reason::{BatchError, Reason};
use crate::time_rule::ClockOffsets;

/// What the walk needs to know beside the bytes.
#[derive(Debug)]
pub struct WalkContext<'a> {
    /// The project's id; part of the actor's hash.
    pub project_id: &'a str,
    /// The environment of the key that sent the batch.
    pub environment: Environment,
    /// When the batch was received, microseconds since 1970.
    pub received_us: i64,
    /// What is too much.
    pub limits: &'a Limits,
    /// What to mask in values.
    pub mask: MaskPolicy,
    /// The clock offsets of installs; without them no time is corrected.
    pub clocks: Option<&'a ClockOffsets>,
}

/// What a batch turned into.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Walked {
    /// The batch's id as sent; may be empty.
    pub batch_id: String,
    /// When the client sent it, by its clock, microseconds since 1970.
    pub sent_at_us: Option<i64>,
    /// The client's clock era; may be empty.
    pub clock_era: String,
    /// Sent as history.
    pub historical: bool,
    /// Whether the batch names a producer.
    pub has_producer: bool,
    /// Who numbers the events; all zero if nobody does.
    pub producer: Producer,
    /// The batch's `Context`: fields that clients set, masked, and the environment.
    pub context: Vec<u8>,
    /// Event records, back to back, in the batch's order, behind [`Self::room`] bytes that are zero.
    pub records: Vec<u8>,
    /// Room for what a frame begins with if every event of the batch is stored.
    pub room: usize,
    /// One entry per record.
    pub entries: Vec<Entry>,
    /// The events that were refused, in the batch's order.
    pub refused: Vec<Refusal>,
    /// Numbers that will never come.
    pub losses: Vec<LostRange>,
    /// Wishes of the person behind the install.
    pub privacy_requests: Vec<PrivacyWish>,
    /// Events received: entries and refusals together.
    pub events_total: u32,
}

impl Walked {
    /// The record of an entry.
    pub fn record(&self, entry: &Entry) -> &[u8] {
        &self.records[entry.range()]
    }
}

/// Where an event's record lies, and what duplicates are judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Where it begins in [`Walked::records`].
    pub offset: usize,
    /// Its length in bytes.
    pub len: usize,
    /// What makes it the same event as another one.
    pub key: EventKeyHint,
    /// Its index in the batch as sent.
    pub index: u32,
}

impl Entry {
    /// Where its record lies in [`Walked::records`].
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.len
    }
}

/// What duplicates are judged by: the number in the stream if there is one, else the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventKeyHint {
    /// The event's id.
    pub id: EventId,
    /// Its number in the stream (install, epoch, class, lane); 0 is not numbered.
    pub number: u64,
    /// Its delivery class, 1 to 3; 0 if it is not numbered.
    pub class: u8,
    /// The lane of its actor.
    pub lane: u8,
    /// Where the id comes from.
    pub id_kind: IdKind,
}

/// Where an event's id comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdKind {
    /// The client sent it.
    Sent,
    /// Derived from the batch's id and the event's index: the same for every retry of the batch.
    Derived,
    /// Made by the server: sent again, the event would be stored again.
    Assigned,
}

/// An event that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its index in the batch as sent.
    pub index: u32,
    /// Its id, where a readable one was sent or can be derived.
    pub event_id: Option<EventId>,
    /// Why.
    pub reason: Reason,
    /// Where in the event: the field's name in the schema. Holds no value of the event.
    pub detail: String,
}

/// A wish of the person behind an install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivacyWish {
    /// The wish's id; repeating it changes nothing.
    pub id: EventId,
    /// What is asked for.
    pub kind: WishKind,
    /// The actor it is about.
    pub actor: String,
}

/// What a person can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WishKind {
    /// Delete what is known of the actor.
    Delete,
    /// Hand out what is known of the actor.
    Access,
}

/// Walks the encoded bytes of a `footpath.v1.IngestRequest`. `assign` makes an id (a UUIDv7) for an event that
/// has none and whose batch has none to derive it from.
///
/// # Errors
/// If the batch as a whole is broken or too large; nothing of it may be stored then. A bad event never is an
/// error: it is in [`Walked::refused`].
pub fn walk_batch(
    bytes: &[u8],
    ctx: &WalkContext<'_>,
    assign: &mut dyn FnMut() -> EventId,
) -> Result<Walked, BatchError> {
    let (mut walked, events) = batch::read(bytes, ctx)?;
    let offset_us = clock_offset(&walked, ctx);
    walked.room = stored_prelude_bytes(&walked.context);
    walked.records.reserve_exact(walked.room + bytes.len() + events.len() * EVENT_HEADER);
    walked.records.resize(walked.room, 0);
    walked.entries.reserve(events.len());
    let mut judge = event::Judge::new(ctx, offset_us, assign);
    for (index, event) in (0_u32..).zip(events) {
        judge.event(event, index, &mut walked);
    }
    Ok(walked)
}

/// The offset to add to the batch's times. Backends (no producer) and historical batches are not corrected.
fn clock_offset(walked: &Walked, ctx: &WalkContext<'_>) -> i64 {
    match (ctx.clocks, walked.sent_at_us) {
        (Some(clocks), Some(sent_us)) if walked.has_producer && !walked.historical => {
            clocks.observe(&walked.producer, &walked.clock_era, sent_us, ctx.received_us)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
