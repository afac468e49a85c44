//! Which actors are one person.
//!
//! Events are stored under the actor they were sent with. The person is derived when they are read, so that a link
//! rewrites no file, and can be taken away again.
//!
//! Every id has at most one **pointer**, to another name of the same person. An id without one is a **root**: the person.
//! Pointers change only by records, in the order of the log, which makes the graph the same wherever it is built. Each
//! change that does not leave every answer as it was makes one new **epoch**; an earlier one can be asked for, too.
//!
//! - `identify` points an anonymous id at a user, `alias` a new name at a person. Neither ever joins two known users.
//! - `merge` is what a human asked for: it points one person's root at a name of the other, and takes everybody below it along.
//! - `unmerge` takes the pointer of an id away again: the id is a person of its own, with all that is below it.
//!
//! A **known user** is an id that another one was ever pointed at, even if it was taken away again.

mod forest;
mod graph;
mod image;
mod outcome;
mod past;
mod poison;

#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;

pub use forest::Members;
pub use graph::IdentityGraph;
pub use image::{BadGraph, FORMAT};
pub use outcome::{Cause, Moved, Outcome, PointerChange, Refusal};
pub use poison::{PoisonId, check_id};

/// An actor's key within a project: the hash of the id it was sent with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorKey(pub u64);
