//! Funnels in files.

use anyhow::{Context as _, anyhow};
use footpath_proto::v1;
use serde::{Deserialize, Serialize};

use super::field::List;
use super::filter::{Where, apart, joined, split, unsplit};
use super::metric::Property;
use super::word::{Word, is_default};
use crate::tools::span::{Range, Window};

/// One funnel. What is left out means what it means in the API: the preset's rule, or Footpath's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Funnel {
    /// 1 to 64 of a-z, 0-9, "-", "_".
    pub id: String,
    /// For people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub title: String,
    /// The product whose rules it takes over.
    #[serde(default, skip_serializing_if = "is_default")]
    pub preset: Word<v1::FunnelPreset>,
    /// A conversion has to finish within this time.
    pub window: Window,
    /// What the window is counted from.
    #[serde(default, skip_serializing_if = "is_default")]
    pub window_from: Word<v1::FunnelWindowFrom>,
    /// What is counted when nobody asks for another range.
    #[serde(default)]
    pub range: Range,
    /// IANA name of the zone that days are cut in; left out, the project's.
    #[serde(default, skip_serializing_if = "is_default")]
    pub time_zone: String,
    /// Which of several entries counts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub entry: Word<v1::FunnelEntry>,
    /// Whether and how other events may come in between.
    #[serde(default, skip_serializing_if = "is_default")]
    pub order: Word<v1::FunnelOrder>,
    /// What becomes of events at the same time.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ties: Word<v1::FunnelTies>,
    /// Events that follow each other within this time count as at the same time.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tie_tolerance: Option<Window>,
    /// What is counted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub counting: Word<v1::FunnelCounting>,
    /// The type of the groups that are counted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub group_type: String,
    /// What excluded events do.
    #[serde(default, skip_serializing_if = "is_default")]
    pub exclusion_effect: Word<v1::ExclusionEffect>,
    /// Counts internal traffic and bots too.
    #[serde(default, skip_serializing_if = "is_default")]
    pub include_internal: bool,
    /// With the preset clickhouse: the modes of `windowFunnel`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub window_funnel: Option<Modes>,
    /// Numbers for each value of a property.
    #[serde(default, skip_serializing_if = "is_default")]
    pub breakdown: Option<Breakdown>,
    /// Properties that have the same value at all steps.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hold_constant: Vec<Property>,
    /// The steps.
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
    /// Events that must not happen on the way.
    #[serde(default, rename = "exclusion", skip_serializing_if = "is_default")]
    pub exclusions: Vec<Exclusion>,
}

/// The modes of ClickHouse's `windowFunnel`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Modes {
    /// A step that is repeated ends the search.
    #[serde(skip_serializing_if = "is_default")]
    pub strict_deduplication: bool,
    /// Any other event ends the search.
    #[serde(skip_serializing_if = "is_default")]
    pub strict_order: bool,
    /// Times have to increase.
    #[serde(skip_serializing_if = "is_default")]
    pub strict_increase: bool,
    /// An event serves one step of a chain.
    #[serde(skip_serializing_if = "is_default")]
    pub strict_once: bool,
    /// With `strict_order`: steps that come too early are passed over.
    #[serde(skip_serializing_if = "is_default")]
    pub allow_reentry: bool,
}

/// Numbers for each value of a property.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breakdown {
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
    /// Which of a chain's events gives the value; left out, the first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub attribution: Word<v1::BreakdownAttribution>,
    /// With attribution to a step: which, counted from 1.
    #[serde(default, skip_serializing_if = "is_default")]
    pub attribution_step: u32,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// For people; left out, the first event's name.
    #[serde(default, skip_serializing_if = "is_default")]
    pub label: String,
    /// Event names, any of them.
    pub events: Vec<String>,
    /// May be skipped.
    #[serde(default, skip_serializing_if = "is_default")]
    pub optional: bool,
    /// Conditions, all of them.
    #[serde(default, rename = "where", skip_serializing_if = "is_default")]
    pub conditions: Vec<Where>,
}

/// Events that must not happen between two steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exclusion {
    /// Event names, any of them.
    pub events: Vec<String>,
    /// After this step, counted from 1; left out, the first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub after_step: u32,
    /// And before this one; left out, the last.
    #[serde(default, skip_serializing_if = "is_default")]
    pub before_step: u32,
    /// Conditions, all of them.
    #[serde(default, rename = "where", skip_serializing_if = "is_default")]
    pub conditions: Vec<Where>,
}

impl Funnel {
    /// As the API takes it.
    ///
    /// # Errors
    /// If a condition says nothing, or several things.
    pub fn to_message(&self) -> anyhow::Result<v1::Funnel> {
        let steps = self.steps.iter().map(Step::to_message).collect::<anyhow::Result<_>>();
        let exclusions = self.exclusions.iter().map(Exclusion::to_message).collect::<anyhow::Result<_>>();
        let kind = Some(self.range.clone().into());
        Ok(v1::Funnel {
            id: self.id.clone(),
            title: self.title.clone(),
            steps: steps.context("a step")?,
            window: Some(self.window.into()),
            range: Some(v1::TimeRange { kind, time_zone: self.time_zone.clone() }),
            preset: self.preset.number(),
            window_from: self.window_from.number(),
            entry: self.entry.number(),
            order: self.order.number(),
            ties: self.ties.number(),
            tie_tolerance: self.tie_tolerance.map(Into::into),
            counting: self.counting.number(),
            group_type: self.group_type.clone(),
            exclusions: exclusions.context("an exclusion")?,
            exclusion_effect: self.exclusion_effect.number(),
            hold_constant: self.hold_constant.iter().map(Into::into).collect(),
            breakdown: self.breakdown.as_ref().map(Breakdown::to_message),
            window_funnel: self.window_funnel.as_ref().map(Modes::to_message),
            include_internal: self.include_internal,
            version: 0,
            etag: String::new(),
        })
    }

