//! Which steps the events of one moment can serve together, each event one step.
//!
//! The same bipartite matching as in [`crate::ties`], for any set of steps. Events are given in their total order; the kept ones
//! are those that make the largest matching larger. By Hall's theorem a left-out event can always be replaced: the kept events
//! before it fill its steps completely, and can take over those steps from whoever has them.

use crate::funnel::MAX_STEPS;
use crate::ties::{FREE, give_event, give_step};

/// Whether all events find a step of their own.
pub(super) fn is_independent(masks: &[u32]) -> bool {
    let mut event_of_step = [FREE; u32::BITS as usize];
    masks.len() <= MAX_STEPS
        && (0..masks.len()).all(|event| give_step(masks, event, &mut event_of_step, &mut 0))
}

/// The steps whose events an event could do the work of, if all of `masks` find steps of their own and one more event does
/// not: the one at `newcomer` with the others. As bits of events.
pub(super) fn circuit(masks: &[u32], newcomer: usize) -> u32 {
    let mut event_of_step = [FREE; u32::BITS as usize];
    let mut visited = 0;
    for event in (0..masks.len()).filter(|event| *event != newcomer) {
        give_step(masks, event, &mut event_of_step, &mut 0);
    }
    if give_step(masks, newcomer, &mut event_of_step, &mut visited) {
        return 0;
    }
    let holders = event_of_step.iter().enumerate().filter(|(step, _)| visited & (1 << step) != 0);
    holders.fold(1 << newcomer, |bits, (_, event)| bits | 1 << event)
}

/// Serves all of `needed` and as many of `extra` as can be, later steps first; `None` if `needed` cannot be served.
pub(super) fn serve(masks: &[u32], needed: u32, extra: u32) -> Option<u32> {
    let mut step_of_event = [FREE; MAX_STEPS];
    let mut give = |step: usize| give_event(masks, step, &mut step_of_event, &mut 0);
    if needed.count_ones() as usize > masks.len() || !bits(needed).all(&mut give) {
        return None;
    }
    let mut wished: Vec<usize> = bits(extra).collect();
    wished.reverse();
    let served = wished.into_iter().filter(|step| give(*step));
    Some(served.fold(needed, |steps, step| steps | 1 << step))
}

/// Whether this event can serve `step` while others serve `before`.
pub(super) fn can_serve(masks: &[u32], event: usize, step: usize, before: u32) -> bool {
    if masks[event] & (1 << step) == 0 || before == 0 {
        return before == 0 && masks[event] & (1 << step) != 0;
    }
    let mut others = Vec::new();
    for (_, mask) in masks.iter().enumerate().filter(|(other, _)| *other != event) {
        others.push(*mask);
        if !is_independent(&others) {
            others.pop();
        }
    }
    serve(&others, before, 0).is_some()
}

/// The steps in a mask, from the first.
pub(super) fn bits(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (mask != 0).then(|| mask.trailing_zeros() as usize);
        mask &= mask.wrapping_sub(1);
        bit
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every way to give each event of `masks` at most one step.
    fn all_served(masks: &[u32]) -> Vec<Vec<Option<usize>>> {
        let Some((mask, rest)) = masks.split_first() else { return vec![vec![]] };
        let rest = all_served(rest);
        let mut all = Vec::new();
        for others in rest {
            let free = |step: &usize| !others.contains(&Some(*step));
            let own = bits(*mask).filter(free).map(Some).chain([None]);
            all.extend(own.map(|step| [vec![step], others.clone()].concat()));
        }
        all
    }

    fn steps(served: &[Option<usize>]) -> u32 {
        served.iter().flatten().fold(0, |bits, step| bits | 1 << step)
    }

    proptest! {
        #[test]
        fn serving_equals_trying_everything(masks in prop::collection::vec(0_u32..16, 0..5), needed in 0_u32..16, extra in 0_u32..16) {
            let extra = extra & !needed;
            let all = all_served(&masks);
            let most = all.iter().map(|served| steps(served)).filter(|served| served & needed == needed);
            let best = most.map(|served| served & (needed | extra)).max_by_key(|served| (served.count_ones(), *served));
            prop_assert_eq!(serve(&masks, needed, extra), best);
            for (event, step) in (0..masks.len()).flat_map(|event| (0..4).map(move |step| (event, step))) {
                let before = needed & !(1 << step);
                let serves = |served: &Vec<_>| served[event] == Some(step) && steps(served) & before == before;
                prop_assert_eq!(can_serve(&masks, event, step, before), all.iter().any(serves));
            }
        }

        #[test]
        fn what_is_in_a_circuit_can_go(masks in prop::collection::vec(1_u32..16, 1..6)) {
            let mut kept: Vec<u32> = Vec::new();
            for mask in masks {
                kept.push(mask);
                let dependent = !is_independent(&kept);
                let circuit = circuit(&kept, kept.len() - 1);
                prop_assert_eq!(dependent, circuit != 0);
                for event in 0..kept.len() {
                    let without = kept.iter().enumerate().filter(|(i, _)| *i != event).map(|(_, mask)| *mask);
                    let goes = dependent && is_independent(&without.collect::<Vec<_>>());
                    prop_assert_eq!(circuit & (1 << event) != 0, goes);
                }
                if dependent {
                    kept.pop();
                }
            }
        }
    }
}
