//! Which steps and conditions an event fulfils: definitions, compiled.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;

use crate::changes::group_of;
use crate::context;
use crate::definition::{
    AllOf, AnyOf, AsOf, Condition, Filter, FunnelDefinition, InSegment, NotThis, Op, Scope,
};
use crate::props::{Value, property, rfc3339};

mod compare;

use compare::{compare, equals, text};

/// A place in the order of all events, (time, id); `None` is after all of them: now.
pub type Moment = Option<(i64, u128)>;

/// Whose property it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose<'a> {
    /// The person's whose event it is.
    Person,
    /// The group's, by type and id.
    Group(&'a str, &'a str),
}

/// Who knows the properties of persons and groups.
pub trait Entities {
    /// Shows the value at a moment; nothing if there is none.
    fn property(&self, whose: Whose<'_>, key: &str, moment: Moment, see: &mut dyn FnMut(&Value<'_>));

    /// Whether a value was asked for that is no longer known, since the last call: then what was made of it is of no use.
    fn take_unknown(&self) -> bool {
        false
    }
}

/// What is known of an event.
#[derive(Clone, Copy, Default)]
pub struct Facts<'a> {
    /// Its place in the order of all events.
    pub order: (i64, u128),
    /// Entries of `Event.properties`, as in a record.
    pub properties: &'a [u8],
    /// The batch's `Context`, as in a record.
    pub context: &'a [u8],
    /// The fields `Event.person` and `Event.groups`, as in a record.
    pub changes: &'a [u8],
    /// Who knows the properties of its person and groups.
    pub entities: Option<&'a dyn Entities>,
}

/// Why a definition cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The record was written without what the segment says.
    #[error("nobody said what the segment {0:?} means")]
    Segment(String),
    /// A regular expression cannot be compiled.
    #[error("{0:?} is no regular expression")]
    Regex(String),
}

/// What a definition reads of an event beside its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Its own properties.
    pub properties: bool,
    /// The context.
    pub context: bool,
    /// Its groups, to find theirs.
    pub groups: bool,
    /// Properties of persons.
    pub persons: bool,
}

impl Needs {
    /// What either needs.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            properties: self.properties || other.properties,
            context: self.context || other.context,
            groups: self.groups || other.groups,
            persons: self.persons || other.persons,
        }
    }

    /// Whether anything but the event itself decides.
    pub fn entities(self) -> bool {
        self.groups || self.persons
    }

    fn of(scope: &Scope) -> Self {
        match scope {
            Scope::Event => Self { properties: true, ..Self::default() },
            Scope::Context => Self { context: true, ..Self::default() },
            Scope::Person => Self { persons: true, ..Self::default() },
            Scope::Group(_) => Self { groups: true, ..Self::default() },
        }
    }
}

/// Finds one property's value.
#[derive(Debug, Clone)]
pub struct Selector {
    scope: Scope,
    key: String,
    current: bool,
}

impl Selector {
    /// For a property.
    pub fn new(scope: &Scope, key: &str, as_of: AsOf) -> Self {
        Self { scope: scope.clone(), key: key.to_owned(), current: as_of == AsOf::Current }
    }

    /// What it reads.
    pub fn needs(&self) -> Needs {
        Needs::of(&self.scope)
    }

    /// What `read` makes of the value for an event; of nothing if it is not set.
    #[inline]
    pub fn read<R>(&self, facts: &Facts<'_>, read: impl Fn(Option<&Value<'_>>) -> R) -> R {
        match &self.scope {
            Scope::Event => read(property(facts.properties, &self.key).as_ref()),
            Scope::Context => read(context::value(facts.context, &self.key).map(Value::String).as_ref()),
            Scope::Person => self.of_entity(facts, Some(Whose::Person), read),
            Scope::Group(kind) => {
                let group = group_of(facts.changes, kind).map(|id| Whose::Group(kind, id));
                self.of_entity(facts, group, read)
            }
        }
    }

    fn of_entity<R>(
        &self,
        facts: &Facts<'_>,
        whose: Option<Whose<'_>>,
        read: impl Fn(Option<&Value<'_>>) -> R,
    ) -> R {
        let moment = if self.current { None } else { Some(facts.order) };
        let mut found = None;
        if let (Some(entities), Some(whose)) = (facts.entities, whose) {
            entities.property(whose, &self.key, moment, &mut |value| found = Some(read(Some(value))));
        }
        found.unwrap_or_else(|| read(None))
    }

    /// The value as text; `None` if it is not set, or a list or map.
    pub fn text(&self, facts: &Facts<'_>) -> Option<String> {
        self.read(facts, |value| value.and_then(as_text).map(Cow::into_owned))
    }
}

