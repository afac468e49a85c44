//! What the tests share: random events of few actors, in chunks and in the log, and as plain values beside them.

mod bytes;
mod naive;

use std::sync::Arc;

use footpath_engine::{ActorKey, IdentityGraph, SessionRules};
use footpath_history::{ChunkWriter, Chunks, Pinned, Stored, WriterOptions};
use footpath_log::{Entry, Log, MemoryLog, SimDisk};
use footpath_model::clock::ManualClock;
use footpath_model::id::{EventId, Producer, actor_key, lane};
use footpath_model::record::{EventHead, EventSpans, FrameHead, FrameKind, TimeRule, build_frame, put_event};

use crate::{Project, Source};

pub(crate) use bytes::{changes, context, properties};
pub(crate) use naive::{Facet, World, facets};

pub(crate) const NOW_US: i64 = 1_700_000_000_000_000;
pub(crate) const MINUTE_US: i64 = 60_000_000;
pub(crate) const HOUR_US: i64 = 60 * MINUTE_US;
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

    pub(crate) fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }

    pub(crate) fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }
}

/// An event as it was sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    pub(crate) offset: u64,
    pub(crate) index: u32,
    pub(crate) project: u32,
    pub(crate) time_us: i64,
    pub(crate) id: u128,
    pub(crate) name: String,
    pub(crate) anonymous_id: String,
    pub(crate) user_id: String,
    pub(crate) os: String,
    pub(crate) amount: Option<i64>,
    pub(crate) page: Option<String>,
    /// In euros.
    pub(crate) price: Option<i64>,
    /// Set on the person.
    pub(crate) plan: Option<String>,
    /// The group that is named, and what is set on it.
    pub(crate) company: Option<String>,
    pub(crate) seats: Option<i64>,
}

impl Told {
    pub(crate) fn actor(&self) -> &str {
        if self.user_id.is_empty() { &self.anonymous_id } else { &self.user_id }
    }

    pub(crate) fn order(&self) -> (i64, u128) {
        (self.time_us, self.id)
    }
}

/// Stored events, the same without chunks, and the same as they were sent.
pub(crate) struct Both {
    pub(crate) chunked: Stored,
    pub(crate) log_only: Stored,
    pub(crate) told: Vec<Told>,
    _writer: ChunkWriter,
}

impl Both {
    /// Everything below a position, for whoever reckons by hand.
    pub(crate) fn world(&self, upto: u64) -> World {
        let own = self.told.iter().filter(|told| told.project == SHOP.number && told.offset < upto);
        World::new(own.cloned().collect())
    }
}

/// A question asked of a moment.
pub(crate) fn source(pinned: &Pinned) -> Source<'_> {
    Source {
        pinned,
        project: SHOP,
        ledger: &[],
        sessions: SessionRules::default(),
        now_us: NOW_US + 40 * HOUR_US,
    }
}

/// The actor's key.
pub(crate) fn key(id: &str) -> ActorKey {
    ActorKey(actor_key(SHOP.id, id.as_bytes()))
}

/// Events that tell who is who, in log order.
pub(crate) fn graph_of(told: &[Told]) -> IdentityGraph {
    let mut graph = IdentityGraph::new();
    for told in told.iter().filter(|told| told.name == "$identify") {
        graph.identify(key(&told.anonymous_id), key(&told.user_id));
    }
    graph
}

/// Frames of random events, of which some are in chunks and the rest in the log.
pub(crate) fn stored(rng: &mut Rng) -> Both {
    let frames = 1 + rng.below(5);
    stored_of(rng.below(5), |_, batch| frame(rng, batch), frames * 8)
}

/// Frames of events, in so many closed ranges and the log.
pub(crate) fn stored_of(
    ranges: u64,
    mut frame: impl FnMut(&MemoryLog, u64) -> Vec<Told>,
    frames: u64,
) -> Both {
    let log = Arc::new(MemoryLog::default());
    let chunks = Arc::new(Chunks::open(Arc::new(SimDisk::new(1)), 1).unwrap());
    let none = Arc::new(Chunks::open(Arc::new(SimDisk::new(2)), 1).unwrap());
    let shared = || Arc::clone(&log) as Arc<dyn Log>;
    let clock = Arc::new(ManualClock::at(NOW_US));
    let options = WriterOptions { age_us: i64::MAX, ..WriterOptions::default() };
    let writer = ChunkWriter::start(shared(), Arc::clone(&chunks), clock, options).unwrap();
    let mut told = Vec::new();
    for range in 0..=ranges {
        for _ in 0..frames {
            let events = frame(&log, log.durable_end());
            told.extend(append(&log, events));
        }
        if range < ranges {
            writer.flush().unwrap();
        }
    }
    Both {
        chunked: Stored::new(shared(), chunks),
        log_only: Stored::new(shared(), none),
        told,
        _writer: writer,
    }
}