    /// Its lists of conditions.
    pub fn wheres(&self) -> Vec<List<'_>> {
        let steps = self.steps.iter().enumerate().map(|(i, step)| List {
            of: format!("steps[{i}]"),
            conditions: &step.conditions,
            is_split: true,
        });
        let exclusions = self.exclusions.iter().enumerate().map(|(i, exclusion)| List {
            of: format!("exclusions[{i}]"),
            conditions: &exclusion.conditions,
            is_split: false,
        });
        steps.chain(exclusions).collect()
    }

    /// From the API.
    ///
    /// # Errors
    /// If the server is newer and says something that files cannot say.
    pub fn from_message(funnel: v1::Funnel) -> anyhow::Result<Self> {
        let newer = || anyhow!("funnel {:?} needs a newer version of this program", funnel.id);
        let range = funnel.range.clone().unwrap_or_default();
        let kind = range.kind.ok_or_else(newer)?;
        Ok(Self {
            preset: Word::of(funnel.preset),
            window: funnel.window.ok_or_else(newer)?.into(),
            window_from: Word::of(funnel.window_from),
            range: Range::try_from(kind).map_err(|error| anyhow!(error))?,
            time_zone: range.time_zone,
            entry: Word::of(funnel.entry),
            order: Word::of(funnel.order),
            ties: Word::of(funnel.ties),
            tie_tolerance: funnel.tie_tolerance.map(Into::into),
            counting: Word::of(funnel.counting),
            group_type: funnel.group_type,
            exclusion_effect: Word::of(funnel.exclusion_effect),
            include_internal: funnel.include_internal,
            window_funnel: funnel.window_funnel.map(Modes::from_message),
            breakdown: funnel.breakdown.map(Breakdown::from_message),
            hold_constant: funnel.hold_constant.into_iter().map(Into::into).collect(),
            steps: funnel.steps.into_iter().map(Step::from_message).collect(),
            exclusions: funnel.exclusions.into_iter().map(Exclusion::from_message).collect(),
            id: funnel.id,
            title: funnel.title,
        })
    }
}

impl Modes {
    fn to_message(&self) -> v1::WindowFunnelModes {
        v1::WindowFunnelModes {
            strict_deduplication: self.strict_deduplication,
            strict_order: self.strict_order,
            strict_increase: self.strict_increase,
            strict_once: self.strict_once,
            allow_reentry: self.allow_reentry,
        }
    }

    fn from_message(modes: v1::WindowFunnelModes) -> Self {
        Self {
            strict_deduplication: modes.strict_deduplication,
            strict_order: modes.strict_order,
            strict_increase: modes.strict_increase,
            strict_once: modes.strict_once,
            allow_reentry: modes.allow_reentry,
        }
    }
}

impl Breakdown {
    fn to_message(&self) -> v1::FunnelBreakdown {
        v1::FunnelBreakdown {
            property: Some(v1::PropertyReference {
                property: self.property.clone(),
                scope: self.scope.number(),
                group_type: self.group_type.clone(),
                moment: self.moment.number(),
            }),
            attribution: self.attribution.number(),
            attribution_step: self.attribution_step,
        }
    }

    fn from_message(breakdown: v1::FunnelBreakdown) -> Self {
        let property = breakdown.property.unwrap_or_default();
        Self {
            scope: Word::of(property.scope),
            moment: Word::of(property.moment),
            property: property.property,
            group_type: property.group_type,
            attribution: Word::of(breakdown.attribution),
            attribution_step: breakdown.attribution_step,
        }
    }
}

impl Step {
    fn to_message(&self) -> anyhow::Result<v1::FunnelStep> {
        let (conditions, filter) = split(&self.conditions)?;
        Ok(v1::FunnelStep {
            label: self.label.clone(),
            events: self.events.clone(),
            conditions,
            filter,
            optional: self.optional,
        })
    }

    fn from_message(step: v1::FunnelStep) -> Self {
        Self {
            label: step.label,
            events: step.events,
            optional: step.optional,
            conditions: unsplit(step.conditions, step.filter),
        }
    }
}

impl Exclusion {
    fn to_message(&self) -> anyhow::Result<v1::FunnelExclusion> {
        Ok(v1::FunnelExclusion {
            events: self.events.clone(),
            filter: joined(&self.conditions)?,
            after_step: self.after_step,
            before_step: self.before_step,
        })
    }

    fn from_message(exclusion: v1::FunnelExclusion) -> Self {
        Self {
            events: exclusion.events,
            after_step: exclusion.after_step,
            before_step: exclusion.before_step,
            conditions: apart(exclusion.filter),
        }
    }
}
