//! Room: a funnel keeps so many units with their folds. Of more, those that were quiet the longest keep nothing but what they count
//! for, and are read again from stored events when something happens to them.

use footpath_engine::Tallies;

use super::{FunnelUnit, FunnelView, NEVER};
use crate::hub::{Cause, Progress};
use crate::table::{State, Unit, decode};

/// A unit without its fold.
#[derive(Debug)]
pub(super) struct Quiet {
    /// As [`FunnelUnit`] has it.
    pub(super) counts: Tallies,
    /// As [`FunnelUnit`] has it.
    pub(super) leaves_after: i64,
}

impl State for Quiet {
    fn encode(&self, out: &mut Vec<u8>) {
        self.counts.encode(out);
        out.extend_from_slice(&self.leaves_after.to_le_bytes());
    }

    fn warm(&self) -> i64 {
        self.leaves_after
    }
}

impl Default for Quiet {
    fn default() -> Self {
        Self { counts: Tallies::None, leaves_after: NEVER }
    }
}

impl FunnelView {
    /// Takes the folds of the quietest units until there are no more than there may be.
    pub(super) fn make_room(&mut self) {
        let Self { units, tallied, plan, forgot, .. } = self;
        let left = |_, FunnelUnit { fold, counts, leaves_after }: FunnelUnit| {
            let is_over = tallied.moves && counts == Tallies::None && fold.is_over(plan, tallied.from_us);
            *forgot |= is_over;
            (!is_over).then_some(Quiet { counts, leaves_after })
        };
        units.make_room(|_| true, left);
    }

    /// A unit without its fold was queued under this moment, which has passed: what it counts for now, stored events say.
    pub(super) fn leave_quietly(&mut self, unit: u64, moment: i64, at: Progress) {
        let is_due = |quiet: &&mut Unit<Quiet>| quiet.state.leaves_after == moment;
        if let Some(quiet) = self.units.quiet.get(unit).filter(is_due) {
            let counts = quiet.state.counts.clone();
            let new = || Quiet { counts, leaves_after: NEVER };
            self.units.quiet.change(unit, new).state.leaves_after = NEVER; // An image has it as it was.
            self.stale.mark(unit, at);
        }
    }

    pub(super) fn restore_quiet(&mut self, copied: &[u8]) -> Option<()> {
        let read = |bytes: &mut &[u8]| {
            let counts = Tallies::decode(bytes).ok()?;
            let (leaves_after, rest) = bytes.split_first_chunk()?;
            *bytes = rest;
            Some(Quiet { counts, leaves_after: i64::from_le_bytes(*leaves_after) })
        };
        decode(copied, read, |unit, quiet| {
            self.tallied.count(Cause::Definition, &Tallies::None, &quiet.counts);
            self.tallied.queue(unit, quiet.leaves_after);
            self.units.quiet.change(unit, || quiet);
        })
    }
}

#[cfg(test)]
mod tests {
    use footpath_engine::ActorKey;
    use footpath_model::control::CountedFunnel;
    use footpath_model::definition::{Counting, FunnelDefinition, Step};
    use footpath_model::filter::Facts;
    use footpath_model::range::{Range, RollingUnit};

    use super::*;
    use crate::hub::Numbers;
    use crate::view::{Seen, View};

    const SECOND: i64 = 1_000_000;
    const NOW: i64 = 1_700_000_000 * SECOND;

    fn view(range: Range) -> FunnelView {
        view_of(Counting::Persons, range)
    }

    fn view_of(counting: Counting, range: Range) -> FunnelView {
        let step = |name: &str| Step { events: vec![name.into()], ..Step::default() };
        let definition = FunnelDefinition {
            id: "f".into(),
            steps: vec![step("a"), step("b")],
            window_us: 60 * SECOND,
            counting,
            ..FunnelDefinition::default()
        };
        let counted = CountedFunnel::new(definition, range, String::new());
        let mut view = FunnelView::new("shop", counted, NOW).unwrap();
        view.bound(3);
        view
    }

    fn at(position: u64) -> Progress {
        Progress { position, processed_us: NOW }
    }

    fn take(view: &mut FunnelView, person: u64, time_us: i64) {
        put(view, person, time_us);
        view.flush(at(person));
    }

    fn put(view: &mut FunnelView, person: u64, time_us: i64) {
        let facts = Facts { order: (time_us, u128::from(person)), ..Facts::default() };
        let actor = ActorKey(person);
        view.take(0, &Seen { person: actor, name: "a", facts, actor, stored_us: time_us });
    }

    fn entered(view: &FunnelView) -> u64 {
        let Numbers::Funnel(numbers) = view.numbers() else { panic!("a funnel has the numbers of one") };
        numbers.reached[0]
    }

    #[test]
    fn the_quietest_keep_their_numbers_and_are_read_when_they_come_back() {
        let mut view = view(Range::Fixed { from_us: NOW - 60 * SECOND, to_us: NOW + 60 * SECOND });
        (1..=100).for_each(|person| take(&mut view, person, NOW));
        assert_eq!((view.units.awake.len(), view.units.quiet.len(), entered(&view)), (3, 97, 100));
        assert!(view.stale().is_empty());
        take(&mut view, 1, NOW + SECOND);
        assert_eq!(view.stale(), [(1, at(1))]);
        assert_eq!(entered(&view), 100);
    }

    #[test]
    fn who_left_a_range_that_moves_is_gone() {
        let mut view = view(Range::Last { n: 5, unit: RollingUnit::Minutes });
        (1..=100).for_each(|person| take(&mut view, person, NOW));
        view.advance(NOW + 3_600 * SECOND, at(100));
        // Those who were quiet count for something that has to be read; the others are known to have left.
        assert_eq!((view.stale().len(), entered(&view)), (97, 97));
        (101..=103).for_each(|person| take(&mut view, person, NOW + 3_600 * SECOND));
        assert_eq!((view.units.awake.len(), view.units.quiet.len(), entered(&view)), (3, 97, 100));
        // A clock that goes back before that finds nobody: everything is folded again.
        assert_eq!(view.broken(), None);
        view.advance(NOW, at(103));
        assert_eq!(view.broken(), Some(at(103)));
    }

    #[test]
    fn heavy_units_are_counted_before_they_lose_their_folds() {
        let fixed = Range::Fixed { from_us: NOW, to_us: NOW + 3_600 * SECOND };
        let mut view = view_of(Counting::Conversions, fixed);
        for attempt in 0..5 {
            (1..=10).for_each(|person| put(&mut view, person, NOW + 120 * attempt * SECOND));
        }
        view.flush(at(1));
        assert!(!view.units.quiet.is_empty() && view.postponed.is_empty());
        assert_eq!(entered(&view), 50);
    }

    #[test]
    fn an_image_has_those_who_leave_meanwhile_as_they_were() {
        let five_minutes = || Range::Last { n: 5, unit: RollingUnit::Minutes };
        let (mut view, mut again) = (view(five_minutes()), view(five_minutes()));
        (1..=10).for_each(|person| take(&mut view, person, NOW));
        view.begin_copy();
        let later_us = NOW + 3_600 * SECOND;
        view.advance(later_us, at(10));
        let mut more = true;
        while more {
            let mut block = Vec::new();
            more = view.copy_slice(2, &mut block);
            again.restore(&block).unwrap();
        }
        assert_eq!(entered(&again), 10);
        again.advance(later_us, at(10));
        assert_eq!((again.stale().len(), view.stale().len()), (7, 7));
    }
}
