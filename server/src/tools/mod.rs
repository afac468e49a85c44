//! The tools of the `footpath` binary that talk to a server, or to its data folder while it is stopped.

pub mod alert_text;
pub mod annotate;
pub mod apply;
pub mod definitions;
pub mod deliveries;
pub mod destinations;
pub mod export;
pub mod incidents;
pub mod link;
pub mod ndjson;
mod object;
pub mod remote;
pub mod send;
pub mod simulate;
pub mod span;
pub mod token;
pub mod typed_events;
pub mod zone;
