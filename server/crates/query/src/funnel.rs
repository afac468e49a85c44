//! A funnel's numbers from stored events.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use footpath_engine::{ActorKey, IdentityGraph, Rules, SlimEvent, fold_person, funnel_counts};
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
/// # Errors
/// If the events cannot be read or the range does not resolve.
pub fn funnel(
    pinned: &Pinned,
    project: Project<'_>,
    asked: &CountedFunnel,
    now_us: i64,
) -> Result<FunnelAnswer, QueryError> {
    let (from_us, to_us) = asked.resolve(now_us)?;
    let rules = Rules::of(&asked.definition)?.with_entry_before(to_us);
    let graph = pinned.identity(project.number, project.id)?;
    let mut steps = StepEvents::new(&asked.definition);
    let events_read =
        steps.read(pinned, project.number, bounds(from_us, to_us, asked.definition.window_us))?;
    let depths = steps.by_person(&graph).into_values().map(|mut own| {
        own.sort_unstable_by_key(SlimEvent::order);
        fold_person(&rules, own).depth(from_us)
    });
    let reached = funnel_counts(asked.definition.steps.len(), depths);
    Ok(FunnelAnswer {
        reached,
        position: pinned.position(),
        processed_us: pinned.processed_us(),
        events_read,
    })
}

/// The event times that can matter: a chain begins inside the range and ends within the window of its first event.
/// The kernel counts times before 1970 as 1970.
fn bounds(from_us: i64, to_us: Option<i64>, window_us: i64) -> (i64, i64) {
    let from_us = if from_us <= 0 { i64::MIN } else { from_us };
    (from_us, to_us.map_or(i64::MAX, |to_us| to_us.saturating_add(window_us).saturating_add(1)))
}

/// The events that match a step, by actor.
struct StepEvents {
    matcher: StepMatcher,
    names: HashSet<String>,
    columns: Columns,
    by_actor: HashMap<u64, Vec<SlimEvent>>,
}

impl StepEvents {
    fn new(definition: &FunnelDefinition) -> Self {
        let conditions = definition.steps.iter().any(|step| !step.filters.is_empty());
        Self {
            matcher: StepMatcher::new(definition),
            names: definition.steps.iter().flat_map(|step| step.events.iter().cloned()).collect(),
            columns: if conditions { Columns::PROPERTIES } else { Columns::HEAD },
            by_actor: HashMap::new(),
        }
    }

    /// Reads the events of a range of times; returns how many there were.
    fn read(
        &mut self,
        pinned: &Pinned,
        project: u32,
        (from_us, to_us): (i64, i64),
    ) -> Result<u64, HistoryError> {
        let Self { matcher, names, columns, by_actor } = self;
        let scan = Scan { from_us, to_us, names: Some(&*names), columns: *columns, ..Scan::all(project) };
        let stats = pinned.scan(&scan, &mut |row| {
            let mask = matcher.mask(row.name, row.properties);
            if mask != 0 {
                let slim = SlimEvent { time_us: row.head.time_us, id: row.head.id.as_u128(), mask };
                by_actor.entry(row.head.actor_key).or_default().push(slim);
            }
            ControlFlow::Continue(())
        })?;
        Ok(stats.rows)
    }

    fn by_person(self, graph: &IdentityGraph) -> HashMap<u64, Vec<SlimEvent>> {
        let mut persons: HashMap<u64, Vec<SlimEvent>> = HashMap::new();
        for (actor, mut own) in self.by_actor {
            persons.entry(graph.canonical(ActorKey(actor)).0).or_default().append(&mut own);
        }
        persons
    }
}

#[cfg(test)]
mod tests;
