//! The kernel: funnels, sessions, metrics and identity as pure state machines, called by the live and the batch path.
//!
//! Nothing here reads a clock, does IO or draws a random number. What comes in decides what comes out, so
//! that a number on a live tile can be computed again from stored events and must be the same.
//!
//! An event reaches a funnel as a [`SlimEvent`]: when, which id, and which steps it matches. From there
//! - [`batch`] folds a person's sorted events once, for queries and back-fills;
//! - [`person`] keeps a person's fold state open while events arrive in any order, for the live path;
//! - both advance the same vector by the same two functions in [`funnel`], with equal timestamps resolved
//!   as groups.
//!
//! This is the fast path, for the mode that most funnels have. [`general`] knows all others; a test keeps the two equal.
//! [`by_session`] folds each session on its own. [`plan`] chooses between them by a funnel's definition, and [`tally`] adds up what
//! units count for. [`lens`] says what an event is to a definition.
//!
//! [`session`] cuts a person's events into sessions and [`metric`] aggregates events over time, for both paths as well. [`identity`]
//! says which actors are one person, and was it before; [`link`] and [`ledger`] read that out of records. [`props`] says what is
//! known of persons and groups, and was at any moment; [`catalog`] which names and properties there are; [`anomaly`] how odd a bucket
//! of a series is. What the numbers mean is in `docs/semantics.md`.

pub mod anomaly;
pub mod batch;
pub mod by_session;
pub mod catalog;
pub mod funnel;
pub mod general;
pub mod identity;
pub mod image;
pub mod ledger;
pub mod lens;
pub mod link;
pub mod metric;
mod packed;
pub mod person;
pub mod plan;
pub mod props;
pub mod session;
mod tail;
pub mod tally;
mod ties;

#[cfg(test)]
mod reference;

pub use batch::{Sorted, fold_person};
pub use catalog::Catalog;
pub use funnel::{FunnelState, Rules, RulesError, SlimEvent};
pub use general::{
    Attempt, FunnelEvent, GeneralFold, GeneralPerson, GeneralRules, GeneralRulesError, fold_general,
};
pub use identity::{ActorKey, IdentityGraph, Moved, Outcome, PoisonId, Refusal};
pub use ledger::{IdentityReplay, LedgerEntry};
pub use link::{ALIAS, IDENTIFY, LinkRequest, link_control, link_event};
pub use person::{Change, NeedsRefold, PersonFunnel};
pub use plan::{Plan, UnitFunnel};
pub use session::{
    PersonSessions, Session, SessionChange, SessionCorrection, SessionDelta, SessionEvent, SessionFolder,
    SessionRules, SessionRulesError, SessionTotals, fold_person_sessions, fold_sessions,
};
pub use tally::{FunnelTotals, SliceValue, Tallies, Tally, Totals};
