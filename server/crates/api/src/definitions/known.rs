//! The definitions of a project: as they are stored, or as they would be after changes that are only tried out.

use std::collections::{BTreeMap, HashSet};

use footpath_model::alert::CountedRule;
use footpath_model::control::{Control, CountedFunnel, CountedMetric, ProjectSettings};
use footpath_model::definition::SegmentDefinition;
use footpath_store::{DefinitionKind, Store};
use tonic::Status;

use super::kinds::{Kind, read_row};
use crate::status::{invalid, store};

/// The definitions of a project.
pub struct Known<'a> {
    store: &'a dyn Store,
    project: &'a str,
    /// Where changes are tried out.
    trial: Option<Trial>,
}

/// Everything of a project that definitions are judged by, read once, and as it becomes.
struct Trial {
    definitions: Definitions,
    settings: ProjectSettings,
    destinations: HashSet<String>,
    refused: HashSet<(DefinitionKind, String)>,
}

/// Definitions of all kinds, by id.
#[derive(Default)]
pub struct Definitions {
    /// The segments.
    pub segments: BTreeMap<String, SegmentDefinition>,
    /// The funnels.
    pub funnels: BTreeMap<String, CountedFunnel>,
    /// The metrics.
    pub metrics: BTreeMap<String, CountedMetric>,
    /// The alert rules.
    pub rules: BTreeMap<String, CountedRule>,
}

impl<'a> Known<'a> {
    /// Those that are stored: each is read when it is asked for.
    pub fn stored(store: &'a dyn Store, project: &'a str) -> Self {
        Self { store, project, trial: None }
    }

    /// Those that are stored now, for changes to be tried out. Each of them may be looked at for each change, so they are read once.
    ///
    /// # Errors
    /// If the store fails.
    pub fn tried(store: &'a dyn Store, project: &'a str) -> Result<Self, Status> {
        let known = Self::stored(store, project);
        let definitions = Definitions {
            segments: known.by_id()?,
            funnels: known.by_id()?,
            metrics: known.by_id()?,
            rules: known.by_id()?,
        };
        let destinations = store.destinations(project, None, usize::MAX).map_err(crate::status::store)?;
        let trial = Trial {
            definitions,
            settings: known.settings()?,
            destinations: destinations.into_iter().map(|row| row.id).collect(),
            refused: HashSet::new(),
        };
        Ok(Self { trial: Some(trial), ..known })
    }

    fn by_id<K: Kind>(&self) -> Result<BTreeMap<String, K>, Status> {
        Ok(self.all::<K>()?.into_iter().map(|one| (one.id().to_owned(), one)).collect())
    }

    /// One of them; none where it was refused, whatever was there before.
    ///
    /// # Errors
    /// If the store fails.
    pub fn find<K: Kind>(&self, id: &str) -> Result<Option<K>, Status> {
        match &self.trial {
            Some(trial) => Ok(K::among(&trial.definitions).get(id).cloned()),
            None => {
                let row = self.store.definition(self.project, K::KIND, id).map_err(store)?;
                row.map(|row| read_row(&row)).transpose()
            }
        }
    }

    /// One of them, or NOT_FOUND.
    ///
    /// # Errors
    /// NOT_FOUND with what to do.
    pub fn required<K: Kind>(&self, id: &str) -> Result<K, Status> {
        self.find(id)?.ok_or_else(K::unknown)
    }

    /// All of a kind, by id.
    ///
    /// # Errors
    /// If the store fails.
    pub fn all<K: Kind>(&self) -> Result<Vec<K>, Status> {
        match &self.trial {
            Some(trial) => Ok(K::among(&trial.definitions).values().cloned().collect()),
            None => {
                let rows = self.store.definitions(self.project, K::KIND, None, usize::MAX).map_err(store)?;
                rows.iter().map(read_row).collect()
            }
        }
    }

    /// The ids of all of a kind.
    ///
    /// # Errors
    /// If the store fails.
    pub fn ids<K: Kind>(&self) -> Result<Vec<String>, Status> {
        match &self.trial {
            Some(trial) => Ok(K::among(&trial.definitions).keys().cloned().collect()),
            None => {
                let rows = self.store.definitions(self.project, K::KIND, None, usize::MAX).map_err(store)?;
                Ok(rows.into_iter().map(|row| row.id).collect())
            }
        }
    }

    /// The project's settings.
    ///
    /// # Errors
    /// If the store fails.
    pub fn settings(&self) -> Result<ProjectSettings, Status> {
        match &self.trial {
            Some(trial) => Ok(trial.settings.clone()),
            None => crate::settings::of(self.store, self.project),
        }
    }

    /// Whether the project has this destination.
    ///
    /// # Errors
    /// If the store fails.
    pub fn has_destination(&self, id: &str) -> Result<bool, Status> {
        match &self.trial {
            Some(trial) => Ok(trial.destinations.contains(id)),
            None => Ok(self.store.destination(self.project, id).map_err(store)?.is_some()),
        }
    }

    /// What is said of something that is named and not there; `list` is the call that names what is.
    pub fn missing<K: Kind>(&self, field: &str, id: &str, list: &str) -> Status {
        let name = K::NAME;
        let refused = |trial: &Trial| trial.refused.contains(&(K::KIND, id.to_owned()));
        let what = match self.trial.as_ref().is_some_and(refused) {
            true => format!("{field}the {name} {id:?} is refused itself"),
            false => format!("{field}there is no {name} {id:?}; {list} names them"),
        };
        invalid("definition_invalid", &what)
    }

    /// From now on everything is as if these records were written. What is stored stays as it is.
    pub fn try_out(&mut self, control: Control) {
        if let Some(trial) = &mut self.trial {
            trial.definitions.take(control);
        }
    }

    /// This one was refused: what uses it cannot be judged.
    pub fn refused<K: Kind>(&mut self, id: &str) {
        if let Some(trial) = &mut self.trial {
            K::among_mut(&mut trial.definitions).remove(id);
            trial.refused.insert((K::KIND, id.to_owned()));
        }
    }
}

impl Definitions {
    fn take(&mut self, control: Control) {
        match control {
            Control::PutFunnel(one) => self.put(*one),
            Control::PutMetric(one) => self.put(*one),
            Control::PutSegment(one) => self.put(*one),
            Control::PutRule(one) => self.put(*one),
            Control::DeleteFunnel { id } => drop(self.funnels.remove(&id)),
            Control::DeleteMetric { id } => drop(self.metrics.remove(&id)),
            Control::DeleteSegment { id } => drop(self.segments.remove(&id)),
            Control::DeleteRule { id } => drop(self.rules.remove(&id)),
            Control::Several { changes } => changes.into_iter().for_each(|change| self.take(change)),
            _ => {}
        }
    }

    fn put<K: Kind>(&mut self, one: K) {
        K::among_mut(self).insert(one.id().to_owned(), one);
    }
}
