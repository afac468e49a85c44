//! One unit's events folded.

use footpath_engine::{Attempt, FunnelEvent, Plan};

use super::Prepared;
use crate::{QueryError, Span};

/// How units are folded over one span.
pub(crate) struct Folds {
    pub(crate) plan: Plan,
    pub(crate) span: Span,
}

impl Folds {
    pub(crate) fn new(prepared: &Prepared<'_>, span: Span) -> Result<Self, QueryError> {
        Ok(Self { plan: prepared.plan(span)?, span })
    }

    /// What a unit's sorted events count for.
    pub(crate) fn attempts(&self, events: &[FunnelEvent]) -> Vec<Attempt> {
        self.plan.attempts(self.span.from_us, events)
    }
}
