//! What the tests share: events made with the generated types, logs of them, and a reader that knows no chunks.

use std::sync::Arc;

use footpath_log::disk::Disk;
use footpath_log::{Entry, Log, MemoryLog};
use footpath_model::context::{Environment, put_environment};
use footpath_model::id::{EventId, Producer, actor_key, lane};
use footpath_model::props::properties;
use footpath_model::record::{
    EventHead, EventSpans, FrameHead, FrameKind, TimeRule, build_frame, control_frame, put_event,
};
use footpath_proto::v1 as pb;
use prost::Message;

use crate::builder::Builder;
use crate::chunks::Chunks;
use crate::schema::Promoted;
use crate::stored::{Columns, Pinned, Scan, Stored, StoredRow};
use crate::writer::{ChunkCounters, WriterOptions};

/// A moment in 2023, and how long its day is.
pub(crate) const NOW_US: i64 = 1_700_000_000_000_000;
pub(crate) const DAY_US: i64 = 86_400_000_000;

/// splitmix64: small, and a seed replays a failure.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// An event as a test says it; everything else follows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) anonymous_id: String,
    pub(crate) user_id: String,
    pub(crate) session_id: String,
    pub(crate) time_us: i64,
    pub(crate) message: pb::Event,
    pub(crate) number: u64,
}

impl Event {
    fn put(&self, out: &mut Vec<u8>, index: u32, id: EventId) {
        let actor = if self.user_id.is_empty() { &self.anonymous_id } else { &self.user_id };
        let actor_key = actor_key("shop", actor.as_bytes());
        let head = EventHead {
            lane: lane(actor_key),
            class: (self.number % 4) as u8,
            time_rule: TimeRule::from_u8((self.number % 4) as u8),
            actor_key,
            id,
            time_us: self.time_us,
            raw_time_us: self.time_us - 5,
            number: self.number,
            index,
        };
        let properties =
            pb::Event { properties: self.message.properties.clone(), ..pb::Event::default() }.encode_to_vec();
        let (person, groups) = (self.message.person.clone(), self.message.groups.clone());
        let changes = pb::Event { person, groups, ..pb::Event::default() }.encode_to_vec();
        let spans = EventSpans {
            name: self.name.as_bytes(),
            anonymous_id: self.anonymous_id.as_bytes(),
            user_id: self.user_id.as_bytes(),
            session_id: self.session_id.as_bytes(),
            properties: &properties,
            changes: &changes,
        };
        put_event(out, &head, &spans);
    }
}

/// A frame of these events, of a batch of this number.
pub(crate) fn frame(project: u32, batch: u64, events: &[Event]) -> Vec<u8> {
    let encoded: Vec<_> = events
        .iter()
        .enumerate()
        .map(|(i, event)| {
            let mut out = Vec::new();
            let index = 2 * i as u32; // Refused events leave gaps.
            event.put(&mut out, index, EventId::derived(&batch.to_le_bytes(), index));
            out
        })
        .collect();
    let some = !batch.is_multiple_of(3);
    let head = FrameHead {
        kind: FrameKind::Events,
        historical: batch.is_multiple_of(5),
        project,
        received_us: NOW_US + batch as i64,
        producer: if some {
            Producer { install: [7; 16], epoch: u64::MAX - batch }
        } else {
            Producer::default()
        },
    };
    let campaign = Some(pb::Campaign { source: "mail".into(), ..pb::Campaign::default() });
    let context =
        pb::Context { app: "shop".into(), os: format!("os {batch}"), campaign, ..pb::Context::default() };
    let mut context = if some { context.encode_to_vec() } else { Vec::new() };
    let environments = [Environment::Prod, Environment::Staging, Environment::Dev];
    put_environment(&mut context, environments[batch as usize / 2 % 3]);
    build_frame(&head, &context, &[], encoded.len() as u32, encoded.iter().map(Vec::as_slice))
}

