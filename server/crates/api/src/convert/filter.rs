//! Filters and properties, from the API's messages and to them.

use footpath_model::definition::{
    AllOf, AnyOf, AsOf, Condition, Filter, InSegment, MAX_FILTER_DEPTH, NotThis, Op, PropertyRef, Scope,
};
use footpath_proto::v1;
use tonic::Status;
use v1::filter::Kind;

use super::{known, wrong};

const OPERATORS: [(v1::ConditionOperator, Op); 11] = [
    (v1::ConditionOperator::Equals, Op::In),
    (v1::ConditionOperator::NotEquals, Op::NotEq),
    (v1::ConditionOperator::Contains, Op::Contains),
    (v1::ConditionOperator::Prefix, Op::Prefix),
    (v1::ConditionOperator::Regex, Op::Regex),
    (v1::ConditionOperator::Greater, Op::Gt),
    (v1::ConditionOperator::GreaterOrEqual, Op::Gte),
    (v1::ConditionOperator::Less, Op::Lt),
    (v1::ConditionOperator::LessOrEqual, Op::Lte),
    (v1::ConditionOperator::IsSet, Op::IsSet),
    (v1::ConditionOperator::IsNotSet, Op::IsNotSet),
];

/// A filter from the API; `path` names it.
///
/// # Errors
/// INVALID_ARGUMENT that names the field.
pub fn filter(path: &str, filter: &v1::Filter) -> Result<Filter, Status> {
    part(path, filter, 0)
}

fn part(path: &str, filter: &v1::Filter, depth: usize) -> Result<Filter, Status> {
    if depth > MAX_FILTER_DEPTH {
        return Err(wrong(path, &format!("nested at most {MAX_FILTER_DEPTH} deep")));
    }
    let parts = |of: &str, list: &v1::FilterList| -> Result<Vec<Filter>, Status> {
        let each = list.filters.iter().enumerate();
        each.map(|(i, one)| part(&format!("{path}.{of}[{i}]"), one, depth + 1)).collect()
    };
    Ok(match &filter.kind {
        None => return Err(wrong(path, "name a condition, all, any, not or a segment_id")),
        Some(Kind::Condition(one)) => condition(path, one)?.into(),
        Some(Kind::All(list)) => Filter::all(parts("all", list)?),
        Some(Kind::Any(list)) => Filter::any(parts("any", list)?),
        Some(Kind::Not(one)) => Filter::not(part(&format!("{path}.not"), one, depth + 1)?),
        Some(Kind::SegmentId(id)) => Filter::Segment(InSegment { segment: id.clone(), means: None }),
    })
}

/// Conditions and a filter that all have to hold, as one list: the filter last.
///
/// # Errors
/// INVALID_ARGUMENT that names the field.
pub fn filters(
    path: &str,
    conditions: &[v1::PropertyCondition],
    rest: Option<&v1::Filter>,
) -> Result<Vec<Filter>, Status> {
    let conditions = conditions.iter().enumerate();
    let plain =
        conditions.map(|(i, one)| condition(&format!("{path}.conditions[{i}]"), one).map(Filter::from));
    plain.chain(rest.map(|rest| filter(&format!("{path}.filter"), rest))).collect()
}

fn condition(path: &str, condition: &v1::PropertyCondition) -> Result<Condition, Status> {
    let operator = OPERATORS.iter().find(|(operator, _)| *operator == condition.operator());
    let Some((_, op)) = operator else { return Err(wrong(path, "name an operator")) };
    let (scope, as_of) = whose(path, (condition.scope, &condition.group_type, condition.moment))?;
    Ok(Condition {
        property: condition.property.clone(),
        scope,
        as_of,
        op: *op,
        values: condition.values.clone(),
    })
}

/// A property from the API.
///
/// # Errors
/// INVALID_ARGUMENT that names the field.
pub fn property(path: &str, property: &v1::PropertyReference) -> Result<PropertyRef, Status> {
    let (scope, as_of) = whose(path, (property.scope, &property.group_type, property.moment))?;
    Ok(PropertyRef { property: property.property.clone(), scope, as_of })
}

