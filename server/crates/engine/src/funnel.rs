//! An ordered funnel as a fold.
//!
//! The state is one number per step: `E[d]`, the latest entry time of a chain that reaches step `d`. An
//! entry is the time of a chain's first event. Of two chains of equal depth the one that entered later is
//! never worse: its window ends later and it stays in a rolling range longer. So this vector is all that has
//! to be remembered, and `latest` entry needs no list of open attempts. It never increases with `d`, because
//! a chain's beginning is a chain.

use footpath_model::definition::FunnelDefinition;

use crate::ties::shallowest_starts;

/// Most steps a funnel may have; the same bound as in `footpath_model::definition`.
pub const MAX_STEPS: usize = 20;

/// No chain reaches this step.
pub const NO_ENTRY: i64 = i64::MIN;

/// The latest time the kernel tells apart: 52 bits of microseconds reach into the year 2112, and ingest
/// refuses times after 2100. Times outside `0..=MAX_TIME_US` are moved to the nearest bound.
pub const MAX_TIME_US: i64 = (1 << 52) - 1;

/// What a funnel needs to know of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlimEvent {
    /// Event time, microseconds since 1970.
    pub time_us: i64,
    /// The event's id.
    pub id: u128,
    /// Bit `i` is set if the event matches step `i`, counted from 0.
    pub mask: u32,
}

impl SlimEvent {
    /// Where the event stands in the total order of all events.
    pub fn order(&self) -> (i64, u128) {
        (self.time_us, self.id)
    }
}

/// Why a funnel cannot be folded. `FunnelDefinition::validate` refuses such definitions before they get here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// The number of steps is out of range.
    #[error("a funnel has 1 to {MAX_STEPS} steps, not {0}")]
    Steps(usize),
    /// The window is negative.
    #[error("a funnel's window cannot be negative ({0} us)")]
    Window(i64),
}

/// The part of a definition that the fold depends on, and the end of a fixed range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    steps: u8,
    tail_limit: u8,
    all_steps: u32,
    window_us: i64,
    entry_before_us: i64,
}

impl Rules {
    /// How many events [`crate::PersonFunnel`] keeps to place late ones among, unless told otherwise: as many as lie inline.
    /// What is late on phones comes from one interrupted upload or from a lane that was overtaken, and is placed among the last
    /// few; what is later is folded again from stored events. With 16, a list on the heap for each busy person cost
    /// the live path more than all of its folding.
    pub const DEFAULT_TAIL: u8 = 6;

    /// Rules for `steps` steps and a window in microseconds, counted from step 1, inclusive.
    ///
    /// # Errors
    /// If there are no steps or more than [`MAX_STEPS`], or the window is negative.
    pub fn new(steps: usize, window_us: i64) -> Result<Self, RulesError> {
        if !(1..=MAX_STEPS).contains(&steps) {
            return Err(RulesError::Steps(steps));
        }
        if window_us < 0 {
            return Err(RulesError::Window(window_us));
        }
        Ok(Self {
            steps: steps as u8,
            tail_limit: Self::DEFAULT_TAIL,
            all_steps: (1 << steps) - 1,
            window_us: window_us.min(MAX_TIME_US),
            entry_before_us: i64::MAX,
        })
    }

    /// The rules of a definition.
    ///
    /// # Errors
    /// As [`Rules::new`]; never for a definition that `validate` accepted.
    pub fn of(definition: &FunnelDefinition) -> Result<Self, RulesError> {
        Self::new(definition.steps.len(), definition.window_us)
    }

    /// Admits only entries before `to_us` (exclusive): the end of a fixed range. It is part of the fold and
    /// not of reading it, because a later entry would push an admissible one out of the state. A state folded
    /// under one end cannot answer for another.
    #[must_use]
    pub fn with_entry_before(mut self, to_us: Option<i64>) -> Self {
        self.entry_before_us = to_us.unwrap_or(i64::MAX);
        self
    }

    /// Keeps up to `events` events per person to place late ones among (at least one group of equal
    /// timestamps is kept whatever this says). More cost 16 bytes each and save refolds from stored events.
    #[must_use]
    pub fn with_tail_limit(mut self, events: u8) -> Self {
        self.tail_limit = events;
        self
    }

    /// How many steps there are.
    pub fn steps(&self) -> usize {
        usize::from(self.steps)
    }

    /// How many events a person's tail keeps.
    pub fn tail_limit(&self) -> usize {
        usize::from(self.tail_limit)
    }

    /// The steps an event can still serve as: none beyond the last, and not as an entry that comes too late.
    #[inline]
    pub(crate) fn usable_steps(&self, time_us: i64, mask: u32) -> u32 {
        let mask = mask & self.all_steps;
        if time_us < self.entry_before_us { mask } else { mask & !1 }
    }
}

