//! One anomaly is told once: what was just told is no news.

/// What was told is forgotten linearly within half a day, but not before so many buckets.
const LEAST_BUCKETS: f64 = 24.0;
const DAYS: f64 = 0.5;
const MOST_BUCKETS: f64 = 1000.0;

/// How loud the last news was, and how long ago.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Told {
    loudness: f64,
    buckets: f64,
}

impl Told {
    pub(super) fn new() -> Self {
        Self { loudness: 0.0, buckets: 0.0 }
    }

    /// What is new of something so loud, with `per_day` buckets in a day.
    pub(super) fn tell(&mut self, loudness: f64, per_day: f64) -> f64 {
        self.buckets += 1.0;
        let known = self.loudness
            * (1.0 - self.buckets / (DAYS * per_day).clamp(LEAST_BUCKETS, MOST_BUCKETS)).max(0.0);
        if loudness > known {
            (self.loudness, self.buckets) = (loudness, 0.0);
        }
        (loudness - known).max(0.0)
    }

    pub(super) fn is_sound(&self) -> bool {
        self.loudness.is_finite() && self.buckets.is_finite()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_told_once() {
        let mut told = Told::new();
        assert_eq!(told.tell(4.0, 48.0), 4.0);
        assert!((0..12).all(|_| told.tell(4.0, 48.0) < 0.2));
        (0..30).for_each(|_| _ = told.tell(0.0, 48.0));
        assert_eq!(told.tell(3.0, 48.0), 3.0);
    }
}
