//! A funnel, ready to see events: what each event is to it, and whose it is.

use std::collections::HashSet;
use std::sync::Arc;

use footpath_engine::lens::{FunnelLens, PropertyRead, Values};
use footpath_engine::{ActorKey, FunnelEvent, IdentityGraph, Plan};
use footpath_history::{Columns, StoredRow};
use footpath_model::control::CountedFunnel;
use footpath_model::definition::FunnelDefinition;
use footpath_model::filter::Facts;

use super::heads::ByName;
use crate::entities::Properties;
use crate::{QueryError, Source, Span};

/// A funnel and who is who.
pub(crate) struct Prepared<'a> {
    pub(crate) source: &'a Source<'a>,
    pub(crate) counted: &'a CountedFunnel,
    pub(crate) graph: Arc<IdentityGraph>,
    pub(super) lens: FunnelLens,
    /// Names that are read; `None` is all of them.
    pub(super) names: Option<HashSet<String>>,
    pub(super) columns: Columns,
    /// Where names alone decide: read from heads.
    pub(super) by_name: Option<ByName>,
    properties: Properties,
}

impl<'a> Prepared<'a> {
    /// Reads who is who, and what is known of persons and groups if the definition needs it.
    pub(crate) fn new(
        source: &'a Source<'a>,
        counted: &'a CountedFunnel,
        epoch: Option<u64>,
    ) -> Result<Self, QueryError> {
        let sees_all = plan(source, &counted.definition, Span::ALWAYS)?.sees_all();
        let lens = FunnelLens::new(source.project.id, counted, sees_all, Values::default())?;
        let graph = source.identity(epoch)?;
        let properties = Properties::read(source, &graph, &PropertyRead::of_funnel(counted))?;
        Ok(Self {
            names: lens.names().map(|names| names.into_iter().collect()),
            columns: lens.needs().into(),
            by_name: ByName::new(&lens),
            source,
            counted,
            graph,
            lens,
            properties,
        })
    }

    /// The definition.
    pub(crate) fn definition(&self) -> &FunnelDefinition {
        &self.counted.definition
    }

    /// How the definition is folded over a span of entries.
    pub(crate) fn plan(&self, span: Span) -> Result<Plan, QueryError> {
        plan(self.source, self.definition(), span)
    }

    /// Whether events are parted by the values of properties.
    pub(crate) fn holds(&self) -> bool {
        self.lens.holds()
    }

    /// Whether there is a breakdown.
    pub(crate) fn is_broken_down(&self) -> bool {
        self.lens.is_broken_down()
    }

    /// The values of the breakdown.
    pub(crate) fn values(&self) -> &Values {
        self.lens.values()
    }

    /// The person whose event it is.
    fn person(&self, row: &StoredRow<'_>) -> ActorKey {
        self.graph.canonical(ActorKey(row.head.actor_key))
    }

    /// What is counted once: the person, or the group that the event names.
    pub(crate) fn unit(&self, row: &StoredRow<'_>) -> Option<u64> {
        self.lens.unit(self.person(row), &facts(row))
    }

    /// The steps and exclusions that an event matches.
    pub(super) fn mask(&self, row: &StoredRow<'_>) -> u32 {
        let known = self.properties.of(self.person(row).0);
        self.lens.mask(None, row.name, &Facts { entities: Some(&known), ..facts(row) })
    }

    /// The event as the general kernel sees it; `None` if it does not matter.
    pub(crate) fn event(&self, row: &StoredRow<'_>) -> Option<FunnelEvent> {
        let known = self.properties.of(self.person(row).0);
        self.lens.event(None, row.name, &Facts { entities: Some(&known), ..facts(row) })
    }
}

fn plan(source: &Source<'_>, definition: &FunnelDefinition, span: Span) -> Result<Plan, QueryError> {
    Ok(Plan::new(definition, (span.from_us, span.to_us), false, &source.sessions)?)
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
