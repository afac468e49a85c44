//! The values of a breakdown, numbered.

use std::sync::Arc;

use footpath_engine::SliceValue;
use footpath_engine::general::NO_VALUE;
use hashbrown::HashMap;
use parking_lot::Mutex;

/// Most values that are kept apart; later ones are counted together.
pub const MAX_VALUES: usize = 10_000;
/// The property is not set.
pub const NOT_SET: u32 = 0;
/// More values than are kept apart.
pub const OTHER: u32 = 1;
/// The first value's number; those below mean something else.
pub const FIRST: u32 = 2;

/// Numbers values in the order in which they come. Shared with those who read stored events.
#[derive(Debug, Clone, Default)]
pub struct Values(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    numbers: HashMap<String, u32>,
    texts: Vec<String>,
    overflow: bool,
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
                let text =
                    number.checked_sub(FIRST).and_then(|i| self.0.lock().texts.get(i as usize).cloned());
                text.map_or(SliceValue::Other, SliceValue::Is)
            }
        }
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
