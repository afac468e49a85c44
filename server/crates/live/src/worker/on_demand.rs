//! Views that are there while somebody watches.

use super::Worker;
use crate::demand::Demand;
use crate::view::ViewKey;

/// When the demand was looked at last.
#[derive(Default)]
pub(super) struct Demanded {
    pub(super) asked: u64,
    pub(super) second: i64,
    pub(super) changed: bool,
}

impl Worker {
    /// What decides which views a project has on demand; it is about to change.
    pub(super) fn demand(&mut self, number: u32) -> &mut Demand {
        self.demanded.changed = true;
        self.demands.entry(number).or_default()
    }

    /// Makes the views that somebody watches, and drops those that nobody does.
    pub(super) fn follow_demand(&mut self, now_us: i64) {
        let (asked, second) = (self.hub.asked(), now_us.div_euclid(1_000_000));
        let Demanded { asked: known, second: last, changed } = self.demanded;
        if asked == known && second == last && !changed {
            return;
        }
        self.demanded = Demanded { asked, second, changed: false };
        for (number, key, watched) in self.hub.demanded() {
            // A project is known with its first record; who watches may be earlier.
            if watched && self.know(number).is_ok() {
                self.demands.entry(number).or_default().watch(&key, now_us);
            } else if !watched {
                self.drop_unwanted(number, &key, now_us);
            }
        }
        let numbers: Vec<u32> = self.demands.keys().copied().collect();
        for number in numbers {
            let wanted = self.demands.entry(number).or_default().wanted(now_us);
            wanted.iter().for_each(|key| self.have(number, key));
        }
    }

    /// Makes a view on demand, or makes it anew if it counts what nobody wants any more. One that cannot be followed as the settings
    /// are now ends, and with it whoever watches it.
    fn have(&mut self, number: u32, key: &ViewKey) {
        let counted = self.demands.get(&number).and_then(|demand| demand.counted(key));
        let Some(counted) = counted else { return self.remove(number, key) };
        let filling = self.filling.get(&(number, key.clone())).map(|filling| filling.job.counted.clone());
        let there = filling.or_else(|| self.view(number, key).map(|view| view.counted()));
        if there.as_ref() != Some(&counted) && self.projects.contains_key(&number) {
            self.fill(number, counted, self.progress.position);
        }
    }

    fn drop_unwanted(&mut self, number: u32, key: &ViewKey, now_us: i64) {
        let wanted = self.demands.entry(number).or_default().wanted(now_us);
        if !wanted.contains(key) {
            self.remove(number, key);
        }
    }
}
