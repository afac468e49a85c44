//! One funnel's live state: every person's fold, the counts, who leaves the range next, and who is being folded again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use footpath_engine::{ActorKey, Change, FunnelCounts, NeedsRefold, PersonFunnel, Rules, SlimEvent};
use footpath_model::control::CountedFunnel;
use footpath_model::filter::StepMatcher;
use hashbrown::HashMap;

use crate::LiveError;
use crate::hub::{CAUSES, Cause, CauseTotal, FunnelNumbers, Progress};
use crate::persons::{NEVER, Person, Persons};

/// A clock that goes back by less than this is waited for.
const TREMBLE_US: i64 = 1_000_000;

/// Persons folded again at a time; a reading parts them where they have too many events.
const REFOLDS_AT_ONCE: usize = 10_000;

/// A person whose fold is wrong until stored events were read.
#[derive(Debug, Default)]
struct Stale {
    /// Where the event stands that could not be placed: answers are complete up to here.
    since: Progress,
    /// The reading that will bring the fold, and up to where it reads.
    reading: Option<(u64, Progress)>,
    /// Events behind that position.
    later: Vec<SlimEvent>,
}

/// Events of one person that are kept while they are read, 48 MiB; with more of them the reading is made again. In
/// tests so few that it happens.
const LATER_AT_MOST: usize = if cfg!(test) { 3 } else { 1 << 20 };

impl Stale {
    /// Keeps an event for the fold that is under way.
    fn take(&mut self, event: SlimEvent) {
        match self.reading {
            Some(_) if self.later.len() < LATER_AT_MOST => self.later.push(event),
            _ => self.forget_reading(),
        }
    }

    /// The next reading covers what has come meanwhile.
    fn forget_reading(&mut self) {
        *self = Self { since: self.since, ..Self::default() };
    }
}

/// One funnel's live state.
#[derive(Debug)]
pub struct LiveFunnel {
    counted: CountedFunnel,
    rules: Rules,
    matcher: StepMatcher,
    persons: Persons,
    stale: HashMap<u64, Stale>,
    book: Book,
}

/// The numbers, and who changes them next.
#[derive(Debug)]
struct Book {
    counts: FunnelCounts,
    causes: [CauseTotal; CAUSES],
    /// The range's beginning, and whether it moves.
    from_us: i64,
    moves: bool,
    /// (entry time, person): when the range's beginning passes the entry, the person is judged again.
    leaving: BinaryHeap<Reverse<(i64, u64)>>,
    changed: bool,
}

impl Book {
    /// Counts a person at the step they now reach.
    #[inline]
    fn judge(&mut self, person: &mut Person, cause: Cause) {
        let depth = person.fold.depth(self.from_us);
        if self.moves
            && let Some(entry) = person.fold.falls_after(self.from_us)
            && person.leaves_after != entry
        {
            person.leaves_after = entry;
            self.leaving.push(Reverse((entry, person.key)));
        }
        let before = std::mem::replace(&mut person.depth, depth);
        if before != depth {
            self.count(cause, before, depth);
        }
    }

    /// One person went from depth `before` to depth `after`.
    fn count(&mut self, cause: Cause, before: usize, after: usize) {
        self.counts.shift(before, after);
        self.causes[cause as usize].count(before, after);
        self.changed = true;
    }
}

impl LiveFunnel {
    /// An empty funnel at `now_us`.
    ///
    /// # Errors
    /// If the definition or its range is not valid.
    pub fn new(counted: CountedFunnel, now_us: i64) -> Result<Self, LiveError> {
        let (from_us, to_us) = counted.resolve(now_us)?;
        let rules = Rules::of(&counted.definition)?.with_entry_before(to_us);
        Ok(Self {
            matcher: StepMatcher::new(&counted.definition),
            rules,
            persons: Persons::default(),
            stale: HashMap::new(),
            book: Book {
                counts: FunnelCounts::new(counted.definition.steps.len()),
                causes: Default::default(),
                from_us,
                moves: counted.range.moves(),
                leaving: BinaryHeap::new(),
                changed: true,
            },
            counted,
        })
    }

    /// What is counted.
    pub fn counted(&self) -> &CountedFunnel {
        &self.counted
    }

    /// How a person is folded.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Which events count.
    pub fn matcher(&self) -> &StepMatcher {
        &self.matcher
    }

    /// The persons, for images.
    pub fn persons(&mut self) -> &mut Persons {
        &mut self.persons
    }

    /// Where a person is kept.
    #[inline]
    pub fn slot(&self, person: ActorKey) -> Option<u32> {
        self.persons.slot(person.0)
    }

    /// Asks for the memory of a person who is needed soon.
    #[inline]
    pub fn warm(&self, slot: u32) {
        self.persons.warm(slot);
    }

    /// Takes one event of one person, stored at `at`.
    #[inline]
    pub fn apply(&mut self, person: ActorKey, event: SlimEvent, at: Progress) {
        if !self.stale.is_empty()
            && let Some(stale) = self.stale.get_mut(&person.0)
        {
            stale.take(event);
            return;
        }
        let known = self.persons.change(person.0, &self.rules);
        match known.fold.apply(&self.rules, event) {
            Change::InOrder => self.book.judge(known, Cause::Event),
            Change::Late => self.book.judge(known, Cause::LateEvent),
            Change::Duplicate | Change::Irrelevant => {}
            Change::NeedsRefold => self.mark_stale(person.0, at),
        }
    }

