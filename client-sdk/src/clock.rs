//! The only door to the machine's clocks and randomness. A test passes its own.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A source of time.
pub trait Clock: Send + Sync {
    /// The wall clock, in microseconds since 1970, UTC. It may jump.
    fn wall_us(&self) -> i64;
    /// Time since some moment before the process began. It never goes back and goes on while the machine sleeps.
    fn continuous(&self) -> Duration;
    /// Names the time since the machine's last start; `None` where the system does not tell. It never leaves the device.
    fn boot_id(&self) -> Option<String> {
        None
    }
}

/// A moment by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) wall_us: i64,
    pub(crate) continuous: Duration,
}

impl Reading {
    pub(crate) fn now(clock: &dyn Clock) -> Self {
        Self { wall_us: clock.wall_us(), continuous: clock.continuous() }
    }
}

/// A source of randomness.
pub trait Randomness: Send + Sync {
    /// The next 64 random bits.
    fn next_u64(&self) -> u64;
}

/// The machine's own clocks: `CLOCK_BOOTTIME`, or `CLOCK_MONOTONIC` on Apple's systems, where it counts sleep too.
#[derive(Debug, Clone, Default)]
pub struct SystemClock {
    boot_id: Option<String>,
}

impl SystemClock {
    /// The machine's clocks, with the start's name as the system tells it.
    pub fn new() -> Self {
        Self { boot_id: boot_id() }
    }

    /// The machine's clocks, with the start's name as the host knows it.
    pub fn with_boot_id(boot_id: Option<String>) -> Self {
        Self { boot_id: boot_id.or_else(self::boot_id) }
    }
}

fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // The one place that asks the machine.
    fn wall_us(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }

    fn continuous(&self) -> Duration {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        const CONTINUOUS: rustix::time::ClockId = rustix::time::ClockId::Boottime;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        const CONTINUOUS: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
        let time = rustix::time::clock_gettime(CONTINUOUS);
        let part = Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0));
        Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0)) + part
    }

    fn boot_id(&self) -> Option<String> {
        self.boot_id.clone()
    }
}

/// The machine's own randomness, cryptographically strong.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Randomness for SystemRandom {
    #[allow(clippy::disallowed_methods)] // The one place that asks the machine.
    fn next_u64(&self) -> u64 {
        rand::random()
    }
}

/// Clocks that are set by hand.
#[derive(Debug, Default)]
pub struct ManualClock {
    wall_us: AtomicI64,
    continuous_us: AtomicU64,
}

impl ManualClock {
    /// Clocks of a machine that was started a day ago, at `now_us` microseconds since 1970.
    pub fn at(now_us: i64) -> Self {
        Self { wall_us: AtomicI64::new(now_us), continuous_us: AtomicU64::new(86_400_000_000) }
    }

    /// Lets time pass: at least so much, in whole microseconds.
    pub fn advance(&self, time: Duration) {
        let us = u64::try_from(time.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX);
        self.continuous_us.fetch_add(us, Ordering::SeqCst);
        self.jump(us.cast_signed());
    }

    /// Sets the wall clock forward or back; no time passes.
    pub fn jump(&self, us: i64) {
        self.wall_us.fetch_add(us, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn wall_us(&self) -> i64 {
        self.wall_us.load(Ordering::SeqCst)
    }

    fn continuous(&self) -> Duration {
        Duration::from_micros(self.continuous_us.load(Ordering::SeqCst))
    }

    fn boot_id(&self) -> Option<String> {
        Some("by hand".into())
    }
}

/// Repeatable randomness (splitmix64): the same seed gives the same run. Not for secrets.
#[derive(Debug)]
pub struct SeededRandom(AtomicU64);

impl SeededRandom {
    /// Starts from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Randomness for SeededRandom {
    fn next_u64(&self) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// A random (version 4) UUID as text.
pub(crate) fn random_uuid(random: &dyn Randomness) -> String {
    let bits = (u128::from(random.next_u64()) << 64) | u128::from(random.next_u64());
    uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid().to_string()
}

/// A clock era: a stretch in which the wall clock runs along with the continuous one. Its id is random; what it was
/// made from stays on the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Era {
    pub(crate) id: u64,
    pub(crate) boot: Option<String>,
    /// Wall clock less continuous clock, in microseconds.
    pub(crate) base_us: i64,
}

impl Era {
    /// The design's bound: a jump of more than 2 s begins a new era.
    const JUMP_US: i64 = 2_000_000;

    pub(crate) fn begin(at: Reading, boot: Option<String>, random: &dyn Randomness) -> Self {
        Self { id: random.next_u64() | 1, boot, base_us: base(at) }
    }

    /// Whether a moment of the same start of the machine belongs to it.
    pub(crate) fn holds(&self, at: Reading) -> bool {
        (base(at) - self.base_us).abs() <= Self::JUMP_US
    }

    /// Whether `clock` still runs in it, after a restart of the process perhaps.
    pub(crate) fn goes_on(&self, clock: &dyn Clock) -> bool {
        self.same_boot(clock) && self.holds(Reading::now(clock))
    }

    fn same_boot(&self, clock: &dyn Clock) -> bool {
        self.boot.is_some() && self.boot == clock.boot_id()
    }

    /// What its wall clock would show now; `None` when the machine was started again since.
    ///
    /// So a batch of an era whose clock was wrong still says how wrong: the server compares this with its own clock.
    pub(crate) fn shows(&self, clock: &dyn Clock) -> Option<i64> {
        self.same_boot(clock).then(|| self.base_us.saturating_add(micros(clock.continuous())))
    }
}

fn base(at: Reading) -> i64 {
    at.wall_us.saturating_sub(micros(at.continuous))
}

pub(crate) fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_era_ends_with_a_jump_and_not_with_time() {
        let clock = ManualClock::at(1_000_000_000);
        let era = Era::begin(Reading::now(&clock), clock.boot_id(), &SeededRandom::new(1));
        clock.advance(Duration::from_secs(86_400));
        clock.jump(1_999_999);
        assert!(era.goes_on(&clock));
        clock.jump(2);
        assert!(!era.goes_on(&clock));
        // Its own clock is still known: a day and nothing else has passed.
        assert_eq!(era.shows(&clock), Some(1_000_000_000 + 86_400_000_000));
        let rebooted = Era { boot: Some("another".into()), ..era };
        assert_eq!(rebooted.shows(&clock), None);
    }

    #[test]
    fn the_systems_clocks_go_on() {
        let clock = SystemClock::new();
        let before = clock.continuous();
        assert!(before > Duration::ZERO && clock.continuous() >= before);
        assert!(clock.wall_us() > 1_700_000_000_000_000);
    }
}
