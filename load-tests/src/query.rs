//! The set of `query/model.py`: sent as history, and asked about over gRPC.

mod ask;
mod send;
mod set;

pub use ask::{Answer, Asking, Question};
pub use send::{Sent, send};
pub use set::Set;
