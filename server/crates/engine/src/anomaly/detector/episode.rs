//! A stretch of odd buckets: it teaches nothing, until it lasted so long that it is the new level.

use crate::anomaly::math::LIMIT;

/// So rare, in nats, is what teaches nothing: one bucket in ten million. The rate of alerts has no part in it: what is learned does
/// not depend on what a user asks for.
const ODD: f64 = 16.0;

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Episode {
    sharp: bool,
    buckets: f64,
    numbers: f64,
    forecasts: f64,
}

/// What a series was during an episode, and what it would have been: means on the working scale.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lasting {
    pub number: f64,
    pub forecast: f64,
}

impl Episode {
    pub(super) fn new() -> Self {
        Self { sharp: false, buckets: 0.0, numbers: 0.0, forecasts: 0.0 }
    }

    pub(super) fn is_odd(nats: f64) -> bool {
        nats > ODD
    }

    /// Whether buckets were odd by themselves up to the last one, and this one is not: then it is over, and what windows still hold of it is no news.
    pub(super) fn ends_sharply(&mut self, sharp: bool) -> bool {
        let ends = self.sharp && !sharp;
        self.sharp = sharp;
        ends
    }

    /// One more bucket, with what the slow experts said of it; returns the episode when it has lasted for `lasting` buckets.
    pub(super) fn hear(&mut self, odd: bool, number: f64, forecast: f64, lasting: f64) -> Option<Lasting> {
        if !odd {
            *self = Self { sharp: self.sharp, ..Self::new() };
            return None;
        }
        self.buckets += 1.0;
        self.numbers += number;
        self.forecasts += forecast;
        if self.buckets < lasting {
            return None;
        }
        let lasting =
            Lasting { number: self.numbers / self.buckets, forecast: self.forecasts / self.buckets };
        *self = Self::new();
        Some(lasting)
    }

    /// Whether the last bucket was odd, and the one before it too.
    pub(super) fn goes_on(&self) -> bool {
        self.buckets > 1.0
    }

    pub(super) fn is_sound(&self) -> bool {
        [self.buckets, self.numbers, self.forecasts].iter().all(|number| number.abs() < LIMIT)
    }
}
