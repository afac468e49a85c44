//! The rows, as callers see them. Times are microseconds since the Unix epoch.

use footpath_model::context::Environment;
use serde::{Deserialize, Serialize};

/// What a caller says to create a project; the store adds the number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProject {
    /// The public id, chosen by the caller.
    pub id: String,
    /// The name people see.
    pub title: String,
    /// IANA time zone of the project's days, not checked here.
    pub time_zone: String,
    /// Creation time in microseconds.
    pub created_at_us: i64,
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectRow {
    /// The public id.
    pub id: String,
    /// A dense number from 1, given by the store, never reused; 0 means "no project".
    pub number: u32,
    /// The name people see.
    pub title: String,
    /// IANA time zone of the project's days.
    pub time_zone: String,
    /// Creation time in microseconds.
    pub created_at_us: i64,
}

/// A project's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsRow {
    /// The settings as JSON, not checked here.
    pub json: String,
    /// The log position of the control record that made them.
    pub position: u64,
}

/// A project key; the secret itself is never stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRow {
    /// The key's public id, unique over all projects.
    pub id: String,
    /// The id of the project it writes to.
    pub project: String,
    /// What people call it.
    pub label: String,
    /// Where its events come from.
    pub environment: Environment,
    /// SHA-256 of the secret, computed by the caller.
    pub hash: [u8; 32],
    /// Creation time in microseconds.
    pub created_at_us: i64,
    /// Latest known use in microseconds; a crash may lose the last few updates.
    pub last_used_at_us: Option<i64>,
    /// From this time on, in microseconds, the key is refused; may lie in the future (overlap).
    pub revoked_at_us: Option<i64>,
}

impl KeyRow {
    /// Whether the key is refused at `now_us` (microseconds).
    pub fn is_revoked_at(&self, now_us: i64) -> bool {
        self.revoked_at_us.is_some_and(|at| at <= now_us)
    }

    /// Equal in everything but the times, which a retry may state anew.
    pub(crate) fn same_content(&self, other: &Self) -> bool {
        self.id == other.id
            && self.project == other.project
            && self.label == other.label
            && self.environment == other.environment
            && self.hash == other.hash
    }
}

/// A named blob the server needs again after a restart, such as the token signing key.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretRow {
    /// Its name, for example `jwt`.
    pub name: String,
    /// The secret bytes.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for SecretRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Rows end up in logs; secrets must not.
        let bytes = format_args!("<{} bytes>", self.bytes.len());
        f.debug_struct("SecretRow").field("name", &self.name).field("bytes", &bytes).finish()
    }
}

/// What a definition defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DefinitionKind {
    /// A funnel.
    Funnel,
    /// A metric.
    Metric,
    /// A segment.
    Segment,
    /// An alert rule.
    Rule,
}

impl DefinitionKind {
    /// Its name in keys and rows; never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Funnel => "funnel",
            Self::Metric => "metric",
            Self::Segment => "segment",
            Self::Rule => "rule",
        }
    }
}

/// A definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionRow {
    /// The id of its project.
    pub project: String,
    /// What it defines.
    pub kind: DefinitionKind,
    /// Its id, unique among the project's definitions of its kind.
    pub id: String,
    /// The definition as JSON, not checked here.
    pub json: String,
    /// The definition's version, given by the caller.
    pub version: u64,
    /// The log position of the control record that made this version.
    pub position: u64,
}

/// The address of one counter of the outcome ledger; ordered as listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerCell {
    /// The project's number.
    pub project: u32,
    /// Minutes since the Unix epoch.
    pub minute: i64,
    /// The outcome's code, defined by the caller.
    pub outcome: u8,
    /// The stable reason; empty where the outcome has none.
    pub reason: String,
}

/// One entry of a project's catalogue of names and properties, under its address: all but `json`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CatalogRow {
    /// The project's number.
    pub project: u32,
    /// What it is about, a code defined by the caller.
    pub kind: u8,
    /// Whose it is; may be empty.
    pub owner: String,
    /// Its key; may be empty.
    pub key: String,
    /// What is known, not checked here.
    pub json: String,
}

/// One refused event of a project's ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRow {
    /// Counts the project's refused events from 0; a later one has a higher number.
    pub sequence: u64,
    /// The caller's JSON: reason and redacted payload.
    pub json: Vec<u8>,
}

/// A control record that changes who is who. The graph of persons is made of these, so they stay
/// when the log has let them go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityRow {
    /// The project's number.
    pub project: u32,
    /// The record's log position.
    pub position: u64,
    /// The record as JSON, not checked here.
    pub json: String,
}

impl IdentityRow {
    /// What errors call it.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.project, self.position)
    }
}

/// A privacy request as it was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivacyRow {
    /// The id of its project.
    pub project: String,
    /// The request's id, unique in the project.
    pub id: String,
    /// The kind's code, defined by the caller.
    pub kind: u8,
    /// The actor it is about.
    pub actor: String,
    /// When it was first received, in microseconds.
    pub received_at_us: i64,
}

impl PrivacyRow {
    /// Equal in everything but the time, which a retry states anew.
    pub(crate) fn same_content(&self, other: &Self) -> bool {
        self.project == other.project
            && self.id == other.id
            && self.kind == other.kind
            && self.actor == other.actor
    }
}
