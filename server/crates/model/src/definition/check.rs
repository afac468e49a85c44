//! Checks every limit of a definition and collects what is wrong.

use super::condition::{AllOf, AnyOf, AsOf, Condition, Filter, InSegment, NotThis, Op, PropertyRef, Scope};
use super::funnel::Step;
use super::metric::{Aggregate, MAX_PERCENTILES, Term};
use super::{
    FieldError, InvalidDefinition, MAX_CONDITION_VALUES, MAX_FILTER_DEPTH, MAX_ID_CHARS, MAX_NAME_BYTES,
    MAX_REGEX_BYTES, MAX_STEP_EVENTS, MAX_STEP_FILTERS, MAX_VALUE_BYTES, number, time,
};

#[derive(Default)]
pub(crate) struct Checker(Vec<FieldError>);

impl Checker {
    pub(crate) fn that(&mut self, holds: bool, field: &str, problem: impl FnOnce() -> String) {
        if !holds {
            self.0.push(FieldError { field: field.to_owned(), problem: problem() });
        }
    }

    pub(crate) fn finish(self) -> Result<(), InvalidDefinition> {
        if self.0.is_empty() { Ok(()) } else { Err(InvalidDefinition(self.0)) }
    }

    pub(crate) fn identity(&mut self, id: &str, title: &str) {
        self.that(is_id(id), "id", || "1 to 64 of a-z, 0-9, \"-\" and \"_\"".into());
        self.words("title", title);
    }

    pub(super) fn count(&mut self, field: &str, found: usize, min: usize, max: usize) {
        self.that((min..=max).contains(&found), field, || match (min, max) {
            (_, 0) => format!("takes none, not {found}"),
            (1, 1) => format!("takes exactly one, not {found}"),
            (0, _) => format!("at most {max} are allowed, not {found}"),
            _ => format!("{min} to {max} are allowed, not {found}"),
        });
    }

    fn length(&mut self, field: &str, text: &str) {
        self.that(text.len() <= MAX_NAME_BYTES, field, || {
            format!("at most {MAX_NAME_BYTES} bytes, not {}", text.len())
        });
    }

    /// A text for people.
    pub(super) fn words(&mut self, field: &str, text: &str) {
        self.length(field, text);
        self.that(!text.chars().any(char::is_control), field, || "no control characters".into());
    }

    pub(super) fn name(&mut self, field: &str, text: &str) {
        self.that(!text.is_empty(), field, || "must not be empty".into());
        self.length(field, text);
    }

    pub(super) fn step(&mut self, path: &str, step: &Step) {
        self.words(&format!("{path}.label"), &step.name);
        self.events(path, &step.events);
        self.filters(&format!("{path}.conditions"), &step.filters, true);
    }

    pub(super) fn events(&mut self, path: &str, events: &[String]) {
        self.count(&format!("{path}.events"), events.len(), 1, MAX_STEP_EVENTS);
        self.names(path, events);
    }

    fn names(&mut self, path: &str, events: &[String]) {
        for (i, event) in events.iter().take(MAX_STEP_EVENTS).enumerate() {
            self.name(&format!("{path}.events[{i}]"), event);
        }
    }

    pub(super) fn term(&mut self, path: &str, term: &Term) {
        self.count(&format!("{path}.events"), term.events.len(), 0, MAX_STEP_EVENTS);
        self.names(path, &term.events);
        self.filters(&format!("{path}.conditions"), &term.filters, false);
        if let Some(property) = term.aggregate.property() {
            self.name(&format!("{path}.property"), property);
        }
        if let Aggregate::Percentiles { percentiles, .. } = &term.aggregate {
            self.percentiles(&format!("{path}.percentiles"), percentiles);
        }
    }

    pub(super) fn percentiles(&mut self, path: &str, percentiles: &[f64]) {
        self.count(path, percentiles.len(), 1, MAX_PERCENTILES);
        for (i, percentile) in percentiles.iter().enumerate() {
            self.that((0.0..=100.0).contains(percentile), &format!("{path}[{i}]"), || {
                format!("from 0 to 100, not {percentile}")
            });
        }
    }

    pub(super) fn property(&mut self, path: &str, property: &PropertyRef) {
        self.name(&format!("{path}.property"), &property.property);
        self.scope(path, &property.scope, property.as_of);
    }

    fn scope(&mut self, path: &str, scope: &Scope, as_of: AsOf) {
        if let Scope::Group(kind) = scope {
            self.name(&format!("{path}.group_type"), kind);
        }
        let of_event = matches!(scope, Scope::Event | Scope::Context);
        self.that(!of_event || as_of == AsOf::AtEvent, &format!("{path}.moment"), || {
            "only properties of persons and groups change".into()
        });
    }

