//! A funnel's view: every unit's fold, the numbers, who leaves the range next, and who is being folded again.

use std::cmp::Reverse;
use std::sync::Arc;

use footpath_engine::lens::{FunnelLens, PropertyRead, Values};
use footpath_engine::{
    ActorKey, Change, FunnelEvent, IdentityGraph, Moved, NeedsRefold, Plan, SessionRules, Tallies, UnitFunnel,
};
use footpath_model::control::CountedFunnel;
use footpath_model::definition::Counting;
use footpath_model::filter::Entities;
use hashbrown::HashMap;

use crate::LiveError;
use crate::book::Corrected;
use crate::dependents::Dependents;
use crate::hub::{Cause, Numbers, Progress};
use crate::reading::{Asked, Persons, Sees, units_of};
use crate::reconciliation::Figures;
use crate::sessions::KEPT;
use crate::stale::{Finished, Stale};
use crate::table::decode;
use crate::units::{AWAKE, QUIET, Units};
use crate::view::{Brought, Context, Counted, Reading, Seen, TREMBLE_US, View, Wants};
use quiet::Quiet;
use tallied::{FunnelUnit, NEVER, Tallied};

mod quiet;
mod tallied;

/// Events whose units' memory is asked for together. Finding a unit is some reads that each depend on the one before, and
/// of a million of them each is a miss; side by side, those of many cost little more than those of one.
const TOGETHER: usize = 32;

/// What a block of an image holds beside units: who sees whose properties.
const DEPENDENTS: u8 = 2;

/// A unit of more parts, sessions or attempts is heavy. In tests nearly everybody is.
const MANY: usize = if cfg!(test) { 2 } else { 64 };

/// The unit that an event is of, and what the kernel has to know of it; `None` if it does not matter. `name` is its name's number,
/// where that is known.
#[inline]
fn see(lens: &FunnelLens, name: Option<usize>, seen: &Seen<'_>) -> Option<(u64, FunnelEvent)> {
    let event = lens.event(name, seen.name, &seen.facts)?;
    Some((lens.unit(seen.person, &seen.facts)?, event))
}

impl Sees for FunnelLens {
    type Event = FunnelEvent;

    fn wants(&self) -> Wants {
        Wants { names: self.names(), ..Wants::all(self.needs()) }
    }

    fn see(&self, seen: &Seen<'_>) -> Option<(u64, FunnelEvent)> {
        see(self, None, seen)
    }

    fn order(event: &FunnelEvent) -> (i64, u128) {
        event.order()
    }
}

/// A unit's fold as a reading brings it.
type Folds = Vec<(u64, UnitFunnel)>;

/// A funnel's view.
#[derive(Debug)]
pub struct FunnelView {
    counted: CountedFunnel,
    plan: Plan,
    lens: FunnelLens,
    units: Units<FunnelUnit, Quiet>,
    /// Whether units were forgotten that had left a range that moves.
    forgot: bool,
    stale: Stale<FunnelEvent>,
    waiting: Vec<(u64, FunnelEvent)>,
    /// Units with an event that saw what is no longer known.
    unsure: Vec<u64>,
    /// Heavy units that are to be judged, and why: once for all that comes together, so that nobody can make every event as
    /// expensive as all of theirs before.
    postponed: HashMap<u64, Cause>,
    dependents: Dependents,
    tallied: Tallied,
}

impl FunnelView {
    /// An empty funnel at `now_us`.
    ///
    /// # Errors
    /// If the definition or its range is not valid.
    pub fn new(project: &str, counted: CountedFunnel, now_us: i64) -> Result<Self, LiveError> {
        let (from_us, to_us) = counted.resolve(now_us)?;
        let moves = counted.range.moves();
        let sessions = SessionRules::try_from(counted.sessions.unwrap_or_default())?.with_kept(KEPT);
        let plan = Plan::new(&counted.definition, (from_us, to_us), moves, &sessions)?;
        Ok(Self {
            lens: FunnelLens::new(project, &counted, plan.sees_all(), Values::default())?,
            units: Units::default(),
            forgot: false,
            stale: Stale::default(),
            waiting: Vec::new(),
            unsure: Vec::new(),
            postponed: HashMap::new(),
            dependents: Dependents::new(project, &counted),
            tallied: Tallied::new(plan.steps(), counted.definition.breakdown.is_some(), (from_us, moves)),
            plan,
            counted,
        })
    }

