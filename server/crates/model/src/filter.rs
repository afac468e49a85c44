//! Which steps of a funnel an event matches.

use std::collections::HashMap;

use crate::definition::{Condition, FunnelDefinition, Op, number};
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
    let any = |test: &dyn Fn(&str) -> bool| condition.values.iter().any(|wanted| test(wanted));
    match condition.op {
        Op::IsSet => true,
        Op::IsNotSet => false,
        Op::In => any(&|wanted| equals(&value, wanted)),
        Op::NotEq => !any(&|wanted| equals(&value, wanted)),
        Op::Contains => any(&|wanted| text(&value).is_some_and(|text| text.contains(wanted))),
        Op::Prefix => any(&|wanted| text(&value).is_some_and(|text| text.starts_with(wanted))),
        Op::Gt => any(&|wanted| compare(&value, wanted, |v, w| v > w)),
        Op::Gte => any(&|wanted| compare(&value, wanted, |v, w| v >= w)),
        Op::Lt => any(&|wanted| compare(&value, wanted, |v, w| v < w)),
        Op::Lte => any(&|wanted| compare(&value, wanted, |v, w| v <= w)),
    }
}

fn equals(value: &Value<'_>, wanted: &str) -> bool {
    match value {
        Value::String(value) => *value == wanted,
        Value::Bool(value) => wanted == if *value { "true" } else { "false" },
        _ => compare(value, wanted, |v, w| v == w),
    }
}

fn text<'v>(value: &Value<'v>) -> Option<&'v str> {
    if let Value::String(text) = value { Some(text) } else { None }
}

fn compare(value: &Value<'_>, wanted: &str, test: impl Fn(f64, f64) -> bool) -> bool {
    value.as_number().zip(number(wanted)).is_some_and(|(value, wanted)| test(value, wanted))
}
