//! A funnel, ready to see events: what each event is to it, and whose it is.

use std::collections::HashSet;
use std::sync::Arc;

use footpath_engine::{ActorKey, FunnelEvent, IdentityGraph, Plan};
use footpath_history::{Columns, StoredRow};
use footpath_model::changes::group_of;
use footpath_model::control::CountedFunnel;
use footpath_model::definition::{Attribution, Counting, FunnelDefinition, PropertyRef};
use footpath_model::filter::{EXCLUSION_BIT, Facts, Needs, Selector, StepMatcher};
use footpath_model::id::group_key;
use xxhash_rust::xxh3::Xxh3;

use super::heads::ByName;
use crate::entities::{Properties, Wanted};
use crate::values::Values;
use crate::{QueryError, Source, Span};

/// A funnel and who is who.
pub(crate) struct Prepared<'a> {
    pub(crate) source: &'a Source<'a>,
    pub(crate) counted: &'a CountedFunnel,
    pub(crate) graph: Arc<IdentityGraph>,
    pub(crate) values: Values,
    /// Names that are read; `None` is all of them.
    pub(super) names: Option<HashSet<String>>,
    pub(super) columns: Columns,
    /// Where names alone decide: read from heads.
    pub(super) by_name: Option<ByName>,
    matcher: StepMatcher,
    breakdown: Option<Selector>,
    held: Vec<Selector>,
    properties: Properties,
}

impl<'a> Prepared<'a> {
    /// Reads who is who, and what is known of persons and groups if the definition needs it.
    pub(crate) fn new(
        source: &'a Source<'a>,
        counted: &'a CountedFunnel,
        epoch: Option<u64>,
    ) -> Result<Self, QueryError> {
        let definition = &counted.definition;
        let matcher = StepMatcher::new(definition, counted.internal.as_ref())?;
        let breakdown = definition.breakdown.as_ref().map(|breakdown| selector(&breakdown.by));
        let held: Vec<_> = held(definition).map(selector).collect();
        let selected = breakdown.iter().chain(&held).map(Selector::needs);
        let needs = selected.fold(matcher.needs(), Needs::and);
        let sees_all =
            plan(definition, Span::ALWAYS)?.sees_all() || definition.counting == Counting::Sessions;
        let graph = source.identity(epoch)?;
        let properties = Properties::read(source, &graph, &wanted(counted))?;
        Ok(Self {
            names: (!sees_all).then(|| matcher.names().map(|(name, _)| name.to_owned()).collect()),
            columns: columns(needs, &definition.counting),
            by_name: ByName::new(&matcher, needs, &definition.counting).filter(|_| !sees_all),
            source,
            counted,
            graph,
            values: Values::default(),
            matcher,
            breakdown,
            held,
            properties,
        })
    }

    /// The definition.
    pub(crate) fn definition(&self) -> &FunnelDefinition {
        &self.counted.definition
    }

    /// How the definition is folded over a span of entries.
    pub(crate) fn plan(&self, span: Span) -> Result<Plan, QueryError> {
        plan(self.definition(), span)
    }

    /// Whether events are parted by the values of properties.
    pub(crate) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether there is a breakdown.
    pub(crate) fn is_broken_down(&self) -> bool {
        self.breakdown.is_some()
    }

    /// The person whose event it is.
    pub(crate) fn person(&self, row: &StoredRow<'_>) -> u64 {
        self.graph.canonical(ActorKey(row.head.actor_key)).0
    }

    /// What is counted once: the person, or the group that the event names.
    pub(crate) fn unit(&self, row: &StoredRow<'_>) -> Option<u64> {
        match &self.definition().counting {
            Counting::Groups(kind) => {
                group_of(row.changes, kind).map(|id| group_key(self.source.project.id, kind, id))
            }
            _ => Some(self.person(row)),
        }
    }

