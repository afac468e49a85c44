//! The events of every unit (person, group), unit by unit, in bounded memory: the one place where that is decided.
//!
//! Events of a unit lie in many chunks and in the log, so units cannot be read one by one. All are read at once; if that
//! is too many events they are counted, and the units are parted by their keys into as many parts as are needed, each read on
//! its own.

use std::collections::HashMap;
use std::ops::ControlFlow;

use footpath_engine::{FunnelEvent, SessionEvent, SlimEvent};
use footpath_history::{HistoryError, Pinned, Scan, StoredRow};

/// Events that are held at once, 48 to 64 bytes each and up to twice that while lists grow: some 250 MB. In tests so few that units are read in parts.
const EVENTS_AT_ONCE: usize = if cfg!(test) { 40 } else { 2 << 20 };
/// Beyond so many parts it is single units that have too many events, and those are held whole.
const MOST_PARTS: u64 = 1024;

/// What is kept of an event.
pub(crate) trait Placed {
    /// Its place in the total order of events.
    fn order(&self) -> (i64, u128);
}

impl Placed for SlimEvent {
    fn order(&self) -> (i64, u128) {
        Self::order(self)
    }
}

impl Placed for FunnelEvent {
    fn order(&self) -> (i64, u128) {
        Self::order(self)
    }
}

impl Placed for SessionEvent {
    fn order(&self) -> (i64, u128) {
        Self::order(self)
    }
}

/// Units by what their keys leave when divided.
#[derive(Debug, Clone, Copy)]
struct Part {
    remainder: u64,
    of: u64,
}

impl Part {
    const ALL: Self = Self { remainder: 0, of: 1 };

    fn has(self, unit: u64) -> bool {
        unit % self.of == self.remainder
    }

    /// As many parts as it takes for this many events, and one more because parts are not alike.
    fn divided(self, events: usize) -> impl Iterator<Item = Self> {
        let into = (events / EVENTS_AT_ONCE + 2) as u64;
        (0..into).map(move |i| Self { remainder: self.remainder + i * self.of, of: self.of * into })
    }
}

/// What was found of a part.
enum Found<E> {
    All(HashMap<u64, Vec<E>>),
    /// More events than are held: this many.
    TooMany(usize),
}

/// Which events are read, and whose each is.
#[derive(Clone, Copy)]
pub(crate) struct Units<'a> {
    pub(crate) pinned: &'a Pinned,
    pub(crate) scan: Scan<'a>,
    /// The unit of an event; `None` if it is nobody's.
    pub(crate) unit: &'a dyn Fn(&StoredRow<'_>) -> Option<u64>,
}

impl Units<'_> {
    /// Calls `each` once for every unit, in no order, with what `keep` made of its events, sorted. Says how many events were
    /// looked at.
    pub(crate) fn each<E: Placed>(
        &self,
        keep: &mut dyn FnMut(&StoredRow<'_>) -> Option<E>,
        each: &mut dyn FnMut(u64, Vec<E>),
    ) -> Result<u64, HistoryError> {
        let mut waiting = vec![Part::ALL];
        let mut looked_at = 0;
        while let Some(part) = waiting.pop() {
            let (found, rows) = self.read(part, keep)?;
            looked_at = rows; // The same in each part.
            match found {
                Found::TooMany(events) => waiting.extend(part.divided(events)),
                Found::All(units) => {
                    for (unit, mut events) in units {
                        events.sort_unstable_by_key(Placed::order);
                        each(unit, events);
                    }
                }
            }
        }
        Ok(looked_at)
    }

    fn read<E>(
        &self,
        part: Part,
        keep: &mut dyn FnMut(&StoredRow<'_>) -> Option<E>,
    ) -> Result<(Found<E>, u64), HistoryError> {
        let most = if part.of < MOST_PARTS { EVENTS_AT_ONCE } else { usize::MAX };
        let mut units: HashMap<u64, Vec<E>> = HashMap::new();
        let mut events = 0;
        let stats = self.pinned.scan(&self.scan, &mut |row| {
            let unit = (self.unit)(row).filter(|unit| part.has(*unit));
            if let Some((unit, event)) = unit.and_then(|unit| Some((unit, keep(row)?))) {
                events += 1;
                if events <= most {
                    units.entry(unit).or_default().push(event);
                } else if !units.is_empty() {
                    units = HashMap::new(); // From here on they are only counted.
                }
            }
            ControlFlow::Continue(())
        })?;
        let found = if events <= most { Found::All(units) } else { Found::TooMany(events) };
        Ok((found, stats.rows))
    }
}
