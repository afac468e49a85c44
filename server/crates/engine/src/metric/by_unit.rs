//! One aggregate per unit: plain numbers, and each currency on its own.

use crate::metric::codec::{BadBytes, put, take, take_array, take_len};
use crate::metric::item::Currency;

/// Almost always one entry, so a sorted list; it grows by one at a time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ByUnit<T>(Vec<(Option<Currency>, T)>);

impl<T> Default for ByUnit<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> ByUnit<T> {
    pub(crate) fn get_mut(&mut self, unit: Option<Currency>) -> Option<&mut T> {
        let found = self.0.iter_mut().find(|(known, _)| *known == unit);
        found.map(|(_, value)| value)
    }

    pub(crate) fn entry(&mut self, unit: Option<Currency>, new: impl FnOnce() -> T) -> &mut T {
        let at = match self.0.binary_search_by_key(&unit, |(known, _)| *known) {
            Ok(at) => at,
            Err(at) => {
                self.0.reserve_exact(1);
                self.0.insert(at, (unit, new()));
                at
            }
        };
        &mut self.0[at].1
    }

    pub(crate) fn get(&self, unit: Option<Currency>) -> Option<&T> {
        self.0.iter().find(|(known, _)| *known == unit).map(|(_, value)| value)
    }

    pub(crate) fn remove(&mut self, unit: Option<Currency>) {
        self.0.retain(|(known, _)| *known != unit);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Option<Currency>, &T)> {
        self.0.iter().map(|(unit, value)| (*unit, value))
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>, one: impl Fn(&T, &mut Vec<u8>)) {
        put(out, self.0.len() as u64);
        for (unit, value) in &self.0 {
            put(out, u64::from(unit.is_some()));
            out.extend(unit.iter().flat_map(|code| code.bytes()));
            one(value, out);
        }
    }

    pub(crate) fn decode(
        bytes: &mut &[u8],
        one: impl Fn(&mut &[u8]) -> Result<T, BadBytes>,
    ) -> Result<Self, BadBytes> {
        let mut all = Vec::new();
        for _ in 0..take_len(bytes)? {
            let unit = match take(bytes)? {
                0 => None,
                _ => Some(Currency::from_bytes(take_array(bytes)?).ok_or(BadBytes)?),
            };
            all.push((unit, one(bytes)?));
        }
        let ascending = all.is_sorted_by(|(a, _), (b, _)| a < b);
        if ascending { Ok(Self(all)) } else { Err(BadBytes) }
    }
}