    fn reads_entities(&self) -> bool {
        !self.dependents.reads().is_empty()
    }

    fn counts_groups(&self) -> bool {
        matches!(self.counted.definition.counting, Counting::Groups(_))
    }

    /// Takes one event of one unit, stored at `at`; the unit is kept at `slot` in all likelihood.
    #[inline]
    fn apply(&mut self, unit: u64, slot: Option<u32>, event: FunnelEvent, at: Progress) {
        let Some(event) = self.stale.take(unit, event) else { return };
        if self.units.is_quiet(unit) {
            return self.stale.mark(unit, at);
        }
        let (plan, from_us) = (&self.plan, self.tallied.from_us);
        let known = self.units.awake.change_at(slot, unit, || FunnelUnit::new(plan, from_us));
        if known.state.fold.advance(plan, from_us).is_err() {
            return self.stale.mark(unit, at);
        }
        let cause = match known.state.fold.apply(plan, event) {
            Change::InOrder => Cause::Event,
            Change::Late => Cause::LateEvent,
            Change::Duplicate | Change::Irrelevant => return,
            Change::NeedsRefold => return self.stale.mark(unit, at),
        };
        if known.state.fold.is_heavy(MANY) {
            return self.postpone(unit, cause);
        }
        self.tallied.judge(plan, known, cause);
    }

    #[cold]
    fn postpone(&mut self, unit: u64, cause: Cause) {
        let known = self.postponed.entry(unit).or_insert(cause);
        if cause == Cause::LateEvent {
            *known = cause;
        }
    }

    /// Judges who was postponed.
    fn settle(&mut self, at: Progress) {
        for (unit, cause) in std::mem::take(&mut self.postponed) {
            let Some(known) = self.units.awake.get(unit) else { continue };
            match known.state.fold.advance(&self.plan, self.tallied.from_us) {
                Ok(()) => self.tallied.judge(&self.plan, known, cause),
                Err(NeedsRefold) => self.stale.mark(unit, at),
            }
        }
    }

    /// Two persons became one at `at`: `loser`'s events are `winner`'s now.
    fn join(&mut self, loser: ActorKey, winner: ActorKey, at: Progress) {
        let (lost, quiet) = (self.units.awake.remove(loser.0), self.units.quiet.remove(loser.0));
        let counts = lost.as_ref().map(|lost| &lost.state.counts);
        let counts = counts.or(quiet.as_ref().map(|quiet| &quiet.state.counts));
        if let Some(counts) = counts.filter(|counts| **counts != Tallies::None) {
            self.tallied.count(Cause::Merge, counts, &Tallies::None);
        }
        let wrong = [self.stale.remove(loser.0), self.stale.remove(winner.0)];
        if let Some(since) = wrong.into_iter().flatten().min() {
            return self.stale.mark(winner.0, since);
        }
        if quiet.is_some() || lost.is_some() && self.units.is_quiet(winner.0) {
            return self.stale.mark(winner.0, at);
        }
        let Some(mut lost) = lost else { return };
        let (plan, from_us) = (&self.plan, self.tallied.from_us);
        let winning = self.units.awake.change(winner.0, || FunnelUnit::new(plan, from_us));
        // Only what begins at the same time can be joined.
        let begins = [&mut lost.state.fold, &mut winning.state.fold].map(|fold| fold.advance(plan, from_us));
        if begins.iter().any(Result::is_err) {
            return self.stale.mark(winner.0, at);
        }
        match UnitFunnel::merge(plan, &lost.state.fold, &winning.state.fold) {
            Ok(joined) => {
                winning.state.fold = joined;
                self.tallied.judge(plan, winning, Cause::Merge);
            }
            Err(NeedsRefold) => self.stale.mark(winner.0, at),
        }
    }

