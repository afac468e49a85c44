//! The kernel: funnels, identity and properties as pure state machines, called by the live and the batch path.
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
//! [`identity`] says which actors are one person, and was it before; [`link`] and [`ledger`] read that out of records. [`props`]
//! says what is known of persons and groups, and was at any moment. What the numbers mean is in `docs/semantics.md`.

pub mod batch;
pub mod funnel;
pub mod identity;
pub mod image;
pub mod ledger;
pub mod link;
mod packed;
pub mod person;
pub mod props;
mod tail;
mod ties;

#[cfg(test)]
mod reference;

pub use batch::{Folder, FunnelCounts, fold_person, funnel_counts};
pub use funnel::{FunnelState, Rules, RulesError, SlimEvent};
pub use identity::{ActorKey, IdentityGraph, Moved, Outcome, PoisonId, Refusal};
pub use ledger::{IdentityReplay, LedgerEntry};
pub use link::{ALIAS, IDENTIFY, LinkRequest, link_control, link_event};
pub use person::{Change, NeedsRefold, PersonFunnel};
