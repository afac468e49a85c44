//! Funnels and sessions by hand, for funnels whose steps are different events.

use std::collections::BTreeMap;

use crate::data::Event;

pub const MINUTE: i64 = 60_000_000;
pub const HOUR: i64 = 60 * MINUTE;

/// A chain: when each of its steps was reached.
pub type Chain = Vec<i64>;

/// Everybody's events, in order.
pub fn persons(events: &[Event]) -> BTreeMap<&str, Vec<&Event>> {
    let mut found: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    events.iter().for_each(|event| found.entry(&event.user).or_default().push(event));
    found.values_mut().for_each(|own| own.sort_by_key(|event| (event.time_us, event.id)));
    found
}

/// Sessions of a person's sorted events.
pub fn sessions<'e>(own: &[&'e Event]) -> Vec<Vec<&'e Event>> {
    let mut found: Vec<Vec<&Event>> = Vec::new();
    for event in own {
        let belongs = |session: &Vec<&Event>| {
            event.time_us <= session[session.len() - 1].time_us + 30 * MINUTE
                && event.time_us <= session[0].time_us + 24 * HOUR
        };
        match found.last_mut() {
            Some(session) if belongs(session) => session.push(event),
            _ => found.push(vec![event]),
        }
    }
    found
}

/// The chain that enters at a time and takes every step as soon as it comes. Events at once count in any order.
pub fn from_entry(own: &[&Event], steps: &[&str], window: i64, entry: i64) -> Chain {
    let mut chain = vec![entry];
    for step in &steps[1..] {
        let at = chain[chain.len() - 1];
        let mut next = own.iter().filter(|event| event.name == *step && event.time_us >= at);
        match next.next().filter(|event| event.time_us <= entry + window) {
            Some(event) => chain.push(event.time_us),
            None => break,
        }
    }
    chain
}

/// When the first step came within a range.
pub fn entries(own: &[&Event], steps: &[&str], (from, to): (i64, i64)) -> Vec<i64> {
    let entries = own.iter().filter(|event| event.name == steps[0] && (from..to).contains(&event.time_us));
    entries.map(|event| event.time_us).collect()
}

/// The deepest chain, of these the one that entered last.
pub fn latest(own: &[&Event], steps: &[&str], window: i64, range: (i64, i64)) -> Option<Chain> {
    let chains = entries(own, steps, range).into_iter().map(|entry| from_entry(own, steps, window, entry));
    chains.max_by_key(|chain| (chain.len(), chain[0]))
}

/// The chain of the first entry.
pub fn first(own: &[&Event], steps: &[&str], window: i64, range: (i64, i64)) -> Option<Chain> {
    let entry = entries(own, steps, range).first().copied()?;
    Some(from_entry(own, steps, window, entry))
}

/// Attempts one after the other, each from the first entry behind the one before.
pub fn attempts(own: &[&Event], steps: &[&str], window: i64, range: (i64, i64)) -> Vec<Chain> {
    let mut found: Vec<Chain> = Vec::new();
    for entry in entries(own, steps, range) {
        let ended = found.last().map(|chain| {
            let done = chain.len() == steps.len();
            if done { chain[chain.len() - 1] } else { chain[0] + window }
        });
        if ended.is_none_or(|ended| entry > ended) {
            found.push(from_entry(own, steps, window, entry));
        }
    }
    found
}

/// How many chains reached each step.
pub fn reached<'c>(steps: usize, chains: impl Iterator<Item = &'c Chain>) -> Vec<u64> {
    let mut reached = vec![0; steps];
    chains.for_each(|chain| (0..chain.len()).for_each(|step| reached[step] += 1));
    reached
}
