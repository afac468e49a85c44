//! A place in the total order of events.

use crate::funnel::SlimEvent;

/// Where an event stands: by time, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    /// Event time, microseconds since 1970.
    pub time_us: i64,
    /// Halves, so that a moment needs 24 bytes and not 32.
    id: [u64; 2],
}

impl Moment {
    /// Before every event.
    pub const FIRST: Self = Self { time_us: i64::MIN, id: [0; 2] };
    /// After every event: what is asked for at this moment is current.
    pub const LAST: Self = Self { time_us: i64::MAX, id: [u64::MAX; 2] };

    /// The moment of an event.
    pub fn new(time_us: i64, id: u128) -> Self {
        Self { time_us, id: [(id >> 64) as u64, id as u64] }
    }

    /// The event's id.
    pub fn id(&self) -> u128 {
        u128::from(self.id[0]) << 64 | u128::from(self.id[1])
    }
}

impl From<&SlimEvent> for Moment {
    fn from(event: &SlimEvent) -> Self {
        Self::new(event.time_us, event.id)
    }
}
