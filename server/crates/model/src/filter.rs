//! Which steps of a funnel an event matches.

use std::collections::HashMap;

use crate::definition::{Condition, FunnelDefinition, Literal, Op};
use crate::props::{Value, property};

/// Finds an event's steps: by name first, so that most events are done after one look-up.
#[derive(Debug, Clone)]
pub struct StepMatcher {
    by_name: HashMap<String, NameSteps>,
}

/// The steps that one event name can match.
#[derive(Debug, Clone, Default)]
pub struct NameSteps(Vec<(u32, Vec<Condition>)>);

impl NameSteps {
    /// Bit i is set if an event of this name with these properties matches step i.
    #[inline]
    pub fn mask(&self, properties: &[u8]) -> u32 {
        let matching = self.0.iter().filter(|(_, all)| all.iter().all(|c| holds(c, properties)));
        matching.fold(0, |mask, (bit, _)| mask | bit)
    }

    /// Whether the properties matter.
    pub fn has_conditions(&self) -> bool {
        self.0.iter().any(|(_, conditions)| !conditions.is_empty())
    }
}

impl StepMatcher {
    /// The matcher of a definition.
    pub fn new(definition: &FunnelDefinition) -> Self {
        let mut by_name: HashMap<String, NameSteps> = HashMap::new();
        for (i, step) in definition.steps.iter().enumerate() {
            for name in &step.events {
                by_name.entry(name.clone()).or_default().0.push((1 << i, step.filters.clone()));
            }
        }
        Self { by_name }
    }

    /// Bit i is set if the event matches step i. `properties` as in a record.
    pub fn mask(&self, name: &str, properties: &[u8]) -> u32 {
        self.by_name.get(name).map_or(0, |steps| steps.mask(properties))
    }

    /// The names that match at all, each with its steps.
    pub fn names(&self) -> impl Iterator<Item = (&str, &NameSteps)> {
        self.by_name.iter().map(|(name, steps)| (name.as_str(), steps))
    }
}

/// Whether a condition holds for an event's properties. A property that is not set fulfils `is not set` only.
pub fn holds(condition: &Condition, properties: &[u8]) -> bool {
    let value = property(properties, &condition.property);
    let Some(value) = value else { return condition.op == Op::IsNotSet };
    let any = |test: &dyn Fn(&Literal) -> bool| condition.values.iter().any(test);
    match condition.op {
        Op::IsSet => true,
        Op::IsNotSet => false,
        Op::Eq | Op::In => any(&|l| equals(&value, l)),
        Op::NotEq => !any(&|l| equals(&value, l)),
        Op::Contains => any(&|l| text_test(&value, l, |v, l| v.contains(l))),
        Op::Prefix => any(&|l| text_test(&value, l, |v, l| v.starts_with(l))),
        Op::Gt => any(&|l| number_test(&value, l, |v, l| v > l)),
        Op::Gte => any(&|l| number_test(&value, l, |v, l| v >= l)),
        Op::Lt => any(&|l| number_test(&value, l, |v, l| v < l)),
        Op::Lte => any(&|l| number_test(&value, l, |v, l| v <= l)),
    }
}

fn equals(value: &Value<'_>, literal: &Literal) -> bool {
    match (value, literal) {
        (Value::String(v), Literal::String(l)) => v == l,
        (Value::Bool(v), Literal::Bool(l)) => v == l,
        (Value::Bool(v), Literal::String(l)) => *l == v.to_string(),
        _ => number_test(value, literal, |v, l| v == l),
    }
}

fn text_test(value: &Value<'_>, literal: &Literal, test: impl Fn(&str, &str) -> bool) -> bool {
    match (value, literal) {
        (Value::String(v), Literal::String(l)) => test(v, l),
        _ => false,
    }
}

fn number_test(value: &Value<'_>, literal: &Literal, test: impl Fn(f64, f64) -> bool) -> bool {
    let literal = match literal {
        Literal::Number(l) => Some(*l),
        Literal::String(l) => l.parse().ok(),
        Literal::Bool(_) => None,
    };
    value.as_number().zip(literal).is_some_and(|(v, l)| test(v, l))
}
