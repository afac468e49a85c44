//! Alert rules: what is watched, when that is a problem, and who is told.

use serde::{Deserialize, Serialize};

use super::check::{Checker, is_id};
use super::condition::{Filter, PropertyRef, is_default};
use super::metric::Measure;
use super::{InvalidDefinition, MAX_NAME_BYTES, MetricDefinition};
use crate::calendar::CalendarUnit;

/// Most values of a breakdown that a rule watches.
pub const MAX_SERIES: u32 = 100;
/// Most buckets that a breach has to last.
pub const MAX_FOR: u32 = 100;
/// Most destinations of a rule.
pub const MAX_DESTINATIONS: usize = 10;
/// The longest delay, in days.
pub const MAX_DELAY_DAYS: i64 = 7;
/// The longest cooldown, and the longest mute, in days.
pub const MAX_COOLDOWN_DAYS: i64 = 31;
/// The most and fewest false alerts per series and month that can be asked for.
pub const FALSE_ALERTS: (f64, f64) = (0.01, 100.0);
/// The environment that is watched where a rule names none.
pub const PROD: &str = "prod";

/// When somebody is told about a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertRule {
    /// Chosen by the client: 1 to 64 of `a-z`, `0-9`, `-`, `_`.
    pub id: String,
    /// For people; may be empty.
    #[serde(default)]
    pub name: String,
    /// The server's version, 1 with the first.
    #[serde(default)]
    pub version: u64,
    /// The id of the metric.
    pub metric: String,
    /// Only events that fulfil it, beside what the metric says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// Watches each value of a property on its own, instead of the metric's own breakdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breakdown: Option<PropertyRef>,
    /// With a breakdown: how many values are watched, the largest of the first buckets.
    #[serde(default, skip_serializing_if = "is_default")]
    pub top: u32,
    /// Environments of the keys that events came with; none means `prod`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
    /// Counts what the project's filter for internal traffic and bots leaves out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub include_internal: bool,
    /// What the metric is cut into; each bucket is judged once.
    pub every: CalendarUnit,
    /// How long after a bucket's end it is judged, so that late events are in; microseconds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub delay_us: i64,
    /// What a problem is.
    pub when: AlertCondition,
    /// Buckets that are made of fewer events, sessions or persons are not judged; of ratios what counts is below the line.
    #[serde(default, skip_serializing_if = "is_default")]
    pub min_volume: u64,
    /// Differences from what is expected that are smaller than this are no problem, in the metric's own unit.
    #[serde(default, skip_serializing_if = "is_default")]
    pub min_effect: f64,
    /// The same in per cent of what is expected.
    #[serde(default, skip_serializing_if = "is_default")]
    pub min_effect_percent: f64,
    /// So many buckets in a row have to be a problem until somebody is told, and have to be none until it is over; 0 is 1.
    #[serde(default, skip_serializing_if = "is_default")]
    pub for_buckets: u32,
    /// After an incident is over, nobody is told of a new one for so long; microseconds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cooldown_us: i64,
    /// How bad it is.
    #[serde(default)]
    pub severity: Severity,
    /// Who looks after it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// An http or https link to what is to be done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub runbook: String,
    /// Ids of the destinations that are told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<String>,
    /// Judges nothing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disabled: bool,
}

/// What a problem is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AlertCondition {
    /// The number is above one bound, or below the other.
    Threshold {
        /// A problem above it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        above: Option<f64>,
        /// A problem below it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        below: Option<f64>,
    },
    /// The number differs from that of an earlier bucket.
    Change {
        /// Which one.
        against: Against,
        /// A problem if it is so many per cent more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        up_percent: Option<f64>,
        /// A problem if it is so many per cent less; 100 is nothing left.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        down_percent: Option<f64>,
    },
    /// The number is not what its own past lets expect.
    Anomaly {
        /// Which way.
        #[serde(default)]
        direction: Direction,
        /// How many false alerts a month are acceptable, for each series.
        false_alerts: f64,
    },
    /// Nothing comes any more.
    NoData {},
}

/// Which earlier bucket a change is told against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// The one before.
    Previous,
    /// The same a day earlier, on the wall clock.
    Day,
    /// The same a week earlier, on the wall clock.
    Week,
}

/// Which way a number has to go to be a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Either.
    #[default]
    Both,
    /// Up.
    Up,
    /// Down.
    Down,
}

/// How bad a problem is. Ordered: who is told may ask for a least severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look at it today.
    #[default]
    Warning,
    /// Somebody has to look at it now.
    Critical,
}

impl Severity {
    /// All of them, the lowest first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// The word in messages, in JSON, in PagerDuty's events and in labels.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl AlertRule {
    /// The first version of a rule that says nothing but what it has to.
    pub fn new(id: &str, metric: &str, every: CalendarUnit, when: AlertCondition) -> Self {
        Self {
            id: id.to_owned(),
            name: String::new(),
            version: 1,
            metric: metric.to_owned(),
            filter: None,
            breakdown: None,
            top: 0,
            environments: Vec::new(),
            include_internal: false,
            every,
            delay_us: 0,
            when,
            min_volume: 0,
            min_effect: 0.0,
            min_effect_percent: 0.0,
            for_buckets: 0,
            cooldown_us: 0,
            severity: Severity::default(),
            owner: String::new(),
            runbook: String::new(),
            destinations: Vec::new(),
            disabled: false,
        }
    }

    /// How many values of a breakdown are watched.
    pub fn top(&self) -> usize {
        if self.top == 0 { 20 } else { self.top as usize }
    }

