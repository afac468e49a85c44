//! Anomalies: says of every bucket of a series how odd it is, with O(1) work and a state of at most 8 KB.
//!
//! What a bucket goes through, in [`Detector::step`]:
//! 1. `scale`: its number on the scale that forecasts are made on (logarithmic for values).
//! 2. `experts`: forecasts by level, trend, slot of the day and slot of the week, blended by how well each did of late; annotated
//!    days have a correction of their own.
//! 3. `noise` and `likelihood`: how far the number lies in the tail of what was forecast, by what the series is: negative
//!    binomial, beta-binomial, log-normal with a sample size.
//! 4. `channels`: point, difference, slot, two windows, variance, flat line and range, each with its surprise in nats.
//! 5. `curve`: how often each channel was so surprised before, with an exponential tail beyond what was seen; then the same for the
//!    loudest of them. The result is a p-value: the user sets a rate of false alerts, never a threshold.
//! 6. `detector`: an odd bucket teaches nothing, until a deviation lasted so long that it is the new level.
//! 7. `records` and `told`: the news value, which is high only for what was never seen and not just told.
//!
//! Nothing is random and no clock is read, and all arithmetic is the same on every machine (`math`), so the same buckets give the
//! same verdicts, bit by bit, in a restart, a replay or a back-fill. What the numbers mean is in `docs/semantics.md`, why it is
//! made like this in `docs/adr/0012-anomaly-detector.md`.

mod channels;
mod codec;
mod curve;
mod detector;
mod experts;
mod likelihood;
mod loudest;
mod math;
mod noise;
mod profile;
mod records;
mod series;
mod told;
mod verdict;

#[cfg(test)]
mod tests;

pub use codec::FORMAT;
pub use detector::Detector;
pub use series::{Direction, Point, SeriesKind, Settings};
pub use verdict::{Channel, State, Verdict};
