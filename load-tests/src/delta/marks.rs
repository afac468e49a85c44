//! Marked batches: each takes a person that nobody has seen before through the whole funnel.

use footpath_proto::v1::{Event, IngestRequest};
use prost_types::Timestamp;

use crate::patch::{next_random, put_letters, uuid_text, uuid7};
use crate::template::FUNNEL;

/// The last step; no load event has this name.
const MARK: &str = "delta_marked";

/// The funnel's steps: the load's own, then the mark.
pub fn steps() -> [&'static str; 4] {
    [FUNNEL[0], FUNNEL[1], FUNNEL[2], MARK]
}

/// Makes marks.
#[derive(Debug)]
pub struct Marks {
    run: u64,
    ids: u64,
    last_ms: u64,
}

impl Marks {
    /// `seed` has to differ from run to run, or the marks are duplicates.
    pub fn new(mut seed: u64) -> Self {
        Self { run: next_random(&mut seed), ids: 0, last_ms: 0 }
    }

    /// The next mark: one event for each step, at `now_ms`; equal times count as in order of their ids.
    pub fn batch(&mut self, now_ms: u64) -> IngestRequest {
        self.last_ms = self.last_ms.max(now_ms);
        let batch_id = self.next_id();
        let person = self.person();
        let time = Timestamp {
            seconds: (self.last_ms / 1000).cast_signed(),
            nanos: (self.last_ms % 1000) as i32 * 1_000_000,
        };
        let event = |name: &str| Event {
            id: self.next_id(),
            name: name.to_owned(),
            time: Some(time),
            anonymous_id: person.clone(),
            ..Default::default()
        };
        let events = steps().map(event).to_vec();
        IngestRequest { batch_id, events, ..Default::default() }
    }

    /// Letters only, as the load's own persons, whose names are shorter.
    fn person(&self) -> String {
        let mut letters = [0; 32];
        put_letters(&mut letters[..16], self.run);
        put_letters(&mut letters[16..], self.ids);
        format!("mark-{}", String::from_utf8_lossy(&letters))
    }

    fn next_id(&mut self) -> String {
        self.ids += 1;
        String::from_utf8_lossy(&uuid_text(&uuid7(self.last_ms, self.run, self.ids))).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_is_a_new_person_who_takes_all_steps_in_order() {
        let mut marks = Marks::new(7);
        let [first, second] = [1_790_000_000_123, 1_790_000_000_100].map(|now_ms| marks.batch(now_ms));
        let names: Vec<_> = first.events.iter().map(|event| event.name.as_str()).collect();
        assert_eq!(names, steps());
        let all: Vec<_> = first.events.iter().chain(&second.events).collect();
        let order = |event: &Event| (event.time.map(|t| (t.seconds, t.nanos)), event.id.clone());
        assert!(all.is_sorted_by(|a, b| order(a) < order(b)), "time and id only grow");
        assert!(first.events.iter().all(|event| event.anonymous_id == first.events[0].anonymous_id));
        assert_ne!(first.events[0].anonymous_id, second.events[0].anonymous_id);
        assert_ne!(Marks::new(8).batch(1_790_000_000_123).events[0].id, first.events[0].id);
    }
}
