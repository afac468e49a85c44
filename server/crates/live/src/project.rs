//! One project's live state: who is who, and its funnels.

use std::collections::BTreeMap;

use footpath_engine::{ActorKey, IdentityGraph, SlimEvent, link_event};
use footpath_model::record::{EventView, FrameView};

use crate::funnel::LiveFunnel;

/// One project's live state.
#[derive(Debug, Default)]
pub struct ProjectLive {
    /// The project's id, needed to hash actors.
    pub id: String,
    /// Who is who.
    pub identity: IdentityGraph,
    /// Funnels by id.
    pub funnels: BTreeMap<String, LiveFunnel>,
}

impl ProjectLive {
    /// A project without funnels.
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    /// Takes all events of a frame, in order.
    pub fn apply(&mut self, frame: &FrameView<'_>) {
        for event in frame.events() {
            if let Some((loser, winner)) = link_event(&mut self.identity, &self.id, &event) {
                for funnel in self.funnels.values_mut() {
                    funnel.merge(loser, winner);
                }
            }
            self.apply_event(&event);
        }
    }

    fn apply_event(&mut self, event: &EventView<'_>) {
        let mut person = None;
        for funnel in self.funnels.values_mut() {
            let mask = funnel.mask(event.name(), event.spans().properties);
            if mask == 0 {
                continue;
            }
            let head = event.head();
            let key = *person.get_or_insert_with(|| self.identity.canonical(ActorKey(head.actor_key)));
            funnel.apply(key, SlimEvent { time_us: head.time_us, id: head.id.as_u128(), mask });
        }
    }

    /// Moves every funnel's range to `now_us`.
    pub fn advance(&mut self, now_us: i64) {
        for funnel in self.funnels.values_mut() {
            funnel.advance(now_us);
        }
    }
}
