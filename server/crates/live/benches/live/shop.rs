//! A shop's funnels, and its events as frames of the log.

use footpath_live::bare::{Bare, ReadEvent};
use footpath_model::control::CountedFunnel;
use footpath_model::definition::{FunnelDefinition, Step};
use footpath_model::id::{EventId, Producer, actor_key};
use footpath_model::range::{Range, RollingUnit};
use footpath_model::record::{
    EventHead, EventSpans, FrameHead, FrameKind, FrameView, TimeRule, build_frame, put_event,
};
use footpath_model::wire::put_bytes;

use crate::traffic::{Act, Crowd, START_US, Traffic};

const PROJECT: &str = "shop";
/// Events in a frame: a batch as backends send it, of as many persons.
const BATCH: usize = 500;
/// Events of everybody in a funnel before anything is measured: tails that are full, and a base.
const WARM_UP: usize = 12;

/// Who acts.
pub struct Shop {
    traffic: Traffic,
    kinds: usize,
    actors: Vec<u64>,
}

impl Shop {
    /// A crowd whose events are of so many kinds, each as often; and funnels that have followed it for a while.
    pub fn open(crowd: Crowd, kinds: usize, funnels: &[CountedFunnel]) -> (Self, Bare) {
        let mut bare = Bare::new(PROJECT, funnels, START_US).expect("the funnels are sound");
        let key = |person: usize| actor_key(PROJECT, anonymous(person).as_bytes());
        let actors: Vec<_> = (0..crowd.persons).map(key).collect();
        let mut traffic = Traffic::new(crowd);
        for funnel in 0..funnels.len() {
            traffic.warm_up(WARM_UP, |acts| bare.events(funnel, &read(&actors, acts)));
        }
        (Self { traffic, kinds, actors }, bare)
    }

    /// The next block, as its person and name are read out of frames: each event is one of a funnel's three steps.
    pub fn events(&mut self) -> Vec<ReadEvent> {
        read(&self.actors, &self.traffic.block())
    }

    /// The next block as frames.
    pub fn frames(&mut self) -> Vec<Vec<u8>> {
        let acts = self.traffic.block();
        acts.chunks(BATCH).map(|batch| self.frame(batch)).collect()
    }

    fn frame(&self, acts: &[Act]) -> Vec<u8> {
        let mut events = Vec::with_capacity(300 * acts.len());
        acts.iter().for_each(|act| self.put(&mut events, act));
        let received_us = acts.last().map_or(START_US, |act| act.time_us);
        let producer = Producer { install: [7; 16], epoch: 1 };
        let head =
            FrameHead { kind: FrameKind::Events, historical: false, project: 1, received_us, producer };
        build_frame(&head, &[], &[], acts.len() as u32, std::iter::once(&events[..]))
    }

    /// An event of about 260 bytes.
    fn put(&self, out: &mut Vec<u8>, act: &Act) {
        let actor_key = self.actors[act.person as usize];
        let head = EventHead {
            lane: actor_key as u8,
            class: 2,
            time_rule: TimeRule::AsSent,
            actor_key,
            id: EventId(id(act).to_be_bytes()),
            time_us: act.time_us,
            raw_time_us: act.time_us,
            number: 1,
            index: 0,
        };
        let kind = (act.random >> 32) as usize % self.kinds;
        let mut properties = Vec::with_capacity(128);
        for (key, value) in [("page", "/products/garden/chairs"), ("referrer", "search"), ("currency", "EUR")]
        {
            put_property(&mut properties, key, value);
        }
        let (name, anonymous) = (name(kind), anonymous(act.person as usize));
        let spans = EventSpans {
            name: name.as_bytes(),
            anonymous_id: anonymous.as_bytes(),
            session_id: b"s-000000000001",
            properties: &properties,
            ..EventSpans::default()
        };
        put_event(out, &head, &spans);
    }
}

/// Takes frames as the worker does.
pub fn take(bare: &mut Bare, frames: &[Vec<u8>]) {
    frames.iter().for_each(|frame| bare.frame(&FrameView::new(frame).expect("the bench wrote it")));
}

/// A funnel of three steps over the last 30 days; each step is any of some kinds of events.
pub fn funnel(id: &str, steps: [&[usize]; 3]) -> CountedFunnel {
    let step =
        |kinds: &[usize]| Step { events: kinds.iter().map(|kind| name(*kind)).collect(), ..Step::default() };
    let definition = FunnelDefinition {
        id: id.to_owned(),
        steps: steps.map(step).to_vec(),
        window_us: 3_600_000_000,
        ..FunnelDefinition::default()
    };
    let range = Range::Last { n: 30, unit: RollingUnit::Days };
    CountedFunnel::new(definition, range, String::new())
}

fn read(actors: &[u64], acts: &[Act]) -> Vec<ReadEvent> {
    let one = |act: &Act| ReadEvent {
        person: actors[act.person as usize],
        name: (act.random >> 60) as usize % 3,
        order: (act.time_us, id(act)),
    };
    acts.iter().map(one).collect()
}

fn name(kind: usize) -> String {
    format!("product_viewed_{kind:03}")
}

fn anonymous(person: usize) -> String {
    format!("anon-{person:016x}")
}

fn id(act: &Act) -> u128 {
    (act.time_us as u128) << 64 | u128::from(act.random)
}

fn put_property(out: &mut Vec<u8>, key: &str, text: &str) {
    let (mut value, mut entry) = (Vec::new(), Vec::new());
    put_bytes(&mut value, 1, text.as_bytes());
    put_bytes(&mut entry, 1, key.as_bytes());
    put_bytes(&mut entry, 2, &value);
    put_bytes(out, 11, &entry);
}
