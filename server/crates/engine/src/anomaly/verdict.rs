//! What a detector says of a bucket.

use serde::{Deserialize, Serialize};

/// How a series stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum State {
    /// Too little was seen yet to tell anything: less than eight days, of days less than four weeks, of weeks less than twelve.
    Learning {
        /// How much of that was seen, 0 to 99.
        percent: u8,
    },
    /// As expected.
    Normal,
    /// Something begins here, or goes on, that chance would begin less often than the user's rate.
    Anomalous,
    /// A deviation lasted so long (a day; 7 buckets at least, 288 at most) that it is the new level: from the next bucket on the baseline has it.
    Changed,
}

/// What looks at a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Channel {
    /// The bucket against its forecast.
    Point,
    /// The step from the bucket before, apart from what the season explains.
    Difference,
    /// The bucket against the same slot of earlier days and weeks, and against the slow level.
    Slot,
    /// The mean deviation of the last buckets (an exponential window of 6).
    ShortWindow,
    /// The same of more buckets (24).
    LongWindow,
    /// How much the series scatters.
    Variance,
    /// The same number again and again.
    Flat,
    /// Beyond everything seen before.
    Range,
}

impl Channel {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Point,
        Self::Difference,
        Self::Slot,
        Self::ShortWindow,
        Self::LongWindow,
        Self::Variance,
        Self::Flat,
        Self::Range,
    ];
}

/// What a detector says of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// How the series stands.
    pub state: State,
    /// How often by chance an episode that is at least as loud begins in a bucket, 0 to 1, by the series' own past. A bucket is
    /// anomalous when this is below the user's rate.
    pub p_value: f64,
    /// What was expected, in the series' units.
    pub expected: f64,
    /// The lower end of the band at the user's rate: a number below it makes the point channel speak.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The loudest channel in the direction that is asked for; none if nothing is heard.
    pub channel: Option<Channel>,
    /// The news value, in powers of ten and 0 for most buckets: how new the bucket is among all that was ever seen, less what was just told. It
    /// depends neither on the rate nor on the direction and begins after two days (24 to 1,440 buckets).
    pub score: f64,
}

impl Verdict {
    /// Before the first bucket.
    pub(super) const NOTHING: Self = Self {
        state: State::Learning { percent: 0 },
        p_value: 1.0,
        expected: 0.0,
        low: 0.0,
        high: 0.0,
        channel: None,
        score: 0.0,
    };
}
