//! One connection's supply of batches: an install of its own, fresh ids, numbers without gaps.

use std::collections::VecDeque;
use std::sync::Arc;

use footpath_proto::v1::Producer;
use xxhash_rust::xxh3::xxh3_64;

use crate::patch::{NUMBER_LIMIT, UUID_TEXT_BYTES, actor, next_random, uuid_text, uuid7};
use crate::template::{Fresh, Template};

/// What every batch looks like.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Events in a batch.
    pub events: usize,
    /// About how many bytes an event takes.
    pub event_bytes: usize,
    /// Templates per connection.
    pub templates: usize,
}

/// The lane of an actor: fixed for ever, the same in every deployment.
pub fn lane(project: &str, actor: &[u8]) -> u8 {
    let key = [project.as_bytes(), &[0], actor].concat();
    (xxh3_64(&key) % 256) as u8
}

/// The lanes of persons 0 to `persons` - 1.
pub fn lanes(project: &str, persons: usize) -> Arc<[u8]> {
    (0..persons as u64).map(|person| lane(project, &actor(person))).collect()
}

/// Makes batches of one install.
#[derive(Debug)]
pub struct Source {
    templates: VecDeque<Template>,
    lanes: Arc<[u8]>,
    numbers: Box<[u64; 256]>,
    origin: u64,
    counter: u64,
    last_ms: u64,
    random: u64,
}

impl Source {
    /// A source for connection `index` (below 256); `seed` has to differ from run to run, or the server rightly
    /// takes the events for duplicates. `lanes` holds at least one person.
    pub fn new(shape: Shape, lanes: Arc<[u8]>, index: u64, seed: u64) -> Self {
        let mut random = seed.wrapping_add(index.wrapping_mul(0x5851_f42d_4c95_7f2d));
        let install =
            uuid7(next_random(&mut random) >> 16, next_random(&mut random), next_random(&mut random));
        let producer = Producer {
            install_id: String::from_utf8_lossy(&uuid_text(&install)).into_owned(),
            epoch: next_random(&mut random),
        };
        let mut seed = seed;
        let origin = ((next_random(&mut seed) & 0x3ff_ffff) << 8) | (index & 0xff);
        let templates = (0..shape.templates)
            .map(|_| Template::new(&producer, shape.events, shape.event_bytes, &mut random))
            .collect();
        Self { templates, lanes, numbers: Box::new([0; 256]), origin, counter: 0, last_ms: 0, random }
    }

    /// Bytes of all templates together.
    pub fn bytes(&self) -> usize {
        self.templates.iter().map(|template| template.bytes.len()).sum()
    }

    /// The next batch, made fresh, and its id; `None` while every template is under way or when a stream has
    /// used up its numbers.
    pub fn take(&mut self, now_ms: u64) -> Option<(Template, [u8; UUID_TEXT_BYTES])> {
        let mut template = self.templates.pop_front()?;
        self.last_ms = self.last_ms.max(now_ms);
        let count = template.len();
        if self.numbers.iter().any(|number| number + count as u64 >= NUMBER_LIMIT) {
            return None;
        }
        let batch_id = uuid_text(&self.next_id());
        template.patch_batch(&batch_id, self.last_ms);
        for index in 0..count {
            let fresh = self.next_event();
            template.patch_event(index, &fresh);
        }
        Some((template, batch_id))
    }

    /// Puts a template back in line once its batch is answered.
    pub fn give_back(&mut self, template: Template) {
        self.templates.push_back(template);
    }

    fn next_id(&mut self) -> [u8; 16] {
        self.counter += 1;
        uuid7(self.last_ms, self.origin, self.counter)
    }

    fn next_event(&mut self) -> Fresh {
        let person = next_random(&mut self.random) % self.lanes.len() as u64;
        let lane = self.lanes[person as usize];
        let number = &mut self.numbers[usize::from(lane)];
        *number += 1;
        let number = *number;
        let id = self.next_id();
        Fresh { id, time_ms: self.last_ms, actor: actor(person), session: person, lane, number }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use footpath_proto::v1::IngestRequest;
    use prost::Message as _;

    use super::*;
    use crate::patch::wire_time;
    use crate::template::FUNNEL;

    const NOW: u64 = 1_790_000_000_123;
    const SHAPE: Shape = Shape { events: 500, event_bytes: 260, templates: 3 };

    #[test]
    fn patched_batches_decode_to_fresh_values() {
        let mut source = Source::new(SHAPE, lanes("demo", 1000), 3, 42);
        let mut ids = HashSet::new();
        let mut numbers: HashMap<u32, u64> = HashMap::new();
        let mut names = HashSet::new();
        // 300 batches push the numbers of a lane over one and two bytes of varint.
        for round in 0..300u64 {
            let (template, batch_id) = source.take(NOW + round).unwrap();
            let batch = IngestRequest::decode(&template.bytes[..]).unwrap();
            assert_eq!(batch.batch_id.as_bytes(), batch_id);
            assert!(ids.insert(batch.batch_id.clone().into_bytes()));
            assert_eq!(batch.events.len(), 500);
            assert_eq!(batch.encoded_len(), template.bytes.len(), "every varint is minimal");
            let (seconds, nanos) = wire_time(NOW + round);
            assert_eq!(batch.sent_at.map(|t| (t.seconds, t.nanos)), Some((seconds as i64, nanos as i32)));
            for event in batch.events {
                assert!(ids.insert(event.raw_id));
                assert_eq!(event.time, batch.sent_at);
                let expected = lane("demo", event.anonymous_id.as_bytes());
                assert_eq!(event.lane, Some(u32::from(expected)));
                let last = numbers.entry(u32::from(expected)).or_default();
                assert_eq!(event.number, *last + 1, "numbers have no gaps");
                *last = event.number;
                assert_eq!(event.properties.len(), 6);
                names.insert(event.name);
            }
            source.give_back(template);
        }
        assert_eq!(names.len(), 20);
        assert!(FUNNEL.iter().all(|step| names.contains(*step)));
    }

    #[test]
    fn an_event_has_about_the_size_asked_for() {
        let source = Source::new(SHAPE, lanes("demo", 10), 0, 1);
        let per_event = source.bytes() / (SHAPE.events * SHAPE.templates);
        assert!((255..=268).contains(&per_event), "{per_event} bytes");
    }

    #[test]
    fn connections_and_runs_do_not_share_installs_or_ids() {
        let mut seen = HashSet::new();
        for seed in 0..4 {
            for index in 0..8 {
                let mut source = Source::new(Shape { events: 1, ..SHAPE }, lanes("demo", 10), index, seed);
                let (template, _) = source.take(NOW).unwrap();
                let batch = IngestRequest::decode(&template.bytes[..]).unwrap();
                assert!(seen.insert(batch.producer.unwrap().install_id.into_bytes()));
                assert!(seen.insert(batch.events[0].raw_id.clone()));
            }
        }
    }

    #[test]
    fn a_source_without_templates_left_says_so() {
        let mut source =
            Source::new(Shape { events: 1, event_bytes: 260, templates: 1 }, lanes("demo", 1), 0, 1);
        let (template, _) = source.take(NOW).unwrap();
        assert!(source.take(NOW).is_none());
        source.give_back(template);
        assert!(source.take(NOW).is_some());
    }

    #[test]
    fn lanes_follow_the_published_rule() {
        assert_eq!(u64::from(lane("demo", b"ann")), xxh3_64(b"demo\0ann") % 256);
    }
}