/// Whose property it is, and of when.
fn whose(path: &str, (scope, group_type, moment): (i32, &str, i32)) -> Result<(Scope, AsOf), Status> {
    let field = |name: &str| format!("{path}.{name}");
    let scope = scope_of(known(&field("scope"), scope)?, group_type);
    let as_of = as_of(known(&field("moment"), moment)?);
    if !group_type.is_empty() && !matches!(scope, Scope::Group(_)) {
        return Err(wrong(&field("group_type"), "only with the scope of groups"));
    }
    if as_of != AsOf::AtEvent && matches!(scope, Scope::Event | Scope::Context) {
        return Err(wrong(
            &field("moment"),
            "only for properties of persons and groups; an event's do not change",
        ));
    }
    Ok((scope, as_of))
}

fn scope_of(scope: v1::PropertyScope, group_type: &str) -> Scope {
    match scope {
        v1::PropertyScope::Unspecified | v1::PropertyScope::Event => Scope::Event,
        v1::PropertyScope::Context => Scope::Context,
        v1::PropertyScope::Person => Scope::Person,
        v1::PropertyScope::Group => Scope::Group(group_type.to_owned()),
    }
}

fn as_of(moment: v1::PropertyMoment) -> AsOf {
    match moment {
        v1::PropertyMoment::Unspecified | v1::PropertyMoment::AtEvent => AsOf::AtEvent,
        v1::PropertyMoment::AtEntry => AsOf::AtEntry,
        v1::PropertyMoment::Current => AsOf::Current,
    }
}

/// A filter as the API shows it.
pub fn filter_message(filter: &Filter) -> v1::Filter {
    let list = |parts: &[Filter]| v1::FilterList { filters: parts.iter().map(filter_message).collect() };
    let kind = match filter {
        Filter::Is(condition) => Kind::Condition(condition_message(condition)),
        Filter::All(AllOf { all }) => Kind::All(list(all)),
        Filter::Any(AnyOf { any }) => Kind::Any(list(any)),
        Filter::Not(NotThis { not }) => Kind::Not(Box::new(filter_message(not))),
        Filter::Segment(InSegment { segment, .. }) => Kind::SegmentId(segment.clone()),
    };
    v1::Filter { kind: Some(kind) }
}

/// A list of filters as one; nothing if there is none.
pub fn filters_message(filters: &[Filter]) -> Option<v1::Filter> {
    match filters {
        [] => None,
        [one] => Some(filter_message(one)),
        several => Some(filter_message(&Filter::all(several.to_vec()))),
    }
}

/// A list of filters as conditions, as far as they are some from the beginning, and one filter for the rest.
pub fn conditions_message(filters: &[Filter]) -> (Vec<v1::PropertyCondition>, Option<v1::Filter>) {
    let plain = filters.iter().take_while(|filter| matches!(filter, Filter::Is(_))).count();
    let conditions = filters[..plain].iter().filter_map(|filter| match filter {
        Filter::Is(condition) => Some(condition_message(condition)),
        _ => None,
    });
    (conditions.collect(), filters_message(&filters[plain..]))
}

fn condition_message(condition: &Condition) -> v1::PropertyCondition {
    let operator = OPERATORS.iter().find(|(_, op)| *op == condition.op);
    let (scope, group_type) = scope_message(&condition.scope);
    v1::PropertyCondition {
        property: condition.property.clone(),
        operator: operator.map_or(v1::ConditionOperator::Unspecified, |(operator, _)| *operator).into(),
        values: condition.values.clone(),
        scope: scope.into(),
        group_type,
        moment: moment_message(condition.as_of).into(),
    }
}

/// A property as the API shows it.
pub fn property_message(property: &PropertyRef) -> v1::PropertyReference {
    let (scope, group_type) = scope_message(&property.scope);
    v1::PropertyReference {
        property: property.property.clone(),
        scope: scope.into(),
        group_type,
        moment: moment_message(property.as_of).into(),
    }
}

fn scope_message(scope: &Scope) -> (v1::PropertyScope, String) {
    match scope {
        Scope::Event => (v1::PropertyScope::Unspecified, String::new()),
        Scope::Context => (v1::PropertyScope::Context, String::new()),
        Scope::Person => (v1::PropertyScope::Person, String::new()),
        Scope::Group(kind) => (v1::PropertyScope::Group, kind.clone()),
    }
}

fn moment_message(as_of: AsOf) -> v1::PropertyMoment {
    match as_of {
        AsOf::AtEvent => v1::PropertyMoment::Unspecified,
        AsOf::AtEntry => v1::PropertyMoment::AtEntry,
        AsOf::Current => v1::PropertyMoment::Current,
    }
}
