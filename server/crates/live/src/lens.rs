//! How a funnel sees an event: what it is to it, whose it is, and under which value it counts. The same for the log as it grows
//! and for stored events.

use footpath_engine::FunnelEvent;
use footpath_model::changes::group_of;
use footpath_model::control::CountedFunnel;
use footpath_model::definition::{Attribution, Counting, MAX_STEPS, PropertyRef};
use footpath_model::filter::{EXCLUSION_BIT, Facts, NameSteps, Needs, Selector, StepMatcher};
use footpath_model::id::group_key;
use xxhash_rust::xxh3::Xxh3;

use crate::LiveError;
use crate::reading::Sees;
use crate::values::Values;
use crate::view::{Seen, Wants};

/// Bits of the steps in a mask.
const STEPS: u32 = (1 << MAX_STEPS) - 1;

/// How a funnel sees events.
#[derive(Debug, Clone)]
pub struct Lens {
    project: String,
    matcher: StepMatcher,
    /// The names that matter and what each can be, in the order of their numbers.
    names: Vec<(String, NameSteps)>,
    /// Events that match nothing matter too.
    sees_all: bool,
    /// The type of the groups that are counted.
    group: Option<String>,
    breakdown: Option<Selector>,
    hold: Vec<Selector>,
    values: Values,
}

impl Lens {
    /// The lens of a funnel.
    ///
    /// # Errors
    /// If a condition cannot be compiled.
    pub fn new(
        project: &str,
        counted: &CountedFunnel,
        sees_all: bool,
        values: Values,
    ) -> Result<Self, LiveError> {
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
            hold: definition.hold.iter().chain(all_steps.map(|by| &by.by)).map(select).collect(),
            values,
            matcher,
        })
    }

    /// What it wants to see.
    pub fn wants(&self) -> Wants {
        let names = (!self.sees_all).then(|| self.names.iter().map(|(name, _)| name.clone()).collect());
        Wants { names, ..Wants::all(self.needs()) }
    }

    /// What it reads of an event.
    pub fn needs(&self) -> Needs {
        let selectors = self.breakdown.iter().chain(&self.hold);
        let own = selectors.map(Selector::needs).fold(self.matcher.needs(), Needs::and);
        Needs { groups: own.groups || self.group.is_some(), ..own }
    }

    /// The values of its breakdown.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// The unit that an event is of, and what the kernel has to know of it; `None` if it does not matter. `name` is the
    /// name's number, where it is known.
    #[inline]
    pub fn see(&self, name: Option<usize>, seen: &Seen<'_>) -> Option<(u64, FunnelEvent)> {
        let mask = match name.filter(|_| !self.sees_all) {
            Some(name) => self.names[name].1.mask(&seen.facts),
            None => self.matcher.mask(seen.name, &seen.facts),
        };
        if mask == 0 && !(self.sees_all && self.matcher.counts(&seen.facts)) {
            return None;
        }
        let unit = self.unit(seen)?;
        let (time_us, id) = seen.facts.order;
        let event = FunnelEvent {
            time_us,
            id,
            steps: mask & STEPS,
            exclusions: (mask >> EXCLUSION_BIT) as u16,
            part: self.part(seen),
            value: self.value(&seen.facts),
        };
        Some((unit, event))
    }

    /// The unit that an event is of, whether it matters or not.
    #[inline]
    pub fn unit(&self, seen: &Seen<'_>) -> Option<u64> {
        let Some(kind) = &self.group else { return Some(seen.person.0) };
        group_of(seen.facts.changes, kind).map(|id| group_key(&self.project, kind, id))
    }

    #[inline]
    fn value(&self, facts: &Facts<'_>) -> u32 {
        self.breakdown.as_ref().map_or(0, |by| self.values.number(by.text(facts).as_deref()))
    }

    /// The part of the unit's events that a chain keeps to: those with the same values. 0 is none.
    #[inline]
    fn part(&self, seen: &Seen<'_>) -> u64 {
        if self.hold.is_empty() {
            return 0;
        }
        let mut hash = Xxh3::new();
        for held in &self.hold {
            let Some(text) = held.text(&seen.facts) else { return 0 };
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        hash.digest().max(1)
    }
}

impl Sees for Lens {
    type Event = FunnelEvent;

    fn wants(&self) -> Wants {
        Self::wants(self)
    }

    fn see(&self, seen: &Seen<'_>) -> Option<(u64, FunnelEvent)> {
        Self::see(self, None, seen)
    }

    fn order(event: &FunnelEvent) -> (i64, u128) {
        event.order()
    }
}
