//! Some units of a view, folded from the events stored below a position, however many they are.

use std::collections::HashSet as StdHashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use footpath_engine::{ActorKey, IdentityGraph};
use footpath_history::{HistoryError, Pinned, Scan, Stored};
use hashbrown::{HashMap, HashSet};

use super::{Asked, go_on, seen, with_entities};
use crate::view::{Seen, Wants};

/// All event times.
const ALWAYS: (i64, i64) = (i64::MIN, i64::MAX);

/// Events that a reading holds, 80 bytes each. In tests so few that all ways to read are gone.
const EVENTS_AT_ONCE: usize = if cfg!(test) { 4 } else { 1 << 19 };

/// Whose events are read.
#[derive(Debug, Clone)]
pub enum Units {
    /// Those of persons: every actor with its person.
    Persons(HashMap<u64, u64>),
    /// Those that name one of these groups.
    Groups(HashSet<u64>),
}

/// Whose events are read for some units.
pub fn units_of(units: &[u64], groups: bool, identity: &IdentityGraph) -> Units {
    if groups {
        return Units::Groups(units.iter().copied().collect());
    }
    let mut actors = HashMap::new();
    for person in units {
        actors.insert(*person, *person);
        for member in identity.members(ActorKey(*person)) {
            actors.insert(member.0, *person);
        }
    }
    Units::Persons(actors)
}

impl Units {
    /// All units.
    pub fn all(&self) -> Vec<u64> {
        match self {
            Self::Persons(actors) => actors.values().copied().collect::<HashSet<_>>().into_iter().collect(),
            Self::Groups(groups) => groups.iter().copied().collect(),
        }
    }

    /// One half of them, and the other; one unit alone cannot be parted.
    pub fn halves(&self) -> Vec<Self> {
        let all = self.all();
        let first: HashSet<u64> = all[..all.len() / 2].iter().copied().collect();
        [true, false].map(|wanted| self.only(&|unit| first.contains(&unit) == wanted)).into()
    }

    fn only(&self, wanted: &dyn Fn(u64) -> bool) -> Self {
        match self {
            Self::Persons(actors) => {
                let own = actors.iter().filter(|(_, person)| wanted(**person));
                Self::Persons(own.map(|(actor, person)| (*actor, *person)).collect())
            }
            Self::Groups(groups) => Self::Groups(groups.iter().copied().filter(|key| wanted(*key)).collect()),
        }
    }

    /// The actors that have to be read for some of them; `None` means all.
    pub fn actors(&self, wanted: &HashSet<u64>) -> Option<StdHashSet<u64>> {
        match self {
            Self::Persons(actors) => {
                let own = actors.iter().filter(|(_, person)| wanted.contains(*person));
                Some(own.map(|(actor, _)| *actor).collect())
            }
            Self::Groups(_) => None,
        }
    }

    /// The person of an actor.
    pub fn person(&self, actor: u64) -> Option<ActorKey> {
        match self {
            Self::Persons(actors) => actors.get(&actor).map(|person| ActorKey(*person)),
            Self::Groups(_) => Some(ActorKey(actor)),
        }
    }
}

/// How a view sees events.
pub trait Sees {
    /// What it keeps of one.
    type Event: Copy;