    /// One person became two at `at`: some of `left`'s events are `parted`'s now. Which ones, stored events say.
    fn part(&mut self, left: ActorKey, parted: ActorKey, at: Progress) {
        let wrong = self.stale.since(left.0);
        if wrong.is_none() && !self.units.has(left.0) {
            return; // The funnel has nothing of either.
        }
        let since = wrong.map_or(at, |wrong| wrong.min(at));
        self.stale.mark(left.0, since);
        self.stale.mark(parted.0, since);
    }

    /// The clock was ahead and was set right: who had left by it is counted again.
    fn go_back(&mut self, from_us: i64, at: Progress) {
        self.tallied.from_us = from_us;
        if self.forgot || !self.units.quiet.is_empty() {
            return self.stale.break_at(at);
        }
        self.tallied.leaving.clear();
        let Self { units, tallied, plan, stale, .. } = self;
        units.awake.each(|unit| {
            unit.state.leaves_after = NEVER;
            match unit.state.fold.advance(plan, from_us) {
                Ok(()) => tallied.judge(plan, unit, Cause::WindowMoved),
                Err(NeedsRefold) => stale.mark(unit.key, at),
            }
        });
    }

    /// What a reading asks for properties of persons and groups.
    fn asked(&self, context: &Context<'_>) -> Option<Asked> {
        if !self.reads_entities() {
            return None;
        }
        // The units of persons are read with their ids. Those of groups have everybody's: this takes the time of all links,
        // which is less than that of the reading.
        let reads_persons = self.dependents.reads_persons();
        let identity = (self.counts_groups() && reads_persons).then(|| Arc::new(context.identity.clone()));
        Some(Asked::new(context.known, identity))
    }

    fn restore_units(&mut self, copied: &[u8]) -> Option<()> {
        let mut folds: Folds = Vec::new();
        let read = |bytes: &mut &[u8]| UnitFunnel::decode(&self.plan, bytes).ok();
        decode(copied, read, |unit, fold| folds.push((unit, fold)))?;
        for (unit, fold) in folds {
            self.take_fold(unit, fold, Cause::Definition, Progress::default());
        }
        Some(())
    }

    /// Takes what was read up to `at`.
    fn take_fold(&mut self, unit: u64, fold: UnitFunnel, cause: Cause, at: Progress) {
        let quiet = self.units.quiet.remove(unit).map(|quiet| quiet.state);
        let Quiet { counts, leaves_after } = quiet.unwrap_or_default();
        let (plan, from_us) = (&self.plan, self.tallied.from_us);
        let new = || FunnelUnit { counts, leaves_after, ..FunnelUnit::new(plan, from_us) };
        let known = self.units.awake.change(unit, new);
        known.state.fold = fold;
        match known.state.fold.advance(plan, from_us) {
            Ok(()) => self.tallied.judge(plan, known, cause),
            // It was read for a range that begins later: the next reading is for this one.
            Err(NeedsRefold) => self.stale.mark(unit, at),
        }
    }
}

impl View for FunnelView {
    fn counted(&self) -> Counted {
        Counted::Funnel(Box::new(self.counted.clone()))
    }

    fn wants(&self) -> Wants {
        Sees::wants(&self.lens)
    }

    fn reads(&self) -> &[PropertyRead] {
        self.dependents.reads()
    }