    /// For how many buckets a problem has to last, and to be gone.
    pub fn for_buckets(&self) -> u32 {
        self.for_buckets.max(1)
    }

    /// The environments that are watched.
    pub fn environments(&self) -> Vec<String> {
        if self.environments.is_empty() { vec![PROD.into()] } else { self.environments.clone() }
    }

    /// Checks every limit.
    ///
    /// # Errors
    /// All violations at once, each with the path of its field.
    pub fn validate(&self) -> Result<(), InvalidDefinition> {
        let mut check = Checker::default();
        check.identity(&self.id, &self.name);
        check.that(is_id(&self.metric), "metric_id", || "the id of a metric".into());
        if let Some(filter) = &self.filter {
            check.filter("filter", filter, false);
        }
        if let Some(by) = &self.breakdown {
            check.property("breakdown", by);
        }
        check.that(self.top <= MAX_SERIES, "top", || format!("at most {MAX_SERIES}"));
        self.check_environments(&mut check);
        let every = matches!(
            self.every,
            CalendarUnit::Minute | CalendarUnit::Quarter | CalendarUnit::Hour | CalendarUnit::Day
        );
        check.that(every, "every", || "minute, quarter_hour, hour or day".into());
        self.check_waits(&mut check);
        self.when.check(&mut check);
        self.check_telling(&mut check);
        check.finish()
    }

    fn check_environments(&self, check: &mut Checker) {
        for (i, name) in self.environments.iter().enumerate() {
            let known = [PROD, "staging", "dev"].contains(&name.as_str());
            let repeated = self.environments[..i].contains(name);
            check.that(known && !repeated, &format!("environments[{i}]"), || {
                "prod, staging or dev, each once".into()
            });
        }
    }

    fn check_waits(&self, check: &mut Checker) {
        let waits =
            [("delay", self.delay_us, MAX_DELAY_DAYS), ("cooldown", self.cooldown_us, MAX_COOLDOWN_DAYS)];
        for (field, wait, most) in waits {
            let possible = 0..=most * 86_400_000_000;
            check.that(possible.contains(&wait), field, || format!("from nothing to {most} days"));
        }
        check.that(self.for_buckets <= MAX_FOR, "for_buckets", || format!("at most {MAX_FOR}"));
        for (field, least) in
            [("min_effect", self.min_effect), ("min_effect_percent", self.min_effect_percent)]
        {
            check.that(least.is_finite() && least >= 0.0, field, || "0 or more".into());
        }
    }

    fn check_telling(&self, check: &mut Checker) {
        check.words("owner", &self.owner);
        check.words("runbook", &self.runbook);
        let link = self.runbook.is_empty()
            || self.runbook.starts_with("https://")
            || self.runbook.starts_with("http://");
        check.that(link, "runbook", || "a link that begins with https:// or http://".into());
        check.count("destinations", self.destinations.len(), 0, MAX_DESTINATIONS);
        for (i, id) in self.destinations.iter().take(MAX_DESTINATIONS).enumerate() {
            let field = format!("destinations[{i}]");
            check.that(is_id(id), &field, || "the id of a destination".into());
            let repeated = self.destinations[..i].contains(id);
            check.that(!repeated, &field, || "named before; name each destination once".into());
        }
    }
}

impl AlertCondition {
    fn check(&self, check: &mut Checker) {
        match self {
            Self::Threshold { above, below } => {
                check.that(above.is_some() || below.is_some(), "threshold", || "name above or below".into());
                let apart = above.zip(*below).is_none_or(|(above, below)| below < above);
                check.that(apart, "threshold.below", || {
                    "lower than above: every number would be a problem".into()
                });
                for (field, bound) in [("threshold.above", above), ("threshold.below", below)] {
                    check.that(bound.is_none_or(f64::is_finite), field, || "a finite number".into());
                }
            }
            Self::Change { up_percent, down_percent, .. } => {
                let named = up_percent.is_some() || down_percent.is_some();
                check.that(named, "change", || "name up_percent or down_percent".into());
                let up = up_percent.is_none_or(|up| up.is_finite() && up > 0.0);
                check.that(up, "change.up_percent", || "above 0".into());
                let down = down_percent.is_none_or(|down| down > 0.0 && down <= 100.0);
                check.that(down, "change.down_percent", || "above 0, at most 100".into());
            }
            Self::Anomaly { false_alerts, .. } => {
                let (least, most) = FALSE_ALERTS;
                check.that((least..=most).contains(false_alerts), "anomaly.false_alerts_per_month", || {
                    format!("from {least} to {most}")
                });
            }
            Self::NoData {} => {}
        }
    }
}

/// Whether a metric can be watched as a rule wants to.
///
/// # Errors
/// If it cannot be filtered or broken down that way.
pub fn fits(rule: &AlertRule, metric: &MetricDefinition) -> Result<(), InvalidDefinition> {
    let mut check = Checker::default();
    let of_events = matches!(metric.measure, Measure::Events(_) | Measure::Ratio { .. });
    check.that(rule.filter.is_none() || of_events, "filter", || {
        "only metrics of events can be filtered; filter the funnel's steps instead".into()
    });
    check.that(rule.breakdown.is_none() || of_events, "breakdown", || {
        "only metrics of events can be broken down by a rule".into()
    });
    check.finish()
}

/// The longest text of a comment or an annotation, in bytes.
pub const MAX_TEXT_BYTES: usize = 16 * MAX_NAME_BYTES;
