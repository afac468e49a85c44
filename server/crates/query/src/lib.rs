//! Queries over stored events, with the kernel the live path uses.
//!
//! A query reads one pinned moment: chunks and the log above them ([`footpath_history`]). It folds every person and
//! counts. The answer names the position it holds for.

use footpath_engine::RulesError;
use footpath_history::HistoryError;
use footpath_model::range::RangeError;

mod events;
mod funnel;
#[cfg(test)]
mod testing;

pub use events::{EventPage, EventQuery, events};
pub use funnel::{FunnelAnswer, funnel};

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The stored events cannot be read.
    #[error("stored events cannot be read: {0}")]
    History(#[from] HistoryError),
    /// The funnel cannot be folded.
    #[error("the funnel cannot be computed: {0}")]
    Rules(#[from] RulesError),
    /// The range cannot be resolved.
    #[error("the range cannot be resolved: {0}")]
    Range(#[from] RangeError),
}

/// Which project is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Project<'a> {
    /// Its number in the log.
    pub number: u32,
    /// Its id, which actors are hashed with.
    pub id: &'a str,
}
