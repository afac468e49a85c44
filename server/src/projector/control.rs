//! What a control record leaves in the store.

use footpath_api::rows::definition_row;
use footpath_model::control::{Control, ProjectSettings};
use footpath_store::{DefinitionKind, IdentityRow, PrivacyRow, Store, StoreError};
use serde::Serialize;

/// Where a control record comes from, and where it goes.
pub struct Carrier<'a> {
    pub store: &'a dyn Store,
    /// The id of the record's project.
    pub project: &'a str,
    /// Its number.
    pub number: u32,
    pub position: u64,
    pub received_us: i64,
    /// The record as it lies in the log.
    pub json: &'a [u8],
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
            Control::PutRule(rule) => {
                let definition = &rule.definition;
                self.put(DefinitionKind::Rule, &definition.id, definition.version, &rule)
            }
            Control::DeleteRule { id } => self.delete(DefinitionKind::Rule, &id),
            // The keeper of alerts is shown them.
            Control::MuteRule { .. }
            | Control::Observed { .. }
            | Control::Learned(_)
            | Control::Incident(_)
            | Control::Annotate(_)
            | Control::DeleteAnnotation { .. } => Ok(()),
            Control::Losses { .. } => Ok(()), // Who judges duplicates keeps them.
            Control::MergePersons { .. } | Control::UnmergePerson { .. } => self.identity(),
            Control::Several { changes } => changes.into_iter().try_for_each(|change| self.carry(change)),
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

    /// Outlives the log: who is who depends on it for ever.
    fn identity(&self) -> Result<(), StoreError> {
        let json = String::from_utf8_lossy(self.json).into_owned();
        self.store.put_identity(&IdentityRow { project: self.number, position: self.position, json })
    }

    fn privacy(&self, id: String, kind: u8, actor: String) -> Result<(), StoreError> {
        let project = self.project.to_owned();
        self.store.put_privacy(&PrivacyRow { project, id, kind, actor, received_at_us: self.received_us })
    }
}

fn without_json(error: serde_json::Error) -> StoreError {
    StoreError::Invalid(format!("a control record has no JSON: {error}"))
}
