//! Funnels out of heads: where the names of events say which steps they match.

use std::sync::Arc;

use footpath_engine::funnel::{MAX_TIME_US, NO_ENTRY};
use footpath_engine::lens::FunnelLens;
use footpath_engine::{FunnelEvent, Rules, SlimEvent, Tally, fold_person, reached_us};
use footpath_history::{Block, HistoryError};

use super::{Folds, Prepared, Sums, times};
use crate::QueryError;
use crate::by_person::{ByPerson, Head, IdsOf};

/// The names that matter, and what an event of each matches.
pub(super) struct ByName {
    names: Vec<Arc<str>>,
    masks: Vec<u32>,
}

impl ByName {
    /// Of a funnel; `None` if anything but the name decides.
    pub(super) fn new(lens: &FunnelLens) -> Option<Self> {
        let named = lens.by_name()?.filter(|(_, mask)| *mask != 0);
        let (names, masks) = named.map(|(name, mask)| (Arc::from(name), mask)).unzip();
        Some(Self { names, masks })
    }
}

impl Prepared<'_> {
    /// Counts all units by the fast kernel, and the events looked at; `None` if they have to be read row by row.
    pub(super) fn count_heads(
        &self,
        folds: &Folds<'_>,
        rules: &Rules,
        sums: &mut Sums,
    ) -> Result<Option<u64>, QueryError> {
        let Some(named) = &self.by_name else { return Ok(None) };
        let times_us = times(&folds.plan, folds.span);
        let blocks = self.blocks(named, times_us)?;
        let pinned = self.source.pinned;
        let Some(by_person) = ByPerson::new(pinned, &self.graph, &blocks, times_us) else { return Ok(None) };
        let from_us = folds.span.from_us;
        let fold = |sums| Fold {
            rules,
            from_us,
            masks: blocks.iter().map(|block| named.masks[block.name]).collect(),
            ids: IdsOf::new(pinned, &blocks),
            events: Vec::new(),
            sums,
        };
        let nobody = sums.clone();
        let (found, events) = by_person.share(|| fold(nobody.clone()), |fold, heads| fold.count(heads))?;
        found.iter().for_each(|fold| sums.merge(&fold.sums));
        Ok(Some(events))
    }

    /// Calls `each` once for every unit, with its sorted events of these times; `None` if they have to be read row by row.
    pub(super) fn each_of_heads(
        &self,
        times_us: (i64, i64),
        each: &mut dyn FnMut(u64, Vec<FunnelEvent>),
    ) -> Result<Option<u64>, QueryError> {
        let Some(named) = &self.by_name else { return Ok(None) };
        let blocks = self.blocks(named, times_us)?;
        let pinned = self.source.pinned;
        let Some(by_person) = ByPerson::new(pinned, &self.graph, &blocks, times_us) else { return Ok(None) };
        let mut ids = IdsOf::new(pinned, &blocks);
        let mut event = |head: &Head| {
            let mask = named.masks[blocks[head.block as usize].name];
            Ok(self.lens.of_name(mask, (head.time_us, ids.id(head)?)))
        };
        let events = by_person.each(&mut |heads| {
            let mut events = heads.iter().map(&mut event).collect::<Result<Vec<_>, HistoryError>>()?;
            events.sort_unstable_by_key(FunnelEvent::order);
            each(heads.first().map_or(0, |head| head.person.hash()), events);
            Ok(())
        })?;
        Ok(Some(events))
    }

    fn blocks(&self, named: &ByName, times_us: (i64, i64)) -> Result<Vec<Block>, HistoryError> {
        self.source.pinned.blocks(self.source.project.number, times_us, Some(&named.names))
    }
}

/// Folds person after person.
struct Fold<'a> {
    rules: &'a Rules,
    from_us: i64,
    /// By block, what its events match.
    masks: Vec<u32>,
    ids: IdsOf<'a>,
    /// Of one person; kept for its room.
    events: Vec<SlimEvent>,
    sums: Sums,
}

impl Fold<'_> {
    fn count(&mut self, heads: &[Head]) -> Result<(), HistoryError> {
        self.see(heads)?;
        let state = fold_person(self.rules, self.events.iter().copied());
        let depth = state.depth(self.from_us);
        if depth == 0 {
            return Ok(());
        }
        let took_us = (depth == self.rules.steps()).then(|| state.took_us());
        self.sums.totals.add(&Tally::new((1 << depth) - 1, 0, took_us));
        if depth > 1 && !self.sums.steps.is_empty() {
            self.add_step_times(state.entries()[depth - 1], depth);
        }
        Ok(())
    }

    /// Sorts out what the person's events are. Ids only tell a second copy from another event of the same time, so where there
    /// is no such event nobody looks.
    fn see(&mut self, heads: &[Head]) -> Result<(), HistoryError> {
        self.events.clear();
        let time_us = |i: usize| heads.get(i).map(|head| head.time_us.clamp(0, MAX_TIME_US));
        for (i, head) in heads.iter().enumerate() {
            let own = time_us(i);
            let tied = own == time_us(i + 1) || i > 0 && own == time_us(i - 1);
            let id = if tied { self.ids.id(head)? } else { 0 };
            self.events.push(SlimEvent { time_us: head.time_us, id, mask: self.masks[head.block as usize] });
        }
        Ok(())
    }

    fn add_step_times(&mut self, entry_us: i64, depth: usize) {
        let times_us = reached_us(self.rules, self.events.iter().copied(), entry_us, depth);
        for (sketch, both) in self.sums.steps.iter_mut().zip(times_us.windows(2)) {
            if both[1] != NO_ENTRY {
                sketch.add((both[1] - both[0]) as f64);
            }
        }
    }
}
