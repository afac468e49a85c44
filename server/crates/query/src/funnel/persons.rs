//! Who reached a step, or stopped after it.

use std::collections::BTreeMap;

use footpath_engine::Attempt;
use footpath_model::control::CountedFunnel;
use footpath_model::definition::Counting;

use super::{Folds, Prepared, group_names};
use crate::ids::{name_of, person_names};
use crate::{QueryError, Read, SliceValue, Source, Span};

/// Asks who reached a step.
#[derive(Debug, Clone)]
pub struct FunnelPersonsQuery<'a> {
    /// What is counted, with its range.
    pub counted: &'a CountedFunnel,
    /// Who is who as of this epoch; `None` is now.
    pub identity_epoch: Option<u64>,
    /// The step, counted from 1.
    pub step: u32,
    /// Only who came no further.
    pub dropped: bool,
    /// With a breakdown: only who counts under this value; [`SliceValue::Other`] is no value of anybody.
    pub value: Option<SliceValue>,
    /// Only behind this one: [`FunnelPersons::next`] of the page before.
    pub after: Option<u64>,
    /// At most this many.
    pub limit: usize,
}

/// A page of persons (or groups), by their keys: an order that stays and means nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FunnelPersons {
    /// The persons. Each is named once; where every attempt counts, or every session, with the newest that fits.
    pub persons: Vec<FunnelPerson>,
    /// Behind whom the next page begins; `None` on the last page.
    pub next: Option<u64>,
    /// What it was read from.
    pub read: Read,
}

/// How far somebody came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunnelPerson {
    /// Its key.
    pub key: u64,
    /// The person's id: the user id, or the anonymous id of who has none; of a group its id.
    pub id: String,
    /// The steps that were reached, counted from 1, and when, microseconds since 1970.
    pub steps: Vec<(u32, i64)>,
    /// With a breakdown: the value it counts under.
    pub value: Option<SliceValue>,
}

/// Names those who reached a step.
///
/// # Errors
/// As [`crate::funnel`]; [`QueryError::Step`] if there is no such step.
pub fn funnel_persons(
    source: &Source<'_>,
    query: &FunnelPersonsQuery<'_>,
) -> Result<FunnelPersons, QueryError> {
    let FunnelPersonsQuery { counted, identity_epoch, limit, .. } = *query;
    let steps = counted.definition.steps.len();
    let step = (query.step as usize).checked_sub(1).filter(|step| *step < steps);
    let step = step.ok_or(QueryError::Step { step: query.step, steps })?;
    let prepared = Prepared::new(source, counted, identity_epoch)?;
    let folds = Folds::new(&prepared, Span::of(counted.resolve(source.now_us)?))?;
    let mut page: BTreeMap<u64, Attempt> = BTreeMap::new();
    let events = prepared.each_unit(&folds, &mut |unit, attempts| {
        let fits = |attempt: &Attempt| fits(&prepared, query, step, attempt);
        let newest = attempts.into_iter().filter(fits).max_by_key(|attempt| attempt.entry_us);
        if let Some(attempt) = newest.filter(|_| query.after.is_none_or(|after| unit > after)) {
            page.insert(unit, attempt);
            if page.len() > limit.saturating_add(1) {
                page.pop_last();
            }
        }
    })?;
    let more = page.len() > limit && page.pop_last().is_some();
    Ok(FunnelPersons {
        next: page.last_key_value().map(|(unit, _)| *unit).filter(|_| more),
        persons: named(&prepared, &page)?,
        read: source.read(events),
    })
}

fn fits(prepared: &Prepared<'_>, query: &FunnelPersonsQuery<'_>, step: usize, attempt: &Attempt) -> bool {
    let reached = attempt.steps & (1 << step) != 0;
    let no_further = attempt.last_step() == Some(step);
    let of_value = query.value.as_ref().is_none_or(|value| prepared.values().value(attempt.value) == *value);
    reached && of_value && (no_further || !query.dropped)
}

fn named(prepared: &Prepared<'_>, page: &BTreeMap<u64, Attempt>) -> Result<Vec<FunnelPerson>, QueryError> {
    let units = page.keys().copied();
    let names = match &prepared.definition().counting {
        Counting::Groups(kind) => {
            group_names(prepared.source, kind, &units.collect(), prepared.names.as_ref())?
        }
        _ => person_names(prepared.source, &prepared.graph, units)?,
    };
    let one = |(unit, attempt): (&u64, &Attempt)| FunnelPerson {
        key: *unit,
        id: name_of(&names, *unit),
        steps: step_times(attempt),
        value: prepared.is_broken_down().then(|| prepared.values().value(attempt.value)),
    };
    Ok(page.iter().map(one).collect())
}

/// The steps that were reached, counted from 1, and when.
pub(crate) fn step_times(attempt: &Attempt) -> Vec<(u32, i64)> {
    let steps = 0..attempt.last_step().map_or(0, |last| last + 1);
    steps.filter_map(|step| Some((step as u32 + 1, attempt.reached_us(step)?))).collect()
}