    #[inline]
    fn take(&mut self, name: usize, seen: &Seen<'_>) {
        if !self.reads_entities() {
            return self.waiting.extend(see(&self.lens, Some(name), seen));
        }
        self.dependents.note(seen);
        let event = see(&self.lens, Some(name), seen);
        match seen.facts.entities.is_some_and(Entities::take_unknown) {
            true => self.unsure.extend(self.lens.unit(seen.person, &seen.facts)),
            false => self.waiting.extend(event),
        }
    }

    fn flush(&mut self, at: Progress) {
        let waiting = std::mem::take(&mut self.waiting);
        for together in waiting.chunks(TOGETHER) {
            let mut slots = [None; TOGETHER];
            for (slot, (unit, _)) in slots.iter_mut().zip(together) {
                *slot = self.units.awake.guess(*unit);
            }
            slots.iter().flatten().for_each(|slot| self.units.awake.warm(*slot));
            for (slot, (unit, event)) in slots.iter().zip(together) {
                self.apply(*unit, *slot, *event, at);
            }
        }
        self.waiting = waiting;
        self.waiting.clear();
        self.unsure.drain(..).for_each(|unit| self.stale.mark_again(unit, at));
        if self.units.is_too_many() {
            self.settle(at); // Who loses its fold cannot be judged any more.
        }
        self.make_room();
    }

    fn follow(&mut self, moved: &Moved, at: Progress) {
        if self.counts_groups() {
            return; // Whose events they are does not matter.
        }
        if moved.is_split() {
            self.part(moved.from_root, moved.to_root, at);
        } else {
            self.join(moved.from_root, moved.to_root, at);
        }
    }

    fn correct(&mut self, corrected: &Corrected, identity: &IdentityGraph) {
        let units = self.dependents.units(corrected, identity);
        units.into_iter().for_each(|unit| self.stale.mark_again(unit, corrected.since));
    }

    fn advance(&mut self, now_us: i64, at: Progress) {
        self.settle(at);
        if !self.tallied.moves {
            return;
        }
        let Ok((from_us, _)) = self.counted.resolve(now_us) else { return };
        if from_us < self.tallied.from_us.saturating_sub(TREMBLE_US) {
            return self.go_back(from_us, at);
        }
        if from_us <= self.tallied.from_us {
            return;
        }
        self.tallied.from_us = from_us;
        while let Some(Reverse((moment, key))) = self.tallied.leaving.peek().copied() {
            if moment >= from_us {
                return;
            }
            self.tallied.leaving.pop();
            let Some(unit) = self.units.awake.get(key).filter(|unit| unit.state.leaves_after == moment)
            else {
                self.leave_quietly(key, moment, at);
                continue; // Or it has left earlier, or is another one by now.
            };
            unit.state.leaves_after = NEVER;
            match unit.state.fold.advance(&self.plan, from_us) {
                Ok(()) => self.tallied.judge(&self.plan, unit, Cause::WindowMoved),
                Err(NeedsRefold) => self.stale.mark(key, at),
            }
        }
    }

    fn bound(&mut self, most_units: usize) {
        self.units.bound(most_units);
    }

    fn complete(&self, read: Progress) -> Progress {
        self.stale.complete(read)
    }

    fn broken(&self) -> Option<Progress> {
        self.stale.broken()
    }

    fn begin_reading(&mut self, number: u64, upto: Progress, context: &Context<'_>) -> Option<Reading> {
        let units = self.stale.begin(number, upto)?;
        let mut persons = Persons {
            project: context.project,
            upto: upto.position,
            lens: self.lens.clone(),
            units: units_of(&units, self.counts_groups(), context.identity),
            asked: self.asked(context),
        };
        let (plan, from_us) = (self.plan.clone(), self.tallied.from_us);
        Some(Box::new(move |stored, stop| {
            let new = |_| UnitFunnel::new(&plan, from_us);
            let fold = |fold: &mut UnitFunnel, event| _ = fold.apply(&plan, event);
            let folds: Folds = persons.fold_surely(stored, stop, &new, &fold)?;
            Ok(Box::new(folds) as Brought)
        }))
    }

