//! Folding stored events: queries, back-fills and refolds.
//!
//! A fold sees events as whoever reads them has them, sorted by time: when each was and what it matches. Ids only tell a second
//! copy from another event of the same time, so nobody is asked for them where an event is alone in its time, as nearly all are.

use std::convert::Infallible;

use crate::funnel::{FunnelState, MAX_STEPS, NO_ENTRY, Rules, SlimEvent, clamp_time};
use crate::packed::tag;
use crate::ties::{FREE, Masks, give_event};

/// Events of one person, sorted by time. Equal times may come in any order; a second copy of an event changes nothing.
pub struct Sorted<'e, E, S, I> {
    /// The events.
    pub events: &'e [E],
    /// When one was, microseconds since 1970, and the steps it matches as in [`SlimEvent::mask`].
    pub slim: S,
    /// Its id.
    pub id: I,
}

impl<E, S, I, X> Sorted<'_, E, S, I>
where
    S: Fn(&E) -> (i64, u32),
    I: FnMut(&E) -> Result<u128, X>,
{
    /// Folds them.
    ///
    /// # Errors
    /// If an id is needed and cannot be told.
    #[inline]
    pub fn fold(&mut self, rules: &Rules) -> Result<FunnelState, X> {
        let mut state = FunnelState::new(rules);
        let mut levels = state.levels();
        self.moments(rules, |time_us, masks| levels.advance_group(rules, time_us, masks))?;
        Ok(state)
    }

    /// When a chain that entered at `entry_us` first reached each of its first `depth` steps; [`NO_ENTRY`] for the other steps. A second
    /// pass for those whose fold says how deep the latest entry came: the same moments as [`crate::Attempt::reached_us`] of the
    /// general kernel.
    ///
    /// Greedy is right: a chain that reached a step earlier can go on with whatever a later one can.
    ///
    /// # Errors
    /// As [`Sorted::fold`].
    pub fn reached_us(&mut self, rules: &Rules, entry_us: i64, depth: usize) -> Result<[i64; MAX_STEPS], X> {
        let (mut times, mut reached) = ([NO_ENTRY; MAX_STEPS], 0);
        let before = self.events.partition_point(|event| self.time_us(event) < entry_us);
        self.events = &self.events[before..];
        self.moments(rules, |time_us, masks| {
            let mut step_of_event = [FREE; MAX_STEPS];
            while reached < depth && give_event(masks, reached, &mut step_of_event, &mut 0) {
                times[reached] = time_us;
                reached += 1;
            }
        })?;
        Ok(times)
    }

    #[inline]
    fn time_us(&self, event: &E) -> i64 {
        clamp_time((self.slim)(event).0)
    }

    /// The steps it can still serve as.
    #[inline]
    fn mask(&self, rules: &Rules, event: &E) -> u32 {
        let (time_us, mask) = (self.slim)(event);
        rules.usable_steps(clamp_time(time_us), mask)
    }

    /// Calls `close` for each time at which something happened, with what its events match: as many as matter.
    #[inline]
    fn moments(&mut self, rules: &Rules, mut close: impl FnMut(i64, &[u32])) -> Result<(), X> {
        let mut rest = self.events;
        while let Some((first, behind)) = rest.split_first() {
            let time_us = self.time_us(first);
            let tied = behind.iter().take_while(|event| self.time_us(event) == time_us).count();
            if tied > 0 {
                close(time_us, self.kept(rules, &rest[..=tied])?.as_slice());
            } else {
                close(time_us, &[self.mask(rules, first)]);
            }
            rest = &behind[tied..];
            debug_assert!(rest.first().is_none_or(|next| self.time_us(next) > time_us), "sorted by time");
        }
        Ok(())
    }

    /// What those of one time match.
    #[cold]
    fn kept(&mut self, rules: &Rules, tied: &[E]) -> Result<Masks, X> {
        let mut kept = Masks::default();
        let mut tags = [0; MAX_STEPS];
        for event in tied {
            let mask = self.mask(rules, event);
            let tag = tag((self.id)(event)?);
            let count = kept.as_slice().len();
            if !tags[..count].contains(&tag) && kept.offer(mask) {
                tags[count] = tag;
            }
        }
        Ok(kept)
    }
}

/// Folds one person's events, sorted by time.
pub fn fold_person(rules: &Rules, sorted: &[SlimEvent]) -> FunnelState {
    let Ok(state) = slim_events(sorted).fold(rules);
    state
}

/// Events that have all with them.
type SlimEvents<'e> =
    Sorted<'e, SlimEvent, fn(&SlimEvent) -> (i64, u32), fn(&SlimEvent) -> Result<u128, Infallible>>;

#[inline]
fn slim_events(events: &[SlimEvent]) -> SlimEvents<'_> {
    Sorted { events, slim: |event| (event.time_us, event.mask), id: |event| Ok(event.id) }
}

#[cfg(test)]
pub(crate) fn reached_us(
    rules: &Rules,
    sorted: &[SlimEvent],
    entry_us: i64,
    depth: usize,
) -> [i64; MAX_STEPS] {
    let Ok(times) = slim_events(sorted).reached_us(rules, entry_us, depth);
    times
}
