//! How far one person came in a funnel, and why no further.

mod reason;
mod seen;
mod serving;
#[cfg(test)]
mod tests;
mod words;

use footpath_engine::Attempt;
use footpath_model::control::CountedFunnel;
use footpath_model::definition::Counting;
use footpath_model::filter::EXCLUSION_BIT;
use footpath_model::id::{EventId, group_key};

use crate::funnel::{Folds, Prepared, step_times};
use crate::ids::{name_of, person_names, person_of};
use crate::{QueryError, Read, SliceValue, Source, Span};

pub use reason::Reason;
use seen::Seen;
use serving::Serving;

/// Most events that are shown.
const MOST_EVENTS: usize = 1_000;

/// Asks how far one person came.
#[derive(Debug, Clone, Copy)]
pub struct ExplainQuery<'a> {
    /// What is counted, with its range.
    pub counted: &'a CountedFunnel,
    /// Who is who as of this epoch; `None` is now.
    pub identity_epoch: Option<u64>,
    /// The person, by any id; of a funnel that counts groups, the group's id.
    pub person: &'a str,
}

/// How far one person came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainAnswer {
    /// The person's id.
    pub person: String,
    /// Every attempt that counts, by entry.
    pub attempts: Vec<Attempted>,
    /// Why nothing counts, or what became of the last attempt: a sentence.
    pub summary: String,
    /// The events that can matter and match a step or an exclusion, in order; the first 1,000.
    pub events: Vec<ExplainedEvent>,
    /// What it was read from.
    pub read: Read,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempted {
    /// The steps that were reached, counted from 1, and when, microseconds since 1970.
    pub steps: Vec<(u32, i64)>,
    /// Whether it reached the last step.
    pub converted: bool,
    /// The step it did not reach, counted from 1; 0 if it converted.
    pub stopped_before: u32,
    /// Why; `None` if it converted.
    pub reason: Option<Reason>,
    /// For people: the reason with its times.
    pub explanation: String,
    /// With a breakdown: the value it counts under.
    pub value: Option<SliceValue>,
}

/// An event and what it is to the funnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedEvent {
    /// Its id.
    pub id: EventId,
    /// Its name.
    pub name: String,
    /// When it happened, microseconds since 1970.
    pub at_us: i64,
    /// The steps it matches, counted from 1.
    pub steps: Vec<u32>,
    /// Whether it matches an exclusion.
    pub excluded: bool,
    /// The step that it serves in an attempt that counts; 0 if none.
    pub serves: u32,
}

/// Explains how far one person came; `None` if nobody with this id has an event of the funnel's project.
///
/// # Errors
/// As [`crate::funnel`].
pub fn explain(source: &Source<'_>, query: &ExplainQuery<'_>) -> Result<Option<ExplainAnswer>, QueryError> {
    let prepared = Prepared::new(source, query.counted, query.identity_epoch)?;
    let folds = Folds::new(&prepared, Span::of(query.counted.resolve(source.now_us)?))?;
    let unit = unit(source, &prepared, query.person);
    let seen = Seen::read(&prepared, &folds, unit)?;
    let Some(person) = called(source, &prepared, &seen, unit, query.person)? else { return Ok(None) };
    let mut attempts = folds.attempts(&seen.events());
    attempts.sort_by_key(|attempt| attempt.entry_us);
    let servings: Vec<_> = attempts.iter().map(|attempt| Serving::find(&seen, attempt)).collect();
    let told: Vec<_> = attempts
        .iter()
        .zip(&servings)
        .map(|(attempt, serving)| tell(&prepared, &seen, attempt, serving))
        .collect();
    let nothing = || words::nothing_counts(&prepared, &seen);
    Ok(Some(ExplainAnswer {
        person,
        summary: told.last().map_or_else(nothing, |last| last.explanation.clone()),
        attempts: told,
        events: shown(&seen, &servings),
        read: source.read(seen.looked_at),
    }))
}

fn unit(source: &Source<'_>, prepared: &Prepared<'_>, id: &str) -> u64 {
    match &prepared.definition().counting {
        Counting::Groups(kind) => group_key(source.project.id, kind, id),
        _ => person_of(source, &prepared.graph, id),
    }
}

/// What the unit is called; `None` if it has no events at all.
fn called(
    source: &Source<'_>,
    prepared: &Prepared<'_>,
    seen: &Seen<'_>,
    unit: u64,
    asked: &str,
) -> Result<Option<String>, QueryError> {
    if matches!(prepared.definition().counting, Counting::Groups(_)) {
        return Ok((!seen.all.is_empty()).then(|| asked.to_owned()));
    }
    let names = person_names(source, &prepared.graph, [unit])?;
    Ok((!names.is_empty()).then(|| name_of(&names, unit)))
}

fn tell(prepared: &Prepared<'_>, seen: &Seen<'_>, attempt: &Attempt, serving: &Serving) -> Attempted {
    let stopped = reason::stopped(seen, attempt, serving);
    Attempted {
        steps: step_times(attempt),
        converted: stopped.is_none(),
        stopped_before: stopped.as_ref().map_or(0, |stopped| stopped.before as u32 + 1),
        reason: stopped.as_ref().map(|stopped| stopped.reason),
        explanation: words::explanation(prepared, seen, attempt, stopped.as_ref()),
        value: prepared.is_broken_down().then(|| prepared.values().value(attempt.value)),
    }
}

fn shown(seen: &Seen<'_>, servings: &[Serving]) -> Vec<ExplainedEvent> {
    let serves = |i: usize| servings.iter().find_map(|serving| serving.step_of(i)).map_or(0, |step| step + 1);
    let matters = |i: &usize| seen.all[*i].matches() && seen.is_within(*i);
    let one = |i: usize| {
        let event = &seen.all[i].event;
        ExplainedEvent {
            id: EventId(event.id.to_be_bytes()),
            name: seen.name(i),
            at_us: event.time_us,
            steps: (0..EXCLUSION_BIT)
                .filter(|step| event.steps & (1 << step) != 0)
                .map(|step| step + 1)
                .collect(),
            excluded: event.exclusions != 0,
            serves: serves(i) as u32,
        }
    };
    (0..seen.all.len()).filter(matters).take(MOST_EVENTS).map(one).collect()
}
