//! What there is in a project: names of events, and properties of events, contexts, persons and groups, as they were
//! seen in stored events.
//!
//! - Every event is counted under its name, exactly, with its first and last receipt.
//! - Of the properties of an event, keys, types of values and first and last receipt are noted. While few events
//!   come all of them are looked at, of many a share (`share.rs`).
//! - Some values are kept as samples: only those that [`SAMPLE_ACTORS`] different actors sent, never of keys that
//!   look personal (`samples.rs`, `personal.rs`).
//!
//! While every event is looked at and no limit is reached, everything but the samples is the same in whatever order
//! the events come.

mod changes;
mod nearest;
mod owner;
mod personal;
mod properties;
mod rows;
mod samples;
mod share;
mod value_type;

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use footpath_model::context;
use footpath_model::record::{EventView, FrameView, text};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use self::changes::{Holder, each_change};
pub use self::owner::{Owner, PropertySeen};
use self::properties::{Properties, Room, Sent, Sight};
pub use self::rows::{BadRow, Row};
pub use self::samples::{SAMPLE_ACTORS, SAMPLE_BYTES, SAMPLES};
use self::share::{Share, Turn};
pub use self::value_type::ValueType;

/// How many names of events are kept. Who has more writes ids or texts into names, and no picker could show them.
pub const EVENT_NAMES: usize = 10_000;
/// How many keys are kept of one name of events, of contexts, of persons, and of one type of groups.
pub const KEYS: usize = 1_000;
/// How many keys are kept in all: about 15 MB with their samples.
pub const ALL_KEYS: usize = 50_000;
/// How many types of groups are kept. An event names at most five.
pub const GROUP_TYPES: usize = 100;

/// What is known of a name of events. Times are receipts, microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// How many events have it.
    pub count: u64,
    /// The first receipt.
    pub first_us: i64,
    /// The last receipt.
    pub last_us: i64,
}

/// Whether there was more than is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overflow {
    /// There were more than [`EVENT_NAMES`].
    pub names: bool,
    /// There were more than [`KEYS`], [`ALL_KEYS`] or [`GROUP_TYPES`].
    pub properties: bool,
}

/// The catalogue of one project.
#[derive(Debug, Default)]
pub struct Catalog {
    /// Where a name stands in `events`.
    indices: HashMap<Vec<u8>, usize>,
    events: Vec<EventName>,
    context: Properties,
    context_turn: Turn,
    person: Properties,
    groups: HashMap<Vec<u8>, Properties>,
    share: Share,
    room: Room,
    names_overflow: bool,
    /// Whether [`Catalog::changes`] has anything to tell.
    changed: bool,
    overflow_saved: Overflow,
}

#[derive(Debug)]
struct EventName {
    seen: Seen,
    turn: Turn,
    changed: bool,
    name: Vec<u8>,
    properties: Properties,
}

impl Catalog {
    /// A catalogue that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the events of a frame, and the context they share.
    pub fn see(&mut self, frame: &FrameView<'_>) {
        let Some(first) = frame.events().next() else { return };
        let at_us = frame.head.received_us;
        self.share.at(at_us);
        self.changed = true;
        let mut events = 0;
        for event in frame.events() {
            self.see_event(&event, at_us);
            events += 1;
        }
        let head = first.head();
        if self.share.takes(&mut self.context_turn, head.id) {
            // One actor, though the batch may have many: rather too few samples than one too early.
            let sight = Sight { at_us, actor: head.actor_key, events };
            let room = &mut self.room;
            context::each_value(frame.context, &mut |key, value| {
                self.context.see(key.as_bytes(), Sent::Text(value), sight, room);
            });
        }
        if self.room.is_crowded() {
            self.forget_candidates();
        }
    }

    #[inline]
    fn see_event(&mut self, event: &EventView<'_>, at_us: i64) {
        let Some(index) = self.index_of(event.name_bytes(), at_us) else { return };
        let own = &mut self.events[index];
        own.seen.take(at_us);
        own.changed = true;
        if self.share.takes(&mut own.turn, event.head().id) {
            self.look_at(index, event, at_us);
        }
    }

    #[inline]
    fn index_of(&mut self, name: &[u8], at_us: i64) -> Option<usize> {
        match self.indices.get(name) {
            Some(index) => Some(*index),
            None => self.add_name(name, Seen { count: 0, first_us: at_us, last_us: at_us }),
        }
    }

