//! One property of one person or group, over time.

use std::borrow::Cow;

use super::moment::Moment;
use super::operation::{Fold, Placed, PropertyOperation};
use super::value::PropertyValue;

/// How many operations a history keeps, unless told otherwise: as many as tell what events saw for some days of a busy
/// person, 3.5 KiB.
pub const DEFAULT_OPERATIONS: usize = 64;

/// What an operation did to a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryChange {
    /// Values are different from this moment on: whatever was computed with them there must be computed again.
    Changed {
        /// The operation's moment.
        from: Moment,
    },
    /// It was kept, and no value is different.
    Unchanged,
    /// The history has it already.
    Duplicate,
    /// It is too old to be placed. The history has not changed and is now wrong: [`History::rebuild`] it from stored
    /// events, this one included.
    NeedsRefold,
}

/// What was asked for lies before the operations that are kept: rebuild from stored events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("operations up to a later moment were folded already; rebuild the history from stored events")]
pub struct Forgotten;

/// The operations on one property of one person or group. The oldest are folded into a base when there are too many.
///
/// **Memory**: 32 bytes, 56 per operation, 56 for a base; texts and nested values beside that, as long as they were sent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History {
    pub(super) base: Option<Box<Base>>,
    /// Sorted, each order once, all behind the base.
    pub(super) operations: Vec<Placed>,
}

const _: () = assert!(size_of::<History>() == 32, "the memory of a history is documented");

/// The fold of all operations up to a moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Base {
    pub(super) until: Moment,
    pub(super) refused: u32,
    pub(super) value: Option<PropertyValue>,
}

impl History {
    /// The history of all these operations, in any order, of which the newest `limit` are kept.
    pub fn rebuild(limit: usize, operations: impl IntoIterator<Item = (Moment, PropertyOperation)>) -> Self {
        let placed = operations.into_iter().map(|(moment, operation)| Placed { moment, operation });
        let mut history = Self { base: None, operations: placed.collect() };
        history.operations.sort_by_key(Placed::order);
        history.operations.dedup_by_key(|placed| placed.order());
        history.trim(limit);
        history.operations.shrink_to_fit();
        history
    }

    /// Takes an operation, in whatever order it arrives. Keeps the newest `limit` of them, and all of the newest moment.
    pub fn apply(&mut self, limit: usize, moment: Moment, operation: PropertyOperation) -> HistoryChange {
        let Ok(before) = self.value_at(moment) else { return HistoryChange::NeedsRefold };
        if self.until() == Some(moment) {
            return HistoryChange::NeedsRefold;
        }
        let before = before.map(Cow::into_owned);
        let placed = Placed { moment, operation };
        let Err(at) = self.operations.binary_search_by_key(&placed.order(), Placed::order) else {
            return HistoryChange::Duplicate;
        };
        self.make_room();
        self.operations.insert(at, placed);
        let changed = self.value_at(moment).is_ok_and(|after| after.as_deref() != before.as_ref());
        self.trim(limit);
        if changed { HistoryChange::Changed { from: moment } } else { HistoryChange::Unchanged }
    }

    /// The value at a moment: what it was set to by all operations up to it, that moment's included.
    ///
    /// # Errors
    /// [`Forgotten`] if the moment lies before the base.
    pub fn value_at(&self, moment: Moment) -> Result<Option<Cow<'_, PropertyValue>>, Forgotten> {
        if self.until().is_some_and(|until| moment < until) {
            return Err(Forgotten);
        }
        let end = self.operations.partition_point(|placed| placed.moment <= moment);
        Ok(self.fold().value_after(&self.operations[..end]))
    }

    /// The value after all operations.
    pub fn current(&self) -> Option<Cow<'_, PropertyValue>> {
        self.fold().value_after(&self.operations)
    }

    /// How many additions did nothing, because the value was no number or the sum was not finite.
    pub fn refused(&self) -> u32 {
        let before = self.base.as_ref().map_or(0, |base| base.refused);
        before.saturating_add(self.fold().through(&self.operations).refused)
    }

    /// The history of two actors that are one person.
    ///
    /// # Errors
    /// [`Forgotten`] if operations of one were folded into its base and the other has operations as old. Neither has
    /// changed.
    pub fn merge(limit: usize, a: &Self, b: &Self) -> Result<Self, Forgotten> {
        let (elder, younger) = if a.base.is_some() { (a, b) } else { (b, a) };
        if younger.is_empty() {
            return Ok(elder.clone());
        }
        if younger.base.is_some() || younger.first() <= elder.until() {
            return Err(Forgotten);
        }
        let mut merged = elder.clone();
        merged.operations.extend_from_slice(&younger.operations);
        merged.operations.sort_by_key(Placed::order);
        merged.operations.dedup_by_key(|placed| placed.order());
        merged.trim(limit);
        Ok(merged)
    }

    /// Whether nothing was done to the property.
    pub fn is_empty(&self) -> bool {
        self.base.is_none() && self.operations.is_empty()
    }

    /// The moment from which on values are known: that of the first operation, or before all if it was folded.
    pub fn known_from(&self) -> Moment {
        if self.base.is_some() { Moment::FIRST } else { self.first().unwrap_or(Moment::LAST) }
    }

    fn first(&self) -> Option<Moment> {
        self.operations.first().map(|placed| placed.moment)
    }

    fn until(&self) -> Option<Moment> {
        self.base.as_ref().map(|base| base.until)
    }

    fn fold(&self) -> Fold<'_> {
        Fold::from(self.base.as_ref().and_then(|base| base.value.as_ref()))
    }

    /// Most properties are set once: a vector would begin with room for four.
    fn make_room(&mut self) {
        let held = self.operations.len();
        if held == self.operations.capacity() {
            self.operations.reserve_exact((held / 2).max(1));
        }
    }

    /// Folds the oldest operations into the base until the rest fits. Those of one event are never parted, and the newest
    /// event's stay: another one of it may come.
    fn trim(&mut self, limit: usize) {
        let Some(surplus) = self.operations.len().checked_sub(limit.max(1)).filter(|surplus| *surplus > 0)
        else {
            return;
        };
        let newest = self.operations[self.operations.len() - 1].moment;
        let until = self.operations[surplus - 1].moment;
        let end = self.operations.partition_point(|placed| placed.moment <= until && placed.moment < newest);
        if end == 0 {
            return;
        }
        let folded = self.fold().through(&self.operations[..end]);
        let refused = folded.refused.saturating_add(self.base.as_ref().map_or(0, |base| base.refused));
        let value = folded.value.map(Cow::into_owned);
        self.base = Some(Box::new(Base { until: self.operations[end - 1].moment, refused, value }));
        self.operations.drain(..end);
    }
}
