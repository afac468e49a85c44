//! A number for each slot of a day or of a week.
//!
//! Slots may be wider than buckets; then a bucket lies between the middles of two of them, and both are read and taught by how near they are.

/// The numbers of the slots, and how many buckets stand behind each.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Profile {
    width_us: i64,
    period_us: i64,
    /// Not a number where nothing was seen.
    slots: Box<[f32]>,
    behind: Box<[u8]>,
}

/// Where a bucket lies: in the slots `a` and `b`, with `share` of it in `b`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    a: usize,
    b: usize,
    share: f64,
}

impl Profile {
    /// At most `most` slots; none if a period has fewer than two buckets.
    pub(super) fn new(period_us: i64, bucket_us: i64, most: usize) -> Self {
        let buckets = (period_us / bucket_us) as usize;
        let slots = if buckets < 2 { 0 } else { buckets.min(most) };
        let width_us = if slots == 0 { period_us } else { period_us / slots as i64 };
        Self { width_us, period_us, slots: vec![f32::NAN; slots].into(), behind: vec![0; slots].into() }
    }

    /// Where a bucket lies; none if there are no slots.
    pub(super) fn place(&self, local_us: i64, bucket_us: i64) -> Option<Place> {
        let slots = self.slots.len();
        if slots == 0 {
            return None;
        }
        let within = local_us.rem_euclid(self.period_us);
        if bucket_us >= self.width_us {
            let slot = ((within / self.width_us) as usize).min(slots - 1);
            return Some(Place { a: slot, b: slot, share: 0.0 });
        }
        // In widths, half a slot ahead, so that middles of slots have whole numbers from 1 on.
        let at = (within + bucket_us / 2) as f64 / self.width_us as f64 + 0.5;
        let below = at as usize;
        let slot = |number: usize| (number + slots - 1) % slots;
        Some(Place { a: slot(below), b: slot(below + 1), share: at - below as f64 })
    }

    /// The number there; not a number if nothing was seen.
    pub(super) fn get(&self, place: Place) -> f64 {
        let (a, b) = (f64::from(self.slots[place.a]), f64::from(self.slots[place.b]));
        match (a.is_nan(), b.is_nan()) {
            (true, _) => b,
            (_, true) => a,
            _ => a + (b - a) * place.share,
        }
    }

    /// How many buckets stand behind the number there.
    pub(super) fn behind(&self, place: Place) -> f64 {
        f64::from(self.behind[place.a]) * (1.0 - place.share) + f64::from(self.behind[place.b]) * place.share
    }

    /// How many buckets a slot has in a period.
    pub(super) fn per_slot(&self, bucket_us: i64) -> f64 {
        (self.width_us as f64 / bucket_us as f64).max(1.0)
    }

    /// Moves the slots by `delta` times a gain: a mean of all at first, `least` later. Slots that were never seen become `target`.
    pub(super) fn teach(&mut self, place: Place, target: f64, delta: f64, least: f64) {
        for (slot, share) in [(place.a, 1.0 - place.share), (place.b, place.share)] {
            if share <= 0.0 {
                continue;
            }
            let (number, behind) = (&mut self.slots[slot], &mut self.behind[slot]);
            if number.is_nan() {
                *number = target as f32;
                *behind = 1;
                continue;
            }
            let gain = (1.0 / (1.0 + f64::from(*behind))).max(least);
            *number += (delta * gain * share) as f32;
            *behind = behind.saturating_add(u8::from(share >= 0.5));
        }
    }

    /// Every number becomes `number * factor + by`.
    pub(super) fn shift(&mut self, factor: f64, by: f64) {
        for number in &mut self.slots {
            *number = (f64::from(*number) * factor + by) as f32;
        }
    }

    /// Whether it has the slots of `fresh`, and numbers in them.
    pub(super) fn is_sound(&self, fresh: &Self) -> bool {
        (self.width_us, self.period_us) == (fresh.width_us, fresh.period_us)
            && (self.slots.len(), self.behind.len()) == (fresh.slots.len(), fresh.behind.len())
            && self.slots.iter().all(|number| !number.is_infinite())
    }

    /// Bytes on the heap.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        size_of_val(&*self.slots) + size_of_val(&*self.behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;
    const DAY: i64 = 1440 * MINUTE;

    #[test]
    fn a_slope_is_read_between_the_middles() {
        let mut profile = Profile::new(DAY, 5 * MINUTE, 96);
        let number = |minute: i64| (minute as f64 / 1440.0 * std::f64::consts::TAU).sin();
        for minute in (0..20 * 1440).step_by(5) {
            let place = profile.place(minute * MINUTE, 5 * MINUTE).unwrap();
            let target = number(minute + 2);
            profile.teach(place, target, target - profile.get(place), 0.02);
        }
        for minute in (0..1440).step_by(5) {
            let place = profile.place(minute * MINUTE, 5 * MINUTE).unwrap();
            assert!((profile.get(place) - number(minute + 2)).abs() < 0.05, "{minute}");
        }
    }

    #[test]
    fn a_period_of_one_bucket_has_no_slots() {
        assert!(Profile::new(DAY, DAY, 96).place(0, DAY).is_none());
        assert!(Profile::new(7 * DAY, DAY, 336).place(-DAY, DAY).is_some());
    }
}
