//! Metrics and segments in files.

use anyhow::{Context as _, bail};
use footpath_proto::v1;
use serde::{Deserialize, Serialize};
use v1::metric::Measure;

use super::field::List;
use super::filter::{Where, apart, joined};
use super::word::{Word, is_default};

/// A filter with a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// 1 to 64 of a-z, 0-9, "-", "_".
    pub id: String,
    /// For people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub title: String,
    /// What an event has to fulfil, all of it.
    #[serde(rename = "where")]
    pub conditions: Vec<Where>,
}

impl Segment {
    /// As the API takes it.
    ///
    /// # Errors
    /// If a condition says nothing, or several things.
    pub fn to_message(&self) -> anyhow::Result<v1::Segment> {
        let filter = joined(&self.conditions)?;
        Ok(v1::Segment { id: self.id.clone(), title: self.title.clone(), filter, ..v1::Segment::default() })
    }

    /// Its lists of conditions.
    pub fn wheres(&self) -> Vec<List<'_>> {
        vec![List { of: String::new(), conditions: &self.conditions, is_split: false }]
    }

    /// From the API.
    pub fn from_message(segment: v1::Segment) -> Self {
        Self { id: segment.id, title: segment.title, conditions: apart(segment.filter) }
    }
}

/// A property.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Property {
    /// The property's key.
    pub property: String,
    /// Whose property it is; left out, the event's.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scope: Word<v1::PropertyScope>,
    /// With a group's property: the type of the group.
    #[serde(default, skip_serializing_if = "is_default")]
    pub group_type: String,
    /// Which value, for persons and groups; left out, the one at the event.
    #[serde(default, skip_serializing_if = "is_default")]
    pub moment: Word<v1::PropertyMoment>,
}

impl From<&Property> for v1::PropertyReference {
    fn from(property: &Property) -> Self {
        Self {
            property: property.property.clone(),
            scope: property.scope.number(),
            group_type: property.group_type.clone(),
            moment: property.moment.number(),
        }
    }
}

impl From<v1::PropertyReference> for Property {
    fn from(property: v1::PropertyReference) -> Self {
        Self {
            scope: Word::of(property.scope),
            moment: Word::of(property.moment),
            property: property.property,
            group_type: property.group_type,
        }
    }
}

/// One metric: exactly one of `events`, `ratio`, `sessions`, `conversion` is there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// 1 to 64 of a-z, 0-9, "-", "_".
    pub id: String,
    /// For people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub title: String,
    /// Counts internal traffic and bots too.
    #[serde(default, skip_serializing_if = "is_default")]
    pub include_internal: bool,
    /// Something of events.
    #[serde(default, skip_serializing_if = "is_default")]
    pub events: Option<Term>,
    /// One number over another.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ratio: Option<Ratio>,
    /// Something of sessions.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sessions: Option<Sessions>,
    /// The share that reached a step of a funnel.
    #[serde(default, skip_serializing_if = "is_default")]
    pub conversion: Option<Conversion>,
    /// Numbers for each value of a property.
    #[serde(default, skip_serializing_if = "is_default")]
    pub breakdown: Option<Property>,
}

/// Something of events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// Event names, any of them; left out, all events.
    #[serde(default, skip_serializing_if = "is_default")]
    pub events: Vec<String>,
    /// What is made of them.
    pub aggregate: Word<v1::MetricAggregate>,
    /// The property, for all but count and unique persons.
    #[serde(default, skip_serializing_if = "is_default")]
    pub property: String,
    /// 0 to 100, for percentiles.
    #[serde(default, skip_serializing_if = "is_default")]
    pub percentiles: Vec<f64>,
    /// Conditions, all of them.
    #[serde(default, rename = "where", skip_serializing_if = "is_default")]
    pub conditions: Vec<Where>,
}

/// One number over another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ratio {
    /// Above the line.
    pub numerator: Term,
    /// Below it.
    pub denominator: Term,
}

/// Something of sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sessions {
    /// What.
    pub aggregate: Word<v1::SessionAggregate>,
    /// 0 to 100, for percentiles.
    #[serde(default, skip_serializing_if = "is_default")]
    pub percentiles: Vec<f64>,
}

