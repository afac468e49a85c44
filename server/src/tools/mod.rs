//! The tools of the `footpath` binary that talk to a server, or to its data folder while it is stopped.

pub mod remote;
pub mod token;