    /// The steps and exclusions that an event matches; as [`StepMatcher::mask`].
    pub(super) fn mask(&self, row: &StoredRow<'_>) -> u32 {
        let known = self.properties.of(self.person(row));
        self.matcher.mask(row.name, &Facts { entities: Some(&known), ..facts(row) })
    }

    /// The event as the general kernel sees it; `None` if it does not matter.
    pub(crate) fn event(&self, row: &StoredRow<'_>) -> Option<FunnelEvent> {
        let known = self.properties.of(self.person(row));
        let facts = Facts { entities: Some(&known), ..facts(row) };
        let mask = self.matcher.mask(row.name, &facts);
        if mask == 0 && (self.names.is_some() || !self.matcher.counts(&facts)) {
            return None;
        }
        let value = |breakdown: &Selector| self.values.number(breakdown.text(&facts).as_deref());
        Some(FunnelEvent {
            time_us: row.head.time_us,
            id: row.head.id.as_u128(),
            steps: mask & ((1 << EXCLUSION_BIT) - 1),
            exclusions: (mask >> EXCLUSION_BIT) as u16,
            part: if mask == 0 { 0 } else { self.part(&facts) },
            value: self.breakdown.as_ref().filter(|_| mask != 0).map_or(0, value),
        })
    }

    /// An event as the general kernel sees it, where names alone decide.
    pub(super) fn of_mask(&self, mask: u32, time_us: i64, id: u128) -> FunnelEvent {
        FunnelEvent {
            time_us,
            id,
            steps: mask & ((1 << EXCLUSION_BIT) - 1),
            exclusions: (mask >> EXCLUSION_BIT) as u16,
            part: self.part(&Facts::default()),
            value: 0,
        }
    }

    /// Names the values that are held constant; 0 if one of them is not set, or a list or map.
    fn part(&self, facts: &Facts<'_>) -> u64 {
        let mut hash = Xxh3::new();
        for selector in &self.held {
            let Some(text) = selector.text(facts) else { return 0 };
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        hash.digest().max(1)
    }
}

fn plan(definition: &FunnelDefinition, span: Span) -> Result<Plan, QueryError> {
    Ok(Plan::new(definition, (span.from_us, span.to_us), false)?)
}

fn selector(property: &PropertyRef) -> Selector {
    Selector::new(&property.scope, &property.property, property.as_of)
}

/// What is held constant: with the same value at all steps, that of the breakdown too.
fn held(definition: &FunnelDefinition) -> impl Iterator<Item = &PropertyRef> {
    let breakdown = definition.breakdown.iter();
    let all_steps = breakdown.filter(|breakdown| breakdown.attribution == Attribution::AllSteps);
    definition.hold.iter().chain(all_steps.map(|breakdown| &breakdown.by))
}

fn wanted(counted: &CountedFunnel) -> Wanted {
    let definition = &counted.definition;
    let mut wanted = Wanted::default();
    let steps = definition.steps.iter().flat_map(|step| &step.filters);
    let exclusions = definition.exclusions.iter().flat_map(|exclusion| &exclusion.filters);
    let internal = counted.internal.iter().filter(|_| !definition.include_internal);
    steps.chain(exclusions).chain(internal).for_each(|filter| wanted.filter(filter));
    let breakdown = definition.breakdown.iter().map(|breakdown| &breakdown.by);
    definition.hold.iter().chain(breakdown).for_each(|property| wanted.property(property));
    wanted
}

fn columns(needs: Needs, counting: &Counting) -> Columns {
    let of_groups = needs.groups || matches!(counting, Counting::Groups(_));
    Columns { properties: needs.properties, rest: needs.context || of_groups, ids: false }
}

/// What is known of an event by itself.
pub(crate) fn facts<'r>(row: &StoredRow<'r>) -> Facts<'r> {
    Facts {
        order: (row.head.time_us, row.head.id.as_u128()),
        properties: row.properties,
        context: row.context,
        changes: row.changes,
        entities: None,
    }
}
