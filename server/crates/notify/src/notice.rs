//! What is told.

use footpath_model::definition::Severity;
use serde::{Deserialize, Serialize};

use crate::text;

/// What happened to the incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// The condition holds since now.
    Opened,
    /// It got clearly worse than what was told before; the severity stays.
    Escalated,
    /// A person has taken it on.
    Acknowledged,
    /// The condition does not hold any more.
    Resolved,
    /// Within a week of an action against it the condition holds again.
    Reopened,
    /// Nothing happened; somebody tries the destination.
    Test,
}

impl NoticeKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Opened, Self::Escalated, Self::Acknowledged, Self::Resolved, Self::Reopened, Self::Test];

    /// The word in messages and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Escalated => "escalated",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
            Self::Reopened => "reopened",
            Self::Test => "test",
        }
    }

    /// Whether the message says something only to who heard of the incident before.
    pub fn needs_an_opening(self) -> bool {
        matches!(self, Self::Acknowledged | Self::Resolved)
    }
}

/// Whether all data of the window has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompletenessState {
    /// Everything known of is in the number.
    #[default]
    Complete,
    /// Some events are known to be on their way.
    Late,
    /// Data that should be there is not.
    Missing,
}

impl CompletenessState {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Late => "late",
            Self::Missing => "missing",
        }
    }
}

/// How complete the number is: its watermark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Completeness {
    /// Every event acknowledged before this time is in the number; microseconds since 1970.
    pub processed_us: i64,
    /// Events known to be missing from the clients' numbering.
    pub expected_missing: u64,
    /// Both in one word.
    pub state: CompletenessState,
}

/// A part of the events that explains a part of the change.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Driver {
    /// Which part, such as `platform = android`.
    pub what: String,
    /// Its share of the change, 1 being all of it; more or below 0 where parts move against each other.
    pub contribution: Option<f64>,
    /// The part's number before.
    pub before: Option<f64>,
    /// The part's number now.
    pub after: Option<f64>,
}

/// A span of time: from is inside, to is not. Microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Window {
    /// Its beginning.
    pub from_us: i64,
    /// Its end.
    pub to_us: i64,
}

/// What is told to a destination, whole: rendering asks nobody. Times are microseconds since 1970. A number that is not finite
/// is stored as none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// The notice's id, a UUID; the same in every attempt, so a receiver can drop repetitions.
    pub id: String,
    /// What happened.
    pub kind: NoticeKind,
    /// The project's id.
    pub project: String,
    /// The environment: `prod`, `staging`, `dev`.
    pub environment: String,
    /// The incident's id, unique in the project. Notices of one incident become one thread.
    pub incident: String,
    /// The rule's id.
    pub rule: String,
    /// The rule's name.
    pub title: String,
    /// The value of the breakdown; none where the rule has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// What happened, in one line that says all by itself.
    pub summary: String,
    /// The same without the rule's name and the series, for below a title that says both; empty in what an earlier version stored.
    #[serde(default)]
    pub what: String,
    /// The rule's condition in words.
    pub condition: String,
    /// The number; none where there is no data.
    pub value: Option<f64>,
    /// What was expected.
    pub expected: Option<f64>,
    /// The lower edge of what is usual, or allowed.
    pub low: Option<f64>,
    /// The upper edge of what is usual, or allowed.
    pub high: Option<f64>,
    /// The number's unit, such as `%` or `EUR`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The span the number is about.
    pub window: Window,
    /// How complete it is.
    pub completeness: Completeness,
    /// What explains the change, the largest first.
    #[serde(default)]
    pub drivers: Vec<Driver>,
    /// What else is known of that time, such as releases.
    #[serde(default)]
    pub annotations: Vec<String>,
    /// Who looks after the rule.
    #[serde(default)]
    pub owner: String,
    /// What to do, as a URL; empty for none.
    #[serde(default)]
    pub runbook: String,
    /// The incident's page, as a URL; empty for none.
    #[serde(default)]
    pub link: String,
    /// When the incident was opened.
    pub opened_us: i64,
    /// When this happened.
    pub at_us: i64,
    /// How likely the number is by chance; only of what its past does not let expect, so that without it `low` and `high` are bounds that
    /// somebody set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
    /// Which of the detector's channels spoke, if it is an anomaly ("short window").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
}

/// The most drivers and annotations in a message: more are no help to a reader.
const MOST_LISTED: usize = 10;

impl Notice {
    /// The notice as messages show it: each text on one line and not longer than people read (names 200 characters, sentences 500), without
    /// control characters and marks that turn the direction of text, at most ten drivers and annotations, links only to the web. Every shape is made from this.
    pub fn fit(&self) -> Self {
        let optional =
            |text: &Option<String>| text.as_deref().map(text::name).filter(|text| !text.is_empty());
        Self {
            id: text::name(&self.id),
            project: text::name(&self.project),
            environment: text::name(&self.environment),
            incident: text::name(&self.incident),
            rule: text::name(&self.rule),
            title: text::name(&self.title),
            series: optional(&self.series),
            summary: text::sentence(&self.summary),
            what: text::sentence(if self.what.is_empty() { &self.summary } else { &self.what }),
            condition: text::sentence(&self.condition),
            unit: self.unit.as_deref().map(text::unit).filter(|unit| !unit.is_empty()),
            drivers: self.drivers.iter().take(MOST_LISTED).map(Driver::fit).collect(),
            annotations: self.annotations.iter().take(MOST_LISTED).map(|text| text::sentence(text)).collect(),
            owner: text::name(&self.owner),
            runbook: text::web_link(&self.runbook),
            link: text::web_link(&self.link),
            channel: optional(&self.channel),
            ..self.clone()
        }
    }

    /// The rule's name and the series, which is cut so that there is room for what happened.
    pub(crate) fn subject(&self) -> String {
        match &self.series {
            Some(series) => format!("{}, {}", self.title, text::value(series)),
            None => self.title.clone(),
        }
    }
}

impl Driver {
    fn fit(&self) -> Self {
        Self { what: text::name(&self.what), ..self.clone() }
    }
}
