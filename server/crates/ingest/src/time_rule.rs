//! When an event happened: the client's word unless its clock is proven wrong.

use std::collections::HashMap;

use footpath_model::id::Producer;
use footpath_model::record::TimeRule;
use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_64;

/// A clock that is wrong by less than this is left alone: network delay looks the same.
pub const CORRECT_BEYOND_US: i64 = 60_000_000;
/// An event further ahead than this happened "now".
pub const FUTURE_BEYOND_US: i64 = 24 * 3_600_000_000;
/// 2100-01-01T00:00:00Z in microseconds: the last time an event may have.
pub const LATEST_US: i64 = 4_102_444_800_000_000;

/// An event's time, and how it came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTime {
    /// Microseconds since 1970, corrected.
    pub time_us: i64,
    /// As sent; the time of receipt if none was sent.
    pub raw_us: i64,
    /// Which rule made one of the other.
    pub rule: TimeRule,
}

/// Decides an event's time from the one sent, the time of receipt and the install's clock offset (0: none).
/// A historical batch is not corrected.
#[inline]
pub fn event_time(sent_us: Option<i64>, received_us: i64, offset_us: i64, historical: bool) -> EventTime {
    let Some(raw_us) = sent_us else {
        return EventTime { time_us: received_us, raw_us: received_us, rule: TimeRule::Received };
    };
    let offset_us = if historical { 0 } else { offset_us };
    let time_us = raw_us.saturating_add(offset_us).max(0);
    if time_us > received_us.saturating_add(FUTURE_BEYOND_US) {
        return EventTime { time_us: received_us, raw_us, rule: TimeRule::Future };
    }
    let rule = if offset_us == 0 { TimeRule::AsSent } else { TimeRule::Corrected };
    EventTime { time_us, raw_us, rule }
}

/// The clock offset of every install and clock era: the smallest (receive - send) seen. Bounded: of two
/// generations the older is forgotten when the younger is full, so who keeps sending stays known.
#[derive(Debug)]
pub struct ClockOffsets {
    half: usize,
    maps: Mutex<Generations>,
}

type Key = (Producer, u64);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Key, i64>,
    old: HashMap<Key, i64>,
}

impl ClockOffsets {
    /// Keeps at most `capacity` installs (about 60 bytes each).
    pub fn new(capacity: usize) -> Self {
        Self { half: (capacity / 2).max(1), maps: Mutex::default() }
    }

    /// Takes note of a batch and answers the offset to add to its times: 0 unless the clock is wrong by more
    /// than 60 s. Without a clock era nothing is corrected, for nobody could say when the clock was set right.
    pub fn observe(&self, producer: &Producer, clock_era: &str, sent_us: i64, received_us: i64) -> i64 {
        if clock_era.is_empty() {
            return 0;
        }
        // The epoch plays no part: queue folders of one install share its clock.
        let key = (Producer { install: producer.install, epoch: 0 }, xxh3_64(clock_era.as_bytes()));
        let seen = received_us.saturating_sub(sent_us);
        let mut maps = self.maps.lock();
        let known = maps.young.get(&key).or_else(|| maps.old.get(&key)).copied();
        let smallest = known.map_or(seen, |known| known.min(seen));
        if maps.young.len() >= self.half && !maps.young.contains_key(&key) {
            maps.old = std::mem::take(&mut maps.young);
        }
        maps.young.insert(key, smallest);
        if smallest.unsigned_abs() > CORRECT_BEYOND_US as u64 { smallest } else { 0 }
    }

    /// How many installs and eras are known.
    pub fn len(&self) -> usize {
        let maps = self.maps.lock();
        maps.young.len() + maps.old.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3_600_000_000;
    const NOW: i64 = 1_700_000_000_000_000;

    fn rule(sent: Option<i64>, offset: i64, historical: bool) -> (i64, TimeRule) {
        let time = event_time(sent, NOW, offset, historical);
        assert_eq!(time.raw_us, sent.unwrap_or(NOW));
        (time.time_us, time.rule)
    }

    #[test]
    fn each_rule_applies_where_it_should() {
        assert_eq!(rule(None, 5, false), (NOW, TimeRule::Received));
        assert_eq!(rule(Some(NOW - 40 * DAY), 0, false), (NOW - 40 * DAY, TimeRule::AsSent));
        assert_eq!(rule(Some(NOW + DAY), 0, false), (NOW + DAY, TimeRule::AsSent));
        assert_eq!(rule(Some(NOW + DAY + 1), 0, false), (NOW, TimeRule::Future));
        assert_eq!(rule(Some(NOW + 2 * DAY), -2 * DAY, false), (NOW, TimeRule::Corrected));
        assert_eq!(rule(Some(NOW - 2 * DAY), 7 * DAY, true), (NOW - 2 * DAY, TimeRule::AsSent));
        assert_eq!(rule(Some(NOW + 2 * DAY), 0, true), (NOW, TimeRule::Future));
        assert_eq!(rule(Some(5), -DAY, false), (0, TimeRule::Corrected));
    }

    #[test]
    fn the_smallest_offset_counts_and_small_ones_do_nothing() {
        let clocks = ClockOffsets::new(100);
        let phone = Producer { install: [1; 16], epoch: 1 };
        assert_eq!(clocks.observe(&phone, "era", NOW, NOW + 60_000_000), 0);
        let other = Producer { install: [2; 16], epoch: 1 };
        assert_eq!(clocks.observe(&other, "era", NOW, NOW + 90_000_000), 90_000_000);
        assert_eq!(clocks.observe(&other, "era", NOW, NOW + 95_000_000), 90_000_000);
        assert_eq!(clocks.observe(&other, "era", NOW, NOW + 70_000_000), 70_000_000);
        assert_eq!(clocks.observe(&other, "next era", NOW, NOW + 99_000_000), 99_000_000);
        assert_eq!(clocks.observe(&other, "", NOW, NOW + 99_000_000), 0);
    }

    #[test]
    fn memory_stays_bounded_and_busy_installs_stay_known() {
        let clocks = ClockOffsets::new(100);
        let busy = Producer { install: [255; 16], epoch: 0 };
        clocks.observe(&busy, "e", NOW, NOW + 100_000_000);
        for i in 0..10_000_u32 {
            let mut install = [0; 16];
            install[..4].copy_from_slice(&i.to_le_bytes());
            clocks.observe(&Producer { install, epoch: 0 }, "e", NOW, NOW);
            assert_eq!(clocks.observe(&busy, "e", NOW, NOW + 200_000_000), 100_000_000);
        }
        assert!(clocks.len() <= 100);
    }
}
