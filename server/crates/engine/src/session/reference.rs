//! What sessions are, written down as slowly as possible.

use super::{Session, SessionEvent, SessionRules};
use crate::funnel::MAX_TIME_US;

/// The events of each session, in order: what has no pause longer than the gap is one stretch, and from a
/// stretch comes off, again and again, what lies within the limit of its first event.
pub(super) fn naive_groups(rules: &SessionRules, events: &[SessionEvent]) -> Vec<Vec<SessionEvent>> {
    let mut events: Vec<_> = events.to_vec();
    events.iter_mut().for_each(|event| event.time_us = event.time_us.clamp(0, MAX_TIME_US));
    events.sort_by_key(SessionEvent::order);
    let pauses = (1..events.len()).filter(|i| events[*i].time_us - events[i - 1].time_us > rules.gap_us());
    let mut cuts: Vec<_> = pauses.collect();
    cuts.push(events.len());
    let mut groups = Vec::new();
    let mut from = 0;
    for cut in cuts {
        while from < cut {
            let limit = events[from].time_us + rules.max_us();
            let (within, _): (Vec<_>, Vec<_>) =
                events[from..cut].iter().partition(|event| event.time_us <= limit);
            from += within.len();
            groups.push(within.into_iter().copied().collect());
        }
    }
    groups
}

/// The sessions of one person's events, which may come in any order.
pub(super) fn naive(rules: &SessionRules, events: &[SessionEvent]) -> Vec<Session> {
    let session = |group: &Vec<SessionEvent>| {
        let (first, last) = (group[0], group[group.len() - 1]);
        Session {
            start_us: first.time_us,
            end_us: last.time_us,
            events: group.len() as u64,
            entry: first.name,
            exit: last.name,
        }
    };
    naive_groups(rules, events).iter().map(session).collect()
}
