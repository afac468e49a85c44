//! What the tests share: random events of few actors, in chunks and in the log.

use std::sync::Arc;

use footpath_history::{ChunkWriter, Chunks, Stored, WriterOptions};
use footpath_log::{Entry, Log, MemoryLog, SimDisk};
use footpath_model::clock::ManualClock;
use footpath_model::id::{EventId, Producer, actor_key, lane};
use footpath_model::record::{EventHead, EventSpans, FrameHead, FrameKind, TimeRule, build_frame, put_event};
use footpath_model::wire::{put_bytes, put_uint};

use crate::Project;

pub(crate) const NOW_US: i64 = 1_700_000_000_000_000;
pub(crate) const SHOP: Project<'static> = Project { number: 1, id: "shop" };

/// splitmix64: small, and a seed replays a failure.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// Stored events, and the same without chunks.
pub(crate) struct Both {
    pub(crate) chunked: Stored,
    pub(crate) log_only: Stored,
    _writer: ChunkWriter,
}

/// Frames of random events, of which some are in chunks and the rest in the log.
pub(crate) fn stored(rng: &mut Rng) -> Both {
    let log = Arc::new(MemoryLog::default());
    let chunks = Arc::new(Chunks::open(Arc::new(SimDisk::new(1)), 1).unwrap());
    let none = Arc::new(Chunks::open(Arc::new(SimDisk::new(2)), 1).unwrap());
    let shared = || Arc::clone(&log) as Arc<dyn Log>;
    let clock = Arc::new(ManualClock::at(NOW_US));
    let options = WriterOptions { age_us: i64::MAX, ..WriterOptions::default() };
    let writer = ChunkWriter::start(shared(), Arc::clone(&chunks), clock, options).unwrap();
    for _ in 0..rng.below(5) {
        fill(&log, rng);
        writer.flush().unwrap();
    }
    fill(&log, rng);
    Both { chunked: Stored::new(shared(), chunks), log_only: Stored::new(shared(), none), _writer: writer }
}

fn fill(log: &MemoryLog, rng: &mut Rng) {
    for _ in 0..8 {
        let batch = log.durable_end();
        let events: Vec<_> = (0..rng.below(5)).map(|i| event(rng, batch, i as u32 * 2)).collect();
        let head = FrameHead {
            kind: FrameKind::Events,
            historical: false,
            project: 1 + rng.below(5) as u32 / 4,
            received_us: NOW_US,
            producer: Producer::default(),
        };
        let frame = build_frame(&head, b"", &[], events.len() as u32, events.iter().map(Vec::as_slice));
        let entry = Entry { append_time_us: NOW_US + batch as i64, payload: frame.into() };
        log.append_group(&[entry]).unwrap();
    }
}

fn event(rng: &mut Rng, batch: u64, index: u32) -> Vec<u8> {
    let name = ["open", "open", "pay", "pay", "$identify"][rng.below(5) as usize];
    let anonymous_id = format!("a{}", rng.below(6));
    let user = name == "$identify" || rng.below(3) == 0;
    let user_id = if user { format!("u{}", rng.below(3)) } else { String::new() };
    let actor = actor_key(SHOP.id, if user { user_id.as_bytes() } else { anonymous_id.as_bytes() });
    let time_us = NOW_US + rng.below(40) as i64 * 3_600_000_000;
    let head = EventHead {
        lane: lane(actor),
        class: 0,
        time_rule: TimeRule::AsSent,
        actor_key: actor,
        id: EventId::derived(&batch.to_le_bytes(), index),
        time_us,
        raw_time_us: time_us,
        number: 0,
        index,
    };
    let properties = amount(rng.below(10));
    let spans = EventSpans {
        name: name.as_bytes(),
        anonymous_id: anonymous_id.as_bytes(),
        user_id: user_id.as_bytes(),
        properties: &properties,
        ..EventSpans::default()
    };
    let mut out = Vec::new();
    put_event(&mut out, &head, &spans);
    out
}

/// The property `amount`, a whole number, as in a record.
fn amount(number: u64) -> Vec<u8> {
    let (mut value, mut entry, mut out) = (Vec::new(), Vec::new(), Vec::new());
    put_uint(&mut value, 2, number);
    put_bytes(&mut entry, 1, b"amount");
    put_bytes(&mut entry, 2, &value);
    put_bytes(&mut out, footpath_model::props::PROPERTY_FIELD, &entry);
    out
}
