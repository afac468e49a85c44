//! A funnel's numbers from stored events.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use footpath_engine::{ActorKey, FunnelCounts, IdentityGraph, Rules, SlimEvent, fold_person};
use footpath_history::{Columns, HistoryError, Pinned, Scan};
use footpath_model::control::CountedFunnel;
use footpath_model::definition::FunnelDefinition;
use footpath_model::filter::StepMatcher;

use crate::{Project, QueryError};

/// A funnel's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunnelAnswer {
    /// Persons who reached each step.
    pub reached: Vec<u64>,
    /// The log position (exclusive) it holds for.
    pub position: u64,
    /// The append time of the last frame in it.
    pub processed_us: i64,
    /// Events read: those in the range that have the name of a step.
    pub events_read: u64,
}

/// Computes a funnel from the events stored below the pinned position.
///
/// Holds a few million events: with more, the persons are counted in parts, one after the other.
///
/// # Errors
/// If the events cannot be read or the range does not resolve.
pub fn funnel(
    pinned: &Pinned,
    project: Project<'_>,
    asked: &CountedFunnel,
    now_us: i64,
) -> Result<FunnelAnswer, QueryError> {
    let (from_us, to_us) = asked.resolve(now_us)?;
    let definition = &asked.definition;
    let reading = Reading {
        pinned,
        project: project.number,
        graph: pinned.identity(project.number, project.id, &[])?,
        matcher: StepMatcher::new(definition, asked.internal.as_ref())?,
        names: definition.steps.iter().flat_map(|step| step.events.iter().cloned()).collect(),
        columns: columns_for(definition),
        times: bounds(from_us, to_us, definition.window_us),
    };
    let rules = Rules::of(definition)?.with_entry_before(to_us);
    let mut parts = 1;
    let (counts, events_read) = loop {
        match reading.count(&rules, from_us, parts)? {
            Some(counted) => break counted,
            None => parts *= 4,
        }
    };
    Ok(FunnelAnswer {
        reached: counts.reached().to_vec(),
        position: pinned.position(),
        processed_us: pinned.processed_us(),
        events_read,
    })
}

fn columns_for(definition: &FunnelDefinition) -> Columns {
    let conditions = definition.steps.iter().any(|step| !step.filters.is_empty());
    if conditions { Columns::PROPERTIES } else { Columns::HEAD }
}

/// The event times that can matter: a chain begins inside the range and ends within the window of its first event.
/// The kernel counts times before 1970 as 1970.
fn bounds(from_us: i64, to_us: Option<i64>, window_us: i64) -> (i64, i64) {
    let from_us = if from_us <= 0 { i64::MIN } else { from_us };
    (from_us, to_us.map_or(i64::MAX, |to_us| to_us.saturating_add(window_us).saturating_add(1)))
}

/// Events that are held at once, 48 bytes each. In tests so few that persons are counted in parts.
const EVENTS_AT_ONCE: usize = if cfg!(test) { 10 } else { 4 << 20 };
/// Beyond so many parts it is single persons that have too many events, and those are held whole.
const MOST_PARTS: u64 = 256;

/// What is read for a funnel.
struct Reading<'a> {
    pinned: &'a Pinned,
    project: u32,
    graph: IdentityGraph,
    matcher: StepMatcher,
    names: HashSet<String>,
    columns: Columns,
    times: (i64, i64),
}

impl Reading<'_> {
    /// Counts the persons, in so many parts, and the events read; `None` if a part has too many events.
    fn count(
        &self,
        rules: &Rules,
        from_us: i64,
        parts: u64,
    ) -> Result<Option<(FunnelCounts, u64)>, HistoryError> {
        let mut counts = FunnelCounts::new(rules.steps());
        let mut events_read = 0;
        for part in 0..parts {
            let Some((persons, read)) = self.persons(part, parts)? else { return Ok(None) };
            events_read = read; // The same in each part.
            for mut own in persons.into_values() {
                own.sort_unstable_by_key(SlimEvent::order);
                counts.shift(0, fold_person(rules, own).depth(from_us));
            }
        }
        Ok(Some((counts, events_read)))
    }

    /// The events of a part of the persons that match a step, and how many events were looked at.
    fn persons(&self, part: u64, parts: u64) -> Result<Option<(Persons, u64)>, HistoryError> {
        let (from_us, to_us) = self.times;
        let scan = Scan {
            from_us,
            to_us,
            names: Some(&self.names),
            columns: self.columns,
            ..Scan::all(self.project)
        };
        let mut persons = Persons::new();
        let mut events = 0;
        let most = if parts < MOST_PARTS { EVENTS_AT_ONCE } else { usize::MAX };
        let stats = self.pinned.scan(&scan, &mut |row| {
            let mask = self.matcher.mask(row.name, row.properties);
            if mask != 0
                && let person = self.graph.canonical(ActorKey(row.head.actor_key)).0
                && person % parts == part
            {
                let slim = SlimEvent { time_us: row.head.time_us, id: row.head.id.as_u128(), mask };
                persons.entry(person).or_default().push(slim);
                events += 1;
            }
            if events > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok((events <= most).then_some((persons, stats.rows)))
    }
}

type Persons = HashMap<u64, Vec<SlimEvent>>;

#[cfg(test)]
mod tests;
