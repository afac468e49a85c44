//! Events with equal timestamps: every order counts, and each event serves once.
//!
//! Which steps a group can serve together is a question of bipartite matching between steps and events,
//! answered by augmenting paths (Kuhn). Groups stay small: an event that does not make the largest matching
//! larger can be left out for good. For if some steps are matched using left-out events, and the kept ones are all
//! matched somehow, there is a matching that covers both those steps and the kept events (Mendelsohn and
//! Dulmage); as none is larger than the number of kept events, it uses these alone. So a group keeps at most
//! as many events as the funnel has steps, however many arrive.

use crate::funnel::MAX_STEPS;

pub(crate) const FREE: u8 = u8::MAX;

/// The masks of the kept events of a group.
#[derive(Debug, Clone, Default)]
pub(crate) struct Masks {
    masks: [u32; MAX_STEPS],
    len: usize,
}

impl Masks {
    /// Adds an event if it makes the largest matching larger; else says `false` and the event can be forgotten.
    pub(crate) fn offer(&mut self, mask: u32) -> bool {
        if mask == 0 || self.len == MAX_STEPS || (self.len > 0 && !self.grows_with(mask)) {
            return false;
        }
        self.masks[self.len] = mask;
        self.len += 1;
        true
    }

    pub(crate) fn as_slice(&self) -> &[u32] {
        &self.masks[..self.len]
    }

    fn grows_with(&self, mask: u32) -> bool {
        let mut all = [0; MAX_STEPS + 1];
        all[..self.len].copy_from_slice(self.as_slice());
        all[self.len] = mask;
        let mut event_of_step = [FREE; MAX_STEPS + 1];
        // Kept events always find a step, so only the last answer can be no.
        (0..=self.len).all(|event| give_step(&all, event, &mut event_of_step, &mut 0))
    }
}

/// Finds `event` a step, moving other events to other steps where that makes room.
pub(crate) fn give_step(masks: &[u32], event: usize, event_of_step: &mut [u8], visited: &mut u32) -> bool {
    loop {
        let open = masks[event] & !*visited;
        if open == 0 {
            return false;
        }
        let step = open.trailing_zeros() as usize;
        *visited |= 1 << step;
        let holder = event_of_step[step];
        if holder == FREE || give_step(masks, usize::from(holder), event_of_step, visited) {
            event_of_step[step] = event as u8;
            return true;
        }
    }
}

/// For each step `end`, counted from 0, the smallest `start` such that steps `start..=end` can be matched to
/// distinct events; `end + 1` if not even `end` alone can.
///
/// If `start..=end` can be matched, so can `start..=end-1`: the starts never go back, and one pass that adds steps at
/// the end and releases them at the beginning finds all.
pub(crate) fn shallowest_starts(masks: &[u32], steps: usize) -> [u8; MAX_STEPS] {
    let mut step_of_event = [FREE; MAX_STEPS];
    let mut starts = [0; MAX_STEPS];
    let mut start = 0;
    for (end, found) in starts.iter_mut().enumerate().take(steps) {
        while start <= end && !give_event(masks, end, &mut step_of_event, &mut 0) {
            if let Some(freed) = step_of_event.iter_mut().find(|step| usize::from(**step) == start) {
                *freed = FREE;
            }
            start += 1;
        }
        *found = start as u8;
    }
    starts
}

/// Finds `step` an event, moving other steps to other events where that makes room.
pub(crate) fn give_event(masks: &[u32], step: usize, step_of_event: &mut [u8], visited: &mut u32) -> bool {
    for (event, mask) in masks.iter().enumerate() {
        if mask & (1 << step) == 0 || *visited & (1 << event) != 0 {
            continue;
        }
        *visited |= 1 << event;
        let holder = step_of_event[event];
        if holder == FREE || give_event(masks, usize::from(holder), step_of_event, visited) {
            step_of_event[event] = step as u8;
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(masks: &[u32]) -> Masks {
        let mut group = Masks::default();
        for mask in masks {
            group.offer(*mask);
        }
        group
    }

    #[test]
    fn one_event_serves_one_step() {
        assert_eq!(shallowest_starts(group(&[0b11]).as_slice(), 2)[..2], [0, 1]);
        assert_eq!(shallowest_starts(group(&[0b11, 0b11]).as_slice(), 2)[..2], [0, 0]);
    }

    #[test]
    fn an_event_makes_room_for_another() {
        // The first event takes step 0 and has to move to step 1 for the second one.
        assert_eq!(shallowest_starts(group(&[0b11, 0b01]).as_slice(), 2)[..2], [0, 0]);
        assert_eq!(shallowest_starts(group(&[0b110, 0b011, 0b001]).as_slice(), 3)[..3], [0, 0, 0]);
    }

    #[test]
    fn a_step_without_events_cuts() {
        assert_eq!(shallowest_starts(group(&[0b101, 0b101]).as_slice(), 3)[..3], [0, 2, 2]);
        assert_eq!(shallowest_starts(group(&[0b001]).as_slice(), 3)[..3], [0, 2, 3]);
    }

    #[test]
    fn a_group_keeps_no_more_events_than_steps() {
        let kept = group(&[0b11; 1000]);
        assert_eq!(kept.as_slice().len(), 2);
    }
}
