//! What an event does to a property, and the fold of that.

use std::borrow::Cow;

use footpath_model::changes::Operation;

use super::moment::Moment;
use super::value::PropertyValue;

/// What an event does to one property, owned.
#[derive(Debug, Clone, PartialEq)]
pub enum PropertyOperation {
    /// Sets it where there is no value.
    SetOnce(PropertyValue),
    /// Sets it.
    Set(PropertyValue),
    /// Adds to a number; the amount is finite.
    Add(f64),
    /// Removes it.
    Unset,
}

impl PropertyOperation {
    /// Keeps an operation of a record. `None` if its value cannot be one.
    pub fn new(operation: &Operation<'_>) -> Option<Self> {
        match operation {
            Operation::SetOnce(value) => PropertyValue::new(value).map(Self::SetOnce),
            Operation::Set(value) => PropertyValue::new(value).map(Self::Set),
            Operation::Add(amount) => amount.is_finite().then_some(Self::Add(*amount)),
            Operation::Unset => Some(Self::Unset),
        }
    }

    /// Its place among the operations of one event on one key.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::SetOnce(_) => 0,
            Self::Set(_) => 1,
            Self::Add(_) => 2,
            Self::Unset => 3,
        }
    }

    /// Whether what was before does not matter after it.
    fn forgets(&self) -> bool {
        matches!(self, Self::Set(_) | Self::Unset)
    }
}

/// An operation and when it is done.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub(super) moment: Moment,
    pub(super) operation: PropertyOperation,
}

const _: () = assert!(size_of::<Placed>() == 56, "the memory of a history is documented");

impl Placed {
    /// What operations are sorted by; two of the same order are one.
    pub(super) fn order(&self) -> (Moment, u8) {
        (self.moment, self.operation.rank())
    }
}

/// A value on its way through operations, borrowed from where it was set.
#[derive(Debug, Default)]
pub(super) struct Fold<'a> {
    pub(super) value: Option<Cow<'a, PropertyValue>>,
    /// Additions that did nothing.
    pub(super) refused: u32,
}

impl<'a> Fold<'a> {
    pub(super) fn from(value: Option<&'a PropertyValue>) -> Self {
        Self { value: value.map(Cow::Borrowed), refused: 0 }
    }

    /// Does all operations, in order.
    pub(super) fn through(mut self, sorted: &'a [Placed]) -> Self {
        sorted.iter().for_each(|placed| self.step(&placed.operation));
        self
    }

    /// The value after all operations; begins where nothing before matters.
    pub(super) fn value_after(self, sorted: &'a [Placed]) -> Option<Cow<'a, PropertyValue>> {
        let from = sorted.iter().rposition(|placed| placed.operation.forgets());
        self.through(&sorted[from.unwrap_or(0)..]).value
    }

    fn step(&mut self, operation: &'a PropertyOperation) {
        match operation {
            PropertyOperation::SetOnce(value) if self.value.is_none() => {
                self.value = Some(Cow::Borrowed(value))
            }
            PropertyOperation::SetOnce(_) => {}
            PropertyOperation::Set(value) => self.value = Some(Cow::Borrowed(value)),
            PropertyOperation::Add(amount) => self.add(*amount),
            PropertyOperation::Unset => self.value = None,
        }
    }

    fn add(&mut self, amount: f64) {
        let sum = match &self.value {
            Some(value) => value.plus(amount),
            None => PropertyValue::of_amount(amount),
        };
        match sum {
            Some(sum) => self.value = Some(Cow::Owned(sum)),
            None => self.refused = self.refused.saturating_add(1),
        }
    }
}
