//! The kernel: funnels, sessions, identity and the catalogue as pure state machines, called by the live and the batch path.
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
//! [`session`] cuts a person's events into sessions, for both paths as well. [`identity`] says which actors are
//! one person, [`catalog`] which names and properties there are. What the numbers mean is in `docs/semantics.md`.

pub mod batch;
pub mod catalog;
pub mod funnel;
pub mod identity;
pub mod image;
pub mod link;
mod packed;
pub mod person;
pub mod session;
mod tail;
mod ties;

#[cfg(test)]
mod reference;

pub use batch::{Folder, FunnelCounts, fold_person, funnel_counts};
pub use catalog::Catalog;
pub use funnel::{FunnelState, Rules, RulesError, SlimEvent};
pub use identity::{ActorKey, IdentityGraph, LinkOutcome, PoisonId};
pub use link::{IDENTIFY, link_event, link_ids};
pub use person::{Change, NeedsRefold, PersonFunnel};
pub use session::{
    PersonSessions, Session, SessionChange, SessionCorrection, SessionDelta, SessionEvent, SessionFolder,
    SessionRules, SessionTotals, fold_person_sessions, fold_sessions,
};
