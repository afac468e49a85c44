//! Funnels out of heads: where the names of events say which steps they match.

use std::sync::Arc;

use footpath_engine::funnel::NO_ENTRY;
use footpath_engine::lens::FunnelLens;
use footpath_engine::metric::Sketch;
use footpath_engine::{FunnelEvent, Rules, Sorted, Tally};
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
        folds: &Folds,
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
    sums: Sums,
}

impl Fold<'_> {
    fn count(&mut self, heads: &[Head]) -> Result<(), HistoryError> {
        let Self { rules, masks, ids, sums, .. } = self;
        let slim = |head: &Head| (head.time_us, masks[head.block as usize]);
        let mut sorted = Sorted { events: heads, slim, id: |head: &Head| ids.id(head) };
        let state = sorted.fold(rules)?;
        let depth = state.depth(self.from_us);
        if depth == 0 {
            return Ok(());
        }
        let took_us = (depth == rules.steps()).then(|| state.took_us());
        sums.totals.add(&Tally::new((1 << depth) - 1, 0, took_us));
        if depth > 1 && !sums.steps.is_empty() {
            let times_us = sorted.reached_us(rules, state.entries()[depth - 1], depth)?;
            add_step_times(&mut sums.steps, &times_us);
        }
        Ok(())
    }
}

fn add_step_times(steps: &mut [Sketch], reached_us: &[i64]) {
    for (sketch, both) in steps.iter_mut().zip(reached_us.windows(2)) {
        if both[1] != NO_ENTRY {
            sketch.add((both[1] - both[0]) as f64);
        }
    }
}
