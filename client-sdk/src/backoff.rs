//! How long to wait after a failure.

use std::time::Duration;

use crate::clock::Randomness;

/// Exponential backoff with jitter: installs that failed together do not come back together.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        Self { min, max: max.max(min), failures: 0 }
    }

    /// The wait after one more failure: between half and all of `min * 2^failures`, at most `max`.
    pub(crate) fn fail(&mut self, random: &dyn Randomness) -> Duration {
        let factor = 1u32 << self.failures.min(20);
        let full = self.min.saturating_mul(factor).min(self.max);
        self.failures = self.failures.saturating_add(1);
        let share = (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        full.mul_f64(0.5 + share / 2.0)
    }

    /// Forgets the failures.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SeededRandom;

    #[test]
    fn doubles_with_jitter_up_to_the_limit_and_forgets() {
        let random = SeededRandom::new(7);
        let (min, max) = (Duration::from_millis(100), Duration::from_secs(5));
        let mut backoff = Backoff::new(min, max);
        for n in 0..40u32 {
            let full = min.saturating_mul(1 << n.min(20)).min(max);
            let wait = backoff.fail(&random);
            assert!(wait >= full / 2 && wait <= full, "failure {n}: {wait:?} of {full:?}");
        }
        backoff.reset();
        assert!(backoff.fail(&random) <= min);
    }
}
