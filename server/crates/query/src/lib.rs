//! Queries over stored events, with the kernel the live path uses.
//!
//! A question is asked of a [`Source`]: one pinned moment of one project, chunks and the log above them
//! ([`footpath_history`]). For each question there is one function with one struct that asks and one that answers:
//! [`funnel`], [`funnel_persons`], [`explain`], [`metric`], [`sessions`], [`person`], [`group`], [`events`],
//! [`drivers`]. Every answer
//! names the position it holds for.
//!
//! Where names alone say what an event is, who and when is read from columns that are kept decoded, on all processors that are
//! free (`by_person.rs`, `metric/heads.rs`). Else rows are decoded: what is counted by unit (person, group, session) in parts, so that
//! memory is bounded (`units.rs`), and what is counted by event is added up as it is read.

use footpath_engine::GeneralRulesError;
use footpath_history::HistoryError;
use footpath_model::calendar::CalendarError;
use footpath_model::filter::FilterError;
use footpath_model::range::RangeError;

mod by_person;
mod drivers;
mod entities;
mod events;
mod explain;
mod funnel;
mod group;
mod ids;
mod metric;
mod person;
mod sessions;
mod sorted;
mod source;
#[cfg(test)]
mod testing;
mod times;
mod units;

pub use drivers::{Dimensions, Driver, DriversAnswer, DriversQuery, Kind, drivers};
pub use events::{EventPage, EventQuery, events};
pub use explain::{Attempted, ExplainAnswer, ExplainQuery, ExplainedEvent, Reason, explain};
pub use footpath_engine::SliceValue;
pub use funnel::{
    FunnelAnswer, FunnelPeriod, FunnelPerson, FunnelPersons, FunnelPersonsQuery, FunnelQuery, FunnelSlice,
    funnel, funnel_persons,
};
pub use group::{GroupAnswer, GroupQuery, group};
pub use metric::{Measured, MetricAnswer, MetricQuery, MetricSeries, metric};
pub use person::{PersonAnswer, PersonQuery, person};
pub use sessions::{SessionRow, SessionsPage, SessionsQuery, sessions};
pub use source::{Project, Read, Source, Span};
pub use times::{ConversionTime, TimeBin};

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The stored events cannot be read.
    #[error("stored events cannot be read: {0}")]
    History(#[from] HistoryError),
    /// The funnel cannot be folded.
    #[error("the funnel cannot be computed: {0}")]
    Rules(#[from] GeneralRulesError),
    /// A condition cannot be followed.
    #[error("the definition cannot be followed: {0}")]
    Filter(#[from] FilterError),
    /// The range cannot be resolved.
    #[error("the range cannot be resolved: {0}")]
    Range(#[from] RangeError),
    /// The range cannot be cut.
    #[error("the range cannot be cut: {0}")]
    Calendar(#[from] CalendarError),
    /// The identity graph has no such epoch yet.
    #[error("the identity graph is at epoch {newest}; there is no {asked} yet")]
    Epoch {
        /// What was asked for.
        asked: u64,
        /// The newest one.
        newest: u64,
    },
    /// The funnel has no such step.
    #[error("the funnel has {steps} steps, counted from 1; there is no step {step}")]
    Step {
        /// What was asked for.
        step: u32,
        /// How many there are.
        steps: usize,
    },
    /// A conversion came without its funnel.
    #[error("the funnel {0:?} of the conversion is not there")]
    Funnel(String),
}
