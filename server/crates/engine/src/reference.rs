//! What a funnel means, written down as slowly as possible: a search over all chains of distinct events.

use crate::funnel::{NO_ENTRY, SlimEvent};

/// The latest entry that reaches each step, and the time when a chain with this entry first reached it, found by trying every
/// chain.
pub(crate) fn naive(
    steps: usize,
    window_us: i64,
    to_us: Option<i64>,
    events: &[SlimEvent],
) -> Vec<(i64, i64)> {
    let mut best = vec![(NO_ENTRY, i64::MAX); steps];
    let mut chain = Vec::new();
    extend(&mut best, &mut chain, window_us, to_us, events);
    best
}

fn extend(
    best: &mut [(i64, i64)],
    chain: &mut Vec<usize>,
    window_us: i64,
    to_us: Option<i64>,
    events: &[SlimEvent],
) {
    let step = chain.len();
    if step == best.len() {
        return;
    }
    for (i, event) in events.iter().enumerate() {
        let matches = event.mask & (1 << step) != 0;
        let unused = !chain.iter().any(|used| events[*used].id == event.id);
        let entry = chain.first().map_or(event.time_us, |first| events[*first].time_us);
        let in_order = chain.last().is_none_or(|last| events[*last].time_us <= event.time_us);
        let in_window = event.time_us - entry <= window_us;
        let admitted = to_us.is_none_or(|to| entry < to);
        if matches && unused && in_order && in_window && admitted {
            let (latest, first) = best[step];
            if entry > latest || (entry == latest && event.time_us < first) {
                best[step] = (entry, event.time_us);
            }
            chain.push(i);
            extend(best, chain, window_us, to_us, events);
            chain.pop();
        }
    }
}
