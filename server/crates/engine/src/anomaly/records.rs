//! What was never seen before: records.
//!
//! Among n exchangeable buckets the last one is a record with a chance of 1 / n, so a record is worth `ln n` nats, and more by how far it
//! leaves the range of all before. Four statistics are followed: the number itself and the means of a short and of a long window, in
//! which one bucket does little, and how far the series keeps from its level. Records are never forgotten: with any half-life the
//! same old anomaly becomes news again (measured on NAB: -7 to -20 points).

use super::math::{LIMIT, ln};

/// A number counts as a record if it leaves the range by more than this share of it, a mean if it leaves it at all: a mean moves little by chance.
const MARGIN: f64 = 0.01;
/// Nats for leaving the range by its whole width, and the most that is paid for.
const PER_WIDTH: f64 = 40.0;
const MOST_WIDTH: f64 = 0.3;
/// Buckets before which everything is a record.
const WARM_UP: f64 = 32.0;
/// What several records say together is louder than the loudest by this share of the others.
const OTHERS: f64 = 0.3;
/// Windows: of the level that distances are taken from, and of the mean distance.
const LEVEL: f64 = 288.0;
const DISTANCE: f64 = 48.0;

/// The lowest and the highest number so far.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
struct Range {
    low: f64,
    high: f64,
}

impl Range {
    /// How far `x` leaves the range, in widths of it and negative downward; from now on it is inside.
    fn leave(&mut self, x: f64) -> f64 {
        let width = (self.high - self.low).max(1e-12);
        let beyond = if x > self.high { x - self.high } else { (x - self.low).min(0.0) };
        self.low = self.low.min(x);
        self.high = self.high.max(x);
        beyond / width
    }
}

/// The records of a series.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Records {
    seen: f64,
    level: f64,
    distance: f64,
    ranges: [Range; 4],
}

/// What a bucket is as a record, in nats.
#[derive(Debug, Clone, Copy)]
pub(super) struct News {
    /// Of all statistics together.
    pub nats: f64,
    /// Of the number itself; negative downward.
    pub range: f64,
}

impl Records {
    pub(super) fn new() -> Self {
        let range = Range { low: 0.0, high: 0.0 };
        Self { seen: 0.0, level: 0.0, distance: 0.0, ranges: [range; 4] }
    }

    /// One more bucket: its number on the working scale, the means of both windows, and whether it has the weight to set a record.
    pub(super) fn hear(&mut self, number: f64, windows: [f64; 2], proves: bool) -> News {
        self.seen += 1.0;
        if proves {
            self.level += (number - self.level) / LEVEL.min(self.seen);
            self.distance += ((number - self.level).abs() - self.distance) / DISTANCE.min(self.seen);
        }
        let statistics = [number, windows[0], windows[1], self.distance];
        if self.seen == 1.0 {
            self.ranges = statistics.map(|x| Range { low: x, high: x });
        }
        let mut nats = [0.0; 4];
        for (i, x) in statistics.into_iter().enumerate().skip(usize::from(!proves)) {
            let beyond = self.ranges[i].leave(x);
            nats[i] = self.worth(beyond, if i == 0 { MARGIN } else { 0.0 }).copysign(beyond);
        }
        let loudest = nats.iter().fold(0.0_f64, |most, nats| most.max(nats.abs()));
        let all: f64 = nats.iter().map(|nats| nats.abs()).sum();
        News { nats: loudest + OTHERS * (all - loudest), range: nats[0] }
    }

    fn worth(&self, beyond: f64, margin: f64) -> f64 {
        if self.seen <= WARM_UP || beyond.abs() <= margin {
            return 0.0;
        }
        ln(self.seen) + PER_WIDTH * beyond.abs().min(MOST_WIDTH)
    }

    pub(super) fn is_sound(&self) -> bool {
        let finite = |range: &Range| range.low.abs() < LIMIT && range.high.abs() < LIMIT;
        [self.seen, self.level, self.distance].iter().all(|number| number.abs() < LIMIT)
            && self.ranges.iter().all(finite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_extreme_is_a_record_once() {
        let mut records = Records::new();
        (0..500).for_each(|i| _ = records.hear(f64::from(i % 7), [0.0; 2], true));
        assert_eq!(records.hear(6.0, [0.0; 2], true).range, 0.0);
        assert!(records.hear(20.0, [0.0; 2], true).range > ln(500.0));
        assert_eq!(records.hear(20.0, [0.0; 2], true).range, 0.0);
        assert!(records.hear(-20.0, [0.0; 2], true).range < -ln(500.0));
    }
}
