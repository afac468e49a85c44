//! Folding stored events: queries, back-fills and refolds.

use crate::funnel::{FunnelState, Rules, SlimEvent, clamp_time};
use crate::packed::tag;
use crate::ties::Masks;

/// Folds one person's events as they are read, in the order of time.
#[derive(Debug, Clone)]
pub struct Folder {
    rules: Rules,
    state: FunnelState,
    time_us: i64,
    group: Masks,
    /// Tags of the group's kept events, to know a second copy.
    tags: [u64; crate::funnel::MAX_STEPS],
}

impl Folder {
    /// Before the first event.
    pub fn new(rules: &Rules) -> Self {
        Self {
            rules: *rules,
            state: FunnelState::new(rules),
            time_us: 0,
            group: Masks::default(),
            tags: [0; crate::funnel::MAX_STEPS],
        }
    }

    /// Takes the next event. Times must not decrease (equal times may come in any order); a second copy of an
    /// event changes nothing.
    #[inline]
    pub fn push(&mut self, event: SlimEvent) {
        let time_us = clamp_time(event.time_us);
        let mask = self.rules.usable_steps(time_us, event.mask);
        if mask == 0 {
            return;
        }
        debug_assert!(time_us >= self.time_us, "events of a person are folded in the order of time");
        if time_us != self.time_us {
            self.close_group();
            self.time_us = time_us;
        }
        let tag = tag(&event);
        let kept = self.group.as_slice().len();
        if !self.tags[..kept].contains(&tag) && self.group.offer(mask) {
            self.tags[kept] = tag;
        }
    }

    /// The state after the last event.
    pub fn finish(mut self) -> FunnelState {
        self.close_group();
        self.state
    }

    #[inline]
    fn close_group(&mut self) {
        if !self.group.as_slice().is_empty() {
            self.state.levels().advance_group(&self.rules, self.time_us, &self.group);
            self.group.clear();
        }
    }
}

/// Folds one person's events, sorted by time.
pub fn fold_person(rules: &Rules, sorted: impl IntoIterator<Item = SlimEvent>) -> FunnelState {
    let mut folder = Folder::new(rules);
    sorted.into_iter().for_each(|event| folder.push(event));
    folder.finish()
}
