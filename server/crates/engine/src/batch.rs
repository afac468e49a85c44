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

/// Persons who reached each step, from the depth each person reached.
pub fn funnel_counts(steps: usize, depths: impl IntoIterator<Item = usize>) -> Vec<u64> {
    let mut counts = FunnelCounts::new(steps);
    depths.into_iter().for_each(|depth| counts.shift(0, depth));
    counts.reached
}

/// Persons who reached each step, kept up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunnelCounts {
    reached: Vec<u64>,
}

impl FunnelCounts {
    /// Nobody yet.
    pub fn new(steps: usize) -> Self {
        Self { reached: vec![0; steps] }
    }

    /// Persons who reached each step; the first is everybody who entered.
    pub fn reached(&self) -> &[u64] {
        &self.reached
    }

    /// A person's depth changed. A new person comes from 0, one who left goes to 0. Depths beyond the last step
    /// count as the last.
    pub fn shift(&mut self, before: usize, after: usize) {
        let (before, after) = (before.min(self.reached.len()), after.min(self.reached.len()));
        if after > before {
            self.reached[before..after].iter_mut().for_each(|count| *count += 1);
        } else {
            self.reached[after..before].iter_mut().for_each(|count| *count = count.saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_cumulative() {
        assert_eq!(funnel_counts(3, [0, 1, 3, 3, 2]), [4, 3, 2]);
    }

    #[test]
    fn shifts_add_up() {
        let mut counts = FunnelCounts::new(3);
        counts.shift(0, 2);
        counts.shift(0, 3);
        counts.shift(2, 3);
        counts.shift(3, 0);
        assert_eq!(counts.reached(), [1, 1, 1]);
    }
}
