//! Folding stored events: queries, back-fills and refolds.

use crate::funnel::{FunnelState, MAX_STEPS, NO_ENTRY, Rules, SlimEvent, clamp_time};
use crate::packed::tag;
use crate::ties::{FREE, Masks, give_event};

/// Puts events of one timestamp together.
#[derive(Debug, Clone)]
struct Groups {
    rules: Rules,
    time_us: i64,
    group: Masks,
    /// Tags of the group's kept events, to know a second copy.
    tags: [u64; MAX_STEPS],
}

impl Groups {
    fn new(rules: &Rules) -> Self {
        Self { rules: *rules, time_us: 0, group: Masks::default(), tags: [0; MAX_STEPS] }
    }

    /// Takes the next event; a group that is complete by it goes to `close`.
    #[inline]
    fn push(&mut self, event: SlimEvent, close: &mut impl FnMut(&Rules, i64, &Masks)) {
        let time_us = clamp_time(event.time_us);
        let mask = self.rules.usable_steps(time_us, event.mask);
        if mask == 0 {
            return;
        }
        debug_assert!(time_us >= self.time_us, "events of a person are folded in the order of time");
        if time_us != self.time_us {
            self.finish(close);
            self.time_us = time_us;
        }
        let tag = tag(&event);
        let kept = self.group.as_slice().len();
        if !self.tags[..kept].contains(&tag) && self.group.offer(mask) {
            self.tags[kept] = tag;
        }
    }

    #[inline]
    fn finish(&mut self, close: &mut impl FnMut(&Rules, i64, &Masks)) {
        if !self.group.as_slice().is_empty() {
            close(&self.rules, self.time_us, &self.group);
            self.group.clear();
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
    let mut advance = |_: &Rules, time_us: i64, group: &Masks| {
        let mut step_of_event = [FREE; MAX_STEPS];
        let starts = time_us >= entry_us;
        while starts && reached < depth && give_event(group.as_slice(), reached, &mut step_of_event, &mut 0) {
            times[reached] = time_us;
            reached += 1;
        }
    };
    sorted.into_iter().for_each(|event| groups.push(event, &mut advance));
    groups.finish(&mut advance);
    times
}
