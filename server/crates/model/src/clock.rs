//! The only door to the machine's clock and randomness.

use std::time::{SystemTime, UNIX_EPOCH};

/// A source of time: microseconds since 1970, UTC. Passed in wherever time matters, so that a test or a
/// replay decides what time it is.
pub trait Clock: Send + Sync {
    /// Now, in microseconds since 1970.
    fn now_us(&self) -> i64;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // The one place that asks the machine.
    fn now_us(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }
}

/// A clock that a test sets by hand.
#[derive(Debug, Default)]
pub struct ManualClock(std::sync::atomic::AtomicI64);

impl ManualClock {
    /// A clock that stands at `now_us`.
    pub fn at(now_us: i64) -> Self {
        Self(std::sync::atomic::AtomicI64::new(now_us))
    }

    /// Sets the time.
    pub fn set(&self, now_us: i64) {
        self.0.store(now_us, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_us(&self) -> i64 {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }
}
