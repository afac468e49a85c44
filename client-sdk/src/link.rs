//! What the link is worth: how large a batch it carries, and how much it may cost.

use std::time::Duration;

/// The smallest batch a bad link gets, in bytes.
const LEAST: usize = 4 * 1024;
/// A batch that takes longer than this was too large for the link.
const SLOW: Duration = Duration::from_secs(10);
/// One that takes less leaves room for a larger one.
const QUICK: Duration = Duration::from_secs(2);

/// How large batches are: doubled while the link is quick, halved when it breaks or is slow.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    bytes: usize,
    most: usize,
}

impl Pace {
    pub(crate) fn new(most: usize) -> Self {
        Self { bytes: most, most }
    }

    /// Bytes a batch may have.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn answered(&mut self, bytes: usize, took: Duration) {
        if took > SLOW {
            self.broke(bytes);
        } else if took < QUICK {
            self.bytes = self.bytes.saturating_mul(2).min(self.most);
        }
    }

    pub(crate) fn broke(&mut self, bytes: usize) {
        self.bytes = (bytes.min(self.bytes) / 2).max(LEAST).min(self.most);
    }
}

/// Bytes that may be spent while the link costs money or the battery is low; they come back evenly over an hour.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    per_hour: u64,
    saving: bool,
    left: f64,
    since: Duration,
}

impl Budget {
    const HOUR: f64 = 3_600.0;

    pub(crate) fn new(per_hour: u64) -> Self {
        Self { per_hour, saving: false, left: per_hour as f64, since: Duration::ZERO }
    }

    pub(crate) fn save(&mut self, saving: bool, now: Duration) {
        self.refill(now);
        self.saving = saving;
    }

    pub(crate) fn spend(&mut self, bytes: u64, now: Duration) {
        self.refill(now);
        if self.saving {
            self.left -= bytes as f64;
        }
    }

    /// Until when there is nothing left to spend, if so.
    pub(crate) fn wait(&mut self, now: Duration) -> Option<Duration> {
        self.refill(now);
        if !self.saving || self.left > 0.0 {
            return None;
        }
        let seconds = (1.0 - self.left) / self.per_hour.max(1) as f64 * Self::HOUR;
        Some(now + Duration::from_secs_f64(seconds.min(1e9)))
    }

    fn refill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.since).as_secs_f64();
        let most = self.per_hour as f64;
        self.left = (self.left + passed / Self::HOUR * most).min(most);
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_follow_the_link() {
        let mut pace = Pace::new(512 * 1024);
        pace.broke(300 * 1024);
        assert_eq!(pace.bytes(), 150 * 1024);
        for _ in 0..10 {
            pace.broke(pace.bytes());
        }
        assert_eq!(pace.bytes(), LEAST);
        pace.answered(LEAST, Duration::from_secs(5));
        assert_eq!(pace.bytes(), LEAST);
        for _ in 0..10 {
            pace.answered(1, Duration::from_secs(1));
        }
        assert_eq!(pace.bytes(), 512 * 1024);
        pace.answered(512 * 1024, Duration::from_secs(11));
        assert_eq!(pace.bytes(), 256 * 1024);
    }

    #[test]
    fn an_hours_budget_comes_back_in_an_hour() {
        let at = Duration::from_secs;
        let mut budget = Budget::new(3_600);
        budget.spend(1 << 30, at(1));
        assert_eq!(budget.wait(at(1)), None, "it counts only while saving");
        budget.save(true, at(10));
        budget.spend(3_000, at(10));
        assert_eq!(budget.wait(at(10)), None);
        budget.spend(1_600, at(10));
        let until = budget.wait(at(10)).unwrap();
        assert!(until > at(1_009) && until < at(1_013), "{until:?}");
        assert_eq!(budget.wait(until + at(1)), None);
        budget.spend(3_600, until);
        budget.save(false, until);
        assert_eq!(budget.wait(until), None);
    }
}
