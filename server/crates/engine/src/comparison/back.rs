//! Whether a number that had become better is what it was before.

use super::{Bucket, Compared, Comparison, Effect, Nature, Verdict, Wrong, compare};

/// Three times of one metric.
#[derive(Debug, Clone, Copy)]
pub struct Returning<'a> {
    /// How the metric's numbers come about.
    pub nature: Nature,
    /// What was wrong.
    pub wrong: Wrong,
    /// How long a bucket is, microseconds.
    pub width_us: i64,
    /// The buckets of the incident.
    pub incident: &'a [Bucket],
    /// The buckets after something was done about it.
    pub mended: &'a [Bucket],
    /// The newest buckets, behind those.
    pub recent: &'a [Bucket],
}

/// Whether the newest buckets are as bad as the incident was: clearly worse than after it was mended, not clearly better than in the
/// incident, and nearer to the incident. False as long as too little is known.
pub fn falls_back(returning: &Returning<'_>) -> bool {
    let Returning { nature, wrong, width_us, incident, mended, recent } = *returning;
    let to_recent = |before| compare(&Compared { nature, wrong, width_us, before, after: recent });
    let (Some(since_mended), Some(since_incident)) = (to_recent(mended), to_recent(incident)) else {
        return false;
    };
    let is_nearer =
        since_incident.effect != since_mended.effect || since_incident.distance() < since_mended.distance();
    since_mended.verdict == Verdict::Worse && since_incident.verdict != Verdict::Better && is_nearer
}

impl Comparison {
    /// How far from no change; to be compared with that of the same metric only.
    fn distance(&self) -> f64 {
        match self.effect {
            Effect::Ratio => self.estimate.ln().abs(),
            Effect::Difference => self.estimate.abs(),
        }
    }
}