/// Moves a time into the range the kernel tells apart.
#[inline]
pub(crate) fn clamp_time(time_us: i64) -> i64 {
    time_us.clamp(0, MAX_TIME_US)
}

/// The entry of every step, and how long the chain took that reached the last one first with its entry.
pub(crate) struct Levels<'a> {
    pub(crate) entries: &'a mut [i64],
    pub(crate) took_us: &'a mut f32,
}

impl Levels<'_> {
    /// Advances by the only event of its timestamp. `mask` is what [`Rules::usable_steps`] left.
    #[inline]
    pub(crate) fn advance_one(&mut self, rules: &Rules, time_us: i64, mask: u32) {
        let finished = self.entries.last().copied();
        advance_one(self.entries, rules, time_us, mask);
        self.note(finished, time_us);
    }

    /// Advances by all events of one timestamp: what each of those matches that a group keeps.
    #[inline]
    pub(crate) fn advance_group(&mut self, rules: &Rules, time_us: i64, group: &[u32]) {
        let finished = self.entries.last().copied();
        advance_group(self.entries, rules, time_us, group);
        self.note(finished, time_us);
    }

    #[inline]
    fn note(&mut self, finished: Option<i64>, time_us: i64) {
        let now = self.entries.last().copied();
        if now != finished {
            *self.took_us = (time_us - now.unwrap_or(time_us)) as f32;
        }
    }
}

/// From the deepest step down, so that the event serves each chain once.
#[inline]
fn advance_one(entries: &mut [i64], rules: &Rules, time_us: i64, mask: u32) {
    let oldest_entry = time_us - rules.window_us;
    let mut left = mask;
    while left != 0 {
        let step = left.ilog2() as usize;
        left &= !(1 << step);
        let entry = if step == 0 { time_us } else { entries[step - 1] };
        if entry >= oldest_entry {
            entries[step] = entry;
        }
    }
}

/// Within the group every order counts, but a chain still uses each event once. To reach step `b` it is best
/// to come from the shallowest depth `a` for which steps `a+1..=b` find distinct events in the group: `E` never
/// increases with depth, so a shallower start never has an older entry.
#[inline]
fn advance_group(entries: &mut [i64], rules: &Rules, time_us: i64, group: &[u32]) {
    if let [only] = group {
        return advance_one(entries, rules, time_us, *only);
    }
    let oldest_entry = time_us - rules.window_us;
    let starts = shallowest_starts(group, entries.len());
    // Deepest first: a start is at most as deep as its end, so it is read before it is written.
    for end in (0..entries.len()).rev() {
        let start = usize::from(starts[end]);
        if start > end {
            continue;
        }
        let entry = if start == 0 { time_us } else { entries[start - 1] };
        if entry >= oldest_entry {
            entries[end] = entry;
        }
    }
}

/// How many steps are reached by chains that entered at `from_us` or later.
#[inline]
pub(crate) fn depth(entries: &[i64], from_us: i64) -> usize {
    let from_us = from_us.max(NO_ENTRY + 1);
    entries.iter().take_while(|entry| **entry >= from_us).count()
}

/// The folded state of one person in one funnel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FunnelState {
    steps: u8,
    pub(crate) took_us: f32,
    entries: [i64; MAX_STEPS],
}

impl FunnelState {
    /// Before any event.
    pub fn new(rules: &Rules) -> Self {
        Self { steps: rules.steps, took_us: 0.0, entries: [NO_ENTRY; MAX_STEPS] }
    }

    /// The latest entry that reached each step, microseconds since 1970, or [`NO_ENTRY`].
    pub fn entries(&self) -> &[i64] {
        &self.entries[..usize::from(self.steps)]
    }

    /// How many steps the person reached, counting entries at `from_us` or later; 0 if there is none. The end of
    /// a range is part of the [`Rules`].
    pub fn depth(&self, from_us: i64) -> usize {
        depth(self.entries(), from_us)
    }

    /// Microseconds from the latest entry that reached the last step until a chain with this entry reached it first; means
    /// something only for whom all steps are reached. 24 bits of it are kept: more than a sketch of 1 % tells apart.
    pub fn took_us(&self) -> f32 {
        self.took_us
    }

    pub(crate) fn levels(&mut self) -> Levels<'_> {
        let entries = &mut self.entries[..usize::from(self.steps)];
        Levels { entries, took_us: &mut self.took_us }
    }

    pub(crate) fn set(&mut self, entries: &[i64], took_us: f32) {
        self.entries[..usize::from(self.steps)].copy_from_slice(entries);
        self.took_us = took_us;
    }
}
