//! Units that are wrong until stored events were read.

use hashbrown::HashMap;

use crate::hub::Progress;

/// Units read again at a time; a reading parts them where they have too many events.
const AT_ONCE: usize = 10_000;

/// Events of one unit that are kept while it is read; with more of them the reading is made again. In
/// tests so few that it happens.
const LATER_AT_MOST: usize = if cfg!(test) { 3 } else { 1 << 20 };

/// A unit that is wrong.
#[derive(Debug)]
struct Wrong<E> {
    /// Where the event stands that could not be placed: answers are complete up to here.
    since: Progress,
    /// The reading that will bring the unit, and up to where it reads.
    reading: Option<(u64, Progress)>,
    /// Events behind that position.
    later: Vec<E>,
    /// Where it became wrong in a way that this reading does not mend.
    again: Option<Progress>,
}

/// A unit was read.
#[derive(Debug)]
pub struct Finished<E> {
    /// The reading is of what is stored below it.
    pub upto: Progress,
    /// Events that come after.
    pub later: Vec<E>,
    /// Since when it is wrong again with all that: it is to be marked.
    pub again: Option<Progress>,
}

impl<E> Wrong<E> {
    fn new(since: Progress) -> Self {
        Self { since, reading: None, later: Vec::new(), again: None }
    }

    /// Keeps an event for the reading that is under way.
    fn take(&mut self, event: E) {
        match self.reading {
            Some(_) if self.later.len() < LATER_AT_MOST => self.later.push(event),
            _ => *self = Self::new(self.since), // The next reading covers what has come meanwhile.
        }
    }
}

/// The unit that stands for the whole view in images; no actor's hash is taken for it.
const WHOLE: u64 = u64::MAX;

/// What of a view is wrong: some units, which readings mend, or all of it, which has to be folded again.
#[derive(Debug)]
pub struct Stale<E> {
    units: HashMap<u64, Wrong<E>>,
    whole: Option<Progress>,
}

impl<E> Default for Stale<E> {
    fn default() -> Self {
        Self { units: HashMap::new(), whole: None }
    }
}

impl<E> Stale<E> {
    /// Says that everything is wrong since then.
    pub fn break_at(&mut self, since: Progress) {
        self.whole = Some(self.whole.map_or(since, |known| known.min(since)));
    }

    /// Since when everything is wrong; `None` if it is not.
    pub fn broken(&self) -> Option<Progress> {
        self.whole
    }

    /// Says that a unit is wrong since then, and that no reading under way will help.
    pub fn mark(&mut self, unit: u64, since: Progress) {
        if unit == WHOLE {
            return self.break_at(since);
        }
        let known = self.since(unit);
        self.units.insert(unit, Wrong::new(known.map_or(since, |known| known.min(since))));
    }

    /// Says that a unit is wrong since then; a reading under way is of use, and is followed by another. So a unit that becomes
    /// wrong all the time is right again and again.
    pub fn mark_again(&mut self, unit: u64, since: Progress) {
        match self.units.get_mut(&unit).filter(|wrong| wrong.reading.is_some()) {
            Some(wrong) => wrong.again = Some(wrong.again.map_or(since, |again| again.min(since))),
            None => self.mark(unit, since),
        }
    }

    /// Says that no reading under way will help.
    pub fn restart(&mut self) {
        self.units.values_mut().for_each(|wrong| *wrong = Wrong::new(wrong.since));
    }

    /// Since when a unit is wrong; `None` if it is not.
    #[inline]
    pub fn since(&self, unit: u64) -> Option<Progress> {
        if self.units.is_empty() { None } else { self.units.get(&unit).map(|wrong| wrong.since) }
    }

    /// Forgets a unit that is no more; since when it was wrong, if it was.
    pub fn remove(&mut self, unit: u64) -> Option<Progress> {
        self.units.remove(&unit).map(|wrong| wrong.since)
    }

    /// Takes an event of a unit that is wrong; gives it back if the unit is not.
    #[inline]
    pub fn take(&mut self, unit: u64, event: E) -> Option<E> {
        if self.units.is_empty() {
            return Some(event);
        }
        match self.units.get_mut(&unit) {
            Some(wrong) => {
                wrong.take(event);
                None
            }
            None => Some(event),
        }
    }

    /// All of them, and since when.
    pub fn all(&self) -> impl Iterator<Item = (u64, Progress)> + '_ {
        let whole = self.whole.map(|since| (WHOLE, since));
        self.units.iter().map(|(unit, wrong)| (*unit, wrong.since)).chain(whole)
    }

    /// Up to where everything is counted, for a reader that is at `read`.
    pub fn complete(&self, read: Progress) -> Progress {
        self.units.values().map(|wrong| wrong.since).chain(self.whole).min().unwrap_or(read)
    }

    /// The units that reading `number` is for, if one is wanted and none is under way. It reads what is stored below `upto`;
    /// whatever comes from there on is kept for [`Stale::finish`].
    pub fn begin(&mut self, number: u64, upto: Progress) -> Option<Vec<u64>> {
        if self.units.is_empty() || self.units.values().any(|wrong| wrong.reading.is_some()) {
            return None;
        }
        let chosen = self.units.iter_mut().take(AT_ONCE);
        let begun = chosen.map(|(unit, wrong)| {
            wrong.reading = Some((number, upto));
            *unit
        });
        Some(begun.collect())
    }

    /// A unit was read: it is right again. `None` if the reading is of no use, because the unit became another meanwhile.
    pub fn finish(&mut self, number: u64, unit: u64) -> Option<Finished<E>> {
        let (_, upto) = self.units.get(&unit)?.reading.filter(|(own, _)| *own == number)?;
        let Wrong { later, again, .. } = self.units.remove(&unit)?;
        Some(Finished { upto, later, again })
    }

    /// A reading failed: its units wait for the next.
    pub fn failed(&mut self, number: u64) {
        for wrong in self.units.values_mut().filter(|wrong| wrong.reading.is_some_and(|r| r.0 == number)) {
            *wrong = Wrong::new(wrong.since);
        }
    }
}
