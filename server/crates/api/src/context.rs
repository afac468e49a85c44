//! What the services share.

use std::sync::Arc;

use footpath_engine::LedgerEntry;
use footpath_history::Stored;
use footpath_ingest::{Ingest, Source};
use footpath_live::Hub;
use footpath_log::Log;
use footpath_model::clock::Clock;
use footpath_model::control::Control;
use footpath_store::{Environment, ProjectRow, Store};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};

use crate::access::{Access, Caller};
use crate::admin::OneTimeCodes;
use crate::status::{denied, not_found};

/// What the services share; made once, in the composition root.
pub struct Context {
    /// Projects, keys, definitions, the ledger.
    pub store: Arc<dyn Store>,
    /// Takes batches.
    pub ingest: Ingest,
    /// Live numbers.
    pub hub: Arc<Hub>,
    /// The log, for tails.
    pub log: Arc<dyn Log>,
    /// Stored events, for queries.
    pub stored: Stored,
    /// How far the store follows the log.
    pub projection: Arc<crate::projection::Projection>,
    /// Incidents, and what rules have come to.
    pub alerts: Arc<footpath_alert::Keeper>,
    /// Sends alerts to destinations.
    pub deliverer: Arc<footpath_notify::Deliverer>,
    /// Where people open the page, without a slash at the end.
    pub public_url: String,
    /// What there is: names and properties as they were seen.
    pub catalogs: Arc<crate::catalog::Catalogs>,
    /// Whatever is changed by control records changes one at a time, so that versions are judged against the row they
    /// replace.
    pub turn: tokio::sync::Mutex<()>,
    /// Most ids that a merge of persons may move without an admin.
    pub merge_limit: usize,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Who may call what.
    pub access: Access,
    /// Codes of start-up links.
    pub codes: OneTimeCodes,
    /// Makes and checks cursors and page tokens.
    pub cursors: crate::cursor::Cursors,
    /// Open watches, for ChangeWatch.
    pub watches: crate::live::Watches,
    /// Watched metrics that the live path does not follow.
    pub recounts: crate::recount::Recounts,
    /// Persons of funnels that were read ahead.
    pub listings: crate::listings::Listings,
    /// Memory for request bodies.
    pub budgets: crate::budget::Budgets,
    /// What is counted.
    pub metrics: Arc<crate::metrics::Metrics>,
    /// Cancelled when the server stops.
    pub drain: CancellationToken,
}

/// Whose events a key sends, for as long as it is valid: neither can change.
#[derive(Debug, Clone)]
pub struct Sender {
    /// The key's project.
    pub project: Arc<ProjectRow>,
    /// The key's environment.
    pub environment: Environment,
}

impl Sender {
    /// The same as ingest knows it.
    pub fn source(&self) -> Source<'_> {
        Source { project: self.project.number, project_id: &self.project.id, environment: self.environment }
    }
}

impl Context {
    /// Who makes this call; put there by the access layer.
    pub fn caller<T>(&self, request: &Request<T>) -> Caller {
        request.extensions().get::<Caller>().cloned().unwrap_or(Caller::Anyone)
    }

    /// Writes a change into the log; returns when it is on disk and in the store.
    ///
    /// # Errors
    /// UNAVAILABLE if that takes too long.
    pub async fn record(&self, project: &ProjectRow, control: &Control) -> Result<(), Status> {
        let written = self.ingest.control(project.number, control).await;
        self.projection.reached(written.map_err(crate::ingest::ingest_error)?).await
    }

    /// A link that opens the page at an incident.
    pub fn link(&self, project: &str, incident: &str) -> String {
        format!("{}/#/{project}/incidents/{incident}", self.public_url)
    }

    /// Decisions about who is who in a project, as long as they are.
    ///
    /// # Errors
    /// If the store fails.
    pub fn ledger(&self, project: u32) -> Result<Vec<LedgerEntry>, Status> {
        let rows = self.store.identity(project, 0).map_err(crate::status::store)?;
        Ok(rows.iter().filter_map(crate::rows::ledger_entry).collect())
    }

    /// A project by id.
    ///
    /// # Errors
    /// NOT_FOUND if there is none.
    pub fn project(&self, id: &str) -> Result<Arc<ProjectRow>, Status> {
        let found = self.store.project(id).map_err(crate::status::store)?;
        found
            .map(Arc::new)
            .ok_or_else(|| not_found("project_unknown", "no such project; ListProjects names them"))
    }

    /// Whose events the key of a caller sends.
    ///
    /// # Errors
    /// PERMISSION_DENIED without a key.
    pub fn sender(&self, caller: &Caller) -> Result<Sender, Status> {
        match caller {
            Caller::Key(key) => {
                Ok(Sender { project: self.project(&key.project)?, environment: key.environment })
            }
            _ => Err(denied("key_needed", "events are sent with a project key")),
        }
    }

    /// A project that the caller may see.
    ///
    /// # Errors
    /// PERMISSION_DENIED or NOT_FOUND.
    pub fn allowed<T>(&self, request: &Request<T>, project: &str) -> Result<Arc<ProjectRow>, Status> {
        self.caller(request).for_project(project)?;
        self.project(project)
    }
}
