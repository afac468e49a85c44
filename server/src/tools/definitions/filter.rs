//! Conditions in files: one list in which everything has to hold.

use anyhow::bail;
use footpath_proto::v1;
use serde::{Deserialize, Serialize};
use v1::filter::Kind;

use super::word::{Word, is_default};

/// A comparison, or others put together; exactly one of `property`, `any`, `all`, `not`, `segment` is there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Where {
    /// The property's key.
    #[serde(skip_serializing_if = "is_default")]
    pub property: Option<String>,
    /// The comparison.
    #[serde(skip_serializing_if = "is_default")]
    pub operator: Word<v1::ConditionOperator>,
    /// What to compare with.
    #[serde(skip_serializing_if = "is_default")]
    pub values: Vec<Scalar>,
    /// Whose property it is; left out, the event's.
    #[serde(skip_serializing_if = "is_default")]
    pub scope: Word<v1::PropertyScope>,
    /// With a group's property: the type of the group.
    #[serde(skip_serializing_if = "is_default")]
    pub group_type: String,
    /// Which value, for persons and groups; left out, the one at the event.
    #[serde(skip_serializing_if = "is_default")]
    pub moment: Word<v1::PropertyMoment>,
    /// The id of a segment.
    #[serde(skip_serializing_if = "is_default")]
    pub segment: Option<String>,
    /// At least one of them holds.
    #[serde(skip_serializing_if = "is_default")]
    pub any: Option<Vec<Where>>,
    /// All of them hold.
    #[serde(skip_serializing_if = "is_default")]
    pub all: Option<Vec<Where>>,
    /// It does not hold.
    #[serde(skip_serializing_if = "is_default")]
    pub not: Option<Box<Where>>,
}

/// A value to compare with, as TOML writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a value is a text, a number, true or false, or a time")]
pub enum Scalar {
    /// Text.
    Text(String),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// A moment.
    Time(toml::value::Datetime),
}

impl From<Scalar> for String {
    fn from(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Text(text) => text,
            Scalar::Int(number) => number.to_string(),
            Scalar::Float(number) => number.to_string(),
            Scalar::Bool(is) => is.to_string(),
            Scalar::Time(time) => time.to_string(),
        }
    }
}

impl Where {
    /// As the API takes it.
    ///
    /// # Errors
    /// If it says nothing, or several things.
    pub fn to_message(&self) -> anyhow::Result<v1::Filter> {
        let list = |parts: &[Self]| -> anyhow::Result<v1::FilterList> {
            Ok(v1::FilterList { filters: parts.iter().map(Self::to_message).collect::<anyhow::Result<_>>()? })
        };
        let kind = match (&self.property, &self.any, &self.all, &self.not, &self.segment) {
            (Some(property), None, None, None, None) => Kind::Condition(self.condition(property)),
            _ if *self != self.without_comparison() => {
                bail!("a condition has one property, and neither any, all, not nor segment beside it")
            }
            (None, Some(any), None, None, None) => Kind::Any(list(any)?),
            (None, None, Some(all), None, None) => Kind::All(list(all)?),
            (None, None, None, Some(not), None) => Kind::Not(Box::new(not.to_message()?)),
            (None, None, None, None, Some(id)) => Kind::SegmentId(id.clone()),
            _ => bail!("a condition has exactly one of property, any, all, not, segment"),
        };
        Ok(v1::Filter { kind: Some(kind) })
    }

    /// Without what belongs to a property.
    fn without_comparison(&self) -> Self {
        let Self { any, all, not, segment, .. } = self.clone();
        Self { any, all, not, segment, ..Self::default() }
    }

    fn condition(&self, property: &str) -> v1::PropertyCondition {
        v1::PropertyCondition {
            property: property.to_owned(),
            operator: self.operator.number(),
            values: self.values.iter().cloned().map(String::from).collect(),
            scope: self.scope.number(),
            group_type: self.group_type.clone(),
            moment: self.moment.number(),
        }
    }

    /// From the API.
    pub fn from_message(filter: v1::Filter) -> Self {
        let list = |list: v1::FilterList| Some(list.filters.into_iter().map(Self::from_message).collect());
        match filter.kind {
            None => Self::default(),
            Some(Kind::Condition(condition)) => Self::from_condition(condition),
            Some(Kind::Any(any)) => Self { any: list(any), ..Self::default() },
            Some(Kind::All(all)) => Self { all: list(all), ..Self::default() },
            Some(Kind::Not(not)) => Self { not: Some(Box::new(Self::from_message(*not))), ..Self::default() },
            Some(Kind::SegmentId(id)) => Self { segment: Some(id), ..Self::default() },
        }
    }

    fn from_condition(condition: v1::PropertyCondition) -> Self {
        Self {
            property: Some(condition.property),
            operator: Word::of(condition.operator),
            values: condition.values.into_iter().map(Scalar::Text).collect(),
            scope: Word::of(condition.scope),
            group_type: condition.group_type,
            moment: Word::of(condition.moment),
            ..Self::default()
        }
    }
}

/// A list in which everything has to hold, as one filter; nothing if there is none.
///
/// # Errors
/// If a part says nothing, or several things.
pub fn joined(list: &[Where]) -> anyhow::Result<Option<v1::Filter>> {
    let mut filters = list.iter().map(Where::to_message).collect::<anyhow::Result<Vec<_>>>()?;
    if filters.len() < 2 {
        return Ok(filters.pop());
    }
    Ok(Some(v1::Filter { kind: Some(Kind::All(v1::FilterList { filters })) }))
}

/// The list that [`joined`] makes this filter of.
pub fn apart(filter: Option<v1::Filter>) -> Vec<Where> {
    match filter.and_then(|filter| filter.kind) {
        None => Vec::new(),
        Some(Kind::All(all)) if all.filters.len() > 1 => {
            all.filters.into_iter().map(Where::from_message).collect()
        }
        kind => vec![Where::from_message(v1::Filter { kind })],
    }
}

/// A step's list: plain conditions first, since only there they can compare at the entry, then the rest as one filter.
///
/// # Errors
/// As [`joined`].
pub fn split(list: &[Where]) -> anyhow::Result<(Vec<v1::PropertyCondition>, Option<v1::Filter>)> {
    let (plain, rest): (Vec<_>, Vec<_>) = list.iter().cloned().partition(|one| one.property.is_some());
    let mut conditions = Vec::new();
    for one in plain {
        if let Some(Kind::Condition(condition)) = one.to_message()?.kind {
            conditions.push(condition);
        }
    }
    Ok((conditions, joined(&rest)?))
}

/// The list that [`split`] makes these of.
pub fn unsplit(conditions: Vec<v1::PropertyCondition>, filter: Option<v1::Filter>) -> Vec<Where> {
    let mut list: Vec<_> = conditions.into_iter().map(Where::from_condition).collect();
    let rest = apart(filter.clone());
    // Parts of an "all" that are conditions would come back as conditions of the step.
    if rest.len() > 1 && rest.iter().any(|one| one.property.is_some()) {
        list.extend(filter.map(Where::from_message));
    } else {
        list.extend(rest);
    }
    list
}