    /// What it wants to see.
    fn wants(&self) -> Wants;
    /// The unit that an event is of, and what is kept of it; `None` if it does not matter.
    fn see(&self, seen: &Seen<'_>) -> Option<(u64, Self::Event)>;
    /// Its place in the order of all events.
    fn order(event: &Self::Event) -> (i64, u128);
}

/// Some units, to be folded from the events stored below a position.
pub struct Persons<L> {
    /// The project's number.
    pub project: u32,
    /// Events below it are read.
    pub upto: u64,
    /// How events are seen.
    pub lens: L,
    /// Whose they are.
    pub units: Units,
    /// What is known of persons and groups, if the view reads that.
    pub asked: Option<Asked>,
}

impl<L: Sees> Persons<L> {
    /// Reads and folds each unit's events in their order. What it gives after a `stop` is of no use.
    ///
    /// # Errors
    /// If stored events cannot be read.
    pub fn fold<F>(
        &self,
        stored: &Stored,
        stop: &AtomicBool,
        new: &dyn Fn(u64) -> F,
        fold: &dyn Fn(&mut F, L::Event),
    ) -> Result<Vec<(u64, F)>, HistoryError> {
        let reader = Reader { of: self, pinned: stored.pin().upto(self.upto), stop };
        let mut waiting: Vec<Vec<u64>> = vec![self.units.all()];
        let mut folded = Vec::new();
        while let Some(mut units) = waiting.pop() {
            match (reader.events(&units, ALWAYS)?, &units[..]) {
                (Found::All(events), _) => folded.extend(folds::<L, F>(&units, events, new, fold)),
                (Found::TooMany { .. }, [one]) => {
                    let mut long = new(*one);
                    reader.long(*one, &mut |event| fold(&mut long, event))?;
                    folded.push((*one, long));
                }
                (Found::TooMany { .. }, _) => {
                    waiting.push(units.split_off(units.len() / 2));
                    waiting.push(units);
                }
            }
        }
        Ok(folded)
    }
}

fn folds<L: Sees, F>(
    units: &[u64],
    events: Vec<(u64, L::Event)>,
    new: &dyn Fn(u64) -> F,
    fold: &dyn Fn(&mut F, L::Event),
) -> Vec<(u64, F)> {
    let mut own: HashMap<u64, Vec<L::Event>> = units.iter().map(|unit| (*unit, Vec::new())).collect();
    events.into_iter().for_each(|(unit, event)| own.entry(unit).or_default().push(event));
    let folded = |(unit, mut own): (u64, Vec<L::Event>)| {
        own.sort_unstable_by_key(L::order);
        let mut state = new(unit);
        own.into_iter().for_each(|event| fold(&mut state, event));
        (unit, state)
    };
    own.into_iter().map(folded).collect()
}

/// What was found of some units.
enum Found<E> {
    /// Each event with its unit.
    All(Vec<(u64, E)>),
    /// More than can be held; half of those that were seen lie before this time.
    TooMany { middle_us: i64 },
}

struct Reader<'a, L> {
    of: &'a Persons<L>,
    pinned: Pinned,
    stop: &'a AtomicBool,
}

impl<L: Sees> Reader<'_, L> {
    /// Reads a unit with more events than are held at once, a window of event time after the other.
    fn long(&self, unit: u64, each: &mut dyn FnMut(L::Event)) -> Result<(), HistoryError> {
        let mut windows = vec![ALWAYS];
        while let Some((from_us, to_us)) = windows.pop() {
            if to_us.saturating_sub(from_us) <= 1 {
                // Among events of the same time the order is no matter, and they need not be held.
                self.scan(&[unit], (from_us, to_us), &mut |_, event| {
                    each(event);
                    true
                })?;
                continue;
            }
            match self.events(&[unit], (from_us, to_us))? {
                Found::All(mut events) => {
                    events.sort_unstable_by_key(|(_, event)| L::order(event));
                    events.into_iter().for_each(|(_, event)| each(event));
                }
                Found::TooMany { middle_us } => {
                    let middle_us = middle_us.max(from_us + 1);
                    windows.extend([(middle_us, to_us), (from_us, middle_us)]);
                }
            }
        }
        Ok(())
    }

    /// The events of some units, unless there are too many to be held.
    fn events(&self, units: &[u64], times: (i64, i64)) -> Result<Found<L::Event>, HistoryError> {
        let mut events = Vec::new();
        self.scan(units, times, &mut |unit, event| {
            events.push((unit, event));
            events.len() <= EVENTS_AT_ONCE
        })?;
        if events.len() <= EVENTS_AT_ONCE {
            return Ok(Found::All(events));
        }
        let middle = events.len() / 2;
        let (_, (_, middle), _) = events.select_nth_unstable_by_key(middle, |(_, event)| L::order(event).0);
        Ok(Found::TooMany { middle_us: L::order(middle).0 })
    }

    /// Gives the events of some units that matter, until `each` has enough.
    fn scan(
        &self,
        units: &[u64],
        (from_us, to_us): (i64, i64),
        each: &mut dyn FnMut(u64, L::Event) -> bool,
    ) -> Result<(), HistoryError> {
        let Persons { project, lens, units: of, .. } = self.of;
        let wanted: HashSet<u64> = units.iter().copied().collect();
        let actors = of.actors(&wanted);
        let wants = lens.wants();
        let names: Option<StdHashSet<String>> = wants.names.map(|names| names.into_iter().collect());
        let scan = Scan {
            from_us,
            to_us,
            actors: actors.as_ref(),
            names: names.as_ref(),
            columns: wants.needs.into(),
            ..Scan::all(*project)
        };
        self.pinned.scan(&scan, &mut |row| {
            let person = of.person(row.head.actor_key);
            let found = person.and_then(|person| {
                let Some(asked) = &self.of.asked else { return lens.see(&seen(row, person)) };
                let (person, known) = asked.of(person);
                lens.see(&with_entities(seen(row, person), &known))
            });
            let more = match found {
                Some((unit, event)) if wanted.contains(&unit) => each(unit, event),
                _ => true,
            };
            go_on(more && !self.stop.load(Ordering::Relaxed))
        })?;
        Ok(())
    }
}
