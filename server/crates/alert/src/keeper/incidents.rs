//! Incidents as they are stored, and what is done about those that cannot be read.

use std::sync::atomic::Ordering;

use footpath_store::{IncidentRow, Result, StoreError};

use super::{Keeper, Told};
use crate::incident::Incident;

impl Keeper {
    /// An incident.
    ///
    /// # Errors
    /// If the store fails, or as [`Keeper::read_row`].
    pub fn incident(&self, project: u32, id: &str) -> Result<Option<Incident>> {
        self.store.incident(project, id)?.map(|row| self.read_row(&row)).transpose()
    }

    /// A row as an incident. One that cannot be read is as it stood after the newest thing that happened to it which can be.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if there is none; others if the store fails.
    pub fn read_row(&self, row: &IncidentRow) -> Result<Incident> {
        serde_json::from_str(&row.json).or_else(|error| {
            self.unreadable.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%error, project = row.project, incident = row.id, "a stored incident cannot be read");
            let told = self.newest_told(row)?;
            told.ok_or_else(|| {
                StoreError::Corrupt(format!("the incident {:?} cannot be read: {error}", row.id))
            })
        })
    }

    fn newest_told(&self, row: &IncidentRow) -> Result<Option<Incident>> {
        let rows = self.store.transitions_of(row.project, &row.id)?;
        let told = rows.iter().rev().find_map(|row| serde_json::from_str::<Told>(&row.json).ok());
        Ok(told.map(|told| told.incident))
    }

    /// An incident that something happens to. One of which nothing can be read is begun anew, so that it holds up no other; its
    /// texts stay in the store with what happened to it before.
    pub(super) fn known(&self, project: u32, id: &str) -> Result<Option<Incident>> {
        self.incident(project, id).or_else(|error| match error {
            StoreError::Corrupt(_) => {
                tracing::error!(project, incident = id, "the incident is begun anew");
                Ok(None)
            }
            other => Err(other),
        })
    }

    /// How often a stored incident could not be read.
    pub fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }
}
