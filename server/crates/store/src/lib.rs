//! Small durable state: projects and their settings, keys, definitions, identity records, the outcome
//! ledger, the catalogue, what alerts leave behind.
//!
//! Events do not live here; the log and the history hold them. This crate holds the few thousand
//! rows beside them, behind one blocking trait for each subject and [`Store`] for all of them, with
//! two implementations that pass the same conformance suite: [`EmbeddedStore`] (one file) and
//! [`MemoryStore`] (tests).

mod alerts;
#[cfg(test)]
mod conformance;
mod embedded;
mod error;
mod memory;
mod rows;
mod store;

pub use alerts::{
    AlertChanges, AlertRecordRow, AlertStore, DeliveryFilter, DeliveryRow, DestinationRow, IncidentRow,
    TransitionRow,
};
pub use embedded::{EmbeddedStore, FORMAT_VERSION};
pub use error::{Result, StoreError};
pub use footpath_model::context::Environment;
pub use memory::MemoryStore;
pub use rows::{
    CatalogRow, DefinitionKind, DefinitionRow, IdentityRow, KeyRow, LedgerCell, NewProject, PrivacyRow,
    ProjectRow, RefusedRow, SecretRow, SettingsRow,
};
pub use store::{
    CatalogStore, DefinitionStore, KeyStore, MAX_NAME_BYTES, OutcomeStore, PersonStore, ProjectStore,
    REFUSED_KEPT, Store,
};
