//! Folding stored events: queries, back-fills and refolds.

use crate::funnel::{FunnelState, MAX_STEPS, NO_ENTRY, Rules, SlimEvent, clamp_time};
use crate::packed::tag;
use crate::ties::{FREE, Masks, give_event};

/// Puts events of one timestamp together. Nearly every event has one of its own: that costs a comparison.
#[derive(Debug, Clone)]
struct Groups {
    rules: Rules,
    time_us: i64,
    /// The first usable event of the timestamp; its mask is 0 where there is none yet.
    first: SlimEvent,
    /// All that are kept, once there is a second one.
    group: Masks,
    /// Their tags, to know a second copy.
    tags: [u64; MAX_STEPS],
}

impl Groups {
    fn new(rules: &Rules) -> Self {
        let first = SlimEvent { time_us: 0, id: 0, mask: 0 };
        Self { rules: *rules, time_us: 0, first, group: Masks::default(), tags: [0; MAX_STEPS] }
    }

    /// Takes the next event; what the events of a timestamp match goes to `close` when it is complete.
    #[inline]
    fn push(&mut self, event: SlimEvent, close: &mut impl FnMut(&Rules, i64, &[u32])) {
        let time_us = clamp_time(event.time_us);
        let mask = self.rules.usable_steps(time_us, event.mask);
        if mask == 0 {
            return;
        }
        debug_assert!(time_us >= self.time_us, "events of a person are folded in the order of time");
        let event = SlimEvent { mask, ..event };
        if time_us == self.time_us && self.first.mask != 0 {
            return self.join(&event);
        }
        self.finish(close);
        (self.time_us, self.first) = (time_us, event);
    }

    /// Takes one more event of the timestamp.
    #[cold]
    fn join(&mut self, event: &SlimEvent) {
        if self.group.as_slice().is_empty() {
            let first = self.first;
            self.keep(&first);
        }
        self.keep(event);
    }

    fn keep(&mut self, event: &SlimEvent) {
        let tag = tag(event);
        let kept = self.group.as_slice().len();
        if !self.tags[..kept].contains(&tag) && self.group.offer(event.mask) {
            self.tags[kept] = tag;
        }
    }

    #[inline]
    fn finish(&mut self, close: &mut impl FnMut(&Rules, i64, &[u32])) {
        match (self.group.as_slice(), self.first.mask) {
            ([], 0) => {}
            ([], only) => close(&self.rules, self.time_us, &[only]),
            (several, _) => {
                close(&self.rules, self.time_us, several);
                self.group.clear();
            }
        }
    }
}

/// Folds one person's events as they are read, in the order of time.
#[derive(Debug, Clone)]
pub struct Folder {
    groups: Groups,
    state: FunnelState,
}

impl Folder {
    /// Before the first event.
    pub fn new(rules: &Rules) -> Self {
        Self { groups: Groups::new(rules), state: FunnelState::new(rules) }
    }

    /// Takes the next event. Times must not decrease (equal times may come in any order); a second copy of an
    /// event changes nothing.
    #[inline]
    pub fn push(&mut self, event: SlimEvent) {
        let Self { groups, state } = self;
        groups.push(event, &mut |rules, time_us, group| state.levels().advance_group(rules, time_us, group));
    }

    /// The state after the last event.
    pub fn finish(mut self) -> FunnelState {
        let Self { groups, state } = &mut self;
        groups.finish(&mut |rules, time_us, group| state.levels().advance_group(rules, time_us, group));
        self.state
    }
}

/// Folds one person's events, sorted by time.
pub fn fold_person(rules: &Rules, sorted: impl IntoIterator<Item = SlimEvent>) -> FunnelState {
    let mut folder = Folder::new(rules);
    sorted.into_iter().for_each(|event| folder.push(event));
    folder.finish()
}

/// When a chain that entered at `entry_us` first reached each of its first `depth` steps, out of one person's events, sorted by
/// time; [`NO_ENTRY`] for the other steps. A second pass for those whose fold says how deep the latest entry came: the same
/// moments as [`crate::Attempt::reached_us`] of the general kernel.
///
/// Greedy is right: a chain that reached a step earlier can go on with whatever a later one can.
pub fn reached_us(
    rules: &Rules,
    sorted: impl IntoIterator<Item = SlimEvent>,
    entry_us: i64,
    depth: usize,
) -> [i64; MAX_STEPS] {
    let (mut times, mut reached) = ([NO_ENTRY; MAX_STEPS], 0);
    let mut groups = Groups::new(rules);
    let mut advance = |_: &Rules, time_us: i64, group: &[u32]| {
        let mut step_of_event = [FREE; MAX_STEPS];
        let starts = time_us >= entry_us;
        while starts && reached < depth && give_event(group, reached, &mut step_of_event, &mut 0) {
            times[reached] = time_us;
            reached += 1;
        }
    };
    sorted.into_iter().for_each(|event| groups.push(event, &mut advance));
    groups.finish(&mut advance);
    times
}
