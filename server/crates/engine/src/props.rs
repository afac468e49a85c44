//! Properties of persons and groups, whatever order their changes arrive in.
//!
//! The value of a property at a moment is the fold of all operations up to it, in the order of (event time, event id),
//! that moment's included. So a late event changes what later events saw, and every arrival order agrees.
//!
//! | Operation | Does |
//! |---|---|
//! | `set_once` | sets the value where there is none at its moment: none was set, or it was removed |
//! | `set` | sets the value |
//! | `add` | adds to a number; where there is no value, to 0; to anything else it does nothing, and that is counted |
//! | `unset` | removes the value |
//!
//! Several operations of one event on one key are done in that order. Of two that are the same but for their value the
//! first one in the event stands.
//!
//! What `add` gives: an integer and a whole amount of at most 2^53 are an integer, exactly; any other amount, and what no
//! longer fits, makes it a double. Doubles are added in order, so that the rounding is the same everywhere; a sum that is not
//! finite is refused. A decimal is added to digit by digit, with the shortest digits that stand for the amount. Money has
//! a currency that an amount has not, so it is refused.
//!
//! A [`History`] keeps the operations on one property of one person or group; a person's is the union of those of its
//! actors. A [`PropertyBook`] keeps the histories that some definition needs.

mod book;
mod history;
mod image;
mod keys;
mod moment;
mod operation;
mod value;

#[cfg(test)]
mod tests;

pub use book::{Joined, PropertyBook};
pub use history::{DEFAULT_OPERATIONS, Forgotten, History, HistoryChange};
pub use image::{BadProperties, FORMAT};
pub use keys::{KeyId, Owner};
pub use moment::Moment;
pub use operation::PropertyOperation;
pub use value::PropertyValue;
