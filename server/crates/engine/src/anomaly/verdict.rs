//! What a detector says of a bucket.

/// How a series stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum State {
    /// Too little was seen yet to tell anything.
    Learning {
        /// How much of what is needed was seen, 0 to 99.
        percent: u8,
    },
    /// As expected.
    Normal,
    /// Rarer than the user's rate.
    Anomalous,
    /// A deviation lasted until it counts as the new level; from here on it is the baseline.
    Changed,
}

/// What looks at a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Channel {
    /// The bucket against its forecast.
    Point,
    /// The step from the bucket before.
    Difference,
    /// The same slot of earlier days.
    Slot,
    /// The mean of the last few buckets.
    ShortWindow,
    /// The mean of many buckets.
    LongWindow,
    /// How much the series scatters.
    Variance,
    /// A series that stands still.
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
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Verdict {
    /// How the series stands.
    pub state: State,
    /// How often an episode at least as loud begins in a bucket by chance, 0 to 1.
    pub p_value: f64,
    /// What was expected, in the series' units.
    pub expected: f64,
    /// The lower end of the band.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// Which channel is the loudest.
    pub channel: Option<Channel>,
    /// News value.
    pub score: f64,
}