    /// Two persons became one at `at`: `loser`'s events are `winner`'s now.
    pub fn merge(&mut self, loser: ActorKey, winner: ActorKey, at: Progress) {
        let lost = self.persons.remove(loser.0);
        if let Some(lost) = lost.as_ref().filter(|lost| lost.depth > 0) {
            self.book.count(Cause::Merge, lost.depth, 0);
        }
        let waiting = [self.stale.remove(&loser.0), self.stale.remove(&winner.0)];
        if let Some(since) = waiting.iter().flatten().map(|stale| stale.since).min() {
            return self.mark_stale(winner.0, since);
        }
        let Some(lost) = lost else { return };
        let winning = self.persons.change(winner.0, &self.rules);
        match PersonFunnel::merge(&self.rules, &lost.fold, &winning.fold) {
            Ok(joined) => {
                winning.fold = joined;
                self.book.judge(winning, Cause::Merge);
            }
            Err(NeedsRefold) => self.mark_stale(winner.0, at),
        }
    }

    /// One person became two at `at`: some of `left`'s events are `parted`'s now. Which ones, stored events say.
    pub fn split(&mut self, left: ActorKey, parted: ActorKey, at: Progress) {
        let waiting = self.stale.get(&left.0).map(|stale| stale.since);
        if waiting.is_none() && self.persons.slot(left.0).is_none() {
            return; // The funnel has nothing of either.
        }
        let since = waiting.map_or(at, |waiting| waiting.min(at));
        self.mark_stale(left.0, since);
        self.mark_stale(parted.0, since);
    }

    /// Moves the range to `now_us`; who leaves it, leaves by this.
    pub fn advance(&mut self, now_us: i64) {
        if !self.book.moves {
            return;
        }
        let Ok((from_us, _)) = self.counted.resolve(now_us) else { return };
        if from_us < self.book.from_us.saturating_sub(TREMBLE_US) {
            return self.go_back(from_us);
        }
        if from_us <= self.book.from_us {
            return;
        }
        self.book.from_us = from_us;
        while let Some(Reverse((entry, key))) = self.book.leaving.peek().copied() {
            if entry >= from_us {
                return;
            }
            self.book.leaving.pop();
            if let Some(person) = self.persons.get(key) {
                self.book.judge(person, Cause::WindowMoved);
            }
        }
    }

    /// The clock was ahead and was set right: who had left by it is counted again.
    fn go_back(&mut self, from_us: i64) {
        self.book.from_us = from_us;
        self.book.leaving.clear();
        let book = &mut self.book;
        self.persons.each(|person| {
            person.leaves_after = NEVER;
            book.judge(person, Cause::WindowMoved);
        });
    }

    /// The fold of `person` over everything stored before this funnel went on, from an image or a back-fill.
    pub fn restore(&mut self, person: u64, fold: PersonFunnel) {
        let person = self.persons.change(person, &self.rules);
        person.fold = fold;
        self.book.judge(person, Cause::Definition);
    }

    /// Says that a person's fold is wrong since then.
    pub fn mark_stale(&mut self, person: u64, since: Progress) {
        self.stale.insert(person, Stale { since, ..Stale::default() });
    }

    /// Persons whose fold is wrong, and since when.
    pub fn stale(&self) -> impl Iterator<Item = (u64, Progress)> + '_ {
        self.stale.iter().map(|(person, stale)| (*person, stale.since))
    }

    /// Up to where every event is counted, for a reader that is at `read`.
    pub fn complete(&self, read: Progress) -> Progress {
        self.stale.values().map(|stale| stale.since).min().unwrap_or(read)
    }

    /// Whether a reading of stored events is wanted and none is under way.
    pub fn wants_reading(&self) -> bool {
        !self.stale.is_empty() && self.stale.values().all(|stale| stale.reading.is_none())
    }

    /// Persons to fold again from the events stored below `upto`. Whatever they do from there on is kept for
    /// [`LiveFunnel::refolded`].
    pub fn begin_reading(&mut self, reading: u64, upto: Progress) -> Vec<u64> {
        let chosen = self.stale.iter_mut().take(REFOLDS_AT_ONCE);
        chosen
            .map(|(person, stale)| {
                stale.reading = Some((reading, upto));
                *person
            })
            .collect()
    }

    /// A reading's result for one person; ignored if the person was merged meanwhile.
    pub fn refolded(&mut self, reading: u64, person: u64, fold: PersonFunnel) {
        let Some(stale) = self.stale.get(&person) else { return };
        let Some((_, upto)) = stale.reading.filter(|(own, _)| *own == reading) else { return };
        let later = self.stale.remove(&person).map(|stale| stale.later).unwrap_or_default();
        let known = self.persons.change(person, &self.rules);
        known.fold = fold;
        self.book.judge(known, Cause::LateEvent);
        for event in later {
            self.apply(ActorKey(person), event, upto);
        }
    }

    /// A reading failed: its persons wait for the next.
    pub fn reading_failed(&mut self, reading: u64) {
        for stale in self.stale.values_mut().filter(|stale| stale.reading.is_some_and(|r| r.0 == reading)) {
            stale.forget_reading();
        }
    }

    /// Whether numbers changed since the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.book.changed)
    }

    /// Makes the next publication send the numbers, changed or not.
    pub fn touch(&mut self) {
        self.book.changed = true;
    }

    /// The numbers as they stand; the caller fills in position and progress.
    pub fn numbers(&self) -> FunnelNumbers {
        FunnelNumbers {
            version: self.counted.definition.version,
            labels: self.counted.definition.steps.iter().map(|step| step.label().to_owned()).collect(),
            reached: self.book.counts.reached().to_vec(),
            causes: self.book.causes.clone(),
            live: true,
            percent: 100,
            ..FunnelNumbers::default()
        }
    }
}
