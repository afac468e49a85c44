//! The definitions of a project: as they are stored, or as they would be after changes that are only tried out.

use std::collections::{BTreeMap, HashMap};

use footpath_model::control::{Control, ProjectSettings};
use footpath_store::{DefinitionKind, DefinitionRow};
use tonic::Status;

use super::kinds::{Kind, read_row};
use crate::context::Context;
use crate::rows::definition_row;
use crate::status::{internal, invalid, store};

/// What became of a definition that is tried out.
enum Tried {
    Put(DefinitionRow),
    Deleted,
    Refused,
}

/// The definitions of a project.
pub struct Known<'a> {
    context: &'a Context,
    project: &'a str,
    tried: HashMap<(DefinitionKind, String), Tried>,
}

impl<'a> Known<'a> {
    /// Those that are stored.
    pub fn stored(context: &'a Context, project: &'a str) -> Self {
        Self { context, project, tried: HashMap::new() }
    }

    /// One of them; none where it was refused, whatever was there before.
    ///
    /// # Errors
    /// If the store fails.
    pub fn find<K: Kind>(&self, id: &str) -> Result<Option<K>, Status> {
        match self.tried.get(&(K::KIND, id.to_owned())) {
            Some(Tried::Put(row)) => read_row(row).map(Some),
            Some(Tried::Deleted | Tried::Refused) => Ok(None),
            None => {
                let row = self.context.store.definition(self.project, K::KIND, id).map_err(store)?;
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
        self.rows(K::KIND)?.values().map(read_row).collect()
    }

    /// The ids of all of a kind.
    ///
    /// # Errors
    /// If the store fails.
    pub fn ids<K: Kind>(&self) -> Result<Vec<String>, Status> {
        Ok(self.rows(K::KIND)?.into_keys().collect())
    }

    fn rows(&self, kind: DefinitionKind) -> Result<BTreeMap<String, DefinitionRow>, Status> {
        let rows = self.context.store.definitions(self.project, kind, None, usize::MAX).map_err(store)?;
        let mut rows: BTreeMap<_, _> = rows.into_iter().map(|row| (row.id.clone(), row)).collect();
        for ((_, id), tried) in self.tried.iter().filter(|((of, _), _)| *of == kind) {
            match tried {
                Tried::Put(row) => rows.insert(id.clone(), row.clone()),
                Tried::Deleted | Tried::Refused => rows.remove(id),
            };
        }
        Ok(rows)
    }

    /// The project's settings.
    ///
    /// # Errors
    /// If the store fails.
    pub fn settings(&self) -> Result<ProjectSettings, Status> {
        crate::settings::of(self.context, self.project)
    }

    /// Whether the project has this destination.
    ///
    /// # Errors
    /// If the store fails.
    pub fn has_destination(&self, id: &str) -> Result<bool, Status> {
        Ok(self.context.store.destination(self.project, id).map_err(store)?.is_some())
    }

    /// What is said of something that is named and not there; `list` is the call that names what is.
    pub fn missing<K: Kind>(&self, field: &str, id: &str, list: &str) -> Status {
        let name = K::NAME;
        let what = match self.tried.get(&(K::KIND, id.to_owned())) {
            Some(Tried::Refused) => format!("{field}the {name} {id:?} is refused itself"),
            _ => format!("{field}there is no {name} {id:?}; {list} names them"),
        };
        invalid("definition_invalid", &what)
    }

    /// From now on everything is as if these records were written.
    ///
    /// # Errors
    /// If a definition cannot be written as JSON.
    pub fn try_out(&mut self, control: &Control) -> Result<(), Status> {
        match control {
            Control::PutFunnel(one) => self.put(&**one),
            Control::PutMetric(one) => self.put(&**one),
            Control::PutSegment(one) => self.put(&**one),
            Control::PutRule(one) => self.put(&**one),
            Control::DeleteFunnel { id } => self.note(DefinitionKind::Funnel, id, Tried::Deleted),
            Control::DeleteMetric { id } => self.note(DefinitionKind::Metric, id, Tried::Deleted),
            Control::DeleteSegment { id } => self.note(DefinitionKind::Segment, id, Tried::Deleted),
            Control::DeleteRule { id } => self.note(DefinitionKind::Rule, id, Tried::Deleted),
            Control::Several { changes } => changes.iter().try_for_each(|change| self.try_out(change)),
            _ => Ok(()),
        }
    }

    /// This one was refused: what uses it cannot be judged.
    pub fn refused<K: Kind>(&mut self, id: &str) {
        self.tried.insert((K::KIND, id.to_owned()), Tried::Refused);
    }

    fn put<K: Kind>(&mut self, one: &K) -> Result<(), Status> {
        let row = definition_row(self.project, K::KIND, one.id(), one.version(), one, 0);
        let row = row.map_err(|error| internal(&error.to_string()))?;
        self.note(K::KIND, one.id(), Tried::Put(row))
    }

    fn note(&mut self, kind: DefinitionKind, id: &str, tried: Tried) -> Result<(), Status> {
        self.tried.insert((kind, id.to_owned()), tried);
        Ok(())
    }
}
