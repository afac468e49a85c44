//! Who is who, made again from what is stored: links out of events, merges and unmerges out of the ledger.
//!
//! Events come chunk by chunk, not in the order of the log, and the log lets go of its control records. So those that
//! change identity are kept for ever, with their positions, and both are put in one order before they are applied.

use std::collections::BTreeMap;
use std::sync::Arc;

use footpath_model::control::Control;
use footpath_model::record::EventSpans;

use crate::identity::{IdentityGraph, PoisonId};
use crate::link::LinkRequest;

/// A control record that changes identity, as it is kept after the log let go of it.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerEntry {
    /// Its position in the log.
    pub position: u64,
    /// The record. What is not about identity is passed over.
    pub control: Control,
}

/// Puts requests in the order of the log and applies them.
#[derive(Debug)]
pub struct IdentityReplay<'a> {
    project: &'a str,
    graph: Arc<IdentityGraph>,
    /// By position in the log, then index in the batch. About 60 bytes each.
    waiting: BTreeMap<(u64, u32), Result<LinkRequest, PoisonId>>,
}

impl<'a> IdentityReplay<'a> {
    /// A graph without links. `project` is the id that actors are hashed with.
    pub fn new(project: &'a str) -> Self {
        Self::after(project, Arc::default())
    }

    /// Goes on from a graph that everything before was applied to already. It is copied when something changes it.
    pub fn after(project: &'a str, graph: Arc<IdentityGraph>) -> Self {
        Self { project, graph, waiting: BTreeMap::new() }
    }

    /// Takes an event; what asks for no link is passed over.
    pub fn event(&mut self, position: u64, index: u32, event: &EventSpans<'_>) {
        if let Some(request) = LinkRequest::of_event(self.project, event) {
            self.waiting.insert((position, index), request);
        }
    }

    /// Takes a control record, from the ledger, from the log, or from both: it counts once.
    pub fn control(&mut self, position: u64, control: &Control) {
        if let Some(request) = LinkRequest::of_control(self.project, control) {
            self.waiting.insert((position, 0), request);
        }
    }

    /// Applies everything below `end`. All of that must have been given: the first link stands, so the order of the log
    /// decides.
    pub fn apply_below(&mut self, end: u64) {
        let later = self.waiting.split_off(&(end, 0));
        let due = std::mem::replace(&mut self.waiting, later);
        if due.is_empty() {
            return;
        }
        let graph = Arc::make_mut(&mut self.graph);
        for request in due.into_values() {
            graph.apply(request);
        }
    }

    /// The graph of everything below `end`.
    pub fn finish(mut self, end: u64) -> Arc<IdentityGraph> {
        self.apply_below(end);
        self.graph
    }
}

#[cfg(test)]
mod tests {
    use footpath_model::id::actor_key;
    use proptest::prelude::*;

    use super::*;
    use crate::identity::ActorKey;
    use crate::link::{IDENTIFY, link_control};

    const P: &str = "shop";

    /// What stands at one position of the log.
    #[derive(Debug, Clone)]
    enum Stands {
        Events(Vec<(String, String)>),
        Control(Control),
    }

    fn id() -> impl Strategy<Value = String> {
        (0..6_u8).prop_map(|i| format!("id-{i}"))
    }

    fn stands() -> impl Strategy<Value = Stands> {
        let by = || "admin".to_owned();
        prop_oneof![
            3 => prop::collection::vec((id(), id()), 1..4).prop_map(Stands::Events),
            1 => (id(), id()).prop_map(move |(from, into)| Stands::Control(Control::MergePersons {
                from,
                into,
                by: by()
            })),
            1 => id().prop_map(move |id| Stands::Control(Control::UnmergePerson { id, by: by() })),
        ]
    }

    fn spans((anonymous, user): &(String, String)) -> EventSpans<'_> {
        let (anonymous_id, user_id) = (anonymous.as_bytes(), user.as_bytes());
        EventSpans { name: IDENTIFY.as_bytes(), anonymous_id, user_id, ..EventSpans::default() }
    }

    fn in_log_order(log: &[Stands]) -> IdentityGraph {
        let mut graph = IdentityGraph::new();
        for stands in log {
            match stands {
                Stands::Events(events) => events.iter().for_each(|event| {
                    LinkRequest::of_event(P, &spans(event)).map(|request| graph.apply(request));
                }),
                Stands::Control(control) => drop(link_control(&mut graph, P, control)),
            }
        }
        graph
    }

    /// Ranges of the log end at `ends`; within each the events come last position first.
    fn replayed(log: &[Stands], ledger: &[LedgerEntry], ends: &[usize], log_from: usize) -> IdentityGraph {
        let mut replay = IdentityReplay::new(P);
        ledger.iter().for_each(|entry| replay.control(entry.position, &entry.control));
        let mut from = 0;
        for end in ends.iter().copied().chain([log.len()]) {
            for (position, stands) in log.iter().enumerate().take(end).skip(from).rev() {
                match stands {
                    Stands::Events(events) => {
                        for (index, event) in events.iter().enumerate().rev() {
                            replay.event(position as u64, index as u32, &spans(event));
                        }
                    }
                    Stands::Control(control) if position >= log_from => {
                        replay.control(position as u64, control);
                    }
                    Stands::Control(_) => {}
                }
            }
            replay.apply_below(end as u64);
            from = from.max(end);
        }
        Arc::unwrap_or_clone(replay.finish(log.len() as u64))
    }

    proptest! {
        #[test]
        fn stored_events_and_the_ledger_give_the_graph_of_the_log(
            log in prop::collection::vec(stands(), 0..30),
            mut ends in prop::collection::vec(0..30_usize, 0..4),
            bounds in (0..30_usize, 0..30_usize),
            upto in 0..30_usize,
        ) {
            let log = &log[..upto.min(log.len())];
            ends.iter_mut().for_each(|end| *end = (*end).min(log.len()));
            ends.sort_unstable();
            // The ledger may hold what the log still has, and more than what is asked about.
            let (log_from, ledger_upto) = (bounds.0.min(bounds.1), bounds.0.max(bounds.1));
            let mut ledger: Vec<_> = log.iter().enumerate().take(ledger_upto).filter_map(|(at, stands)| {
                let Stands::Control(control) = stands else { return None };
                Some(LedgerEntry { position: at as u64, control: control.clone() })
            }).collect();
            let later = Control::MergePersons { from: "id-0".into(), into: "id-1".into(), by: String::new() };
            ledger.push(LedgerEntry { position: log.len() as u64, control: later });
            let (expected, found) = (in_log_order(log), replayed(log, &ledger, &ends, log_from));
            prop_assert_eq!(found.epoch(), expected.epoch());
            for i in 0..6 {
                let key = ActorKey(actor_key(P, format!("id-{i}").as_bytes()));
                prop_assert_eq!(found.pointer(key), expected.pointer(key));
            }
        }
    }
}
