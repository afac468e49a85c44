//! Definitions as files: TOML that people read, compare and keep under version control.
//!
//! ```toml
//! [[funnel]]
//! id = "checkout"
//! title = "Checkout"
//! window = "1h"
//! range = "last 30 days"
//!
//! [[funnel.step]]
//! label = "Basket"
//! events = ["add_to_cart", "cart"]
//!
//! [[funnel.step]]
//! events = ["purchase"]
//!
//! [[funnel.step.where]]
//! property = "plan"
//! operator = "equals"
//! values = ["pro"]
//! ```

use anyhow::{Context as _, anyhow};
use footpath_proto::v1;
use serde::{Deserialize, Serialize};
use v1::definition_service_client::DefinitionServiceClient;

use super::remote::{Project, SignedChannel, explain_for};
use super::span::{Range, Window};

/// What the operators' names begin with in the API.
const OPERATOR: &str = "CONDITION_OPERATOR_";

/// One file.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The funnels.
    #[serde(default, rename = "funnel", skip_serializing_if = "Vec::is_empty")]
    pub funnels: Vec<Funnel>,
}

/// One funnel. Labels are always filled in here, and left out of a file where they say nothing new.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Funnel {
    /// 1 to 64 of a-z, 0-9, "-", "_".
    pub id: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// A conversion has to finish within this time from its first step.
    pub window: Window,
    /// What is counted when nobody asks for another range.
    #[serde(default)]
    pub range: Range,
    /// IANA name of the zone that days are cut in.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// The steps.
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// For people; left out, the first event's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// Event names, any of them.
    pub events: Vec<String>,
    /// Conditions, all of them.
    #[serde(default, rename = "where", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// A comparison of one property.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The property's key.
    pub property: String,
    /// equals, not_equals, contains, prefix, greater, greater_or_equal, less, less_or_equal, is_set, is_not_set.
    pub operator: String,
    /// What to compare with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Scalar>,
}

/// A value to compare with, as TOML writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// Text.
    Text(String),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// True or false.
    Bool(bool),
}

impl From<Scalar> for String {
    fn from(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Text(text) => text,
            Scalar::Int(number) => number.to_string(),
            Scalar::Float(number) => number.to_string(),
            Scalar::Bool(is) => is.to_string(),
        }
    }
}

fn utc() -> String {
    "UTC".into()
}

/// The funnels of a file.
///
/// # Errors
/// With line and column of what cannot be read.
pub fn parse(text: &str) -> anyhow::Result<Vec<Funnel>> {
    let file: File = toml::from_str(text)?;
    Ok(file.funnels)
}

/// A file with these funnels.
///
/// # Errors
/// If TOML cannot say it.
pub fn write(funnels: Vec<Funnel>) -> anyhow::Result<String> {
    Ok(toml::to_string(&File { funnels })?)
}

impl Funnel {
    /// As the API takes it.
    ///
    /// # Errors
    /// If an operator is not known.
    pub fn to_message(&self) -> anyhow::Result<v1::Funnel> {
        let steps = self.steps.iter().map(Step::to_message).collect::<anyhow::Result<_>>();
        Ok(v1::Funnel {
            id: self.id.clone(),
            title: self.title.clone(),
            steps: steps.with_context(|| format!("funnel {:?}", self.id))?,
            window: Some(self.window.into()),
            range: Some(v1::TimeRange {
                kind: Some(self.range.clone().into()),
                time_zone: self.time_zone.clone(),
            }),
            ..v1::Funnel::default()
        })
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
            window: funnel.window.ok_or_else(newer)?.into(),
            range: Range::try_from(kind).map_err(|error| anyhow!(error))?,
            time_zone: range.time_zone,
            steps: funnel.steps.into_iter().map(Step::from_message).collect(),
            id: funnel.id,
            title: funnel.title,
        })
    }
}

impl Step {
    fn to_message(&self) -> anyhow::Result<v1::FunnelStep> {
        Ok(v1::FunnelStep {
            label: self.label.clone(),
            events: self.events.clone(),
            conditions: self.conditions.iter().map(Condition::to_message).collect::<anyhow::Result<_>>()?,
            ..v1::FunnelStep::default()
        })
    }

    fn from_message(step: v1::FunnelStep) -> Self {
        let plain = step.events.first() == Some(&step.label);
        Self {
            label: if plain { String::new() } else { step.label },
            events: step.events,
            conditions: step.conditions.into_iter().map(Condition::from_message).collect(),
        }
    }
}

impl Condition {
    fn to_message(&self) -> anyhow::Result<v1::PropertyCondition> {
        let name = format!("{OPERATOR}{}", self.operator.to_ascii_uppercase());
        let operator = v1::ConditionOperator::from_str_name(&name).with_context(|| {
            format!("{:?} is no operator; equals, contains and is_set are some", self.operator)
        })?;
        Ok(v1::PropertyCondition {
            property: self.property.clone(),
            operator: operator.into(),
            values: self.values.iter().cloned().map(String::from).collect(),
            ..v1::PropertyCondition::default()
        })
    }

    fn from_message(condition: v1::PropertyCondition) -> Self {
        let name = condition.operator().as_str_name();
        Self {
            operator: name.strip_prefix(OPERATOR).unwrap_or(name).to_ascii_lowercase(),
            property: condition.property,
            values: condition.values.into_iter().map(Scalar::Text).collect(),
        }
    }
}

/// All funnels of a project, as the API shows them; `role` is what the caller's command needs.
///
/// # Errors
/// If the server does not answer or the token does not suffice.
pub async fn list(channel: SignedChannel, project: &Project, role: &str) -> anyhow::Result<Vec<v1::Funnel>> {
    let mut definitions = DefinitionServiceClient::new(channel);
    let mut funnels = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListFunnelsRequest { project: project.id.clone(), page_size: 0, page_token };
        let page = definitions.list_funnels(request).await.map_err(|status| explain_for(role, &status))?;
        let page = page.into_inner();
        funnels.extend(page.funnels);
        if page.next_page_token.is_empty() {
            return Ok(funnels);
        }
        page_token = page.next_page_token;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"[[funnel]]
id = "checkout"
title = "Checkout"
window = "1h"
range = "last 30 days"
time_zone = "Europe/Zurich"

[[funnel.step]]
label = "Basket"
events = ["add_to_cart", "cart"]

[[funnel.step]]
events = ["purchase"]

[[funnel.step.where]]
property = "plan"
operator = "not_equals"
values = ["free", "trial"]

[[funnel.step.where]]
property = "voucher"
operator = "is_set"
"#;

    #[test]
    fn a_file_is_read_and_written_alike() {
        let funnels = parse(TEXT).unwrap();
        assert_eq!(write(funnels.clone()).unwrap(), TEXT);
        let again = Funnel::from_message(funnels[0].to_message().unwrap()).unwrap();
        assert_eq!(again, funnels[0]);
    }

    #[test]
    fn a_mistake_is_named() {
        let wrong = |from: &str, to: &str| {
            let read = parse(&TEXT.replace(from, to)).and_then(|funnels| funnels[0].to_message());
            format!("{:#}", read.unwrap_err())
        };
        assert!(wrong("title", "tite").contains("tite"));
        assert!(wrong("1h", "soon").contains("30d"));
        assert!(wrong("last 30", "first 30").contains("last 30 days"));
        assert!(wrong("not_equals", "like").contains("like"));
    }
}
