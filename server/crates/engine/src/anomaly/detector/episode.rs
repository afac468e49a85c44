//! A stretch of odd buckets: it teaches nothing, until it lasted so long that it is the new level.

/// So rare, in nats, is what teaches nothing: one bucket in 300,000, for each of three channels. The rate of alerts has no part in it: what is learned does
/// not depend on what a user asks for.
const ODD: f64 = 12.6;

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Episode {
    buckets: f64,
    /// The sum of the deviations from the slow forecast.
    deviations: f64,
}

impl Episode {
    pub(super) fn new() -> Self {
        Self { buckets: 0.0, deviations: 0.0 }
    }

    pub(super) fn is_odd(&self, nats: f64) -> bool {
        nats > ODD
    }

    /// One more bucket; returns the mean deviation when it has lasted for `lasting` buckets.
    pub(super) fn hear(&mut self, odd: bool, deviation: f64, lasting: f64) -> Option<f64> {
        if !odd {
            *self = Self::new();
            return None;
        }
        self.buckets += 1.0;
        self.deviations += deviation;
        if self.buckets < lasting {
            return None;
        }
        let by = self.deviations / self.buckets;
        *self = Self::new();
        Some(by)
    }

    /// Whether the last bucket was odd, and the one before it too.
    pub(super) fn goes_on(&self) -> bool {
        self.buckets > 1.0
    }

    pub(super) fn is_sound(&self) -> bool {
        self.buckets.is_finite() && self.deviations.is_finite()
    }
}
