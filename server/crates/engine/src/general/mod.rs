//! Funnels in every mode.
//!
//! The fast kernel ([`crate::funnel`]) knows one mode: the latest entry, a window from step 1, steps in order, persons, no values
//! and no times. This kernel knows all of them, at several times the cost; [`GeneralRules::fast`] says which one is needed.
//! What follows are contracts; a test compares them with a search over all chains.
//!
//! # Chains
//! A *moment* is a set of events that count as having happened at once, at the time of the first of them: those of equal time, or,
//! with a tolerance, those that follow each other within it (only events that match something; in strict order all). A *chain* is a
//! sequence of distinct events of one part that match the steps, in order (or in any), their moments never going back; within
//! a moment every order counts, unless times must increase: then a chain takes one event of a moment. Its *entry* is the moment
//! of its first event. It lies in the range; the rest need not.
//! - *Window*: every event within the window of the entry, or of the event before it. Inclusive.
//! - *Strict*: between two of its events lies no other event of the person. Of the first and the last moment some may be left
//!   over (they lie before and behind the chain), of those between them none.
//! - *Any order*: depth `k` means `k` different steps, done by `k` events. Anchored, the first event is a step-1 event.
//! - *Optional steps* may be skipped. Depth counts required steps.
//! - *Exclusions*: a chain that stands at or behind step `after`, and not yet at `before`, ends at the moment of an excluded
//!   event with what it had, unless it gets to `before` in that very moment. What reached `after` in or behind that moment is not
//!   touched: a new chain can begin, and one that stands before `after` goes on.
//!
//! # What counts
//! - *Persons, latest entry*: the deepest chain; of these the latest entry; of these required steps as early as can be; of these most
//!   optional steps.
//! - *First entry*: the first step-1 event of the range (in any order, not anchored: the first event of any step) is the only
//!   attempt. In each moment it goes as deep as it can with what fits.
//! - *Conversions*: attempts one after the other. One begins with the first entry after the one before has ended: by
//!   converting, or because none of its chains can go on (window, exclusion, interruption). With the latest entry newer step-1 events
//!   join the running attempt, and it counts with its best chain. The moment in which an attempt gets its last step is its own;
//!   a moment in which it only ends is offered to the next. So what happens at once converts once.
//! - *Dropped*: with [`OnExclusion::DropPerson`] a person counts nowhere if an excluded event hit an entry of the range: a chain
//!   with this entry stood between `after` and `before`, its window open, and none had reached `before` by then.
//! - *Parts*: of the best of all parts, the person counts once; of equally good ones, of that with the smallest number. In strict order events of other parts stand between. A person
//!   dropped in one part is dropped.
//! - *Times*: when a chain with this entry first reached the step, whichever events the best chain uses later. With optional steps and
//!   with the first entry: the times of the chain.
//! - *Value*: that of the first event, by (time, id), of the moment in which the attributed step was reached that matches the step; in
//!   any order, of the event that made the chain so deep.
//!
//! # Cost
//! Every fold is linear in the number of events. An event costs up to the number of steps times the events of its moment that can
//! matter (at most as many as steps); in any order, the square of the steps. [`GeneralPerson::attempts`] looks at every
//! part, and works out again those that changed.
//!
//! [`window_funnel`] says what the ClickHouse preset does.

mod any;
mod any_first;
mod chain;
mod event;
mod first;
mod fold;
pub mod image;
mod latest;
mod matching;
mod moment;
mod part;
mod person;
mod rules;
mod standing;
pub mod window_funnel;

#[cfg(test)]
mod reference;
#[cfg(test)]
pub(crate) mod tests;

pub use event::{Attempt, FunnelEvent, NO_VALUE};
pub use fold::{GeneralFold, fold_general};
pub use person::GeneralPerson;

pub use crate::person::{Change, NeedsRefold};
pub use rules::{
    Attribution, Counting, Entry, Exclusion, GeneralRules, GeneralRulesError, MAX_EXCLUSIONS, OnExclusion,
    Options, Order, Parts, Ties, Window, WindowFunnelModes,
};
