//! One funnel's live state: every person's fold, the counts, and who leaves the range next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use footpath_engine::{ActorKey, Change, FunnelCounts, NeedsRefold, PersonFunnel, Rules, SlimEvent};
use footpath_model::control::CountedFunnel;
use footpath_model::filter::StepMatcher;
use hashbrown::{HashMap, HashSet};

use crate::LiveError;
use crate::hub::{CAUSES, Cause, CauseTotal, FunnelNumbers};

/// One person in one funnel.
#[derive(Debug)]
struct Person {
    fold: PersonFunnel,
    depth: usize,
    /// The entry the person was last queued under.
    leaves_after: i64,
}

impl Person {
    fn new(rules: &Rules) -> Self {
        Self { fold: PersonFunnel::new(rules), depth: 0, leaves_after: i64::MIN }
    }
}

/// One funnel's live state.
#[derive(Debug)]
pub struct LiveFunnel {
    counted: CountedFunnel,
    rules: Rules,
    matcher: StepMatcher,
    persons: HashMap<u64, Person>,
    counts: FunnelCounts,
    causes: [CauseTotal; CAUSES],
    /// (entry time, person): when the range's beginning passes the entry, the person is judged again.
    leaving: BinaryHeap<Reverse<(i64, u64)>>,
    from_us: i64,
    refold: HashSet<u64>,
    changed: bool,
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
            counts: FunnelCounts::new(counted.definition.steps.len()),
            rules,
            counted,
            persons: HashMap::new(),
            causes: Default::default(),
            leaving: BinaryHeap::new(),
            from_us,
            refold: HashSet::new(),
            changed: true,
        })
    }

    /// The definition's version.
    pub fn version(&self) -> u64 {
        self.counted.definition.version
    }

    /// The steps an event matches.
    #[inline]
    pub fn mask(&self, name: &str, properties: &[u8]) -> u32 {
        self.matcher.mask(name, properties)
    }

    /// Takes one event of one person.
    pub fn apply(&mut self, person: ActorKey, event: SlimEvent) {
        let rules = &self.rules;
        let entry = self.persons.entry(person.0);
        let state = entry.or_insert_with(|| Person::new(rules));
        let cause = match state.fold.apply(rules, event) {
            Change::InOrder => Cause::Event,
            Change::Late => Cause::LateEvent,
            Change::Duplicate | Change::Irrelevant => return,
            Change::NeedsRefold => {
                self.refold.insert(person.0);
                return;
            }
        };
        self.judge(person.0, cause);
    }

    /// Two persons became one: `loser`'s events are `winner`'s now.
    pub fn merge(&mut self, loser: ActorKey, winner: ActorKey) {
        let Some(lost) = self.persons.remove(&loser.0) else { return };
        if lost.depth > 0 {
            self.count(Cause::Merge, lost.depth, 0);
        }
        let rules = &self.rules;
        let entry = self.persons.entry(winner.0);
        let state = entry.or_insert_with(|| Person::new(rules));
        match PersonFunnel::merge(rules, &lost.fold, &state.fold) {
            Ok(joined) => {
                state.fold = joined;
                self.judge(winner.0, Cause::Merge);
            }
            Err(NeedsRefold) => {
                self.refold.insert(winner.0);
            }
        }
        if self.refold.remove(&loser.0) {
            self.refold.insert(winner.0);
        }
    }

    /// Moves the range to `now_us`; who leaves it, leaves by this.
    pub fn advance(&mut self, now_us: i64) {
        let Ok((from_us, _)) = self.counted.resolve(now_us) else { return };
        if from_us <= self.from_us {
            return;
        }
        self.from_us = from_us;
        while let Some(Reverse((entry, person))) = self.leaving.peek().copied() {
            if entry >= from_us {
                return;
            }
            self.leaving.pop();
            self.judge(person, Cause::WindowMoved);
        }
    }

    /// Persons whose events are older than what is kept of them: to be rebuilt from stored events.
    pub fn take_refolds(&mut self) -> HashSet<u64> {
        std::mem::take(&mut self.refold)
    }

    /// Replaces a person's fold by one from all of their stored events, in event order.
    pub fn rebuild(&mut self, person: u64, events: Vec<SlimEvent>) {
        let rules = &self.rules;
        let entry = self.persons.entry(person);
        let state = entry.or_insert_with(|| Person::new(rules));
        state.fold = PersonFunnel::rebuild(rules, events);
        self.judge(person, Cause::LateEvent);
    }

    fn judge(&mut self, person: u64, cause: Cause) {
        let Some(state) = self.persons.get_mut(&person) else { return };
        let depth = state.fold.depth(self.from_us);
        if let Some(entry) = state.fold.falls_after(self.from_us)
            && state.leaves_after != entry
        {
            state.leaves_after = entry;
            self.leaving.push(Reverse((entry, person)));
        }
        let before = std::mem::replace(&mut state.depth, depth);
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

    /// Whether numbers changed since the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// The numbers as they stand; the caller fills in position and progress.
    pub fn numbers(&self) -> FunnelNumbers {
        FunnelNumbers {
            version: self.version(),
            labels: self.counted.definition.steps.iter().map(|step| step.label().to_owned()).collect(),
            reached: self.counts.reached().to_vec(),
            causes: self.causes.clone(),
            live: true,
            percent: 100,
            ..FunnelNumbers::default()
        }
    }
}