/// A few events of few actors, names and days, so that everything collides.
pub(crate) fn events(rng: &mut Rng) -> Vec<Event> {
    (0..rng.below(6)).map(|_| event(rng)).collect()
}

fn event(rng: &mut Rng) -> Event {
    let name = ["open", "buy", "$identify"][rng.below(3) as usize];
    let value = pb::Value { kind: Some(pb::value::Kind::IntValue(rng.next() as i64)) };
    let message = pb::Event { properties: [("n".to_owned(), value)].into(), ..pb::Event::default() };
    Event {
        name: name.into(),
        anonymous_id: format!("a{}", rng.below(8)),
        user_id: if rng.below(3) == 0 { format!("u{}", rng.below(4)) } else { String::new() },
        session_id: String::new(),
        time_us: NOW_US + rng.below(3) as i64 * DAY_US + rng.below(20) as i64,
        message,
        number: rng.below(9),
    }
}

/// Appends a frame and returns its position.
pub(crate) fn append(log: &MemoryLog, frame: Vec<u8>) -> u64 {
    let append_time_us = NOW_US + log.durable_end() as i64;
    log.append_group(&[Entry { append_time_us, payload: frame.into() }]).unwrap()
}

/// Appends a few frames of two projects, and control frames between them.
pub(crate) fn fill(log: &MemoryLog, rng: &mut Rng, frames: u64) {
    for _ in 0..frames {
        let bytes = match rng.below(6) {
            0 => control_frame(1, NOW_US, b"{}"),
            other => frame((other % 2) as u32 + 1, log.durable_end(), &events(rng)),
        };
        append(log, bytes);
    }
}

/// A builder that closes a range only when it is told to.
pub(crate) fn builder(log: &Arc<MemoryLog>, chunks: &Arc<Chunks>, promoted: &[Promoted]) -> Builder {
    let options = WriterOptions { age_us: i64::MAX, promoted: promoted.to_vec(), ..WriterOptions::default() };
    let log = Arc::clone(log) as Arc<dyn Log>;
    Builder::new(log, Arc::clone(chunks), options, Arc::new(ChunkCounters::default())).unwrap()
}

/// Everything in the log goes into chunks.
pub(crate) fn flush(builder: &mut Builder, log: &MemoryLog) {
    while builder.covered() < log.durable_end() {
        builder.step(NOW_US, log.durable_end()).unwrap();
    }
}

/// Chunks in a simulated folder.
pub(crate) fn chunks(disk: impl Disk) -> Arc<Chunks> {
    Arc::new(Chunks::open(Arc::new(disk), 1).unwrap())
}

/// A row in a form that can be kept and compared; properties by key, because they are a map.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) place: (u64, u32),
    pub(crate) time_us: i64,
    pub(crate) actor: u64,
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Row {
    pub(crate) fn of(row: &StoredRow<'_>) -> Self {
        let mut found: Vec<_> = properties(row.properties).map(|entry| format!("{entry:?}")).collect();
        found.sort();
        let rest = StoredRow { properties: &[], ..*row };
        Self {
            place: (row.offset, row.index),
            time_us: row.head.time_us,
            actor: row.head.actor_key,
            name: row.name.to_owned(),
            text: format!("{rest:?} {found:?}"),
        }
    }
}

/// All that a scan gives, in full, by position.
pub(crate) fn rows(pinned: &Pinned, scan: &Scan<'_>) -> Vec<Row> {
    let mut found = Vec::new();
    let scan = Scan { columns: Columns::ALL, ..*scan };
    let stats = pinned.scan(&scan, &mut |row| {
        found.push(Row::of(row));
        std::ops::ControlFlow::Continue(())
    });
    assert_eq!(stats.unwrap().rows, found.len() as u64);
    found.sort_by_key(|row| row.place);
    found
}

/// The log alone, as if there were no chunks.
pub(crate) fn log_only(log: &Arc<MemoryLog>) -> Stored {
    Stored::new(Arc::clone(log) as Arc<dyn Log>, chunks(footpath_log::SimDisk::new(0)))
}
