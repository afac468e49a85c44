//! How a funnel sees an event: what it is to it, whose it is, and under which value it counts. The same for the log as it grows
//! and for stored events.

use footpath_model::changes::group_of;
use footpath_model::control::CountedFunnel;
use footpath_model::definition::{Attribution, Counting, MAX_STEPS, PropertyRef};
use footpath_model::filter::{EXCLUSION_BIT, Facts, FilterError, NameSteps, Needs, Selector, StepMatcher};
use footpath_model::id::group_key;
use xxhash_rust::xxh3::Xxh3;

use super::Values;
use crate::{ActorKey, FunnelEvent};

/// Bits of the steps in a mask.
const STEPS: u32 = (1 << MAX_STEPS) - 1;

/// How a funnel sees events.
#[derive(Debug, Clone)]
pub struct FunnelLens {
    project: String,
    matcher: StepMatcher,
    /// The names that matter and what each can be, in the order of their numbers.
    names: Vec<(String, NameSteps)>,
    /// Events that match nothing matter too.
    sees_all: bool,
    /// The type of the groups that are counted.
    group: Option<String>,
    breakdown: Option<Selector>,
    held: Vec<Selector>,
    values: Values,
}

impl FunnelLens {
    /// The lens of a funnel. `sees_all` as its [`crate::Plan`] says.
    ///
    /// # Errors
    /// If a condition cannot be compiled.
    pub fn new(
        project: &str,
        counted: &CountedFunnel,
        sees_all: bool,
        values: Values,
    ) -> Result<Self, FilterError> {
        let definition = &counted.definition;
        let matcher = StepMatcher::new(definition, counted.internal.as_ref())?;
        let select = |by: &PropertyRef| Selector::new(&by.scope, &by.property, by.as_of);
        let breakdown = definition.breakdown.as_ref();
        let all_steps = breakdown.filter(|by| by.attribution == Attribution::AllSteps);
        let mut names: Vec<_> =
            matcher.names().map(|(name, steps)| (name.to_owned(), steps.clone())).collect();
        names.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Self {
            project: project.to_owned(),
            names,
            sees_all,
            group: match &definition.counting {
                Counting::Groups(kind) => Some(kind.clone()),
                _ => None,
            },
            breakdown: breakdown.map(|by| select(&by.by)),
            held: definition.hold.iter().chain(all_steps.map(|by| &by.by)).map(select).collect(),
            values,
            matcher,
        })
    }

    /// The names of the events that matter, in the order of their numbers; `None` if all do.
    pub fn names(&self) -> Option<Vec<String>> {
        (!self.sees_all).then(|| self.names.iter().map(|(name, _)| name.clone()).collect())
    }

    /// The names and what an event of each matches; `None` if anything but its name decides.
    pub fn by_name(&self) -> Option<impl Iterator<Item = (&str, u32)>> {
        let alone = !self.sees_all && self.needs() == Needs::default();
        let masks = self.names.iter().map(|(name, steps)| (name.as_str(), steps.mask(&Facts::default())));
        alone.then_some(masks)
    }

    /// Whether a chain keeps to events of the same values.
    pub fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether there is a breakdown.
    pub fn is_broken_down(&self) -> bool {
        self.breakdown.is_some()
    }

    /// What it reads of an event.
    pub fn needs(&self) -> Needs {
        let selectors = self.breakdown.iter().chain(&self.held);
        let own = selectors.map(Selector::needs).fold(self.matcher.needs(), Needs::and);
        Needs { groups: own.groups || self.group.is_some(), ..own }
    }

    /// The values of its breakdown.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// The steps and exclusions that an event matches; as [`StepMatcher::mask`]. `number` is its name's, where that is known.
    #[inline]
    pub fn mask(&self, number: Option<usize>, name: &str, facts: &Facts<'_>) -> u32 {
        match number.filter(|_| !self.sees_all) {
            Some(number) => self.names[number].1.mask(facts),
            None => self.matcher.mask(name, facts),
        }
    }

    /// What the kernel has to know of an event; `None` if it does not matter. `number` is its name's, where that is known.
    #[inline]
    pub fn event(&self, number: Option<usize>, name: &str, facts: &Facts<'_>) -> Option<FunnelEvent> {
        let mask = self.mask(number, name, facts);
        if mask == 0 {
            let stands_between = self.sees_all && self.matcher.counts(facts);
            return stands_between.then(|| event(facts.order, 0));
        }
        let value = self.breakdown.as_ref().map_or(0, |by| self.values.number(by.text(facts).as_deref()));
        Some(FunnelEvent { part: self.part(facts), value, ..event(facts.order, mask) })
    }

    /// What the kernel has to know of an event of which there is nothing but a name: that says `mask`.
    pub fn of_name(&self, mask: u32, order: (i64, u128)) -> FunnelEvent {
        FunnelEvent { part: self.part(&Facts::default()), ..event(order, mask) }
    }

    /// The unit that an event is of, whether it matters or not.
    #[inline]
    pub fn unit(&self, person: ActorKey, facts: &Facts<'_>) -> Option<u64> {
        let Some(kind) = &self.group else { return Some(person.0) };
        group_of(facts.changes, kind).map(|id| group_key(&self.project, kind, id))
    }

    /// The part of the unit's events that a chain keeps to: those with the same values. 0 is none: one of them is not set, or a
    /// list or map.
    #[inline]
    fn part(&self, facts: &Facts<'_>) -> u64 {
        if self.held.is_empty() {
            return 0;
        }
        let texts: Option<Vec<_>> = self.held.iter().map(|held| held.text(facts)).collect();
        texts.map_or(0, part_of)
    }
}

/// The part of the events that have these values of what is held constant; never 0.
pub fn part_of(values: impl IntoIterator<Item = impl AsRef<str>>) -> u64 {
    let mut hash = Xxh3::new();
    for value in values {
        let value = value.as_ref();
        hash.update(&(value.len() as u64).to_le_bytes());
        hash.update(value.as_bytes());
    }
    hash.digest().max(1)
}

#[inline]
fn event((time_us, id): (i64, u128), mask: u32) -> FunnelEvent {
    let exclusions = (mask >> EXCLUSION_BIT) as u16;
    FunnelEvent { time_us, id, steps: mask & STEPS, exclusions, part: 0, value: 0 }
}
