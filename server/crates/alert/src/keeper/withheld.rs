//! Incidents that a mute kept from destinations: they are told of them when it is over and the problem is not.

use std::collections::BTreeSet;

use footpath_engine::alert::{
    AlertFold, Detail, Finding, Judged, Open, PIPELINE, Transition, TransitionKind,
};
use footpath_model::control::Control;
use footpath_store::Result;

use super::Keeper;
use crate::incident::Incident;

impl Keeper {
    /// The open incidents of a project that destinations do not know of.
    pub(super) fn withheld(&self, project: u32) -> Result<BTreeSet<String>> {
        let rows = self.store.incidents(project, true, None, usize::MAX)?;
        let read = rows.iter().filter_map(|row| self.read_row(row).ok());
        Ok(read.filter(Incident::is_withheld).map(|incident| incident.id).collect())
    }
}

/// What destinations are to be told now of incidents that are withheld: that they began, with what the record shows of them. Nothing
/// of those that somebody looks after.
pub(super) fn overdue(fold: &AlertFold, withheld: &BTreeSet<String>, control: &Control) -> Vec<Transition> {
    if withheld.is_empty() || !matches!(control, Control::Observed { .. }) {
        return Vec::new();
    }
    let wanted = |open: &&Open| withheld.contains(&open.name.id) && !open.acknowledged;
    fold.open().into_iter().filter(wanted).filter_map(|open| began(fold, open, control)).collect()
}

fn began(fold: &AlertFold, open: &Open, control: &Control) -> Option<Transition> {
    let (judged, at_us) = seen(fold, open, control)?;
    let stopped = (open.name.rule == PIPELINE).then(|| Detail::Stopped(fold.stopped().count()));
    (!is_muted(fold, open, at_us)).then(|| Transition {
        incident: open.name.clone(),
        kind: TransitionKind::Opened,
        at_us,
        judged: Some(judged.clone()),
        by: None,
        detail: stopped,
        quiet: false,
    })
}

/// The problem as the record shows it, and when that was; nothing if it shows none.
fn seen<'a>(fold: &'a AlertFold, open: &'a Open, control: &Control) -> Option<(&'a Judged, i64)> {
    let Control::Observed { rules } = control else { return None };
    if open.name.rule == PIPELINE {
        return Some((&open.told, rules.iter().map(|one| one.to_us).max()?));
    }
    let last = fold.rule(&open.name.rule)?.series.get(&open.name.series)?.recent.back()?;
    let is_in = rules.iter().any(|one| one.rule == open.name.rule && one.to_us == last.to_us);
    (is_in && last.finding == Finding::Problem).then_some((last, last.to_us))
}

/// The pipeline's is muted by the mutes of all rules whose series stopped, as when it begins.
fn is_muted(fold: &AlertFold, open: &Open, at_us: i64) -> bool {
    let by_rule = |id: &str| fold.rule(id).is_some_and(|rule| at_us < rule.muted_until_us);
    let by_rules = match open.name.rule.as_str() {
        PIPELINE => fold.stopped().all(|(rule, _)| by_rule(rule)),
        rule => by_rule(rule),
    };
    by_rules || at_us < open.muted_until_us
}
