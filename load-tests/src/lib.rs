//! Load and crash tests over the public API.

pub mod clock;
pub mod crash;
mod patch;
pub mod report;
pub mod run;
pub mod source;
mod template;
mod wire;
