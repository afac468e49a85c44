//! Data sets as stored events: most of them in chunks, the rest in the log.

use std::sync::Arc;

use footpath_history::{ChunkWriter, Chunks, Pinned, Stored, WriterOptions};
use footpath_log::{Entry, Log, MemoryLog, SimDisk};
use footpath_model::clock::ManualClock;
use footpath_model::id::{EventId, Producer, actor_key, lane};
use footpath_model::props::PROPERTY_FIELD;
use footpath_model::record::{EventHead, EventSpans, FrameHead, FrameKind, TimeRule, build_frame, put_event};
use footpath_model::wire::{put_bytes, put_uint};
use footpath_query::{Project, Source};

use crate::data::Event;

pub const PROJECT: Project<'static> = Project { number: 1, id: "set" };
pub const FRAME: usize = 400;

/// A data set, stored.
pub struct Set {
    pub events: Vec<Event>,
    pinned: Pinned,
}

impl Set {
    /// Stores events: three quarters of them in two ranges of chunks. Gives them their ids.
    pub fn new(mut events: Vec<Event>) -> Self {
        let log = Arc::new(MemoryLog::default());
        let chunks = Arc::new(Chunks::open(Arc::new(SimDisk::new(1)), 1).unwrap());
        let shared = || Arc::clone(&log) as Arc<dyn Log>;
        let clock = Arc::new(ManualClock::at(0));
        let options = WriterOptions { age_us: i64::MAX, ..WriterOptions::default() };
        let writer = ChunkWriter::start(shared(), Arc::clone(&chunks), clock, options).unwrap();
        let frames = events.len().div_ceil(FRAME);
        for (i, frame) in events.chunks_mut(FRAME).enumerate() {
            append(&log, frame);
            if i == frames / 2 || i == frames * 3 / 4 {
                writer.flush().unwrap();
            }
        }
        Self { events, pinned: Stored::new(shared(), chunks).pin() }
    }

    /// What is asked, long after the last event.
    pub fn source(&self) -> Source<'_> {
        let now_us = self.events.iter().map(|event| event.time_us).max().unwrap() + 400 * 86_400_000_000;
        let sessions = footpath_engine::SessionRules::default();
        Source { pinned: &self.pinned, project: PROJECT, ledger: &[], sessions, now_us }
    }
}

/// Appends a batch of events, which get their ids.
pub fn append(log: &MemoryLog, events: &mut [Event]) {
    let offset = log.durable_end();
    let encoded: Vec<_> = events
        .iter_mut()
        .enumerate()
        .map(|(i, event)| {
            // Ids ascend with the lines.
            let id = EventId::v7(offset as i64 * 1_000_000 + i as i64 * 1_000, [0; 10]);
            event.id = id.as_u128();
            encode(event, id, i as u32)
        })
        .collect();
    let head = FrameHead {
        kind: FrameKind::Events,
        historical: true,
        project: PROJECT.number,
        received_us: 0,
        producer: Producer::default(),
    };
    let frame = build_frame(&head, b"", &[], encoded.len() as u32, encoded.iter().map(Vec::as_slice));
    log.append_group(&[Entry { append_time_us: offset as i64, payload: frame.into() }]).unwrap();
}

fn encode(event: &Event, id: EventId, index: u32) -> Vec<u8> {
    let actor_key = actor_key(PROJECT.id, event.user.as_bytes());
    let head = EventHead {
        lane: lane(actor_key),
        class: 0,
        time_rule: TimeRule::AsSent,
        actor_key,
        id,
        time_us: event.time_us,
        raw_time_us: event.time_us,
        number: 0,
        index,
    };
    let properties = properties(event);
    let spans = EventSpans {
        name: event.name.as_bytes(),
        user_id: event.user.as_bytes(),
        properties: &properties,
        ..EventSpans::default()
    };
    let mut out = Vec::new();
    put_event(&mut out, &head, &spans);
    out
}

fn properties(event: &Event) -> Vec<u8> {
    let mut out = Vec::new();
    let mut put = |key: &str, value: &dyn Fn(&mut Vec<u8>)| {
        let (mut encoded, mut entry) = (Vec::new(), Vec::new());
        value(&mut encoded);
        put_bytes(&mut entry, 1, key.as_bytes());
        put_bytes(&mut entry, 2, &encoded);
        put_bytes(&mut out, PROPERTY_FIELD, &entry);
    };
    if !event.text.is_empty() {
        put("text", &|out| put_bytes(out, 1, event.text.as_bytes()));
    }
    event.also.iter().for_each(|(key, text)| put(key, &|out| put_bytes(out, 1, text.as_bytes())));
    if let Some(number) = event.number {
        put("number", &|out| put_uint(out, 2, number.cast_unsigned()));
    }
    if let Some(decimal) = &event.decimal {
        put("decimal", &|out| put_bytes(out, 4, decimal.as_bytes()));
    }
    out
}
