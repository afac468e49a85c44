//! Metrics: aggregates over events, kept per bucket of time, and the answers made of them.
//!
//! An event reaches a metric as an [`Item`]: when, who, and the number that is aggregated. A [`Partial`] takes items in any
//! order, and any split of them into partials that are merged later gives the same: the live path adds one event
//! at a time, a query adds stored ones, and both call the same code. So a live number and its recount are the same bit for
//! bit.
//!
//! What was added can be retracted. Where that cannot be done from what a partial remembers it says
//! [`Retraction::Stale`] and is left as it was: then its bucket is computed again from stored events.
//!
//! - [`item`]: what is added, and in which unit;
//! - [`sum`], [`extreme`], [`sketch`], [`uniques`]: the aggregates; [`partial`]: any of them;
//! - [`series`]: partials by time, rolled up as they age; [`set`]: one series per value of a breakdown;
//! - [`value`], [`table`]: what an answer is made of, and laid out in rows and columns;
//! - [`active`]: who was active in the last minutes, which changes without any event.

pub mod active;
mod by_unit;
mod codec;
mod digits;
pub mod extreme;
mod grid;
mod hyperloglog;
pub mod item;
mod limbs;
pub mod ordinals;
pub mod partial;
mod scalar;
pub mod series;
pub mod set;
pub mod sketch;
pub mod sum;
pub mod table;
mod timeline;
pub mod uniques;
pub mod value;

#[cfg(test)]
mod testing;

pub use active::{Active, ActiveUsers};
pub use codec::{BadBytes, FORMAT};
pub use extreme::Extreme;
pub use grid::{Horizons, StaleBucket};
pub use item::{Currency, Item, ItemValue};
pub use ordinals::Ordinals;
pub use partial::{MetricKind, Partial, Retraction};
pub use series::Series;
pub use set::{Breakdown, Row, SeriesKey, SeriesSet};
pub use sketch::{Sketch, UnitSketches};
pub use sum::ExactSum;
pub use table::{Layout, Measured, MetricSeries, Table};
pub use uniques::Uniques;
pub use value::{Amount, Answer, MetricValue, Percentiles, Ratio, UnitAmount, ratio};