    fn read(&mut self, number: u64, brought: Brought) {
        let Ok(folds) = brought.downcast::<Folds>() else { return };
        for (unit, fold) in *folds {
            let Some(Finished { upto, later, again }) = self.stale.finish(number, unit) else { continue };
            self.take_fold(unit, fold, Cause::LateEvent, upto);
            for event in later {
                self.apply(unit, None, event, upto);
            }
            again.into_iter().for_each(|since| self.stale.mark(unit, since));
            self.settle(upto);
        }
        self.make_room();
    }

    fn reading_failed(&mut self, number: u64) {
        self.stale.failed(number);
    }

    fn stale(&self) -> Vec<(u64, Progress)> {
        self.stale.all().collect()
    }

    fn mark_stale(&mut self, unit: u64, since: Progress) {
        self.stale.mark(unit, since);
    }

    fn begin_copy(&mut self) {
        self.units.begin_copy();
        self.dependents.begin_copy();
    }

    fn copy_slice(&mut self, units: usize, out: &mut Vec<u8>) -> bool {
        if self.units.is_copying() {
            return self.units.copy_slice(units, out) || self.reads_entities();
        }
        out.push(DEPENDENTS);
        self.dependents.copy_slice(units, out)
    }

    fn end_copy(&mut self) {
        self.units.end_copy();
        self.dependents.end_copy();
    }

    fn restore(&mut self, copied: &[u8]) -> Option<()> {
        let (kind, copied) = copied.split_first()?;
        self.forgot = true; // Whether anybody was, the image does not say.
        match *kind {
            AWAKE => self.restore_units(copied),
            QUIET => self.restore_quiet(copied),
            DEPENDENTS => self.dependents.restore(copied),
            _ => None,
        }
    }

    fn values(&self) -> Vec<String> {
        self.lens.values().texts()
    }

    fn restore_values(&mut self, texts: Vec<String>) {
        self.lens.values().restore(texts);
    }

    fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.tallied.changed)
    }

    fn touch(&mut self) {
        self.tallied.changed = true;
    }

    fn figures(&self, _now_us: i64) -> Figures {
        self.tallied.figures(self.lens.values())
    }

    fn numbers(&self) -> Numbers {
        Numbers::Funnel(Box::new(self.tallied.numbers(&self.counted.definition, self.lens.values())))
    }
}

#[cfg(test)]
mod tests {
    use footpath_model::definition::{FunnelDefinition, Step};
    use footpath_model::filter::Facts;
    use footpath_model::range::{Range, RollingUnit};

    use super::*;

    const START: i64 = 1_700_000_000_000_000;
    const MINUTE: i64 = 60_000_000;

    #[test]
    fn a_unit_is_queued_once_however_often_it_enters_again() {
        let steps = vec![Step { events: vec!["open".into()], ..Step::default() }];
        let definition = FunnelDefinition { steps, window_us: MINUTE, ..FunnelDefinition::default() };
        let range = Range::Last { n: 60, unit: RollingUnit::Minutes };
        let counted = CountedFunnel::new(definition, range, String::new());
        let mut view = FunnelView::new("shop", counted, START).unwrap();
        let at = Progress::default();
        for minute in 0..30 {
            let facts = Facts { order: (START + minute * MINUTE, minute as u128), ..Facts::default() };
            let person = ActorKey(7);
            view.take(0, &Seen { person, name: "open", facts, actor: person, stored_us: 0 });
            view.flush(at);
        }
        assert_eq!(view.tallied.leaving.len(), 1);
        // The newest entry counts, whenever the first would have left.
        view.advance(START + 89 * MINUTE, at);
        assert_eq!((view.tallied.totals.all().reached(), view.tallied.leaving.len()), (&[1][..], 1));
        view.advance(START + 89 * MINUTE + 1, at);
        assert_eq!((view.tallied.totals.all().reached(), view.tallied.leaving.len()), (&[0][..], 0));
    }
}
