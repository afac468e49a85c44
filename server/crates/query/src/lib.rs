//! Queries over stored events, with the kernel the live path uses.
//!
//! For now the log is the one place of stored events: a query reads it from its first position to the durable
//! end, folds every person and counts. The answer names the position it holds for.

use std::collections::HashMap;

use bytes::Bytes;
use footpath_engine::{
    ActorKey, IdentityGraph, Rules, RulesError, SlimEvent, fold_person, funnel_counts, link_event,
};
use footpath_log::{Log, LogError, Record};
use footpath_model::control::CountedFunnel;
use footpath_model::filter::StepMatcher;
use footpath_model::range::RangeError;
use footpath_model::record::{EventView, FrameView, text};

/// Bytes read from the log at a time.
const READ_BYTES: usize = 4 << 20;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The stored events cannot be read.
    #[error("stored events cannot be read: {0}")]
    Log(#[from] LogError),
    /// The funnel cannot be folded.
    #[error("the funnel cannot be computed: {0}")]
    Rules(#[from] RulesError),
    /// The range cannot be resolved.
    #[error("the range cannot be resolved: {0}")]
    Range(#[from] RangeError),
}

/// A funnel's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunnelAnswer {
    /// Persons who reached each step.
    pub reached: Vec<u64>,
    /// The log position (exclusive) it holds for.
    pub position: u64,
    /// The append time of the last frame in it.
    pub processed_us: i64,
    /// Events read.
    pub events_read: u64,
}

/// Computes a funnel from stored events up to the durable end of the log.
///
/// # Errors
/// If the log cannot be read or the range does not resolve.
pub fn funnel(
    log: &dyn Log,
    project: Project<'_>,
    asked: &CountedFunnel,
    now_us: i64,
) -> Result<FunnelAnswer, QueryError> {
    let (from_us, to_us) = asked.resolve(now_us)?;
    let rules = Rules::of(&asked.definition)?.with_entry_before(to_us);
    let matcher = StepMatcher::new(&asked.definition);
    let mut identity = IdentityGraph::new();
    let mut events: HashMap<u64, Vec<SlimEvent>> = HashMap::new();
    let (mut events_read, mut processed_us) = (0, 0);
    let position = for_each_record(log, log.first(), |record| {
        processed_us = record.append_time_us;
        for event in frame_events(&record.payload, project.number) {
            events_read += 1;
            link_event(&mut identity, project.id, &event);
            let mask = matcher.mask(event.name(), event.spans().properties);
            if mask != 0 {
                let head = event.head();
                let slim = SlimEvent { time_us: head.time_us, id: head.id.as_u128(), mask };
                events.entry(head.actor_key).or_default().push(slim);
            }
        }
        true
    })?;
    let mut persons: HashMap<u64, Vec<SlimEvent>> = HashMap::new();
    for (actor, mut own) in events {
        persons.entry(identity.canonical(ActorKey(actor)).0).or_default().append(&mut own);
    }
    let depths = persons.into_values().map(|mut own| {
        own.sort_unstable_by_key(SlimEvent::order);
        fold_person(&rules, own).depth(from_us)
    });
    let reached = funnel_counts(asked.definition.steps.len(), depths);
    Ok(FunnelAnswer { reached, position, processed_us, events_read })
}

/// Which project is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Project<'a> {
    /// Its number in the log.
    pub number: u32,
    /// Its id, which actors are hashed with.
    pub id: &'a str,
}

fn frame_events(frame: &[u8], project: u32) -> impl Iterator<Item = EventView<'_>> {
    let view = FrameView::new(frame).ok().filter(|view| view.head.project == project);
    view.into_iter().flat_map(|view| view.events())
}

/// Calls `each` for every durable record from `from` on until it says false. Returns the next position.
///
/// # Errors
/// If the log cannot be read.
pub fn for_each_record(
    log: &dyn Log,
    from: u64,
    mut each: impl FnMut(&Record) -> bool,
) -> Result<u64, LogError> {
    let mut next = from;
    loop {
        let records = log.read(next, READ_BYTES)?;
        if records.is_empty() {
            return Ok(next);
        }
        for record in &records {
            next = record.offset + 1;
            if !each(record) {
                return Ok(next);
            }
        }
    }
}

/// Which events are asked for.
#[derive(Debug, Clone)]
pub struct EventQuery {
    /// The project's number.
    pub project: u32,
    /// Only of this actor; empty means all.
    pub actor: String,
    /// From this event time on.
    pub from_us: i64,
    /// Before this event time.
    pub to_us: i64,
    /// From this position on: (offset, index).
    pub from_position: (u64, u32),
    /// At most this many.
    pub limit: usize,
}

/// A found event: its frame and where it stands.
#[derive(Debug, Clone)]
pub struct FoundEvent {
    /// The frame's position.
    pub offset: u64,
    /// When it was put on disk.
    pub append_us: i64,
    frame: Bytes,
    index: u32,
}

impl FoundEvent {
    /// The frame and the event. `None` if the record is damaged.
    pub fn view(&self) -> Option<(FrameView<'_>, EventView<'_>)> {
        let frame = FrameView::new(&self.frame).ok()?;
        let event = frame.events().find(|event| event.head().index == self.index)?;
        Some((frame, event))
    }
}

/// A page of events.
#[derive(Debug, Clone, Default)]
pub struct EventPage {
    /// The events, in log order.
    pub events: Vec<FoundEvent>,
    /// Where the next page begins; `None` on the last page.
    pub next: Option<(u64, u32)>,
}

/// Reads events in log order.
///
/// # Errors
/// If the log cannot be read.
pub fn events(log: &dyn Log, wanted: &EventQuery) -> Result<EventPage, QueryError> {
    let mut page = EventPage::default();
    let from = wanted.from_position.0.max(log.first());
    for_each_record(log, from, |record| {
        for event in frame_events(&record.payload, wanted.project).filter(|event| matches(wanted, event)) {
            let index = event.head().index;
            if (record.offset, index) < wanted.from_position {
                continue;
            }
            if page.events.len() == wanted.limit {
                page.next = Some((record.offset, index));
                return false;
            }
            let (offset, append_us) = (record.offset, record.append_time_us);
            page.events.push(FoundEvent { offset, append_us, frame: record.payload.clone(), index });
        }
        true
    })?;
    Ok(page)
}

fn matches(wanted: &EventQuery, event: &EventView<'_>) -> bool {
    let (head, spans) = (event.head(), event.spans());
    let actor = if spans.user_id.is_empty() { spans.anonymous_id } else { spans.user_id };
    (wanted.from_us..wanted.to_us).contains(&head.time_us)
        && (wanted.actor.is_empty() || wanted.actor == text(actor))
}
