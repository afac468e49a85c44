//! How long to wait before the next attempt.

use std::time::Duration;

/// Exponential backoff with full jitter
/// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The pause after the first failure is random, up to this; each further failure doubles it.
    pub first: Duration,
    /// No pause is longer.
    pub most: Duration,
    /// A delivery that is this old is not tried again.
    pub give_up: Duration,
}

/// A young delivery never waits longer.
const SHORT: Duration = Duration::from_secs(30);

impl Default for Backoff {
    /// 1 s, 15 min, 24 h.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            most: Duration::from_secs(15 * 60),
            give_up: Duration::from_secs(24 * 3_600),
        }
    }
}

impl Backoff {
    /// The pause after so many failures (1 or more), for a random number that is uniform over all `u64`.
    pub fn pause(&self, failures: u32, random: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let ceiling = self.first.saturating_mul(1 << doublings).min(self.most);
        let micros = u64::try_from(ceiling.as_micros()).unwrap_or(u64::MAX);
        let share = (u128::from(micros) * u128::from(random)) >> 64;
        Duration::from_micros(u64::try_from(share).unwrap_or(u64::MAX))
    }

    /// The pause of a delivery of this age with what the receiver asked for: at least that, as far as it is not longer than the longest
    /// pause. By itself it is no longer than half a minute or a quarter of the age: who was away for a minute does not wait for five.
    pub fn pause_asked(
        &self,
        failures: u32,
        random: u64,
        age: Duration,
        asked: Option<Duration>,
    ) -> Duration {
        let own = self.pause(failures, random).min((age / 4).max(SHORT));
        own.max(asked.unwrap_or_default().min(self.most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_ceiling_doubles_up_to_the_longest() {
        let backoff = Backoff::default();
        let longest: Vec<_> =
            (1..12).map(|failures| backoff.pause(failures, u64::MAX).as_secs_f64().round()).collect();
        assert_eq!(longest, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 900.0]);
        assert_eq!(backoff.pause(u32::MAX, 0), Duration::ZERO);
    }

    #[test]
    fn what_the_receiver_asks_for_is_heard_within_bounds() {
        let backoff = Backoff::default();
        assert_eq!(backoff.pause_asked(1, 0, SECOND, Some(30 * SECOND)), 30 * SECOND);
        assert_eq!(backoff.pause_asked(1, 0, SECOND, Some(Duration::MAX)), 900 * SECOND);
        assert!(backoff.pause_asked(9, u64::MAX, 3_600 * SECOND, Some(SECOND)) > 200 * SECOND);
        assert_eq!(backoff.pause_asked(9, u64::MAX, 60 * SECOND, None), 30 * SECOND);
        assert_eq!(backoff.pause_asked(9, u64::MAX, 400 * SECOND, None), 100 * SECOND);
    }

    proptest! {
        #[test]
        fn never_longer_than_the_longest(failures in 1_u32.., random in any::<u64>()) {
            prop_assert!(Backoff::default().pause(failures, random) <= Backoff::default().most);
        }
    }
}
