//! Live: the worker that folds the log as it grows, and the hub that subscribers watch.
//!
//! The worker is the only owner of the live state. It takes frames in log order, so that its state at a
//! position is the fold of all stored events below it, and publishes numbers with that position.

mod active;
mod answers;
#[doc(hidden)]
pub mod bare;
mod blob;
mod book;
mod demand;
mod dependents;
mod funnel;
mod hub;
mod image;
mod imager;
mod metric;
mod project;
mod readers;
mod reading;
mod reconciliation;
mod session_measures;
mod sessions;
mod shape;
mod stale;
mod table;
mod units;
mod view;
mod worker;

pub use demand::{Followed, by_content, followed, is_of_events, watched};
pub use hub::{
    CAUSES, Cause, CauseTotal, FunnelNumbers, Hub, MetricNumbers, Next, Numbers, Progress, Refused,
    SESSION_CHANGES, SessionEventKind, SessionNumbers, Shown, Slice, Standing, TailFrame,
};
pub use imager::ImageOptions;
pub use reading::Ledger;
pub use reconciliation::{Reconciliation, Reconciliations};
pub use shape::{Shape, ShapeError};
pub use view::{Counted, ViewKey};
pub use worker::{KnownProject, Live, LiveParts, ProjectNames};

/// Why live state cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The log cannot be read.
    #[error("the log cannot be read: {0}")]
    Log(#[from] footpath_log::LogError),
    /// The definition cannot be folded.
    #[error("the definition cannot be followed: {0}")]
    Rules(#[from] footpath_engine::GeneralRulesError),
    /// Sessions cannot be cut that way.
    #[error("sessions cannot be followed: {0}")]
    Sessions(#[from] footpath_engine::SessionRulesError),
    /// A condition cannot be compiled.
    #[error("the definition cannot be followed: {0}")]
    Filter(#[from] footpath_model::filter::FilterError),
    /// The range does not resolve.
    #[error("the range cannot be resolved: {0}")]
    Range(#[from] footpath_model::range::RangeError),
    /// Stored events cannot be read.
    #[error("stored events cannot be read: {0}")]
    History(#[from] footpath_history::HistoryError),
    /// A reading of stored events failed in a way that is a bug.
    #[error("a reading of stored events panicked; please report this with the server's log")]
    Panicked,
    /// The store cannot say what a project is called.
    #[error("the project of a frame cannot be looked up: {0}")]
    Project(String),
    /// An image cannot be used; the state is folded from stored events instead.
    #[error("the image cannot be used: {0}")]
    Image(&'static str),
    /// Reading or writing an image failed.
    #[error("image IO: {0}")]
    Io(#[from] std::io::Error),
}