/// A value as text, for breakdowns; `None` for lists and maps.
pub fn as_text<'a>(value: &Value<'a>) -> Option<Cow<'a, str>> {
    Some(match value {
        Value::String(text) | Value::Decimal(text) => Cow::Borrowed(*text),
        Value::Int(number) => Cow::Owned(number.to_string()),
        Value::Double(number) => Cow::Owned(number.to_string()),
        Value::Bool(is) => Cow::Borrowed(if *is { "true" } else { "false" }),
        Value::Time(us) => Cow::Owned(rfc3339(*us)),
        Value::Money { currency, units, nanos } => {
            let sign = if *units < 0 || *nanos < 0 { "-" } else { "" };
            let fraction = format!("{:09}", nanos.unsigned_abs());
            let fraction = fraction.trim_end_matches('0');
            let point = if fraction.is_empty() { "" } else { "." };
            Cow::Owned(format!("{sign}{}{point}{fraction} {currency}", units.unsigned_abs()))
        }
        Value::List(_) | Value::Map(_) => return None,
    })
}

/// A filter, ready to be asked.
#[derive(Debug, Clone)]
pub enum Test {
    /// One comparison.
    Is(Selector, Comparison),
    /// All of them.
    All(Vec<Test>),
    /// At least one of them.
    Any(Vec<Test>),
    /// Not this one.
    Not(Box<Test>),
}

/// A comparison with its values.
#[derive(Debug, Clone)]
pub struct Comparison {
    op: Op,
    values: Vec<String>,
    patterns: Vec<regex::Regex>,
}

impl Test {
    /// Compiles a filter.
    ///
    /// # Errors
    /// If a regular expression is none, or a segment has no meaning.
    pub fn new(filter: &Filter) -> Result<Self, FilterError> {
        Ok(match filter {
            Filter::Is(condition) => Self::Is(
                Selector::new(&condition.scope, &condition.property, condition.as_of),
                Comparison::new(condition)?,
            ),
            Filter::All(AllOf { all }) => Self::All(all.iter().map(Self::new).collect::<Result<_, _>>()?),
            Filter::Any(AnyOf { any }) => Self::Any(any.iter().map(Self::new).collect::<Result<_, _>>()?),
            Filter::Not(NotThis { not }) => Self::Not(Box::new(Self::new(not)?)),
            Filter::Segment(InSegment { means: Some(means), .. }) => Self::new(means)?,
            Filter::Segment(InSegment { segment, .. }) => return Err(FilterError::Segment(segment.clone())),
        })
    }

    /// Whether an event fulfils it.
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::Is(selector, comparison) => selector.read(facts, |value| comparison.holds(value)),
            Self::All(parts) => parts.iter().all(|part| part.holds(facts)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(facts)),
            Self::Not(part) => !part.holds(facts),
        }
    }

    /// What it reads.
    pub fn needs(&self) -> Needs {
        match self {
            Self::Is(selector, _) => selector.needs(),
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().map(Self::needs).fold(Needs::default(), Needs::and)
            }
            Self::Not(part) => part.needs(),
        }
    }
}

impl Comparison {
    fn new(condition: &Condition) -> Result<Self, FilterError> {
        let compile = |pattern: &String| {
            crate::definition::regex(pattern).map_err(|_| FilterError::Regex(pattern.clone()))
        };
        let patterns = match condition.op {
            Op::Regex => condition.values.iter().map(compile).collect::<Result<_, _>>()?,
            _ => Vec::new(),
        };
        Ok(Self { op: condition.op, values: condition.values.clone(), patterns })
    }

    /// Whether it holds for a value. One that is not set fulfils `is not set` only.
    fn holds(&self, value: Option<&Value<'_>>) -> bool {
        let Some(value) = value else { return self.op == Op::IsNotSet };
        let any = |test: &dyn Fn(&str) -> bool| self.values.iter().any(|wanted| test(wanted));
        match self.op {
            Op::IsSet => true,
            Op::IsNotSet => false,
            Op::In => any(&|wanted| equals(value, wanted)),
            Op::NotEq => !any(&|wanted| equals(value, wanted)),
            Op::Contains => any(&|wanted| text(value).is_some_and(|text| text.contains(wanted))),
            Op::Prefix => any(&|wanted| text(value).is_some_and(|text| text.starts_with(wanted))),
            Op::Regex => text(value).is_some_and(|text| self.patterns.iter().any(|p| p.is_match(text))),
            Op::Gt => any(&|wanted| compare(value, wanted).is_some_and(Ordering::is_gt)),
            Op::Gte => any(&|wanted| compare(value, wanted).is_some_and(Ordering::is_ge)),
            Op::Lt => any(&|wanted| compare(value, wanted).is_some_and(Ordering::is_lt)),
            Op::Lte => any(&|wanted| compare(value, wanted).is_some_and(Ordering::is_le)),
        }
    }
}

