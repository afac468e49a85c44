//! What a series is, and what a user asks of its detector.

/// What the numbers of a series are, which says how far they scatter by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum SeriesKind {
    /// How many things there were in a bucket: negative binomial.
    Count,
    /// A share of a whole, 0 to 1, whose denominator is the point's weight: beta-binomial.
    Ratio,
    /// How many things there were for each of others, whose number is the point's weight: taken for a [`Ratio`](Self::Ratio) if none of the first
    /// numbers is above 1, else for a [`Value`](Self::Value).
    Rate,
    /// A percentile, an average, a sum: any number, on a logarithmic scale as far as it is large; its sample size is the point's weight.
    Value,
}

/// Which deviations are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
pub enum Direction {
    /// Upward and downward ones.
    #[default]
    Both,
    /// Only what is too large.
    Up,
    /// Only what is too small.
    Down,
}

/// What a detector is made for.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Settings {
    /// What the numbers are.
    pub kind: SeriesKind,
    /// The width of a bucket in microseconds; a day of the calendar is 24 hours here.
    pub bucket_us: i64,
    /// How many alerts a month of 30 days may have on a series in which nothing happens.
    pub false_alerts_per_month: f64,
    /// Which deviations are told.
    pub direction: Direction,
}

/// One bucket of a series.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Point {
    /// When the bucket begins: microseconds since 1970, UTC.
    pub start_us: i64,
    /// The same moment on the project's wall clock, as if that were UTC: slots of day and week are taken from it.
    pub local_us: i64,
    /// The bucket's number. One that is not finite, or larger than 1e30, is a gap.
    pub value: f64,
    /// The denominator of a ratio or a rate, the sample size of a value; counts have none. Without one, a bucket is a gap. Taken for 1e-3 at least and 1e15 at most.
    pub weight: f64,
    /// Whether somebody marked the day as a special one: a holiday, a promotion.
    pub annotated: bool,
}