/// The log with one frame of these events.
pub(crate) fn stored_events(events: &[Told]) -> Both {
    stored_of(0, |_, _| events.to_vec(), 1)
}

/// Appends a frame of these events, all of one project and system; gives them as they stand in the log.
fn append(log: &MemoryLog, mut events: Vec<Told>) -> Vec<Told> {
    let offset = log.durable_end();
    let encoded: Vec<_> = events
        .iter_mut()
        .enumerate()
        .map(|(i, event)| {
            (event.offset, event.index) = (offset, 2 * i as u32); // Refused events leave gaps.
            let id = EventId::derived(&offset.to_le_bytes(), event.index);
            event.id = id.as_u128();
            encode(event, id)
        })
        .collect();
    let head = FrameHead {
        kind: FrameKind::Events,
        historical: false,
        project: events.first().map_or(SHOP.number, |event| event.project),
        received_us: NOW_US,
        producer: Producer::default(),
    };
    let context = context(events.first().map_or("", |event| &event.os));
    let frame = build_frame(&head, &context, &[], encoded.len() as u32, encoded.iter().map(Vec::as_slice));
    let entry = Entry { append_time_us: NOW_US + offset as i64, payload: frame.into() };
    log.append_group(&[entry]).unwrap();
    events
}

fn encode(event: &Told, id: EventId) -> Vec<u8> {
    let actor_key = actor_key(SHOP.id, event.actor().as_bytes());
    let head = EventHead {
        lane: lane(actor_key),
        class: 0,
        time_rule: TimeRule::AsSent,
        actor_key,
        id,
        time_us: event.time_us,
        raw_time_us: event.time_us,
        number: 0,
        index: event.index,
    };
    let (properties, changes) = (properties(event), changes(event));
    let spans = EventSpans {
        name: event.name.as_bytes(),
        anonymous_id: event.anonymous_id.as_bytes(),
        user_id: event.user_id.as_bytes(),
        session_id: b"",
        properties: &properties,
        changes: &changes,
    };
    let mut out = Vec::new();
    put_event(&mut out, &head, &spans);
    out
}

/// A frame of random events of one project.
fn frame(rng: &mut Rng, _batch: u64) -> Vec<Told> {
    let (project, os) = (1 + rng.below(5) as u32 / 4, rng.one(&["ios", "android"]).to_owned());
    let events = rng.below(5);
    (0..events).map(|_| Told { project, os: os.clone(), ..event(rng) }).collect()
}

fn event(rng: &mut Rng) -> Told {
    let name = rng.one(&["open", "open", "view", "view", "pay", "cancel", "$identify"]);
    let user = name == "$identify" || rng.chance(3);
    let some = |rng: &mut Rng, one_in: u64, of: &[&str]| rng.chance(one_in).then(|| rng.one(of).to_owned());
    Told {
        name: name.to_owned(),
        anonymous_id: format!("a{}", rng.below(6)),
        user_id: if user { format!("u{}", rng.below(3)) } else { String::new() },
        // Some at once, some within a session, some far apart.
        time_us: NOW_US + rng.below(40) as i64 * HOUR_US + rng.below(5) as i64 * 10 * MINUTE_US,
        amount: (!rng.chance(4)).then(|| rng.below(10) as i64),
        page: some(rng, 1, &["a", "b", "c", "d"]).filter(|_| !rng.chance(5)),
        price: rng.chance(2).then(|| rng.below(100) as i64),
        plan: some(rng, 6, &["free", "pro"]),
        company: some(rng, 2, &["acme", "ajax"]),
        seats: rng.chance(4).then(|| rng.below(10) as i64),
        ..Told::default()
    }
}
