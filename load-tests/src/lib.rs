//! Load, crash and fault tests over the public API.

pub mod clock;
pub mod crash;
pub mod delta;
pub mod faults;
pub mod first;
pub mod observe;
mod patch;
pub mod query;
pub mod report;
pub mod run;
pub mod signed;
pub mod source;
mod template;
mod wire;