/// The share that reached a step of a funnel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conversion {
    /// The funnel's id.
    pub funnel: String,
    /// The step, counted from 1; left out, the last.
    #[serde(default, skip_serializing_if = "is_default")]
    pub step: u32,
}

impl Term {
    fn to_message(&self) -> anyhow::Result<v1::MetricTerm> {
        Ok(v1::MetricTerm {
            events: self.events.clone(),
            filter: joined(&self.conditions)?,
            aggregate: self.aggregate.number(),
            property: self.property.clone(),
            percentiles: self.percentiles.clone(),
        })
    }

    fn from_message(term: v1::MetricTerm) -> Self {
        Self {
            aggregate: Word::of(term.aggregate),
            events: term.events,
            property: term.property,
            percentiles: term.percentiles,
            conditions: apart(term.filter),
        }
    }
}

impl Metric {
    /// As the API takes it.
    ///
    /// # Errors
    /// If it does not have exactly one measure, or a condition says nothing or several things.
    pub fn to_message(&self) -> anyhow::Result<v1::Metric> {
        let measure = match (&self.events, &self.ratio, &self.sessions, &self.conversion) {
            (Some(events), None, None, None) => Measure::Events(events.to_message()?),
            (None, Some(ratio), None, None) => Measure::Ratio(v1::MetricRatio {
                numerator: Some(ratio.numerator.to_message().context("numerator")?),
                denominator: Some(ratio.denominator.to_message().context("denominator")?),
            }),
            (None, None, Some(of), None) => Measure::Sessions(v1::SessionMeasure {
                aggregate: of.aggregate.number(),
                percentiles: of.percentiles.clone(),
            }),
            (None, None, None, Some(of)) => {
                Measure::Conversion(v1::FunnelConversion { funnel_id: of.funnel.clone(), step: of.step })
            }
            _ => bail!("a metric has exactly one of events, ratio, sessions, conversion"),
        };
        Ok(v1::Metric {
            id: self.id.clone(),
            title: self.title.clone(),
            measure: Some(measure),
            breakdown: self.breakdown.as_ref().map(Into::into),
            include_internal: self.include_internal,
            ..v1::Metric::default()
        })
    }

    /// Its lists of conditions.
    pub fn wheres(&self) -> Vec<List<'_>> {
        let ratio = self.ratio.as_ref();
        let terms = [
            ("events", self.events.as_ref()),
            ("ratio.numerator", ratio.map(|ratio| &ratio.numerator)),
            ("ratio.denominator", ratio.map(|ratio| &ratio.denominator)),
        ];
        let known = terms.into_iter().filter_map(|(of, term)| Some((of.to_owned(), &term?.conditions)));
        known.map(|(of, conditions)| List { of, conditions, is_split: false }).collect()
    }

    /// From the API.
    ///
    /// # Errors
    /// If the server is newer and says something that files cannot say.
    pub fn from_message(message: v1::Metric) -> anyhow::Result<Self> {
        let mut metric = Self {
            id: message.id,
            title: message.title,
            include_internal: message.include_internal,
            breakdown: message.breakdown.map(Into::into),
            ..Self::default()
        };
        match message.measure {
            Some(Measure::Events(term)) => metric.events = Some(Term::from_message(term)),
            Some(Measure::Ratio(v1::MetricRatio { numerator: Some(over), denominator: Some(under) })) => {
                let (numerator, denominator) = (Term::from_message(over), Term::from_message(under));
                metric.ratio = Some(Ratio { numerator, denominator });
            }
            Some(Measure::Sessions(of)) => {
                let aggregate = Word::of(of.aggregate);
                metric.sessions = Some(Sessions { aggregate, percentiles: of.percentiles });
            }
            Some(Measure::Conversion(of)) => {
                metric.conversion = Some(Conversion { funnel: of.funnel_id, step: of.step });
            }
            _ => bail!("metric {:?} needs a newer version of this program", metric.id),
        }
        Ok(metric)
    }
}
