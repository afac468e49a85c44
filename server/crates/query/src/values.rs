//! The values of a breakdown, numbered per query.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::HashMap;

use footpath_engine::SliceValue;
use footpath_engine::general::NO_VALUE;
use footpath_engine::metric::set::SeriesKey;

/// Most values that are kept apart; later ones are counted together, as the live path does.
pub const MAX_VALUES: usize = 10_000;
const NOT_SET: u32 = 0;
const OTHER: u32 = 1;
const FIRST: u32 = 2;

/// Numbers values in the order in which they come. Shared by who reads events and who counts.
#[derive(Debug, Default)]
pub(crate) struct Values(RefCell<Known>);

#[derive(Debug, Default)]
struct Known {
    numbers: HashMap<String, u32>,
    texts: Vec<String>,
    overflow: bool,
}

impl Values {
    /// The number of a value.
    pub(crate) fn number(&self, value: Option<&str>) -> u32 {
        let Some(value) = value else { return NOT_SET };
        let mut known = self.0.borrow_mut();
        if let Some(number) = known.numbers.get(value) {
            return *number;
        }
        if known.texts.len() == MAX_VALUES {
            known.overflow = true;
            return OTHER;
        }
        let number = FIRST + known.texts.len() as u32;
        known.texts.push(value.to_owned());
        known.numbers.insert(value.to_owned(), number);
        number
    }

    /// The value of a number.
    pub(crate) fn value(&self, number: u32) -> SliceValue {
        match number {
            NOT_SET => SliceValue::NotSet,
            NO_VALUE => SliceValue::NotReached,
            number => self.text(number).map_or(SliceValue::Other, SliceValue::Is),
        }
    }

    /// The value of a metric's series.
    pub(crate) fn of_series(&self, key: SeriesKey) -> SliceValue {
        match key {
            SeriesKey::Value(number) => self.value(number),
            SeriesKey::NotSet => SliceValue::NotSet,
            SeriesKey::Rest => SliceValue::Other,
        }
    }

    /// A text's number as a metric's series want it: `None` is not set.
    pub(crate) fn series(&self, value: Option<&str>) -> Option<u32> {
        value.map(|value| self.number(Some(value)))
    }

    /// Whether there were more than are kept apart.
    pub(crate) fn overflow(&self) -> bool {
        self.0.borrow().overflow
    }

    /// Orders numbers by their texts, whatever order they came in.
    pub(crate) fn compare(&self, a: u32, b: u32) -> Ordering {
        let known = self.0.borrow();
        let text = |number: u32| known.texts.get(number.checked_sub(FIRST)? as usize);
        text(a).cmp(&text(b)).then(a.cmp(&b))
    }

    fn text(&self, number: u32) -> Option<String> {
        self.0.borrow().texts.get(number.checked_sub(FIRST)? as usize).cloned()
    }
}
