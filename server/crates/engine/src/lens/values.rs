//! The values of a breakdown, numbered.

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::SliceValue;
use crate::general::NO_VALUE;
use crate::metric::set::{MAX_VALUES, SeriesKey};

/// The property is not set.
const NOT_SET: u32 = 0;
/// More values than are kept apart.
const OTHER: u32 = 1;
/// The first value's number; those below mean something else.
const FIRST: u32 = 2;

/// Numbers values in the order in which they come. Clones share the numbers: who follows the log has those of whoever reads stored
/// events, and who counts those of whoever reads.
#[derive(Debug, Clone, Default)]
pub struct Values(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    numbers: HashMap<String, u32>,
    texts: Vec<String>,
    overflow: bool,
}

impl Known {
    fn text(&self, number: u32) -> Option<&String> {
        self.texts.get(number.checked_sub(FIRST)? as usize)
    }
}

impl Values {
    /// The number of a value.
    pub fn number(&self, value: Option<&str>) -> u32 {
        let Some(value) = value else { return NOT_SET };
        let mut known = self.0.lock();
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
    pub fn value(&self, number: u32) -> SliceValue {
        match number {
            NOT_SET => SliceValue::NotSet,
            NO_VALUE => SliceValue::NotReached,
            number => {
                let text = self.0.lock().text(number).cloned();
                text.map_or(SliceValue::Other, SliceValue::Is)
            }
        }
    }

    /// The value of a metric's series.
    pub fn of_series(&self, key: SeriesKey) -> SliceValue {
        match key {
            SeriesKey::Value(number) => self.value(number),
            SeriesKey::NotSet => SliceValue::NotSet,
            SeriesKey::Rest => SliceValue::Other,
        }
    }

    /// A text's number as a metric's series want it: `None` is not set.
    pub fn series(&self, value: Option<&str>) -> Option<u32> {
        value.map(|value| self.number(Some(value)))
    }

    /// Whether there were more than are kept apart.
    pub fn overflow(&self) -> bool {
        self.0.lock().overflow
    }

    /// All texts, in the order of their numbers, for images.
    pub fn texts(&self) -> Vec<String> {
        self.0.lock().texts.clone()
    }

    /// Numbers these texts first.
    pub fn restore(&self, texts: impl IntoIterator<Item = String>) {
        texts.into_iter().for_each(|text| _ = self.number(Some(&text)));
    }
}
