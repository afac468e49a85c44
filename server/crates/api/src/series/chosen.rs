//! The definitions that a selection means now: they come and go while the server runs.

use std::collections::HashSet;
use std::sync::Arc;

use footpath_model::control::{CountedFunnel, CountedMetric};
use footpath_store::ProjectRow;
use tonic::Status;

use super::{PageError, Selection};
use crate::context::Context;
use crate::definitions::{Kind, all_of, find};

/// What was found, each once.
#[derive(Default)]
pub(super) struct Chosen {
    pub selected: Vec<(Selection, bool)>,
    pub projects: Vec<Arc<ProjectRow>>,
    pub metrics: Vec<(Arc<ProjectRow>, CountedMetric)>,
    pub funnels: Vec<(Arc<ProjectRow>, CountedFunnel)>,
}

impl Chosen {
    /// Looks everything up.
    pub fn find(context: &Context, selected: &[Selection]) -> Result<Self, PageError> {
        let failed = |status: Status| PageError::Store(status.message().to_owned());
        let mut chosen = Self::default();
        for selection in selected {
            let there = chosen.add(context, selection).map_err(failed)?;
            chosen.selected.push((selection.clone(), !there));
        }
        chosen.projects = unique(chosen.projects, |project| project.number);
        chosen.metrics = unique(chosen.metrics, |(project, one)| (project.number, one.definition.id.clone()));
        chosen.funnels = unique(chosen.funnels, |(project, one)| (project.number, one.definition.id.clone()));
        Ok(chosen)
    }

    /// Adds what a selection means; false if nothing has that name.
    fn add(&mut self, context: &Context, selection: &Selection) -> Result<bool, Status> {
        let project = context.store.project(&selection.project).map_err(crate::status::store)?;
        let Some(project) = project.map(Arc::new) else { return Ok(false) };
        let id = selection.definition.as_deref();
        let metrics: Vec<CountedMetric> = named(context, &project.id, id)?;
        let funnels: Vec<CountedFunnel> = named(context, &project.id, id)?;
        let there = id.is_none() || !metrics.is_empty() || !funnels.is_empty();
        self.metrics.extend(metrics.into_iter().map(|one| (Arc::clone(&project), one)));
        self.funnels.extend(funnels.into_iter().map(|one| (Arc::clone(&project), one)));
        self.projects.push(project);
        Ok(there)
    }
}

/// The definition of an id, or all of the kind.
fn named<K: Kind>(context: &Context, project: &str, id: Option<&str>) -> Result<Vec<K>, Status> {
    match id {
        Some(id) => Ok(find(context, project, id)?.into_iter().collect()),
        None => all_of(context, project),
    }
}

/// The first of each name.
fn unique<T, N: Eq + std::hash::Hash>(all: Vec<T>, name: impl Fn(&T) -> N) -> Vec<T> {
    let mut seen = HashSet::new();
    all.into_iter().filter(|one| seen.insert(name(one))).collect()
}