    #[inline(never)]
    fn add_name(&mut self, name: &[u8], seen: Seen) -> Option<usize> {
        if self.events.len() >= EVENT_NAMES {
            self.names_overflow = true;
            return None;
        }
        let (turn, properties) = (Turn::default(), Properties::default());
        self.indices.insert(name.into(), self.events.len());
        self.events.push(EventName { seen, turn, changed: false, name: name.into(), properties });
        Some(self.events.len() - 1)
    }

    /// Notes the properties of an event.
    #[inline(never)]
    fn look_at(&mut self, index: usize, event: &EventView<'_>, at_us: i64) {
        let sight = Sight { at_us, actor: event.head().actor_key, events: 1 };
        let spans = event.spans();
        let room = &mut self.room;
        let own = &mut self.events[index].properties;
        for (key, value) in footpath_model::props::undecoded(spans.properties) {
            own.see(key, Sent::Value(value), sight, room);
        }
        each_change(spans.changes, &mut |holder, key, sent| {
            let properties = match holder {
                Holder::Person => &mut self.person,
                Holder::Group(kind) => match group(&mut self.groups, kind) {
                    Some(group) => group,
                    None => return room.overflow = true,
                },
            };
            properties.see(key, sent, sight, room);
        });
    }

    /// Lets go of the half of all candidates for samples that was not seen for longest.
    fn forget_candidates(&mut self) {
        let mut ticks = Vec::with_capacity(self.room.candidates);
        self.each_owner(&mut |properties| properties.candidate_ticks(&mut ticks));
        let middle = ticks.len() / 2;
        let (_, &mut oldest_kept, _) = ticks.select_nth_unstable(middle);
        let mut left = 0;
        self.each_owner(&mut |properties| left += properties.forget_candidates(oldest_kept));
        self.room.candidates = left;
    }

    fn each_owner(&mut self, see: &mut dyn FnMut(&mut Properties)) {
        self.events.iter_mut().for_each(|event| see(&mut event.properties));
        self.groups.values_mut().for_each(&mut *see);
        [&mut self.context, &mut self.person].into_iter().for_each(see);
    }

    /// Whether nothing was seen yet.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether there was more than is kept.
    pub fn overflow(&self) -> Overflow {
        Overflow { names: self.names_overflow, properties: self.room.overflow }
    }

    /// All names of events, in no order.
    pub fn names(&self) -> impl Iterator<Item = (&str, Seen)> {
        self.events.iter().map(|event| (text(&event.name), event.seen))
    }

    /// All properties, in no order.
    pub fn properties(&self) -> impl Iterator<Item = PropertySeen<'_>> {
        self.owners().flat_map(|(owner, properties)| properties.seen(owner))
    }

    /// Properties of one owner, in no order.
    pub fn properties_of<'a>(&'a self, owner: Owner<'a>) -> impl Iterator<Item = PropertySeen<'a>> {
        let properties = match owner {
            Owner::Event(name) => {
                self.indices.get(name.as_bytes()).map(|index| &self.events[*index].properties)
            }
            Owner::Context => Some(&self.context),
            Owner::Person => Some(&self.person),
            Owner::Group(kind) => self.groups.get(kind.as_bytes()),
        };
        properties.into_iter().flat_map(move |properties| properties.seen(owner))
    }

    fn owners(&self) -> impl Iterator<Item = (Owner<'_>, &Properties)> {
        let events = self.events.iter().map(|event| (Owner::Event(text(&event.name)), &event.properties));
        let groups = self.groups.iter().map(|(kind, properties)| (Owner::Group(text(kind)), properties));
        events.chain([(Owner::Context, &self.context), (Owner::Person, &self.person)]).chain(groups)
    }
}

/// The properties of groups of a type; `None` where there are too many types.
fn group<'a>(groups: &'a mut HashMap<Vec<u8>, Properties>, kind: &[u8]) -> Option<&'a mut Properties> {
    if groups.len() >= GROUP_TYPES && !groups.contains_key(kind) {
        return None;
    }
    Some(groups.entry_ref(kind).or_default())
}

impl Seen {
    #[inline]
    fn take(&mut self, at_us: i64) {
        self.count += 1;
        self.first_us = self.first_us.min(at_us);
        self.last_us = self.last_us.max(at_us);
    }
}