    /// Filters that all have to hold. `entry` says whether there is an entry to compare at.
    pub(super) fn filters(&mut self, path: &str, filters: &[Filter], entry: bool) {
        self.count(path, filters.len(), 0, MAX_STEP_FILTERS);
        for (i, filter) in filters.iter().take(MAX_STEP_FILTERS).enumerate() {
            self.filter(&format!("{path}[{i}]"), filter, entry);
        }
    }

    pub(super) fn filter(&mut self, path: &str, filter: &Filter, entry: bool) {
        let at_entry = if entry { AtEntry::Alone } else { AtEntry::Never };
        let mut conditions = 0;
        self.part(path, filter, at_entry, 0, &mut conditions);
        self.that(conditions <= MAX_CONDITION_VALUES, path, || {
            format!("at most {MAX_CONDITION_VALUES} conditions, not {conditions}")
        });
    }

    fn part(&mut self, path: &str, filter: &Filter, at_entry: AtEntry, depth: usize, conditions: &mut usize) {
        if depth > MAX_FILTER_DEPTH {
            return self.that(false, path, || format!("nested at most {MAX_FILTER_DEPTH} deep"));
        }
        match filter {
            Filter::Is(condition) => {
                *conditions += 1;
                self.condition(path, condition, at_entry);
            }
            Filter::All(AllOf { all: parts }) | Filter::Any(AnyOf { any: parts }) => {
                let of = if matches!(filter, Filter::All(_)) { "all" } else { "any" };
                self.count(&format!("{path}.{of}"), parts.len(), 1, MAX_STEP_FILTERS);
                for (i, part) in parts.iter().take(MAX_STEP_FILTERS).enumerate() {
                    self.part(&format!("{path}.{of}[{i}]"), part, at_entry.within(), depth + 1, conditions);
                }
            }
            Filter::Not(NotThis { not }) => {
                self.part(&format!("{path}.not"), not, at_entry.within(), depth + 1, conditions);
            }
            Filter::Segment(InSegment { segment, .. }) => {
                self.that(is_id(segment), &format!("{path}.segment_id"), || "the id of a segment".into());
            }
        }
    }

    fn condition(&mut self, path: &str, condition: &Condition, at_entry: AtEntry) {
        self.name(&format!("{path}.property"), &condition.property);
        self.scope(path, &condition.scope, condition.as_of);
        let entry = condition.as_of == AsOf::AtEntry;
        self.that(!entry || at_entry == AtEntry::Alone, &format!("{path}.moment"), || match at_entry {
            AtEntry::Never => "there is no entry to compare at".into(),
            _ => "at_entry stands alone, not inside all, any or not".into(),
        });
        let (min, max) = match condition.op {
            Op::IsSet | Op::IsNotSet => (0, 0),
            Op::Gt | Op::Gte | Op::Lt | Op::Lte => (1, 1),
            Op::NotEq | Op::In | Op::Contains | Op::Prefix | Op::Regex => (1, MAX_CONDITION_VALUES),
        };
        self.count(&format!("{path}.values"), condition.values.len(), min, max);
        for (i, value) in condition.values.iter().take(max).enumerate() {
            if let Some(problem) = value_problem(condition.op, value) {
                self.that(false, &format!("{path}.values[{i}]"), || problem);
            }
        }
    }
}

/// Where a comparison at the entry may stand: such a condition is one on the first step, and that only holds where it is
/// joined to the rest by "and".
#[derive(Clone, Copy, PartialEq)]
enum AtEntry {
    Alone,
    Inside,
    Never,
}

impl AtEntry {
    fn within(self) -> Self {
        if self == Self::Never { Self::Never } else { Self::Inside }
    }
}

/// Whether a text is an id: 1 to 64 of `a-z`, `0-9`, `-`, `_`.
pub fn is_id(id: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'_');
    (1..=MAX_ID_CHARS).contains(&id.len()) && id.bytes().all(allowed)
}

fn value_problem(op: Op, value: &str) -> Option<String> {
    if value.len() > MAX_VALUE_BYTES {
        return Some(format!("at most {MAX_VALUE_BYTES} bytes, not {}", value.len()));
    }
    match op {
        Op::Gt | Op::Gte | Op::Lt | Op::Lte if number(value).is_none() && time(value).is_none() => {
            Some("must be a number, or a time such as 2026-11-01T00:00:00Z".into())
        }
        Op::Contains | Op::Prefix | Op::Regex if value.is_empty() => {
            Some("must not be empty: every text would match".into())
        }
        Op::Regex => regex(value).err().map(|error| {
            let error = error.to_string();
            let line = error.lines().last().unwrap_or_default().trim().to_owned();
            format!("is no regular expression: {}", line.trim_start_matches("error: "))
        }),
        _ => None,
    }
}

/// A regular expression of a condition.
pub(crate) fn regex(pattern: &str) -> Result<regex::Regex, regex::Error> {
    regex::RegexBuilder::new(pattern).size_limit(MAX_REGEX_BYTES).build()
}