/// The bit of the first exclusion in a [`StepMatcher`]'s masks, behind those of all possible steps.
pub const EXCLUSION_BIT: u32 = crate::definition::MAX_STEPS as u32;

/// Finds what an event is to a funnel: by name first, so that most events are done after one look-up.
#[derive(Debug, Clone)]
pub struct StepMatcher {
    by_name: HashMap<String, NameSteps>,
    /// What holds for everything but internal traffic.
    left_out: Option<Test>,
}

/// What one event name can be: bits, each with what has to hold.
#[derive(Debug, Clone, Default)]
pub struct NameSteps(Vec<(u32, Vec<Test>)>);

impl NameSteps {
    /// Bit i is set if an event of this name matches step i, bit [`EXCLUSION_BIT`]` + i` if it matches exclusion i.
    #[inline]
    pub fn mask(&self, facts: &Facts<'_>) -> u32 {
        let matching = self.0.iter().filter(|(_, all)| all.iter().all(|test| test.holds(facts)));
        matching.fold(0, |mask, (bit, _)| mask | bit)
    }

    /// What it reads beside the name.
    pub fn needs(&self) -> Needs {
        self.0.iter().flat_map(|(_, tests)| tests).map(Test::needs).fold(Needs::default(), Needs::and)
    }
}

impl StepMatcher {
    /// The matcher of a definition; `internal` is what it leaves out unless it includes it.
    ///
    /// # Errors
    /// If a condition cannot be compiled.
    pub fn new(definition: &FunnelDefinition, internal: Option<&Filter>) -> Result<Self, FilterError> {
        let internal = internal.filter(|_| !definition.include_internal);
        let left_out = internal.map(|filter| Filter::not(filter.clone()));
        let at_entry = |filter: &&Filter| matches!(filter, Filter::Is(c) if c.as_of == AsOf::AtEntry);
        let filters = definition.steps.iter().flat_map(|step| &step.filters);
        // What has to hold at the entry is decided there: at the first step.
        let of_entry: Vec<_> = filters.filter(at_entry).cloned().collect();
        let left_out_test = left_out.as_ref().map(Test::new).transpose()?;
        let mut matcher = Self { by_name: HashMap::new(), left_out: left_out_test };
        for (i, step) in definition.steps.iter().enumerate() {
            let own = step.filters.iter().filter(|filter| !at_entry(filter));
            let entry = of_entry.iter().filter(|_| i == 0);
            matcher.add(1 << i, &step.events, own.chain(entry).chain(&left_out))?;
        }
        for (i, exclusion) in definition.exclusions.iter().enumerate() {
            let filters = exclusion.filters.iter().chain(&left_out);
            matcher.add(1 << (EXCLUSION_BIT + i as u32), &exclusion.events, filters)?;
        }
        Ok(matcher)
    }

    fn add<'f>(
        &mut self,
        bit: u32,
        names: &[String],
        filters: impl Iterator<Item = &'f Filter>,
    ) -> Result<(), FilterError> {
        let tests: Vec<_> = filters.map(Test::new).collect::<Result<_, _>>()?;
        for name in names {
            self.by_name.entry(name.clone()).or_default().0.push((bit, tests.clone()));
        }
        Ok(())
    }

    /// As [`NameSteps::mask`]; 0 for a name that matches nothing.
    pub fn mask(&self, name: &str, facts: &Facts<'_>) -> u32 {
        self.by_name.get(name).map_or(0, |steps| steps.mask(facts))
    }

    /// Whether an event is there at all for this funnel: internal traffic is not, and neither interrupts a chain nor belongs
    /// to a session.
    pub fn counts(&self, facts: &Facts<'_>) -> bool {
        self.left_out.as_ref().is_none_or(|test| test.holds(facts))
    }

    /// The names that match at all, each with its steps.
    pub fn names(&self) -> impl Iterator<Item = (&str, &NameSteps)> {
        self.by_name.iter().map(|(name, steps)| (name.as_str(), steps))
    }

    /// What it reads beside names.
    pub fn needs(&self) -> Needs {
        let left_out = self.left_out.iter().map(Test::needs);
        self.by_name.values().map(NameSteps::needs).chain(left_out).fold(Needs::default(), Needs::and)
    }
}

#[cfg(test)]
mod tests;
