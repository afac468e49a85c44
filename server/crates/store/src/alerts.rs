//! What alerts leave behind: the records they are made of, incidents, what happened to them, destinations and deliveries.

mod checks;

use serde::{Deserialize, Serialize};

use crate::Result;

/// A record that rules depend on, in the order of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRecordRow {
    /// The project's number.
    pub project: u32,
    /// The record's log position.
    pub position: u64,
    /// When it was received, in microseconds.
    pub at_us: i64,
    /// The record as JSON, not checked here.
    pub json: Vec<u8>,
}

/// An incident as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentRow {
    /// The project's number.
    pub project: u32,
    /// Its id, unique in the project.
    pub id: String,
    /// The id of its rule.
    pub rule: String,
    /// When it was opened first, in microseconds; never changes.
    pub opened_us: i64,
    /// Whether it is open.
    pub open: bool,
    /// When something happened to it last, in microseconds.
    pub changed_us: i64,
    /// All of it as JSON, not checked here.
    pub json: String,
}

/// Something that happened to an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransitionRow {
    /// The project's number.
    pub project: u32,
    /// The log position of the record that was the reason.
    pub position: u64,
    /// Counts what one record was the reason of.
    pub index: u32,
    /// When, in microseconds.
    pub at_us: i64,
    /// The incident's id.
    pub incident: String,
    /// All of it as JSON, not checked here.
    pub json: String,
}

/// A message for a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRow {
    /// The project's number.
    pub project: u32,
    /// The id of the destination.
    pub destination: String,
    /// Orders a destination's messages; unique there.
    pub sequence: u64,
    /// The incident's id; empty for a test.
    pub incident: String,
    /// When it was made, in microseconds.
    pub made_us: i64,
    /// Whether it has still to be tried.
    pub pending: bool,
    /// All of it as JSON, not checked here.
    pub json: String,
}

/// Where alerts are sent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationRow {
    /// The id of its project.
    pub project: String,
    /// Its id, unique in the project.
    pub id: String,
    /// Its version, given by the caller.
    pub version: u64,
    /// All of it as JSON, not checked here; holds secrets.
    pub json: String,
}

impl std::fmt::Debug for DestinationRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Rows end up in logs; secrets must not.
        let json = format_args!("<{} bytes>", self.json.len());
        let Self { project, id, version, .. } = self;
        f.debug_struct("DestinationRow")
            .field("project", project)
            .field("id", id)
            .field("version", version)
            .field("json", &json)
            .finish()
    }
}

/// What one record changes, in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertChanges {
    /// Incidents as they stand now; they replace what was there.
    pub incidents: Vec<IncidentRow>,
    /// What happened to them.
    pub transitions: Vec<TransitionRow>,
    /// Who is to be told; one that is already there stays as it is.
    pub deliveries: Vec<DeliveryRow>,
}

/// Which deliveries are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeliveryFilter<'a> {
    /// Only to this destination.
    pub destination: Option<&'a str>,
    /// Only of this incident.
    pub incident: Option<&'a str>,
}

/// What alerts leave behind. The laws of [`Store`](crate::Store) hold; beyond them:
/// - **One reason, once**: [`AlertStore::apply_alerts`] with a position at or below the recorded one changes nothing, so a
///   replay tells nobody twice.
/// - **Order**: incidents and deliveries are listed newest first: descending by the time they were opened or made, then by id or by
///   destination and sequence; records and transitions in the order of the log; pending deliveries oldest first, ascending by sequence.
/// - **Names**: those of law 7 are a row's project, id, rule, incident and destination; only a delivery's incident may be empty.
pub trait AlertStore: Send + Sync {
    /// Stores a record, once; a project has at most one at a position. [`StoreError::Conflict`](crate::StoreError::Conflict)
    /// when another one is there (its time counts: rules depend on it). One below the position of the project's image is part of that
    /// image, and nothing is changed (a replay).
    fn put_alert_record(&self, record: &AlertRecordRow) -> Result<()>;
    /// Up to `limit` of a project's records from `from_position` on.
    fn alert_records(&self, project: u32, from_position: u64, limit: usize) -> Result<Vec<AlertRecordRow>>;
    /// Stores the image of what a project's records below `position` come to, and forgets these records. Nothing is changed when the
    /// stored image was made at a higher position (a replay).
    fn put_alert_image(&self, project: u32, position: u64, image: &[u8]) -> Result<()>;
    /// The newest image of a project and the position it was made at.
    fn alert_image(&self, project: u32) -> Result<Option<(u64, Vec<u8>)>>;

    /// Stores what the record at `position` changes and records the position, in one transaction. `false`, and nothing changed, when
    /// `position` is at or below the recorded one.
    fn apply_alerts(&self, changes: &AlertChanges, position: u64) -> Result<bool>;
    /// The last recorded position; `None` before the first.
    fn alerts_position(&self) -> Result<Option<u64>>;

    /// One incident.
    fn incident(&self, project: u32, id: &str) -> Result<Option<IncidentRow>>;
    /// Up to `limit` incidents, newest first, after `after` (opened_us, id), which need not exist any more; only open ones if `open` says so.
    fn incidents(
        &self,
        project: u32,
        open: bool,
        after: Option<(i64, &str)>,
        limit: usize,
    ) -> Result<Vec<IncidentRow>>;
    /// Up to `limit` transitions of a project from (position, index) on.
    fn transitions(&self, project: u32, from: (u64, u32), limit: usize) -> Result<Vec<TransitionRow>>;
    /// All transitions of an incident.
    fn transitions_of(&self, project: u32, incident: &str) -> Result<Vec<TransitionRow>>;

    /// Stores or replaces a destination.
    fn put_destination(&self, destination: &DestinationRow) -> Result<()>;
    /// One destination.
    fn destination(&self, project: &str, id: &str) -> Result<Option<DestinationRow>>;
    /// Up to `limit` destinations with an id above `after`.
    fn destinations(&self, project: &str, after: Option<&str>, limit: usize) -> Result<Vec<DestinationRow>>;
    /// Removes a destination and its pending deliveries; what was tried to the end stays listed. `false`, and nothing changed, when
    /// there is no such destination.
    fn delete_destination(&self, project: &str, id: &str) -> Result<bool>;

    /// Destinations that have pending deliveries: the project's number and the destination's id.
    fn busy_destinations(&self) -> Result<Vec<(u32, String)>>;
    /// Up to `limit` pending deliveries of a destination.
    fn pending_deliveries(&self, project: u32, destination: &str, limit: usize) -> Result<Vec<DeliveryRow>>;
    /// Stores how a delivery stands. [`StoreError::NotFound`](crate::StoreError::NotFound) when there is none with its destination and
    /// sequence.
    fn update_delivery(&self, delivery: &DeliveryRow) -> Result<()>;
    /// Up to `limit` deliveries, newest first, after `after` (made_us, destination, sequence), which need not exist any more.
    fn deliveries(
        &self,
        project: u32,
        filter: DeliveryFilter<'_>,
        after: Option<(i64, &str, u64)>,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>>;

    /// Forgets what is over: incidents that are not open and changed last before `before_us` with their transitions, and deliveries that
    /// are not pending and were made before it. How many rows of all three kinds went.
    fn trim_alerts(&self, project: u32, before_us: i64) -> Result<usize>;
}
