//! Which units of a funnel have events that see the properties of whom, and up to when: whom a correction concerns.
//!
//! Everything is by actor and group, not by person: who is who is asked when a correction comes, so that merges and unmerges
//! change nothing here.
//!
//! **Memory**: about 80 bytes for each actor (where properties of persons are read) and each group (where those of groups are)
//! with an event of the funnel's names, and about 25 more for each actor with events of a group.

use footpath_engine::lens::PropertyRead;
use footpath_engine::props::Owner;
use footpath_engine::{ActorKey, IdentityGraph};
use footpath_model::changes::group_of;
use footpath_model::control::CountedFunnel;
use footpath_model::definition::Counting;
use footpath_model::id::group_key;
use hashbrown::HashMap;

use crate::book::Corrected;
use crate::table::{State, Table, decode};
use crate::view::Seen;

/// Who sees what is known of one actor's person, or of one group.
#[derive(Debug, Default)]
struct Seers {
    /// The newest event.
    newest_us: i64,
    /// Other units with the newest event of each; an actor that is counted itself, or a group, needs none.
    units: Option<Box<HashMap<u64, i64>>>,
}

impl State for Seers {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.newest_us.to_le_bytes());
        let units = self.units.as_deref();
        out.extend_from_slice(&(units.map_or(0, HashMap::len) as u64).to_le_bytes());
        for (unit, newest_us) in units.into_iter().flatten() {
            out.extend_from_slice(&unit.to_le_bytes());
            out.extend_from_slice(&newest_us.to_le_bytes());
        }
    }

    fn warm(&self) -> i64 {
        self.newest_us
    }
}

impl Seers {
    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let mut next = || {
            let (taken, rest) = bytes.split_first_chunk()?;
            *bytes = rest;
            Some(u64::from_le_bytes(*taken))
        };
        let newest_us = next()?.cast_signed();
        let count = next()?;
        let units =
            (0..count).map(|_| Some((next()?, next()?.cast_signed()))).collect::<Option<HashMap<_, _>>>()?;
        Some(Self { newest_us, units: (count > 0).then(|| Box::new(units)) })
    }

    fn note(&mut self, time_us: i64, other: Option<u64>) {
        self.newest_us = self.newest_us.max(time_us);
        if let Some(unit) = other {
            let newest_us = self.units.get_or_insert_default().entry(unit).or_insert(time_us);
            *newest_us = time_us.max(*newest_us);
        }
    }
}

/// Which units' events see the properties of whom.
#[derive(Debug)]
pub struct Dependents {
    project: String,
    reads: Vec<PropertyRead>,
    /// Whether properties of persons are read, and of which types of groups.
    persons: bool,
    kinds: Vec<String>,
    /// The type of the groups that are counted.
    counted: Option<String>,
    seers: Table<Seers>,
}

impl Dependents {
    /// Of a funnel.
    pub fn new(project: &str, counted: &CountedFunnel) -> Self {
        let reads = PropertyRead::of_funnel(counted);
        let mut kinds: Vec<String> = Vec::new();
        for read in &reads {
            if let Owner::Group(kind) = &read.owner
                && !kinds.contains(kind)
            {
                kinds.push(kind.clone());
            }
        }
        Self {
            project: project.to_owned(),
            persons: reads.iter().any(|read| read.owner == Owner::Person),
            kinds,
            counted: match &counted.definition.counting {
                Counting::Groups(kind) => Some(kind.clone()),
                _ => None,
            },
            seers: Table::default(),
            reads,
        }
    }

    /// What the funnel reads.
    pub fn reads(&self) -> &[PropertyRead] {
        &self.reads
    }

    /// Whether it reads properties of persons.
    pub fn reads_persons(&self) -> bool {
        self.persons
    }

    /// Notes an event of the funnel's names, whatever it is to the funnel now.
    #[inline]
    pub fn note(&mut self, seen: &Seen<'_>) {
        if self.reads.is_empty() {
            return;
        }
        let (time_us, changes) = (seen.facts.order.0, seen.facts.changes);
        let group = |kind: &str| group_of(changes, kind).map(|id| group_key(&self.project, kind, id));
        let unit = match &self.counted {
            None => Some(seen.actor.0),
            Some(kind) => group(kind),
        };
        let Some(unit) = unit else { return };
        let seers = &mut self.seers;
        let mut note = |of: u64| {
            let seers = seers.change(of, Seers::new);
            seers.state.note(time_us, (unit != of).then_some(unit));
        };
        if self.persons {
            note(seen.actor.0);
        }
        self.kinds.iter().filter_map(|kind| group(kind)).for_each(note);
    }

    /// The units that a correction concerns.
    pub fn units(&mut self, corrected: &Corrected, identity: &IdentityGraph) -> Vec<u64> {
        let own = |read: &&PropertyRead| read.owner == corrected.owner && read.key == corrected.key;
        let (mut all, mut late) = (false, false);
        for read in self.reads.iter().filter(own) {
            all |= read.current && corrected.current;
            late |= !read.current;
        }
        let concerns = |newest_us: i64| all || late && newest_us >= corrected.from_us;
        let mut units = Vec::new();
        for of in &corrected.of {
            let Some(seers) = self.seers.get(*of).filter(|seers| concerns(seers.state.newest_us)) else {
                continue;
            };
            match &seers.state.units {
                Some(others) => {
                    units.extend(
                        others.iter().filter(|(_, newest_us)| concerns(**newest_us)).map(|(unit, _)| *unit),
                    );
                }
                None => units.push(*of),
            }
        }
        if self.counted.is_none() {
            units.iter_mut().for_each(|unit| *unit = identity.canonical(ActorKey(*unit)).0);
        }
        units
    }

    /// Begins a copy of this moment for an image.
    pub fn begin_copy(&mut self) {
        self.seers.begin_copy();
    }

    /// Copies about so many behind `out`. False when nothing is left.
    pub fn copy_slice(&mut self, count: usize, out: &mut Vec<u8>) -> bool {
        self.seers.copy_slice(count, out)
    }

    /// Forgets a copy that is under way.
    pub fn end_copy(&mut self) {
        self.seers.end_copy();
    }

    /// Takes what a copy wrote. `None` if it is damaged.
    pub fn restore(&mut self, copied: &[u8]) -> Option<()> {
        let seers = &mut self.seers;
        decode(copied, Seers::decode, |of, known| seers.change(of, Seers::new).state = known)
    }
}

impl Seers {
    /// Nobody yet.
    fn new() -> Self {
        Self { newest_us: i64::MIN, units: None }
    }
}
