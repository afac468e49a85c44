//! Persons' events with all that decides which sessions they are in, without reading all of their past.
//!
//! Where a session begins depends on what came before it: after a pause longer than the gap nothing does. So a little of
//! the past is read with everybody, and all of it for those few who made no pause in it.

use std::collections::HashSet;

use footpath_engine::{IdentityGraph, SessionRules};
use footpath_history::{HistoryError, Scan, StoredRow};

use crate::ids::actors_of;
use crate::units::{Placed, Units};

/// Reads the events of a scan's times, by person, and enough from before.
pub(crate) struct InSessions<'a> {
    pub(crate) units: Units<'a>,
    pub(crate) rules: SessionRules,
    pub(crate) graph: &'a IdentityGraph,
}

impl InSessions<'_> {
    /// Calls `each` once for every person with events of these times: the first one given begins a session.
    pub(crate) fn each<E: Placed>(
        &self,
        keep: &mut dyn FnMut(&StoredRow<'_>) -> Option<E>,
        each: &mut dyn FnMut(u64, Vec<E>),
    ) -> Result<u64, HistoryError> {
        let Units { pinned, scan, unit } = self.units;
        let back_us = scan.from_us.saturating_sub(self.rules.gap_us() + self.rules.max_us());
        let mut unsettled = Vec::new();
        let units = Units { pinned, scan: Scan { from_us: back_us, ..scan }, unit };
        let read = units.each(keep, &mut |person, mut events| match first_settled(
            &self.rules,
            &events,
            back_us,
            scan.from_us,
        ) {
            Some(first) if first < events.len() => {
                events.drain(..first);
                each(person, events);
            }
            Some(_) => {}
            None => unsettled.push(person),
        })?;
        if !unsettled.is_empty() {
            let actors: HashSet<u64> = actors_of(self.graph, unsettled).into_keys().collect();
            let scan = Scan { from_us: i64::MIN, actors: Some(&actors), ..scan };
            Units { pinned, scan, unit }.each(keep, each)?;
        }
        Ok(read)
    }
}

/// The first event that certainly begins a session, if there is one before or at the first that lies at `from_us` or later. As many as
/// there are events if none is that late.
fn first_settled<E: Placed>(rules: &SessionRules, sorted: &[E], back_us: i64, from_us: i64) -> Option<usize> {
    let mut before_us = back_us;
    for (i, event) in sorted.iter().enumerate() {
        let (time_us, _) = event.order();
        if time_us.saturating_sub(before_us) > rules.gap_us() {
            return Some(i);
        }
        if time_us >= from_us {
            return None;
        }
        before_us = time_us;
    }
    Some(sorted.len())
}
