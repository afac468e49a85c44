//! What a control record leaves in the store.

use footpath_api::rows::definition_row;
use footpath_model::control::{Control, ProjectSettings};
use footpath_store::{DefinitionKind, PrivacyRow, Store, StoreError};
use serde::Serialize;

/// Where a control record comes from, and where it goes.
pub struct Carrier<'a> {
    pub store: &'a dyn Store,
    /// The id of the record's project.
    pub project: &'a str,
    pub position: u64,
    pub received_us: i64,
}

impl Carrier<'_> {
    /// Writes what the record says; may be done again.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] and [`StoreError::Invalid`] for what can never be written; others pass.
    pub fn carry(&self, control: Control) -> Result<(), StoreError> {
        match control {
            Control::PutFunnel(funnel) => {
                let definition = &funnel.definition;
                self.put(DefinitionKind::Funnel, &definition.id, definition.version, &funnel)
            }
            Control::DeleteFunnel { id } => self.delete(DefinitionKind::Funnel, &id),
            Control::PutMetric(metric) => {
                let definition = &metric.definition;
                self.put(DefinitionKind::Metric, &definition.id, definition.version, &metric)
            }
            Control::DeleteMetric { id } => self.delete(DefinitionKind::Metric, &id),
            Control::PutSegment(segment) => {
                self.put(DefinitionKind::Segment, &segment.id, segment.version, &segment)
            }
            Control::DeleteSegment { id } => self.delete(DefinitionKind::Segment, &id),
            Control::PutSettings(settings) => self.settings(&settings),
            Control::Privacy { id, kind, actor } => self.privacy(id, kind, actor),
            Control::Losses { .. } => Ok(()), // Who judges duplicates keeps them.
        }
    }

    fn put(
        &self,
        kind: DefinitionKind,
        id: &str,
        version: u64,
        definition: &impl Serialize,
    ) -> Result<(), StoreError> {
        let row = definition_row(self.project, kind, id, version, definition, self.position);
        self.store.put_definition(&row.map_err(without_json)?).map(drop)
    }

    fn delete(&self, kind: DefinitionKind, id: &str) -> Result<(), StoreError> {
        self.store.delete_definition(self.project, kind, id, self.position).map(drop)
    }

    fn settings(&self, settings: &ProjectSettings) -> Result<(), StoreError> {
        let json = serde_json::to_string(settings).map_err(without_json)?;
        self.store.put_settings(self.project, &json, self.position).map(drop)
    }

    fn privacy(&self, id: String, kind: u8, actor: String) -> Result<(), StoreError> {
        let project = self.project.to_owned();
        self.store.put_privacy(&PrivacyRow { project, id, kind, actor, received_at_us: self.received_us })
    }
}

fn without_json(error: serde_json::Error) -> StoreError {
    StoreError::Invalid(format!("a control record has no JSON: {error}"))
}
