//! Anomalies of a series.
mod channels;
mod codec;
mod curve;
mod detector;
mod experts;
mod likelihood;
mod math;
mod noise;
mod profile;
mod series;
pub mod tuning;
mod verdict;
mod work;

pub use detector::Detector;
pub use series::{Direction, Point, SeriesKind, Settings};
pub use verdict::{Channel, State, Verdict};
