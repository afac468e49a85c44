//! Alerts: what rules decide, as a fold of records.
//!
//! An [`Observed`](footpath_model::alert::Observed) record says what a rule's series were in one bucket. `judge` says of each what that
//! means, `series` turns a run of problems into one incident and its end, `fold` keeps all rules of a project and notices when
//! many series stop at once: that is one incident of the pipeline, not many of series. Nothing here reads a clock; the same records
//! give the same [`Transition`]s, in the same order.

mod agree;
mod anew;
mod bucket;
mod compare;
mod fold;
mod image;
mod judge;
mod kind;
mod rule;
mod series;
mod silence;
#[cfg(test)]
mod tests;

pub use agree::Known;
pub use fold::{AlertFold, PIPELINE};
pub use judge::{Finding, Judged};
pub use kind::{channel_name, nothing, series_kind, window};
pub use rule::{RuleFold, RuleState};
use serde::{Deserialize, Serialize};
pub use series::{Open, Phase, SeriesFold};

use footpath_model::alert::Series;
use footpath_model::definition::Severity;

/// Something that happened to an incident, for whoever keeps, shows and tells incidents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// The incident.
    pub incident: IncidentName,
    /// What happened.
    pub kind: TransitionKind,
    /// When, by the records: the end of the bucket, or when somebody said so; microseconds since 1970.
    pub at_us: i64,
    /// What was seen then, where a bucket was the reason.
    pub judged: Option<Judged>,
    /// Who it was, where somebody was.
    pub by: Option<String>,
    /// What its kind does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
    /// The rule or the incident is muted: nobody is told that it begins or gets worse.
    pub quiet: bool,
}

/// What the kind of a transition does not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// It is over, and no number was the reason: why.
    Why(String),
    /// The pipeline's begins: so many series stopped at once.
    Stopped(usize),
    /// Somebody's remark.
    Comment(String),
    /// Nobody is told until then, microseconds since 1970; 0 if that ended.
    MutedUntil(i64),
    /// Who looks after it now.
    Owner(String),
    /// What was done against it.
    Action(String),
    /// What the comparison of the numbers before and after an action says.
    Comparison(String),
}

impl Detail {
    /// In words; a time has none.
    pub fn words(&self) -> Option<String> {
        match self {
            Self::Why(text)
            | Self::Comment(text)
            | Self::Owner(text)
            | Self::Action(text)
            | Self::Comparison(text) => Some(text.clone()),
            Self::Stopped(series) => Some(format!("{series} series stopped at once")),
            Self::MutedUntil(_) => None,
        }
    }
}

/// Which incident, and what never changes about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentName {
    /// Its id: 16 hexadecimal digits made of project, rule, series and beginning.
    pub id: String,
    /// The id of the rule, or [`PIPELINE`].
    pub rule: String,
    /// Which series.
    pub series: Series,
    /// The beginning of the first bucket that was a problem, microseconds since 1970.
    pub from_us: i64,
    /// As the rule said.
    pub severity: Severity,
}

/// What happened to an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransitionKind {
    /// It began.
    Opened,
    /// It became clearly worse than what was told last.
    Escalated,
    /// Somebody looks after it.
    Acknowledged,
    /// It is over: so many buckets in a row were fine, the new level is the usual one, or somebody said so.
    Resolved,
    /// After it was over, or after something was done against it, the number fell back.
    Reopened,
    /// A remark.
    Commented,
    /// It was muted, or that ended.
    Muted,
    /// Somebody else looks after it.
    Assigned,
    /// Something was done against it.
    Acted,
    /// The numbers before and after an action were compared.
    Compared,
}

impl TransitionKind {
    /// Its name in rows, messages and metrics; never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Escalated => "escalated",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
            Self::Reopened => "reopened",
            Self::Commented => "commented",
            Self::Muted => "muted",
            Self::Assigned => "assigned",
            Self::Acted => "acted",
            Self::Compared => "compared",
        }
    }

    /// Whether destinations are told: of everything but remarks and housekeeping.
    pub fn is_news(self) -> bool {
        matches!(self, Self::Opened | Self::Escalated | Self::Acknowledged | Self::Resolved | Self::Reopened)
    }
}
